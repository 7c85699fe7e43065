"""The threads that share the work of a step: the same bits on any number of them, and no leak."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.sim import step as simulator
from drone_formation.threads import Threads, _Helper

SWARMS, DRONES = 6, 20


def helpers() -> set[threading.Thread]:
    """Those of all simulators; some of earlier tests may be about to end."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("drone_formation")}


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def flying(num_threads: int = 2, task: str = "flag", **options) -> Swarms:
    swarms = Swarms(task, SWARMS, DRONES, seed=0, num_threads=num_threads, **options)
    swarms.reset()
    return swarms


def actions(step: int) -> np.ndarray:
    rng = np.random.default_rng(step)
    return rng.uniform(-1, 1, (SWARMS, DRONES, 4)).astype(np.float32)


def fly(swarms: Swarms, first: int = 0, steps: int = 60) -> list[bytes]:
    """All that so many steps give."""
    given = []
    for step in range(first, first + steps):
        given += [array.tobytes() for array in swarms.step(actions(step))]
        given += [swarms.mean_rewards.tobytes(), swarms.final_observations.tobytes()]
    return given


# ---- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["flag", "mixed"])
@pytest.mark.parametrize("num_threads", [2, 3, 4, 9])
def test_any_number_of_threads_gives_the_same_bits(task, num_threads):
    """More of them than swarms, too; crashes and respawns are among it."""
    alone, together = flying(1, task), flying(num_threads, task)
    assert fly(alone) == fly(together)
    assert alone.metrics()["crashes"].any()
    assert alone._batch.blocks.tobytes() == together._batch.blocks.tobytes()


def test_large_swarms_in_tiles_give_the_same_bits():
    flown = []
    for num_threads in (1, 2):
        swarms = Swarms("flag", 3, 150, seed=0, num_threads=num_threads)
        swarms.reset()
        rng = np.random.default_rng(0)
        for _ in range(20):
            swarms.step(rng.uniform(-1, 1, (3, 150, 4)).astype(np.float32))
        flown.append(swarms.observations.tobytes())
    assert flown[0] == flown[1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("begun", [False, True], ids=["new", "flown"])
def test_a_copy_has_threads_of_its_own(copied, begun):
    swarms = flying()
    if begun:
        fly(swarms, 0, 3)
    twin = copied(swarms)
    expected = fly(swarms, 3)
    assert fly(twin, 3) == expected
    assert twin._batch._threads is not swarms._batch._threads
    assert not set(twin._batch._threads._started) & set(swarms._batch._threads._started)


def _send(pipe, swarms: Swarms) -> None:
    pipe.send(fly(swarms, 3, 20))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
@pytest.mark.parametrize("num_threads", [2, 4])
def test_a_fork_goes_on_with_threads_of_its_own(num_threads):
    swarms = flying(num_threads)
    fly(swarms, 0, 3)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_send, args=(theirs, swarms))
    child.start()
    assert ours.poll(60), "the fork waits for threads that it does not have"
    given = ours.recv()
    child.join(30)
    assert child.exitcode == 0
    assert given == fly(swarms, 3, 20)


# ---- errors ------------------------------------------------------------------------------------


def test_bad_actions_move_nothing():
    swarms = flying()
    fly(swarms, 0, 1)
    before, bad = swarms.get_state(), actions(1)
    bad[3, 7, 2] = np.nan
    with pytest.raises(ValueError, match="number 2 of drone 7 in swarm 3"):
        swarms.step(bad)
    after = swarms.get_state()
    assert before["blocks"].tobytes() == after["blocks"].tobytes()
    assert before["episodes"].tobytes() == after["episodes"].tobytes()


