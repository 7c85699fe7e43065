"""Every task at every size: feasible, inside its arena, and moving as its velocities say."""

from __future__ import annotations

from dataclasses import astuple
from itertools import permutations

import numpy as np
import pytest

from drone_formation import Airframe, Randomization, RewardWeights, Swarms, formations
from drone_formation.airframe import CONTROL_STEP, PARAMETERS
from drone_formation.planner import BASE_ARENA, Planner, assign, check_task
from drone_formation.tasks import CLEARANCE, TASKS, Task
from drone_formation.trajectories import Trajectory

SIZES = (1, 2, 3, 7, 16, 63, 64, 65, 100, 256)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("num_drones", SIZES)
@pytest.mark.parametrize("collision_distance", [1.0, 2.5])
def test_feasible_at_all_times(task, num_drones, collision_distance):
    """Rule: targets and starts stay 1.5 collision distances apart; races share their rings."""
    check_task(TASKS[task], num_drones, collision_distance, seconds=51.2, instants=9)


def test_feasibility_is_looked_at():
    """Two targets that meet after a while, and one that leaves."""
    flag = TASKS["flag"]

    def folding(setting, rng):
        points = setting.formation.points * [1, -1, 1]
        return Trajectory(points, points[None] * [0, 1, 0], 0 * points[None], np.array([0.1]))

    with pytest.raises(ValueError, match=r"task 'folding', episode 0, targets at 19 s: two points"):
        check_task(Task("folding", formation=flag.formation, trajectory=folding))

    def leaving(setting, rng):
        points = setting.formation.points
        return Trajectory(points, 0 * points[None], points[None], np.array([0.1]))

    with pytest.raises(ValueError, match=r"targets at 10 s: point .* is outside the arena of half"):
        check_task(Task("leaving", formation=flag.formation, trajectory=leaving))
    roomy = Task("leaving", formation=flag.formation, trajectory=leaving, margin=(0, 10, 10))
    check_task(roomy, seconds=30)


@pytest.mark.parametrize("task", [task for task in TASKS if not TASKS[task].of])
@pytest.mark.parametrize("num_drones", [1024, 4096])
def test_large_swarms_fly(task, num_drones):
    swarms = Swarms(task, 1, num_drones, seed=0)
    swarms.reset()
    assert formations.least_distance(swarms.position[0].astype(float)) >= 1.5 - 1e-4
    if task != "race":
        assert formations.least_distance(swarms.target_position[0].astype(float)) >= 1.5 - 1e-4
    result = swarms.step(np.zeros((1, num_drones, 4), np.float32))
    assert np.isfinite(result.observations).all()
    assert not result.crashed.any()


@pytest.mark.parametrize("task", TASKS)
def test_target_velocity_is_the_derivative(task):
    swarms = Swarms(task, 3, 40, seed=7)
    swarms.reset()
    hover = np.zeros((3, 40, 4), np.float32)
    for _ in range(20):
        before, speed_before = swarms.target_position, swarms.target_velocity
        swarms.step(hover)
        mean_speed = (speed_before + swarms.target_velocity) / 2
        race = np.array([name == "race" for name in swarms.tasks])[:, None, None]
        moved = np.where(race, 0, swarms.target_position - before)
        np.testing.assert_allclose(moved, np.where(race, 0, mean_speed * CONTROL_STEP), atol=2e-3)


def test_the_classics_stand_where_they_should():
    flag = formations.flag(64, 1.5)
    assert flag.points[0].tolist() == [0, -7, 5]
    assert flag.points[63].tolist() == [0, 7, -5.5]
    colours = flag.colours.reshape(8, 8, 3)
    assert (colours[:4, :4] == formations.BLUE).all()
    for row in range(8):
        stripe = formations.RED if row % 2 == 0 else formations.WHITE
        assert (colours[row, 4:] == stripe).all()
        assert row < 4 or (colours[row, :4] == stripe).all()
    cube = formations.cube(64, 1.5).points
    assert sorted(set(cube.ravel())) == [-6, -2, 2, 6]
    assert len(np.unique(cube, axis=0)) == 64
    np.testing.assert_allclose(np.linalg.norm(formations.sphere(64, 1.5).points, axis=1), 8)


