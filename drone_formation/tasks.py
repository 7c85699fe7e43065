"""Tasks: a formation, how it moves, and how an episode starts.  The table at the end makes the ids.

Every target follows one small motion model, ::

    target(t) = centre + sum over k of cosine[k] cos(frequency[k] t) + sine[k] sin(frequency[k] t)

with coefficients per drone and at most four frequencies per swarm.  It covers standing still, a
turning sphere, a shared smooth path, separate wanderings and a line on a closed track, and its
velocity is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import formations
from .formations import Formation

#: Half extents of the arena of a small swarm, m.
BASE_ARENA = np.array([30.0, 30.0, 10.0])
#: Harmonics of the motion model.
HARMONICS = 4
#: Targets and starts are at least this many collision distances apart.
CLEARANCE = 1.5
#: Radius of a race ring, m, and the speed at which it wants to be passed, m/s.
RING_RADIUS, RING_SPEED = 2.0, 4.0


@dataclass
class Plan:
    """One episode of one swarm of N drones, as drawn at reset (world frame, m, rad/s).

    Attributes:
        task: name of the task.
        starts: (N, 3) start positions.
        centre: (N, 3), see the motion model above.
        cosine, sine: (4, N, 3) coefficients.
        frequencies: (4,); those not used are zero.
        colours: (N, 3) uint8.
        holds: whether a drone's target is its own start (and, after a respawn, the new one).
        rings: (R, 6) centre and unit normal of each race ring; empty but for races.
        first_ring: (N,) index of the ring each drone flies to first.
    """

    task: str
    starts: np.ndarray
    centre: np.ndarray
    colours: np.ndarray
    cosine: np.ndarray = field(default_factory=lambda: np.zeros((HARMONICS, 1, 3)))
    sine: np.ndarray = field(default_factory=lambda: np.zeros((HARMONICS, 1, 3)))
    frequencies: np.ndarray = field(default_factory=lambda: np.zeros(HARMONICS))
    holds: bool = False
    rings: np.ndarray = field(default_factory=lambda: np.zeros((0, 6)))
    first_ring: np.ndarray | None = None


@dataclass(frozen=True)
class Setting:
    """What a plan is drawn in: a formation and the arena's half extents (3,), m."""

    formation: Formation
    arena: np.ndarray
    separation: float


Motion = Callable[[Setting, np.random.Generator], dict]


def _still(setting: Setting, rng: np.random.Generator) -> dict:
    return {"centre": setting.formation.points}


def _turning(setting: Setting, rng: np.random.Generator) -> dict:
    """The formation turns about the vertical at one turn in 40 s, either way."""
    points = setting.formation.points
    cosine, sine = np.zeros((2, HARMONICS, len(points), 3))
    cosine[0, :, :2] = points[:, :2]
    sine[0, :, 0], sine[0, :, 1] = -points[:, 1], points[:, 0]
    frequencies = np.zeros(HARMONICS)
    frequencies[0] = 2 * np.pi / 40
    return {
        "centre": points * [0, 0, 1],
        "cosine": cosine,
        "sine": sine * rng.choice([-1, 1]),
        "frequencies": frequencies,
    }


