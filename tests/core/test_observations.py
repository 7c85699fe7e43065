"""What drones observe: against the table, worked out anew in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.observation import observation_size, observation_table
from drone_formation.tasks import TASKS

from .helpers import observed_by_hand


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("num_drones", "neighbours"), [(1, 2), (5, 0), (37, 2), (64, 3), (20, 8)])
def test_observation_follows_its_table(task, num_drones, neighbours):
    swarms = Swarms(task, 2, num_drones, seed=1, neighbours=neighbours)
    swarms.reset()
    rng = np.random.default_rng(0)
    for step in range(40):
        if step % 10 == 0:
            expected = observed_by_hand(swarms)
            assert expected.shape[-1] == observation_size(neighbours)
            np.testing.assert_allclose(swarms.observations, expected, atol=2e-5)
        actions = rng.normal(0, 0.15, (2, num_drones, 4)).astype(np.float32)
        swarms.step(actions)
        assert np.abs(swarms.observations).max() <= 1


def test_the_table_has_no_gaps():
    for neighbours in range(9):
        end = 0
        for part in observation_table(neighbours):
            assert part.start == end
            end += part.size
        assert end == observation_size(neighbours)


def test_nothing_observed_is_constant():
    # So that a drone is in conflict with more than one other
    swarms = Swarms("flag", 1, 64, seed=0, collision_distance=3.0)
    seen = [swarms.reset().copy()]
    rng = np.random.default_rng(0)
    for _ in range(50):
        swarms.step(rng.uniform(-1, 1, (1, 64, 4)).astype(np.float32))
        seen.append(swarms.observations.copy())
    assert (np.std(np.concatenate(seen), axis=(0, 1)) > 1e-3).all()
