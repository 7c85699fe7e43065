"""The compiled half of ``course.py``: closed curves and points on them."""

from __future__ import annotations

import math

import numpy as np

from .kernel import compiled

# A drone's limits are a row: greatest horizontal, upward and downward acceleration (m/s^2), and
# greatest rate at which hovering thrust can be turned (rad/s).
LATERAL, UP, DOWN, TURN, LIMITS = 0, 1, 2, 3, 4

jitted = compiled(error_model="numpy")


@jitted
def along_curve(lines, line, times, rate, position, velocity, acceleration):
    """Where places on a course are at given times, their velocities and accelerations.

    Args:
        lines: (L, 1 + 2 H, 3), of a ``Curve``.
        line, times: (M,).
        rate: 2 pi / lap, rad/s.
        position, velocity, acceleration: (M, 3), written.
    """
    harmonics = lines.shape[1] // 2
    for m in range(len(times)):
        series = lines[line[m]]
        cosine, sine = math.cos(rate * times[m]), math.sin(rate * times[m])
        c, s = 1.0, 0.0
        for axis in range(3):
            position[m, axis] = series[0, axis]
            velocity[m, axis] = acceleration[m, axis] = 0.0
        for h in range(1, harmonics + 1):
            c, s = c * cosine - s * sine, s * cosine + c * sine
            w = h * rate
            for axis in range(3):
                a, b = series[h, axis], series[harmonics + h, axis]
                position[m, axis] += a * c + b * s
                velocity[m, axis] += w * (b * c - a * s)
                acceleration[m, axis] -= w * w * (a * c + b * s)


@jitted
def closest(points):
    """Least distance between any two of some points (N, 3); infinite where there is one."""
    least = np.inf
    for i in range(len(points)):
        for k in range(i):
            x, y = points[i, 0] - points[k, 0], points[i, 1] - points[k, 1]
            z = points[i, 2] - points[k, 2]
            least = min(least, x * x + y * y + z * z)
    return math.sqrt(least)


@jitted
def relax(cost, centre, plane, room, shift, rounds):
    """Move points within discs so that ``sum x' cost x`` over the axes is least.

    Accelerated projected gradient (Nesterov, 1983).

    Args:
        cost: (R, R), symmetric and positive.
        centre, plane: (R, 3) and (R, 2, 3), centres of the discs and unit vectors along them.
        room: (R,), radii.
        shift: (R, 2), where the points are in their discs; updated.
    """
    count = len(centre)
    largest = 0.0
    for i in range(count):
        largest = max(largest, np.abs(cost[i]).sum())
    ahead, points, slope = shift.copy(), np.zeros((count, 3)), np.zeros((count, 3))
    for k in range(rounds):
        for i in range(count):
            for axis in range(3):
                points[i, axis] = (
                    centre[i, axis] + ahead[i, 0] * plane[i, 0, axis]
                    + ahead[i, 1] * plane[i, 1, axis]
                )  # fmt: skip
        slope[:] = 0
        for j in range(count):  # numba's own matrix product would need SciPy
            for i in range(count):
                for axis in range(3):
                    slope[i, axis] += cost[j, i] * points[j, axis]
        for i in range(count):
            u, v = ahead[i, 0], ahead[i, 1]
            for axis in range(3):
                u -= slope[i, axis] * plane[i, 0, axis] / largest
                v -= slope[i, axis] * plane[i, 1, axis] / largest
            inside = min(1.0, room[i] / max(math.sqrt(u * u + v * v), 1e-9))
            u, v = u * inside, v * inside
            momentum = k / (k + 3)
            ahead[i, 0] = u + momentum * (u - shift[i, 0])
            ahead[i, 1] = v + momentum * (v - shift[i, 1])
            shift[i, 0], shift[i, 1] = u, v


@jitted
def strain(bend, twist, rate, able, gravity):
    """By which factor a curve must be slowed, at each of some points, for a drone to fly it: (M,).

    As ``pilots.flight.strain``, of which it is no part: numba's disk cache notices changes only in
    the file that holds a function.

    Args:
        bend, twist: (M, 3), the second and third derivatives of the curve by its angle, m.
        rate: how fast the angle grows, rad/s.
        able: (LIMITS,), what the drone can do.
    """
    slower = np.empty(len(bend))
    for m in range(len(bend)):
        ax, ay, az = rate**2 * bend[m, 0], rate**2 * bend[m, 1], rate**2 * bend[m, 2]
        jx, jy, jz = rate**3 * twist[m, 0], rate**3 * twist[m, 1], rate**3 * twist[m, 2]
        most = max(math.sqrt(ax * ax + ay * ay) / able[LATERAL], az / able[UP], -az / able[DOWN])
        az += gravity
        tx, ty, tz = ay * jz - az * jy, az * jx - ax * jz, ax * jy - ay * jx
        thrust = max(math.sqrt(ax * ax + ay * ay + az * az), 0.3 * gravity)
        turning = math.sqrt(tx * tx + ty * ty + tz * tz) / (thrust * thrust)
        turn = turning / (able[TURN] * thrust / gravity)
        slower[m] = max(math.sqrt(most), turn ** (1 / 3))
    return slower
