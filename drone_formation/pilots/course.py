"""Races for the classical pilot: one closed curve through all rings, and places on it.

The pilot treats a race as a formation that moves: the drones are strung along one closed curve,
equally far apart in time, and follow each other around it.  Whoever keeps its place passes every
ring and meets nobody.

The curve is a Fourier series in time, through every ring's plane within its radius, with the least
mean square of acceleration and jerk (compare Mellinger & Kumar, "Minimum snap trajectory
generation", 2011, who use polynomials); the times between rings are then shifted from easy to hard
stretches and the whole is slowed to what the drones can fly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import flight

#: Paths stay this far inside a ring's rim, m.
RIM_MARGIN = 0.4
#: Share of the drones' limits that the course uses up; the rest is for joining it and feedback.
EFFORT = 0.75
#: How much jerk weighs against acceleration, s.
SMOOTHNESS = 0.3
#: How often the times between rings are adjusted.
ROUNDS = 20
#: By when drones are expected to have joined, s.
JOINING = 4.0
#: Least separation on the course, in collision distances.
SPACING = 1.4


class Curve(NamedTuple):
    """A closed course, once per lane.

    Attributes:
        lap: time around it, s.
        passing: (R,), when it passes each ring, as shares of a lap.
        coefficients: (L, 1 + 2 H, 3), of the Fourier series in time.
    """

    lap: float
    passing: np.ndarray
    coefficients: np.ndarray

    def at(self, time: np.ndarray, lane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions, velocities and accelerations (M, 3) at times (M,) on lanes (M,)."""
        found = np.empty((len(time), 3)), np.empty((len(time), 3)), np.empty((len(time), 3))
        flight.along_curve(self.coefficients, lane, time, 2 * np.pi / self.lap, *found)
        return found


