"""Trails: where drones have been in the last seconds."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import pygame

from .camera import NEAR, Camera
from .raster import draw_lines, paint
from .snapshot import JUMP, Snapshot

MAX_PIECES = 12_000  # lines per picture; longer trails are drawn with fewer, longer pieces


class _Instant(NamedTuple):
    number: int  # counts the instants
    time: float  # s
    positions: np.ndarray  # (N, 3), m; NaN where a drone is gone
    jumps: np.ndarray  # (N,), how often each drone has jumped so far: jumps are not joined


class Trails:
    """A memory of positions, and their lines."""

    def __init__(self) -> None:
        self.past: deque[_Instant] = deque()  # oldest first

    def clear(self) -> None:
        """Forget everything, as at the start of an episode."""
        self.past.clear()

    def remember(self, snapshot: Snapshot, seconds: float) -> None:
        """Add the positions, once per time; a step back in time clears the memory."""
        past = self.past
        if seconds == 0:
            past.clear()
            return
        if past and (snapshot.time < past[-1].time or len(past[-1].jumps) != len(snapshot)):
            past.clear()
        positions = np.where(snapshot.active[:, None], snapshot.positions, np.nan)
        if not past:
            past.append(_Instant(0, snapshot.time, positions, np.zeros(len(snapshot), int)))
        elif snapshot.time > past[-1].time:
            number, _, before, jumps = past[-1]
            hops = ((positions - before) ** 2).sum(axis=1)
            jumped = ~(hops < JUMP**2)  # a hop that is NaN joins nothing either
            past.append(_Instant(number + 1, snapshot.time, positions, jumps + jumped))
        while past[0].time < snapshot.time - seconds:
            past.popleft()

    def draw(
        self, layer: pygame.Surface, camera: Camera, drones: np.ndarray, colours: np.ndarray
    ) -> pygame.Rect:
        """Paint the trails of some drones on a black canvas, fading with age.

        `drones` (n,): their indices; `colours` (n, 3): of the newest ends.
        Returns where something may have been painted.
        """
        kept = self._thinned(len(drones))
        if len(kept) < 2 or len(drones) == 0:
            return pygame.Rect(0, 0, 0, 0)
        size = layer.get_size()
        points = np.stack([instant.positions[drones] for instant in kept])  # (T, n, 3)
        jumps = np.stack([instant.jumps[drones] for instant in kept])
        pixels, depth = camera.project(points.reshape(-1, 3), size)
        pixels = pixels.reshape(*jumps.shape, 2).astype(np.float32)
        there = depth.reshape(jumps.shape) > NEAR
        age = np.array([kept[-1].time - instant.time for instant in kept])
        light = (1 - age / age[0]) ** 1.5
        shades = (light[:, None, None] * colours).astype(np.float32)
        whole = (jumps[:-1] == jumps[1:]) & there[:-1] & there[1:]
        lines = [part[whole] for part in (pixels[:-1], pixels[1:], shades[:-1], shades[1:])]
        if len(lines[0]) == 0:
            return pygame.Rect(0, 0, 0, 0)
        paint(draw_lines, layer, *lines, False)
        low = np.clip(np.minimum(lines[0].min(axis=0), lines[1].min(axis=0)) - 2, 0, size)
        high = np.clip(np.maximum(lines[0].max(axis=0), lines[1].max(axis=0)) + 2, 0, size)
        return pygame.Rect(*low.astype(int).tolist(), *(high - low + 1).astype(int).tolist())

    def _thinned(self, drones: int) -> list[_Instant]:
        """The instants to draw, oldest first: all, or every second, third, ... and the newest.

        Which ones are left out does not depend on the newest, so that no trail wobbles.
        """
        past = list(self.past)
        stride = max(-(-len(past) * drones // MAX_PIECES), 1)
        return [instant for instant in past[:-1] if instant.number % stride == 0] + past[-1:]
