import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.render import Snapshot, interpolate, snapshot_of

POINTS = np.zeros((3, 3))


def test_only_positions_are_needed():
    snapshot = Snapshot([[0, 0, 1], [2, 0, 1]])
    assert len(snapshot) == 2
    assert snapshot.positions.dtype == np.float64
    np.testing.assert_array_equal(snapshot.attitudes, [[1, 0, 0, 0]] * 2)
    assert snapshot.colours.shape == (2, 3)
    assert snapshot.active.all()
    assert not snapshot.colliding.any()


def test_arrays_are_copied():
    points = np.ones((3, 3))
    snapshot = Snapshot(points)
    points[:] = 7
    assert (snapshot.positions == 1).all()


def test_attitudes_and_normals_are_normalised():
    snapshot = Snapshot(
        POINTS, attitudes=np.tile([2.0, 0, 0, 0], (3, 1)), rings=[[0, 0, 0, 0, 3, 0, 2.0]]
    )
    np.testing.assert_array_equal(snapshot.attitudes[0], [1, 0, 0, 0])
    np.testing.assert_array_equal(snapshot.rings[0, 3:6], [0, 1, 0])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("positions", np.zeros((3, 2)), ValueError),
        ("positions", np.zeros((0, 3)), ValueError),
        ("positions", [[0, 0, np.nan]] * 3, ValueError),
        ("positions", "here", TypeError),
        ("attitudes", np.ones((2, 4)), ValueError),
        ("attitudes", np.zeros((3, 4)), ValueError),
        ("colours", np.zeros((3, 4), int), ValueError),
        ("colours", np.full((3, 3), 256), ValueError),
        ("colours", np.full((3, 3), 0.5), ValueError),
        ("targets", np.zeros((4, 3)), ValueError),
        ("targets", np.full((3, 3), np.inf), ValueError),
        ("arena", (30, 30), ValueError),
        ("arena", (30, 0, 10), ValueError),
        ("collision_distance", -1.0, ValueError),
        ("collision_distance", "far", TypeError),
        ("colliding", [0, 1, 2], ValueError),
        ("active", np.ones(2, bool), ValueError),
        ("time", np.nan, ValueError),
        ("rings", np.zeros((1, 7)), ValueError),
        ("rings", np.zeros((1, 6)), ValueError),
        ("next_ring", 0, ValueError),
        ("hud", ["perf"], TypeError),
    ],
)
def test_bad_input_is_named(name, value, error):
    with pytest.raises(error, match=name):
        Snapshot(**({"positions": POINTS} | {name: value}))


def test_what_is_given_for_drones_that_are_gone_is_not_looked_at():
    rows = np.array([[1.0, 2, 3, 4], [np.nan] * 4, [1e15] * 4])
    there = [True, False, False]
    seen = Snapshot(
        rows[:, :3], rows, targets=rows[:, :3], active=there, colliding=np.ones(3, bool)
    )
    np.testing.assert_array_equal(seen.positions, [[1, 2, 3], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(seen.targets, seen.positions)
    np.testing.assert_array_equal(seen.attitudes[1:], [[1, 0, 0, 0]] * 2)
    assert seen.colliding.tolist() == seen.active.tolist() == there
    with pytest.raises(ValueError, match=r"positions\[1, 0\] is nan"):
        Snapshot(rows[:, :3], active=[True, True, False])


def test_interpolation_is_linear_and_leaves_jumps_alone():
    a = Snapshot([[0, 0, 0], [0, 0, 0]], targets=[[0, 0, 0]] * 2, time=1.0)
    b = Snapshot([[1, 0, 0], [9, 0, 0]], targets=[[0, 2, 0]] * 2, time=2.0)
    middle = interpolate(a, b, 0.25)
    np.testing.assert_allclose(middle.positions, [[0.25, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(middle.targets[0], [0, 0.5, 0])
    assert middle.time == 1.25
    assert interpolate(a, b, 0.0) is a
    assert interpolate(a, b, 1.0) is b
    assert interpolate(a, Snapshot(POINTS), 0.5).positions.shape == (3, 3)


def test_interpolation_takes_the_shorter_way_round():
    half = np.sqrt(0.5)
    a = Snapshot([[0, 0, 0]], attitudes=[[half, 0, 0, half]])
    b = Snapshot([[0, 0, 0]], attitudes=[[-half, 0, 0, -half]])  # the same attitude
    np.testing.assert_allclose(interpolate(a, b, 0.5).attitudes, a.attitudes)


@pytest.mark.parametrize("task", ["flag", "race"])
def test_a_simulator_in_one_instant(task):
    swarms = Swarms(task, 2, 5, seed=1, collision_distance=0.7)
    swarms.reset()
    for _ in range(20):
        swarms.step(np.zeros((2, 5, 4), np.float32))
    seen = snapshot_of(swarms, 1)
    np.testing.assert_array_equal(seen.positions, swarms.position[1])
    np.testing.assert_allclose(seen.attitudes, swarms.attitude[1], atol=1e-6)
    np.testing.assert_array_equal(seen.targets, swarms.target_position[1])
    np.testing.assert_array_equal(seen.colours, swarms.colours[1])
    np.testing.assert_array_equal(seen.arena, swarms.arena)
    assert seen.time == pytest.approx(1.0)
    assert seen.collision_distance == 0.7
    assert (seen.task, len(seen.hud)) == (task, 0)
    assert (seen.rings is None) == (task == "flag")


def test_the_figures_of_a_formation():
    swarms = Swarms("flag", 1, 8, seed=1)
    swarms.reset()
    away = np.zeros((1, 8, 3))
    away[0, :2] = [0, 0, 3.0]
    swarms.place(swarms.target_position + away)
    hud = snapshot_of(swarms, figures=True).hud
    assert hud["on target"] == "6 of 8"
    assert hud["formation error"] == "1.50 m"  # root of 2 / 8 of 9
    assert set(hud) == {"perf", "formation error", "on target", "collisions"}
    assert set(snapshot_of(swarms, figures=False).hud) == set()


def test_the_figures_of_a_race_are_its_rings():
    swarms = Swarms("race", 1, 2, seed=1)
    swarms.reset()
    ring = swarms.rings()[swarms.ring_index[0, 0]]
    before = np.stack([ring[:3] - 0.1 * ring[3:6], np.zeros(3)])[None]
    swarms.place(before, np.stack([5 * ring[3:6], np.zeros(3)])[None])
    swarms.step(np.zeros((1, 2, 4), np.float32))
    hud = snapshot_of(swarms, figures=True).hud
    assert hud["rings"] == "600.0 per drone-minute"  # one by two drones in 0.05 s
    assert set(hud) == {"rings", "collisions"}


def test_figures_when_all_drones_are_gone():
    swarms = Swarms("flag", 1, 2, seed=1, crash="terminate")
    swarms.reset()
    swarms.place(velocity=np.full((1, 2, 3), -50.0))
    for _ in range(100):
        swarms.step(np.zeros((1, 2, 4), np.float32))
    assert not swarms.active.any()
    seen = snapshot_of(swarms, figures=True)
    assert seen.hud["on target"] == "0 of 2"
    assert seen.hud["formation error"] == "nan m"
    for values in (seen.positions, seen.attitudes, seen.targets):
        assert np.isfinite(values).all()
