"""Switching tasks in flight: the drones stay where they are, and know at once where to go."""

from types import SimpleNamespace

import numpy as np
import pytest

from drone_formation import Randomization, Swarms
from drone_formation.cli import main
from drone_formation.cli.flight import redirected
from drone_formation.pilots import RandomPilot
from drone_formation.pilots.classical import ClassicalPilot
from drone_formation.pilots.library import load_pilot, shipped_policies
from drone_formation.pilots.trained import TrainedPilot
from drone_formation.tasks import TASKS

OPTIONS = {"num_drones": 20, "seed": 4, "neighbours": 2}


def flown(task: str, steps: int, **options) -> Swarms:
    swarms = Swarms(task, **options)
    swarms.reset()
    pilot = RandomPilot(0)
    for _ in range(steps):
        swarms.step(pilot.act(swarms))
    return swarms


@pytest.fixture
def flying():
    return flown("flag", 12, **OPTIONS)


def assert_same_drones(other: Swarms, swarms: Swarms) -> None:
    for name in ("position", "velocity", "attitude", "body_rates", "rotor_speeds", "airframes"):
        np.testing.assert_array_equal(getattr(other, name), getattr(swarms, name), name)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_but_the_task_changes(flying, task):
    other = redirected(flying, task, OPTIONS)
    assert_same_drones(other, flying)
    away = np.linalg.norm(other.target_position - other.position, axis=2)
    np.testing.assert_allclose(other.distance, away, atol=1e-5)
    if task == "hover":  # wherever they were
        assert away.max() == 0


@pytest.mark.parametrize("task", TASKS)
def test_every_drone_keeps_its_own_airframe(task):
    """Small rotors turn faster than large ones can, so a change of airframes would be refused."""
    options = {"num_drones": 20, "seed": 5, "randomization": Randomization()}
    swarms = flown("flag", 12, **options)
    other = redirected(swarms, task, options)
    assert_same_drones(other, swarms)


def test_the_observation_is_fresh(flying):
    """Flown back to its own task, a swarm sees what it saw."""
    seen = flying.observations.copy()
    back = redirected(redirected(flying, "cube", OPTIONS), "flag", OPTIONS)
    np.testing.assert_array_equal(back.target_position, flying.target_position)
    np.testing.assert_array_equal(back.observations, seen)


def test_the_flight_goes_on_from_there(flying):
    other = redirected(flying, "sphere", OPTIONS)
    twin = redirected(flying, "sphere", OPTIONS)
    before = other.position
    actions = np.zeros((1, 20, 4), np.float32)
    other.step(actions)
    twin.step(actions)
    assert np.abs(other.position - before).max() < 1.0
    np.testing.assert_array_equal(other.observations, twin.observations)


@pytest.mark.parametrize("num_drones", [1, 1024])
def test_a_tour_of_all_tasks_at_any_size(num_drones):
    """Arenas differ in size where swarms are large: nobody crashes for a task that was chosen."""
    options = {"num_drones": num_drones, "seed": 4}
    swarms = flown("race", 0, **options)  # not tumbling: whoever leaves the arena is pushed out
    for task in (*TASKS, "flag"):
        other = redirected(swarms, task, options)
        assert_same_drones(other, swarms)
        assert (other.arena >= swarms.arena).all()
        hover = np.zeros((1, num_drones, 4), np.float32)
        for _ in range(3):
            assert not other.step(hover).crashed.any(), task
        swarms = other


def test_from_a_wide_arena_into_a_formation():
    """Out at the border of the race's arena, the flag lies in a much smaller one."""
    options = {"num_drones": 1024, "seed": 4}
    race, flag = flown("race", 0, **options), Swarms("flag", **options)
    outside = (np.abs(race.position) > flag.arena).any(axis=2)
    assert outside.mean() > 0.3
    pilot = ClassicalPilot()
    race.step(pilot.act(race))
    swarms = redirected(race, "flag", options)
    np.testing.assert_array_equal(swarms.arena, np.maximum(race.arena, flag.arena))
    far = swarms.distance
    crashed = sum(swarms.step(pilot.act(swarms)).crashed.sum() for _ in range(100))
    assert crashed < 5
    assert np.median(swarms.distance) < 0.9 * np.median(far)


@pytest.mark.parametrize(
    ("asked", "racer", "flier"),
    [
        ([], ("generalist", True), "generalist"),
        (["--randomize"], ("generalist", True), "randomized"),
        (["--pilot", "randomized"], ("randomized", False), "randomized"),
    ],
)
def test_each_task_is_flown_by_its_own_policy(asked, racer, flier, monkeypatch):
    """...unless one was asked for; a race at its pace."""
    flights = []

    class Window:
        """Asks for a race after the first picture, for the flag after the third, and closes."""

        def __init__(self, *_, **__):
            self.shown = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def show(self, snapshot):
            self.shown += 1
            flights.append(snapshot.task)
            request = {1: "race", 3: "flag"}.get(self.shown)
            return SimpleNamespace(closed=self.shown == 5, task_request=request, advance=True)

    flown_by = []

    def act(self, swarms):
        name = next(n for n in shipped_policies() if load_pilot(n).metadata == self.metadata)
        flown_by.append((swarms.tasks[0], name, swarms.paced))
        return np.zeros((1, 4, 4), np.float32)

    monkeypatch.setattr("drone_formation.render.Window", Window)
    monkeypatch.setattr(TrainedPilot, "act", act)
    assert main(["fly", "flag", "--num-drones", "4", *asked]) == 0
    assert flights == ["flag", "race", "race", "flag", "flag"]
    race, flag = ("race", *racer), ("flag", flier, False)
    assert flown_by == [race, race, flag, flag]
