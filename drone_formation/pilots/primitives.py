"""Motion primitives: the paths among which drones choose, compiled.

A plan is a drone's offset from its moving target as a function of time (Mueller, Hehn & D'Andrea,
"A computationally efficient motion primitive for quadrocopter trajectory generation", 2015): per
axis the quintic that starts at the present offset, velocity and acceleration and comes to rest on
the target after a duration T, plus a detour ``bump * 64 s^3 (1 - s)^3`` with s = time / T, which
leaves both ends alone.  So a primitive has four free numbers, T and the bump.

World frame, SI units.
"""

from __future__ import annotations

import math

import numpy as np

from ..racing.curves import DOWN, LATERAL, TURN, UP
from ..sim._jit import compiled

#: Plans are compared on a grid of times, s; the last is how far ahead conflicts are looked for.
GRID, SAMPLES = 0.1, 128

# A plan is a row: start time, duration, then 7 coefficients of s^0 ... s^6 for each axis.
START, DURATION, COEFFICIENTS, PLAN = 0, 1, 2, 23

jitted = compiled(error_model="numpy")


@jitted
def set_plan(
    plan: np.ndarray,
    now: float,
    duration: float,
    offset: np.ndarray,
    velocity: np.ndarray,
    acceleration: np.ndarray,
    bump: np.ndarray,
) -> None:
    """Write the primitive that starts in a given state, all relative to the target."""
    plan[START], plan[DURATION] = now, duration
    for axis in range(3):
        p, v = offset[axis], velocity[axis] * duration
        a, b = acceleration[axis] * duration * duration, 64 * bump[axis]
        row = COEFFICIENTS + 7 * axis
        plan[row], plan[row + 1], plan[row + 2] = p, v, 0.5 * a
        plan[row + 3] = -10 * p - 6 * v - 1.5 * a + b
        plan[row + 4] = 15 * p + 8 * v + 1.5 * a - 3 * b
        plan[row + 5] = -6 * p - 3 * v - 0.5 * a + 3 * b
        plan[row + 6] = -b


@jitted
def offset_at(plan: np.ndarray, axis: int, time: float) -> tuple[float, float, float]:
    """Offset, velocity and acceleration along an axis, relative to the target."""
    duration = plan[DURATION]
    s = max((time - plan[START]) / duration, 0.0)
    if s >= 1.0:
        return 0.0, 0.0, 0.0
    row = COEFFICIENTS + 7 * axis
    c1, c2, c3 = plan[row + 1], plan[row + 2], plan[row + 3]
    c4, c5, c6 = plan[row + 4], plan[row + 5], plan[row + 6]
    return (
        plan[row] + s * (c1 + s * (c2 + s * (c3 + s * (c4 + s * (c5 + s * c6))))),
        (c1 + s * (2 * c2 + s * (3 * c3 + s * (4 * c4 + s * (5 * c5 + s * 6 * c6))))) / duration,
        (2 * c2 + s * (6 * c3 + s * (12 * c4 + s * (20 * c5 + s * 30 * c6)))) / duration**2,
    )


@jitted
def sample(plan: np.ndarray, now: float, target: np.ndarray, path: np.ndarray) -> float:
    """The path (3, SAMPLES) of a drone that flies a plan to a target, on the grid from now on.

    Returns:
        The time integral of its distance to the target, m s.
    """
    per_duration = 1 / plan[DURATION]
    area = 0.0
    for m in range(SAMPLES):
        s = min(max((now + m * GRID - plan[START]) * per_duration, 0.0), 1.0)
        square = 0.0
        for axis in range(3):
            row = COEFFICIENTS + 7 * axis
            x = plan[row] + s * (
                plan[row + 1] + s * (plan[row + 2] + s * (plan[row + 3] + s * (
                    plan[row + 4] + s * (plan[row + 5] + s * plan[row + 6])
                )))
            )  # fmt: skip
            x = 0.0 if s >= 1.0 else x
            path[axis, m] = target[axis, m] + x
            square += x * x
        area += math.sqrt(square)
    return area * GRID


@jitted
def strain(path: np.ndarray, duration: float, gravity: float, limits: np.ndarray) -> float:
    """By which factor a path must be slowed for a drone to be able to fly it.

    Judged by finite differences: accelerations against the drone's limits, and the rate at which
    the thrust must turn against the torque at hand, which grows with the thrust.
    """
    worst = 0.0
    end = min(int(duration / GRID) + 2, SAMPLES - 3)
    for m in range(end):
        ax = (path[0, m + 2] - 2 * path[0, m + 1] + path[0, m]) / GRID**2
        ay = (path[1, m + 2] - 2 * path[1, m + 1] + path[1, m]) / GRID**2
        az = (path[2, m + 2] - 2 * path[2, m + 1] + path[2, m]) / GRID**2
        bx = (path[0, m + 3] - 2 * path[0, m + 2] + path[0, m + 1]) / GRID**2
        by = (path[1, m + 3] - 2 * path[1, m + 2] + path[1, m + 1]) / GRID**2
        bz = (path[2, m + 3] - 2 * path[2, m + 2] + path[2, m + 1]) / GRID**2
        most = max(math.sqrt(ax * ax + ay * ay) / limits[LATERAL], az / limits[UP])
        most = max(most, -az / limits[DOWN])
        az += gravity
        jx, jy, jz = (bx - ax) / GRID, (by - ay) / GRID, (bz + gravity - az) / GRID
        tx, ty, tz = ay * jz - az * jy, az * jx - ax * jz, ax * jy - ay * jx
        thrust = max(math.sqrt(ax * ax + ay * ay + az * az), 0.3 * gravity)
        turning = math.sqrt(tx * tx + ty * ty + tz * tz) / (thrust * thrust)
        turn = turning / (limits[TURN] * thrust / gravity)
        worst = max(worst, math.sqrt(most), turn ** (1 / 3))
    return worst
