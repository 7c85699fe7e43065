"""A perspective camera on an orbit round the point it looks at, and the ready-made views.

A `Camera` is a value: every movement returns a new one. A *view* is a function
``(snapshot, size) -> Camera``, so that a camera may depend on what is seen (framing, following)
and on the time (a slow orbit) and still be the same for the same snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, isfinite, pi, radians, sin, tan

import numpy as np

from .snapshot import Snapshot

Size = tuple[int, int]  # width, height, pixels

NEAR = 0.2  # m; what is nearer to the eye than this is not drawn


@dataclass(frozen=True)
class Camera:
    """A camera without roll. World frame: z up, metres. Angles in radians."""

    target: tuple[float, float, float] = (0.0, 0.0, 0.0)  # the point looked at, m
    distance: float = 40.0  # from the eye to the target, m
    azimuth: float = 0.0  # 0: the eye stands on the +x side; pi/2: on the +y side
    elevation: float = 0.2  # 0: level; pi/2: straight above, with +y to the right
    fov: float = radians(38.0)  # vertical field of view

    def __post_init__(self) -> None:
        numbers = (*self.target, self.distance, self.azimuth, self.elevation, self.fov)
        if len(self.target) != 3 or not all(isfinite(x) for x in numbers):
            raise ValueError(f"{self!r}: three finite target coordinates and finite numbers needed")
        if self.distance <= 0:
            raise ValueError(f"distance={self.distance!r} must be positive (m)")
        if not 0 < self.fov < pi:
            raise ValueError(f"fov={self.fov!r} must lie between 0 and pi (rad)")
        if not -pi / 2 <= self.elevation <= pi / 2:
            raise ValueError(f"elevation={self.elevation!r} must lie within +-pi/2 (rad)")

    @property
    def axes(self) -> np.ndarray:
        """(3, 3): the unit vectors right, up and forward of the picture, as rows, world frame."""
        ca, sa = cos(self.azimuth), sin(self.azimuth)
        ce, se = cos(self.elevation), sin(self.elevation)
        return np.array([[-sa, ca, 0.0], [-se * ca, -se * sa, ce], [-ce * ca, -ce * sa, -se]])

    @property
    def eye(self) -> np.ndarray:
        """(3,): where the camera stands, m."""
        return np.array(self.target) - self.distance * self.axes[2]

    def focal(self, size: Size) -> float:
        """Pixels per metre at a depth of one metre."""
        return size[1] / 2 / tan(self.fov / 2)

    def project(self, points: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3) in m to pixels (N, 2), x right and y down, and depths (N,) in m.

        Depth is measured along the view axis. A point nearer than `NEAR`, or behind the eye, has
        no picture: its pixels are finite but meaningless, and the caller drops it by its depth.
        """
        local = (np.asarray(points, dtype=np.float64) - self.eye) @ self.axes.T
        depth = local[:, 2]
        scale = self.focal(size) / np.maximum(depth, NEAR)
        pixels = np.stack([size[0] / 2 + scale * local[:, 0], size[1] / 2 - scale * local[:, 1]], 1)
        return pixels, depth

    def orbit(self, azimuth: float, elevation: float) -> Camera:
        """Moved round its target by two angles, rad; it stops straight above and below."""
        return replace(
            self,
            azimuth=(self.azimuth + azimuth + pi) % (2 * pi) - pi,
            elevation=min(max(self.elevation + elevation, -pi / 2), pi / 2),
        )

    def zoom(self, factor: float) -> Camera:
        """`factor` times nearer to the target, between 1 m and 2 km."""
        return replace(self, distance=min(max(self.distance / factor, 1.0), 2000.0))

    def pan(self, right: float, up: float) -> Camera:
        """Eye and target moved together, in the plane of the picture, m."""
        step = self.axes[0] * right + self.axes[1] * up
        return self.look_at(np.array(self.target) + step)

    def look_at(self, point: np.ndarray) -> Camera:
        """The same angles and distance with another point (3,) in the middle."""
        x, y, z = (float(c) for c in point)
        return replace(self, target=(x, y, z))

    def framing(self, points: np.ndarray, size: Size, fill: float = 0.8) -> Camera:
        """The same angles, and the least distance at which `points` (N, 3) fit in the picture.

        `fill` is the share of the half width and half height that they may take. The middle of
        their bounding box, in the axes of the picture, becomes the target.
        """
        local = np.asarray(points, dtype=np.float64) @ self.axes.T
        middle = (local.min(axis=0) + local.max(axis=0)) / 2
        local = local - middle
        slope = tan(self.fov / 2) * fill  # half the picture's height at unit depth
        wide, high = slope * size[0] / size[1], slope
        # A point at depth distance + z fits when |x| <= wide * (distance + z), likewise for y.
        need = np.maximum(np.abs(local[:, 0]) / wide, np.abs(local[:, 1]) / high) - local[:, 2]
        framed = self.look_at(middle @ self.axes)
        return replace(framed, distance=max(float(need.max()), 4.0))


