"""Race rings, and the arrows that show the way through them.

Seen from the side to fly into, a ring is green, from behind it is red. Drones fly through rings, so
each ring is painted in parts, the farther half first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pygame

from .camera import NEAR, Camera, Size
from .raster import draw_bands, floats, paint
from .sprites import Sprites, pack, step_of

ENTRY = np.array([60.0, 235.0, 170.0])
EXIT = np.array([235.0, 80.0, 120.0])

_THICK = 0.07  # of the radius
_GLOW = 0.3  # light of one sprite; 24 around each ring
_LARGEST_GLOW = 160  # px
_BARB = 0.22, 0.16  # length and half width of an arrow's barbs, as shares of the radius


class RingPart(NamedTuple):
    """Bands of one depth, and the lights around them."""

    depth: float  # m
    bands: tuple[np.ndarray, ...]  # starts, ends, colours, half widths, as for `draw_bands`
    glows: list[tuple]  # as for `Surface.blits`

    def paint(self, surface: pygame.Surface) -> None:
        if self.glows:
            surface.blits(self.glows, False)
        paint(draw_bands, surface, *self.bands)


def ring_parts(
    rings: np.ndarray,
    next_ring: int | None,
    camera: Camera,
    size: Size,
    fog: float,
    sprites: Sprites,
) -> list[RingPart]:
    """What rings (R, 7) look like, nearest first. `fog`: depth that leaves 1/e of the light, m."""
    if len(rings) == 0:
        return []
    centre, normal, radius = rings[:, :3], rings[:, 3:6], rings[:, 6:]
    entering = ((camera.eye - centre) * normal).sum(axis=1) < 0
    base = np.where(entering[:, None], ENTRY, EXIT)
    if next_ring is not None:
        base = base * np.where(np.arange(len(rings)) == next_ring, 1.0, 0.6)[:, None]

    largest = (radius[:, 0] / np.maximum((centre - camera.eye) @ camera.axes[2], NEAR)).max()
    corners = 48 if largest * camera.focal(size) > 30 else 24
    spokes = _spokes(normal, corners)
    pixels, depth = _project(camera, size, centre[:, None] + radius[:, None] * spokes)
    outer, _ = _project(camera, size, centre[:, None] + (1 + _THICK) * radius[:, None] * spokes)
    thick = _THICK * radius * camera.focal(size) / np.maximum(depth, NEAR)  # px
    light = np.exp(-np.maximum(depth, 0) / fog) ** 0.5 * (0.9 + 0.1 * spokes[..., 2])
    colours = base[:, None] * light[..., None]
    places = (pixels + outer) / 2
    # Seen from the side a flat band would vanish, but a tube does not.
    halves = 0.65 * np.maximum(np.linalg.norm(outer - pixels, axis=2), 0.4 * thick)
    halves = np.maximum(halves, 0.9)

    # Where a ring is seen from the side its lights crowd together: less of each is needed.
    gaps = np.linalg.norm(np.diff(places, axis=1), axis=2)
    dim = np.clip(gaps / (2 * np.pi / corners / _THICK * thick[:, :-1]), 0.2, 1.0)

    bands = floats(places[:, :-1], places[:, 1:], colours[:, :-1], halves[:, :-1])
    glow = 5 * thick[:, :-1]
    lights = np.where((glow < _LARGEST_GLOW)[..., None], _GLOW * dim[..., None], 0.0)
    sprite_keys = np.rint(places[:, :-1]), step_of(glow), pack(lights * colours[:, :-1])
    glows: list[Any] = [part.astype(int).tolist() for part in sprite_keys]
    there = (depth[:, :-1] > NEAR) & (depth[:, 1:] > NEAR)
    far = depth[:, :-1] > depth.mean(axis=1, keepdims=True)
    parts = _arrows(centre, normal, radius, camera, size, 0.8 * base)
    for half in (there & far, there & ~far):
        for k in np.flatnonzero(half.any(axis=1)).tolist():
            i = np.flatnonzero(half[k])
            blits = [
                _glow(sprites, *(part[k][j] for part in glows))
                for j in i[:: corners // 24].tolist()
                if glows[2][k][j]
            ]
            lines = tuple(part[k, i] for part in bands)
            parts.append(RingPart(float(depth[k, i].mean()), lines, blits))
    return sorted(parts, key=lambda part: part.depth)


def _spokes(normal: np.ndarray, corners: int) -> np.ndarray:
    """(R, C + 1, 3): unit vectors all around normals (R, 3)."""
    angles = np.linspace(0, 2 * np.pi, corners + 1)[:, None]
    steep = np.abs(normal[:, 2:]) > 0.9
    across = np.cross(normal, np.where(steep, (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(normal, across)
    return np.cos(angles) * across[:, None] + np.sin(angles) * other[:, None]


def _project(camera: Camera, size: Size, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `Camera.project`, for points (..., 3)."""
    pixels, depth = camera.project(points.reshape(-1, 3), size)
    return pixels.reshape(*points.shape[:-1], 2), depth.reshape(points.shape[:-1])


def _arrows(
    centre: np.ndarray,
    normal: np.ndarray,
    radius: np.ndarray,
    camera: Camera,
    size: Size,
    colours: np.ndarray,
) -> list[RingPart]:
    """An arrow through the middle of each ring: it is told from every side which way to fly."""
    side = np.cross(normal, camera.eye - centre)
    side *= radius / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    way = radius * normal
    tip = centre + 0.5 * way
    back = tip - _BARB[0] * way
    starts = np.stack([centre - 0.5 * way, back + _BARB[1] * side, back - _BARB[1] * side], axis=1)
    ends, _ = _project(camera, size, np.repeat(tip[:, None], 3, axis=1))
    places, depth = _project(camera, size, starts)
    middle = (centre - camera.eye) @ camera.axes[2]
    width = 0.012 * radius[:, 0] * camera.focal(size) / np.maximum(middle, NEAR)
    halves = np.repeat(np.clip(width, 0.6, 3.0)[:, None], 3, axis=1)
    shades = np.repeat(colours[:, None], 3, axis=1)
    bands = floats(places, ends, shades, halves)
    parts = []
    for k in np.flatnonzero((depth > NEAR).all(axis=1) & (middle > NEAR)).tolist():
        parts.append(RingPart(float(middle[k]), tuple(part[k] for part in bands), []))
    return parts


def _glow(sprites: Sprites, place: tuple[int, int], step: int, packed: int) -> tuple:
    sprite, dx, dy = sprites.pool(step, step, packed)
    return sprite, (place[0] - dx, place[1] - dy), None, pygame.BLEND_RGB_ADD
