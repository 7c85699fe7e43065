"""Drones put in their places: exactly there, seen at once, and nothing else touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drone_formation import Airframe, Randomization, Swarms
from drone_formation.pilots import RandomPilot
from drone_formation.tasks import TASKS

STATE = ("position", "velocity", "attitude", "body_rates", "rotor_speeds", "airframes")
SIZES = (1, 5, 40, 150)  # one lane, part of a block, several blocks, sorted into tiles


def state_of(swarms: Swarms) -> dict[str, np.ndarray]:
    return {name: getattr(swarms, name) for name in STATE}


def flown(task: str, num_drones: int, steps: int = 15, **options) -> Swarms:
    swarms = Swarms(task, 2, num_drones, seed=3, **options)
    swarms.reset()
    pilot = RandomPilot(1)
    for _ in range(steps):
        swarms.step(pilot.act(swarms))
    return swarms


def hover(swarms: Swarms) -> np.ndarray:
    return np.zeros((swarms.num_swarms, swarms.num_drones, 4), np.float32)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("num_drones", SIZES)
def test_the_state_is_exactly_what_was_given(task, num_drones):
    source, target = flown(task, num_drones), flown(task, num_drones, steps=4)
    goals, steps = target.target_position, target.steps
    returned = target.place(**state_of(source), arena=source.arena)
    for name, value in state_of(source).items():
        np.testing.assert_array_equal(getattr(target, name), value, name)
    np.testing.assert_array_equal(target.steps, steps)
    assert returned is target.observations
    if task == "hover":
        np.testing.assert_array_equal(target.target_position, source.position)
    else:
        np.testing.assert_array_equal(target.target_position, goals)
    away = np.linalg.norm(target.target_position - target.position, axis=2)
    np.testing.assert_allclose(target.distance, away, atol=2e-5)


@pytest.mark.parametrize("num_drones", SIZES)
def test_the_observation_and_the_flight_are_those_of_a_swarm_that_flew_there(num_drones):
    """Moved away and back, a swarm sees and does what its untouched twin sees and does."""
    swarms, twin = flown("sphere", num_drones), flown("sphere", num_drones)
    there = state_of(swarms)
    rng = np.random.default_rng(0)
    swarms.place(
        rng.uniform(-9, 9, there["position"].shape),
        rng.uniform(-3, 3, there["velocity"].shape),
        body_rates=np.zeros_like(there["body_rates"]),
    )
    assert (swarms.observations != twin.observations).any()
    swarms.place(**there)
    np.testing.assert_array_equal(swarms.observations, twin.observations)
    pilot, other = RandomPilot(5), RandomPilot(5)
    for _ in range(5):
        found, expected = swarms.step(pilot.act(swarms)), twin.step(other.act(twin))
        np.testing.assert_array_equal(found.observations, expected.observations)
    np.testing.assert_array_equal(swarms.position, twin.position)


@pytest.mark.parametrize("name", STATE)
def test_what_is_not_given_stays(name):
    swarms, source = flown("cube", 6), flown("cube", 6, steps=30)
    before = state_of(swarms)
    swarms.place(**{name: getattr(source, name)})
    for other, value in before.items():
        expected = getattr(source, other) if other == name else value
        np.testing.assert_array_equal(getattr(swarms, other), expected, other)


def test_nothing_is_paid_for_the_way_there():
    """A leap of 50 m is neither progress nor a flight through everybody in between."""
    swarms = Swarms("flag", 1, 2, seed=0)
    swarms.reset()
    goals = swarms.target_position
    swarms.place(goals + np.array([25.0, 0, 0]))
    swarms.place(goals[:, ::-1] * 1.0 + np.array([0, 0, 2.0]))
    result = swarms.step(hover(swarms))
    assert np.abs(result.rewards).max() < 1
    assert swarms.metrics()["collisions"][0] == 0
    assert swarms.metrics()["min_separation"][0] > 1
    assert not result.crashed.any()


def test_placed_on_top_of_each_other_they_collide_in_the_next_step():
    swarms = Swarms("flag", 1, 3, seed=0)
    swarms.reset()
    places = np.array([[[0, 0, 0], [0.2, 0, 0], [9.0, 0, 0]]])
    swarms.place(places)
    assert not swarms.colliding.any()
    swarms.step(hover(swarms))
    assert swarms.colliding.tolist() == [[True, True, False]]
    assert swarms.metrics()["collisions"][0] * 0.05 / 60 == pytest.approx(2 / 3)  # counted once
    swarms.place(places + np.array([[[0, 0, 0], [0, 5.0, 0], [0, 0, 0]]]))
    assert not swarms.colliding.any()


def test_time_to_form_goes_on():
    swarms = Swarms("flag", 1, 4, seed=0)
    swarms.reset()
    assert swarms.metrics()["time_to_form"][0] == np.inf
    swarms.place(swarms.target_position)
    assert swarms.metrics()["time_to_form"][0] == 0  # it begins in formation
    for _ in range(3):
        swarms.step(hover(swarms))
    assert swarms.metrics()["time_to_form"][0] == 0
    swarms.place(swarms.target_position + np.array([3.0, 0, 0]))
    assert swarms.metrics()["time_to_form"][0] == np.inf
    swarms.step(hover(swarms))
    swarms.place(swarms.target_position)
    for _ in range(2):
        swarms.step(hover(swarms))
    assert swarms.metrics()["time_to_form"][0] == pytest.approx(5 * 0.05)


def test_the_arena_grows_and_never_shrinks():
    swarms = Swarms("sphere", 1, 2, seed=0)
    swarms.reset()
    far = np.array([[[40.0, 0, 0], [0, 0, 14.0]]])
    with pytest.raises(ValueError, match="position"):
        swarms.place(far)
    np.testing.assert_array_equal(swarms.arena, [30, 30, 10])
    swarms.place(far, arena=(50, 20, 15))
    np.testing.assert_array_equal(swarms.arena, [50, 30, 15])
    assert not swarms.step(hover(swarms)).crashed.any()
    swarms.place(arena=(1, 1, 1))
    np.testing.assert_array_equal(swarms.arena, [50, 30, 15])
    swarms.place(np.array([[[49.9, 0, 0], [0, 0, 0]]]), np.array([[[20.0, 0, 0], [0, 0, 0]]]))
    assert swarms.step(hover(swarms)).crashed.tolist() == [[True, False]]


def test_drones_that_are_gone_stay_gone():
    swarms = Swarms("flag", 1, 3, seed=0, crash="terminate")
    swarms.reset()
    swarms.place(velocity=np.array([[[50.0, 0, 0], [0, 0, 0], [0, 0, 0]]]))
    for _ in range(80):
        swarms.step(hover(swarms))
    assert swarms.active.tolist() == [[False, True, True]]
    gone = swarms.position[0, 0]
    places = np.array([[[np.nan] * 3, [1, 2, 3], [-1, -2, -3]]])
    swarms.place(places)
    np.testing.assert_array_equal(swarms.position[0, 0], gone)
    np.testing.assert_array_equal(swarms.position[0, 1:], places[0, 1:])
    assert swarms.active.tolist() == [[False, True, True]]
    assert not swarms.observations[0, 0].any()
    assert np.isfinite(swarms.step(hover(swarms)).observations).all()


def test_each_drone_has_its_own_top_speed():
    swarms = Swarms("flag", 1, 8, seed=0, randomization=Randomization())
    swarms.reset()
    top = np.repeat(swarms.airframes[..., 10:11], 4, axis=2)
    swarms.place(rotor_speeds=top)
    weakest = top[0, :, 0].argmin()
    top[0, weakest, 1] = top.max()
    with pytest.raises(ValueError, match=rf"rotor_speeds.*\(0, {weakest}, 1\)"):
        swarms.place(rotor_speeds=top)


def test_a_drone_that_gets_an_airframe_flies_like_those_that_have_it():
    source = Swarms("sphere", 2, 20, seed=3, randomization=Randomization())
    target = Swarms("sphere", 2, 20, seed=3)
    source.reset(), target.reset()
    assert (source.airframes != target.airframes).any()
    target.place(**state_of(source))
    np.testing.assert_array_equal(target.observations, source.observations)
    pilot, other = RandomPilot(5), RandomPilot(5)
    for _ in range(9):
        source.step(pilot.act(source)), target.step(other.act(target))
    np.testing.assert_array_equal(target.position, source.position)
    target.reset()
    np.testing.assert_allclose(target.airframes[1, 2], Airframe().as_row(), rtol=1e-6)


def test_rotors_may_not_spin_faster_than_new_airframes_can():
    swarms = Swarms("flag", 1, 2, seed=0)
    swarms.reset()
    slow = np.tile(replace(Airframe(), max_rotor_speed=300.0).as_row(), (1, 2, 1))
    swarms.place(rotor_speeds=np.full((1, 2, 4), 290.0), airframes=slow)
    swarms.place(airframes=np.tile(Airframe().as_row(), (1, 2, 1)))
    swarms.place(rotor_speeds=np.full((1, 2, 4), 310.0))
    with pytest.raises(ValueError, match="rotor_speeds"):
        swarms.place(airframes=slow)


GOOD = np.zeros((2, 3, 3))
FRAMES = np.tile(Airframe().as_row(), (2, 3, 1))
LEVEL = np.tile([1.0, 0, 0, 0], (2, 3, 1))


def spoilt(array: np.ndarray, value: float, column: int = 0) -> np.ndarray:
    array = array.copy()
    array[1, 2, column] = value
    return array


#: What is said of the drone with a spoilt airframe.
UNFLYABLE = {
    "mass must be positive": spoilt(FRAMES, 0.0),
    "hover_rotor_speed": spoilt(FRAMES, 2.0),
    "cannot hover": spoilt(FRAMES, 9.0),
    "substeps": spoilt(FRAMES, 2e-4, column=1),
}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("position", GOOD[0], ValueError),
        ("position", np.zeros((2, 3, 4)), ValueError),
        ("position", spoilt(GOOD, np.nan), ValueError),
        ("position", spoilt(GOOD, 40.1), ValueError),
        ("position", spoilt(GOOD, 1e300), ValueError),
        ("position", "here", TypeError),
        ("position", np.full((2, 3, 3), True), TypeError),
        ("velocity", spoilt(GOOD, 51.0), ValueError),
        ("velocity", spoilt(GOOD, -np.inf), ValueError),
        ("attitude", np.zeros((2, 3, 4)), ValueError),
        ("attitude", spoilt(LEVEL, 0.9), ValueError),
        ("attitude", GOOD, ValueError),
        ("body_rates", spoilt(GOOD, -50.1), ValueError),
        ("rotor_speeds", spoilt(LEVEL, -1.0), ValueError),
        ("rotor_speeds", spoilt(LEVEL, 760.0), ValueError),
        ("airframes", FRAMES[0], ValueError),
        ("airframes", spoilt(FRAMES, np.nan), ValueError),
        *(("airframes", value, ValueError) for value in UNFLYABLE.values()),
        ("arena", (30, 30), ValueError),
        ("arena", (30, 30, np.inf), ValueError),
        ("arena", (30, -30, 30), ValueError),
    ],
)
def test_bad_input_is_named_and_changes_nothing(name, value, error):
    swarms = Swarms("flag", 2, 3, seed=0)
    swarms.reset()
    before = swarms.get_state()
    with pytest.raises(error, match=name):
        swarms.place(**{"position": GOOD, "velocity": GOOD + 1, "arena": (40, 40, 40), name: value})
    after = swarms.get_state()
    for key, array in before.items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal(after[key], array, key)
    np.testing.assert_array_equal(swarms.arena, [30, 30, 10])


@pytest.mark.parametrize(("problem", "airframes"), UNFLYABLE.items())
def test_what_is_wrong_with_which_airframe_is_said(problem, airframes):
    swarms = Swarms("flag", 2, 3, seed=0)
    swarms.reset()
    with pytest.raises(ValueError, match=rf"airframes\[1, 2\].*{problem}"):
        swarms.place(airframes=airframes)


def test_an_airframe_at_the_limit_of_what_is_integrated_may_be_given_back():
    """Rounded to float32, 1 / 0.02 s is a little more than the constructor allows."""
    swarms = Swarms("flag", 1, 2, seed=0, airframe=Airframe(motor_time_constant=0.02))
    swarms.reset()
    swarms.place(airframes=swarms.airframes)


def test_nobody_is_placed_before_the_reset():
    with pytest.raises(RuntimeError, match="reset"):
        Swarms("flag", 1, 2).place(np.zeros((1, 2, 3)))
