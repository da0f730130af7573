"""The exchange of code in a running process: proven first, then done in one go.

    prepare   on any thread: compare the texts, ask what relied on the old code, compile the new text as the loader
              would, find the function objects; nothing is changed, and all that can fail fails here
    Swap.apply   on the thread of whoever makes the next call: assign code, defaults and constants, run the `def` of
              new functions, and put the new text on record; undone as a whole if anything goes wrong

Function objects keep their identity, so an alias, a dictionary or a default argument that holds one gets the new code
too. Functions that only moved get new code as well, for the sake of tracebacks. Suspended generators go on with the
code they began with; where that code changed, nothing is exchanged until they are done.
"""

from __future__ import annotations

import ast
import gc
import linecache
import sys
from collections.abc import Callable, Iterable, Sequence
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any

from hitsave.decorated import all_decorated
from hitsave.evaluator.memo import Memo, memo_of
from hitsave.importhook import HOOK, current_hook
from hitsave.importhook.attestation import functions_of
from hitsave.importhook.codes import CodeObject, among, same_code
from hitsave.importhook.entry import ATTESTED, Entry
from hitsave.importhook.loader import HitsaveLoader
from hitsave.live.edits import Comparison, Edit, literal_defaults
from hitsave.live.events import Refusal
from hitsave.live.reliance import Reliance
from hitsave.source import Source
from hitsave.symbol import Symbol, symbol

if TYPE_CHECKING:
    from hitsave.session import Session

KINDS = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator
OF_OTHERS = "it was loaded or transformed by another loader"


