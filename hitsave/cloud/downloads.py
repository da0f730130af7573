"""Downloads of results that didn't come along with their look-up."""

from __future__ import annotations

import time

from hitsave.cloud.client import Client
from hitsave.cloud.transport import Refused, Unreachable
from hitsave.evaluation import Evaluation
from hitsave.wire import WireError

ATTEMPTS = 4
LONGEST_S = 3600.0


def download(client: Client, evaluation: Evaluation, name: str, budget_s: float) -> bytearray | None:
    """The bytes of a blob, unverified but of the right number; None if they are gone or came too late.

    May take as long as the computation that it saves, and at least the budget. A line that breaks is taken up again
    where it broke, as long as something arrives each time.
    """
    size = evaluation.size_bytes
    deadline = time.monotonic() + max(budget_s, min(evaluation.elapsed_s, LONGEST_S))
    try:
        data = bytearray(size)
    except MemoryError:
        return None
    arrived = 0

    def sink(piece: memoryview) -> None:
        nonlocal arrived
        if arrived + len(piece) > size:
            raise OSError("more bytes than were signed")
        data[arrived : arrived + len(piece)] = piece
        arrived += len(piece)

    for _ in range(ATTEMPTS):
        before = arrived
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        try:
            if not client.read_blob(name, sink, arrived, left):
                return None
        except (Unreachable, Refused, WireError):
            # After a time-out the thread that receives may still write into `data`: it is not given to anybody.
            if arrived == before:
                return None
            continue
        if arrived == size:
            return data
    return None