@pytest.mark.parametrize("name", ["flag", "cube", "sphere", "hover"])
def test_the_usual_arena(name):
    assert Swarms(name, 1, 64).arena.tolist() == BASE_ARENA.tolist()
    assert Swarms(name, 1, 64)._batch.settings["arena_diagonal"][0] == pytest.approx(
        87.178, abs=1e-3
    )


def test_the_conga_line_keeps_its_spacing():
    for num_drones in (2, 64, 500):
        plan = Planner(TASKS["conga"], num_drones, 1.0).plan(np.random.default_rng(1))
        for time in (0, 20, 50):
            line = plan.trajectory.position(time)
            gaps = np.linalg.norm(np.diff(line, axis=0), axis=1)
            assert gaps.min() >= 1.5
            assert gaps.max() <= 1.5 * 1.05 + 1e-9


@pytest.mark.parametrize(("num_drones", "separation"), [(16, 7.5), (27, 4.5), (3, 15), (79, 1.5)])
def test_short_conga_lines_with_wide_spacing(num_drones, separation):
    planner = Planner(TASKS["conga"], num_drones, separation / CLEARANCE)
    for seed in range(8):  # each starts elsewhere on the track
        line = planner.plan(np.random.default_rng(seed)).trajectory.position(0)
        assert formations.least_distance(line) >= separation * (1 - 1e-9)


def test_the_gone_leave_no_trace():
    """A drone that blew up and is gone for good must not turn the metrics into NaN."""
    swarms = Swarms(
        "idle", 1, 1, seed=0, crash="terminate", airframe=Airframe(arm=1e6),
        randomization=Randomization(spread=0.0, gravity_spread=0.0),
    )  # fmt: skip
    swarms.reset()
    rng = np.random.default_rng(0)
    for _ in range(5):
        swarms.step(rng.uniform(-1.5, 1.5, (1, 1, 4)).astype(np.float32))
    assert np.isfinite(swarms.metrics()["perf"]).all()


def test_optimal_assignment_is_shorter_and_keeps_the_colours():
    fixed, optimal = (
        Planner(TASKS["flag"], 64, 1.0, assignment).plan(np.random.default_rng(3))
        for assignment in ("fixed", "optimal")
    )
    assert np.array_equal(fixed.starts, optimal.starts)

    def cost(plan):
        return ((plan.starts - plan.trajectory.centre) ** 2).sum()

    assert cost(optimal) < cost(fixed)
    pairs = [
        {
            (*point, *colour)
            for point, colour in zip(plan.trajectory.centre, plan.colours, strict=True)
        }
        for plan in (fixed, optimal)
    ]
    assert pairs[0] == pairs[1]


def test_optimal_assignment_follows_moving_slots():
    for task in ("orbit", "follow", "conga", "idle"):
        swarms = Swarms(task, 1, 30, seed=2, assignment="optimal")
        swarms.reset()
        assert formations.least_distance(swarms.target_position[0].astype(float)) >= 1.5 - 1e-4


def test_own_points_and_colours():
    points = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 1.0]])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    swarms = Swarms("formation", 2, points=points, colours=colours)
    swarms.reset()
    np.testing.assert_allclose(swarms.target_position[1], points)
    assert np.array_equal(swarms.colours[0], colours)


def test_own_points_enlarge_the_arena():
    small, large = np.array([[0, 0, 0], [3.0, 0, 0]]), np.array([[0, 0, 0], [3.0, 0, 40]])
    assert Swarms("formation", points=small).arena.tolist() == BASE_ARENA.tolist()
    swarms = Swarms("formation", points=large, seed=0)
    assert swarms.arena.tolist() == [30, 30, 42]
    swarms.reset()
    np.testing.assert_allclose(swarms.target_position[0], large)
    assert not swarms.step(np.zeros((1, 2, 4), np.float32)).crashed.any()


