"""Faults, injected: processes killed at random moments, files with random damage. Used by the tests and, for hours if
need be, by `benchmarks/faults.py`.

Every result is a function of its arguments, so whoever reads a store can tell a right value from a wrong one. Results
under the codec "pickle5" are unpickled as the evaluator would, after the store has vouched for them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import random
import select
import shutil
import signal
import stat
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hitsave.store.hardened  # noqa: F401 - loaded here, so that children spend their short lives on the cache
from hitsave.errors import StoreWarning
from hitsave.evaluation import Blob, Evaluation, Observed
from hitsave.store.collect import Limits, collect
from hitsave.store.disk import DiskStore
from tests.store.contract import RICH, evaluation, key, reading

OBSERVED = (Observed(), RICH, reading("a.csv", "1"))
SIZES = (5, 40, 900, 3000, 90_000, 200_000)


class WrongValue(Exception):
    """A store gave what it should not have."""


class Place:
    """A cache directory with its keys, and a sentinel that no gadget may ever make."""

    def __init__(self, path: Path) -> None:
        self.root = path / "cache"
        self.home = self.root / "v1"
        self.config = path / "config"
        self.sentinel = path / "sentinel"

    def open(self) -> DiskStore:
        return DiskStore(str(self.root), str(self.config), data_codecs=("data",))


@functools.cache
def result_of(arguments: str) -> tuple[str, bytes]:
    """The codec and the encoded result that belong to `arguments`."""
    chance = random.Random(arguments)
    size = chance.choice(SIZES)
    if chance.random() < 0.3:
        return "pickle5", pickle.dumps(("value of", arguments, bytes(size)), 5)
    return "data", (arguments.encode() * (size // len(arguments) + 1))[:size]


@functools.cache
def call(arguments: str) -> tuple[Evaluation, Blob]:
    """The evaluation for `arguments`, whose every field they determine."""
    codec, data = result_of(arguments)
    chance = random.Random("call" + arguments)
    return evaluation(
        arguments,
        f"v{chance.randrange(3)}",
        data=data,
        codec=codec,
        observed=chance.choice(OBSERVED),
        started=1.7e9 + chance.randrange(10**6),
    )


def check(store: DiskStore, found: Evaluation) -> bool:
    """Whether the result could be loaded. Raises `WrongValue` if it isn't the right one."""
    arguments = found.title[len("f(x=") : -1]
    expected, _ = call(arguments)
    if found != expected:
        raise WrongValue(f"evaluation of {arguments}: {found}")
    blob = store.load(found)
    if blob is None:
        return False
    codec, data = result_of(arguments)
    if blob.codec != codec or bytes(memoryview(blob.data)) != data:
        raise WrongValue(f"result of {arguments}")
    if codec == "pickle5" and pickle.loads(blob.data)[:2] != ("value of", arguments):
        raise WrongValue(f"value of {arguments}")
    return True


# Killing


def work(place: Place, seed: int, say: Callable[[str], None]) -> None:
    """Use the cache until killed. Says `+arguments` once they are stored, `-arguments` before they are removed."""
    chance = random.Random(seed)
    store = place.open()
    mine: list[str] = []
    while True:
        action = chance.random()
        if action < 0.6:
            arguments = f"{seed}.{len(mine)}"
            with store.flights.flight(arguments.encode()):
                if not store.find(call(arguments)[0].key):
                    store.save(*call(arguments))
            mine.append(arguments)
            say(f"+{arguments}")
        elif action < 0.7:
            store.put_record("source", f"{seed}.{chance.randrange(20)}", bytes(chance.randrange(3000)))
        elif action < 0.75 and mine:
            arguments = mine[chance.randrange(len(mine))]
            say(f"-{arguments}")
            store.remove(call(arguments)[0])
        elif action < 0.77:
            collect(store, Limits())
        elif action < 0.8:
            store.close()
        else:
            arguments = f"{max(0, seed - chance.randrange(4))}.{chance.randrange(30)}"
            for found in store.find(call(arguments)[0].key):
                check(store, found)
        if store.trouble.count:
            raise WrongValue(f"trouble in a healthy cache: {store.trouble.last}")


