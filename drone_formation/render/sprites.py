"""The small soft lights and shadows of a frame, drawn once and kept.

Drawing a soft glow costs a hundred times more than copying it, so every sprite is kept under a key
of whole numbers: sizes in steps of a few per cent, colours in steps of 8. Lights are drawn in grey,
once per size, and tinted for each colour, which is cheap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable

import numpy as np
import pygame

_LIMIT = 16_000_000  # pixels kept, 4 bytes each
_RATIO = 1.08  # between neighbouring sizes


def step_of(radius: np.ndarray) -> np.ndarray:
    """Radii in pixels -> whole steps of 8 %, the sizes in which sprites are kept."""
    return np.rint(np.log(np.maximum(radius, 0.25)) / np.log(_RATIO)).astype(np.int64)


def radius_of(step: int) -> float:
    """The radius, in pixels, of a step."""
    return float(_RATIO**step)


# A picture and where its top left corner lies from its middle: half its width and height, pixels.
Sprite = tuple[pygame.Surface, int, int]


class Sprites:
    """A memory of sprites. Each renderer has its own; forgetting it all is always safe.

    Code that needs many looks into ``kept[kind]`` first, under the arguments of the method of that
    name: for a thousand drones, the calls would cost as much as the drawing.
    """

    def __init__(self) -> None:
        self.kept: defaultdict[str, dict[tuple, Sprite]] = defaultdict(dict)
        self._pixels = 0

    def _keep(self, kind: str, make: Callable[..., pygame.Surface], *key: Hashable) -> Sprite:
        """The kept result of ``make(*key)``."""
        sprite = self.kept[kind].get(key)
        if sprite is None:
            surface = make(*key)
            width, height = surface.get_size()
            self._pixels += width * height
            if self._pixels > _LIMIT:
                self.clear()
            sprite = self.kept[kind][key] = (surface, width // 2, height // 2)
        return sprite

    def glow(self, step: int, packed: int) -> Sprite:
        """The halo of a light, to be added. `packed`: 5 bits each of red, green, blue."""
        return self._keep("glow", self._lit_glow, step, packed)

    def pool(self, rx: int, ry: int, packed: int) -> Sprite:
        """A soft ellipse to be added; the radii are steps."""
        return self._keep("pool", self._lit_pool, rx, ry, packed)

    def ring(self, step: int, thick: int, packed: int) -> Sprite:
        """A circle to be added, `thick` quarters of a pixel wide."""
        return self._keep("ring", self._lit_ring, step, thick, packed)

    def shadow(self, rx: int, ry: int, level: int) -> Sprite:
        """A soft dark ellipse to be blended, `level` of 20 parts opaque; the radii are steps."""
        return self._keep("shadow", _shadow, rx, ry, level)

    def clear(self) -> None:
        """Forget every sprite."""
        for kept in self.kept.values():
            kept.clear()
        self._pixels = 0

    def _lit_pool(self, rx: int, ry: int, packed: int) -> pygame.Surface:
        return _tinted(self._keep("grey pool", _pool, rx, ry)[0], _unpack(packed))

    def _lit_ring(self, step: int, thick: int, packed: int) -> pygame.Surface:
        return _tinted(self._keep("grey ring", _ring, step, thick)[0], _unpack(packed))

    def _lit_glow(self, step: int, packed: int) -> pygame.Surface:
        colour = _unpack(packed)
        # White drones carry three times the light of blue ones: even the halos out.
        grey = self._keep("grey glow", _glow, step)[0]
        return _tinted(grey, colour * (1 - 0.5 * colour.mean() / 255))


def pack(colours: np.ndarray) -> np.ndarray:
    """(..., 3) colours 0 to 255 -> (...) whole numbers of 5 bits per channel."""
    c = np.clip(np.rint(colours / 8), 0, 31).astype(np.int64)
    return c[..., 0] << 10 | c[..., 1] << 5 | c[..., 2]


def _unpack(packed: int) -> np.ndarray:
    return np.minimum(np.array([packed >> 10, packed >> 5 & 31, packed & 31]) * 8.0, 255.0)


def _grid(rx: float, ry: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (1, W) and (H, 1), in pixels from the middle, of a sprite of these radii."""
    w, h = int(np.ceil(rx)) + 1, int(np.ceil(ry)) + 1
    return np.arange(-w, w + 1.0)[None, :], np.arange(-h, h + 1.0)[:, None]


def _grey(light: np.ndarray) -> pygame.Surface:
    """A surface of the lights (H, W), 0 to 1, dithered so that faint halos show no steps."""
    height, width = light.shape
    # Interleaved gradient noise, 0 to 1: a cheap, even and repeatable dither.
    noise = np.add.outer(0.00583715 * np.arange(height), 0.06711056 * np.arange(width)) % 1.0
    levels = np.clip(254 * light, 0, 254) + (52.9829189 * noise % 1.0) * (light > 1e-4)
    surface = pygame.Surface((width, height), 0, 32)
    pixels = np.repeat(levels.astype(np.uint8)[:, :, None], 3, axis=2)
    pygame.surfarray.blit_array(surface, pixels.swapaxes(0, 1))
    return surface


def _tinted(grey: pygame.Surface, colour: np.ndarray) -> pygame.Surface:
    sprite = grey.copy()
    sprite.fill(np.minimum(colour, 255).astype(int).tolist(), None, pygame.BLEND_RGB_MULT)
    return sprite


def _glow(step: int) -> pygame.Surface:
    reach = radius_of(step)
    halo = min(3.4 * reach, 170.0) + 2.0
    x, y = _grid(halo, halo)
    q = x * x + y * y
    fade = np.clip(1 - q / halo**2, 0, 1) ** 2
    return _grey(0.95 * fade / (1 + q / (0.42 * reach + 1.2) ** 2))


def _ellipse(rx: int, ry: int) -> np.ndarray:
    """(H, W): 1 in the middle of an ellipse, falling to 0 at its border; the radii are steps."""
    a, b = radius_of(rx), radius_of(ry)
    x, y = _grid(a, b)
    return np.clip(1 - (x / a) ** 2 - (y / b) ** 2, 0, 1)


def _pool(rx: int, ry: int) -> pygame.Surface:
    return _grey(_ellipse(rx, ry) ** 2)


def _shadow(rx: int, ry: int, level: int) -> pygame.Surface:
    opaque = 255 * level / 20 * _ellipse(rx, ry) ** 1.5
    surface = pygame.Surface(opaque.shape[::-1], pygame.SRCALPHA, 32)
    pygame.surfarray.pixels_alpha(surface)[...] = opaque.astype(np.uint8).T
    return surface


def _ring(step: int, thick: int) -> pygame.Surface:
    radius, width = radius_of(step), thick / 4
    x, y = _grid(radius + width, radius + width)
    gap = np.abs(np.sqrt(x * x + y * y) - radius)
    return _grey(np.clip(width / 2 + 0.5 - gap, 0, 1))