@pytest.mark.parametrize("arena", [(12, 12, 11), (50, 40, 30)])
def test_an_arena_of_your_own(arena):
    swarms = Swarms("flag", 2, 64, seed=0, arena=arena)
    assert swarms.arena.tolist() == list(arena)
    swarms.reset()
    assert (np.abs(swarms.position) <= arena).all()
    assert np.abs(swarms.position).max() > 0.8 * max(arena)
    outside = swarms.target_position
    outside[:, 0] = np.array(arena) - 0.001
    swarms.place(outside, velocity=np.full((2, 64, 3), 1.0))
    crashed = swarms.step(np.zeros((2, 64, 4), np.float32)).crashed
    assert crashed[:, 0].all()
    assert not crashed[:, 1:].any()


def test_assign_is_the_best_of_all_orders():
    rng = np.random.default_rng(0)
    positions, slots = rng.normal(size=(2, 5, 3))

    def cost(order):
        return ((positions - slots[list(order)]) ** 2).sum()

    assert cost(assign(positions, slots)) == min(map(cost, permutations(range(5))))


GRID = np.stack(np.meshgrid([0, 2], [0, 2], [0, 2]), -1).reshape(-1, 3).astype(float)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"task": "pyramid"}, ValueError, "task must be one of"),
        ({"num_drones": 0}, ValueError, "num_drones must be from 1 to 4096, got 0"),
        ({"num_drones": 5000}, ValueError, "num_drones"),
        ({"num_drones": 2.0}, TypeError, "num_drones must be an integer"),
        ({"num_drones": True}, TypeError, "num_drones"),
        ({"num_swarms": 0}, ValueError, "num_swarms"),
        ({"max_steps": 0}, ValueError, "max_steps"),
        ({"substeps": 0}, ValueError, "substeps"),
        ({"control": "rates"}, ValueError, "control"),
        ({"assignment": "greedy"}, ValueError, "assignment"),
        ({"crash": "bounce"}, ValueError, "crash"),
        ({"neighbours": 9}, ValueError, "neighbours must be from 0 to 8, got 9"),
        ({"neighbours": -1}, ValueError, "neighbours"),
        ({"collision_distance": 0}, ValueError, "collision_distance"),
        ({"collision_distance": np.nan}, ValueError, "collision_distance"),
        ({"collision_distance": "1"}, TypeError, "collision_distance"),
        ({"collision_distance": 1e6}, ValueError, "from 0.01 to 100"),
        ({"num_threads": 0}, ValueError, "num_threads"),
        ({"airframe": {"mass": 1}}, TypeError, "airframe must be a Airframe"),
        ({"reward": 3}, TypeError, "reward"),
        ({"randomization": True}, TypeError, "randomization"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
        ({"seed": [1, 2, 3]}, ValueError, "seed must hold 1 integers"),
        ({"points": GRID}, ValueError, "points are for the task"),
        ({"task": "formation", "points": GRID * 0.5}, ValueError, "1.000 m apart"),
        ({"task": "formation", "points": GRID * 1e5}, ValueError, "points must be .* 10000, got"),
        (
            {"task": "formation", "points": GRID, "arena": (30, 3.9, 30)},
            ValueError,
            r"arena: the formation of task 'formation' does not fit: its point 4 at \[0.0, 2.0, "
            r"0.0\] needs half extents of \[2.0, 4.0, 2.0\] m, got \[30.0, 3.9, 30.0\]",
        ),
        ({"arena": (8, 8, 8)}, ValueError, "its point 0 at .*, -7.0, 5.0. needs"),
        ({"task": "hover", "arena": (4, 4, 4)}, ValueError, "64 drones cannot start at random in"),
        ({"arena": (30, 30)}, ValueError, r"arena must have shape \(3,\), got \(2,\)"),
        ({"arena": "large"}, TypeError, "arena must be three numbers"),
        ({"arena": (30, np.nan, 30)}, ValueError, "arena must be finite and from 0 to 10000, got"),
        ({"arena": (30, -30, 30)}, ValueError, "arena must be .* got -30.0 at"),
        ({"task": "formation", "points": GRID[:, :2]}, ValueError, "shape"),
        ({"task": "formation", "points": GRID * np.nan}, ValueError, "finite"),
        ({"task": "formation", "points": "cube"}, TypeError, "points"),
        ({"task": "formation", "points": GRID, "num_drones": 9}, ValueError, "num_drones"),
        ({"task": "formation", "points": GRID, "colours": GRID}, ValueError, "colours"),
        ({"task": "formation", "colours": GRID}, ValueError, "colours need points"),
        ({"airframe": Airframe(motor_time_constant=0.005)}, ValueError, "substeps must be 4"),
    ],
)
def test_bad_arguments(options, error, says):
    with pytest.raises(error, match=says):
        Swarms(**options)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Airframe(mass=0), ValueError),
        (lambda: Airframe(mass=np.nan), ValueError),
        (lambda: Airframe(mass="1"), TypeError),
        (lambda: Airframe(inertia=(1, 2)), TypeError),
        (lambda: Airframe(linear_drag=-1), ValueError),
        (lambda: Airframe(mass=50), ValueError),
        (lambda: Randomization(size=(0.4, 0.1)), ValueError),
        (lambda: Randomization(spread=0.5), ValueError),
        (lambda: RewardWeights(collision=-1), ValueError),
        (lambda: RewardWeights(crash=np.inf), ValueError),
        (lambda: RewardWeights(crash=1e39), ValueError),
        (lambda: Airframe(mass=1e39), ValueError),
        (lambda: RewardWeights(spin=None), TypeError),
    ],
)
def test_bad_dataclasses(make, error):
    with pytest.raises(error):
        make()


