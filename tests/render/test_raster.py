"""The compiled painting: light lands where geometry says, in the amount that was asked for."""

import ast
import os
import subprocess
import sys
from math import pi
from pathlib import Path

import numpy as np
import pygame
import pytest

from drone_formation.render import Camera, raster
from drone_formation.render.backdrop import Backdrop
from drone_formation.render.raster import canvas, floats, paint

ARENA = np.array([30.0, 30.0, 10.0])
SIZE = (320, 180)


def pixels(surface: pygame.Surface) -> np.ndarray:
    """(H, W, 3)."""
    return pygame.surfarray.array3d(surface).swapaxes(0, 1).astype(int)


def lines(starts, ends, colour=(100, 50, 20), fade=None, add=True, onto=None) -> np.ndarray:
    """A picture of lines that all have one colour."""
    surface = onto or canvas(SIZE)
    starts, ends = np.atleast_2d(starts), np.atleast_2d(ends)
    colours = np.tile(colour, (len(starts), 1))
    fades = colours if fade is None else np.tile(fade, (len(starts), 1))
    paint(raster.draw_lines, surface, *floats(starts, ends, colours, fades), add)
    return pixels(surface)


def bands(starts, ends, half, colour=(200, 100, 40)) -> np.ndarray:
    surface = canvas(SIZE)
    arrays = [starts], [ends], [colour], [half]
    paint(raster.draw_bands, surface, *floats(*map(np.array, arrays)))
    return pixels(surface)


def drone(reach=30.0, x=(1, 0), y=(0, -1), at=(160.0, 90.0), light=0.0) -> np.ndarray:
    """A white drone whose x and y axes are drawn along two arrows (right, down)."""
    surface = canvas(SIZE)
    arrays = [at], [[x, y]], [reach], [[200] * 3], [[light] * 3]
    paint(raster.draw_drones, surface, *floats(*map(np.array, arrays)))
    return pixels(surface)[..., 0]


def test_the_compiled_code_depends_on_no_other_module():
    """numba's cache is stamped by one file; a constant of another module could go stale in it."""
    tree = ast.parse(Path(raster.__file__).read_text())
    own = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert [(node.module, [name.name for name in node.names]) for node in own] == [
        ("sim._jit", ["compiled"])  # which is a plain function
    ]


def test_a_fresh_process_draws_the_same_whether_or_not_it_compiles(tmp_path):
    """The first process fills numba's cache and says that it does, the second reads it.

    Without the garbage collector, since the compiler leaves cycles that hold its arguments.
    """
    code = (
        "import gc, hashlib; gc.disable(); "
        "from drone_formation.render import Renderer, Snapshot; "
        "renderer = Renderer((64, 64), trails=1.0); "
        "frames = [renderer.frame(Snapshot([[k, 0, 0]], time=k / 20)) for k in range(2)]; "
        "print([hashlib.sha256(frame).hexdigest() for frame in frames])"
    )
    cold, warm = (
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )
        for _ in range(2)
    )  # fmt: skip
    assert cold.stderr.count("compiling the renderer") <= 1  # not on a very fast machine
    assert "compiling" not in warm.stderr
    assert list(tmp_path.rglob("*.nbi"))
    assert cold.stdout == warm.stdout


# ---- sky and ground ----------------------------------------------------------------------------


def backdrop(camera: Camera, size=(640, 360)) -> np.ndarray:
    surface = canvas(size)
    Backdrop().draw(surface, camera, ARENA)
    return pixels(surface).astype(float)


