"""Compiled painting: sky and ground, stars, lines, and drones.

SDL copies sprites quickly, but has no grid in perspective and no smooth ellipse, and a call per
line is slow. These functions write straight into a surface's pixels, (H, W) int32, which hold 0 to
255 of red, green and blue at bits 16, 8 and 0. Pixel (x, y) covers the square from x to x + 1 and
y to y + 1. All in one file, which imports nothing compiled: numba's disk cache notices changes only
in the file that holds a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pygame

from ..sim._jit import compiled

# A drone, as shares of its reach (the distance from its middle to the rim of a rotor): at the
# default collision distance of 1 m the reach is 0.45 m, an arm 0.30 m, a rotor 0.15 m.
ARM = 2 / 3
ROTOR = 1 / 3
BODY = 0.31

BLOCK = 64  # px; what changes slowly along a row is computed once in this many columns

# numba has no types for mypy: what these decorators return takes anything.
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
jitted: _Decorator = compiled(error_model="numpy")  # type: ignore[no-untyped-call, unused-ignore]
inlined: _Decorator = compiled(  # type: ignore[no-untyped-call, unused-ignore]
    error_model="numpy", forceinline=True
)

# What numba compiles for float32 and int32 alike; NumPy's stubs would have each operation cast.
Number = Any
Colour = tuple[Number, Number, Number]  # red, green, blue, from 0 up; 255 is bright
Vector = tuple[Number, Number]  # right, down, pixels

_ZERO, _HALF, _ONE, _FULL = (np.float32(x) for x in (0, 0.5, 1, 255))
_TINY = np.float32(1e-6)
_COLUMNS = np.arange(BLOCK, dtype=np.float32)


def canvas(size: tuple[int, int]) -> pygame.Surface:
    """A black surface of the layout that this module paints on."""
    return pygame.Surface(size, 0, 32, (0xFF0000, 0xFF00, 0xFF, 0))


def paint(how: Callable[..., None], surface: pygame.Surface, *arguments: Any) -> None:
    """Call one of the functions below on the pixels of a `canvas`."""
    if not getattr(how, "signatures", True):
        # The call that compiles leaves its arguments in reference cycles. Pixels would keep the
        # surface locked until the garbage is collected, and drawing on it would fail.
        how(np.zeros(surface.get_size()[::-1], np.int32), *arguments)
    how(pygame.surfarray.pixels2d(surface).T.view(np.int32), *arguments)  # locked until it returns


def floats(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arrays as these functions need them."""
    return tuple(np.ascontiguousarray(array, np.float32) for array in arrays)


@inlined
def _packed(red: Number, green: Number, blue: Number) -> Number:
    """A pixel of three channels from 0 up; what is brighter than white is white."""
    return (
        np.int32(min(red, _FULL)) << 16
        | np.int32(min(green, _FULL)) << 8
        | np.int32(min(blue, _FULL))
    )


@inlined
def _unpacked(pixel: Number) -> Colour:
    """A pixel's three channels, as float32."""
    return np.float32(pixel >> 16 & 255), np.float32(pixel >> 8 & 255), np.float32(pixel & 255)


@inlined
def _scaled(colour: Colour, by: Number) -> Colour:
    return colour[0] * by, colour[1] * by, colour[2] * by


@inlined
def _row(table: np.ndarray, i: int) -> Colour:
    """Row i of a table of colours, (M, 3)."""
    return table[i, 0], table[i, 1], table[i, 2]


@inlined
def _grid_line(step: Number, fall: Number) -> tuple[Number, Number]:
    """How strong a grid line is, 0 to 1, and pixels per cell, where a cell is so far from the next.

    `step`, `fall`: cells from a pixel to the one beside it, and to the one below. Lines that come
    closer than a few pixels fade into their mean.
    """
    rate = max(abs(step), abs(fall), _TINY)
    return min(max(np.float32(1.2) - np.float32(5) * rate, _ZERO), _ONE), _ONE / rate