class Refused(Exception):
    """A batch can't be exchanged, for these reasons."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(f"{each.symbol}: {each.reason}" for each in refusals))
        self.refusals = tuple(refusals)


class ModuleSwap:
    """What is to be exchanged in one module."""

    def __init__(self, entry: Entry, source: Source, comparison: Comparison, code: CodeType) -> None:
        self.entry = entry
        self.source = source
        self.edit: Edit = comparison.edit
        self.tree = comparison.new
        self.code = code
        self.namespace: dict[str, Any] = vars(sys.modules[entry.import_name])
        # function, its new code, its qualified name if it was edited, its memo if it has one
        self.functions: list[tuple[FunctionType, CodeType, str, Memo | None]] = []
        self.additions: CodeType | None = None

    @property
    def changed(self) -> frozenset[Symbol]:
        """The symbols whose meaning changes."""
        edit = self.edit
        names = (*edit.functions, *edit.documented, *edit.added, *(name for name, _, _ in edit.constants))
        return frozenset(symbol(self.source.module, name) for name in names)

    def new_entry(self) -> Entry:
        """The record of the module with its new text."""
        entry = Entry(
            self.entry.import_name,
            self.entry.path,
            self.source.data,
            module_name=self.source.module,
            digest=self.source.digest,
            kind=HOOK,
        )
        entry.constants = self.code.co_consts
        entry.since = self.entry.since
        return entry


class Swap:
    """A batch of edits that was proven safe."""

    def __init__(self, session: Session, modules: Sequence[ModuleSwap]) -> None:
        self._session = session
        self._modules = modules
        self._undo: list[Callable[[], None]] = []

    @property
    def changed(self) -> frozenset[Symbol]:
        """The symbols whose meaning changes."""
        return frozenset().union(*(module.changed for module in self._modules))

    @property
    def modules(self) -> tuple[str, ...]:
        """The canonical names of the modules."""
        return tuple(module.source.module for module in self._modules)

    def apply(self) -> bool:
        """Do it; False if the process is no longer in the state that the proof was about."""
        loaded = self._session.book.loaded
        for module in self._modules:
            entry = loaded.entry(module.source.module)
            if entry is not module.entry or not all(_is_still(*each, module) for each in module.edit.constants):
                return False
        for module in self._modules:
            self._session.book.outlive(among(module.entry.constants or ()))
        try:
            loaded.exchange([module.new_entry() for module in self._modules], self.changed, self._exchange)
        except BaseException:
            while self._undo:
                self._undo.pop()()
            raise
        self._session.planner.forget()
        for module in self._modules:
            linecache.checkcache(module.source.path)
        return True

    def _exchange(self) -> None:
        for module in self._modules:
            for name, _, value in module.edit.constants:
                self._put(module.namespace, name, value)
            for function, code, qualname, memo in module.functions:
                self._set(function, "__code__", code)
                if qualname:
                    self._set_rest(function, memo, module, qualname, code)
                if memo is not None and memo.site is not None:
                    self._set(memo, "site", (memo.site[0], str(module.source.digest)))
            if module.additions is not None:
                self._add(module)
            doc = ast.get_docstring(module.tree, clean=False)
            if module.namespace.get("__doc__") != doc and not sys.flags.optimize > 1:
                self._put(module.namespace, "__doc__", doc)

    def _set_rest(
        self, function: FunctionType, memo: Memo | None, module: ModuleSwap, qualname: str, code: CodeType
    ) -> None:
        things: list[Any] = [function, *([memo.wrapper] if memo is not None and memo.wrapper is not None else [])]
        doc = code.co_consts[0] if code.co_consts and isinstance(code.co_consts[0], str) and _has_doc(code) else None
        for thing in things:
            self._set(thing, "__doc__", doc)
        if qualname not in module.edit.defaults:
            return
        literal = literal_defaults(module.tree, qualname)
        names = code.co_varnames[: code.co_argcount]
        old = function.__defaults__ or ()
        with_default = names[len(names) - len(old) :]
        values = tuple(literal.get(name, value) for name, value in zip(with_default, old, strict=True))
        keyword = {name: literal.get(name, value) for name, value in (function.__kwdefaults__ or {}).items()}
        for thing in things:
            self._set(thing, "__defaults__", values or None)
            self._set(thing, "__kwdefaults__", dict(keyword) or None)

    def _add(self, module: ModuleSwap) -> None:
        assert module.additions is not None
        for name in module.edit.added:
            self._undo.append(lambda name=name: module.namespace.pop(name, None))  # type: ignore[misc]
        exec(module.additions, module.namespace)
        for name in module.edit.added:
            function = _innermost(module.namespace[name])
            code = _codes_by_name(module.code.co_consts)[name]
            if isinstance(function, FunctionType) and same_code(function.__code__, code):
                function.__code__ = code

    def _set(self, thing: Any, attribute: str, value: Any) -> None:
        before = getattr(thing, attribute)
        self._undo.append(lambda: setattr(thing, attribute, before))
        setattr(thing, attribute, value)

    def _put(self, namespace: dict[str, Any], name: str, value: Any) -> None:
        before = namespace[name]
        self._undo.append(lambda: namespace.__setitem__(name, before))
        namespace[name] = value


def prepare(session: Session, sources: Iterable[Source]) -> Swap:
    """The exchange that makes the process run these texts instead of those it loaded. Raises `Refused`."""
    refusals: list[Refusal] = []
    modules: list[ModuleSwap] = []
    for source in sources:
        session.book.loaded.get(source.module)  # settles what is known of it
        entry = session.book.loaded.entry(source.module)
        if entry is None or entry.data is None or entry.kind not in (HOOK, ATTESTED) or _constants_of(entry) is None:
            refusals.append(_of_module(source, OF_OTHERS))
        elif entry.import_name not in sys.modules:
            refusals.append(_of_module(source, "the module isn't in sys.modules any more"))
        else:
            comparison = Comparison(_source(entry, source), source)
            refusals += comparison.refusals
            if not comparison.refusals:
                modules.append(ModuleSwap(entry, source, comparison, _compile(entry, source)))
    if not refusals:
        refusals += _reliance(session, modules)
    if not refusals:
        for module in modules:
            refusals += _find_functions(module) + _check_names(module)
            module.additions = _additions(module)
    if refusals:
        raise Refused(refusals)
    return Swap(session, modules)


def _constants_of(entry: Entry) -> tuple[object, ...] | None:
    module = sys.modules.get(entry.import_name)
    functions = [] if module is None else functions_of(vars(module), entry.path)
    return entry.began_with(function.__code__ for function in functions)


def _source(entry: Entry, new: Source) -> Source:
    return new.replace(data=entry.data, digest=entry.digest)


def _compile(entry: Entry, source: Source) -> CodeType:
    path = entry.path
    return HitsaveLoader(entry.import_name, path, current_hook()).source_to_code(source.data, path, entry.import_name)


def _reliance(session: Session, modules: Sequence[ModuleSwap]) -> list[Refusal]:
    functions = [symbol(m.source.module, name) for m in modules for name in m.edit.functions]
    constants = [symbol(m.source.module, name) for m in modules for name, _, _ in m.edit.constants]
    added = [symbol(m.source.module, name) for m in modules for name in m.edit.added]
    if not functions and not constants and not added:
        return []
    reliance = Reliance(session.book)
    for memo in {*session.planner.memos(), *all_decorated()}:
        reliance.note_state(session.book.closure({memo.symbol}))
    return reliance.refusals(functions, constants, added)


def _check_names(module: ModuleSwap) -> list[Refusal]:
    found = []
    for name in module.edit.added:
        if name in module.namespace:
            found.append(_refusal(module, name, "the name is taken already: something was put there from outside"))
    for name, before, value in module.edit.constants:
        if not _is_still(name, before, value, module):
            found.append(_refusal(module, name, "it was given another value from outside"))
    return found


def _is_still(name: str, before: object, _value: object, module: ModuleSwap) -> bool:
    now = module.namespace.get(name)
    return type(now) is type(before) and repr(now) == repr(before)


# -- function objects ------------------------------------------------------------------------------------------------


def _find_functions(module: ModuleSwap) -> list[Refusal]:
    """Fill in which function object gets which code; why that can't be."""
    assert module.entry.constants is not None
    edited = frozenset((*module.edit.functions, *module.edit.documented))
    mapping: dict[int, tuple[CodeType, str]] = {}
    refusals = _pair(module.entry.constants, module.code.co_consts, "", edited, mapping, module)
    old_by_name, new_by_name = _codes_by_name(module.entry.constants), _codes_by_name(module.code.co_consts)
    found: set[str] = set()
    functions: list[tuple[FunctionType, CodeType, str]] = []
    memos: dict[int, Memo] = {}
    suspended = set()
    for thing in gc.get_objects():
        if type(thing) is FunctionType:
            code = thing.__code__
            target = mapping.get(id(code))
            if target is None and code.co_filename == module.code.co_filename:
                # Another reloader may have given it the same code once more.
                old = old_by_name.get(thing.__qualname__)
                if old is not None and thing.__qualname__ in new_by_name and same_code(old, code):
                    target = new_by_name[thing.__qualname__], thing.__qualname__ if thing.__qualname__ in edited else ""
            if target is not None and thing.__globals__ is module.namespace:
                functions.append((thing, *target))
                found.add(target[1])
        elif type(thing) is Memo:
            memos[id(thing.function)] = thing
        elif type(thing) is GeneratorType:
            suspended.add(id(thing.gi_code))
        elif type(thing) is CoroutineType:
            suspended.add(id(thing.cr_code))
        elif type(thing) is AsyncGeneratorType:
            suspended.add(id(thing.ag_code))
    module.functions = [(*each, memos.get(id(each[0]))) for each in functions]
    for name in edited:
        if name not in found:
            refusals.append(_refusal(module, name, "the function in the process isn't the one in the text"))
        elif id(old_by_name.get(name)) in suspended:
            refusals.append(_refusal(module, name, "a generator or coroutine of it is still running"))
    return refusals


