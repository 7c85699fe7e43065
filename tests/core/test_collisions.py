"""Collisions, crashes and blow-ups: who is hit, who is gone, and what others feel of it."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.observation import NEIGHBOUR_SCALE, observation_table
from drone_formation.sim import layout

from .helpers import hover, placed, put


def test_collisions_are_judged_within_the_step():
    """Two drones that swap places in a step pass through each other: a collision for both."""
    swarms = placed(np.array([[0, 0, 0], [1.2, 0, 0], [0, 8, 0], [3, 8, 0]], float))
    put(swarms, layout.VELOCITY, [[24, 0, 0], [-24, 0, 0], [0, 0, 0], [0, 0, 0]])
    swarms.step(hover(swarms))
    assert np.linalg.norm(swarms.position[0, 0] - swarms.position[0, 1]) > 1.0
    assert swarms.colliding[0].tolist() == [True, True, False, False]
    assert swarms.metrics()["collisions"][0] > 0


def test_an_encounter_counts_once():
    swarms = placed(np.array([[0, 0, 0], [0.8, 0, 0]], float))
    for _ in range(10):
        swarms.step(hover(swarms))
    assert swarms._batch.read(layout.COLLISIONS)[0, :, 0].tolist() == [1, 1]
    assert swarms._batch.read(layout.COLLISION_STEPS)[0, :, 0].tolist() == [10, 10]


def test_a_crashing_drone_still_hits_the_one_beside_it():
    swarms = placed(np.array([[29.9, 0, 0], [29.9, 0.9, 0], [0, 0, 0]], float))
    put(swarms, layout.VELOCITY, [[20, 0, 0], [0, 0, 0], [0, 0, 0]])
    result = swarms.step(hover(swarms))
    assert result.crashed[0].tolist() == [True, False, False]
    assert swarms.colliding[0].tolist() == [True, True, False]
    (offset,) = (part for part in observation_table(2) if part.name == "neighbour_0_offset")
    final = swarms.final_observations[0, 0, offset.columns]
    # What it saw last: its neighbour close by, not the place of its respawn.
    assert np.linalg.norm(final) > NEIGHBOUR_SCALE / (NEIGHBOUR_SCALE + 2.0)


@pytest.mark.parametrize(
    "row",
    [layout.POSITION, layout.VELOCITY, layout.ATTITUDE, layout.BODY_RATES, layout.ROTOR_SPEEDS],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_a_blow_up_is_contained(row, value, crash):
    """One drone's broken numbers end in its own crash; nothing of the others changes."""
    swarms, twin = (Swarms("flag", 1, 40, seed=2, crash=crash, neighbours=0) for _ in range(2))
    swarms.reset()
    twin.reset()
    swarms._batch.blocks[1, row, 3] = value  # drone 19
    for step in range(3):
        result = swarms.step(np.full((1, 40, 4), 0.01, np.float32))
        twin.step(np.full((1, 40, 4), 0.01, np.float32))
        assert np.isfinite(result.observations).all()
        assert np.isfinite(result.rewards).all()
        assert result.crashed[0].nonzero()[0].tolist() == ([19] if step == 0 else [])
        others = np.arange(40) != 19
        assert np.array_equal(swarms.position[0, others], twin.position[0, others])
        assert np.array_equal(swarms.observations[0, others], twin.observations[0, others])
    assert swarms.faults.sum() == 1
    assert np.isfinite(swarms.final_observations).all()


def test_respawns_are_clear_of_others_and_reproducible():
    def run(threads):
        swarms = Swarms("hover", 4, 64, seed=9, num_threads=threads)
        swarms.reset()
        rng = np.random.default_rng(0)
        for _ in range(80):
            result = swarms.step(rng.uniform(-1, 1, (4, 64, 4)).astype(np.float32))
            for s, i in np.argwhere(result.crashed):
                gaps = np.linalg.norm(swarms.position[s] - swarms.position[s, i], axis=1)
                gaps[i] = np.inf
                assert gaps.min() >= 1.5 - 1e-5
                np.testing.assert_array_equal(swarms.velocity[s, i], 0)
        assert swarms.metrics()["crashes"].sum() > 0
        return swarms.position

    assert np.array_equal(run(1), run(3))


def test_drones_that_are_gone_read_nan():
    """And what they observe is zeros; the others read as before."""
    swarms = placed([[29.9, 0, 0], [0, 0, 0], [0, 5, 0]], crash="terminate")
    put(swarms, layout.VELOCITY, [[20, 0, 0], [0, 0, 0], [0, 0, 0]])
    result = swarms.step(hover(swarms))
    assert result.crashed[0].tolist() == [True, False, False]
    assert result.observations[0, 0].any()  # what it saw last
    for step in range(3):
        assert swarms.active[0].tolist() == [False, True, True]
        for name in (
            "position", "velocity", "attitude", "body_rates", "rotor_speeds", "distance",
            "nearest_distance",
        ):  # fmt: skip
            value = getattr(swarms, name)[0]
            assert np.isnan(value[0]).all(), (name, step)
            assert np.isfinite(value[1:]).all(), (name, step)
        assert np.isfinite(swarms.target_position).all()
        result = swarms.step(hover(swarms))
        assert not result.observations[0, 0].any()
        assert result.rewards[0, 0] == 0
        assert not result.crashed.any()
    swarms.reset()
    assert np.isfinite(swarms.position).all()