@pytest.mark.parametrize("where", ["caller", "helper", "both"])
def test_an_error_leaves_the_simulator_usable(where, monkeypatch):
    """It comes out of the step, and a snapshot leads back to before it."""
    swarms = flying(3)
    fly(swarms, 0, 3)
    state, advance = swarms.get_state(), simulator.advance

    def fails(*arguments):
        on_helper = threading.current_thread().name.startswith("drone_formation")
        flies = arguments[-1] & simulator.FLY
        if flies and (where == "both" or on_helper == (where == "helper")):
            raise IndexError("index is out of bounds")
        return advance(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(simulator, "advance", fails)
        with pytest.raises(IndexError, match="out of bounds"):
            swarms.step(actions(3))
    swarms.set_state(state)
    expected = flying(1)
    fly(expected, 0, 3)
    assert fly(swarms, 3) == fly(expected, 3)


def test_all_duties_have_ended_when_one_fails():
    threads, ended = Threads(2), []

    def fail() -> None:
        raise KeyError("lost")

    def slow() -> None:
        time.sleep(0.05)
        ended.append(threading.get_ident())

    for duties in ([fail, slow, slow], [slow, fail, slow], [slow, slow, fail]):
        ended.clear()
        with pytest.raises(KeyError, match="lost"):
            threads.run(duties)
        assert len(ended) == 2
    threads.run([slow] * 3)
    assert len(ended) == 2 + 3
    assert threading.get_ident() in ended


def test_an_interrupt_waits_for_what_is_at_work(monkeypatch):
    """Ctrl-C while the caller waits: nothing goes on behind its back, and the next call works."""
    threads, go_on, order = Threads(2), threading.Event(), []
    strikes, wait = iter([0, 0, 1]), _Helper.wait

    def interrupted(helper) -> None:
        if next(strikes, 0):  # not while helpers are asked, which waits for nothing
            go_on.set()
            raise KeyboardInterrupt
        wait(helper)

    def late() -> None:
        go_on.wait(30)
        time.sleep(0.05)
        order.append("late")

    threads.run([lambda: None] * 3)
    with monkeypatch.context() as patch:
        patch.setattr(_Helper, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            threads.run([lambda: None, late, late])
    assert order == ["late"] * 2
    threads.run([lambda: order.append("next")] * 3)
    assert order == ["late"] * 2 + ["next"] * 3


#: Is interrupted at random moments, by hundreds of signals, and goes on from a snapshot.
INTERRUPTED = """
import random, signal
import numpy as np
from drone_formation import Swarms

def interrupt(*_):
    raise KeyboardInterrupt

def fly():
    return b"".join(array.tobytes() for array in swarms.step(actions))

swarms = Swarms("flag", 4, 20, seed=0, num_threads=3)
swarms.reset()
state, actions = swarms.get_state(), np.zeros((4, 20, 4), np.float32)
expected, caught = fly(), 0
signal.signal(signal.SIGALRM, interrupt)
for _ in range(1500):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 6e-4))
        while True:
            swarms.step(actions)
    except KeyboardInterrupt:
        caught += 1
    if caught % 5 == 0:
        swarms.set_state(state)
        assert fly() == expected
print(caught)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_interrupts_leave_the_simulator_usable():
    """A pool of ``concurrent.futures`` hangs for ever after some hundreds of these."""
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("1500\n", 0), done.stderr


# ---- no leak -----------------------------------------------------------------------------------


def test_one_thread_starts_none():
    before = helpers()
    fly(flying(1), 0, 3)
    assert not helpers() - before


def test_the_threads_end_with_the_simulator():
    before, swarms = helpers(), flying(3)
    fly(swarms, 0, 3)
    ours = helpers() - before
    assert len(ours) == 2
    gone = weakref.ref(swarms)
    del swarms
    gc.collect()
    assert gone() is None
    assert until(lambda: not ours & helpers())


def test_hundreds_of_simulators_leave_no_thread():
    """Nor those that an error has ended."""
    before = helpers()
    most = 0
    for k in range(300):
        swarms = Swarms("flag", 2, 1, seed=k, num_threads=2)
        swarms.reset()
        swarms.step(np.zeros((2, 1, 4), np.float32))
        if k % 3 == 0:
            with pytest.raises(TypeError):
                swarms.step(None)
        most = max(most, len(helpers() - before))
    del swarms
    gc.collect()
    assert until(lambda: not helpers() - before)
    assert most < 50, "they pile up meanwhile"