def rows(num_drones, separation):
    return formations.Formation(GRID[:num_drones] * separation, formations.rainbow(num_drones))


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"name": "Figure-8"}, ValueError, r"name must be words .* 'figure_eight'; got 'Figure-8'"),
        ({"name": "a_1"}, ValueError, "each beginning with a letter"),
        ({"name": ""}, ValueError, "name"),
        ({"name": 8}, TypeError, "name must be a string, got 8"),
        ({"summary": None}, TypeError, "task 'own': summary must be a string"),
        ({"formation": GRID}, TypeError, "task 'own': formation must be a function"),
        ({"trajectory": None}, TypeError, "trajectory must be a function, got None"),
        ({"reward": {"crash": 1}}, TypeError, "reward must be RewardWeights"),
        ({"margin": (1, 2)}, TypeError, "margin must be three numbers"),
        ({"margin": (1, 2, -3)}, ValueError, "margin must be finite and 0 or more"),
        ({"version": -1}, ValueError, "version must be 0 or more"),
        ({"holds": 1}, TypeError, "holds must be True or False"),
        ({"of": "flag"}, TypeError, "of must be a tuple of names"),
        ({"of": ("flag",), "formation": rows}, ValueError, "of and formation exclude each other"),
        ({"holds": True, "formation": rows}, ValueError, "holds and formation exclude"),
        ({"rings": lambda s, r: GRID}, ValueError, "rings need a formation"),
    ],
)
def test_bad_tasks(fields, error, says):
    with pytest.raises(error, match=says):
        Task(**{"name": "own", **fields})


