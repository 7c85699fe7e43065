"""Observations that a caller keeps are not copied: what comes next is written elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

from drone_formation import Swarms


def flying(**options) -> Swarms:
    swarms = Swarms("flag", 3, 10, seed=0, max_steps=10**6, **options)
    swarms.reset()
    return swarms


def actions(step: int) -> np.ndarray:
    return np.random.default_rng(step).uniform(-1, 1, (3, 10, 4)).astype(np.float32)


CHANGES: dict[str, Callable[[Swarms], object]] = {
    "step": lambda swarms: swarms.step(actions(5)),
    "reset": lambda swarms: swarms.reset(),
    "reset one": lambda swarms: swarms.reset(which=[1]),
    "place": lambda swarms: swarms.place(swarms.position + 0.25),
    "set_state": lambda swarms: swarms.set_state(other_state()),
}


def other_state() -> dict:
    other = Swarms("flag", 3, 10, seed=9, max_steps=10**6)
    other.reset()
    return other.get_state()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_lent_does_not_change(change: str, threads: int) -> None:
    lender, plain = flying(num_threads=threads), flying()
    for step in range(5):
        lender.step(actions(step))
        plain.step(actions(step))
        lent = lender.lend_observations()
    kept = lent.copy()
    CHANGES[change](lender)
    CHANGES[change](plain)
    assert np.array_equal(lent, kept)
    assert np.array_equal(lender.observations, plain.observations)
    assert not np.array_equal(lender.observations, kept)


def test_all_that_were_lent_stay_as_they_were() -> None:
    lender, plain = flying(), flying()
    kept, expected = [], []
    for step in range(30):
        lender.step(actions(step))
        expected.append(plain.step(actions(step)).observations.copy())
        kept.append(lender.lend_observations()[1:, ::2])  # a view keeps the memory as well
    for mine, theirs in zip(kept, expected, strict=True):
        assert np.array_equal(mine, theirs[1:, ::2])


def test_memory_that_nobody_has_any_more_is_used_again() -> None:
    swarms, places = flying(), set()
    for step in range(200):
        swarms.step(actions(step))
        observations = swarms.lend_observations()
        places.add(observations.ctypes.data)
    assert len(places) == 2
    held = [observations]
    for step in range(50):
        swarms.step(actions(step))
        held.append(swarms.lend_observations())
    assert len({array.ctypes.data for array in held}) == 51
    assert len(swarms._buffers) <= 4


def test_bad_actions_leave_the_observations() -> None:
    swarms = flying()
    swarms.step(actions(0))
    lent, kept = swarms.lend_observations(), swarms.observations.copy()
    with pytest.raises(ValueError, match="finite"):
        swarms.step(np.full((3, 10, 4), np.nan, np.float32))
    assert np.array_equal(swarms.observations, kept)
    swarms.step(actions(1))
    assert np.array_equal(lent, kept)


def test_what_is_written_into_lent_observations_stays_there() -> None:
    swarms, plain = flying(), flying()
    for step in range(10):
        swarms.step(actions(step))
        swarms.lend_observations()[:] = np.nan
        plain.step(actions(step))
    swarms.place()
    assert np.array_equal(swarms.observations, plain.place())


def test_a_copy_lends_on_its_own() -> None:
    swarms = flying()
    swarms.step(actions(0))
    lent = swarms.lend_observations()
    twin = copy.deepcopy(swarms)
    for step in range(1, 10):
        ours, theirs = swarms.step(actions(step)), twin.step(actions(step))
        assert np.array_equal(ours.observations, theirs.observations)
        assert not np.shares_memory(swarms.lend_observations(), twin.lend_observations())
    assert not np.array_equal(lent, swarms.observations)