class Course:
    """A closed curve through rings, and a place on it for every drone.

    Args:
        rings: (R, 7) centre, unit normal, radius.
        first_ring: (N,) index of the ring that each drone must pass first.
        limits: (flight.LIMITS,), what the weakest drone can do.
        gravity: m/s².
        collision_distance: m.

    Attributes:
        lap: time around the course, s.
    """

    def __init__(
        self,
        rings: np.ndarray,
        first_ring: np.ndarray,
        limits: np.ndarray,
        gravity: float,
        collision_distance: float,
    ) -> None:
        count = len(first_ring)
        needed, best = SPACING * collision_distance, -np.inf
        for lanes in (1, 2, 3, 7):
            offsets = lane_offsets(lanes, 1.1 * needed)
            groups = -(-count // lanes)
            lane, start = np.arange(count) % lanes, np.arange(count) // lanes / groups
            for evenness in (0.0, 0.4, 0.8):
                laid = self._lay(rings, offsets, evenness, limits, gravity)
                gap = least_separation(laid, lane, start * laid.lap, laid.lap / groups)
                # Enough room comes first, then speed.
                score = min(gap - needed, 0) * 1e6 - laid.lap
                if score > best:
                    best, self._curve = score, laid
                    self._lane, self._head_start = lane, start * laid.lap
            if best > -1e3:
                break
        self.lap = self._curve.lap
        self._take_places(first_ring)

    def _lay(
        self,
        rings: np.ndarray,
        lanes: np.ndarray,
        evenness: float,
        limits: np.ndarray,
        gravity: float,
    ) -> Curve:
        """The quickest course found through the rings, for all lanes.

        ``evenness`` 0 gives hard stretches what time they need, 1 strives for constant speed.
        """
        centre, normal, radius = rings[:, :3], rings[:, 3:6], rings[:, 6]
        side = np.cross(normal, [0.0, 0.0, 1.0])
        side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
        plane = np.stack([side, np.cross(side, normal)], axis=1)  # (R, 2, 3)
        room = np.maximum(radius - RIM_MARGIN - np.linalg.norm(lanes, axis=1).max(), 0.0)
        gaps = np.linalg.norm(np.roll(centre, -1, axis=0) - centre, axis=1)
        shares, shift = gaps / gaps.sum(), np.zeros((len(rings), 2))
        best: Curve | None = None
        lap = gaps.sum() / 8.0
        for _ in range(ROUNDS):
            fit = Fit(shares, lap)
            flight.relax(fit.cost, centre, plane, room, shift, 100)
            path = fit.coefficients(centre + np.einsum("ri,rij->rj", shift, plane))
            lap, slower, length = fit.flyable(path, limits, gravity)
            if best is None or lap < best.lap:
                points = [centre + np.einsum("ri,rij->rj", shift + o, plane) for o in lanes]
                passing = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
                best = Curve(lap, passing, np.stack([fit.coefficients(p) for p in points]))
            slower, even = slower / slower.mean(), length / length.mean() * shares.mean() / shares
            shares = shares * slower ** (0.3 * (1 - evenness)) * even ** (0.5 * evenness)
            shares /= shares.sum()
        assert best is not None
        return best

    def _take_places(self, first_ring: np.ndarray) -> None:
        """Give each drone a place that comes by its first ring soon after it has joined."""
        drones = np.argsort(self._curve.passing[first_ring], kind="stable")
        due = self._curve.passing[first_ring][drones] * self.lap
        phase = (JOINING + self._head_start) % self.lap
        places = np.argsort(phase, kind="stable")
        waits = [((due - np.roll(phase[places], k)) % self.lap).sum() for k in range(len(places))]
        taken = np.roll(places, int(np.argmin(waits)))
        self._head_start[drones] = self._head_start[taken]
        self._lane[drones] = self._lane[taken]

    def places(self, time: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where every drone's place is, its velocity and acceleration, each (N, 3)."""
        return self._curve.at(time + self._head_start, self._lane)

    def foresee(self, time: float) -> np.ndarray:
        """Where the places will be, (N, 3, flight.SAMPLES)."""
        ahead = np.arange(flight.SAMPLES) * flight.GRID
        times = time + self._head_start[:, None] + ahead
        lanes = np.repeat(self._lane, flight.SAMPLES)
        position = self._curve.at(times.ravel(), lanes)[0]
        return position.reshape(len(self._lane), flight.SAMPLES, 3).swapaxes(1, 2).copy()


def lane_offsets(count: int, spacing: float) -> np.ndarray:
    """Where lanes run in a ring's plane, (count, 2), no two nearer than the spacing, m."""
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


def least_separation(curve: Curve, lane: np.ndarray, start: np.ndarray, period: float) -> float:
    """Least distance, at any time, between places on a course with given head starts, m."""
    least = np.inf
    for time in np.arange(8) / 8 * period:
        places = curve.at(time + start, lane)[0]
        for i in range(0, len(places), 256):  # in strips, so that many drones need little memory
            gaps = np.linalg.norm(places[i : i + 256, None] - places[None], axis=2)
            gaps[np.arange(len(gaps)), np.arange(i, i + len(gaps))] = np.inf
            least = min(least, gaps.min())
    return least


def fourier(angle: np.ndarray, harmonics: int, derivative: int = 0) -> np.ndarray:
    """Basis (M, 1 + 2 H) of 1, cos(h a), sin(h a), or its derivatives by the angle."""
    h = np.arange(1, harmonics + 1)
    turned = angle[:, None] * h + derivative * np.pi / 2
    scale = h.astype(float) ** derivative
    constant = np.full((len(angle), 1), 1.0 if derivative == 0 else 0.0)
    return np.concatenate([constant, scale * np.cos(turned), scale * np.sin(turned)], axis=1)


class Fit:
    """Smoothest Fourier series through points at given shares of a lap."""

    def __init__(self, shares: np.ndarray, lap: float) -> None:
        self.shares, self.lap, self.harmonics = shares, lap, len(shares)
        at = 2 * np.pi * np.concatenate([[0.0], np.cumsum(shares)[:-1]])
        h = 2 * np.pi / lap * np.arange(1, self.harmonics + 1)
        price = np.concatenate([[1e-3], np.tile(h**4 * (1 + (SMOOTHNESS * h) ** 2), 2)])
        basis = fourier(at, self.harmonics)
        self.cost = np.linalg.inv((basis / price) @ basis.T)  # of the points: x' cost x
        self._solve = (basis / price).T @ self.cost

    def coefficients(self, points: np.ndarray) -> np.ndarray:
        """(1 + 2 H, 3), from points (R, 3)."""
        return self._solve @ points

    def flyable(
        self, path: np.ndarray, limits: np.ndarray, gravity: float
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """The shortest lap on a path, and each stretch's need for time and its length (R,)."""
        samples = 12
        ends = np.cumsum(self.shares)
        part = (np.arange(samples) + 0.5) / samples
        at = 2 * np.pi * ((ends - self.shares)[:, None] + part * self.shares[:, None]).ravel()
        v, a, j = (fourier(at, self.harmonics, order) @ path for order in (1, 2, 3))
        speed = np.linalg.norm(v, axis=1).reshape(-1, samples)
        lap = self.lap
        for _ in range(4):  # gravity does not scale with the lap: a few rounds settle it
            rate = 2 * np.pi / lap
            slower = strain(a * rate**2, j * rate**3, limits, gravity)
            lap *= slower.max()
        slower = slower.reshape(-1, samples).max(axis=1)
        return lap, slower, speed.mean(axis=1) * self.shares


def strain(a: np.ndarray, j: np.ndarray, limits: np.ndarray, gravity: float) -> np.ndarray:
    """As ``flight.strain``, at points with accelerations and jerks (M, 3): (M,)."""
    most = np.maximum.reduce([
        np.hypot(a[:, 0], a[:, 1]) / limits[flight.LATERAL],
        a[:, 2] / limits[flight.UP],
        -a[:, 2] / limits[flight.DOWN],
    ])  # fmt: skip
    a = a + np.array([0, 0, gravity])
    thrust = np.maximum(np.linalg.norm(a, axis=1), 0.3 * gravity)
    turning = np.linalg.norm(np.cross(a, j), axis=1) / thrust**2
    turn = turning / (limits[flight.TURN] * thrust / gravity)
    return np.maximum(np.sqrt(most / EFFORT), np.cbrt(turn / EFFORT))
