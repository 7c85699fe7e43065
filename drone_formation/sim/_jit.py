"""The decorators that compile the simulator, and the disk cache of what they compile.

numba's own cache notices changes only in the file that holds a function, not in those whose
functions and constants it uses.  The one here is stamped by every file of the function's folder,
and by the tables that the simulator is generated from.  A cache that cannot be read or written
costs time, never a run: the code is then compiled in memory, and the user is told once.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit
from numba.core.caching import FunctionCache

#: False where ``NUMBA_DISABLE_JIT`` is set: everything is then interpreted by Python.
COMPILED = not config.DISABLE_JIT  # type: ignore[attr-defined, unused-ignore]

_PACKAGE = Path(__file__).parents[1]
#: Files whose constants are in what other folders compile: the simulator's, and the pilots'.
_TABLES = [
    _PACKAGE / f"{name}.py"
    for name in ("airframe", "control", "disturbances", "observation", "racing/curves", "reward")
]
_IN_MEMORY = "it is compiled in memory, and so it is in every new process"
_said: set[str] = set()


@cache
def source_stamp(folder: Path) -> str:
    """A hash of all sources of a folder, and of the tables."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")) + _TABLES:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _say_once(problem: str, where: str, error: BaseException, remedy: str) -> None:
    """Tell the user why this process compiles, once for each kind of problem."""
    if problem not in _said:
        _said.add(problem)
        text = f"drone_formation: {problem}{where} ({type(error).__name__}: {error}): {remedy}"
        print(text, file=sys.stderr, flush=True)


class _FolderCache(FunctionCache):
    """numba's disk cache, stamped by a folder; what is damaged or full is no reason to fail."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call, unused-ignore]
        self._cache_file._source_stamp = source_stamp(Path(function.__code__.co_filename).parent)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)  # type: ignore[no-untyped-call, unused-ignore]
        except Exception as error:  # whatever unpickling damaged bytes comes to
            where = f" in {self.cache_path}"
            _say_once("compiled code cannot be read", where, error, "it is compiled anew")
            self._forget()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)  # type: ignore[no-untyped-call, unused-ignore]
        except Exception as error:  # a full disk, a folder that became read-only, ...
            where = f" in {self.cache_path}"
            _say_once("compiled code cannot be kept", where, error, _IN_MEMORY)

    def _forget(self) -> None:
        """Empty the function's index, so that new code takes the place of the damaged."""
        try:
            self._cache_file.flush()
        except OSError:
            self.disable()  # type: ignore[no-untyped-call, unused-ignore]


# Compiled functions take what compiles, a float32 for a float among it: mypy need not know.
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def compiled(**options: Any) -> Decorator:
    """``njit`` with the disk cache described above."""

    def decorate(function: Callable) -> Any:
        dispatcher = njit(**options)(function)
        if not COMPILED:
            return dispatcher
        try:
            dispatcher._cache = _FolderCache(dispatcher.py_func)
        except RuntimeError as error:  # "no locator available": no folder is writable
            _say_once("no folder for compiled code is writable", "", error, _IN_MEMORY)
        return dispatcher

    return decorate


@contextmanager
def telling_of_compilation(what: str) -> Iterator[None]:
    """Around a first call, which compiles or reads the cache: tell a user who waits."""
    text = f"drone_formation: compiling the {what} (once; later starts read it from a cache)"
    timer = threading.Timer(2.0, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def as_records(array: np.ndarray) -> np.ndarray:
    """A structured array whose fields are attributes: to numba they are, to Python not quite."""
    return array if COMPILED else array.view(np.recarray)


OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}
# Python calls one function; to make the others callable costs seconds of compilation.
_INTERNAL = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# Three ways to become code.  ``jitted``: compiled apart, for what is seldom called.  ``inlined``:
# compiled apart, and then put into its callers by LLVM, so that no call has to count references to
# a dozen arrays.  ``merged``: put into its callers by numba, before anything is compiled.  That is
# for what must not be optimised by itself: lane loops over rows that came as arguments, whose
# strides only the caller knows; and for what is called once.
jitted: Decorator = njit(**_INTERNAL)
inlined: Decorator = njit(forceinline=True, **_INTERNAL)
merged: Decorator = njit(inline="always", **_INTERNAL)
