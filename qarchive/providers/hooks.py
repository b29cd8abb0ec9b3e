"""Executions that nobody wrapped: methods of SDK classes, replaced while somebody wants to record their calls.

`autolog` records every call; `recording` those made inside a `with` block, for objects that cannot be wrapped from outside
because the SDK asks for their exact class. A replaced method does what it did before while nobody records.
"""

import functools
import inspect
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, GeneratorType
from typing import Any

from ..errors import ArchiveWarning, BadInput
from .base import Provider, Recorder

_here: ContextVar[Recorder | None] = ContextVar("qarchive_recording", default=None)
_carried: list[ContextVar] = [_here]
_everywhere: Recorder | None = None
_replaced: dict[tuple[type, str], tuple[Callable | None, Callable]] = {}  # (what the class had of its own, what it has now)
_lasting: set[tuple[type, str]] = set()
_mutex = threading.Lock()
_SCALARS = frozenset({str, int, float, bool, complex, type(None)})


def passed_over(function: Callable) -> Callable:
    """Let Python's warnings pass over a function's frame, as they do over those of the import system.

    `warnings.warn(..., stacklevel=2)` in an SDK's `run` means the line that calls it: the user's, and not one of ours that stands
    between. Python knows frames to pass over by the names of their files.
    """
    function.__code__ = _renamed(function.__code__)
    # SDKs that look at the stack ask for the module of each frame, and of a file that is none they would ask all modules.
    inspect.modulesbyfile.setdefault(os.path.abspath(function.__code__.co_filename), function.__module__)
    return function


def _renamed(code: CodeType) -> CodeType:
    inner = tuple(_renamed(item) if isinstance(item, CodeType) else item for item in code.co_consts)
    return code.replace(co_filename=f"{code.co_filename} (importlib._bootstrap)", co_consts=inner)


def everywhere(recorder: Recorder | None) -> Recorder | None:
    """Record every call of a replaced method; None ends it. Who did before."""
    global _everywhere
    before, _everywhere = _everywhere, recorder
    return before


def is_everywhere() -> bool:
    """Whether every call of a replaced method is recorded."""
    return _everywhere is not None


def carry(variable: ContextVar) -> None:
    """Hand this variable over to the threads of `carry_context`, too."""
    _carried.append(variable)


def read_twice(args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any], tuple, dict[str, Any]]:
    """(args, kwargs) to look at, and the same to hand on: what can be iterated over only once is a list in the first, and in the
    second something of its kind that was not iterated over. Also inside of lists, tuples and dicts."""
    looked_at, handed_on = zip(*map(_twice, args)) if args else ((), ())
    pairs = {name: _twice(value) for name, value in kwargs.items()}
    return (
        looked_at,
        {name: pair[0] for name, pair in pairs.items()},
        handed_on,
        {name: pair[1] for name, pair in pairs.items()},
    )


def _twice(value: Any) -> tuple[Any, Any]:
    """(to look at, to hand on): twice `value` itself where nothing in it can be read only once."""
    kind = type(value)
    if kind is list or kind is tuple:
        if _SCALARS.issuperset(map(type, value)):
            return value, value
        pairs = list(map(_twice, value))
        if all(pair[1] is item for pair, item in zip(pairs, value, strict=True)):
            return value, value
        return kind(pair[0] for pair in pairs), kind(pair[1] for pair in pairs)
    if kind is dict:
        pairs = [(_twice(key), _twice(item)) for key, item in value.items()]
        if all(k[1] is key and v[1] is item for (k, v), (key, item) in zip(pairs, value.items(), strict=True)):
            return value, value
        return {tuple(k[0]) if type(k[0]) is list else k[0]: v[0] for k, v in pairs}, {k[1]: v[1] for k, v in pairs}
    if not hasattr(value, "__next__"):
        return value, value
    pairs = list(map(_twice, value))
    again = [pair[1] for pair in pairs]
    return [pair[0] for pair in pairs], _AGAIN.get(kind, iter)(again)


def _itself(item: Any) -> Any:
    return item