def _wander(
    count: int, amplitude: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random smooth paths that stay within ``amplitude`` and below 1 m/s along each axis."""
    frequencies = rng.uniform(0.02, 0.25, HARMONICS)
    cosine, sine = rng.normal(size=(2, HARMONICS, count, 3)) / frequencies[:, None, None]
    size = np.hypot(cosine, sine)
    fastest = (size * frequencies[:, None, None]).sum(axis=0)
    scale = np.minimum(amplitude / size.sum(axis=0), 1.0 / fastest)
    return cosine * scale, sine * scale, frequencies


def _together(setting: Setting, rng: np.random.Generator) -> dict:
    """The whole formation drifts along one smooth random path through the arena."""
    points = setting.formation.points
    room = setting.arena - np.abs(points).max(axis=0) - 2 * setting.separation
    cosine, sine, frequencies = _wander(1, np.maximum(room, 0), rng)
    shape = (HARMONICS, len(points), 3)
    return {
        "centre": points,
        "cosine": np.broadcast_to(cosine, shape),
        "sine": np.broadcast_to(sine, shape),
        "frequencies": frequencies,
    }


def _apart(setting: Setting, rng: np.random.Generator) -> dict:
    """Each target wanders inside its own cell, so that no two ever come close."""
    points = rng.permutation(setting.formation.points)
    size = formations.cell_size(len(points), setting.separation)
    room = np.full(3, (size - setting.separation) / 2)
    cosine, sine, frequencies = _wander(len(points), room, rng)
    return {"centre": points, "cosine": cosine, "sine": sine, "frequencies": frequencies}


def _trailing(setting: Setting, rng: np.random.Generator) -> dict:
    """A line follows its leader along a closed track at 1.5 m/s, from a random place and turned."""
    count = len(setting.formation.points)
    track = formations.conga_track(count, setting.separation)
    harmonics, cosine, sine = track.harmonics()
    lag = formations.conga_angles(count, setting.separation) + rng.uniform(0, 2 * np.pi)
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    cosine, sine = (cosine @ rotation.T)[:, None, :], (sine @ rotation.T)[:, None, :]
    shift = np.outer(harmonics, lag)[:, :, None]
    return {
        "centre": np.zeros((count, 3)),
        "cosine": cosine * np.cos(shift) + sine * np.sin(shift),
        "sine": sine * np.cos(shift) - cosine * np.sin(shift),
        "frequencies": harmonics * (1.5 / track.scale),
    }


def _racing(setting: Setting, rng: np.random.Generator) -> dict:
    """Rings around a course, jolted at random; the drones' first rings are staggered."""
    num_drones = len(setting.formation.colours)
    course = setting.formation.points[: num_rings(num_drones)]
    jolt = rng.uniform(-1, 1, course.shape) * [3, 3, 5]
    turn = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(turn), np.sin(turn)
    centre = course @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]) + jolt
    normal = np.roll(centre, -1, axis=0) - np.roll(centre, 1, axis=0)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    first = rng.permutation(num_drones) % len(course)
    rings = np.concatenate([centre, normal / length], axis=1)
    return {"centre": centre[first], "rings": rings, "first_ring": first}


