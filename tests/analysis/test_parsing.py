"""Parsing while other threads parse."""

from __future__ import annotations

import gc
import threading
import time

from hitsave.parsing import parse

TEXT = "\n".join(f"x{n} = [{n} + (a * [b, (c, d)][{n}])]" for n in range(200))


def test_threads_parse_at_once() -> None:
    parsed: list[int] = []

    def work() -> None:
        for _ in range(20):
            parsed.append(len(parse(TEXT, "m.py").body))

    def let_others_run(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)  # gives the interpreter lock away in the middle of a parse

    gc.callbacks.append(let_others_run)
    thresholds = gc.get_threshold()
    gc.set_threshold(50)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(let_others_run)
    assert parsed == [200] * 80
