"""Trajectories: where every slot is at every time.  One model serves all tasks::

    target(t) = centre + sum over h of (cosine[h] cos(w[h] t) + sine[h] sin(w[h] t)) + path(t)

The harmonics, of frequencies w, are any in number and have coefficients per slot; ``path`` is a
sampled path, a cubic between knots.  Either may be missing.  Units are m, s and rad/s, in the world
frame; t is the time since the episode began.

The compiled step evaluates the same model in single precision from the plain arrays that
:meth:`Trajectory.harmonic_rows` and :meth:`Path.rows` return; what is here in NumPy, in double
precision, is its reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from . import validation

#: Harmonics of :meth:`Trajectory.wandering`.
HARMONICS = 4
#: What the coefficients and knots of one swarm may take in the compiled step, bytes: 43,000 knots
#: for 64 drones, 680 for 4,096.
MAX_BYTES = 2**26


def _array(name: str, value: Any, shape: tuple[int | None, ...], form: str) -> np.ndarray:
    """``value`` as finite float64 of a shape, None matching any length; read-only, and a copy."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, got {value!r}")
    fits = array.ndim == len(shape) and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must have shape {form}, got {array.shape}")
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[index]} at {index}")
    array = array.astype(np.float64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Path:
    """A sampled path: knots at equal intervals, and a cubic between each two (Hermite's).

    Attributes:
        points: (K, N, 3), where the slots are at times 0, ``interval``, 2 ``interval``, ..., m.
        velocities: (K, N, 3), how they move there, m/s.
        interval: s between knots.
        closed: whether the first knot follows on the last, ``interval`` later, and so on for ever.
            Otherwise slots stay at the last knot, at rest, from when they reach it.

    Raises:
        TypeError, ValueError: something is no number, not finite or of another shape.
    """

    points: np.ndarray
    velocities: np.ndarray
    interval: float
    closed: bool = False

    def __post_init__(self) -> None:
        points = _array("points", self.points, (None, None, 3), "(K, N, 3)")
        if not points.size:
            raise ValueError(f"points must hold a knot and a slot, got shape {points.shape}")
        shape = points.shape
        velocities = _array("velocities", self.velocities, shape, f"{shape}, as the points have")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "velocities", velocities)
        object.__setattr__(self, "interval", validation.positive("interval", self.interval))
        object.__setattr__(self, "closed", validation.boolean("closed", self.closed))

    def evaluate(self, time: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions, velocities and accelerations at times (...): three arrays (..., N, 3)."""
        knots, count = np.asarray(time, float) / self.interval, len(self.points)
        if self.closed:
            ended = np.zeros(knots.shape, bool)
            knots = knots % count
            first = np.minimum(knots.astype(int), count - 1)
        else:
            ended = knots >= count - 1
            knots = np.clip(knots, 0, count - 1)
            first = np.minimum(knots.astype(int), max(count - 2, 0))
        u = (knots - first)[..., None, None]
        second = (first + 1) % count if self.closed else np.minimum(first + 1, count - 1)
        a, b = self.points[first], self.points[second]
        va, vb = self.interval * self.velocities[first], self.interval * self.velocities[second]
        # a + va u + square u^2 + cube u^3
        square, cube = 3 * (b - a) - 2 * va - vb, 2 * (a - b) + va + vb
        rest = ended[..., None, None]
        position = np.where(rest, self.points[-1], a + u * (va + u * (square + u * cube)))
        velocity = np.where(rest, 0, va + u * (2 * square + 3 * u * cube)) / self.interval
        acceleration = np.where(rest, 0, 2 * square + 6 * u * cube) / self.interval**2
        return position, velocity, acceleration

    def rows(self) -> np.ndarray:
        """(K, 6, N) float32, for the compiled step: each knot's x, y, z and velocities."""
        knots = np.concatenate([self.points, self.velocities], axis=2)
        return np.ascontiguousarray(knots.swapaxes(1, 2), np.float32)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """How the N slots of a formation move; see the model at the head of this module.

    Attributes:
        centre: (N, 3), m.
        cosine, sine: (H, N, 3) coefficients, m; (H, 1, 3) for a motion that all slots share.
        frequencies: (H,), rad/s.
        lead: s; the velocity that drones are shown is the slots' velocity plus this times their
            acceleration, so that they lean before a bend.
        path: a sampled path that is added.

    Raises:
        TypeError, ValueError: something is no number, not finite or of another shape, or all of it
            takes more than ``MAX_BYTES``.
    """

    centre: np.ndarray
    cosine: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 3)))
    sine: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 3)))
    frequencies: np.ndarray = field(default_factory=lambda: np.zeros(0))
    lead: float = 0.0
    path: Path | None = None

    def __post_init__(self) -> None:
        centre = _array("centre", self.centre, (None, 3), "(N, 3)")
        frequencies = _array("frequencies", self.frequencies, (None,), "(H,)")
        slots, harmonics = len(centre), len(frequencies)
        if not slots:
            raise ValueError("centre must hold a slot, got shape (0, 3)")
        object.__setattr__(self, "centre", centre)
        object.__setattr__(self, "frequencies", frequencies)
        for name in ("cosine", "sine"):
            value = np.asarray(getattr(self, name))
            shape = (harmonics, slots, 3)
            shared = (harmonics, 1, 3)
            form = f"{shape} or {shared}, for {harmonics} frequencies and {slots} slots"
            array = _array(name, value, shared if value.shape == shared else shape, form)
            object.__setattr__(self, name, np.broadcast_to(array, shape))
        if self.lead != 0:
            object.__setattr__(self, "lead", validation.positive("lead", self.lead))
        path = validation.instance("path", self.path, Path, None)
        if path is not None and path.points.shape[1] != slots:
            raise ValueError(
                f"path must move {slots} slots, as centre has, got {path.points.shape[1]}"
            )
        size = 24 * slots * (harmonics + (len(path.points) if path else 0))
        if size > MAX_BYTES:
            raise ValueError(
                f"a trajectory may take {MAX_BYTES:,} bytes (24 for each harmonic or knot of each "
                f"slot), got {size:,}: take fewer knots, farther apart"
            )

    def __len__(self) -> int:
        """N, how many slots it moves."""
        return len(self.centre)

    # ---- what it is at a time: the reference of the compiled step ------------------------------

    def position(self, time: Any) -> np.ndarray:
        """Where the slots are at times (...), s: (..., N, 3), m."""
        return self._evaluate(time)[0]

    def velocity(self, time: Any) -> np.ndarray:
        """How drones are shown to have to move at times (...), s: (..., N, 3), m/s.

        That is the derivative of :meth:`position`, and ``lead`` times the second one.
        """
        _, velocity, acceleration = self._evaluate(time)
        return velocity + self.lead * acceleration

    def _evaluate(self, time: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w = self.frequencies
        phase = np.multiply.outer(np.asarray(time, float), w)
        c, s = np.cos(phase), np.sin(phase)

        def total(along: np.ndarray, across: np.ndarray) -> np.ndarray:
            return np.tensordot(along, self.cosine, 1) + np.tensordot(across, self.sine, 1)

        position = self.centre + total(c, s)
        velocity, acceleration = total(-s * w, c * w), -total(c * w**2, s * w**2)
        if self.path is not None:
            moved = self.path.evaluate(time)
            position = position + moved[0]
            velocity, acceleration = velocity + moved[1], acceleration + moved[2]
        return position, velocity, acceleration

    def harmonic_rows(self) -> np.ndarray:
        """(H, 6, N) float32: the cosines' x, y, z and the sines', as the compiled step does."""
        both = np.concatenate([self.cosine, self.sine], axis=2)
        return np.ascontiguousarray(both.swapaxes(1, 2), np.float32)

    def take(self, slots: np.ndarray) -> Trajectory:
        """The same motion with the slots in another order: slot i is what ``slots[i]`` was."""
        path = self.path
        if path is not None:
            path = replace(path, points=path.points[:, slots], velocities=path.velocities[:, slots])
        return replace(
            self, centre=self.centre[slots], cosine=self.cosine[:, slots],
            sine=self.sine[:, slots], path=path,
        )  # fmt: skip

    # ---- motions -------------------------------------------------------------------------------

    @classmethod
    def still(cls, points: np.ndarray) -> Trajectory:
        """Slots (N, 3), m, that stay where they are."""
        return cls(points)

    @classmethod
    def turning(cls, points: np.ndarray, period: float) -> Trajectory:
        """Points (N, 3) that turn about the vertical through the origin.

        Args:
            points: where they are at first, m.
            period: s for a turn, seen from above against the clock; clockwise where negative.
        """
        across = np.stack([-points[:, 1], points[:, 0], np.zeros(len(points))], axis=1)
        return cls(
            points * [0, 0, 1],
            cosine=(points * [1, 1, 0])[None],
            sine=(across * np.sign(period))[None],
            frequencies=np.array([2 * np.pi / abs(period)]),
        )

    @classmethod
    def wandering(
        cls, points: np.ndarray, room: np.ndarray, rng: np.random.Generator, together: bool = False
    ) -> Trajectory:
        """Points (N, 3) that follow smooth random paths, slower than 1 m/s along each axis.

        Args:
            points: the middles of the paths, m.
            room: (3,), how far along each axis they may go from there, m.
            rng: what the paths are drawn from.
            together: whether all follow one path; otherwise each follows its own.
        """
        count = 1 if together else len(points)
        frequencies = rng.uniform(0.02, 0.25, HARMONICS)
        cosine, sine = rng.normal(size=(2, HARMONICS, count, 3)) / frequencies[:, None, None]
        size = np.hypot(cosine, sine)
        fastest = (size * frequencies[:, None, None]).sum(axis=0)
        scale = np.minimum(room / size.sum(axis=0), 1.0 / fastest)
        return cls(points, cosine * scale, sine * scale, frequencies)

    @classmethod
    def trailing(  # a curve takes three arrays, and the motion along it three numbers
        cls,
        harmonics: np.ndarray,
        cosine: np.ndarray,
        sine: np.ndarray,
        angles: np.ndarray,
        rate: float,
        *,
        centre: np.ndarray | None = None,
        lead: float = 0.0,
    ) -> Trajectory:
        """Slots that follow each other along a closed curve, a Fourier series of an angle.

        Args:
            harmonics: (H,) integers, by which the angle is multiplied.
            cosine, sine: (H, 3) coefficients of the curve; (H, N, 3) where slots have different
                ones, m.
            angles: (N,), where on the curve each slot is at first, rad.
            rate: how fast the angle grows, rad/s.
            centre: (N, 3), middle of the curve, m; None for the origin.
            lead: as the attribute, s.
        """
        if cosine.ndim == 2:
            cosine, sine = cosine[:, None, :], sine[:, None, :]
        ahead = np.outer(harmonics, angles)[:, :, None]
        return cls(
            np.zeros((len(angles), 3)) if centre is None else centre,
            cosine * np.cos(ahead) + sine * np.sin(ahead),
            sine * np.cos(ahead) - cosine * np.sin(ahead),
            harmonics * rate,
            lead,
        )

    @classmethod
    def waving(
        cls,
        points: np.ndarray,
        amplitude: Any,
        wavelength: float,
        period: float,
        along: Any = (0.0, 1.0, 0.0),
        across: Any = (1.0, 0.0, 0.0),
    ) -> Trajectory:
        """Points (N, 3) that a transverse wave runs through, as through a flag in the wind.

        Args:
            points: where they would be at rest, m.
            amplitude: of the wave, m; one number, or one for each point (N,).
            wavelength: m from crest to crest.
            period: s from crest to crest.
            along: (3,), where the wave runs to; any length.
            across: (3,), where it moves points to; any length.
        """
        along, across = (np.asarray(axis, float) / np.linalg.norm(axis) for axis in (along, across))
        phase = 2 * np.pi / validation.positive("wavelength", wavelength) * (points @ along)
        reach = np.broadcast_to(amplitude, len(points))
        return cls(
            points,
            cosine=np.outer(reach * np.sin(phase), across)[None],
            sine=np.outer(-reach * np.cos(phase), across)[None],
            frequencies=np.array([2 * np.pi / validation.positive("period", period)]),
        )

    @classmethod
    def sampled(
        cls,
        points: Any,
        interval: float,
        velocities: Any = None,
        closed: bool = False,
    ) -> Trajectory:
        """Slots on a path of which samples are known.

        Args:
            points: (T, N, 3), where the slots are at times 0, ``interval``, 2 ``interval``, ..., m.
            interval: s between samples.
            velocities: (T, N, 3), m/s; None for those of finite differences.
            closed: whether the first sample follows on the last; otherwise slots stay at the last
                one, at rest.
        """
        interval = validation.positive("interval", interval)
        points = _array("points", points, (None, None, 3), "(T, N, 3)")
        if velocities is None:
            velocities = _differences(points, interval, closed)
        path = Path(points, velocities, interval, closed)
        return cls(np.zeros(points.shape[1:]), path=path)


def _differences(points: np.ndarray, interval: float, closed: bool) -> np.ndarray:
    """Velocities (T, N, 3) of samples, by central differences; one-sided at the ends."""
    if closed:
        return (np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)) / (2 * interval)
    if len(points) < 2:
        return np.zeros_like(points)
    edge_order: Literal[1, 2] = 2 if len(points) > 2 else 1
    return np.asarray(np.gradient(points, interval, axis=0, edge_order=edge_order))
