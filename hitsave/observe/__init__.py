"""Observation: what an evaluation reads and runs, seen without disturbing it.

    watch.py      the evaluations under way, and the one list that says whether anybody is looking
    running.py    which functions ran (`sys.monitoring`, Python 3.12 and later)
    files.py      files opened, folders listed, processes and sockets (the audit hook)
    variables.py  environment variables read

Everything seen while several evaluations are under way is noted for each of them: what one of them did not need makes
it depend on too much, which costs time; the reverse would cost trust. hitsave's own reads are not noted (`unseen`).

Out of sight, hence in docs/limits.md: files opened by C++ or Rust code that raises no audit event, shared memory,
and, before Python 3.12, which functions ran.
"""
