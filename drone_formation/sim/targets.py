"""Where every drone should be, and how fast that place moves."""

import math

import numpy as np

from ._jit import inlined, jitted
from .layout import (
    ACTIVE,
    CENTRE,
    COSINE,
    DISTANCE,
    HEAD_START,
    LANES,
    LEAD,
    LINE,
    ONE,
    PASSING_VELOCITY,
    POSITION,
    PREVIOUS_POSITION,
    RING,
    RING_PASSED,
    SINE,
    TARGET_POSITION,
    TARGET_VELOCITY,
    TINY,
    ZERO,
)  # fmt: skip
from .simd import columns_of, load3, view
from .vectors import difference, dot, length


@jitted
def update_waves(frequencies, step, waves):
    """Every harmonic's cosine, sine and frequency (rad/s) after a number of steps.

    ``frequencies[k]`` is the same frequency in rad/s and in rad per step; double precision.
    """
    for k in range(len(frequencies)):
        rate, per_step = frequencies[k]
        waves[k, 0] = np.float32(math.cos(per_step * step))
        waves[k, 1] = np.float32(math.sin(per_step * step))
        waves[k, 2] = np.float32(rate)


@inlined
def move_targets(blocks, index, waves):
    """Targets and their velocities by the motion model of ``tasks.py``.

    ``waves[k]`` is (cosine, sine, frequency) of harmonic k at this time, shared by the swarm.  The
    coefficients of harmonics not in use are zero: four in one pass over constant rows cost less
    than a loop over those in use, which would find its rows at run time.
    """
    block = view(blocks, index)
    (c0, s0, f0), (c1, s1, f1) = load_wave(waves, 0), load_wave(waves, 1)
    (c2, s2, f2), (c3, s3, f3) = load_wave(waves, 2), load_wave(waves, 3)
    for axis in range(3):
        for lane in range(LANES):
            a0, b0 = block[COSINE + axis, lane], block[SINE + axis, lane]
            a1, b1 = block[COSINE + 3 + axis, lane], block[SINE + 3 + axis, lane]
            a2, b2 = block[COSINE + 6 + axis, lane], block[SINE + 6 + axis, lane]
            a3, b3 = block[COSINE + 9 + axis, lane], block[SINE + 9 + axis, lane]
            block[TARGET_POSITION + axis, lane] = (
                block[CENTRE + axis, lane]
                + a0 * c0 + b0 * s0 + a1 * c1 + b1 * s1 + a2 * c2 + b2 * s2 + a3 * c3 + b3 * s3
            )  # fmt: skip
            block[TARGET_VELOCITY + axis, lane] = (
                block[PASSING_VELOCITY + axis, lane]
                + f0 * (b0 * c0 - a0 * s0) + f1 * (b1 * c1 - a1 * s1)
                + f2 * (b2 * c2 - a2 * s2) + f3 * (b3 * c3 - a3 * s3)
            )  # fmt: skip


@inlined
def load_wave(waves, k):
    """Cosine, sine and frequency of a harmonic."""
    return waves[k, 0], waves[k, 1], waves[k, 2]


