"""Threads that help with the steps of one simulator.

While one step follows another they stay in compiled code, where they hear of the next within a
fraction of a microsecond: see ``kernel.advance``.  When there is none for a while they come out and
sleep, so that they take no time from whatever else runs between steps.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue

#: s, for a thread to wake up and take over the interpreter.
MOMENT = 5e-5


class Team:
    """Helpers, a thread each, that live as long as the team.

    Args:
        duties: what each helper does when woken; it returns when there is nothing more to do.
        dismiss: makes all of them return soon.  Neither may keep the team alive.

    Attributes:
        process: the process they live in: a fork has no threads but its own.
        errors: what duties have raised.
    """

    def __init__(
        self, duties: Sequence[Callable[[], object]], dismiss: Callable[[], object]
    ) -> None:
        self.process = os.getpid()
        self.errors: list[BaseException] = []
        self._inboxes: list[SimpleQueue] = [SimpleQueue() for _ in duties]
        self._asleep = [False] * len(duties)
        self._coming = [False] * len(duties)  # woken, and not at work yet
        for number, duty in enumerate(duties):
            arguments = (
                duty, self._inboxes[number], self._asleep, self._coming, number, self.errors
            )  # fmt: skip
            threading.Thread(
                target=_serve, args=arguments, name="drone_formation", daemon=True
            ).start()
        weakref.finalize(self, _end, dismiss, self._inboxes)

    def wake(self) -> None:
        """Call those who sleep, and do not wait for them.

        But who has not come since the last call is kept from it by the caller, whose short steps
        leave the interpreter too briefly: that one gets a moment.
        """
        for number, asleep in enumerate(self._asleep):
            if asleep:
                self._asleep[number], self._coming[number] = False, True
                self._inboxes[number].put(True)
            elif self._coming[number]:
                time.sleep(MOMENT)


def _serve(
    duty: Callable[[], object], inbox: SimpleQueue, asleep: list[bool], coming: list[bool],
    number: int, errors: list[BaseException],
) -> None:  # fmt: skip
    while True:
        asleep[number] = True
        if inbox.get() is None:
            return
        coming[number] = False
        try:
            duty()
        except BaseException as error:  # the caller's to deal with
            errors.append(error)


def _end(dismiss: Callable[[], object], inboxes: list[SimpleQueue]) -> None:
    dismiss()
    for inbox in inboxes:
        inbox.put(None)
