import numpy as np
import pytest

from drone_formation.render import Snapshot, interpolate

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
