"""Paced races: places on one course, which pass every ring and keep clear."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from drone_formation import RewardWeights, Swarms, formations
from drone_formation.racing import course
from drone_formation.racing.course import LEAD, Course, joining_times, limits
from drone_formation.racing.curves import closest
from drone_formation.tasks import RING_RADIUS

SIZES = (1, 3, 16, 64, 256)


def racing(num_drones=64, num_swarms=1, seed=0, **options):
    swarms = Swarms("race", num_swarms, num_drones, seed=seed, paced=True, **options)
    swarms.reset()
    return swarms


def racing_on(num_drones=64, **options):
    """One swarm that races, and its course."""
    laid = []
    with pytest.MonkeyPatch.context() as patch:
        lay = course.pace
        patch.setattr(course, "pace", lambda *given: laid.append(lay(*given)) or laid[-1])
        swarms = racing(num_drones, **options)
    return swarms, laid[0]


def hover(swarms):
    return swarms.step(np.zeros((swarms.num_swarms, swarms.num_drones, 4), np.float32))


@pytest.mark.parametrize("num_drones", [*SIZES, 1024])
def test_targets_are_the_places_on_the_course(num_drones):
    """Seven lines where 1,024 race; the simulator in single precision, the course in double."""
    swarms, course = racing_on(num_drones)
    assert (len(course.curve.lines) > 1) == (num_drones == 1024)
    for step in range(41):
        if step % 10 == 0:
            position, velocity, acceleration = course.places(step * 0.05)
            np.testing.assert_allclose(swarms.target_position[0], position, atol=1e-3)
            shown = velocity + LEAD * acceleration
            np.testing.assert_allclose(swarms.target_velocity[0], shown, atol=1e-3)
        hover(swarms)


@pytest.mark.parametrize("num_drones", SIZES)
@pytest.mark.parametrize("collision_distance", [0.5, 1.0])
def test_places_pass_every_ring_in_order_and_keep_clear(num_drones, collision_distance):
    swarms, course = racing_on(num_drones, collision_distance=collision_distance, seed=4)
    rings = swarms.rings()
    curve, ring = course.curve, swarms.ring_index[0].copy()
    passed, before = np.zeros(num_drones, int), course.places(0.0)[0]
    for time in np.linspace(0, 2 * curve.lap, 2000)[1:]:
        after = course.places(time)[0]
        assert (np.abs(after) < swarms.arena).all()
        assert closest(after) >= 1.2 * collision_distance
        centre, normal = rings[ring, :3], rings[ring, 3:6]
        behind = ((before - centre) * normal).sum(axis=1)
        ahead = ((after - centre) * normal).sum(axis=1)
        through = (behind < 0) & (ahead >= 0)
        part = behind / np.where(through, behind - ahead, 1)
        middle = before + part[:, None] * (after - before) - centre
        through &= np.linalg.norm(middle, axis=1) < RING_RADIUS - 0.3
        passed += through
        ring[through] = (ring[through] + 1) % len(rings)
        before = after
    # Every ring once a lap, once the first has been reached
    assert (passed >= len(rings)).all()
    assert (passed <= 2 * len(rings)).all()


def test_a_place_comes_by_its_first_ring_when_the_drone_can_be_there():
    swarms, course = racing_on(seed=2)
    first = swarms.ring_index[0]
    joining = joining_times(swarms.rings()[first], swarms.position[0].astype(float))
    lap = course.curve.lap
    due = (course.curve.passing[first] * lap - course.head_start) % lap
    waits = (due - joining) % lap
    assert waits.mean() < 2.0
    # the best that another matching could do, by trying all changes of two
    for i in range(64):
        for k in range(i):
            swapped = (waits[[i, k]] + course.head_start[[i, k]] - course.head_start[[k, i]]) % lap
            assert swapped.sum() >= waits[[i, k]].sum() - 1e-6


def test_a_course_asks_for_no_more_than_the_weakest_drone_can_do():
    swarms = racing(8, seed=1)
    airframes = swarms.airframes[0].astype(float)
    weak = airframes.copy()
    weak[3, 10] *= 0.42  # slower rotors
    arguments = swarms.rings(), swarms.ring_index[0]
    slow, quick = (Course(*arguments, rows, 1.0).curve.lap for rows in (weak, airframes))
    assert slow > 1.05 * quick
    lateral = limits(airframes)[0, 0]
    course = Course(*arguments, airframes, 1.0, effort=0.5)
    time = np.linspace(0, course.curve.lap, 500)
    acceleration = course.curve.at(time, np.zeros(500, int))[2]
    assert np.linalg.norm(acceleration[:, :2], axis=1).max() <= 0.5 * lateral * 1.02


def test_a_drone_that_stays_in_its_place_is_paid():
    """Places are targets like any other: to be there pays, and so does every ring."""
    weights = RewardWeights(conflict=0, collision=0, smoothness=0, spin=0, progress=0)
    swarms = racing(8, reward=weights)
    plain = Swarms("race", 1, 8, seed=0, reward=weights, paced=False)
    plain.reset()
    rewards = hover(swarms).rewards[0]
    distance = swarms.distance[0]
    expected = weights.approach / (1 + distance) + weights.precision * 0.1 / (0.1 + distance)
    np.testing.assert_allclose(rewards, expected, rtol=1e-4)
    np.testing.assert_array_equal(hover(plain).rewards[0], 0)


def test_rings_count_wherever_the_place_is():
    swarms = racing(8, seed=0, reward=RewardWeights(ring=10))
    rings, first = swarms.rings(), swarms.ring_index[0]
    centre, normal = rings[first, :3], rings[first, 3:6]
    swarms.place(position=(centre - 0.2 * normal)[None], velocity=(8 * normal)[None])
    targets = swarms.target_position
    rewards = hover(swarms).rewards[0]
    np.testing.assert_array_equal(swarms.ring_index[0], (first + 1) % len(rings))
    assert (rewards > 5).all()
    # and the place goes on as if nothing had happened
    assert np.linalg.norm(swarms.target_position - targets, axis=2).max() < 1.0
    hover(swarms)
    np.testing.assert_array_equal(swarms.ring_index[0], (first + 1) % len(rings))


@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_places_wait_for_no_drone(crash):
    """Whichever drone crashes, the places move on as they would."""
    tumbling, hovering = (racing(20, seed=3, crash=crash) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(150):
        result = tumbling.step(rng.uniform(-1, 1, (1, 20, 4)).astype(np.float32))
        hover(hovering)
    assert tumbling.metrics()["crashes"][0] > 0
    flying = tumbling.active
    np.testing.assert_array_equal(
        tumbling.target_position[flying], hovering.target_position[flying]
    )
    assert np.isfinite(result.observations).all()


def test_other_tasks_have_none():
    for task in ("flag", "conga"):
        flights = []
        for paced in (False, True):
            swarms = Swarms(task, 2, 20, seed=1, paced=paced)
            assert not swarms.paced
            swarms.reset()
            flights += [hover(swarms).observations.copy()]
        np.testing.assert_array_equal(*flights)
    mixed = Swarms("mixed", 24, 8, seed=1, paced=True)
    mixed.reset()
    for _ in range(3):
        races = np.array([task == "race" for task in mixed.tasks])
        assert 0 < races.sum() < 24
        hover(mixed)
        shown = np.linalg.norm(mixed.target_velocity, axis=2).max(axis=1)
        assert (shown[races] > 3).all()
        assert (shown[~races] < 3).all()
        mixed.reset()


def test_the_same_alone_beside_others_and_on_threads():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-0.3, 0.3, (60, 4, 40, 4)).astype(np.float32)
    runs = []
    for first, count, threads in ((0, 4, 1), (0, 4, 2), (2, 1, 1)):
        swarms = racing(40, count, seed=first, num_threads=threads)
        for k in range(60):
            swarms.step(actions[k, first : first + count])
        runs.append(swarms.observations.copy())
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0][2:3], runs[2])


def test_a_snapshot_holds_the_places():
    swarms = racing(20, 2, seed=5)
    for _ in range(30):
        hover(swarms)
    state = swarms.get_state()
    expected = [hover(swarms).observations.copy() for _ in range(20)]
    other = Swarms("race", 2, 20, seed=9, paced=True)
    other.set_state(state)
    for observations in expected:
        np.testing.assert_array_equal(hover(other).observations, observations)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_it_is_there_or_not(value):
    with pytest.raises(TypeError, match="paced must be True or False"):
        Swarms("race", paced=value)


_WITHOUT_SCIPY = """
import sys
sys.modules["scipy"] = None  # importing it fails
import numpy as np
from drone_formation import Airframe
from drone_formation.racing.course import Course
angle = np.arange(8) * np.pi / 4
out, along = np.stack([np.cos(angle), np.sin(angle)]), np.stack([-np.sin(angle), np.cos(angle)])
rings = np.concatenate([20 * out, [0 * angle], along, [0 * angle], [0 * angle + 2]]).T
airframes = np.repeat(Airframe().as_row()[None], 16, axis=0).astype(float)
print(Course(rings, np.arange(16) % 8, airframes, 1.0).curve.lap)
"""


def test_courses_are_laid_without_scipy(tmp_path):
    """Which numba asks for where compiled code multiplies matrices, and the core has not."""
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SCIPY],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert 5 < float(run.stdout) < 40


def test_closest_is_the_least_distance():
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert closest(points) == pytest.approx(formations.least_distance(points))
    assert closest(points[:1]) == np.inf
