"""What stands still behind the drones: night sky, stars, ground grid and the arena's outline.

A camera without roll sees the ground in rows of equal depth, so that a pixel's ground coordinates
are linear along its row. The grid is evaluated per pixel from that, with line widths in pixels:
it stays crisp near by and melts, rather than flickers, towards the horizon.
"""

from __future__ import annotations

import numpy as np
import pygame

from .camera import NEAR, Camera, Size

ZENITH = np.array([3.0, 5.0, 15.0])
HORIZON = np.array([44.0, 70.0, 124.0])
GROUND = np.array([5.0, 9.0, 23.0])
GRID = np.array([92.0, 140.0, 225.0])  # added to the ground where a line is fully visible
OUTLINE = (96, 136, 205)

_STARS = 2400
_TILE = 64  # px; the sky's dither pattern repeats after so many columns
_BLOCK = 64  # px; what changes slowly along a row is computed once per so many columns
_CHUNK = 24  # rows computed at a time, so that they stay in the processor's cache
_PIECES = 12  # per edge of the arena, each with its own share of haze


class Backdrop:
    """Draws the backdrop, and keeps the last one for as long as the camera stands still."""

    def __init__(self) -> None:
        random = np.random.default_rng(11)
        stars = random.normal(size=(_STARS, 3))
        self._stars = stars / np.linalg.norm(stars, axis=1, keepdims=True)  # directions
        self._brightness = 28 + 190 * random.random(_STARS) ** 6
        self._key: object = None
        self._surface: pygame.Surface | None = None

    def at(self, camera: Camera, size: Size, arena: np.ndarray) -> pygame.Surface:
        """The backdrop seen by `camera`; `arena` (3,): half extents, m. Not to be drawn on."""
        key = (camera, size, arena.tobytes())
        if key != self._key:
            if self._surface is None or self._surface.get_size() != size:
                self._surface = pygame.Surface(size, 0, 32)
                self._layer = pygame.Surface(size, 0, 32)
                self._noise = np.random.default_rng(7).random((size[1], _TILE, 3), np.float32)
            self._paint(self._surface, camera, arena)
            self._key = key
        return self._surface

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
        self._fill_rows(surface, np.where(sees_ground[:, None], ground, sky))
        self._draw_stars(surface, camera, above > 0)

        # Grid and outline are collected on black and added together.
        layer = self._layer
        layer.fill(0)
        rows = np.flatnonzero(sees_ground & (depth < 30 * arena.max()))
        if len(rows):
            _grid(layer, camera, arena, rows, slope[rows], depth[rows], clear[rows])
        _outline(layer, camera, arena)
        surface.blit(layer, (0, 0), special_flags=pygame.BLEND_RGB_ADD)

    def _fill_rows(self, surface: pygame.Surface, rows: np.ndarray) -> None:
        """Paint row r in colour `rows[r]`, dithered: a dark gradient of 8 bits shows bands."""
        tile = (rows[:, None].astype(np.float32) + self._noise).astype(np.uint8)
        strip = pygame.Surface((_TILE, len(rows)), 0, 32)
        pygame.surfarray.blit_array(strip, tile.swapaxes(0, 1))
        surface.blits([(strip, (x, 0)) for x in range(0, surface.get_width(), _TILE)], False)

    def _draw_stars(self, surface: pygame.Surface, camera: Camera, above_ground: bool) -> None:
        """Faint fixed stars; infinitely far, they turn with the camera but do not move with it."""
        size = surface.get_size()
        pixels, depth = camera.project(camera.eye + 1000 * self._stars, size)
        seen = (depth > 0) & (pixels > 0).all(axis=1) & (pixels < np.array(size) - 2).all(axis=1)
        height = self._stars[:, 2]
        if above_ground:
            seen &= height > 0
        lights = self._brightness * np.clip(np.abs(height) * 5, 0, 1)  # dimmed by the haze
        places = pixels[seen].astype(int).tolist()
        for (x, y), grey in zip(places, lights[seen].astype(int).tolist(), strict=True):
            add = pygame.BLEND_RGB_ADD
            surface.fill((grey, grey, min(255, grey + 20)), (x, y, 1, 1), add)
            if grey > 90:  # the brightest get a soft cross
                dim = (grey // 4, grey // 4, grey // 3)
                surface.fill(dim, (x - 1, y, 3, 1), add)
                surface.fill(dim, (x, y - 1, 1, 3), add)


def _grid(
    layer: pygame.Surface,
    camera: Camera,
    arena: np.ndarray,
    rows: np.ndarray,
    slope: np.ndarray,
    depth: np.ndarray,
    clear: np.ndarray,
) -> None:
    """Write the ground's grid lines, and a soft light under the arena, to the given rows."""
    size = layer.get_size()
    right, up, forward = camera.axes
    focal, eye = camera.focal(size), camera.eye
    blocks = -(-size[0] // _BLOCK)
    across = ((np.arange(blocks * _BLOCK) + 0.5 - size[0] / 2) / focal).astype(np.float32)
    basis = np.stack([np.ones_like(across), across])
    coarse = across[None, _BLOCK // 2 :: _BLOCK]  # (1, blocks)
    # d depth / d slope: how fast the ground runs away from one row to the next.
    run = -depth * up[2] / (forward[2] + up[2] * slope)

    def column(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[:, None]

    axes = []
    spot = np.ones((1, blocks), np.float32)
    for k in (0, 1):
        cell = arena[k] / 6  # so that the arena's border lies on lines
        along = forward[k] + up[k] * slope
        start = column((eye[k] + depth * along) / cell)
        step = column(depth * right[k] / cell)  # cells per unit of `across`
        start_run = column((run * along + depth * up[k]) / cell)
        step_run = column(run * right[k] / cell)
        spot = spot + ((start + step * coarse) / 6) ** 2
        # Cells per pixel: the larger of the changes along the row and from row to row.
        rate = np.maximum(np.abs(start_run + step_run * coarse), np.abs(step)) / np.float32(focal)
        # Lines closer than a few pixels fade into their mean.
        axes.append((np.hstack([start, step]), rate, np.clip(1.2 - 5 * rate, 0, 1)))
    fade = column(255 * clear**1.2)
    lit, glow = fade * (0.09 + 0.25 / spot), fade * 0.17 / spot
    # A line's light falls from its crest with the distance, in cells, down to the glow around it.
    lines = [
        (place, *(v[:, :, None] for v in (-share * lit / rate, (1.25 * lit) * share + glow,
                                          share * lit + glow)))
        for place, rate, share in axes
    ]  # fmt: skip
    levels = np.empty((len(rows), blocks * _BLOCK), np.uint8)
    # Written to again and again: fresh arrays of this size would cost more than the arithmetic.
    buffers = np.empty((3, _CHUNK, blocks * _BLOCK), np.float32)
    # Towards the horizon every line has faded: only the glow is left.
    seen = np.any([share for _, _, share in axes], axis=(0, 2))
    first = int(np.argmax(np.append(seen, True)))
    levels[:first] = np.repeat(glow[:first], _BLOCK, axis=1)
    for top in range(first, len(rows), _CHUNK):
        part = slice(top, top + _CHUNK)
        *pair, other = buffers[:, : len(levels[part])]
        for line, (place, slant, peak, crest) in zip(pair, lines, strict=True):
            np.matmul(place[part], basis, out=line)  # in cells
            line -= np.rint(line, out=other)
            np.abs(line, out=line)  # to the nearest line
            tiled = line.reshape(-1, blocks, _BLOCK)
            tiled *= slant[part]
            tiled += peak[part]
            np.minimum(tiled, crest[part], out=tiled)
        light = np.maximum(*pair, out=other)
        tiled = light.reshape(-1, blocks, _BLOCK)
        np.maximum(tiled, glow[part, :, None], out=tiled)
        levels[part] = light

    # A palette turns levels into colours much faster than an array look-up.
    patch = pygame.image.frombuffer(levels, levels.shape[::-1], "P")
    patch.set_palette((np.arange(256)[:, None] / 255 * GRID).astype(int).tolist())
    layer.blit(patch, (0, int(rows[0])))  # the rows that see the ground are neighbours


def _outline(layer: pygame.Surface, camera: Camera, arena: np.ndarray) -> None:
    """Draw the twelve edges of the arena, fainter with depth."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * arena
    ends = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    starts, stops = (corners[[pair[k] for pair in ends]] for k in (0, 1))
    share = np.linspace(0, 1, _PIECES + 1)[:, None, None]
    points = (starts + share * (stops - starts)).reshape(-1, 3)
    pixels, depth = camera.project(points, layer.get_size())
    pixels = pixels.reshape(_PIECES + 1, 12, 2)
    depth = depth.reshape(_PIECES + 1, 12)
    strength = 0.5 * np.exp(-np.maximum(depth, 0) / (3 * arena.max()))
    colours = (strength[..., None] * OUTLINE).astype(int).tolist()
    whole = (depth[:-1] > NEAR) & (depth[1:] > NEAR)
    places = pixels.tolist()
    for k, edge in np.argwhere(whole).tolist():
        pygame.draw.aaline(layer, colours[k][edge], places[k][edge], places[k + 1][edge])
