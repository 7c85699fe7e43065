"""Formations: where drones should stand, and in which colour.

Each formation is one short function ``f(num_drones, separation) -> Formation``: NumPy in, NumPy
out, world frame, metres.  ``separation`` is the least distance that must lie between any two
points; :func:`spread` scales a shape up to it.  To add one, write its function here and give it a
row in ``tasks.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

RED = (214, 40, 57)
WHITE = (245, 245, 245)
BLUE = (40, 84, 196)


class Formation(NamedTuple):
    """Slots of a formation: ``points`` (N, 3) in m, ``colours`` (N, 3) uint8 RGB."""

    points: np.ndarray
    colours: np.ndarray


def least_distance(points: np.ndarray) -> float:
    """Smallest distance between two of the points (N, 3); infinite for a single one."""
    least = math.inf
    for i in range(0, len(points), 256):  # in strips, so that 4,096 points need little memory
        strip = points[i : i + 256]
        gaps = ((strip[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
        gaps[np.arange(len(strip)), np.arange(i, i + len(strip))] = math.inf
        least = min(least, float(gaps.min()))
    return math.sqrt(least)


def spread(points: np.ndarray, separation: float) -> np.ndarray:
    """Scale points about the origin so that no two are nearer than ``separation``."""
    least = least_distance(points)
    return points * (separation / least) if least < separation else points


def rainbow(num_drones: int) -> np.ndarray:
    """One hue per drone, (N, 3) uint8: a full turn of the colour wheel."""
    hue = np.arange(num_drones)[:, None] / num_drones * 6
    channel = np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1
    return (70 + 185 * np.clip(channel, 0, 1)).astype(np.uint8)


def sphere(num_drones: int, separation: float) -> Formation:
    """A Fibonacci sphere of radius 8 m, larger when the drones would stand too close.

    Source: the golden-angle spiral, e.g. Swinbank & Purser, "Fibonacci grids" (2006).
    """
    i = np.arange(num_drones)
    z = 1 - (2 * i + 1) / num_drones
    radius = np.sqrt(1 - z**2)
    angle = i * math.pi * (3 - math.sqrt(5))
    points = 8 * np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    return Formation(spread(points, separation), rainbow(num_drones))


def cube(num_drones: int, separation: float) -> Formation:
    """A cubic lattice filled layer by layer from below: 4 m apart up to 64 drones, then denser."""
    side = math.ceil(round(num_drones ** (1 / 3), 9))
    gap = 4.0 if side <= 4 else 12 / (side - 1)
    i = np.arange(num_drones)
    steps = np.stack([i % side, i // side % side, i // side**2], axis=1)
    return Formation(spread((steps - (side - 1) / 2) * gap, separation), rainbow(num_drones))


def flag(num_drones: int, separation: float) -> Formation:
    """The American flag in the plane x = 0, seen from +x: canton top left, stripes from red.

    Rows 1.5 m apart, columns 2 m apart; with 64 drones 8 x 8, from (y, z) = (-7, 5).
    """
    columns = math.ceil(math.sqrt(num_drones))
    rows = math.ceil(num_drones / columns)
    row, column = np.divmod(np.arange(num_drones), columns)
    points = np.stack(
        [
            np.zeros(num_drones),
            2 * column - (columns - 1.0),
            0.75 * (rows - 1) - 0.25 - 1.5 * row,
        ],
        axis=1,
    )
    colours = np.where((row % 2 == 0)[:, None], RED, WHITE)
    canton = (row < (rows + 1) // 2) & (column < columns // 2)
    colours[canton] = BLUE
    return Formation(spread(points, separation), colours.astype(np.uint8))


def ball(num_drones: int, separation: float) -> Formation:
    """The points of a cubic lattice, 2 m apart, that lie nearest to the origin."""
    reach = math.ceil(0.62 * num_drones ** (1 / 3)) + 1
    axis = np.arange(-reach, reach + 1)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.argsort((lattice**2).sum(axis=1), kind="stable")[:num_drones]
    points = 2.0 * lattice[nearest]
    return Formation(spread(points, separation), rainbow(num_drones))


class Track(NamedTuple):
    """A closed curve of constant speed: see :func:`conga_track`."""

    scale: float  # length / 2 pi, m
    turns: int  # waves (few) or coils (many) in one lap
    slope: float  # sine of the angle between the curve and its mean circle

    @property
    def reach(self) -> tuple[float, float]:
        """Greatest horizontal distance from the axis, and greatest height, m."""
        flat, wave = math.sqrt(1 - self.slope**2), self.slope / 2
        n = self.turns
        return (
            self.scale * (flat + wave * (1 / (n + 1) + 1 / (n - 1))),
            self.scale * self.slope / n,
        )

    def harmonics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frequencies (4,), cosine and sine coefficients (4, 3) over the angle theta.

        The curve's derivative is Rz(theta) (cos b, sin b cos n theta, sin b sin n theta) times its
        scale: a turning unit vector, so that theta measures arc length exactly.
        """
        n, wave = self.turns, self.slope / 2
        flat = math.sqrt(1 - self.slope**2)
        frequencies = np.array([1, n, n + 1, n - 1], float)
        cosine = np.array(
            [
                [0, -flat, 0],
                [0, 0, -self.slope / n],
                [wave / (n + 1), 0, 0],
                [-wave / (n - 1), 0, 0],
            ]
        )
        sine = np.array([[flat, 0, 0], [0, 0, 0], [0, wave / (n + 1), 0], [0, wave / (n - 1), 0]])
        return frequencies, self.scale * cosine, self.scale * sine