@jitted
def paint_rows(
    pixels: np.ndarray, colours: np.ndarray, grain: np.ndarray, light: np.ndarray,
    tint: np.ndarray, grid: np.ndarray,
) -> None:  # fmt: skip
    """Paint rows in their colours, and a grid of lines where there is light for it.

    A camera without roll sees the ground in rows of equal depth. So a pixel's place on the ground
    is linear along its row, ``start + step * column``, in cells of the grid, and so is the way to
    the row below, ``run + drift * column``. Line widths are in pixels: lines are crisp near by, and
    fade without flicker towards the horizon.

    Args, float32 for all H rows:
        colours: (H, 3), at most 254.
        grain: (any, 3, BLOCK), noise from 0 to 1, repeated in both directions: 8 bits would show a
            dark gradient in bands.
        light: (H,), of the grid; 0 for the sky.
        tint: (3,), the colour of the grid.
        grid: (4, H, 2), start, step, run and drift for the grid's two directions.
    """
    start, step, run, drift = grid[0], grid[1], grid[2], grid[3]
    for y in range(len(colours)):
        red, green, blue = colours[y, 0], colours[y, 1], colours[y, 2]
        noise = grain[y % len(grain)]
        for left in range(0, pixels.shape[1], BLOCK):
            count = min(BLOCK, pixels.shape[1] - left)
            middle = np.float32(left + BLOCK // 2)
            u = start[y, 0] + step[y, 0] * middle
            v = start[y, 1] + step[y, 1] * middle
            # The arena reaches to 6 cells from the middle; there, the ground glows.
            near = np.float32(36) / (np.float32(36) + u * u + v * v)
            lit = light[y] * (np.float32(0.09) + np.float32(0.25) * near)
            glow = light[y] * np.float32(0.17) * near
            show_u, sharp_u = _grid_line(step[y, 0], run[y, 0] + drift[y, 0] * middle)
            show_v, sharp_v = _grid_line(step[y, 1], run[y, 1] + drift[y, 1] * middle)
            show_u, show_v = show_u * lit, show_v * lit
            r, g, b = red + glow * tint[0], green + glow * tint[1], blue + glow * tint[2]
            if show_u == _ZERO and show_v == _ZERO:
                for j in range(count):
                    pixels[y, left + j] = _packed(r + noise[0, j], g + noise[1, j], b + noise[2, j])
                continue
            u = start[y, 0] + step[y, 0] * np.float32(left)
            v = start[y, 1] + step[y, 1] * np.float32(left)
            for j in range(count):
                du = u + step[y, 0] * _COLUMNS[j]
                dv = v + step[y, 1] * _COLUMNS[j]
                du = abs(du - np.floor(du + _HALF)) * sharp_u  # pixels to the nearest line
                dv = abs(dv - np.floor(dv + _HALF)) * sharp_v
                line = max(
                    show_u * min(np.float32(1.25) - du, _ONE),
                    show_v * min(np.float32(1.25) - dv, _ONE),
                    _ZERO,
                )
                pixels[y, left + j] = _packed(
                    r + line * tint[0] + noise[0, j],
                    g + line * tint[1] + noise[1, j],
                    b + line * tint[2] + noise[2, j],
                )


@inlined
def _cover(pixels: np.ndarray, x: int, y: int, colour: Colour, weight: Number) -> None:
    """Paint over a pixel with a share of a colour."""
    r, g, b = _unpacked(pixels[y, x])
    pixels[y, x] = _packed(
        r + weight * (colour[0] - r), g + weight * (colour[1] - g), b + weight * (colour[2] - b)
    )


@inlined
def _brighten(pixels: np.ndarray, x: int, y: int, light: Colour, add: bool) -> None:
    """Add a light to a pixel, or lift it to that light where it is darker."""
    if x < 0 or y < 0 or x >= pixels.shape[1] or y >= pixels.shape[0]:
        return
    r, g, b = _unpacked(pixels[y, x])
    if add:
        pixels[y, x] = _packed(r + light[0], g + light[1], b + light[2])
    else:
        pixels[y, x] = _packed(max(r, light[0]), max(g, light[1]), max(b, light[2]))


@jitted
def add_dots(pixels: np.ndarray, places: np.ndarray, lights: np.ndarray, tint: np.ndarray) -> None:
    """Add points of light, as of stars: `places` (N, 2) pixels, `lights` (N,), in a colour (3,).

    All float32. A light above 90 also gets a soft cross.
    """
    for i in range(len(places)):
        x, y = math.floor(places[i, 0]), math.floor(places[i, 1])
        light = _scaled((tint[0], tint[1], tint[2]), lights[i])
        _brighten(pixels, x, y, light, True)
        if lights[i] > np.float32(90):
            cross = _scaled(light, np.float32(0.25))
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                _brighten(pixels, x + dx, y + dy, cross, True)


@jitted
def draw_lines(
    pixels: np.ndarray, starts: np.ndarray, ends: np.ndarray,
    colours: np.ndarray, fades: np.ndarray, add: bool,
) -> None:  # fmt: skip
    """Draw smooth lines, about 2 pixels wide.

    Where lines meet end to end, no pixel is drawn by both. Everything is float32.

    Args:
        starts, ends: (M, 2), pixels.
        colours, fades: (M, 3), at the starts and at the ends.
        add: add the lines' light to what is there; otherwise the brightest of all wins, so that
            crossing lines do not pile up.
    """
    for i in range(len(starts)):
        x, y = starts[i, 0], starts[i, 1]
        dx, dy = ends[i, 0] - x, ends[i, 1] - y
        steep = abs(dy) > abs(dx)
        if steep:
            x, y, dx, dy = y, x, dy, dx
        if dx == _ZERO:
            continue
        # Columns (rows, when steep) whose middle lies on the line, inside the picture.
        limit = pixels.shape[0] if steep else pixels.shape[1]
        low, high = min(x, x + dx), max(x, x + dx)
        first = math.ceil(max(low, _ZERO) - _HALF)
        last = math.ceil(min(high, np.float32(limit)) - _HALF)
        for column in range(first, last):
            share = (np.float32(column) + _HALF - x) / dx
            at = y + share * dy - _HALF
            below = math.floor(at)
            part = at - np.float32(below)
            r = colours[i, 0] + share * (fades[i, 0] - colours[i, 0])
            g = colours[i, 1] + share * (fades[i, 1] - colours[i, 1])
            b = colours[i, 2] + share * (fades[i, 2] - colours[i, 2])
            for k in range(2):
                weight = part if k else _ONE - part
                row = int(below) + k
                px, py = (row, column) if steep else (column, row)
                _brighten(pixels, px, py, (r * weight, g * weight, b * weight), add)


@inlined
def _box(
    pixels: np.ndarray, x: Number, y: Number, wide: Number, high: Number
) -> tuple[int, int, int, int]:
    """The pixels within `wide` and `high` of a point: left, right, top, bottom."""
    height, width = pixels.shape
    return (
        max(int(x - wide), 0),
        min(int(x + wide) + 1, width),
        max(int(y - high), 0),
        min(int(y + high) + 1, height),
    )


@jitted
def _band(pixels: np.ndarray, start: Vector, way: Vector, half: Number, colour: Colour) -> None:
    """Paint a thick line with round ends from `start` to `start` + `way`."""
    (x, y), (dx, dy) = start, way
    scale = _ONE / max(dx * dx + dy * dy, _TINY)
    reach = half + _ONE
    left, right, top, bottom = _box(
        pixels, x + _HALF * dx, y + _HALF * dy, _HALF * abs(dx) + reach, _HALF * abs(dy) + reach
    )
    for row in range(top, bottom):
        v = np.float32(row) + _HALF - y
        for column in range(left, right):
            u = np.float32(column) + _HALF - x
            along = min(max((u * dx + v * dy) * scale, _ZERO), _ONE)
            p, q = u - along * dx, v - along * dy
            weight = min(half + _HALF - math.sqrt(p * p + q * q), _ONE)
            if weight > _ZERO:
                _cover(pixels, column, row, colour, weight)


@jitted
def draw_bands(
    pixels: np.ndarray, starts: np.ndarray, ends: np.ndarray,
    colours: np.ndarray, halves: np.ndarray,
) -> None:  # fmt: skip
    """Paint thick smooth lines with round ends over what is there.

    Args, float32:
        starts, ends: (M, 2), pixels.
        colours: (M, 3).
        halves: (M,), half the widths, pixels.
    """
    for i in range(len(starts)):
        x, y = starts[i, 0], starts[i, 1]
        way = ends[i, 0] - x, ends[i, 1] - y
        _band(pixels, (x, y), way, halves[i], _row(colours, i))


@jitted
def _rotor(
    pixels: np.ndarray,
    place: Vector,
    ellipse: tuple[Number, Number, Number],
    rim: Number,
    colour: Colour,
) -> None:
    """Paint a disc in perspective: a bright rim, `rim` pixels wide, and a veil inside.

    The disc is the ellipse of all p with p' E^-1 p < 1, for the matrix E = (xx, xy; xy, yy);
    `ellipse` is (xx, xy, yy).
    """
    (x, y), (xx, xy, yy) = place, ellipse
    left, right, top, bottom = _box(pixels, x, y, math.sqrt(xx) + _ONE, math.sqrt(yy) + _ONE)
    scale = _ONE / (xx * yy - xy * xy)
    for row in range(top, bottom):
        v = np.float32(row) + _HALF - y
        for column in range(left, right):
            u = np.float32(column) + _HALF - x
            p, q = (yy * u - xy * v) * scale, (xx * v - xy * u) * scale  # E^-1 (u, v)
            level = math.sqrt(max(u * p + v * q, _TINY))  # 1 on the ellipse
            slope: Number = math.sqrt(p * p + q * q)
            outside = (level - _ONE) * level / max(slope, _TINY)
            disc = min(max(_HALF - outside, _ZERO), _ONE)
            if disc > _ZERO:
                inside = min(max(_HALF - outside - rim, _ZERO), _ONE)
                weight = np.float32(0.9) * (disc - inside) + np.float32(0.4) * inside
                _cover(pixels, column, row, colour, weight)


@jitted
def draw_drones(
    pixels: np.ndarray, places: np.ndarray, axes: np.ndarray,
    reaches: np.ndarray, tints: np.ndarray, lights: np.ndarray,
) -> None:  # fmt: skip
    """Paint drones, one after the other: arms, four rotors, and a body with a light in it.

    Args, float32:
        places: (M, 2), their middles, pixels.
        axes: (M, 2, 2), the pictures (right, down) of the body's x and y axes: from a distance, a
            flat drone is an affine picture of its plan.
        reaches: (M,), from the middle to a rotor's rim, pixels, if it is not turned away.
        tints: (M, 3), colours.
        lights: (M, 3), what the light in the body adds to them.
    """
    for i in range(len(places)):
        place, reach, tint = (places[i, 0], places[i, 1]), reaches[i], _row(tints, i)
        if reach > np.float32(1.5):  # from farther away, only the light is seen
            a = axes[i, 0, 0] * reach, axes[i, 0, 1] * reach
            b = axes[i, 1, 0] * reach, axes[i, 1, 1] * reach
            _frame(pixels, place, reach, a, b, tint)
        _body(pixels, place, reach, tint, _row(lights, i))


@jitted
def _frame(
    pixels: np.ndarray, place: Vector, reach: Number, a: Vector, b: Vector, tint: Colour
) -> None:
    """Paint a drone's arms and rotors; `a` and `b`: its axes, from the middle to a rotor's rim."""
    (x, y), (ax, ay), (bx, by) = place, a, b
    half = max(np.float32(0.035) * reach, np.float32(0.4))
    for u, v in (a, b):
        u, v = np.float32(ARM) * u, np.float32(ARM) * v
        way = np.float32(2) * u, np.float32(2) * v
        _band(pixels, (x - u, y - v), way, half, _scaled(tint, np.float32(0.62)))
    # A disc's picture: E = A A' for its axes A; seen edge on, a rotor still has a height.
    share = np.float32(ROTOR * ROTOR)
    height = max(np.float32(0.025) * reach, _HALF)
    xx = share * (ax * ax + bx * bx) + height * height
    yy = share * (ay * ay + by * by) + height * height
    xy = share * (ax * ay + bx * by)
    rim = max(np.float32(0.055) * reach, np.float32(0.8))
    for u, v in ((-ax, -ay), (bx, by), (-bx, -by), (ax, ay)):
        middle = x + np.float32(ARM) * u, y + np.float32(ARM) * v
        _rotor(pixels, middle, (xx, xy, yy), rim, _scaled(tint, np.float32(0.93)))
        if reach > np.float32(6):
            hub = np.float32(0.06) * reach
            _band(pixels, middle, (_ZERO, _ZERO), hub, _scaled(tint, np.float32(0.78)))
    if reach > np.float32(14):  # the nose: which way is forward
        nose = x + np.float32(ARM) * ax, y + np.float32(ARM) * ay
        _band(pixels, nose, (_ZERO, _ZERO), np.float32(0.1) * reach, tint)


@jitted
def _body(pixels: np.ndarray, place: Vector, reach: Number, tint: Colour, light: Colour) -> None:
    """Paint a drone's body: a ball lit from the upper left, and a light in its middle."""
    x, y = place
    ball = max(np.float32(BODY) * reach, np.float32(0.9))
    # Near by the ball itself is seen, from far away its light.
    near = _ONE / (_ONE + (reach / np.float32(12)) ** 2)
    glare = np.float32(0.2) + np.float32(0.8) * near
    solid = min(reach / np.float32(1.5), _ONE)
    left, right, top, bottom = _box(pixels, x, y, ball + _ONE, ball + _ONE)
    for row in range(top, bottom):
        v = (np.float32(row) + _HALF - y) / ball
        for column in range(left, right):
            u = (np.float32(column) + _HALF - x) / ball
            q = u * u + v * v
            weight = min((_ONE - math.sqrt(q)) * ball + _HALF, _ONE)
            if weight > _ZERO:
                side = (u + np.float32(0.25)) ** 2 + (v + np.float32(0.35)) ** 2
                shade = np.float32(0.95) - np.float32(0.3) * min(side, np.float32(1.6))
                _cover(pixels, column, row, _scaled(tint, shade), weight * solid)
                fade = np.float32(0.55) + np.float32(0.45) * math.exp(-q * np.float32(2.8))
                _brighten(pixels, column, row, _scaled(light, weight * glare * fade), True)