_AGAIN: dict[type, Callable[[list], Any]] = {
    GeneratorType: lambda items: (item for item in items),
    map: lambda items: map(_itself, items),
    filter: lambda items: filter(lambda item: True, items),
}


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Record the calls of replaced methods inside a `with` block."""
    token = _here.set(recorder)
    try:
        yield
    finally:
        _here.reset(token)


class Mark:
    """Who records what goes through an object: one of its attributes, so that its copies have it too; it is never pickled."""

    def __init__(self, recorder: Recorder | None):
        self.recorder = recorder

    def __copy__(self) -> "Mark":
        return self

    def __deepcopy__(self, memo: dict) -> "Mark":
        return self

    def __reduce__(self) -> tuple:
        return Mark, (None,)


_MARK = "_qarchive_mark"


def mark(native: Any, recorder: Recorder | None) -> None:
    """Record what goes through this object of the SDK's and its copies; the last archive to ask for it gets it. None ends it.

    Raises BadInput for an object without a dict.
    """
    try:
        object.__setattr__(native, _MARK, Mark(recorder))
    except AttributeError:
        raise BadInput(f"a {type(native).__name__}", "takes no attribute, so it cannot be told again", "use autolog") from None


def marked(native: Any) -> Recorder | None:
    """Who marked an object, or None."""
    found = getattr(native, "__dict__", {}).get(_MARK)
    return None if found is None else found.recorder


def recorder_of(*natives: Any) -> Recorder | None:
    """Who records what goes through one of these objects: who marked the first marked one, else who records here, or all."""
    return next((found for found in map(marked, natives) if found is not None), None) or _here.get() or _everywhere


def without_ours(recorder: Recorder | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments without `archive=`, which is ours where somebody records, if only not now."""
    return kwargs if recorder is None else {name: item for name, item in kwargs.items() if name != "archive"}


def warn(message: str) -> None:
    """Warn, and never raise: where warnings are errors, the user's run still goes on."""
    try:
        warnings.warn(message, ArchiveWarning, stacklevel=2)
    except ArchiveWarning:
        import logging

        logging.getLogger("qarchive").warning(message)


def instrument(provider: Provider, lasting: bool = False) -> None:
    """Replace the methods of the SDK's classes through which everything of a provider runs. Raises MissingExtra, and BadInput for
    a method that there is none of."""
    for kind, name in provider.entry_points():
        if not hasattr(kind, name):
            where = f"{kind.__module__}.{kind.__qualname__}.{name}"
            raise BadInput(f"the provider {provider.name}", f"runs things by {where}, which there is not", "update its package")
        install(provider, kind, name, lasting)
    for kind, name, replacement in provider.replacements():
        replace(kind, name, replacement, lasting)


def carried(function: Callable) -> Callable:
    """A function that, in whatever thread it is called, finds what `with` blocks of ours say here."""
    return functools.partial(_with, [(variable, variable.get()) for variable in _carried], function)


def install(provider: Provider, kind: type, name: str, lasting: bool = False) -> None:
    """Replace the method `name` of a class; twice is once. A `lasting` one stays when `restore` takes the others away."""

    def replacement(original: Callable) -> Callable:
        @passed_over
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            recorder = _here.get() or _everywhere
            if recorder is None:
                return original(self, *args, **kwargs)
            *seen, args, kwargs = read_twice(args, kwargs)
            return recorder.run(
                provider, self, *seen, lambda sent: original(self, *args, **{name: kwargs[name] for name in sent})
            )

        return method

    replace(kind, name, replacement, lasting)


def carry_context(kind: type, name: str) -> None:
    """Let the method `name` of a class, which hands `self._function` to a thread, hand over what `with` blocks of ours said.

    Without it labels and pauses are lost in the thread, and what runs there is recorded a second time. Variables of others
    stay behind, as they do without us.
    """

    def replacement(original: Callable) -> Callable:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            function = self._function
            self._function = carried(function)
            try:
                return original(self, *args, **kwargs)
            finally:
                self._function = function

        return method

    replace(kind, name, replacement, lasting=True)


def _with(values: list[tuple[ContextVar, Any]], function: Callable, /, *args: Any, **kwargs: Any) -> Any:
    """Call a function while variables have these values."""
    tokens = [(variable, variable.set(value)) for variable, value in values]
    try:
        return function(*args, **kwargs)
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


def restore() -> None:
    """Put the methods back as they were, but for lasting ones and those that somebody else has replaced since."""
    with _mutex:
        for (kind, name), (original, method) in list(_replaced.items()):
            if (kind, name) not in _lasting and kind.__dict__.get(name) is method:
                if original is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, original)
                del _replaced[kind, name]


def stand_in(kind: type, name: str, replacement: Callable[[Callable], Callable]) -> Callable[[], None]:
    """Put another method in front of what a class has now, replaced before or not; what takes it away again."""
    with _mutex:
        own = kind.__dict__.get(name)
        method = replacement(getattr(kind, name) if own is None else own)
        setattr(kind, name, method)

    def undo() -> None:
        with _mutex:
            if kind.__dict__.get(name) is not method:
                return  # somebody else's is in front of it
            if own is None:
                delattr(kind, name)
            else:
                setattr(kind, name, own)

    return undo


def replace(kind: type, name: str, replacement: Callable[[Callable], Callable], lasting: bool) -> None:
    """Replace the method `name` of a class by what `replacement` makes of it; twice is once."""
    with _mutex:
        if lasting:
            _lasting.add((kind, name))
        if (kind, name) not in _replaced:
            own = kind.__dict__.get(name)
            original = inspect.getattr_static(kind, name)  # maybe inherited
            method = replacement(original)
            if not isinstance(method, staticmethod):
                method = functools.wraps(original)(method)
            _replaced[kind, name] = (own, method)
            setattr(kind, name, method)