View = Callable[[Snapshot, Size], Camera]


def _subject(snapshot: Snapshot) -> np.ndarray:
    """(M, 3): the points worth framing, padded by the size of a drone."""
    points = snapshot.positions[snapshot.active]
    if snapshot.targets is not None:
        points = snapshot.targets[snapshot.active]
    if snapshot.rings is not None and len(snapshot.rings):
        points = np.concatenate([points, snapshot.rings[:, :3]])
    if len(points) == 0:
        points = np.zeros((1, 3))
    # Never closer than a few drones: one drone alone should not fill the screen.
    pad = 0.6 * snapshot.collision_distance * max(1.0, 3.0 - len(points) / 4)
    low = points - pad
    # Some ground, for depth; but of a single drone, no more than of the drone.
    height = np.maximum(points[:, 2] + snapshot.arena[2], 0.0)
    low[:, 2] -= np.minimum(0.4 * height, np.ptp(points[:, 2]) + pad)
    return np.concatenate([low, points + pad])


def auto(snapshot: Snapshot, size: Size) -> Camera:
    """Three-quarter front view of the formation; the whole arena while the swarm is scattered.

    It starts wide and closes in as the drones gather. Both ends of the blend are fixed for a
    formation that stands still, so that the picture comes to rest with it.
    """
    # A wide and low arena is seen from higher up, so that what is behind is not hidden in front.
    flat = 1 - min(3 * snapshot.arena[2] / snapshot.arena.max(), 1.0)
    angles = Camera(azimuth=radians(24), elevation=radians(11 + 9 * flat))
    subject = _subject(snapshot)
    near = angles.framing(subject, size, fill=0.74)
    corners = snapshot.arena * np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    wide = angles.framing(np.concatenate([0.8 * corners, subject]), size, fill=0.95)
    if near.distance >= wide.distance:
        return wide
    scattered = 0.0
    if snapshot.targets is not None and snapshot.active.any():
        gap = np.linalg.norm(snapshot.positions - snapshot.targets, axis=1)[snapshot.active]
        # The upper quartile: a few stragglers or one respawn must not shake the camera.
        scattered = _smoothstep(np.quantile(gap, 0.75) / snapshot.arena.max(), 0.05, 0.6)
    # A formation nearly as large as the arena (idle, a long conga line) is seen with the arena.
    share = max(scattered, _smoothstep(near.distance / wide.distance, 0.7, 0.95))
    target = (1 - share) * np.array(near.target) + share * np.array(wide.target)
    distance = near.distance ** (1 - share) * wide.distance**share
    return replace(angles.look_at(target), distance=float(distance))


def front(snapshot: Snapshot, size: Size) -> Camera:
    """From the +x side along -x, level: the flag reads from the top left."""
    return Camera(azimuth=0.0, elevation=radians(2)).framing(_subject(snapshot), size)


def top(snapshot: Snapshot, size: Size) -> Camera:
    """From straight above, +y to the right and +x towards the viewer."""
    return Camera(elevation=pi / 2).framing(_subject(snapshot), size)


def cinematic(snapshot: Snapshot, size: Size) -> Camera:
    """A slow orbit, one turn in 80 s, that rises and sinks a little on the way."""
    base = auto(snapshot, size)
    turn = 2 * pi * snapshot.time / 80
    return base.orbit(turn, radians(6) * sin(1.7 * turn))


PRESETS: dict[str, View] = {"auto": auto, "front": front, "top": top, "cinematic": cinematic}


def as_view(camera: Camera | str | View | None) -> View:
    """A view from what users write: a camera, a preset's name, a function, or None for "auto"."""
    if camera is None:
        return auto
    if isinstance(camera, Camera):
        return lambda snapshot, size: camera
    if isinstance(camera, str):
        if camera not in PRESETS:
            raise ValueError(f"camera={camera!r} is not a preset; allowed: {', '.join(PRESETS)}")
        return PRESETS[camera]
    if not callable(camera):
        raise TypeError(
            f"camera={camera!r}: a Camera, a preset ({', '.join(PRESETS)}), a function "
            "(snapshot, size) -> Camera, or None"
        )
    return camera


def _smoothstep(x: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, smooth in between."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return float(t * t * (3 - 2 * t))
