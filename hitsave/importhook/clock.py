"""How early a module can have been read: a file that hasn't been written to since is what the module ran from.

Two bounds. Our finder is asked for every module that is imported while it is installed, and notes when. For the others
there is the start of the process, to which Linux knows the time in steps of 10 ms.

Times of files lag behind the clock by up to 10 ms, and a program may write a file and import it within the same
moment. So a bound proves nothing about the last tenth of a second before it (`is_close`): there, the text has to agree
with everything in the module that can be compared.
"""

from __future__ import annotations

import os
from time import time

_IMPORTED_AT_S = time()
_IMPORTED_IN = os.getpid()
_started: list[float] = []

# The step in which a process's start is known, and the least that Python needs from there to its first user module.
STEP_S = 0.01
BOOT_S = 0.002
CLOSE_S = 0.1


def process_bound_s() -> float:
    """A time (seconds since the epoch) before which no user module of this process was read."""
    if os.getpid() != _IMPORTED_IN:
        return _IMPORTED_AT_S  # in a forked child, the bound of the parent, as far as it is known
    if not _started:
        _started.append(_process_start_s())
    return min(_IMPORTED_AT_S, _started[0] + STEP_S + BOOT_S)


def _process_start_s() -> float:
    try:
        from time import CLOCK_BOOTTIME, clock_gettime

        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        return time() - clock_gettime(CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (ImportError, OSError, ValueError, IndexError):  # not Linux
        return _IMPORTED_AT_S


def is_close(changed_s: float, bound_s: float) -> bool:
    """Whether a file changed so shortly before a bound that its time alone proves nothing."""
    return changed_s > bound_s - CLOSE_S
