"""Switching tasks in flight: the drones stay where they are, and know at once where to go."""

import numpy as np
import pytest

from drone_formation import Swarms, cli
from drone_formation.pilots import RandomPilot
from drone_formation.tasks import TASKS

OPTIONS = {"num_drones": 20, "seed": 4, "neighbours": 2}


@pytest.fixture
def flying():
    swarms = Swarms("flag", **OPTIONS)
    swarms.reset()
    pilot = RandomPilot(0)
    for _ in range(12):
        swarms.step(pilot.act(swarms))
    return swarms


@pytest.mark.parametrize("task", TASKS)
def test_nothing_but_the_task_changes(flying, task):
    other = cli._redirected(flying, task, OPTIONS)
    for name in ("position", "velocity", "attitude", "body_rates", "rotor_speeds"):
        np.testing.assert_array_equal(getattr(other, name), getattr(flying, name), name)
    away = np.linalg.norm(other.target_position - other.position, axis=2)
    np.testing.assert_allclose(other.distance, away, atol=1e-5)
    if task == "hover":  # wherever they were
        assert away.max() == 0


def test_the_observation_is_fresh(flying):
    """Flown back to its own task, a swarm sees what it saw."""
    seen = flying.observations.copy()
    back = cli._redirected(cli._redirected(flying, "cube", OPTIONS), "flag", OPTIONS)
    np.testing.assert_array_equal(back.target_position, flying.target_position)
    np.testing.assert_array_equal(back.observations, seen)


def test_the_flight_goes_on_from_there(flying):
    other = cli._redirected(flying, "sphere", OPTIONS)
    twin = cli._redirected(flying, "sphere", OPTIONS)
    before = other.position
    actions = np.zeros((1, 20, 4), np.float32)
    other.step(actions)
    twin.step(actions)
    assert np.abs(other.position - before).max() < 1.0
    np.testing.assert_array_equal(other.observations, twin.observations)
