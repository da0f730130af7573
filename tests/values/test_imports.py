"""What the first hit of a process must load, and what it must not."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "typing dataclasses inspect pathlib json re ast logging collections functools threading pickle hashlib "
    "numpy pandas xxhash"
)


def loaded_after(statements: str) -> set[str]:
    """The modules of a fresh process that ran `statements`."""
    program = f"import sys\nbefore = set(sys.modules)\n{statements}\nprint(*(set(sys.modules) - before))"
    paths = [path for path in sys.path if path]
    start = f"import sys; sys.path[:0] = {paths!r}\n"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", start + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statements",
    [
        "import hitsave.values.digest",
        "from hitsave.values import digest_arguments; digest_arguments(('a', 'b'), (1, ['x', {'y': 2.0}]), code=repr)",
        "from hitsave.values import digest_value; digest_value(['a' * 1000] * 50, code=repr)",
    ],
)
def test_digesting_builtins_loads_nothing_heavy(statements: str) -> None:
    loaded = loaded_after(statements)
    assert loaded.isdisjoint(HEAVY.split()), loaded & set(HEAVY.split())
    assert "hitsave.values.canonical" not in loaded


def test_digesting_an_instance_loads_nothing_heavy() -> None:
    loaded = loaded_after(
        "from hitsave.values import digest_value\n"
        "class A:\n    def __init__(self): self.x = [1]\n"
        "digest_value([A(), A(), {1: A()}], code=lambda cls: cls.__qualname__)"
    )
    assert loaded.isdisjoint(HEAVY.split()), loaded & set(HEAVY.split())


def test_decoding_builtins_loads_nothing_heavy() -> None:
    loaded = loaded_after(
        "from hitsave.values import encode, decode\n"
        "assert decode(encode([1, {'a': (2.0, None)}])) == [1, {'a': (2.0, None)}]"
    )
    assert loaded.isdisjoint(HEAVY.split()), loaded & set(HEAVY.split())


def test_decoding_an_array_loads_numpy_and_no_pickle_of_ours() -> None:
    loaded = loaded_after("import hitsave.values.codecs.arrays, hitsave.values.codecs.framing")
    assert loaded.isdisjoint(HEAVY.split()), loaded & set(HEAVY.split())