def conga_track(num_drones: int, separation: float) -> Track:
    """A smooth closed track, long enough for the line, that never comes near itself.

    For short lines a wavy circle, 20 m in radius or more; for long ones a coil wound around a
    ring, which packs any length into a small space.
    """
    length = num_drones * separation * 1.05
    if num_drones < 80:
        # Wide enough to close with a gap, and for a chord to be hardly shorter than its arc.
        scale = max(20.0, 5.25 * separation, 1.06 * length / (2 * math.pi))
        return Track(scale=scale, turns=2, slope=0.35)
    # Coil radius half the ring's: neighbouring coils are then half as far apart on the inside of
    # the ring as on its centre line, where the pitch is 2.6 separations.
    pitch = 2.6 * separation
    ring = math.sqrt(length * pitch / (2 * math.pi**2))
    turns = max(3, round(2 * math.pi * ring / pitch))
    scale = length / (2 * math.pi)
    return Track(scale=scale, turns=turns, slope=math.sqrt(1 - min(1.0, ring / scale) ** 2))


def conga(num_drones: int, separation: float) -> Formation:
    """A line of drones along :func:`conga_track`, each 1.05 separations of arc behind the next."""
    frequencies, cosine, sine = conga_track(num_drones, separation).harmonics()
    angle = np.outer(conga_angles(num_drones, separation), frequencies)
    return Formation(np.cos(angle) @ cosine + np.sin(angle) @ sine, rainbow(num_drones))


def conga_angles(num_drones: int, separation: float) -> np.ndarray:
    """Each drone's place behind the leader, as an angle along the track, (N,)."""
    scale = conga_track(num_drones, separation).scale
    return -np.arange(num_drones) * (1.05 * separation / scale)


def cells(num_drones: int, separation: float) -> Formation:
    """Centres of a lattice of cells that fills the arena, each roomy enough to wander in."""
    size, box = cell_size(num_drones, separation), np.array([28.0, 28.0, 8.0])
    while _lattice(box, size).prod() < num_drones:
        box *= 1.02
    return Formation(_lattice_points(box, size)[:num_drones], rainbow(num_drones))


def cell_size(num_drones: int, separation: float) -> float:
    """Edge of the cells of :func:`cells`, m: at least a metre more than the separation."""
    box, size = np.array([28.0, 28.0, 8.0]), 16.0
    while _lattice(box, size).prod() < num_drones and size > separation + 1:
        size *= 0.99
    return max(size, separation + 1)


def scattered(
    box: np.ndarray, num_drones: int, separation: float, rng: np.random.Generator
) -> np.ndarray:
    """Random points (N, 3) in a box of given half extents, no two nearer than ``separation``.

    A jittered grid: distinct cells are drawn and each point moves within its cell, so the time is
    bounded at any density that fits.

    Raises:
        ValueError: they do not fit.
    """
    # Cells of two separations, or larger: not very many more than are needed.
    size = max(2 * separation, (8 * box.prod() / (4096 + 8 * num_drones)) ** (1 / 3))
    while _lattice(box, size).prod() < num_drones:
        size *= 0.98
        if size < separation:
            raise ValueError(f"{num_drones} drones {separation} m apart do not fit into {box} m")
    centres = _lattice_points(box, size)
    chosen = rng.choice(len(centres), num_drones, replace=False)
    jitter = (size - separation) / 2
    return centres[chosen] + rng.uniform(-jitter, jitter, (num_drones, 3))


def _lattice(box: np.ndarray, size: float) -> np.ndarray:
    """How many cells of a size fit along each axis of a box of half extents."""
    return np.maximum(1, np.floor(2 * box / size + 1e-9)).astype(int)


def _lattice_points(box: np.ndarray, size: float) -> np.ndarray:
    """Centres (M, 3) of the cells of :func:`_lattice`, stretched to the box."""
    axes = [
        (np.arange(count) + 0.5) * (2 * half / count) - half
        for half, count in zip(box, _lattice(box, size), strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