def leaves(setting, rng):
    return Trajectory.still(setting.formation.points + 50)


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"formation": lambda n, s: GRID}, TypeError, "must return a Formation, got array"),
        ({"formation": lambda n, s: rows(n - 1, s)}, ValueError, "as many as drones, 4, got 3"),
        ({"formation": lambda n, s: rows(n, s / 4)}, ValueError, r"0.750 m apart; at least 1.5 m"),
        ({"formation": rows, "trajectory": leaves}, ValueError, "point 0 at .* outside the arena"),
        ({"formation": rows, "trajectory": lambda s, r: GRID}, TypeError, "return a Trajectory"),
        ({"formation": rows, "trajectory": lambda s, r: Trajectory(GRID)}, ValueError, "4, got 8"),
        ({"start": lambda room, n, s, r: GRID[:2]}, ValueError, "its starts must be as many"),
        ({"start": lambda room, n, s, r: GRID[:4] / 9}, ValueError, "starts: two points are 0.222"),
        ({"start": lambda room, n, s, r: GRID[:4] * 99}, ValueError, "starts: point 1 .* outside"),
        ({"formation": rows, "rings": lambda s, r: GRID}, ValueError, r"rings must have shape \(R"),
        ({"formation": rows, "rings": lambda s, r: np.zeros((2, 6))}, ValueError, "normals of its"),
    ],
)
def test_tasks_whose_functions_return_nonsense(fields, error, says):
    with pytest.raises(error, match=says):
        Planner(Task("own", **fields), 4, 1.0).plan(np.random.default_rng(0))


def test_ids_are_written_in_camel_case():
    assert Task("figure_eight", version=2).id == "DroneFigureEight-v2"
    assert Task("hover2").id == "DroneHover2-v0"
    assert [task.id for task in TASKS.values()][:2] == ["DroneIdle-v0", "DroneHover-v0"]


def test_tasks_say_by_fields_what_they_are():
    assert [name for name, task in TASKS.items() if task.races] == ["race", "mixed"]
    assert [name for name, task in TASKS.items() if task.accepts_points] == ["formation"]
    assert [name for name, task in TASKS.items() if task.holds] == ["hover"]


def test_a_race_of_your_own():
    """Three rings around a triangle, for which neither the simulator nor pacing needs a name."""

    def triangle(setting, rng):
        angle = 2 * np.pi * np.arange(3) / 3
        along = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=1)
        return np.concatenate([setting.formation.points[:3], along], axis=1)

    def corners(num_drones, separation):
        angle = 2 * np.pi * np.arange(num_drones) / 3
        points = 15 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
        return formations.Formation(points, formations.rainbow(num_drones))

    task = Task("triangle", formation=corners, rings=triangle)
    assert task.races
    planner = Planner(task, 6, 1.0)
    assert planner.num_rings == 3
    plan = planner.plan(np.random.default_rng(0))
    assert sorted(plan.first_ring) == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(plan.trajectory.position(9.0), plan.rings[plan.first_ring, :3])


def test_bad_actions():
    swarms = Swarms("flag", 2, 4, seed=0)
    good = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(RuntimeError, match="reset"):
        swarms.step(good)
    swarms.reset()
    before = swarms.position
    for bad, error, says in (
        (good[0], ValueError, "shape"),
        (good.astype(int), TypeError, "floats"),
        (np.where(np.arange(4) == 2, np.nan, good), ValueError, "number 2 of drone 0 in swarm 0"),
        (np.where(np.arange(4) == 1, np.inf, good), ValueError, "finite"),
        ("hover", TypeError, "floats"),
    ):
        with pytest.raises(error, match=says):
            swarms.step(bad)
    assert np.array_equal(swarms.position, before), "a refused step must not change anything"


def test_actions_are_clipped():
    big, one = (Swarms("flag", 1, 4, seed=0) for _ in range(2))
    big.reset()
    one.reset()
    big.step(np.full((1, 4, 4), 1e30, np.float32))
    one.step(np.ones((1, 4, 4), np.float32))
    assert np.array_equal(big.position, one.position)


