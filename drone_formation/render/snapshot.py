"""What the renderer draws: one instant of one swarm, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..airframe import CONTROL_STEP

if TYPE_CHECKING:
    from ..swarms import Swarms

# A drone cannot cross this distance (m) between two snapshots: a longer jump is a respawn, and is
# neither joined by a trail nor smoothed by `interpolate`.
JUMP = 3.0

_PALE_BLUE = (150, 200, 255)


@dataclass(frozen=True, eq=False, init=False)
class Snapshot:
    """One instant of a swarm of N drones.

    World frame: z up, metres. Body frame: x forward, z up; rotors 0 to 3 sit on +x, +y, -x, -y.
    Only `positions` is needed; everything else has a sensible default. Arrays are copied, so a
    snapshot stays what it was while the simulation goes on. Where a drone is not `active`, what is
    given for it is not looked at, and may be NaN.
    """

    positions: np.ndarray  # (N, 3) m
    attitudes: np.ndarray  # (N, 4) quaternion w x y z, body -> world; default: level
    colours: np.ndarray  # (N, 3) uint8 RGB; default: pale blue
    targets: np.ndarray | None  # (N, 3) m; None: no targets are drawn
    arena: np.ndarray  # (3,) half extents, m, centred on the origin
    collision_distance: float  # m; drones are drawn 0.9 of it across
    colliding: np.ndarray  # (N,) bool; default: none does
    active: np.ndarray  # (N,) bool, False: gone and not drawn; default: all are there
    time: float  # s
    task: str
    rings: np.ndarray | None  # (R, 7) centre (m), unit normal = way of passage, radius (m)
    next_ring: int | None  # which ring to highlight
    hud: Mapping[str, str | float]  # lines shown below task and time

    # Arguments: each is a field, given by name, and only the first is needed
    def __init__(
        self,
        positions: ArrayLike,
        attitudes: ArrayLike | None = None,
        colours: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        arena: ArrayLike = (30.0, 30.0, 10.0),
        collision_distance: float = 1.0,
        colliding: ArrayLike | None = None,
        active: ArrayLike | None = None,
        time: float = 0.0,
        task: str = "",
        rings: ArrayLike | None = None,
        next_ring: int | None = None,
        hud: Mapping[str, str | float] | None = None,
    ) -> None:
        points = _array("positions", positions, (None, 3))
        n = len(points)
        if n == 0:
            raise ValueError("positions is empty; a snapshot needs at least one drone")
        there = _flags("active", active, n, default=True)
        distance = _number("collision_distance", collision_distance)
        if distance <= 0:
            raise ValueError(f"collision_distance={distance!r} must be positive (m)")
        extents = _floats("arena", arena, (3,))
        if extents.min() <= 0:
            raise ValueError(f"arena={extents.tolist()}: half extents must be positive (m)")
        circles = None if rings is None else _rings(rings)
        count = 0 if circles is None else len(circles)
        if next_ring is not None and not 0 <= next_ring < count:
            raise ValueError(f"next_ring={next_ring!r} is not the index of one of the rings")
        if hud is not None and not isinstance(hud, Mapping):
            raise TypeError(f"hud={hud!r} must map names to strings or numbers")
        values = {
            "positions": _finite("positions", points, there),
            "attitudes": _attitudes(attitudes, there),
            "colours": _colours(colours, n),
            "targets": None if targets is None else _floats("targets", targets, (n, 3), there),
            "arena": extents,
            "collision_distance": distance,
            "colliding": _flags("colliding", colliding, n, default=False) & there,
            "active": there,
            "time": _number("time", time),
            "task": task,
            "rings": circles,
            "next_ring": next_ring,
            "hud": {} if hud is None else dict(hud),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # frozen from here on

    def __len__(self) -> int:
        """The number of drones, N."""
        return len(self.positions)


def snapshot_of(swarms: Swarms, swarm: int = 0, *, figures: bool = False) -> Snapshot:
    """The present instant of one swarm of a simulator.

    `figures` adds how well it flies, for the head-up display.
    """
    rings = swarms.rings(swarm)
    return Snapshot(
        positions=swarms.position[swarm],
        attitudes=swarms.attitude[swarm],
        colours=swarms.colours[swarm],
        targets=swarms.target_position[swarm],
        arena=swarms.arena,
        collision_distance=swarms.collision_distance,
        colliding=swarms.colliding[swarm],
        active=swarms.active[swarm],
        time=float(swarms.steps[swarm] * CONTROL_STEP),
        task=swarms.tasks[swarm],
        rings=rings if len(rings) else None,
        hud=_figures(swarms, swarm) if figures else {},
    )


def _figures(swarms: Swarms, swarm: int) -> dict[str, str]:
    metrics = {name: values[swarm] for name, values in swarms.metrics().items()}
    collisions = {"collisions": f"{metrics['collisions']:.2f} per drone-minute"}
    if len(swarms.rings(swarm)):  # racers stay on no target
        return {"rings": f"{metrics['rings_per_minute']:.1f} per drone-minute", **collisions}
    there = swarms.active[swarm]
    distance = swarms.distance[swarm, there]
    error = np.sqrt(np.mean(distance**2)) if len(distance) else np.nan
    return {
        "perf": f"{metrics['perf']:.3f}",
        "formation error": f"{error:.2f} m",
        "on target": f"{np.count_nonzero(distance < 0.1)} of {len(there)}",
        **collisions,
    }


def interpolate(a: Snapshot, b: Snapshot, fraction: float) -> Snapshot:
    """The instant between `a` (fraction 0) and `b` (fraction 1), for smooth motion on a display.

    The simulation is often slower (20 Hz) than a screen (60 Hz). Positions and targets move
    linearly, attitudes along the shorter arc; whatever jumped (a respawn) waits at `a`.
    """
    if fraction <= 0.0:
        return a
    if fraction >= 1.0 or len(a) != len(b):
        return b

    def mix(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        jumped = ((q - p) ** 2).sum(axis=1, keepdims=True) > JUMP**2
        return np.where(jumped, p, p + fraction * (q - p))

    targets = a.targets
    if a.targets is not None and b.targets is not None:
        targets = mix(a.targets, b.targets)
    # q and -q are the same attitude: take the nearer one.
    sign = np.where((a.attitudes * b.attitudes).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    attitudes = (1 - fraction) * a.attitudes + fraction * sign * b.attitudes
    return Snapshot(
        positions=mix(a.positions, b.positions),
        attitudes=attitudes,
        colours=a.colours,
        targets=targets,
        arena=b.arena,
        collision_distance=b.collision_distance,
        colliding=a.colliding,
        active=a.active & b.active,
        time=a.time + fraction * (b.time - a.time),
        task=b.task,
        rings=a.rings,
        next_ring=a.next_ring,
        hud=a.hud,
    )


def _floats(
    name: str, value: object, shape: tuple[int | None, ...], there: np.ndarray | None = None
) -> np.ndarray:
    """A fresh, finite float64 array of `shape`, or an error that names the argument."""
    return _finite(name, _array(name, value, shape), there)


def _array(name: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """A fresh float64 array of `shape` (None: any length)."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name}={value!r} is not an array of numbers") from None
    fits = array.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {array.shape}; allowed: ({wanted})")
    return array