def in_child(action: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """Fork a process that runs `action(say)`; its id, and the descriptor on which it is heard."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)

        def say(text: str) -> None:
            os.write(writing, text.encode() + b"\n")

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", StoreWarning)
                action(say)
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent must hear of it
            say("!" + traceback.format_exc().replace("\n", " | "))
    finally:
        os._exit(code)


def hear(descriptor: int, timeout_s: float = 60.0) -> list[str]:
    """All that a child said until its end."""
    data = b""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            break
        data += chunk
    else:
        data += b"!hung\n"
    os.close(descriptor)
    return data.decode().splitlines()


class Kills:
    """Kill `count` processes in the middle of their work, two at a time, and look after each what is left."""

    def __init__(self, place: Place, seed: int, longest_s: float = 0.03) -> None:
        self.place = place
        self.chance = random.Random(seed)
        self.longest_s = longest_s
        self.counts: Counter[str] = Counter()
        self.acknowledged: set[str] = set()
        self.next_seed = seed * 1_000_000

    def run(self, count: int, check_every: int = 20) -> Counter[str]:
        while self.counts["killed"] < count:
            self.kill_two()
            if self.counts["killed"] // check_every != (self.counts["killed"] - 2) // check_every:
                self.look()
        self.look()
        return self.counts

    def kill_two(self) -> None:
        children = []
        for _ in range(2):
            seed = self.next_seed
            self.next_seed += 1
            children.append(in_child(lambda say, seed=seed: work(self.place, seed, say)))  # type: ignore[misc]
        for pid, descriptor in children:
            time.sleep(self.chance.random() * self.longest_s)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.counts["killed"] += 1
            for line in hear(descriptor):
                if line.startswith("+"):
                    self.acknowledged.add(line[1:])
                elif line.startswith("-"):
                    self.acknowledged.discard(line[1:])
                elif line.startswith("!"):
                    self.counts["errors"] += 1
                    print(line)

    def look(self) -> None:
        """Read everything in a fresh process: all that was acknowledged must be there, and right."""
        acknowledged = sorted(self.acknowledged)

        def action(say: Callable[[str], None]) -> None:
            store = self.place.open()
            seen = 0
            for arguments in acknowledged:
                found = store.find(call(arguments)[0].key)
                if not any(check(store, one) for one in found if one.title == f"f(x={arguments})"):
                    say(f"lost {arguments}")
            for one in store.entries():
                check(store, one)
                seen += 1
            say(f"seen {seen}")
            if store.trouble.count or store.trouble.refused:
                say(f"!trouble: {store.trouble.last}")

        pid, descriptor = in_child(action)
        lines = hear(descriptor)
        _, status = os.waitpid(pid, 0)
        self.counts["looks"] += 1
        self.counts["lost"] += sum(line.startswith("lost") for line in lines)
        self.counts["entries read"] += sum(int(line.split()[1]) for line in lines if line.startswith("seen"))
        for line in lines:
            if line.startswith("!"):
                self.counts["errors"] += 1
                print(line)
        if os.waitstatus_to_exitcode(status) < 0:
            self.counts["crashes"] += 1
        # Begin anew now and then, so that reading everything stays cheap.
        if len(acknowledged) > 1500:
            shutil.rmtree(self.place.root)
            self.acknowledged.clear()


# Damage


class Damage:
    """Damage files of a cache `count` times at random, each time reading, often also writing, what is left."""

    def __init__(self, place: Place, seed: int, entries: int = 40) -> None:
        self.place = place
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.arguments = [f"d{number}" for number in range(entries)]
        pid, descriptor = in_child(lambda say: self.fill())
        hear(descriptor)
        os.waitpid(pid, 0)
        files = [*place.home.rglob("*"), *place.config.rglob("*.key")]
        self.pristine = {path: path.read_bytes() for path in files if path.is_file() and path.stat().st_size}
        self.times = {path: path.stat() for path in self.pristine}
        self.kinds = {path: _kind(path) for path in self.pristine}

    def fill(self) -> None:
        """Half of it lies in the database, half still in the log, as a killed process leaves it."""
        store = self.place.open()
        for number, arguments in enumerate(self.arguments):
            store.save(*call(arguments))
            if number == len(self.arguments) // 2:
                store.close()
        store.put_record("source", "a", b"text of a")
        os._exit(0)

    def run(self, count: int, at_once: int = 100) -> Counter[str]:
        while self.counts["damaged"] < count:
            pid, descriptor = in_child(lambda say: self.batch(min(at_once, count - self.counts["damaged"]), say))
            lines = hear(descriptor, timeout_s=600.0)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code < 0:
                self.counts["crashes"] += 1
                print("crashed with signal", -code, lines[-3:])
            for line in lines:
                if line.startswith("!"):
                    self.counts["errors"] += 1
                    print(line)
                else:
                    name, _, number = line.rpartition(" ")
                    self.counts[name] += int(number)
            self.counts["damaged"] += at_once
            self.chance.random()
        if self.place.sentinel.exists():
            self.counts["gadgets"] += 1
        return self.counts

    def batch(self, count: int, say: Callable[[str], None]) -> None:
        counts: Counter[str] = Counter()
        chance = random.Random(self.chance.random())
        for _ in range(count):
            with self.damaged(chance) as kind:
                counts[f"in {kind}"] += 1
                self.use(counts, chance)
        for name, number in counts.items():
            say(f"{name} {number}")

    @contextlib.contextmanager
    def damaged(self, chance: random.Random) -> Iterator[str]:
        """Damage one file, then put everything back as it was."""
        # As likely as the kinds of file, not as their sizes.
        kind = chance.choice(sorted(set(self.kinds.values())))
        path = chance.choice([path for path, of in self.kinds.items() if of == kind])
        data = bytearray(self.pristine[path])
        way = chance.random()
        if way < 0.6:
            for _ in range(chance.choice((1, 1, 1, 2, 8))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif way < 0.75:
            del data[chance.randrange(len(data)) :]
        elif way < 0.85:
            start = chance.randrange(len(data))
            data[start : start + 512] = os.urandom(min(512, len(data) - start))
        elif way < 0.95:
            start = chance.randrange(len(data)) // 4096 * 4096
            data[start : start + 4096] = bytes(min(4096, len(data) - start))
        else:
            data += pickle.dumps(Gadget(str(self.place.sentinel)))
        self.restore(except_for=path)
        path.write_bytes(data)
        if chance.random() < 0.3:  # as if nothing had been written
            os.utime(path, ns=(self.times[path].st_atime_ns, self.times[path].st_mtime_ns))
        yield kind

    def restore(self, except_for: Path) -> None:
        for path in list(self.place.home.rglob("*")):
            if path.is_file() and path not in self.pristine:
                path.unlink()
        for path, data in self.pristine.items():
            if path != except_for and (not path.exists() or path.read_bytes() != data):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                path.chmod(stat.S_IRUSR | stat.S_IWUSR)

    def use(self, counts: Counter[str], chance: random.Random) -> None:
        """What a program would do with the cache: look up, load, list, and store again what is missing."""
        store = self.place.open()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StoreWarning)
            missing = []
            for arguments in chance.sample(self.arguments, 12):
                found = [
                    one for one in store.find(key(arguments, call(arguments)[0].key.fingerprint)) if check(store, one)
                ]
                found += [one for one in store.find(call(arguments)[0].key) if check(store, one)]
                counts["hits" if found else "misses"] += 1
                if not found:
                    missing.append(arguments)
            for one in store.entries():
                check(store, one)
            if store.get_record("source", "a") not in (None, b"text of a"):
                raise WrongValue("record")
            if chance.random() < 0.5:
                for arguments in missing:
                    store.save(*call(arguments))
                    for one in store.find(call(arguments)[0].key):
                        check(store, one)
            store.close()
        said = [warning for warning in caught if issubclass(warning.category, StoreWarning)]
        counts["warnings"] += len(said)
        if len(said) > 1:
            raise WrongValue(f"{len(said)} warnings from one store: {[str(w.message) for w in said]}")


class Gadget:
    """Unpickled, it leaves a directory behind."""

    def __init__(self, sentinel: str) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.sentinel,)


def _kind(path: Path) -> str:
    return "a large result" if path.suffix == ".blob" else path.name
