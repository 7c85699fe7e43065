"""Where every drone should be, and how fast that place moves."""

from __future__ import annotations

import math

import numpy as np

from ._jit import inlined, jitted
from .layout import (
    ACTIVE, CENTRE, COSINES, DISTANCE, LANES, ONE, POSITION, PREVIOUS_POSITION, RING,
    RING_CENTRE, RING_PASSED, RING_VELOCITY, SINES, TARGET_POSITION, TARGET_VELOCITY, THREE,
    TINY, TWO, VELOCITY, ZERO, Scalar, Swarm, World,
)  # fmt: skip
from .simd import load3, six_rows, store3, view
from .vectors import difference, dot, length, scaled


@jitted
def update_waves(frequencies: np.ndarray, count: int, time: Scalar, waves: np.ndarray) -> None:
    """Cosine, sine and frequency (rad/s) of the first ``count`` harmonics at a time, s."""
    for h in range(count):
        rate = frequencies[h]
        waves[h, 0] = np.float32(math.cos(rate * time))
        waves[h, 1] = np.float32(math.sin(rate * time))
        waves[h, 2] = np.float32(rate)


@inlined
def move_targets(swarm: Swarm, index: int, motion: World, waves: np.ndarray) -> None:
    """Targets and their velocities by the one model of ``trajectories.py``.

    What is shown as the velocity is that plus ``lead`` times the acceleration.
    """
    episode = swarm.episode
    rest_targets(swarm, index)
    per_block = motion.harmonics.shape[0] // swarm.blocks.shape[0]
    for h in range(episode.harmonics):
        add_harmonic(
            swarm.blocks, index, motion.harmonics, index * per_block + h, waves[h], episode.lead
        )
    if episode.knots > 0:
        add_path(swarm, index, motion.knots)


@inlined
def trajectory_time(swarm: Swarm) -> Scalar:
    """s since the targets' trajectory began."""
    episode = swarm.episode
    return (episode.step - episode.trajectory_begin) * swarm.settings.control_step


@inlined
def rest_targets(swarm: Swarm, index: int) -> None:
    """Targets at the centres of their motion; a ring that is the target shows its own velocity."""
    block, episode = view(swarm.blocks, index), swarm.episode
    shown = ONE if episode.num_rings > 0 and not episode.paced else ZERO
    for lane in range(LANES):
        store3(block, TARGET_POSITION, lane, load3(block, CENTRE, lane))
        store3(block, TARGET_VELOCITY, lane, scaled(load3(block, RING_VELOCITY, lane), shown))


@inlined
def add_harmonic(
    blocks: np.ndarray,
    index: int,
    harmonics: np.ndarray,
    place: int,
    wave: np.ndarray,
    lead: Scalar,
) -> None:
    """Add one harmonic, whose coefficients are ``harmonics[place]`` (6, LANES)."""
    block, terms = view(blocks, index), six_rows(harmonics, place)
    c, s, rate = wave
    led = lead * rate
    for axis in range(3):
        for lane in range(LANES):
            a, b = terms[COSINES + axis, lane], terms[SINES + axis, lane]
            block[TARGET_POSITION + axis, lane] += a * c + b * s
            block[TARGET_VELOCITY + axis, lane] += rate * ((b - led * a) * c - (a + led * b) * s)


@inlined
def add_path(swarm: Swarm, index: int, knots: np.ndarray) -> None:
    """Add the sampled path: a cubic between the knots around the present time (Hermite's)."""
    episode, block = swarm.episode, view(swarm.blocks, index)
    per_block = knots.shape[0] // swarm.blocks.shape[0]
    count, interval = episode.knots, episode.knot_interval
    at = trajectory_time(swarm) / interval
    moves = ONE
    if episode.closed:
        at = at % count
    elif at >= count - 1:
        at, moves = np.float64(count - 1), ZERO
    first = min(int(at), count - 1)
    second = (first + 1) % count if episode.closed else min(first + 1, count - 1)
    place = index * per_block
    before, after = six_rows(knots, place + first), six_rows(knots, place + second)
    u, span = np.float32(at - first), np.float32(interval)
    lead = episode.lead / span
    for axis in range(3):
        for lane in range(LANES):
            a, b = before[POSITION + axis, lane], after[POSITION + axis, lane]
            va, vb = span * before[VELOCITY + axis, lane], span * after[VELOCITY + axis, lane]
            square, cube = THREE * (b - a) - TWO * va - vb, TWO * (a - b) + va + vb
            velocity = va + u * (TWO * square + THREE * u * cube)
            change = TWO * square + (TWO * THREE) * u * cube
            block[TARGET_POSITION + axis, lane] += a + u * (va + u * (square + u * cube))
            block[TARGET_VELOCITY + axis, lane] += moves * (velocity + lead * change) / span


@inlined
def measure_distances(blocks: np.ndarray, index: int) -> None:
    """Distances to the targets."""
    block = view(blocks, index)
    for lane in range(LANES):  # without load3: LLVM would unroll so short a loop, lane by lane
        x = block[TARGET_POSITION, lane] - block[POSITION, lane]
        y = block[TARGET_POSITION + 1, lane] - block[POSITION + 1, lane]
        z = block[TARGET_POSITION + 2, lane] - block[POSITION + 2, lane]
        block[DISTANCE, lane] = length((x, y, z))


@inlined
def note_rings(blocks: np.ndarray, index: int, radius_squared: Scalar) -> None:
    """Note which drones flew through their rings, from behind to the front, in this step."""
    block = view(blocks, index)
    for lane in range(LANES):
        centre, normal = load3(block, RING_CENTRE, lane), load3(block, RING_VELOCITY, lane)
        ax, ay, az = difference(load3(block, PREVIOUS_POSITION, lane), centre)
        bx, by, bz = difference(load3(block, POSITION, lane), centre)
        behind, ahead = dot((ax, ay, az), normal), dot((bx, by, bz), normal)
        part = behind / (behind - ahead - TINY)
        cx, cy, cz = ax + part * (bx - ax), ay + part * (by - ay), az + part * (bz - az)
        through = (behind < ZERO) & (ahead >= ZERO)
        within = cx * cx + cy * cy + cz * cz <= radius_squared
        block[RING_PASSED, lane] = block[ACTIVE, lane] if through & within else ZERO


@jitted
def turn_to_next_ring(
    block: np.ndarray, lane: int, rings: np.ndarray, num_rings: int, paced: bool
) -> None:
    """Turn a lane's drone to the ring after the one it passed; a paced place moves on by itself.

    ``rings`` (R, 6): centre, m, and velocity at which it wants to be passed, m/s.
    """
    ring = (int(block[RING, lane]) + 1) % num_rings
    block[RING, lane] = np.float32(ring)
    for axis in range(3):
        block[RING_CENTRE + axis, lane] = rings[ring, axis]
        block[RING_VELOCITY + axis, lane] = rings[ring, 3 + axis]
        if not paced:
            block[CENTRE + axis, lane] = rings[ring, axis]
            block[TARGET_POSITION + axis, lane] = rings[ring, axis]
            block[TARGET_VELOCITY + axis, lane] = rings[ring, 3 + axis]
