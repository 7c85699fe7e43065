"""The small pictures a frame is put together from, drawn once and kept.

Drawing a soft glow or an anti-aliased drone costs a hundred times more than copying it, so every
sprite is kept under a key of whole numbers: sizes in steps of a few per cent, colours in steps of
8, attitudes in steps of about a pixel at the rotor tips. Lights are drawn in grey, once per size,
and tinted for each colour, which is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import cos, pi, sin

import numpy as np
import pygame

# A drone, as shares of its reach (the distance from its centre to the rim of a rotor): at the
# default collision distance of 1 m the reach is 0.45 m, an arm 0.30 m, a rotor 0.15 m.
ARM = 2 / 3
ROTOR = 1 / 3
BODY = 0.31

_LIMIT = 16_000_000  # pixels kept, 4 bytes each
_RATIO = 1.08  # between neighbouring sizes
_SMALLEST = 20  # steps below a radius of 1 pixel
_ATTITUDE_STEPS = np.clip(0.45 * _RATIO ** np.arange(-_SMALLEST, 100.0), 3.0, 96.0)
_CIRCLE = np.array([[cos(a), sin(a)] for a in np.linspace(0, 2 * pi, 24, endpoint=False)])


def step_of(radius: np.ndarray) -> np.ndarray:
    """Radii in pixels -> whole steps of 8 %, the sizes in which sprites are kept."""
    return np.rint(np.log(np.maximum(radius, 0.25)) / np.log(_RATIO)).astype(np.int64)


def radius_of(step: int) -> float:
    """The radius, in pixels, of a step."""
    return float(_RATIO**step)


# A picture and where its top left corner lies from its middle: half its width and height, pixels.
Sprite = tuple[pygame.Surface, int, int]


class Sprites:
    """A memory of sprites. Each renderer has its own; forgetting it all is always safe."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Sprite] = {}
        self._pixels = 0

    def _keep(self, make: Callable[..., pygame.Surface], *key: Hashable) -> Sprite:
        """The kept result of ``make(*key)``."""
        sprite = self._kept.get((make, key))
        if sprite is None:
            surface = make(*key)
            width, height = surface.get_size()
            self._pixels += width * height
            if self._pixels > _LIMIT:
                self.clear()
            sprite = self._kept[make, key] = (surface, width // 2, height // 2)
        return sprite

    def glow(self, step: int, packed: int) -> Sprite:
        """A light to be added: halo and hot core. `packed`: 5 bits each of red, green, blue."""
        return self._keep(self._lit_glow, step, packed)

    def pool(self, rx: int, ry: int, packed: int) -> Sprite:
        """A soft ellipse to be added; the radii are steps."""
        return self._keep(self._lit, _pool, rx, ry, packed)

    def ring(self, step: int, thick: int, packed: int) -> Sprite:
        """A circle to be added, `thick` quarters of a pixel wide."""
        return self._keep(self._lit, _ring, step, thick, packed)

    def shadow(self, rx: int, ry: int, level: int) -> Sprite:
        """A soft dark ellipse to be blended, `level` of 20 parts opaque; the radii are steps."""
        return self._keep(_shadow, rx, ry, level)

    def drone(self, step: int, matrix: tuple[int, int, int, int], nose: bool) -> Sprite:
        """A grey drone to be tinted and blended.

        `matrix`, divided by `attitude_steps(step)`, holds the images (right, up) of the body's x
        and y axes: seen from a distance, a flat drone is an affine picture of its plan.
        """
        return self._keep(_drone, step, matrix, nose)

    def clear(self) -> None:
        """Forget every sprite."""
        self._kept.clear()
        self._pixels = 0

    def _lit(
        self, make: Callable[..., pygame.Surface], a: int, b: int, packed: int
    ) -> pygame.Surface:
        """The grey light ``make(a, b)`` in a colour."""
        return _tinted(self._keep(make, a, b)[0], _unpack(packed))

    def _lit_glow(self, step: int, packed: int) -> pygame.Surface:
        colour = _unpack(packed)
        # White drones carry three times the light of blue ones: even the halos out.
        sprite = _tinted(self._keep(_halo, step)[0], colour * (1 - 0.5 * colour.mean() / 255))
        core, dx, dy = self._keep(_core, step)
        hot = 60 + 0.15 * colour.min()  # white in the middle, but a pure red or blue keeps its hue
        middle = sprite.get_width() // 2 - dx, sprite.get_height() // 2 - dy
        sprite.blit(_tinted(core, 0.5 * colour + hot), middle, special_flags=pygame.BLEND_RGB_ADD)
        return sprite


def attitude_steps(step: int | np.ndarray) -> np.ndarray:
    """Into how many steps a unit of a drone's matrix is divided, at a size.

    The tips of the rotors are then drawn within about a pixel of where they belong.
    """
    return _ATTITUDE_STEPS[step + _SMALLEST]


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


def _halo(step: int) -> pygame.Surface:
    reach = radius_of(step)
    halo = min(3.4 * reach, 170.0) + 2.0
    x, y = _grid(halo, halo)
    q = x * x + y * y
    fade = np.clip(1 - q / halo**2, 0, 1) ** 2
    return _grey(0.95 * fade / (1 + q / (0.42 * reach + 1.2) ** 2))


def _core(step: int) -> pygame.Surface:
    reach = radius_of(step)
    body = max(BODY * reach, 0.9)
    x, y = _grid(body + 1, body + 1)
    r = np.sqrt(x * x + y * y)
    light = np.clip(body + 0.5 - r, 0, 1) * (0.55 + 0.45 * np.exp(-((r / (0.6 * body)) ** 2)))
    # Near by, the drone's own body is seen instead.
    return _grey(light * (0.2 + 0.8 / (1 + (reach / 12) ** 2)))


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


def _drone(step: int, matrix: tuple[int, int, int, int], nose: bool) -> pygame.Surface:
    reach = radius_of(step)
    over = 3 if reach < 20 else 2  # supersampling
    unit = reach * over
    side = 2 * int(np.ceil(reach * 1.25)) + 3
    canvas = pygame.Surface((side * over, side * over), pygame.SRCALPHA, 32)
    canvas.fill((120, 128, 140, 0))  # what thin edges are mixed with when the canvas is shrunk
    middle = side * over / 2
    scale = unit / float(attitude_steps(step))
    ax, ay, bx, by = (scale * m for m in matrix)
    directions = ((ax, ay), (bx, by), (-ax, -ay), (-bx, -by))
    tips = [(middle + ARM * x, middle - ARM * y) for x, y in directions]

    arm = max(round(0.07 * unit), over // 2 + 1)
    for k in (0, 1):
        pygame.draw.line(canvas, (150, 156, 168, 255), tips[k], tips[k + 2], arm)
    rim = max(0.055, 0.8 / reach)
    circle = _CIRCLE if reach > 8 else _CIRCLE[::2]
    disc = circle @ np.array([[ax, -ay], [bx, -by]])  # pixels, y down
    sizes = np.array([ROTOR, max(ROTOR - rim, 0.05)])[:, None, None]
    outlines = np.array(tips)[:, None, None] + disc * sizes  # (4 rotors, 2, points, 2)
    for outer, inner in outlines.tolist():
        pygame.draw.polygon(canvas, (235, 238, 245, 235 if reach > 6 else 170), outer)
        if reach > 6:  # a rim is wide enough to be seen
            pygame.draw.polygon(canvas, (170, 178, 195, 120), inner)
    if abs(ax * by - ay * bx) < 0.3 * unit**2:  # seen nearly edge on, a rotor still has a height
        far = int((disc**2).sum(axis=1).argmax())
        dx, dy = disc[far] * ROTOR
        for x, y in tips:
            ends = (x - dx, y - dy), (x + dx, y + dy)
            pygame.draw.line(canvas, (235, 238, 245, 255), *ends, max(round(0.05 * unit), over))
    if reach > 6:
        for tip in tips:
            pygame.draw.circle(canvas, (190, 196, 208, 255), tip, max(0.06 * unit, 1))
    if nose:
        pygame.draw.circle(canvas, (255, 255, 255, 255), tips[0], max(0.1 * unit, 2))
    ball = BODY * unit
    for grey, shift, share in ((130, 0.0, 1.0), (205, 0.1, 0.85), (245, 0.3, 0.4)):
        at = (middle - 0.7 * shift * ball, middle - shift * ball)
        pygame.draw.circle(canvas, (grey, grey + 5, grey + 10, 255), at, share * ball)
    return pygame.transform.smoothscale(canvas, (side, side))