@pytest.mark.parametrize("azimuth", [0.0, 0.5, 2.2, -1.2])
@pytest.mark.parametrize("elevation", [0.1, 0.5, pi / 2])
def test_grid_lines_lie_where_the_camera_sees_them(azimuth, elevation):
    camera = Camera(target=(2, -3, -6), distance=30, azimuth=azimuth, elevation=elevation)
    picture = backdrop(camera).sum(axis=2)
    middles = np.stack(np.meshgrid(np.arange(-17.5, 18, 5), np.arange(-17.5, 18, 5)), -1)
    dark = np.column_stack([middles.reshape(-1, 2), np.full(middles[..., 0].size, -10)])
    for shift in ((2.5, 0), (0, 2.5)):  # from the middle of a cell to its border
        bright = dark + np.array([*shift, 0])
        ends = [camera.project(points, (640, 360)) for points in (dark, bright)]
        inside = np.all(
            [(depth > 1) & ((p > 1) & (p < (638, 358))).all(axis=1) for p, depth in ends], axis=0
        )
        # Where a cell is many pixels wide both ways, its lines are at full strength.
        inside &= np.abs(ends[0][0] - ends[1][0]).max(axis=1) > 14
        inside &= ends[0][1] < 40
        (x, y), (u, v) = (np.floor(p[inside]).astype(int).T for p, _ in ends)
        if elevation > 0.3:  # lower down, few cells are wide enough
            assert inside.sum() > 5
            assert (picture[v, u] > picture[y, x] + 15).mean() > 0.9


def test_the_sky_is_dithered_not_banded():
    picture = backdrop(Camera(distance=30, elevation=-0.3, target=(0, 0, 20)))
    rows = picture[5:200].mean(axis=1)  # each row's mean shows fractions of a level
    assert np.abs(np.diff(rows, 2, axis=0)).mean() < 0.3
    assert (rows % 1 > 0.05).mean() > 0.8


def test_a_backdrop_seen_again_is_the_same():
    surface, scenery = canvas(SIZE), Backdrop()
    camera = Camera(distance=30)
    pictures = []
    for seen in (camera, camera, camera, Camera(distance=31), camera):
        surface.fill(0)
        scenery.draw(surface, seen, ARENA)
        pictures.append(pixels(surface))
    for k in (1, 2, 4):
        np.testing.assert_array_equal(pictures[k], pictures[0])
    assert (pictures[3] != pictures[0]).any()


def test_stars_are_added_and_the_bright_ones_get_a_cross():
    surface = canvas(SIZE)
    places, lights = np.array([[10.5, 10.5], [50.5, 60.5], [-5, 3], [1e6, 0]]), [40, 200, 99, 99]
    paint(raster.add_dots, surface, *floats(places, np.array(lights), np.array([1, 1, 1.1])))
    picture = pixels(surface)
    assert tuple(picture[10, 10]) == (40, 40, 44)
    assert tuple(picture[60, 50]) == (200, 200, 220)
    assert tuple(picture[60, 51]) == (50, 50, 55)
    assert np.count_nonzero(picture.sum(axis=2)) == 1 + 5


# ---- lines and bands ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "length"),
    [
        ((20, 30.5), (120, 30.5), 100),  # along a row
        ((20.2, 30), (120.2, 80), 100),
        ((50, 20), (81, 140), 120),  # steep
        ((90, 140), (81, 20), 120),  # upwards
    ],
)
def test_a_line_has_its_light_and_its_place(start, end, length):
    picture = lines(start, end)
    total = picture.sum(axis=(0, 1))
    np.testing.assert_allclose(total, length * np.array([100, 50, 20]), rtol=0.06)
    assert np.abs(picture - lines(end, start)).max() <= 1
    rows, columns = np.nonzero(picture[..., 0])
    u, v = np.array(end, float) - start
    gaps = np.abs((columns + 0.5 - start[0]) * v - (rows + 0.5 - start[1]) * u) / np.hypot(u, v)
    assert gaps.max() <= 1.0


def test_a_line_in_pieces_is_the_same_line():
    ends = np.linspace((10, 20), (200, 90), 20)
    whole = lines(ends[0], ends[-1])
    assert np.abs(lines(ends[:-1], ends[1:]) - whole).max() <= 1


def test_lines_fade_along_their_way():
    red = lines((10, 50.5), (110, 50.5), colour=(200, 0, 0), fade=(0, 0, 0))[50, :, 0]
    assert (np.diff(red[12:108]) <= 0).all()
    assert red[60] == pytest.approx(100, abs=3)


def test_lines_add_up_or_stand_side_by_side():
    row = (10, 50.5), (110, 50.5)
    starts, ends = np.tile(row[0], (4, 1)), np.tile(row[1], (4, 1))
    once = lines(*row)
    np.testing.assert_array_equal(lines(starts, ends, add=False), once)
    assert lines(starts, ends)[50, 60].tolist() == [255, 200, 80]  # white is the end of it


