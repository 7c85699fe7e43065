"""Compiled painting: sky and ground, stars, lines, and drones.

SDL copies sprites quickly, but knows no grid in perspective and no smooth ellipse, and a call per
line is dear. These functions write straight into a surface's pixels, (H, W) int32, which hold 0 to
255 of red, green and blue at bits 16, 8 and 0. Pixel (x, y) covers the square from x to x + 1 and
y to y + 1. All in one file, which imports nothing compiled: numba's disk cache notices changes only
in the file that holds a function.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pygame

from ..sim._jit import compiled

# A drone, as shares of its reach (the distance from its middle to the rim of a rotor): at the
# default collision distance of 1 m the reach is 0.45 m, an arm 0.30 m, a rotor 0.15 m.
ARM = 2 / 3
ROTOR = 1 / 3
BODY = 0.31

BLOCK = 64  # px; what changes slowly along a row is computed once per so many columns

jitted = compiled(error_model="numpy")
inlined = compiled(error_model="numpy", forceinline=True)

_ZERO, _HALF, _ONE, _FULL = (np.float32(x) for x in (0, 0.5, 1, 255))
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


@contextmanager
def compilation_notice() -> Iterator[None]:
    """Tell a user who waits for the first picture, unless its code comes from numba's cache."""
    if getattr(paint_rows, "signatures", True):  # compiled already, or not compiled at all
        yield
        return
    text = "drone_formation: compiling the renderer (once; later starts read it from a cache)"
    timer = threading.Timer(2.0, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def floats(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arrays as these functions need them."""
    return tuple(np.ascontiguousarray(array, np.float32) for array in arrays)


@inlined
def _packed(red, green, blue):
    """A pixel of three channels from 0 up; what is brighter than white is white."""
    return (
        np.int32(min(red, _FULL)) << 16
        | np.int32(min(green, _FULL)) << 8
        | np.int32(min(blue, _FULL))
    )


@inlined
def _grid_line(step, fall):
    """How strong a grid line is, 0 to 1, and pixels per cell, where a cell is so far from the next.

    `step`, `fall`: cells from a pixel to the one beside it, and to the one below. Lines that come
    closer than a few pixels fade into their mean.
    """
    rate = max(abs(step), abs(fall), np.float32(1e-6))
    return min(max(np.float32(1.2) - np.float32(5) * rate, _ZERO), _ONE), _ONE / rate


@jitted
def paint_rows(pixels, colours, grain, light, tint, start, step, run, drift):
    """Paint rows in their colours, and a grid of lines where there is light for it.

    A camera without roll sees the ground in rows of equal depth. So a pixel's place on the ground
    is linear along its row, ``start + step * column``, in cells of the grid, and so is the way to
    the row below, ``run + drift * column``. Line widths are in pixels: lines are crisp near by, and
    melt, rather than flicker, towards the horizon.

    Args, float32 for all H rows:
        colours: (H, 3), at most 254.
        grain: (any, 3, BLOCK), noise from 0 to 1, repeated in both directions: 8 bits would show a
            dark gradient in bands.
        light: (H,), of the grid; 0 for the sky.
        tint: (3,), the colour of the grid.
        start, step, run, drift: (H, 2), for the grid's two directions.
    """
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
def _cover(pixels, x, y, red, green, blue, weight):
    """Paint over a pixel with a share of a colour."""
    old = pixels[y, x]
    r = np.float32(old >> 16 & 255)
    g = np.float32(old >> 8 & 255)
    b = np.float32(old & 255)
    pixels[y, x] = _packed(
        r + weight * (red - r), g + weight * (green - g), b + weight * (blue - b)
    )


@inlined
def _brighten(pixels, x, y, red, green, blue, add):
    """Add a light to a pixel, or lift it to that light where it is darker."""
    if x < 0 or y < 0 or x >= pixels.shape[1] or y >= pixels.shape[0]:
        return
    old = pixels[y, x]
    r = np.float32(old >> 16 & 255)
    g = np.float32(old >> 8 & 255)
    b = np.float32(old & 255)
    if add:
        pixels[y, x] = _packed(r + red, g + green, b + blue)
    else:
        pixels[y, x] = _packed(max(r, red), max(g, green), max(b, blue))


@jitted
def add_dots(pixels, places, lights, tint):
    """Add points of light, as of stars: `places` (N, 2) pixels, `lights` (N,), in a colour (3,).

    All float32. A light above 90 also gets a soft cross.
    """
    for i in range(len(places)):
        x, y, light = math.floor(places[i, 0]), math.floor(places[i, 1]), lights[i]
        r, g, b = light * tint[0], light * tint[1], light * tint[2]
        _brighten(pixels, x, y, r, g, b, True)
        if light > np.float32(90):
            r, g, b = r * np.float32(0.25), g * np.float32(0.25), b * np.float32(0.25)
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                _brighten(pixels, x + dx, y + dy, r, g, b, True)


@jitted
def draw_lines(pixels, starts, ends, colours, fades, add):
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
                _brighten(pixels, px, py, r * weight, g * weight, b * weight, add)


@inlined
def _box(pixels, x, y, wide, high):
    """The pixels within `wide` and `high` of a point: left, right, top, bottom."""
    height, width = pixels.shape
    return (
        max(int(x - wide), 0),
        min(int(x + wide) + 1, width),
        max(int(y - high), 0),
        min(int(y + high) + 1, height),
    )


@jitted
def _band(pixels, x, y, dx, dy, half, r, g, b):
    """Paint a thick line with round ends from (x, y) to (x + dx, y + dy)."""
    scale = _ONE / max(dx * dx + dy * dy, np.float32(1e-6))
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
                _cover(pixels, column, row, r, g, b, weight)


@jitted
def draw_bands(pixels, starts, ends, colours, halves):
    """Paint thick smooth lines with round ends over what is there.

    Args, float32:
        starts, ends: (M, 2), pixels.
        colours: (M, 3).
        halves: (M,), half the widths, pixels.
    """
    for i in range(len(starts)):
        x, y = starts[i, 0], starts[i, 1]
        r, g, b = colours[i, 0], colours[i, 1], colours[i, 2]
        _band(pixels, x, y, ends[i, 0] - x, ends[i, 1] - y, halves[i], r, g, b)


@jitted
def _rotor(pixels, x, y, xx, xy, yy, rim, r, g, b):
    """Paint a disc in perspective: a bright rim, `rim` pixels wide, and a veil inside.

    The disc is the ellipse of all p with p' E^-1 p < 1, for the matrix E = (xx, xy; xy, yy).
    """
    left, right, top, bottom = _box(pixels, x, y, math.sqrt(xx) + _ONE, math.sqrt(yy) + _ONE)
    scale = _ONE / (xx * yy - xy * xy)
    for row in range(top, bottom):
        v = np.float32(row) + _HALF - y
        for column in range(left, right):
            u = np.float32(column) + _HALF - x
            p, q = (yy * u - xy * v) * scale, (xx * v - xy * u) * scale  # E^-1 (u, v)
            level = math.sqrt(max(u * p + v * q, np.float32(1e-6)))  # 1 on the ellipse
            outside = (level - _ONE) * level / max(math.sqrt(p * p + q * q), np.float32(1e-6))
            disc = min(max(_HALF - outside, _ZERO), _ONE)
            if disc > _ZERO:
                inside = min(max(_HALF - outside - rim, _ZERO), _ONE)
                _cover(
                    pixels, column, row, r, g, b,
                    np.float32(0.9) * (disc - inside) + np.float32(0.4) * inside,
                )  # fmt: skip


@jitted
def draw_drones(pixels, places, axes, reaches, tints, lights):
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
        x, y, reach = places[i, 0], places[i, 1], reaches[i]
        r, g, b = tints[i, 0], tints[i, 1], tints[i, 2]
        ax, ay, bx, by = axes[i, 0, 0], axes[i, 0, 1], axes[i, 1, 0], axes[i, 1, 1]
        if reach > np.float32(1.5):  # farther off, nothing but the light is seen
            _frame(pixels, x, y, reach, ax * reach, ay * reach, bx * reach, by * reach, r, g, b)
        _body(pixels, x, y, reach, r, g, b, lights[i, 0], lights[i, 1], lights[i, 2])


@jitted
def _frame(pixels, x, y, reach, ax, ay, bx, by, r, g, b):
    """Paint a drone's arms and rotors; (ax, ay) and (bx, by): its axes, as long as it reaches."""
    half = max(np.float32(0.035) * reach, np.float32(0.4))
    grey, bright = np.float32(0.62), np.float32(0.93)
    for u, v in ((ax, ay), (bx, by)):
        u, v = np.float32(ARM) * u, np.float32(ARM) * v
        _band(
            pixels, x - u, y - v, np.float32(2) * u, np.float32(2) * v, half,
            grey * r, grey * g, grey * b,
        )  # fmt: skip
    # A disc's picture: E = A A' for its axes A; seen edge on, a rotor still has a height.
    share = np.float32(ROTOR * ROTOR)
    height = max(np.float32(0.025) * reach, _HALF)
    xx = share * (ax * ax + bx * bx) + height * height
    yy = share * (ay * ay + by * by) + height * height
    xy = share * (ax * ay + bx * by)
    rim = max(np.float32(0.055) * reach, np.float32(0.8))
    for u, v in ((-ax, -ay), (bx, by), (-bx, -by), (ax, ay)):
        u, v = x + np.float32(ARM) * u, y + np.float32(ARM) * v
        _rotor(pixels, u, v, xx, xy, yy, rim, bright * r, bright * g, bright * b)
        if reach > np.float32(6):
            hub = np.float32(0.06) * reach
            grey = np.float32(0.78)
            _band(pixels, u, v, _ZERO, _ZERO, hub, grey * r, grey * g, grey * b)
    if reach > np.float32(14):  # the nose: which way is forward
        u, v = x + np.float32(ARM) * ax, y + np.float32(ARM) * ay
        _band(pixels, u, v, _ZERO, _ZERO, np.float32(0.1) * reach, r, g, b)


@jitted
def _body(pixels, x, y, reach, r, g, b, red, green, blue):
    """Paint a drone's body: a ball lit from the upper left, and a light in its middle."""
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
                _cover(pixels, column, row, shade * r, shade * g, shade * b, weight * solid)
                light = (
                    weight
                    * glare
                    * (np.float32(0.55) + np.float32(0.45) * math.exp(-q * np.float32(2.8)))
                )
                _brighten(pixels, column, row, red * light, green * light, blue * light, True)
