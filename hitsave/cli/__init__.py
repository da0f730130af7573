"""The command line: it prints and returns exit codes; what it shows is computed elsewhere.

Exit codes are stable: 0 it worked, 1 it failed, 2 it was asked for wrongly, 3 something is stale (`status --check`).
`hitsave run` ends with the exit code of the program it ran.
"""
