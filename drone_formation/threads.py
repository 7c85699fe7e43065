"""Threads that share the steps of one simulator, whose compiled code releases the interpreter.

A pool of ``concurrent.futures`` does not survive every Ctrl-C: its locks are written in Python, and
an interrupt inside them can leave one locked for ever.  Those here are taken in C, or they are not.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Any


class Threads:
    """The caller's thread and ``helpers`` more; they start when they are first needed.

    A fork has no threads but its own, and so has a copy or an unpickled one: each starts anew.
    """

    def __init__(self, helpers: int) -> None:
        self.helpers = helpers
        self._started: list[_Helper] = []
        self._process = 0

    def run(self, duties: Sequence[Callable[[], object]]) -> None:
        """Do all duties, the first on the caller's thread; return when the last is done.

        What a duty raises comes out of here, once all others have ended.
        """
        if self._process != os.getpid():
            self._start()
        try:
            for helper, duty in zip(self._started, duties[1:], strict=False):
                helper.ask(duty)
            duties[0]()
        finally:  # nothing may be written behind the caller's back, so an interrupt has to wait
            interrupt = None
            while True:
                try:
                    for helper in self._started:
                        helper.wait()
                    break
                except BaseException as caught:
                    interrupt = caught
            if interrupt is not None:
                raise interrupt
        for helper in self._started:
            error, helper.error = helper.error, None
            if error is not None:
                raise error

    def _start(self) -> None:
        _dismiss(self._started)  # those that an interrupt kept from being counted
        self._started = []
        weakref.finalize(self, _dismiss, self._started)
        for _ in range(self.helpers):
            helper = _Helper()
            self._started.append(helper)
            helper.thread.start()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"helpers": self.helpers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["helpers"])  # type: ignore[misc]


class _Helper:
    """A thread that does one duty after the other.

    Two counts tell whether there is something to do, and bells only that they may have changed.  So
    an interrupt may strike anywhere, and to wait once more is right.
    """

    def __init__(self) -> None:
        self.duty: Callable[[], object] | None = None
        self.error: BaseException | None = None
        self.asked = self.done = 0
        self.dismissed = False
        self.go, self.end = Lock(), Lock()  # bells: a free lock is one that rings
        self.go.acquire()
        self.end.acquire()
        self.thread = Thread(target=self._work, name="drone_formation", daemon=True)

    def ask(self, duty: Callable[[], object]) -> None:
        """Have a duty done."""
        self.wait()  # for nothing, unless even waiting was interrupted twice
        self.duty, self.error = duty, None
        self.asked = self.done + 1
        _ring(self.go)

    def wait(self) -> None:
        """Until the last duty has ended, one way or another."""
        while self.done != self.asked:
            _ring(self.go)  # an interrupt may have kept ``ask`` from it
            self.end.acquire()

    def _work(self) -> None:
        while True:
            self.go.acquire()
            if self.dismissed:
                return
            if self.duty is not None and self.done != self.asked:
                try:
                    self.duty()
                except BaseException as error:
                    self.error = error
                self.duty = None  # which refers to the simulator
                self.done = self.asked
                _ring(self.end)


def _ring(bell: Lock) -> None:
    """Only one thread rings a bell, and only the other stops it, so that this is no race."""
    if bell.locked():
        bell.release()


def _dismiss(helpers: list[_Helper]) -> None:
    """Let threads end, those at work after their duties."""
    for helper in helpers:
        helper.dismissed = True
        _ring(helper.go)
