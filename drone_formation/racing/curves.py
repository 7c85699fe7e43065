"""The compiled half of ``course.py``: closed curves and points on them."""

from __future__ import annotations

import math

import numpy as np

from ..sim._jit import compiled

# A drone's limits are a row: greatest horizontal, upward and downward acceleration (m/s^2), and
# greatest rate at which hovering thrust can be turned (rad/s).
LATERAL, UP, DOWN, TURN, LIMITS = 0, 1, 2, 3, 4

jitted = compiled(error_model="numpy")


@jitted
def along_curve(
    lines: np.ndarray,
    line: np.ndarray,
    times: np.ndarray,
    rate: float,
    position: np.ndarray,
    velocity: np.ndarray,
    acceleration: np.ndarray,
) -> None:
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
def closest(points: np.ndarray) -> float:
    """Least distance between any two of some points (N, 3); infinite where there is one."""
    least = np.inf
    for i in range(len(points)):
        for k in range(i):
            x, y = points[i, 0] - points[k, 0], points[i, 1] - points[k, 1]
            z = points[i, 2] - points[k, 2]
            least = min(least, x * x + y * y + z * z)
    return math.sqrt(least)


@jitted
def separation(
    lines: np.ndarray, line: np.ndarray, start: np.ndarray, times: np.ndarray, rate: float
) -> float:
    """Least distance, at any of some times, between places with head starts (M,) on a course."""
    position = np.empty((len(start), 3))
    velocity, acceleration = np.empty_like(position), np.empty_like(position)
    least = np.inf
    for time in times:
        along_curve(lines, line, time + start, rate, position, velocity, acceleration)
        least = min(least, closest(position))
    return least


@jitted
def bends(
    path: np.ndarray, angle: np.ndarray, speed: np.ndarray, bend: np.ndarray, twist: np.ndarray
) -> None:
    """How a curve runs at some angles: what is worked out of its derivatives by the angle.

    Args:
        path: (1 + 2 H, 3), a Fourier series.
        angle: (M,), rad.
        speed: (M,), length of the first derivative, written.
        bend, twist: (3, M), the second and third derivatives, written.
    """
    harmonics, count = len(path) // 2, len(angle)
    cosine, sine = np.cos(angle), np.sin(angle)
    c, s, first = np.ones(count), np.zeros(count), np.zeros((3, count))
    bend[:] = 0
    twist[:] = 0
    for h in range(1, harmonics + 1):
        for m in range(count):
            c[m], s[m] = c[m] * cosine[m] - s[m] * sine[m], s[m] * cosine[m] + c[m] * sine[m]
        for axis in range(3):
            a, b = h * path[h, axis], h * path[harmonics + h, axis]
            for m in range(count):
                along, across = b * c[m] - a * s[m], a * c[m] + b * s[m]
                first[axis, m] += along
                bend[axis, m] -= h * across
                twist[axis, m] -= h * h * along
    for m in range(count):
        speed[m] = math.sqrt(first[0, m] ** 2 + first[1, m] ** 2 + first[2, m] ** 2)


@jitted
def relax(
    cost: np.ndarray,
    centre: np.ndarray,
    plane: np.ndarray,
    room: np.ndarray,
    shift: np.ndarray,
    rounds: int,
) -> None:
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
def strain(
    bend: np.ndarray, twist: np.ndarray, rate: float, able: np.ndarray, gravity: float
) -> np.ndarray:
    """By which factor a curve must be slowed, at each of some points, for a drone to fly it: (M,).

    As ``pilots.primitives.strain``, of which it is no part: the disk cache notices changes only in
    the folder that holds a function.

    Args:
        bend, twist: (3, M), the second and third derivatives of the curve by its angle, m.
        rate: how fast the angle grows, rad/s.
        able: (LIMITS,), what the drone can do.
    """
    count = bend.shape[1]
    slower = np.empty(count)
    for m in range(count):
        ax, ay, az = rate**2 * bend[0, m], rate**2 * bend[1, m], rate**2 * bend[2, m]
        jx, jy, jz = rate**3 * twist[0, m], rate**3 * twist[1, m], rate**3 * twist[2, m]
        most = max(math.sqrt(ax * ax + ay * ay) / able[LATERAL], az / able[UP], -az / able[DOWN])
        az += gravity
        tx, ty, tz = ay * jz - az * jy, az * jx - ax * jz, ax * jy - ay * jx
        thrust = max(math.sqrt(ax * ax + ay * ay + az * az), 0.3 * gravity)
        turning = math.sqrt(tx * tx + ty * ty + tz * tz) / (thrust * thrust)
        turn = turning / (able[TURN] * thrust / gravity)
        slower[m] = max(math.sqrt(most), turn ** (1 / 3))
    return slower