def num_rings(num_drones: int) -> int:
    """How many rings a race of so many drones has."""
    return int(np.clip(num_drones // 4, 8, 64))


def _course(num_drones: int, separation: float) -> Formation:
    """Ring centres around a circle, 8 m apart or more, cycled over the drones."""
    rings = num_rings(num_drones)
    angle = 2 * np.pi * (np.arange(max(num_drones, rings)) % rings) / rings
    radius = max(20.0, 8 * rings / (2 * np.pi))
    points = radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    return Formation(points, formations.rainbow(num_drones))


def _turned(points: np.ndarray) -> np.ndarray:
    """Half extents that points cover when turned about the vertical at will."""
    radius = np.hypot(points[:, 0], points[:, 1]).max()
    return np.array([radius, radius, np.abs(points[:, 2]).max()])


def _reach_still(points: np.ndarray) -> np.ndarray:
    return np.abs(points).max(axis=0)


@dataclass(frozen=True)
class Task:
    """A formation, how it moves and how far it reaches.

    Attributes:
        name: the word users type; ``id`` derives from it.
        summary: one line for the documentation.
        formation: ``f(num_drones, separation) -> Formation``; None when each episode draws its own.
        motion: ``f(setting, rng) -> dict`` of the ``Plan`` fields that it decides.
        reach: half extents (3,) covered at all times by a formation's points (N, 3), m.
        margin: room that the motion needs beyond that, m.
        of: names of the tasks that a mixed task draws from.
        version: of the id; a change of dynamics, rewards or observations raises it.
    """

    name: str
    summary: str
    formation: Callable[[int, float], Formation] | None
    motion: Motion = _still
    reach: Callable[[np.ndarray], np.ndarray] = _reach_still
    margin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    of: tuple[str, ...] = ()
    version: int = 0

    @property
    def id(self) -> str:
        """The Gymnasium and PettingZoo id."""
        return f"Drone{self.name.capitalize()}-v{self.version}"

    @property
    def races(self) -> bool:
        """Whether an episode may be a race."""
        return "race" in (self.name, *self.of)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("idle", "each drone follows a target of its own that wanders slowly",
             formations.cells, _apart, margin=(3.0, 3.0, 3.0)),
        Task("hover", "each drone holds the place where it started", None),
        Task("sphere", "the swarm forms a sphere", formations.sphere),
        Task("orbit", "the swarm forms a sphere that turns", formations.sphere, _turning, _turned),
        Task("follow", "a compact ball of drones follows a drifting leader",
             formations.ball, _together, margin=(6.0, 6.0, 3.0)),
        Task("cube", "the swarm forms a cube", formations.cube),
        Task("conga", "a conga line winds along a closed track",
             formations.conga, _trailing, _turned),
        Task("flag", "the swarm forms the American flag", formations.flag),
        Task("race", "each drone races through rings",
             _course, _racing, _turned, margin=(3.0, 3.0, 5.0)),
        Task("mixed", "one of the tasks above, drawn anew for every episode", None,
             of=("idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "race")),
        Task("formation", "the points you give, or a random cloud of them in every episode", None),
    )
}  # fmt: skip


class Planner:
    """Draws episodes of one task for swarms of one size.

    Args:
        task: name of a task in ``TASKS``.
        num_drones: N.
        collision_distance: m; targets and starts keep ``CLEARANCE`` times it.
        assignment: "fixed" (drone i flies to slot i) or "optimal" (least summed squared distance).
        points: (N, 3) slots of the user's own formation, m, for the task "formation".
        colours: (N, 3) uint8 colours of these slots.

    Attributes:
        arena: half extents (3,) of the arena, m: as large as the task needs.
    """

    def __init__(
        self,
        task: str,
        num_drones: int,
        collision_distance: float,
        assignment: str,
        points: np.ndarray | None = None,
        colours: np.ndarray | None = None,
    ) -> None:
        self.separation = CLEARANCE * collision_distance
        self.num_drones = num_drones
        self.assignment = assignment
        self.task = TASKS[task]
        members = [TASKS[name] for name in self.task.of] or [self.task]
        margin = 2 * collision_distance
        arena = self._roomy(BASE_ARENA)
        layouts: dict[str, Formation | None] = {}
        for member in members:
            layouts[member.name] = None
            if member.formation is not None:
                formation = member.formation(num_drones, self.separation)
                layouts[member.name] = formation
                reach = member.reach(formation.points) + member.margin + margin
                arena = np.maximum(arena, reach)
        self.arena = arena
        if points is not None:
            layouts["formation"] = self._custom(points, colours)
        self._members = [
            (member, Setting(layout, arena, self.separation) if layout else None)
            for member in members
            for layout in (layouts[member.name],)
        ]

    def _roomy(self, arena: np.ndarray) -> np.ndarray:
        """Grow an arena until random starts are not crowded: three cells for two drones."""
        cell = 2 * self.separation
        arena = np.maximum(arena, 2 * self.separation)
        while np.floor(2 * (arena - self.separation) / cell).prod() < 1.5 * self.num_drones:
            arena = arena * 1.02
        return arena

    def _custom(self, points: np.ndarray, colours: np.ndarray | None) -> Formation:
        inside = self.arena - self.separation
        outside = np.flatnonzero((np.abs(points) > inside).any(axis=1))
        if len(outside):
            i = outside[0]
            raise ValueError(
                f"points: point {i} at {points[i].tolist()} is outside the arena: every point must "
                f"be within ±{np.round(inside, 2).tolist()} m"
            )
        least = formations.least_distance(points)
        if least < self.separation * (1 - 1e-6):
            raise ValueError(
                f"points: two points are {least:.3f} m apart; at least {self.separation} m "
                f"({CLEARANCE} collision distances) are needed for drones to fly there"
            )
        if colours is None:
            colours = formations.rainbow(len(points))
        return Formation(points, colours)

    def plan(self, rng: np.random.Generator) -> Plan:
        """Draw one episode."""
        task, setting = self._members[rng.integers(len(self._members))]
        count, arena = self.num_drones, self.arena
        starts = formations.scattered(arena - self.separation, count, self.separation, rng)
        if task.name == "hover":
            return Plan(task.name, starts, starts, formations.rainbow(count), holds=True)
        if setting is None:
            setting = Setting(self._cloud(rng), arena, self.separation)
        decided = task.motion(setting, rng)
        plan = Plan(task.name, starts, colours=setting.formation.colours, **decided)
        if self.assignment == "optimal" and not len(plan.rings):
            self._assign(plan)
        return plan

    def _cloud(self, rng: np.random.Generator) -> Formation:
        """A random formation, anywhere from tight to half the arena wide."""
        low = np.cbrt(self.num_drones) * self.separation
        box = rng.uniform(np.minimum(low, 0.9 * self.arena), 0.9 * self.arena)
        while True:
            try:
                points = formations.scattered(box, self.num_drones, self.separation, rng)
                return Formation(points, formations.rainbow(self.num_drones))
            except ValueError:
                box = np.minimum(box * 1.1, self.arena - self.separation)

    def _assign(self, plan: Plan) -> None:
        """Give every drone the slot that makes the summed squared distance least."""
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError as error:
            raise ImportError(
                'assignment="optimal" needs SciPy: pip install "drone-formation[train]"'
            ) from error
        slots = plan.centre + plan.cosine.sum(axis=0)
        gaps = ((plan.starts[:, None, :] - slots[None, :, :]) ** 2).sum(axis=2)
        slot = linear_sum_assignment(gaps)[1]
        plan.centre, plan.colours = plan.centre[slot], plan.colours[slot]
        if plan.cosine.shape[1] > 1:
            plan.cosine, plan.sine = plan.cosine[:, slot], plan.sine[:, slot]
