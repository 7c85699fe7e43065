"""Tasks: a formation, how it moves, how an episode starts and what it pays.

The table at the end makes the ids; :func:`drone_formation.register_task` adds to it.  A task says
what it is by its fields, and nothing else in the package asks for its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from . import formations, validation
from .formations import Formation
from .reward import RewardWeights
from .terms import ObservationTerm, RewardTerm
from .trajectories import Trajectory

#: Targets and starts are at least this many collision distances apart.
CLEARANCE = 1.5
#: Radius of a race ring, m, and the speed at which it wants to be passed, m/s.
RING_RADIUS, RING_SPEED = 2.0, 4.0
# A letter after each "_", so that no two names make the same id.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*")


@dataclass(frozen=True)
class Setting:
    """What an episode is drawn in.

    Attributes:
        formation: its slots, m, one for each drone.
        arena: half extents of the arena (3,), m.
        separation: least distance that targets must keep from each other, m.
    """

    formation: Formation
    arena: np.ndarray
    separation: float


# ---- how formations move -----------------------------------------------------------------------


def still(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """Its targets stand still."""
    return Trajectory.still(setting.formation.points)


def _turning(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """The formation turns about the vertical at one turn in 40 s, either way."""
    return Trajectory.turning(setting.formation.points, 40.0 * rng.choice([-1, 1]))


def _together(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """The whole formation drifts along one smooth random path through the arena."""
    points = setting.formation.points
    room = setting.arena - np.abs(points).max(axis=0) - 2 * setting.separation
    return Trajectory.wandering(points, np.maximum(room, 0), rng, together=True)


def _apart(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """Each target wanders inside its own cell, so that no two ever come close."""
    points = rng.permutation(setting.formation.points)
    size = formations.cell_size(len(points), setting.separation)
    return Trajectory.wandering(points, np.full(3, (size - setting.separation) / 2), rng)


def _trailing(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """A line follows its leader along a closed track at 1.5 m/s, from a random place and turned."""
    count = len(setting.formation.points)
    track = formations.conga_track(count, setting.separation)
    harmonics, cosine, sine = track.harmonics()
    angles = formations.conga_angles(count, setting.separation) + rng.uniform(0, 2 * np.pi)
    rotation = _rotation(rng.uniform(0, 2 * np.pi)).T
    return Trajectory.trailing(
        harmonics, cosine @ rotation, sine @ rotation, angles, 1.5 / track.scale
    )


def _rotation(angle: float) -> np.ndarray:
    """About the vertical, against the clock seen from above: (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


# ---- races -------------------------------------------------------------------------------------


def _rings(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """Rings around a course, jolted at random; the drones' first rings are staggered."""
    course = setting.formation.points[: num_rings(len(setting.formation.points))]
    jolt = rng.uniform(-1, 1, course.shape) * [3, 3, 5]
    centre = course @ _rotation(rng.uniform(0, 2 * np.pi)).T + jolt
    normal = np.roll(centre, -1, axis=0) - np.roll(centre, 1, axis=0)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.concatenate([centre, normal / length], axis=1)


def num_rings(num_drones: int) -> int:
    """How many rings a race of a number of drones has."""
    return int(np.clip(num_drones // 4, 8, 64))


def _course(num_drones: int, separation: float) -> Formation:
    """Ring centres around a circle, 8 m apart or more, cycled over the drones."""
    rings = num_rings(num_drones)
    angle = 2 * np.pi * (np.arange(max(num_drones, rings)) % rings) / rings
    radius = max(20.0, 8 * rings / (2 * np.pi))
    points = radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    return Formation(points, formations.rainbow(num_drones))


# ---- how far formations reach ------------------------------------------------------------------


def turned(points: np.ndarray) -> np.ndarray:
    """Half extents that points cover when turned about the vertical at will."""
    radius = np.hypot(points[:, 0], points[:, 1]).max()
    return np.array([radius, radius, np.abs(points[:, 2]).max()])


def unmoved(points: np.ndarray) -> np.ndarray:
    """Half extents that points cover where they are."""
    return np.abs(points).max(axis=0)


# ---- tasks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A formation, how it moves, how an episode starts and what it pays.

    Functions that are defined in a module, rather than lambdas, let a task travel to other
    processes.  All positions are in the world frame, m, within the arena, whose middle is the
    origin; N is the number of drones and ``rng`` a ``numpy.random.Generator``.

    Attributes:
        name: the word that users type, in lower case, words joined by "_"; ``id`` derives from it.
        summary: one line for lists and documents.
        formation: ``f(num_drones, separation) -> Formation`` of N slots that are at least
            ``separation`` m apart; None for a random cloud in every episode.
        trajectory: ``f(setting, rng) -> Trajectory`` of the N slots; by default they stand still.
        reach: ``f(points (M, 3)) -> (3,)``, half extents that M of the formation's points cover at
            all times; for a formation that turns, ``tasks.turned``.
        margin: room that the trajectory needs beyond that along x, y and z, m.
        start: ``f(room (3,), num_drones, separation, rng) -> (N, 3)``, where drones start: within
            half extents ``room`` and at least ``separation`` apart; random by default.
        holds: whether a drone's target is its own start (and, after a respawn, the new one); such
            a task has neither formation nor trajectory.
        rings: ``f(setting, rng) -> (R, 6)``, for a race: centre and unit normal of each ring, R
            the same in all episodes; None for other tasks.  A race has a formation, whose points
            tell how far the rings reach, and can be paced.
        accepts_points: whether users may give slots of their own, ``Swarms(points=...)``.
        reward: what the task pays.
        reward_terms, observation_terms: what it pays and shows besides, in NumPy: see ``terms``.
        of: names of the tasks from which a mixture draws one per episode; a mixture has none of
            the above, and each episode pays what the task that was drawn pays.
        version: of the id; a change of dynamics, rewards or observations raises it.

    Raises:
        TypeError, ValueError: a field is not allowed; the message names it.
    """

    name: str
    summary: str = ""
    formation: Callable[[int, float], Formation] | None = None
    trajectory: Callable[[Setting, np.random.Generator], Trajectory] = still
    reach: Callable[[np.ndarray], np.ndarray] = unmoved
    margin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start: Callable[[np.ndarray, int, float, np.random.Generator], np.ndarray] = (
        formations.scattered
    )
    holds: bool = False
    rings: Callable[[Setting, np.random.Generator], np.ndarray] | None = None
    accepts_points: bool = False
    reward: RewardWeights = RewardWeights()  # noqa: RUF009  (frozen)
    reward_terms: tuple[RewardTerm, ...] = ()
    observation_terms: tuple[ObservationTerm, ...] = ()
    of: tuple[str, ...] = ()
    version: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"Task: name must be a string, got {self.name!r}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                'Task: name must be words of a-z and 0-9 joined by "_", each beginning with a '
                f"letter, as in 'figure_eight'; got {self.name!r}"
            )
        if not isinstance(self.summary, str):
            raise TypeError(f"{self}: summary must be a string, got {self.summary!r}")
        for name, optional in (
            ("formation", True), ("trajectory", False), ("reach", False), ("start", False),
            ("rings", True),
        ):  # fmt: skip
            value = getattr(self, name)
            if not callable(value) and not (optional and value is None):
                raise TypeError(f"{self}: {name} must be a function, got {value!r}")
        for name in ("holds", "accepts_points"):
            validation.boolean(f"{self}: {name}", getattr(self, name))
        if not isinstance(self.reward, RewardWeights):
            raise TypeError(f"{self}: reward must be RewardWeights, got {self.reward!r}")
        for name, kind in (("reward_terms", RewardTerm), ("observation_terms", ObservationTerm)):
            terms = getattr(self, name)
            if isinstance(terms, kind) or not all(isinstance(term, kind) for term in terms):
                raise TypeError(f"{self}: {name} must be a tuple of {kind.__name__}, got {terms!r}")
            object.__setattr__(self, name, tuple(terms))
        validation.integer(f"{self}: version", self.version, 0)
        object.__setattr__(self, "margin", _margin(f"{self}: margin", self.margin))
        if isinstance(self.of, str) or not all(isinstance(name, str) for name in self.of):
            raise TypeError(f"{self}: of must be a tuple of names of tasks, got {self.of!r}")
        object.__setattr__(self, "of", tuple(self.of))
        self._check_together()

    def _check_together(self) -> None:
        """Refuse fields that would have no effect beside each other."""
        moves = self.trajectory is not still
        own = {
            "formation": self.formation is not None, "trajectory": moves, "rings": self.rings,
            "accepts_points": self.accepts_points, "holds": self.holds,
            "start": self.start is not formations.scattered,
        }  # fmt: skip
        excluded = {
            "of": tuple(own) if self.of else (),
            "holds": ("formation", "trajectory", "rings", "accepts_points") if self.holds else (),
            "rings": ("trajectory", "accepts_points") if self.rings else (),
        }
        for field, others in excluded.items():
            for other in others:
                if own[other]:
                    raise ValueError(f"{self}: {field} and {other} exclude each other")
        if self.rings and self.formation is None:
            raise ValueError(f"{self}: rings need a formation, which tells how far they reach")

    def __str__(self) -> str:
        return f"task {self.name!r}"

    @property
    def id(self) -> str:
        """The Gymnasium and PettingZoo id: figure_eight becomes DroneFigureEight-v0."""
        words = (word.capitalize() for word in self.name.split("_"))
        return f"Drone{''.join(words)}-v{self.version}"

    @property
    def members(self) -> tuple[Task, ...]:
        """The tasks that an episode may be of: this one, or those of a mixture.

        Raises:
            ValueError: a mixture draws from a task that is not registered, or from a mixture.
        """
        if not self.of:
            return (self,)
        for name in self.of:
            if name not in TASKS or TASKS[name].of:
                what = "is a mixture itself" if name in TASKS else "is not registered"
                raise ValueError(f"{self}: it draws from {name!r}, which {what}")
        return tuple(TASKS[name] for name in self.of)

    @property
    def races(self) -> bool:
        """Whether an episode may be a race."""
        return any(member.rings is not None for member in self.members)

    @property
    def built_in(self) -> bool:
        """Whether it comes with the package, whose tests have proven it feasible."""
        return BUILT_IN.get(self.name) == self


def _margin(name: str, value: Any) -> tuple[float, float, float]:
    """Three finite numbers of 0 or more."""
    array = np.asarray(value)
    if array.shape != (3,) or array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be three numbers, got {value!r}")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{name} must be finite and 0 or more, got {value!r}")
    return float(array[0]), float(array[1]), float(array[2])


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("idle", "each drone follows a target of its own that wanders slowly",
             formations.cells, _apart, margin=(3.0, 3.0, 3.0)),
        Task("hover", "each drone holds the place where it started", holds=True),
        Task("sphere", "the swarm forms a sphere", formations.sphere),
        Task("orbit", "the swarm forms a sphere that turns", formations.sphere, _turning, turned),
        Task("follow", "a compact ball of drones follows a drifting leader",
             formations.ball, _together, margin=(6.0, 6.0, 3.0)),
        Task("cube", "the swarm forms a cube", formations.cube),
        Task("conga", "a conga line winds along a closed track",
             formations.conga, _trailing, turned),
        Task("flag", "the swarm forms the American flag", formations.flag),
        Task("race", "each drone races through rings",
             _course, reach=turned, margin=(3.0, 3.0, 5.0), rings=_rings,
             # A drone which keeps its place passes the rings and has no conflict: neither needs
             # a great price.
             reward=RewardWeights(approach=1.0, ring=1.0, conflict=0.05)),
        Task("mixed", "one of the tasks above, drawn anew for every episode",
             of=("idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "race")),
        Task("formation", "the points you give, or a random cloud of them in every episode",
             accepts_points=True),
    )
}  # fmt: skip
#: Those that come with the package, whatever is registered later.
BUILT_IN = MappingProxyType(dict(TASKS))
