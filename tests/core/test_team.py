"""The threads that share the work of a step."""

from __future__ import annotations

import copy
import gc
import re
import threading
import time
import weakref

import numpy as np
import pytest
from drone_formation.team import Team
from llvmlite import binding

from drone_formation import Swarms, kernel

compiled = pytest.mark.skipif(not kernel.COMPILED, reason="interpreted, a step is not shared")


def helpers() -> set[threading.Thread]:
    """Those of all teams; some of earlier tests may be about to end."""
    return {thread for thread in threading.enumerate() if thread.name == "drone_formation"}


def until(condition) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def flying(num_threads: int = 2, num_swarms: int = 6) -> Swarms:
    swarms = Swarms("flag", num_swarms, 20, seed=0, num_threads=num_threads)
    swarms.reset()
    return swarms


def actions(step: int, num_swarms: int = 6) -> np.ndarray:
    rng = np.random.default_rng(step)
    return rng.uniform(-1, 1, (num_swarms, 20, 4)).astype(np.float32)


def test_helpers_are_woken_again_and_again_each_on_a_thread_of_its_own():
    calls: list[int] = []
    team = Team([lambda: calls.append(threading.get_ident())] * 2, lambda: None)
    for round_ in range(1, 20):
        assert until(lambda: all(team._asleep))
        team.wake()
        assert until(lambda: len(calls) == 2 * round_)  # noqa: B023 (called at once)
    assert len(set(calls)) == 2
    assert threading.get_ident() not in calls


def test_who_is_at_work_is_not_called():
    begun, go_on = threading.Event(), threading.Event()

    def work():
        begun.set()
        go_on.wait(30)

    team = Team([work], lambda: None)
    assert until(lambda: all(team._asleep))
    team.wake()
    assert begun.wait(30)
    team.wake()
    assert team._inboxes[0].empty()
    go_on.set()


def test_what_a_helper_raises_comes_out_of_the_step():
    swarms = flying()
    swarms._engage_team()
    swarms._team.errors.append(KeyError("lost"))
    swarms._board[kernel.DONE] = 5  # as if the helper had taken the sixth and not come back
    with pytest.raises(KeyError, match="lost"):
        swarms.step(actions(0))


def test_the_threads_end_with_the_team_and_keep_nothing_alive():
    class Work:
        def __call__(self):
            dismissed.wait(30)

    before, dismissed = helpers(), threading.Event()
    work = Work()
    seen = weakref.ref(work)
    team = Team([work, work], dismissed.set)
    asleep = team._asleep
    assert until(lambda: all(asleep))
    team.wake()
    ours = helpers() - before
    assert len(ours) == 2
    del work, team
    gc.collect()
    assert until(lambda: not ours & helpers())
    assert until(lambda: seen() is None)


@compiled
def test_the_threads_end_with_the_simulator():
    before, swarms = helpers(), flying(3)
    swarms.step(actions(0))
    ours = helpers() - before
    assert len(ours) == 2
    gone = weakref.ref(swarms)
    del swarms
    gc.collect()
    assert gone() is None
    assert until(lambda: not ours & helpers())


@compiled
@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_helpers_take_part_whether_they_stayed_up_or_slept(pause):
    """The board tells: a helper notes every step that it has seen."""
    swarms, alone = flying(), flying(1)
    place = kernel.CLAIMS + 6 + kernel.APART
    seen = set()
    for step in range(200):
        together, expected = swarms.step(actions(step)), alone.step(actions(step))
        for mine, theirs in zip(together, expected, strict=True):
            assert mine.tobytes() == theirs.tobytes()
        assert swarms._board[kernel.TICKET] == step + 1
        seen.add(int(swarms._board[place]))
        time.sleep(pause)
    assert len(seen) > 2
    assert (swarms._board[kernel.CLAIMS : kernel.CLAIMS + 6] == 200).all()