@pytest.mark.parametrize("shift", [(0, 0), (-1000, 7), (5, 1e7), (1e7, 1e7)])
def test_what_is_outside_is_cut_off(shift):
    start, end = np.array([-500.0, 40.25]) + shift, np.array([900.0, 60.75]) + shift
    picture = lines(start, end)
    if shift == (0, 0):
        assert np.count_nonzero(picture[..., 0].sum(axis=0)) == SIZE[0]
        part = start + (end - start) * 0.3, start + (end - start) * 0.7  # still beyond both sides
        assert np.abs(lines(*part) - picture).max() <= 2
    band = bands(start, end, 4.0)
    assert (band.sum() > 0) == (shift == (0, 0))


@pytest.mark.parametrize("half", [0.9, 3.0, 12.0])
@pytest.mark.parametrize("end", [(60.0, 80.0), (200.0, 80.0), (180.0, 140.0)])
def test_bands_have_their_area_and_round_ends(half, end):
    start = (60.0, 80.0)
    covered = bands(start, end, half)[..., 0].sum() / 200
    length = np.hypot(*np.subtract(end, start))
    assert covered == pytest.approx(2 * half * length + pi * half**2, rel=0.1)


# ---- drones ------------------------------------------------------------------------------------


def test_a_drone_reaches_as_far_as_its_rotors():
    for reach in (8.0, 30.0, 60.0):
        rows, columns = np.nonzero(drone(reach) > 80)
        assert (columns.max() - columns.min() + 1) / 2 == pytest.approx(reach, abs=1)
        assert (rows.max() - rows.min() + 1) / 2 == pytest.approx(reach, abs=1)


def test_a_tilted_drone_is_foreshortened_but_never_vanishes():
    for height in (0.6, 0.2, 0.0):
        picture = drone(60, y=(0, -height))
        rows, columns = np.nonzero(picture[:, :130] > 60)  # the -x rotor alone
        assert columns.min() == pytest.approx(100, abs=1)
        hub = 0.06 * 60
        high = (rows.max() - rows.min() + 1) / 2
        assert high == pytest.approx(max(20 * height, hub), abs=1.5)


def test_rotors_sit_on_the_axes_and_the_nose_shows_forward():
    picture = drone(60)
    rotors = {"+x": (200, 90), "-x": (120, 90), "+y": (160, 50), "-y": (160, 130)}
    light = {name: picture[y - 4 : y + 5, x - 4 : x + 5].mean() for name, (x, y) in rotors.items()}
    assert min(light.values()) > 60
    assert light["+x"] == max(light.values())
    assert light["+x"] > 1.2 * light["-x"]
    assert picture[90 - 42, 160 + 42] == 0  # between two rotors
    turned = drone(60, x=(0, -1), y=(-1, 0))  # a quarter to the left
    assert turned[46:55, 156:165].mean() == pytest.approx(light["+x"], rel=0.05)


def test_far_away_only_the_light_is_seen():
    near, far = drone(1.6, light=100), drone(1.2, light=100)
    assert np.count_nonzero(far) < np.count_nonzero(near)
    assert far.max() > 100
    assert np.count_nonzero(far) <= 9


def test_the_later_drone_is_in_front():
    surface = canvas(SIZE)
    axes = np.tile([[1, 0], [0, -1]], (2, 1, 1))
    for order in ([0, 1], [1, 0]):
        tints = np.array([[250, 0, 0], [0, 0, 250]])[order]
        arrays = np.tile([160, 90], (2, 1)), axes, np.array([40, 40]), tints, np.zeros((2, 3))
        paint(raster.draw_drones, surface, *floats(*arrays))
        red, _, blue = pixels(surface)[90, 160]
        assert (blue > red) == (order[1] == 1)


@pytest.mark.parametrize("at", [(-20, 50), (330, 175), (160, -25), (1e6, 1e6), (-1e6, 90)])
def test_drones_at_the_border_and_beyond(at):
    picture = drone(30, at=at)
    assert picture.any() == (abs(at[0]) < 1e5)
