"""Threads that share the steps of one simulator, whose compiled code releases the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Threads:
    """The caller's thread and ``helpers`` more; they start when they are first needed.

    A fork has no threads but its own, and so has a copy or an unpickled one: each starts anew.
    """

    def __init__(self, helpers: int) -> None:
        self.helpers = helpers
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0
        self._at_work: list[Future] = []

    def run(self, duties: Sequence[Callable[[], object]]) -> None:
        """Do all duties, the first on the caller's thread; return when the last is done.

        What a duty raises comes out of here, once all others have ended.
        """
        if self._pool is None or self._process != os.getpid():
            # Its threads end by themselves when nothing refers to the pool any longer.
            self._pool = ThreadPoolExecutor(self.helpers, thread_name_prefix="drone_formation")
            self._process, self._at_work = os.getpid(), []
        _await(self._at_work)  # none, unless the last call was interrupted while it waited
        self._at_work = []
        try:
            for duty in duties[1:]:
                self._at_work.append(self._pool.submit(duty))
            duties[0]()
        finally:  # also when interrupted: nothing may be written behind the caller's back
            _await(self._at_work)
        done, self._at_work = self._at_work, []
        for future in done:
            future.result()

    def __getstate__(self) -> dict[str, Any]:
        return {"helpers": self.helpers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["helpers"])  # type: ignore[misc]


def _await(futures: Sequence[Future]) -> None:
    """Until all have ended, one way or another; half the time of ``concurrent.futures.wait``."""
    for future in futures:
        future.exception()