def _pair(
    old: tuple[object, ...],
    new: tuple[object, ...],
    prefix: str,
    edited: frozenset[str],
    mapping: dict[int, tuple[CodeType, str]],
    module: ModuleSwap,
) -> list[Refusal]:
    """Match the code objects among two lots of constants: by name, and in order where names repeat (lambdas)."""
    refusals = []
    before, after = _named(old), _named(new)
    for name, codes in before.items():
        qualname = prefix + name
        others = after.get(name, [])
        if qualname in edited and len(codes) == len(others) == 1:
            one, other = codes[0], others[0]
            if one.co_freevars != other.co_freevars:
                refusals.append(_refusal(module, qualname, "it closes over other variables now"))
            elif one.co_flags & KINDS != other.co_flags & KINDS:
                refusals.append(_refusal(module, qualname, "it became, or no longer is, a generator or coroutine"))
            mapping[id(one)] = other, qualname
        elif len(codes) == len(others):
            for one, other in zip(codes, others, strict=True):
                if one.co_freevars == other.co_freevars:
                    mapping[id(one)] = other, ""
                    inside = f"{qualname}." if _is_class_body(one) else f"{qualname}.<locals>."
                    refusals += _pair(one.co_consts, other.co_consts, inside, edited, mapping, module)
    return refusals


def _named(constants: tuple[object, ...]) -> dict[str, list[CodeType]]:
    found: dict[str, list[CodeType]] = {}
    for constant in constants:
        if isinstance(constant, CodeObject):
            found.setdefault(constant.co_name, []).append(constant)
    return found


def _codes_by_name(constants: tuple[object, ...], prefix: str = "") -> dict[str, CodeType]:
    """{qualified name: code object} of what the code with these constants defines once: functions, methods, classes."""
    found: dict[str, CodeType] = {}
    for name, codes in _named(constants).items():
        if len(codes) == 1:
            found[prefix + name] = codes[0]
            if _is_class_body(codes[0]):
                found.update(_codes_by_name(codes[0].co_consts, f"{prefix}{name}."))
    return found


def _is_class_body(code: CodeType) -> bool:
    return "__qualname__" in code.co_names and "__module__" in code.co_names and not code.co_flags & 0x2


def _innermost(thing: Any) -> Any:
    memo = memo_of(thing)
    return thing if memo is None else memo.function


def _has_doc(code: CodeType) -> bool:
    flag = 0x4000000 if sys.version_info >= (3, 13) else 0  # CO_HAS_DOCSTRING
    return bool(code.co_flags & flag) if flag else True


def _additions(module: ModuleSwap) -> CodeType | None:
    """The code that defines the new functions, as the module's own would."""
    if not module.edit.added:
        return None
    path = module.entry.path
    hook = current_hook()
    tree = hook.rewriting.parse(module.source.data, path, module.entry.import_name) or module.tree
    kept: list[ast.stmt] = []
    for node in tree.body:
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        is_added = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in module.edit.added
        if is_future or is_added:
            kept.append(node)
    return compile(ast.Module(kept, []), path, "exec", dont_inherit=True)


def _of_module(source: Source, reason: str) -> Refusal:
    return Refusal(symbol(source.module), 1, reason, "restart")


def _refusal(module: ModuleSwap, name: str, reason: str) -> Refusal:
    remedy = f"restart, or hitsave.reload({module.source.module!r})"
    return Refusal(symbol(module.source.module, name), 0, reason, remedy)
