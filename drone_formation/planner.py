"""The planner draws episodes: where drones start, where their targets are and how those move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import formations, tasks, validation
from .formations import Formation
from .tasks import Setting, Task
from .trajectories import Trajectory

#: Half extents of the arena of a small swarm, m.
BASE_ARENA = np.array([30.0, 30.0, 10.0])
#: Own points and arenas reach so far at most, m: single precision tells millimetres apart there.
FARTHEST = 10_000.0


@dataclass
class Plan:
    """One episode of one swarm of N drones, as drawn at reset (world frame, m).

    Attributes:
        task: what was drawn; of a mixture, the member.
        starts: (N, 3) start positions.
        trajectory: of the N targets; in a race, they stand in the drones' first rings.
        colours: (N, 3) uint8.
        holds: whether a drone's target is its own start (and, after a respawn, the new one).
        rings: (R, 6) centre and unit normal of each race ring; empty but for races.
        first_ring: (N,) index of the ring each drone flies to first.
    """

    task: Task
    starts: np.ndarray
    trajectory: Trajectory
    colours: np.ndarray
    holds: bool = False
    rings: np.ndarray = field(default_factory=lambda: np.zeros((0, 6)))
    first_ring: np.ndarray | None = None


class Planner:
    """Draws episodes of one task for swarms of one size.

    Args:
        task: what to draw episodes of.
        num_drones: N.
        collision_distance: m; targets and starts keep ``tasks.CLEARANCE`` times it.
        assignment: "fixed" (drone i flies to slot i) or "optimal" (least summed squared distance).
        points: (N, 3) slots of the user's own, m, for a task that accepts them.
        colours: (N, 3) uint8 colours of these slots.
        arena: (3,) half extents of the arena, m; None for as large as the task needs.

    Attributes:
        arena: half extents (3,) of the arena, m.
        num_rings: R of the race with the most rings; 0 where there is none.

    Raises:
        ValueError, TypeError: drones could not fly the formation: two slots are too close, or the
            arena is too small; or a function of the task returns something else than it should.
    """

    def __init__(
        self,
        task: Task,
        num_drones: int,
        collision_distance: float,
        assignment: str = "fixed",
        points: np.ndarray | None = None,
        colours: np.ndarray | None = None,
        arena: Any = None,
    ) -> None:
        self.separation = tasks.CLEARANCE * collision_distance
        self.num_drones = num_drones
        self.assignment = assignment
        self._from_walls = 2 * collision_distance
        own = None
        if points is not None:
            validation.within("points", points, -FARTHEST, FARTHEST)
            self._check_apart("points", points)
            own = Formation(points, formations.rainbow(num_drones) if colours is None else colours)
        layouts = [
            (member, own if own and member.accepts_points else self._layout(member))
            for member in task.members
        ]
        self.arena = self._large_enough(layouts) if arena is None else self._given(arena, layouts)
        self._members = [
            (member, Setting(layout, self.arena, self.separation) if layout else None)
            for member, layout in layouts
        ]
        self._tasks = {member.name: member for member in (task, *task.members)}
        probe = np.random.default_rng(0)
        self.num_rings = max(
            len(self._rings(member, setting, probe)) if setting and member.rings else 0
            for member, setting in self._members
        )

    # ---- formations and the arena --------------------------------------------------------------

    def _layout(self, task: Task) -> Formation | None:
        """The formation of a task, None where each episode draws its own."""
        if task.formation is None:
            return None
        formation = task.formation(self.num_drones, self.separation)
        if task.built_in:
            return formation
        if not isinstance(formation, Formation):
            raise TypeError(f"{task}: its formation must return a Formation, got {formation!r}")
        name = f"{task}: points of its formation"
        points = validation.points(name, formation.points)
        if not task.rings:  # whose points are shared by many
            if len(points) != self.num_drones:
                raise ValueError(
                    f"{name} must be as many as drones, {self.num_drones}, got {len(points)}"
                )
            self._check_apart(name, points)
        colours = validation.colours(f"{task}: colours", formation.colours, self.num_drones)
        return Formation(points, colours)

    def _check_apart(self, name: str, points: np.ndarray) -> None:
        least = formations.least_distance(points)
        if least < self.separation * (1 - 1e-6):
            raise ValueError(
                f"{name}: two points are {least:.3f} m apart; at least {self.separation} m "
                f"({tasks.CLEARANCE} collision distances) are needed for drones to fly there"
            )

    def _needed(self, task: Task, points: np.ndarray) -> np.ndarray:
        """Half extents (3,) of an arena in which a task's formation has room, m."""
        return task.reach(points) + task.margin + self._from_walls

    def _large_enough(self, layouts: list[tuple[Task, Formation | None]]) -> np.ndarray:
        arena = self._roomy(BASE_ARENA)
        for task, layout in layouts:
            if layout is not None:
                arena = np.maximum(arena, self._needed(task, layout.points))
        return arena

    def _given(self, arena: Any, layouts: list[tuple[Task, Formation | None]]) -> np.ndarray:
        """The arena that a user gives, if there is room for all in it."""
        given = np.asarray(arena)
        if given.dtype.kind not in "iuf":
            raise TypeError(f"arena must be three numbers, half extents in m, got {arena!r}")
        if given.shape != (3,):
            raise ValueError(f"arena must have shape (3,), got {given.shape}")
        given = validation.within("arena", given.astype(np.float64), 0, FARTHEST)
        for task, layout in layouts:
            if layout is None:
                continue
            lacks = (self._needed(task, layout.points) > given * (1 + 1e-9)).any()
            for i, point in enumerate(layout.points if lacks else ()):
                needed = self._needed(task, point[None])
                if (needed > given * (1 + 1e-9)).any():
                    raise ValueError(
                        f"arena: the formation of {task} does not fit: its point {i} at "
                        f"{point.round(3).tolist()} needs half extents of "
                        f"{needed.round(3).tolist()} m, got {given.tolist()}"
                    )
        roomy = self._roomy(given)
        if (roomy > given).any():
            raise ValueError(
                f"arena: {self.num_drones} drones cannot start at random in half extents of "
                f"{given.tolist()} m; {np.ceil(10 * roomy).astype(int) / 10} m would do"
            )
        return given

    def _roomy(self, arena: np.ndarray) -> np.ndarray:
        """Grow an arena until random starts are not crowded: three cells for two drones."""
        cell = 2 * self.separation
        arena = np.maximum(arena, 2 * self.separation)
        while np.floor(2 * (arena - self.separation) / cell).prod() < 1.5 * self.num_drones:
            arena = arena * 1.02
        return arena

    def member(self, name: str) -> Task:
        """One of the tasks that may be drawn, or the mixture itself, by its name."""
        return self._tasks[name]

    def check_targets(self, name: str, trajectory: Trajectory, arena: np.ndarray) -> None:
        """Refuse new targets, given in flight, that drones could not fly to.

        Raises:
            ValueError: they are not as many as drones, outside the arena, or too near each other.
        """
        if len(trajectory) != self.num_drones:
            raise ValueError(
                f"{name} must be as many as drones, {self.num_drones}, got {len(trajectory)}"
            )
        places = trajectory.position(0.0)
        self._check_apart(name, places)
        self._check_inside(name, places, arena)

    # ---- episodes ------------------------------------------------------------------------------

    def plan(self, rng: np.random.Generator) -> Plan:
        """Draw one episode."""
        task, setting = self._members[rng.integers(len(self._members))]
        count = self.num_drones
        starts = task.start(self.arena - self.separation, count, self.separation, rng)
        if task.start is not formations.scattered:
            starts = self._checked_starts(task, starts)
        if task.holds:
            rainbow = formations.rainbow(count)
            return Plan(task, starts, Trajectory.still(starts), rainbow, holds=True)
        if setting is None:
            setting = Setting(self._cloud(rng), self.arena, self.separation)
        colours = setting.formation.colours
        if task.rings is not None:
            rings = self._rings(task, setting, rng)
            if len(rings) > self.num_rings:
                raise ValueError(f"{task}: the number of its rings must not change by episode")
            first = rng.permutation(count) % len(rings)
            still = Trajectory.still(rings[first, :3])
            return Plan(task, starts, still, colours, rings=rings, first_ring=first)
        trajectory = self._checked(task, task.trajectory(setting, rng))
        if self.assignment == "optimal":
            order = assign(starts, trajectory.position(0.0))
            trajectory, colours = trajectory.take(order), colours[order]
        return Plan(task, starts, trajectory, colours)

    def _rings(self, task: Task, setting: Setting, rng: np.random.Generator) -> np.ndarray:
        assert task.rings is not None
        rings = np.asarray(task.rings(setting, rng))
        if rings.ndim != 2 or rings.shape[1] != 6 or not len(rings):
            raise ValueError(f"{task}: rings must have shape (R, 6), got {rings.shape}")
        if not np.allclose(np.linalg.norm(rings[:, 3:], axis=1), 1):  # a NaN is refused, too
            raise ValueError(f"{task}: the normals of its rings must have length 1")
        return rings

    def _checked_starts(self, task: Task, starts: Any) -> np.ndarray:
        """Starts of a user's own function, if drones can start there."""
        name = f"{task}: its starts"
        starts = validation.points(name, starts)
        if len(starts) != self.num_drones:
            raise ValueError(
                f"{name} must be as many as drones, {self.num_drones}, got {len(starts)}"
            )
        self._check_apart(name, starts)
        self._check_inside(name, starts)
        return starts

    def _checked(self, task: Task, trajectory: Trajectory) -> Trajectory:
        """A trajectory, if it moves as many slots as there are drones, and begins in the arena."""
        if not isinstance(trajectory, Trajectory):
            raise TypeError(f"{task}: its trajectory must return a Trajectory, got {trajectory!r}")
        if len(trajectory) != self.num_drones:
            raise ValueError(
                f"{task}: its trajectory must move as many slots as there are drones, "
                f"{self.num_drones}, got {len(trajectory)}"
            )
        if not task.built_in:
            self._check_inside(f"{task}: its trajectory", trajectory.position(0.0))
        return trajectory

    def _check_inside(self, name: str, points: np.ndarray, arena: np.ndarray | None = None) -> None:
        arena = self.arena if arena is None else arena
        outside = np.flatnonzero((np.abs(points) > arena).any(axis=1))
        if len(outside):
            i = outside[0]
            raise ValueError(
                f"{name}: point {i} at {points[i].round(3).tolist()} is outside the arena of half "
                f"extents {arena.round(3).tolist()} m"
            )

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


