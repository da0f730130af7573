"""Records of evaluations: what was called, what the call observed, and where its result is.

Key(symbol, fingerprint, arguments)      tier 1: known before the call
Observed(files, environment, live, …)    tier 2: what the call turned out to depend on
Evaluation(key, observed, …)             one finished call, as every store keeps it
"""

from __future__ import annotations

from hitsave.digest import Digest, Fingerprint
from hitsave.record import Record
from hitsave.symbol import Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

# What stands among environment variables under names that none can have: the working folder, relative to the project's
# root, and the interpreter with its platform, each for code that asks for them.
FOLDER, PYTHON = "=folder", "=python"
SURROUNDINGS = {FOLDER: "the working folder", PYTHON: "the Python version or platform"}


class Key(Record):
    """What a call is looked up by: the function, the code it depends on, its bound arguments."""

    symbol: Symbol
    fingerprint: Fingerprint
    arguments: Digest


class FileRead(Record):
    """A file that an evaluation opened (or listed, or found missing), and what it held then.

    `path` is relative to the project root in POSIX form where it lies below it, else absolute. `digest` is of the
    content, of the sorted names for a directory, of size and time for "stat" (the program asked for these), of the kind
    of thing for "exists" (it asked for nothing else), and "" for a file that did not exist.
    """

    path: str
    digest: Digest
    kind: str = "file"  # file | directory | absent | stat | exists


class Child(Record):
    """A memoised function that an evaluation called, with the digest of the result it got.

    `arguments` is the digest of the child's bound arguments, `call` the encoded arguments (so that the child can be
    evaluated again to see whether its result changed), empty where they are too large or have no safe encoding.
    """

    symbol: Symbol
    arguments: Digest
    result: Digest
    call: bytes = b""


class Observed(Record):
    """What one evaluation was seen to depend on, beyond its tier-1 key.

    `files`, `environment` (name, digest of the value or "" if unset) and `live` (symbol of a module-level name or
    class attribute, digest of its value at entry) are conditions, each sorted: a stored result is used only if each
    still holds. `children` are the memoised calls it made, in order; what these depend on in turn is in the `below_`
    fields, so that under an unchanged fingerprint no child has to be looked up.

    `ran` are the project functions that ran; only if `complete` may the closure be narrowed by it. `narrowed` is the
    fingerprint of the closure with what did not run, and the children, left out, as of the code that was loaded.
    `reached` are those of `ran` that no static edge led to, `carried` the functions and classes that came in with an
    argument or a live value: the closure starts at these too. `earlier` are functions that may have run before it in
    the same process: what they may have left behind counts although they didn't run. `imported` are modules that it
    was the first to import, so that what their top level read is among what it read. `at_import` are functions that may
    have run when modules were imported, and so made what their names are bound to. `impurities` names clock,
    randomness, network …
    """

    files: tuple[FileRead, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    live: tuple[tuple[Symbol, Digest], ...] = ()
    children: tuple[Child, ...] = ()
    ran: tuple[Symbol, ...] = ()
    reached: tuple[Symbol, ...] = ()
    complete: bool = False
    incomplete_because: str = ""
    narrowed: str = ""
    impurities: tuple[str, ...] = ()
    below_files: tuple[FileRead, ...] = ()
    below_environment: tuple[tuple[str, str], ...] = ()
    below_live: tuple[tuple[Symbol, Digest], ...] = ()
    carried: tuple[Symbol, ...] = ()
    earlier: tuple[Symbol, ...] = ()
    imported: tuple[str, ...] = ()
    at_import: tuple[Symbol, ...] = ()


class Blob(Record):
    """An encoded result: which codec reads it, its size, and its bytes if they are at hand.

    A store gives `data` as anything with the buffer protocol (a memory map for a large one); it has verified it. What
    `data` can be written through is given away: the decoded value may lie in it. An encoder gives a large result as
    `parts`, to be written one after the other, so that an array isn't copied on its way to the store (`data` is then
    empty); they may be the result's own memory, so they are good only until its receiver goes on.
    """

    codec: str
    data: Buffer
    size_bytes: int
    parts: tuple[Buffer, ...] = ()

    def buffers(self) -> tuple[Buffer, ...]:
        """The encoded bytes, in one piece or several."""
        return self.parts or (self.data,)


class Evaluation(Record):
    """One finished call, as stores keep it.

    `started` is in seconds since the epoch, `elapsed_s` the time the body took, `size_bytes` that of the encoded
    result, `result` its digest (of the encoded form: equal values have equal digests for the safe codecs). `title`
    is the call as a person would write it, shortened; `preview` the result likewise. `details` is JSON text for an
    experiment (arguments, metrics, command line, Git commit, host), "" for a memo.
    """

    key: Key
    observed: Observed
    codec: str
    result: Digest
    size_bytes: int
    started: float
    elapsed_s: float
    title: str = ""
    preview: str = ""
    is_experiment: bool = False
    details: str = ""