@compiled
def test_a_step_does_not_wait_for_a_helper_who_sleeps():
    """Everything is done even when no helper ever comes."""
    swarms, alone = flying(), flying(1)
    swarms.step(actions(0))
    alone.step(actions(0))
    swarms._team.wake = lambda: None
    assert until(lambda: all(swarms._team._asleep))
    for step in range(1, 20):
        together, expected = swarms.step(actions(step)), alone.step(actions(step))
        for mine, theirs in zip(together, expected, strict=True):
            assert mine.tobytes() == theirs.tobytes()
    assert all(swarms._team._asleep)


@compiled
def test_a_helper_who_lags_behind_takes_no_swarm_twice():
    """Its claims fail once the swarms were taken for its step, or for a later one."""
    swarms = flying()
    swarms.step(actions(0))
    assert until(lambda: all(swarms._team._asleep))
    before = swarms._blocks.copy()
    place = kernel.CLAIMS + 6 + kernel.APART
    swarms._board[place] = 0  # it has not seen the step
    swarms._team.wake()
    assert until(lambda: swarms._board[place] == 1 and all(swarms._team._asleep))
    assert np.array_equal(swarms._blocks, before)
    assert swarms._board[kernel.DONE] == 6


@pytest.mark.parametrize(
    ("triple", "instruction"),
    [
        ("x86_64-unknown-linux-gnu", "pause"),
        ("x86_64-pc-windows-msvc", "pause"),
        ("aarch64-unknown-linux-gnu", "isb"),
        ("arm64-apple-darwin22.6.0", "isb"),
    ],
)
def test_who_waits_lets_the_processor_rest(triple, instruction):
    name, numbers = kernel._PAUSES[triple.partition("-")[0]]
    kinds, values = "i32" * len(numbers), "".join(f"i32 {number}" for number in numbers)
    module = binding.parse_assembly(
        f"declare void @{name}({kinds})\n"
        f"define void @wait() {{ call void @{name}({values}) ret void }}"
    )
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine()
    module.triple = triple
    assert re.search(rf"^\s*{instruction}$", machine.emit_assembly(module), re.MULTILINE)


def test_after_an_error_in_the_callers_own_part_nobody_waits_for_it(monkeypatch):
    swarms = flying()
    swarms.step(actions(0))

    def fail(*arguments):
        swarms._board[kernel.DONE] = 5  # one was taken and not done
        raise IndexError("index is out of bounds")

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "advance", fail)
        with pytest.raises(IndexError):
            swarms.step(actions(1))
    assert np.isfinite(swarms.step(actions(2)).observations).all()


@compiled
def test_a_nap_that_was_interrupted_is_made_up_for(monkeypatch):
    """After Ctrl-C while a helper is still at work, the next step waits for it first."""
    swarms = flying()
    swarms.step(actions(0))
    assert until(lambda: all(swarms._team._asleep))
    swarms._board[kernel.DONE] = 5

    def finish(seconds):
        swarms._board[kernel.DONE] = 6

    monkeypatch.setattr("drone_formation.swarms.time.sleep", finish)
    swarms.step(actions(1))
    assert swarms.steps.tolist() == [2] * 6
    assert swarms._board[kernel.TICKET] == 2


def test_bad_actions_move_nothing_on_threads_either():
    swarms = flying()
    swarms.step(actions(0))
    before, bad = swarms._blocks.copy(), actions(1)
    bad[3, 7, 2] = np.nan
    with pytest.raises(ValueError, match="rotor 2 of drone 7 in swarm 3"):
        swarms.step(bad)
    assert np.array_equal(swarms._blocks, before)
    assert swarms.step(actions(1)).rewards.shape == (6, 20)


def test_a_copy_has_a_team_of_its_own():
    swarms = flying()
    swarms.step(actions(0))
    twin = copy.deepcopy(swarms)
    for step in range(1, 20):
        ours, theirs = swarms.step(actions(step)), twin.step(actions(step))
        assert ours.observations.tobytes() == theirs.observations.tobytes()
    if kernel.COMPILED:
        assert twin._team is not swarms._team
