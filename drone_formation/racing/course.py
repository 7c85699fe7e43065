"""Paced races: one closed curve through all rings, and a place on it for every drone.

A paced race is a formation that moves: places are strung along one closed curve, equally far apart
in time, and follow each other around it.  A drone which keeps its place passes every ring and has
no conflict.  The simulator and the classical pilot share what is here.

The curve is a Fourier series in time, through every ring's plane within its radius, with the least
mean square of acceleration and jerk (compare Mellinger & Kumar, "Minimum snap trajectory
generation", 2011, who use polynomials); the times between rings are then shifted from easy to hard
stretches and the whole is slowed to what the drones can fly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..airframe import PARAMETERS
from ..trajectories import Trajectory
from .curves import DOWN, LATERAL, LIMITS, TURN, UP, along_curve, bends, relax, separation, strain

#: Greatest downward acceleration on a course, m/s².
RACING_DOWN = 7.5
#: How much jerk weighs against acceleration, s.
SMOOTHNESS = 0.3
#: How often the times between rings are adjusted before a course is any good.
SETTLING_ROUNDS = 10
#: And how often, after that, from a course that hurries where it can to one of even speed; this
#: ends so many courses after the first on which places keep clear: what follows is slower.
ROUNDS, MORE = 40, 5
#: How many lines a course has at most.
MOST_LINES = 7
#: By how much the velocities shown run ahead of the places, s.
LEAD = 0.2


def limits(airframes: np.ndarray, down: float = 4.5) -> np.ndarray:
    """What plans may ask of drones with given airframes (N, 14): (N, LIMITS)."""
    column = {name: airframes[:, i] for i, name in enumerate(PARAMETERS)}
    weight, arm = column["mass"] * column["gravity"], column["arm"]
    strongest = 4 * column["thrust_coefficient"] * column["max_rotor_speed"] ** 2 / column["mass"]
    usable, gravity = 0.8 * strongest, column["gravity"]
    inertia = np.maximum(column["inertia_x"], column["inertia_y"])
    result = np.empty((len(airframes), LIMITS))
    spare = np.maximum(usable**2 - (1.15 * gravity) ** 2, (0.1 * gravity) ** 2)
    result[:, LATERAL] = np.minimum(14.0, np.sqrt(spare))
    result[:, UP] = np.clip(0.7 * (usable - gravity), 0.1 * gravity, 12.0)
    result[:, DOWN] = down
    # Torque of opposite rotors, one stopped and one at up to twice its share of the weight, against
    # damping and, over an eighth of a second, inertia.
    torque = arm * weight / 4 * np.minimum(2.0, 0.7 * strongest / gravity)
    result[:, TURN] = 1.5 * torque / (column["angular_damping"] + 8 * inertia)
    return result


class Curve(NamedTuple):
    """A closed course, once per line.

    Attributes:
        lap: time around it, s.
        passing: (R,), when it passes each ring, as shares of a lap.
        lines: (L, 1 + 2 H, 3), each line's Fourier series in time: the coefficients of 1, of H
            cosines and of H sines.  All lines are the same course, moved in the rings' planes.
    """

    lap: float
    passing: np.ndarray
    lines: np.ndarray

    def at(self, time: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions, velocities and accelerations (M, 3) at times (M,) on lines (M,)."""
        found = np.empty((len(time), 3)), np.empty((len(time), 3)), np.empty((len(time), 3))
        along_curve(self.lines, line, time, 2 * np.pi / self.lap, *found)
        return found


