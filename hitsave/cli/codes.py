"""Exit codes. Scripts rely on them: they don't change."""

OK, ERROR, USAGE, STALE = 0, 1, 2, 3
INTERRUPTED = 130  # 128 + SIGINT, as shells count
