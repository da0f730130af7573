"""The evaluator: bind arguments, make a key, look it up; otherwise call under observation, and record."""
