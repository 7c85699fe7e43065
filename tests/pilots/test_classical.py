"""The classical pilot lands, keeps clear, and copes with what is unusual."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import drone_formation
from drone_formation.airframe import Airframe, Randomization
from drone_formation.pilots import HoverPilot, Pilot, RandomPilot, planning, primitives
from drone_formation.pilots.classical import ClassicalPilot, foresee, limits
from drone_formation.racing.curves import LATERAL
from drone_formation.sim import _jit
from drone_formation.swarms import Swarms


def fly(task, steps, pilot=None, swarms=1, drones=8, seed=0, **options):
    """Fly one episode; the simulator at its end."""
    simulator = Swarms(task, swarms, drones, seed=seed, max_steps=steps, **options)
    simulator.reset()
    pilot = pilot or ClassicalPilot()
    for _ in range(steps):
        actions = pilot.act(simulator)
        assert actions.dtype == np.float32
        assert actions.shape == (swarms, drones, 4)
        assert np.abs(actions).max() <= 1
        simulator.step(actions)
    return simulator


@pytest.mark.parametrize("pilot", [ClassicalPilot(), HoverPilot(), RandomPilot()])
def test_pilots_have_the_interface(pilot):
    assert isinstance(pilot, Pilot)
    assert isinstance(pilot.name, str)


@pytest.mark.parametrize("task", ["hover", "flag", "sphere", "cube", "formation"])
def test_lands_on_static_formations(task):
    metrics = fly(task, 200, swarms=2, drones=16).metrics()
    assert (metrics["on_target"] == 1).all()
    assert (metrics["formation_error"] < 0.005).all()
    assert (metrics["time_to_form"] < 6).all()
    assert (metrics["collisions"] == 0).all()
    assert (metrics["crashes"] == 0).all()


@pytest.mark.parametrize("task", ["orbit", "follow", "conga", "idle"])
def test_stays_with_moving_formations(task):
    metrics = fly(task, 240, swarms=2, drones=16).metrics()
    assert (metrics["within_half_metre"] == 1).all()
    assert (metrics["formation_error"] < 0.02).all()
    assert metrics["collisions"].mean() <= 0.05
    assert (metrics["crashes"] == 0).all()


def test_flag_of_64_meets_its_bars():
    metrics = fly("flag", 240, swarms=4, drones=64, seed=100).metrics()
    assert (metrics["on_target"] >= 0.999).all()
    assert (metrics["formation_error"] < 0.01).all()
    assert np.median(metrics["time_to_form"]) < 6
    assert metrics["collisions"].mean() <= 0.05
    assert (metrics["crashes"] == 0).all()


def test_flag_of_64_with_optimal_assignment_never_collides():
    pytest.importorskip("scipy")
    metrics = fly("flag", 160, swarms=4, drones=64, seed=100, assignment="optimal").metrics()
    assert (metrics["collisions"] == 0).all()
    assert (metrics["time_to_form"] < 5).all()


def test_race_passes_rings_without_collisions():
    metrics = fly("race", 500, swarms=2, drones=64, seed=100).metrics()
    assert (metrics["rings_per_minute"] > 20).all()
    assert metrics["collisions"].mean() <= 0.5
    assert metrics["crashes"].mean() <= 0.01


def test_mixed_tasks_side_by_side():
    swarms = fly("mixed", 60, swarms=6, drones=8, seed=3)
    assert len(set(swarms.tasks)) > 1
    assert (swarms.metrics()["crashes"] == 0).all()


def test_randomised_airframes():
    metrics = fly("sphere", 360, swarms=2, drones=32, randomization=Randomization()).metrics()
    assert (metrics["on_target"] == 1).all()
    assert metrics["crashes"].mean() < 0.05


def test_an_airframe_without_damping():
    airframe = Airframe(angular_damping=0.0, linear_drag=0.0)
    metrics = fly("cube", 240, drones=8, airframe=airframe).metrics()
    assert (metrics["on_target"] == 1).all()
    assert (metrics["crashes"] == 0).all()


@pytest.mark.parametrize("task", ["hover", "flag", "follow", "conga", "race"])
def test_a_single_drone(task):
    metrics = fly(task, 400 if task == "race" else 200, drones=1).metrics()
    assert metrics["crashes"] == 0
    if task == "race":
        assert metrics["rings_per_minute"] > 10
    else:
        assert metrics["on_target"] == 1


def test_is_deterministic_and_each_swarm_on_its_own():
    many = fly("cube", 60, swarms=3, drones=16, seed=5)
    for k in range(3):
        alone = fly("cube", 60, drones=16, seed=5 + k)
        np.testing.assert_array_equal(many.position[k], alone.position[0])


def test_flies_several_episodes_and_simulators():
    pilot = ClassicalPilot()
    first = fly("cube", 60, pilot, drones=8, seed=5).position
    fly("flag", 10, pilot, swarms=2, drones=5)
    np.testing.assert_array_equal(fly("cube", 60, pilot, drones=8, seed=5).position, first)
    swarms = Swarms("cube", 1, 8, seed=5, max_steps=60)
    for _ in range(2):
        swarms.reset(seed=5)
        for _ in range(60):
            swarms.step(pilot.act(swarms))
        np.testing.assert_array_equal(swarms.position, first)


def test_takes_over_in_flight():
    swarms = Swarms("sphere", 1, 16, seed=0, max_steps=300)
    swarms.reset()
    astray = RandomPilot()
    for _ in range(10):
        swarms.step(astray.act(swarms))
    pilot = ClassicalPilot()
    for _ in range(290):
        swarms.step(pilot.act(swarms))
    assert swarms.metrics()["on_target"] == 1


def start_at(swarms, position, target):
    """Put resting drones somewhere, and their targets."""
    swarms.place(position=[position])
    swarms.set_targets(target)


def test_mirror_images_fly_mirror_images():
    paths = []
    for sign in (1, -1):
        swarms = Swarms("hover", 1, 1, seed=0)
        swarms.reset()
        start_at(swarms, [[10 * sign, 4, 2]], [[0, 0, 0]])
        pilot, path = ClassicalPilot(), []
        for _ in range(80):
            swarms.step(pilot.act(swarms))
            path.append(swarms.position[0, 0])
        paths.append(np.array(path) * [sign, 1, 1])
    np.testing.assert_allclose(*paths, atol=1e-3)
    assert np.linalg.norm(paths[0][-1]) < 0.05


def test_head_on_swap_keeps_clear():
    swarms = Swarms("hover", 1, 2, seed=0, max_steps=120)
    swarms.reset()
    start_at(swarms, [[8, 0, 0], [-8, 0, 0]], [[-8, 0, 0], [8, 0, 0]])
    pilot = ClassicalPilot()
    for _ in range(120):
        swarms.step(pilot.act(swarms))
    assert swarms.metrics()["collision_rate"] == 0
    assert (swarms.distance < 0.05).all()


def test_coincident_drones_give_finite_actions():
    swarms = Swarms("cube", 1, 4, seed=0)
    swarms.reset()
    swarms.place(position=np.ones((1, 4, 3)))
    pilot = ClassicalPilot()
    for _ in range(20):
        actions = pilot.act(swarms)
        assert np.isfinite(actions).all()
        swarms.step(actions)


def test_plans_anew_after_a_respawn():
    swarms = Swarms("cube", 1, 8, seed=0, max_steps=300)
    swarms.reset()
    pilot = ClassicalPilot()
    crashed = False
    for k in range(300):
        actions = pilot.act(swarms)
        if k < 60 and not crashed:
            actions[0, 3] = 1  # drone 3 is flown into the ceiling
        crashed |= bool(swarms.step(actions).crashed.any())
    assert crashed
    assert swarms.metrics()["on_target"] == 1


def test_ignores_drones_that_are_gone():
    swarms = Swarms("cube", 1, 8, seed=0, max_steps=200, crash="terminate")
    swarms.reset()
    pilot = ClassicalPilot()
    for _ in range(200):
        actions = pilot.act(swarms)
        actions[0, 3] = 1
        swarms.step(actions)
    assert not swarms.active[0, 3]
    assert swarms.metrics()["on_target"] == pytest.approx(7 / 8)


def test_primitives_start_and_end_where_they_should():
    rng = np.random.default_rng(0)
    offset, velocity, acceleration, bump = rng.normal(size=(4, 3))
    plan = np.zeros(primitives.PLAN)
    primitives.set_plan(plan, 1.0, 2.5, offset, velocity, acceleration, bump)
    for axis in range(3):
        begin = primitives.offset_at(plan, axis, 1.0)
        np.testing.assert_allclose(begin, [offset[axis], velocity[axis], acceleration[axis]])
        np.testing.assert_allclose(primitives.offset_at(plan, axis, 3.5 - 1e-9), 0, atol=1e-6)
        assert primitives.offset_at(plan, axis, 4.0) == (0, 0, 0)
        h = 1e-4  # derivatives by central differences
        x = [primitives.offset_at(plan, axis, 2.0 + k * h) for k in (-1, 0, 1)]
        np.testing.assert_allclose(x[1][1], (x[2][0] - x[0][0]) / (2 * h), rtol=1e-5)
        np.testing.assert_allclose(x[1][2], (x[2][1] - x[0][1]) / (2 * h), rtol=1e-5)


def test_separation_matches_a_fine_search():
    rng = np.random.default_rng(1)
    time = np.arange(primitives.SAMPLES)
    for _ in range(20):
        one, other = (
            np.cumsum(rng.normal(size=(3, primitives.SAMPLES)) * 0.3, axis=1).astype(np.float32)
            for _ in range(2)
        )
        around = np.zeros((2, planning.CHUNKS, 4), np.float32)
        planning.outline(one, around[0])
        planning.outline(other, around[1])
        fine = np.linspace(0, primitives.SAMPLES - 1, 20 * primitives.SAMPLES)
        gap = [np.interp(fine, time, (one - other)[axis]) for axis in range(3)]
        least = np.linalg.norm(gap, axis=0).min()
        found = planning.separation(one, around[0], other, around[1], 5.0)
        if least < 5.0:
            assert found == pytest.approx(least, abs=0.02)
        else:
            assert found >= 5.0 - 1e-3


def test_targets_on_circles_are_foreseen_exactly():
    rate, time = 0.3, np.arange(primitives.SAMPLES) * primitives.GRID
    target, velocity = np.array([[5.0, 0, 1]]), np.array([[0, 5 * rate, 0]])
    acceleration = np.array([[-5 * rate**2, 0, 0]])
    seen = foresee(target, velocity, acceleration)[0]
    np.testing.assert_allclose(seen[0], 5 * np.cos(rate * time), atol=1e-9)
    np.testing.assert_allclose(seen[1], 5 * np.sin(rate * time), atol=1e-9)
    np.testing.assert_allclose(seen[2], 1)


def test_weak_drones_have_lower_limits():
    strong = limits(Airframe().as_row()[None])[0]
    weak = limits(Airframe(max_rotor_speed=350).as_row()[None])[0]
    assert (weak <= strong).all()
    assert (weak > 0).all()
    assert weak[LATERAL] < 0.5 * strong[LATERAL]


def test_what_compiled_pilots_take_from_elsewhere_is_stamped():
    """Constants are frozen into compiled code: were their file not stamped, they would go stale."""
    package = Path(drone_formation.__file__).parent
    needed = set()
    for path in (package / "pilots").glob("*.py"):
        imports = [
            node
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module
        ]
        if any(node.module == "sim._jit" for node in imports):
            needed |= {package / f"{node.module.replace('.', '/')}.py" for node in imports}
    assert {path.name for path in needed} >= {"airframe.py", "curves.py"}
    assert needed - {Path(_jit.__file__)} <= set(_jit._TABLES)
