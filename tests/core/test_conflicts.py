"""Conflicts ahead, as drones see them: against their definition in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation import Swarms

from .helpers import conflict_columns, conflicts, rotation


@pytest.mark.parametrize("num_drones", [1, 3, 37, 64, 200])
def test_of_several_that_touch_the_nearest_are_shown(num_drones):
    swarms = Swarms("flag", 1, num_drones, seed=3, neighbours=0)
    swarms.reset()
    rng = np.random.default_rng(num_drones)
    position, velocity = rng.normal(size=(2, 1, num_drones, 3))
    swarms.place(position=min(0.02 * num_drones, 1.5) * position, velocity=velocity)
    expected = conflicts(swarms)
    seen = swarms.observations[..., conflict_columns()]
    np.testing.assert_allclose(seen, expected.reshape(1, num_drones, 12), atol=2e-5)
    assert num_drones == 1 or np.abs(expected).max() > 0.5


@pytest.mark.parametrize("num_drones", [2, 5, 16, 64, 128, 129, 300])
@pytest.mark.parametrize("speed", [0.0, 0.5, 12.0])
def test_conflicts_are_looked_for_among_all(num_drones, speed):
    """However far away and however many drones are nearer, in few blocks as in many tiles."""
    swarms = Swarms("flag", 2, num_drones, seed=3, neighbours=0)
    swarms.reset()
    rng = np.random.default_rng(num_drones)
    velocity = speed * rng.normal(size=(2, num_drones, 3))
    swarms.place(velocity=velocity)
    expected = conflicts(swarms)
    seen = swarms.observations[..., conflict_columns()]
    into_body = np.swapaxes(rotation(swarms.attitude.astype(float)), -1, -2)
    body = np.einsum("snij,snkj->snki", into_body, expected.reshape(2, num_drones, 4, 3))
    np.testing.assert_allclose(seen, body.reshape(2, num_drones, 12), atol=2e-5)
    if speed == 0:
        assert not seen.any()
    if speed > 1 and num_drones >= 64:
        assert np.abs(seen).max() > 0.1
