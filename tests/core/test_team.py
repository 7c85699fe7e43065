"""The threads that share the work of a step."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from drone_formation.team import Team


def count() -> int:
    return sum(thread.name == "drone_formation" for thread in threading.enumerate())


def test_every_call_is_done_on_a_thread_of_its_own_and_answered():
    barrier = threading.Barrier(3, timeout=30)  # passed only when all three are there at once

    def call(number):
        barrier.wait()
        return number, threading.get_ident()

    team = Team(2)
    for _ in range(50):
        answers = team.run(call, [(0,), (1,), (2,)])
        (own, here), *others = answers
        assert (own, here) == (0, threading.get_ident())
        assert {number for number, _ in others} == {1, 2}
        assert len({thread for _, thread in answers}) == 3


@pytest.mark.parametrize("which", [0, 1])
def test_what_a_call_raises_comes_out_when_all_are_done(which):
    done = []

    def work(number):
        if number == which:
            raise KeyError("lost")
        time.sleep(0.05)
        done.append(number)

    team = Team(1)
    with pytest.raises(KeyError, match="lost"):
        team.run(work, [(0,), (1,)])
    assert done == [1 - which]
    assert team.run(abs, [(-1,), (-2,)]) == [1, 2]  # and the team goes on


def test_the_threads_end_with_the_team_and_keep_nothing_alive():
    class Work:
        def __call__(self):
            return 7

    before = count()
    team, work = Team(2), Work()
    assert team.run(work, [(), (), ()]) == [7, 7, 7]
    assert count() == before + 2
    seen = weakref.ref(work)
    del work
    deadline = time.monotonic() + 30
    while seen() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen() is None
    del team
    gc.collect()
    while count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count() == before