def test_randomised_airframes_can_fly_and_scale():
    rows = Randomization().sample(Airframe(), 500, np.random.default_rng(0))
    column = {name: rows[:, i] for i, name in enumerate(PARAMETERS)}
    weight = column["mass"] * column["gravity"]
    thrust = 4 * column["thrust_coefficient"] * column["max_rotor_speed"] ** 2
    assert (thrust > weight).all()
    np.testing.assert_allclose(
        4 * column["thrust_coefficient"] * column["hover_rotor_speed"] ** 2, weight
    )
    assert 0.09 < column["arm"].min() < 0.13
    assert 0.35 < column["arm"].max() < 0.44
    swarms = Swarms("hover", 2, 32, seed=0, randomization=Randomization())
    swarms.reset()
    assert np.ptp(swarms.airframes[..., 0]) > 1
    for _ in range(50):
        swarms.step(np.zeros((2, 32, 4), np.float32))
    assert swarms.distance.max() < 0.05


def test_metrics_of_a_perfect_hover():
    swarms = Swarms("hover", 2, 8, seed=0, max_steps=100)
    swarms.reset()
    for _ in range(100):
        result = swarms.step(np.zeros((2, 8, 4), np.float32))
    assert result.truncated.all()
    metrics = swarms.metrics()
    np.testing.assert_allclose(metrics["perf"], 1, atol=1e-4)
    assert (metrics["formation_error"] < 0.01).all()
    for name, value in (("on_target", 1), ("time_to_form", 0), ("collisions", 0), ("crashes", 0)):
        assert (metrics[name] == value).all(), name
    assert (metrics["min_separation"] >= 1.5 - 1e-3).all()


def test_metrics_by_hand():
    swarms = Swarms("flag", 1, 16, seed=0, max_steps=50, collision_distance=1.5)
    swarms.reset()
    rng = np.random.default_rng(0)
    score, late, separation = 0.0, [], np.inf
    for step in range(1, 51):
        swarms.step(rng.normal(0, 0.05, (1, 16, 4)).astype(np.float32))
        distance = swarms.distance.astype(float)
        score += (
            1 - distance / swarms._batch.settings["arena_diagonal"][0] - swarms.colliding
        ).mean()
        if step > 40:
            late.append(distance)
        if step >= 40:
            gaps = np.linalg.norm(swarms.position[0][:, None] - swarms.position[0], axis=-1)
            separation = min(separation, gaps[~np.eye(16, dtype=bool)].min())
    metrics = {name: value[0] for name, value in swarms.metrics().items()}
    assert metrics["crashes"] == 0
    assert metrics["perf"] == pytest.approx(score / 50, abs=1e-5)
    assert metrics["formation_error"] == pytest.approx(np.sqrt(np.square(late).mean()), rel=1e-5)
    assert metrics["min_separation"] == pytest.approx(separation, rel=1e-5)
    assert metrics["on_target"] == 0
    assert metrics["time_to_form"] == np.inf


def test_each_episode_pays_what_its_task_pays():
    """The recipe's weights are the tasks' own; a mixture pays those of what it draws."""
    assert RewardWeights() == RewardWeights(approach=0.5, collision=10.0, crash=10.0)
    racing = RewardWeights(approach=1.0, ring=1.0, collision=10.0, conflict=0.05, crash=10.0)
    for name, task in TASKS.items():
        assert task.reward == (racing if name == "race" else RewardWeights())
    mixed = Swarms("mixed", 32, 3, seed=0)
    mixed.reset()
    assert "race" in mixed.tasks
    for name, weights in zip(mixed.tasks, mixed._batch.settings["weights"], strict=True):
        assert weights.tolist() == tuple(np.float32(astuple(TASKS[name].reward)))
    given = Swarms("mixed", 32, 3, seed=0, reward=RewardWeights(crash=1))
    given.reset()
    paid = given._batch.settings["weights"]
    assert {row.tolist() for row in paid} == {tuple(np.float32(astuple(RewardWeights(crash=1))))}
