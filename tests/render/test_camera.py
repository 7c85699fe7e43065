from math import pi, radians

import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.render import PRESETS, Camera, Snapshot, snapshot_of
from drone_formation.render.camera import as_view
from drone_formation.tasks import TASKS

from .conftest import flag

SIZE = (1280, 720)


@pytest.mark.parametrize("azimuth", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("elevation", [0.0, 0.4, pi / 2, -pi / 2])
def test_axes_are_a_right_handed_frame(azimuth, elevation):
    right, up, forward = Camera(azimuth=azimuth, elevation=elevation).axes
    np.testing.assert_allclose(np.cross(right, up), -forward, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm([right, up, forward], axis=1), 1)
    assert right[2] == 0  # no roll


def test_the_target_lies_in_the_middle_at_its_distance():
    camera = Camera(target=(1, 2, 3), distance=17, azimuth=0.7, elevation=0.3)
    pixels, depth = camera.project(np.array([[1, 2, 3]]), SIZE)
    np.testing.assert_allclose(pixels, [[640, 360]])
    np.testing.assert_allclose(depth, [17])
    np.testing.assert_allclose(np.linalg.norm(camera.eye - (1, 2, 3)), 17)


def test_projection_by_hand():
    # From x = +10 looking along -x with 90 degrees of view: +y is right, +z is up.
    camera = Camera(distance=10, elevation=0, fov=pi / 2)
    points = np.array([[0, 5, 0], [0, 0, 5], [5, 2.5, 0], [20, 0, 0]])
    pixels, depth = camera.project(points, (200, 100))
    np.testing.assert_allclose(pixels[:3], [[125, 50], [100, 25], [125, 50]])
    np.testing.assert_allclose(depth, [10, 10, 5, -10])
    assert np.isfinite(pixels).all()  # behind the eye: finite, and told by the depth


def test_from_the_top_y_is_right_and_x_is_down():
    pixels, _ = Camera(elevation=pi / 2).project(np.array([[0, 3, 0], [3, 0, 0]]), SIZE)
    assert pixels[0, 0] > 640
    assert pixels[0, 1] == pytest.approx(360)
    assert pixels[1, 1] > 360


def test_orbit_zoom_and_pan_return_new_cameras():
    camera = Camera(distance=10)
    assert camera.orbit(0.1, 0.2).azimuth == pytest.approx(0.1)
    assert camera.orbit(0, 9).elevation == pi / 2
    assert camera.orbit(4, 0).azimuth == pytest.approx(4 - 2 * pi)
    assert camera.zoom(2).distance == 5
    assert camera.zoom(1e9).distance == 1
    np.testing.assert_allclose(camera.pan(1, 0).target, (0, 1, 0), atol=1e-12)
    assert camera == Camera(distance=10)


@pytest.mark.parametrize("size", [(1280, 720), (300, 600)])
@pytest.mark.parametrize("angles", [(0.0, 0.0), (0.5, 0.3), (2.0, 1.5)])
def test_framing_fits_the_points_tightly(size, angles):
    points = np.random.default_rng(0).normal(size=(50, 3)) * (3, 8, 5) + (4, 1, -2)
    camera = Camera(azimuth=angles[0], elevation=angles[1]).framing(points, size, fill=0.8)
    pixels, depth = camera.project(points, size)
    assert (depth > 0).all()
    reach = np.abs(pixels / size * 2 - 1).max()
    assert reach == pytest.approx(0.8)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("n", [1, 64])
def test_presets_show_the_formation(preset, n):
    snapshot = flag() if n == 1 else Snapshot([[3, 4, 5]], targets=[[3, 4, 5]])
    for time in (0.0, 7.0):
        camera = PRESETS[preset](Snapshot(snapshot.positions, time=time), SIZE)
        pixels, depth = camera.project(snapshot.positions, SIZE)
        assert (depth > 0).all()
        assert ((pixels > 0) & (pixels < SIZE)).all()
        assert camera.eye[2] > -snapshot.arena[2]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", [1, 64, 1024])
def test_no_preset_cuts_a_task_off(task, n):
    swarms = Swarms(task, 1, n, seed=2)
    swarms.reset()
    start = snapshot_of(swarms)
    if start.rings is None:
        swarms.place(swarms.target_position)
    there = snapshot_of(swarms)
    for preset, view in PRESETS.items():
        seen = [(there, there.targets, 1.0)]
        if preset in ("auto", "cinematic"):  # these look at the drones, not only at their targets
            seen.append((start, start.positions, 0.85))
        for snapshot, points, least in seen:
            pixels, depth = view(snapshot, SIZE).project(points, SIZE)
            inside = (depth > 0) & ((pixels > 0) & (pixels < SIZE)).all(axis=1)
            assert inside.mean() >= least, preset


def test_front_stands_on_the_x_side_with_the_canton_top_left():
    snapshot = flag()
    camera = PRESETS["front"](snapshot, SIZE)
    assert camera.eye[0] > 10
    pixels, _ = camera.project(snapshot.positions, SIZE)
    assert (pixels[0] < (640, 360)).all()  # y = -7, z = 5
    assert (pixels[63] > (640, 360)).all()


def test_auto_closes_in_as_the_swarm_gathers():
    there = flag()
    away = flag(positions=there.positions + np.array([20, 0, 0]))
    assert PRESETS["auto"](away, SIZE).distance > 1.2 * PRESETS["auto"](there, SIZE).distance


def test_cinematic_turns_with_time():
    a, b = (PRESETS["cinematic"](flag(time=t), SIZE) for t in (0.0, 10.0))
    assert b.azimuth - a.azimuth == pytest.approx(2 * pi * 10 / 80)


@pytest.mark.parametrize(
    "values",
    [
        {"distance": 0.0},
        {"distance": float("nan")},
        {"fov": pi},
        {"elevation": 2.0},
        {"target": (0.0, 0.0)},
    ],
)
def test_bad_cameras_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Camera(**values)


def test_views():
    camera = Camera(azimuth=radians(30))
    assert as_view(camera)(flag(), SIZE) is camera
    assert as_view(None) is PRESETS["auto"]
    assert as_view("top") is PRESETS["top"]
    with pytest.raises(ValueError, match="sideways"):
        as_view("sideways")
    with pytest.raises(TypeError, match="camera"):
        as_view(3)
