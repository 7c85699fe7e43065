"""Where targets are: compiled against the NumPy reference, and new ones in mid-flight."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.airframe import CONTROL_STEP
from drone_formation.formations import least_distance
from drone_formation.pilots import RandomPilot
from drone_formation.planner import assign
from drone_formation.trajectories import Path, Trajectory

from .helpers import hover

N = 20  # drones in the tests below: more than a block


def grid(count: int = N, spacing: float = 3.0) -> np.ndarray:
    """Points (N, 3) in a sheet."""
    across, up = np.divmod(np.arange(count), 5)
    return np.stack([0.0 * across, spacing * (across - 2), spacing * (up - 2)], axis=1) * 1.0


def flying(steps: int = 7, num_swarms: int = 1, task: str = "flag", **options) -> Swarms:
    """Swarms in the midst of an episode."""
    swarms = Swarms(task, num_swarms, N, seed=3, **options)
    swarms.reset()
    pilot = RandomPilot(0)
    for _ in range(steps):
        swarms.step(0.1 * pilot.act(swarms))
    return swarms


def swaying(harmonics: int, lead: float = 0.0, **options) -> Trajectory:
    """A sheet in which all slots sway alike, by so many harmonics."""
    rng = np.random.default_rng(harmonics)
    cosine, sine = rng.normal(size=(2, harmonics, 1, 3)) / max(harmonics, 1)
    frequencies = rng.uniform(0.05, 6, harmonics)
    return Trajectory(grid(), cosine, sine, frequencies, lead, **options)


def drifting(closed: bool, knots: int = 9) -> Path:
    """A path by knots for each slot, small enough to keep the slots apart."""
    rng = np.random.default_rng(knots)
    points, velocities = rng.uniform(-0.5, 0.5, (2, knots, N, 3))
    return Path(points, velocities, 0.17, closed)


def check(swarms: Swarms, trajectory: Trajectory, steps: int = 60, order=slice(None)) -> None:
    """Fly, comparing targets with the reference; times count from now."""
    for step in range(steps):
        position = trajectory.position(step * CONTROL_STEP)[order]
        velocity = trajectory.velocity(step * CONTROL_STEP)[order]
        np.testing.assert_allclose(swarms.target_position[0], position, atol=2e-5)
        np.testing.assert_allclose(swarms.target_velocity[0], velocity, atol=2e-4, rtol=1e-5)
        swarms.step(hover(swarms))


@pytest.mark.parametrize("lead", [0.0, 0.3])
@pytest.mark.parametrize("harmonics", [0, 1, 4, 5, 40])
def test_any_number_of_harmonics(harmonics, lead):
    swarms, trajectory = flying(), swaying(harmonics, lead)
    swarms.set_targets(trajectory)
    check(swarms, trajectory)


@pytest.mark.parametrize("lead", [0.0, 0.3])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("knots", [1, 2, 9])
def test_a_sampled_path(knots, closed, lead):
    """Closed, it is gone around twice; open, it ends within the flight, and the slots rest."""
    swarms = flying()
    trajectory = Trajectory(grid(), lead=lead, path=drifting(closed, knots))
    swarms.set_targets(trajectory)
    check(swarms, trajectory)


@pytest.mark.parametrize("closed", [False, True])
def test_a_path_and_harmonics_together(closed):
    swarms, trajectory = flying(), swaying(3, 0.2, path=drifting(closed))
    swarms.set_targets(trajectory)
    check(swarms, trajectory)


def test_samples_of_a_motion_are_that_motion():
    """Once around a closed curve of which 64 samples are known."""
    turning = Trajectory.turning(grid() + np.array([0, 0, 1.0]), period=6.0)
    samples = turning.position(np.arange(64) * 6.0 / 64)
    swarms = flying(arena=(30, 30, 30))
    swarms.set_targets(Trajectory.sampled(samples, 6.0 / 64, closed=True))
    for step in range(130):
        expected = turning.position(step * CONTROL_STEP)
        np.testing.assert_allclose(swarms.target_position[0], expected, atol=2e-3)
        swarms.step(hover(swarms))


def test_a_task_s_own_trajectory_counts_from_the_reset():
    swarms = Swarms("orbit", 2, N, seed=4)
    swarms.reset()
    plans = [swarms._planner.plan(np.random.default_rng(4 + k)) for k in range(2)]
    for step in range(20):
        for k, plan in enumerate(plans):
            expected = plan.trajectory.position(step * CONTROL_STEP)
            np.testing.assert_allclose(swarms.target_position[k], expected, atol=2e-5)
        swarms.step(hover(swarms))


# ---- set_targets -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["flag", "orbit", "conga", "hover"])
def test_still_points(task):
    swarms = flying(task=task)
    before = swarms.get_state()
    returned = swarms.set_targets(grid())
    assert returned is swarms.observations
    assert (returned != before["observations"]).any()
    check(swarms, Trajectory.still(grid()), steps=5)
    away = np.linalg.norm(grid() - swarms.position[0], axis=1)
    np.testing.assert_allclose(swarms.distance[0], away, atol=1e-5)


def test_nothing_is_paid_for_the_change():
    swarms, twin = flying(), flying()
    swarms.set_targets(twin.target_position[0] + [0, 0, 3.0])
    distance = swarms.distance
    result, same = swarms.step(hover(swarms)), twin.step(hover(twin))
    progress = distance - swarms.distance
    assert np.abs(progress).max() < 0.3
    assert np.abs(result.rewards - same.rewards).max() < 0.2
    np.testing.assert_array_equal(swarms.position, twin.position)
    np.testing.assert_array_equal(swarms.steps, twin.steps)


def test_a_drone_that_held_its_place_and_crashes_flies_to_the_new_target():
    swarms = flying(task="hover")
    swarms.set_targets(grid())
    places = swarms.position
    places[0, 0] = [29.99, 0, 0]
    swarms.place(places, velocity=np.full((1, N, 3), [5.0, 0, 0]))
    np.testing.assert_allclose(swarms.target_position[0], grid(), atol=1e-6)
    assert swarms.step(hover(swarms)).crashed[0, 0]
    np.testing.assert_allclose(swarms.target_position[0], grid(), atol=1e-6)


def test_which_swarms():
    swarms, twin = flying(num_swarms=3), flying(num_swarms=3)
    swarms.set_targets(swaying(2), which=[1])
    for _ in range(10):
        swarms.step(hover(swarms))
        twin.step(hover(twin))
        for k in (0, 2):
            np.testing.assert_array_equal(swarms.observations[k], twin.observations[k])
            np.testing.assert_array_equal(swarms.target_position[k], twin.target_position[k])
    expected = swaying(2).position(10 * CONTROL_STEP)
    np.testing.assert_allclose(swarms.target_position[1], expected, atol=2e-5)


def test_more_harmonics_in_one_swarm_change_nothing_in_another():
    swarms, twin = (flying(num_swarms=2, task="follow") for _ in range(2))
    swarms.set_targets(swaying(9, path=drifting(True)), which=[0])
    swarms.set_targets(swaying(2), which=[0])
    for _ in range(5):
        swarms.step(hover(swarms))
        twin.step(hover(twin))
        np.testing.assert_array_equal(swarms.target_position[1], twin.target_position[1])
    expected = swaying(2).position(5 * CONTROL_STEP)
    np.testing.assert_allclose(swarms.target_position[0], expected, atol=2e-5)


def test_a_snapshot_holds_new_targets():
    swarms = flying()
    swarms.set_targets(swaying(6, path=drifting(True)))
    for _ in range(4):
        swarms.step(hover(swarms))
    state = swarms.get_state()
    expected = [swarms.step(hover(swarms)).observations.copy() for _ in range(5)]
    other = flying(0)
    other.set_state(state)
    for observations in expected:
        np.testing.assert_array_equal(other.step(hover(other)).observations, observations)


def test_the_next_episode_has_targets_of_its_own():
    swarms, twin = flying(), flying()
    swarms.set_targets(swaying(3))
    for it in (swarms, twin):
        it.reset(seed=7)
        it.step(hover(it))
    np.testing.assert_array_equal(swarms.observations, twin.observations)


def cost(swarms: Swarms, k: int = 0) -> float:
    return float(((swarms.position[k] - swarms.target_position[k]) ** 2).sum())


def test_optimal_assignment_from_where_the_drones_are():
    trajectory = swaying(3, path=drifting(True))
    colours = np.random.default_rng(0).integers(0, 256, (N, 3), np.uint8)
    swarms = flying(assignment="optimal")
    swarms.set_targets(trajectory, colours=colours)
    order = assign(swarms.position[0], trajectory.position(0.0))
    assert (order != np.arange(N)).any()
    np.testing.assert_array_equal(swarms.colours[0], colours[order])
    check(swarms, trajectory, order=order)
    fixed = flying()
    fixed.set_targets(trajectory, colours=colours)
    np.testing.assert_array_equal(fixed.colours[0], colours)
    check(fixed, trajectory)


@pytest.mark.parametrize("task", ["flag", "orbit", "follow"])
def test_optimal_assignment_after_drones_were_placed(task):
    swarms = flying(task=task, num_swarms=2, assignment="optimal")
    slots = swarms.target_position.astype(float)
    colours = swarms.colours.copy()
    places = slots[:, ::-1] + [0.0, 0.0, 0.4]
    swarms.place(places)
    for k in range(2):
        order = assign(places[k], slots[k])
        np.testing.assert_allclose(swarms.target_position[k], slots[k][order], atol=1e-5)
        np.testing.assert_array_equal(swarms.colours[k], colours[k][order])
        assert cost(swarms, k) <= ((places[k] - slots[k]) ** 2).sum()
    np.testing.assert_allclose(swarms.distance, 0.4, atol=1e-4)
    assert least_distance(swarms.target_position[0].astype(float)) >= 1.5 - 1e-4
    # What is only seen otherwise, or turned, keeps its slot.
    before = swarms.target_position
    swarms.place(velocity=np.ones((2, N, 3)))
    np.testing.assert_array_equal(swarms.target_position, before)
    fixed = flying(task=task)
    before = fixed.target_position
    fixed.place(fixed.position[:, ::-1])
    np.testing.assert_array_equal(fixed.target_position, before)


def test_drones_that_are_gone_take_no_slot_of_another():
    swarms = flying(assignment="optimal", crash="terminate")
    places = swarms.position
    places[0, 5] = [29.99, 0, 0]
    swarms.place(places, velocity=np.full((1, N, 3), [5.0, 0, 0]))
    swarms.step(hover(swarms))
    assert not swarms.active[0, 5]
    swarms.set_targets(grid())
    found = swarms.target_position[0]
    assert {tuple(row) for row in found.tolist()} == {tuple(row) for row in grid().tolist()}


SHIFTED = grid() + np.array([40.0, 0, 0])
WITH_NAN = np.where(np.arange(N)[:, None] == 3, np.nan, grid())


@pytest.mark.parametrize(
    ("targets", "options", "error", "says"),
    [
        (grid()[:5], {}, ValueError, "targets must be as many as drones, 20, got 5"),
        (grid()[None], {}, ValueError, "targets must have shape"),
        (grid()[:, :2], {}, ValueError, "targets must have shape"),
        (WITH_NAN, {}, ValueError, "targets must be finite, got nan in point 3"),
        ("there", {}, TypeError, "targets must be an array of numbers"),
        (SHIFTED, {}, ValueError, r"targets: point 0 .* outside the arena"),
        (grid() / 3, {}, ValueError, "targets: two points are 1.000 m apart"),
        (Trajectory.still(SHIFTED), {}, ValueError, "targets: point 0 .* outside the arena"),
        (Trajectory.still(grid()[:3]), {}, ValueError, "as many as drones, 20, got 3"),
        (grid(), {"colours": grid()}, ValueError, "colours"),
        (grid(), {"colours": np.zeros((2, 3), np.uint8)}, ValueError, "colours"),
        (grid(), {"task": "race"}, ValueError, "targets of a race are its rings: swarm 0 races"),
    ],
)
def test_bad_targets_are_named_and_change_nothing(targets, options, error, says):
    swarms = flying(task=options.pop("task", "flag"))
    before = swarms.get_state()
    with pytest.raises(error, match=says):
        swarms.set_targets(targets, **options)
    for key, array in swarms.get_state().items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal(array, before[key], key)


def test_a_reset_comes_first():
    with pytest.raises(RuntimeError, match=r"call reset\(\) before set_targets\(\)"):
        Swarms("flag", 1, N).set_targets(grid())