def assign(positions: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Which slot each drone should fly to: the summed squared distance is least.

    Args:
        positions: (N, 3), of the drones, m.
        slots: (N, 3), m.

    Returns:
        (N,) indices of slots, a permutation.

    Raises:
        ImportError: SciPy is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(
            'assignment="optimal" needs SciPy: pip install "drone-formation[assignment]"'
        ) from error
    gaps = ((positions[:, None, :] - slots[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(linear_sum_assignment(gaps)[1])


def check_task(
    task: Task,
    num_drones: int = 64,
    collision_distance: float = 1.0,
    *,
    seconds: float = 60.0,
    instants: int = 61,
    episodes: int = 3,
) -> None:
    """Draw episodes of a task, and see whether drones could fly to its targets at all times.

    For the tests of a task of one's own; a simulator looks at the first instant alone.

    Args:
        task: the task.
        num_drones: N.
        collision_distance: m.
        seconds: how long the targets are followed.
        instants: at how many times within them they are looked at.
        episodes: how many are drawn.

    Raises:
        ValueError: at some time, two targets are nearer than ``CLEARANCE`` collision distances (but
            in a race, where drones share rings), or one is outside the arena.
        TypeError: a function of the task returns something else than it should.
    """
    planner = Planner(task, num_drones, collision_distance)
    for seed in range(episodes):
        plan = planner.plan(np.random.default_rng(seed))
        planner._check_apart(f"{task}, episode {seed}, starts", plan.starts)
        planner._check_inside(f"{task}, episode {seed}, starts", plan.starts)
        for time in np.linspace(0, seconds, instants):
            name = f"{plan.task}, episode {seed}, targets at {time:g} s"
            targets = plan.trajectory.position(time)
            planner._check_inside(name, targets)
            if not len(plan.rings):
                planner._check_apart(name, targets)