@jitted
def move_along_course(blocks, index, lines, swarm, num_lines, waves, scratch):
    """Targets and their velocities in a paced race: places on a closed course.

    ``lines[swarm, k]`` holds the Fourier series of line k, as in ``course.py``; ``waves[0]`` is
    where the course's own place is on its lap.  Velocities are led on by accelerations for ``LEAD``
    seconds: a drone has to lean before a bend, and what it observes would not tell it otherwise.
    """
    if lines is None:
        return
    block, turn = view(blocks, index), columns_of(scratch)
    cosine, sine, rate = waves[0, 0], waves[0, 1], waves[0, 2]
    harmonics = lines.shape[2] // 2
    for row in range(TARGET_POSITION, TARGET_VELOCITY + 3):
        for lane in range(LANES):
            block[row, lane] = ZERO
    for k in range(num_lines):
        line = lines[swarm, k]
        for lane in range(LANES):
            c, s = block[HEAD_START, lane], block[HEAD_START + 1, lane]
            mine = ONE if block[LINE, lane] == np.float32(k) else ZERO  # or all of this is nothing
            turn[0, lane], turn[1, lane] = c * cosine - s * sine, s * cosine + c * sine
            turn[2, lane], turn[3, lane] = mine, ZERO
            block[TARGET_POSITION, lane] += mine * line[0, 0]
            block[TARGET_POSITION + 1, lane] += mine * line[0, 1]
            block[TARGET_POSITION + 2, lane] += mine * line[0, 2]
        for h in range(1, harmonics + 1):
            ax, ay, az = line[h, 0], line[h, 1], line[h, 2]
            bx, by, bz = line[harmonics + h, 0], line[harmonics + h, 1], line[harmonics + h, 2]
            w = np.float32(h) * rate
            # Of the velocity: the derivative, and LEAD times the second one
            lead = LEAD * w
            px, py, pz = w * (bx - lead * ax), w * (by - lead * ay), w * (bz - lead * az)
            qx, qy, qz = w * (ax + lead * bx), w * (ay + lead * by), w * (az + lead * bz)
            for lane in range(LANES):
                # Each harmonic is the one before, turned on by the first.
                c = turn[2, lane] * turn[0, lane] - turn[3, lane] * turn[1, lane]
                s = turn[3, lane] * turn[0, lane] + turn[2, lane] * turn[1, lane]
                turn[2, lane], turn[3, lane] = c, s
                block[TARGET_POSITION, lane] += ax * c + bx * s
                block[TARGET_POSITION + 1, lane] += ay * c + by * s
                block[TARGET_POSITION + 2, lane] += az * c + bz * s
                block[TARGET_VELOCITY, lane] += px * c - qx * s
                block[TARGET_VELOCITY + 1, lane] += py * c - qy * s
                block[TARGET_VELOCITY + 2, lane] += pz * c - qz * s


@inlined
def measure_distances(blocks, index):
    """Distances to the targets."""
    block = view(blocks, index)
    for lane in range(LANES):
        target, position = load3(block, TARGET_POSITION, lane), load3(block, POSITION, lane)
        block[DISTANCE, lane] = length(difference(target, position))


@inlined
def note_rings(blocks, index, radius_squared):
    """Note which drones flew through their rings, from behind to the front, in this step."""
    block = view(blocks, index)
    for lane in range(LANES):
        centre, normal = load3(block, CENTRE, lane), load3(block, PASSING_VELOCITY, lane)
        ax, ay, az = difference(load3(block, PREVIOUS_POSITION, lane), centre)
        bx, by, bz = difference(load3(block, POSITION, lane), centre)
        behind, ahead = dot((ax, ay, az), normal), dot((bx, by, bz), normal)
        part = behind / (behind - ahead - TINY)
        cx, cy, cz = ax + part * (bx - ax), ay + part * (by - ay), az + part * (bz - az)
        through = (behind < ZERO) & (ahead >= ZERO)
        within = cx * cx + cy * cy + cz * cz <= radius_squared
        block[RING_PASSED, lane] = block[ACTIVE, lane] if through & within else ZERO


@jitted
def turn_to_next_ring(block, lane, rings, num_rings, num_lines):
    """Turn a lane's drone to the ring after the one it passed; a paced place moves on by itself.

    ``rings`` (R, 6): centre, m, and velocity at which it wants to be passed, m/s.
    """
    ring = (int(block[RING, lane]) + 1) % num_rings
    block[RING, lane] = np.float32(ring)
    for axis in range(3):
        block[CENTRE + axis, lane] = rings[ring, axis]
        block[PASSING_VELOCITY + axis, lane] = rings[ring, 3 + axis]
        if num_lines == 0:
            block[TARGET_POSITION + axis, lane] = rings[ring, axis]
            block[TARGET_VELOCITY + axis, lane] = rings[ring, 3 + axis]