class Course:
    """A closed curve through rings, and a place on it for every drone.

    Args:
        rings: (R, 7) centre, unit normal, radius.
        first_ring: (N,) index of the ring that each drone must pass first.
        airframes: (N, 14), of the drones; the weakest sets the pace.
        collision_distance: m.
        joining: by when drones are expected to be in their places, s; one number or (N,).
        effort: share of the drones' limits that the course uses up; what is left serves to join it
            and to keep one's place.
        margin: how far the course stays inside a ring's rim, m.
        spacing: least separation of places, in collision distances, where the rings allow it.

    Attributes:
        curve: the course.
        line: (N,), on which of its lines each drone flies.
        head_start: (N,), when each drone's place was at the curve's begin, s before the start.
    """

    def __init__(
        self,
        rings: np.ndarray,
        first_ring: np.ndarray,
        airframes: np.ndarray,
        collision_distance: float,
        joining: float | np.ndarray = 4.0,
        effort: float = 0.85,
        margin: float = 0.4,
        spacing: float = 1.4,
    ) -> None:
        able = effort * limits(airframes, RACING_DOWN).min(axis=0)
        gravity = airframes[:, PARAMETERS.index("gravity")].max()
        count = len(first_ring)
        needed, best = spacing * collision_distance, np.inf
        for lines in (1, 2, 3, MOST_LINES):
            offsets = line_offsets(lines, 1.1 * needed)
            if np.linalg.norm(offsets, axis=1).max() > rings[:, 6].min() - margin:
                break  # lines that do not fit into a ring
            groups = -(-count // lines)
            line, start = np.arange(count) % lines, np.arange(count) // lines / groups
            clear, laid = False, 0
            for curve in courses(rings, offsets, margin, able, gravity):
                if not clear or curve.lap < best:  # others are not taken, whatever room they have
                    gap = least_separation(curve, line, start * curve.lap, curve.lap / groups)
                    lack = max(1 - gap / needed, 0.0)
                    # A little less room is better than a course that is far slower.
                    price = curve.lap * (1 + (10 * lack) ** 2)
                    if price < best:
                        best, self.curve = price, curve
                        self.line, self.head_start = line, start * curve.lap
                    clear |= lack == 0
                laid += clear
                if laid > MORE:
                    break
            if clear:
                break
        self._take_places(first_ring, joining)

    def _take_places(self, first_ring: np.ndarray, joining: float | np.ndarray) -> None:
        """Give each drone a place that comes by its first ring soon after it can be there.

        That is a matching on a circle, where waits go one way: those in the same order, and one of
        its turns, make the summed wait least.
        """
        lap = self.curve.lap
        due = (self.curve.passing[first_ring] * lap - joining) % lap
        drones, places = np.argsort(due, kind="stable"), np.argsort(self.head_start, kind="stable")
        waits = [
            ((due[drones] - np.roll(self.head_start[places], k)) % lap).sum()
            for k in range(len(places))
        ]
        taken = np.roll(places, int(np.argmin(waits)))
        self.head_start[drones], self.line[drones] = self.head_start[taken], self.line[taken]

    def places(self, time: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where every drone's place is, its velocity and acceleration, each (N, 3)."""
        return self.curve.at(time + self.head_start, self.line)


def pace(
    rings: np.ndarray,
    first_ring: np.ndarray,
    starts: np.ndarray,
    airframes: np.ndarray,
    collision_distance: float,
) -> Course:
    """The course that ``Swarms(paced=True)`` has drones fly, from rest at starts (N, 3), m.

    It is quicker than that of the classical pilot, which has to keep more in hand; its places come
    by their first rings later, and are so far apart that keeping them is no conflict.
    """
    return Course(
        rings, first_ring, airframes, collision_distance,
        joining=joining_times(rings[first_ring], starts), effort=1.15, margin=0.5, spacing=1.5,
    )  # fmt: skip


def joining_times(rings: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """When drones should be in places that come by given rings then, one each: (N,), s.

    A trained policy takes five seconds to its place, more where a drone has far to fly or comes
    from the side that its ring is passed to; a drone which is late has to wait for the next lap.
    """
    ways = rings[:, :3] - starts
    distance = np.linalg.norm(ways, axis=1)
    along = (ways * rings[:, 3:6]).sum(axis=1) / np.maximum(distance, 1e-9)
    return np.maximum(5.3 - 0.6 * along, 1.7 + 0.1 * distance)


def courses(
    rings: np.ndarray, offsets: np.ndarray, margin: float, able: np.ndarray, gravity: float
) -> Iterator[Curve]:
    """Courses through the rings, with a line at each of the offsets (L, 2): the quickest first.

    That gives hard stretches what time they need, so that places come near to each other there.
    Those that follow are of ever more even speed, and slower.  ``able``: what drones can do.
    """
    centre, normal, radius = rings[:, :3], rings[:, 3:6], rings[:, 6]
    side = np.cross(normal, [0.0, 0.0, 1.0])
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    plane = np.stack([side, np.cross(side, normal)], axis=1)  # (R, 2, 3)
    room = np.maximum(radius - margin - np.linalg.norm(offsets, axis=1).max(), 0.0)
    gaps = np.linalg.norm(np.roll(centre, -1, axis=0) - centre, axis=1)
    shares, shift, lap = gaps / gaps.sum(), np.zeros((len(rings), 2)), gaps.sum() / 8.0
    for k in range(SETTLING_ROUNDS + ROUNDS):
        evenness = max(k - SETTLING_ROUNDS, 0) / ROUNDS
        fit = Fit(shares, lap)
        relax(fit.cost, centre, plane, room, shift, 100)
        path = fit.coefficients(centre + np.einsum("ri,rij->rj", shift, plane))
        lap, slower, length = fit.flyable(path, able, gravity)
        if k >= SETTLING_ROUNDS:
            points = [centre + np.einsum("ri,rij->rj", shift + o, plane) for o in offsets]
            passing = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
            yield Curve(lap, passing, np.stack([fit.coefficients(p) for p in points]))
        slower, even = slower / slower.mean(), length / length.mean() * shares.mean() / shares
        shares = shares * slower ** (0.3 * (1 - evenness)) * even ** (0.5 * evenness)
        shares /= shares.sum()


def line_offsets(count: int, spacing: float) -> np.ndarray:
    """Where lines run in a ring's plane, (count, 2), no two nearer than the spacing, m."""
    if count == 1:
        return np.zeros((1, 2))
    around = count if count < 6 else count - 1
    angle = 2 * np.pi * np.arange(around) / around
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ring *= spacing / (2 * np.sin(np.pi / around))
    if count >= 6:
        ring *= max(1.0, spacing / np.linalg.norm(ring[0]))
        return np.concatenate([[[0.0, 0.0]], ring])
    return ring


def least_separation(curve: Curve, line: np.ndarray, start: np.ndarray, period: float) -> float:
    """Least distance, at any time, between places on a course with given head starts, m."""
    times = np.arange(8) / 8 * period
    return separation(curve.lines, line, start, times, 2 * np.pi / curve.lap)


def waves(angle: np.ndarray, harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """cos(h a) and sin(h a), (M, H) each, for angles (M,) and h from 1 to H."""
    first = np.exp(1j * angle)[:, None]
    turning = np.cumprod(np.broadcast_to(first, (len(angle), harmonics)), axis=1)
    return turning.real, turning.imag


class Fit:
    """Smoothest Fourier series through points at given shares of a lap."""

    def __init__(self, shares: np.ndarray, lap: float) -> None:
        self.shares, self.lap, self.harmonics = shares, lap, len(shares)
        at = 2 * np.pi * np.concatenate([[0.0], np.cumsum(shares)[:-1]])
        h = 2 * np.pi / lap * np.arange(1, self.harmonics + 1)
        price = np.concatenate([[1e-3], np.tile(h**4 * (1 + (SMOOTHNESS * h) ** 2), 2)])
        basis = np.concatenate([np.ones((len(at), 1)), *waves(at, self.harmonics)], axis=1)
        self.cost = np.linalg.inv((basis / price) @ basis.T)  # of the points: x' cost x
        self._solve = (basis / price).T @ self.cost

    def coefficients(self, points: np.ndarray) -> np.ndarray:
        """(1 + 2 H, 3), from points (R, 3)."""
        return self._solve @ points

    def flyable(
        self, path: np.ndarray, able: np.ndarray, gravity: float
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """The shortest lap on a path, and each stretch's need for time and its length (R,)."""
        samples = 12
        ends = np.cumsum(self.shares)
        part = (np.arange(samples) + 0.5) / samples
        at = 2 * np.pi * ((ends - self.shares)[:, None] + part * self.shares[:, None]).ravel()
        speed, bend, twist = np.empty(len(at)), np.empty((3, len(at))), np.empty((3, len(at)))
        bends(path, at, speed, bend, twist)
        lap = self.lap
        for _ in range(4):  # gravity does not scale with the lap: a few rounds settle it
            slower = strain(bend, twist, 2 * np.pi / lap, able, gravity)
            lap *= slower.max()
        slower = slower.reshape(-1, samples).max(axis=1)
        return lap, slower, speed.reshape(-1, samples).mean(axis=1) * self.shares


def course_trajectory(course: Course) -> Trajectory:
    """The places on a course as a trajectory: that of every drone, head start included.

    It leads by ``LEAD``: a drone has to lean before a bend, and would not see it coming.
    """
    lines, rate = course.curve.lines[course.line], 2 * np.pi / course.curve.lap  # (N, 1 + 2 H, 3)
    harmonics = lines.shape[1] // 2
    cosine, sine = lines[:, 1 : 1 + harmonics], lines[:, 1 + harmonics :]
    return Trajectory.trailing(
        np.arange(1, harmonics + 1), cosine.swapaxes(0, 1), sine.swapaxes(0, 1),
        rate * course.head_start, rate, centre=lines[:, 0], lead=LEAD,
    )  # fmt: skip