def _finite(name: str, array: np.ndarray, there: np.ndarray | None) -> np.ndarray:
    """The array, found finite; rows that are not `there` are not looked at, and set to 0."""
    if there is not None:
        array[~there] = 0
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}{list(index)} is {array[index]}; every value must be finite")
    return array


def _attitudes(value: object, there: np.ndarray) -> np.ndarray:
    """Unit quaternions (N, 4); level where none are given, or where no drone is."""
    level = np.tile([1.0, 0.0, 0.0, 0.0], (len(there), 1))
    if value is None:
        return level
    attitudes = _floats("attitudes", value, (len(there), 4), there)
    attitudes[~there] = level[~there]
    norms = np.linalg.norm(attitudes, axis=1, keepdims=True)
    if norms.min() < 1e-6:
        raise ValueError(f"attitudes[{norms.argmin()}] is 0; a unit quaternion is needed")
    return np.divide(attitudes, norms)


def _rings(value: object) -> np.ndarray:
    """Rings (R, 7) with normals of length 1."""
    rings = _floats("rings", value, (None, 7))
    norms = np.linalg.norm(rings[:, 3:6], axis=1, keepdims=True)
    if len(rings) and (norms.min() < 1e-6 or rings[:, 6].min() <= 0):
        raise ValueError("rings: every ring needs a normal that is not 0 and a radius > 0")
    rings[:, 3:6] /= norms
    return rings


def _number(name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name}={value!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{name}={number!r} must be finite")
    return number


def _flags(name: str, value: object, n: int, *, default: bool) -> np.ndarray:
    if value is None:
        return np.full(n, default)
    array = np.array(value)
    if array.shape != (n,) or array.dtype != bool:
        raise ValueError(f"{name}: {array.dtype} of shape {array.shape}; allowed: bool ({n},)")
    return array


def _colours(value: object, n: int) -> np.ndarray:
    if value is None:
        return np.tile(np.array(_PALE_BLUE, np.uint8), (n, 1))
    array = np.array(value)
    if array.shape != (n, 3) or array.dtype.kind not in "iu":
        raise ValueError(
            f"colours: {array.dtype} of shape {array.shape}; allowed: integers ({n}, 3), 0 to 255"
        )
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"colours spans {array.min()} to {array.max()}; allowed: 0 to 255")
    return array.astype(np.uint8)
