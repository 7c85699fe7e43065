"""What stands still behind the drones: night sky, stars, ground grid and the arena's outline.

Seen from a camera without roll, everything but the stars and the outline changes from row to row;
the numbers that tell how are worked out here, and painted by `raster`.
"""

from __future__ import annotations

import numpy as np
import pygame

from .camera import NEAR, Camera, Size
from .raster import BLOCK, add_dots, draw_lines, floats, paint, paint_rows

ZENITH = np.array([3.0, 5.0, 15.0])
HORIZON = np.array([44.0, 70.0, 124.0])
GROUND = np.array([5.0, 9.0, 23.0])
GRID = np.array([92.0, 140.0, 225.0])  # added to the ground where a line is fully visible
STARLIGHT = np.array([1.0, 1.0, 1.1])
OUTLINE = np.array([96.0, 136.0, 205.0])

_STARS = 4000
_PIECES = 12  # per edge of the arena: the haze does not grow linearly with the distance


class Backdrop:
    """Draws the backdrop, and keeps it when the camera stands still."""

    def __init__(self) -> None:
        random = np.random.default_rng(11)
        stars = random.normal(size=(_STARS, 3))
        self._stars = stars / np.linalg.norm(stars, axis=1, keepdims=True)  # directions
        self._brightness = 50 + 200 * random.random(_STARS) ** 4
        self._grain = random.random((BLOCK, 3, BLOCK), np.float32)
        self._key: object = None
        self._kept: pygame.Surface | None = None

    def draw(self, surface: pygame.Surface, camera: Camera, arena: np.ndarray) -> None:
        """Cover a `canvas` with what `camera` sees; `arena` (3,): half extents, m."""
        key = (camera, surface.get_size(), arena.tobytes())
        if key != self._key:
            self._key, self._kept = key, None
            self._paint(surface, camera, arena)
        elif self._kept is None:  # seen twice: it is probably seen again
            self._paint(surface, camera, arena)
            self._kept = surface.copy()
        else:
            surface.blit(self._kept, (0, 0))

    def _paint(self, surface: pygame.Surface, camera: Camera, arena: np.ndarray) -> None:
        size = surface.get_size()
        _, up, forward = camera.axes
        slope = (size[1] / 2 - np.arange(size[1]) - 0.5) / camera.focal(size)  # up, per unit depth
        rise = forward[2] + up[2] * slope  # z component of the rays through each row
        above = float(camera.eye[2] + arena[2])  # height of the eye over the ground
        sees_ground = (rise < -1e-4) & (above > 0)
        depth = np.full(size[1], np.inf)
        depth[sees_ground] = above / -rise[sees_ground]

        clear = np.exp(-depth / (9.0 * arena.max()))  # share of the ground's light left by the haze
        ground = GROUND + 0.6 * (HORIZON - GROUND) * (1 - clear[:, None]) ** 1.5
        angle = np.maximum(rise, 0.0)[:, None]
        sky = ZENITH + (HORIZON - ZENITH) * (0.7 * np.exp(-14 * angle) + 0.3 * np.exp(-4 * angle))
        colours = np.where(sees_ground[:, None], ground, sky)
        lit = depth < 30 * arena.max()
        light = np.where(lit, clear**1.2, 0.0)
        grid = _grid(camera, size, arena, slope, np.where(lit, depth, 0.0))
        paint(paint_rows, surface, *floats(colours, self._grain, light, GRID, np.stack(grid)))
        self._draw_stars(surface, camera, above > 0)
        _outline(surface, camera, arena)

    def _draw_stars(self, surface: pygame.Surface, camera: Camera, above_ground: bool) -> None:
        """Faint fixed stars; infinitely far, they turn with the camera but do not move with it."""
        places, depth = camera.project(camera.eye + 1000 * self._stars, surface.get_size())
        height = self._stars[:, 2]
        seen = (depth > 0) & ((height > 0) | (not above_ground))
        lights = self._brightness * np.clip(np.abs(height) * 5, 0, 1)  # dimmed by the haze
        paint(add_dots, surface, *floats(places[seen], lights[seen], STARLIGHT))


def _grid(
    camera: Camera, size: Size, arena: np.ndarray, slope: np.ndarray, depth: np.ndarray
) -> list[np.ndarray]:
    """Where rows of a depth (H,) in m see the ground: `start`, `step`, `run`, `drift` of the grid.

    Each (H, 2), in cells: see `raster.paint_rows`.
    """
    right, up, forward = camera.axes
    focal, eye = camera.focal(size), camera.eye
    cells = arena[:2] / 6  # so that the arena's border lies on lines
    # d depth / d slope: how fast the ground runs away from one row to the next.
    sinks = np.where(depth > 0, forward[2] + up[2] * slope, -1.0)
    run = -depth * up[2] / sinks
    along = forward[:2] + up[:2] * slope[:, None]
    across = (0.5 - size[0] / 2) / focal  # of the first column, per unit depth
    depth, run = depth[:, None], run[:, None]
    step, drift = depth * right[:2] / (cells * focal), run * right[:2] / (cells * focal**2)
    start = (eye[:2] + depth * (along + right[:2] * across)) / cells
    fall = (run * (along + right[:2] * across) + depth * up[:2]) / (cells * focal)
    return [start, step, fall, drift]


def _outline(surface: pygame.Surface, camera: Camera, arena: np.ndarray) -> None:
    """Draw the twelve edges of the arena, fainter with depth."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * arena
    ends = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    starts, stops = (corners[[pair[k] for pair in ends]] for k in (0, 1))
    share = np.linspace(0, 1, _PIECES + 1)[:, None, None]
    points = (starts + share * (stops - starts)).reshape(-1, 3)
    places, depth = camera.project(points, surface.get_size())
    places, depth = places.reshape(_PIECES + 1, 12, 2), depth.reshape(_PIECES + 1, 12)
    strength = 0.5 * np.exp(-np.maximum(depth, 0) / (3 * arena.max()))
    colours = strength[..., None] * OUTLINE
    whole = (depth[:-1] > NEAR) & (depth[1:] > NEAR)
    lines = places[:-1], places[1:], colours[:-1], colours[1:]
    paint(draw_lines, surface, *floats(*(part[whole] for part in lines)), True)
