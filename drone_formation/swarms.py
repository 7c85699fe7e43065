"""The simulator: a batch of swarms stepped together.  It knows no Gymnasium and no pygame."""

from __future__ import annotations

import gc
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from . import kernel, observation, validation
from .airframe import CONTROL_STEP, PARAMETERS, Airframe, Randomization
from .planner import Plan, Planner
from .racing import course
from .registration import resolve_task
from .reward import RewardWeights
from .tasks import RING_RADIUS, RING_SPEED, TASKS, Task
from .team import Team
from .trajectories import HARMONICS

MAX_DRONES = 4096
#: Buffers of observations that are kept for use; who keeps more observations has them alone.
MOST_BUFFERS = 4
_PROBE = [object()]
#: How many references Python counts to what a list alone refers to, asked as below.
_UNSHARED = sys.getrefcount(_PROBE[0])


#: What the simulator is compiled for: whether swarms are large, and whether they have a timetable.
_compiled_for: set[tuple[bool, ...]] = set()


@contextmanager
def _compiling(*kind: bool) -> Iterator[None]:
    """Around a first call, which compiles: tell a user who waits, and let it be quick."""
    if kind in _compiled_for or not kernel.COMPILED:
        yield
        return
    text = "drone_formation: compiling the simulator (once; later starts read it from a cache)"
    timer = threading.Timer(2.0, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    # A compiler makes many objects and little garbage: collecting it takes a sixth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        _compiled_for.add(kind)
    finally:
        timer.cancel()
        if collects:
            gc.enable()


def _reward(name: str, value: Any) -> RewardWeights | dict[str, RewardWeights]:
    """``value``: weights, or those of some tasks by name."""
    if isinstance(value, Mapping):
        return {
            validation.choice(f"{name}: a task", task, TASKS): validation.instance(
                f"{name} of {task}", weights, RewardWeights, TASKS[task].reward
            )
            for task, weights in value.items()
        }
    if not isinstance(value, RewardWeights):
        raise TypeError(f"{name} must be RewardWeights or a mapping to them, got {value!r}")
    return value


def _own_reward(task: Task) -> RewardWeights | dict[str, RewardWeights]:
    """What a task pays; for a mixture whose tasks pay differently, by their names."""
    weights = {member.name: member.reward for member in task.members}
    first, *others = weights.values()
    return weights if any(other != first for other in others) else first


def _within(
    name: str, value: Any, shape: tuple[int, ...], low: Any, high: Any, there: Any = True
) -> np.ndarray:
    """``value`` as an array of a shape, finite and within its limits where ``there``."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, got {value!r}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    allowed = (np.isfinite(array) & (array >= low) & (array <= high)) | ~np.asarray(there)
    if not allowed.all():
        index = tuple(int(i) for i in np.argwhere(~allowed)[0])
        least, most = (np.broadcast_to(limit, shape)[index] for limit in (low, high))
        raise ValueError(
            f"{name} must be finite and from {least:g} to {most:g}, got {array[index]} at {index}"
        )
    return np.where(there, array, 0).astype(np.float64)


class StepResult(NamedTuple):
    """What a step gives: the simulator's own buffers, overwritten by the next step."""

    observations: np.ndarray  #: (S, N, D) float32
    rewards: np.ndarray  #: (S, N) float32
    crashed: np.ndarray  #: (S, N) bool, left the arena in this step
    truncated: np.ndarray  #: (S,) bool, the episode has lasted ``max_steps``


class Swarms:
    """``num_swarms`` swarms of ``num_drones`` drones each, in one task.

    Swarm k's random stream depends on its own seed alone, so its numbers are bitwise the same
    however many swarms are stepped beside it and on however many threads.

    Args:
        task: a name, "flag", an id, "DroneFlag-v0", "package.module:attribute" or a ``Task``.
        num_swarms: S.
        num_drones: N, 1 to 4,096; for a formation of your own, the number of its points.
        seed: an integer s (swarm k gets s + k), a sequence of S integers, or None (unpredictable).
        max_steps: control steps per episode.
        airframe: the drones' physical parameters.
        randomization: how they vary from drone to drone; None for not at all.
        control: what actions mean; "motor": one number per rotor, 0 hovers.
        substeps: Runge-Kutta steps per control step of 0.05 s.
        assignment: "fixed" (drone i flies to slot i) or "optimal" (least summed squared distance).
        neighbours: how many of the nearest drones are observed, 0 to 8.
        collision_distance: m, between centres, 0.01 to 100.
        reward: weights of the reward's terms, None for those of the task; for a mixed task also a
            mapping from the names of its tasks to weights, those not named having their own.
        crash: what becomes of a drone that leaves the arena: "respawn" (put back at random) or
            "terminate" (gone until the reset).
        num_threads: threads that share the swarms.
        paced: in a race, whether every drone has a place on one common course through all
            rings, which moves and keeps clear of the others' places.  Its target is that place,
            as a slot is in a formation; without, it is the next ring.  Other tasks have none.
        points: (N, 3) slots for the task "formation", m; None draws random ones per episode.
        colours: (N, 3) uint8 colours of these slots.
        arena: (3,) half extents of the arena, m; None for as large as the formation needs.

    Raises:
        ValueError, TypeError: an argument is not allowed; the message names it.

    The truth is readable at any time, as fresh arrays in the world frame and SI units:
    ``position``, ``velocity``, ``attitude`` (quaternion w x y z, body to world), ``body_rates``
    (body frame), ``rotor_speeds``, ``target_position``, ``target_velocity``, each (S, N, ...).
    """

    def __init__(
        self,
        task: str | Task = "flag",
        num_swarms: int = 1,
        num_drones: int | None = None,
        *,
        seed: int | Sequence[int] | None = None,
        max_steps: int = 1024,
        airframe: Airframe | None = None,
        randomization: Randomization | None = None,
        control: str = "motor",
        substeps: int = 1,
        assignment: str = "fixed",
        neighbours: int = 2,
        collision_distance: float = 1.0,
        reward: RewardWeights | Mapping[str, RewardWeights] | None = None,
        crash: str = "respawn",
        num_threads: int = 1,
        paced: bool = False,
        points: Any = None,
        colours: Any = None,
        arena: Any = None,
    ) -> None:
        self._task = resolve_task(task)
        self.task = self._task.name
        self.num_swarms = validation.integer("num_swarms", num_swarms, 1)
        self.max_steps = validation.integer("max_steps", max_steps, 1)
        self.airframe = validation.instance("airframe", airframe, Airframe, Airframe())
        self.randomization = validation.instance(
            "randomization", randomization, Randomization, None
        )
        self.control = validation.choice("control", control, ("motor",))
        self.substeps = validation.integer("substeps", substeps, 1)
        self.assignment = validation.choice("assignment", assignment, ("fixed", "optimal"))
        self.neighbours = validation.integer("neighbours", neighbours, 0, kernel.MAX_NEIGHBOURS)
        self.collision_distance = validation.positive("collision_distance", collision_distance)
        if not 0.01 <= self.collision_distance <= 100:
            raise ValueError(
                f"collision_distance must be from 0.01 to 100, got {collision_distance!r}"
            )
        self._reward_weights = _reward(
            "reward", _own_reward(self._task) if reward is None else reward
        )
        self.crash = validation.choice("crash", crash, ("respawn", "terminate"))
        self.num_threads = validation.integer("num_threads", num_threads, 1)
        self.paced = validation.boolean("paced", paced) and self._task.races
        points, colours = self._own_formation(points, colours, num_drones)
        self._check_flyable(self.airframe.fastest_rate * (1.3 if self.randomization else 1.0))
        if self.randomization and self.randomization.weakest(self.airframe) <= 1:
            raise ValueError(
                "randomization can draw drones too weak to hover around this airframe: "
                f"thrust-to-weight {self.randomization.weakest(self.airframe):.2f}"
            )

        self._planner = Planner(
            self._task, self.num_drones, self.collision_distance, assignment, points, colours, arena
        )
        self.arena: np.ndarray = self._planner.arena.copy()  #: half extents (3,), m

        S, N = self.num_swarms, self.num_drones
        self._blocks_per_swarm = -(-N // kernel.LANES)
        self._blocks = np.zeros((S * self._blocks_per_swarm, kernel.ROWS, kernel.LANES), np.float32)
        self._table = np.zeros((S, kernel.SWARM_COLUMNS), np.int64)
        self._frequencies = np.zeros((S, HARMONICS, 2))
        rings = max(self._planner.num_rings, 1)
        self._rings = np.zeros((S, rings, 6), np.float32)
        lines = course.MOST_LINES if self.paced else 0
        self._lines = np.zeros((S, lines, 1 + 2 * rings, 3), np.float32)
        self.tasks = [self.task] * S  #: name of each swarm's present task
        self._settings = np.zeros((S, kernel.SETTINGS), np.float32)
        self._make_settings()
        self._orders = np.zeros((S, self._blocks_per_swarm * kernel.LANES), np.int32)
        #: of each thread
        self._workspaces = [self._workspace() for _ in range(self.num_threads)]
        self.observations = np.zeros(
            (S, N, observation.observation_size(self.neighbours)), np.float32
        )
        self._lent = False  # to somebody who may keep the observations
        self._buffers = [self.observations]  # that may be used for them again
        #: what a drone that crashed in the latest step saw before it was put back, (S, N, D)
        self.final_observations = np.zeros_like(self.observations)
        self._rewards = np.zeros((S, N), np.float32)
        #: (S,) float64, of the latest step: over the drones of each swarm that flew in it
        self.mean_rewards = np.zeros(S)
        self._crashed = np.zeros((S, N), np.bool_)
        self._truncated = np.zeros(S, np.bool_)
        self.colours = np.zeros((S, N, 3), np.uint8)  #: (S, N, 3) RGB, of each drone's slot
        self._no_actions = np.zeros(0, np.float32)
        self._team: Team | None = None
        self._board = np.zeros(0, np.int64)  #: on which the team's work is written down
        self._seed(secrets.randbits(63) if seed is None else seed)

    # ---- construction --------------------------------------------------------------------------

    def _own_formation(
        self, points: Any, colours: Any, num_drones: int | None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        if points is None:
            if colours is not None:
                raise ValueError("colours need points")
            self.num_drones = validation.integer(
                "num_drones", 64 if num_drones is None else num_drones, 1, MAX_DRONES
            )
            return None, None
        if not self._task.accepts_points:
            raise ValueError(f'points are for the task "formation", not {self.task!r}')
        points = validation.points("points", points)
        self.num_drones = validation.integer("the number of points", len(points), 1, MAX_DRONES)
        if num_drones is not None and num_drones != self.num_drones:
            raise ValueError(
                f"num_drones must be the number of points, {self.num_drones}, got {num_drones!r}"
            )
        if colours is not None:
            colours = validation.colours("colours", colours, len(points))
        return points, colours

    def _check_flyable(self, fastest: float) -> None:
        """Refuse motions that decay so fast, 1/s, that the integration would blow up."""
        # Beyond 2.78, classical Runge-Kutta amplifies a decaying mode; stay clear of it.
        if fastest * CONTROL_STEP / self.substeps > 2.5:
            needed = int(np.ceil(fastest * CONTROL_STEP / 2.5))
            raise ValueError(
                f"substeps must be {needed} or more for this airframe (its fastest motion decays "
                f"at {fastest:.0f}/s), got {self.substeps}"
            )

    def _make_settings(self) -> None:
        settings = np.zeros(kernel.SETTINGS, np.float32)
        settings[kernel.TIME_STEP] = CONTROL_STEP / self.substeps
        settings[kernel.ARENA : kernel.ARENA + 3] = self.arena
        settings[kernel.DIAGONAL] = np.linalg.norm(2 * self.arena)
        settings[kernel.COLLISION_DISTANCE] = self.collision_distance
        settings[kernel.RESPAWNS] = self.crash == "respawn"
        settings[kernel.SUBSTEPS] = self.substeps
        settings[kernel.LATE_FROM] = self.max_steps - self.late_steps + 1
        settings[kernel.RING_RADIUS_SQUARED] = RING_RADIUS**2
        settings[kernel.OFFSET_SCALES : kernel.OFFSET_SCALES + 3] = observation.OFFSET_SCALES
        settings[kernel.VELOCITY_SCALE] = observation.VELOCITY_SCALE
        settings[kernel.RATE_SCALE] = observation.RATE_SCALE
        settings[kernel.NEIGHBOUR_SCALE] = observation.NEIGHBOUR_SCALE
        self._settings[:] = settings
        self._set_weights(range(self.num_swarms))

    def _set_weights(self, which: Sequence[int]) -> None:
        """Put what swarms' present tasks pay into their settings."""
        for swarm in which:
            weights = self._reward_weights
            if not isinstance(weights, RewardWeights):
                weights = weights.get(self.tasks[swarm], self._planner.pays[self.tasks[swarm]])
            self._settings[swarm, kernel.WEIGHTS : kernel.WEIGHTS + 9] = weights.as_row()

    def _workspace(self) -> tuple[Any, ...]:
        """What a thread works with: scratch, waves, and the kernel's ``tiling`` and ``few``."""
        scratch = np.zeros((kernel.MAX_OBSERVATION, kernel.LANES), np.float32)
        waves = np.zeros((HARMONICS, 3), np.float32)
        tiles = self._blocks_per_swarm
        if tiles <= kernel.FEW_BLOCKS:
            return scratch, waves, None, True
        tiling = (
            np.zeros((tiles, kernel.TILE_ROWS, kernel.LANES), np.float32),
            np.zeros((kernel.BOX_ROWS, kernel.MAX_TILES), np.float32),
            self._orders,
        )
        return scratch, waves, tiling, None

    @property
    def late_steps(self) -> int:
        """How many steps the last fifth of an episode has."""
        return -(-self.max_steps // 5)

    def _seed(self, seed: int | Sequence[int]) -> None:
        if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
            seeds = [int(seed) + k for k in range(self.num_swarms)]
        elif isinstance(seed, (Sequence, np.ndarray)) and not isinstance(seed, str):
            seeds = list(seed)
            if len(seeds) != self.num_swarms:
                raise ValueError(f"seed must hold {self.num_swarms} integers, got {len(seeds)}")
        else:
            raise TypeError(f"seed must be an integer, a sequence of them or None, got {seed!r}")
        seeds = [validation.integer("seed", s, 0) for s in seeds]
        self._generators = [np.random.default_rng(s) for s in seeds]

    # ---- episodes ------------------------------------------------------------------------------

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        which: Sequence[int] | np.ndarray | None = None,
    ) -> np.ndarray:
        """Begin new episodes.

        Args:
            seed: as in the constructor; None goes on with the present random streams.
            which: indices of the swarms to reset; None for all.

        Returns:
            The observations (S, N, D), the simulator's own buffer.
        """
        if seed is not None:
            if which is not None:
                raise ValueError("seed can only be given when all swarms are reset")
            self._seed(seed)
        latest = self.observations
        if self._renew_observations():
            self.observations[:] = latest
        for k in range(self.num_swarms) if which is None else which:
            self._begin(int(k))
        return self.observations

    def _begin(self, swarm: int) -> None:
        rng = self._generators[swarm]
        plan = self._planner.plan(rng)
        entry, N = self._table[swarm], self.num_drones
        entry[:] = 0
        entry[kernel.STARTED] = 1
        entry[kernel.MAX_STEPS] = self.max_steps
        entry[kernel.RANDOM_KEY] = rng.integers(2**63)
        entry[kernel.HOLDS] = plan.holds
        entry[kernel.NUM_RINGS] = len(plan.rings)
        frequencies, harmonics = plan.trajectory.frequencies, plan.trajectory.harmonic_rows()
        if len(frequencies) > HARMONICS or plan.trajectory.path is not None:
            raise ValueError(f"{plan.task}: its trajectory has more than {HARMONICS} harmonics")
        entry[kernel.HARMONICS_USED] = len(frequencies)
        self._frequencies[swarm] = 0
        self._frequencies[swarm, : len(frequencies), 0] = frequencies
        self._frequencies[swarm, : len(frequencies), 1] = frequencies * CONTROL_STEP
        self.tasks[swarm] = plan.task.name
        self._set_weights([swarm])
        self.colours[swarm] = plan.colours

        lanes = np.zeros((kernel.ROWS, self._blocks_per_swarm * kernel.LANES), np.float32)
        if self.randomization is None:
            airframes = self.airframe.as_row()[:, None]
        else:
            airframes = self.randomization.sample(self.airframe, N, rng).T
        lanes[kernel.AIRFRAME : kernel.AIRFRAME + 14] = self.airframe.as_row()[:, None]
        lanes[kernel.AIRFRAME : kernel.AIRFRAME + 14, :N] = airframes
        lanes[kernel.POSITION : kernel.POSITION + 3] = kernel.PARKED
        lanes[kernel.CENTRE : kernel.CENTRE + 3] = kernel.PARKED
        lanes[kernel.POSITION : kernel.POSITION + 3, :N] = plan.starts.T
        lanes[kernel.BEFORE : kernel.BEFORE + 3] = lanes[kernel.POSITION : kernel.POSITION + 3]
        lanes[kernel.ATTITUDE] = 1
        lanes[kernel.ROTORS : kernel.ROTORS + 4] = lanes[kernel.AIRFRAME + 13]
        lanes[kernel.ACTIVE, :N] = 1
        lanes[kernel.SEPARATION] = np.inf
        lanes[kernel.NAME] = np.arange(lanes.shape[1])
        lanes[kernel.LANE] = lanes[kernel.NAME] % kernel.LANES
        lanes[kernel.CENTRE : kernel.CENTRE + 3, :N] = plan.trajectory.centre.T
        for h, rows in enumerate(harmonics):
            lanes[kernel.COSINE + 3 * h : kernel.COSINE + 3 * h + 3, :N] = rows[:3]
            lanes[kernel.SINE + 3 * h : kernel.SINE + 3 * h + 3, :N] = rows[3:]
        if len(plan.rings):
            self._set_rings(swarm, plan)
            lanes[kernel.RING, :N] = plan.first_ring
            lanes[kernel.AIM : kernel.AIM + 3, :N] = RING_SPEED * plan.rings[plan.first_ring, 3:].T
            if self.paced:
                self._set_pacing(swarm, plan, lanes)
        first = swarm * self._blocks_per_swarm
        blocks = lanes.reshape(kernel.ROWS, self._blocks_per_swarm, kernel.LANES).swapaxes(0, 1)
        self._blocks[first : first + self._blocks_per_swarm] = blocks
        with _compiling(self._blocks_per_swarm > kernel.FEW_BLOCKS, self.paced):
            self._advance(self._no_actions, swarm, swarm + 1, fresh=True)

    def _set_rings(self, swarm: int, plan: Plan) -> None:
        self._rings[swarm, :, :3] = plan.rings[:, :3]
        self._rings[swarm, :, 3:] = RING_SPEED * plan.rings[:, 3:]

    def _set_pacing(self, swarm: int, plan: Plan, lanes: np.ndarray) -> None:
        """Lay a course through the rings, and give every drone a place on it."""
        assert plan.first_ring is not None
        N, entry = self.num_drones, self._table[swarm]
        airframes = lanes[kernel.AIRFRAME : kernel.AIRFRAME + 14, :N].T.astype(float)
        laid = course.pace(
            self.rings(swarm), plan.first_ring, plan.starts, airframes, self.collision_distance
        )
        lines, rate = laid.curve.lines, 2 * np.pi / laid.curve.lap
        self._lines[swarm] = 0
        self._lines[swarm, : len(lines)] = lines
        entry[kernel.NUM_LINES], entry[kernel.HARMONICS_USED] = len(lines), 1
        self._frequencies[swarm, 0] = rate, rate * CONTROL_STEP
        lanes[kernel.HEAD_START, :N] = np.cos(rate * laid.head_start)
        lanes[kernel.HEAD_START + 1, :N] = np.sin(rate * laid.head_start)
        lanes[kernel.LINE, :N] = laid.line

    def place(
        self,
        position: Any = None,
        velocity: Any = None,
        attitude: Any = None,
        body_rates: Any = None,
        rotor_speeds: Any = None,
        *,
        airframes: Any = None,
        arena: Any = None,
    ) -> np.ndarray:
        """Put the drones where you want them: right after a reset, or in the middle of an episode.

        What is None stays as it is, and so do targets, clocks and metrics; only a task of holding
        a place takes the new one for its target.  Nothing is paid or counted for the way there.
        Drones that are gone stay gone, and what is given for them is not looked at.

        Args:
            position: (S, N, 3), inside the arena.  All in the units and frames of the attributes
                of the same names.
            velocity: (S, N, 3), up to 50 m/s along each axis.
            attitude: (S, N, 4), unit quaternions.
            body_rates: (S, N, 3), up to 50 rad/s about each axis.
            rotor_speeds: (S, N, 4), from 0 to the top speed of each drone's rotors.
            airframes: (S, N, 14), the drones' own parameters, until the next reset.
            arena: (3,) half extents, m, that the arena is to have at least.  It grows and never
                shrinks; like the constructor's arguments, it is no part of ``get_state``.

        Returns:
            The observations (S, N, D), the simulator's own buffer.

        Raises:
            TypeError, ValueError: something is no number, of another shape or not allowed; then
                nothing has changed.
            RuntimeError: ``reset`` has not been called.
        """
        if not self._table[:, kernel.STARTED].all():
            raise RuntimeError("call reset() before place()")
        extents = self.arena
        if arena is not None:
            extents = np.maximum(extents, _within("arena", arena, (3,), 0, np.inf))
        walls = extents.astype(np.float32)  # as the compiled code sees them
        there = self.active[..., None]
        state = {}
        if airframes is not None:
            state[kernel.AIRFRAME] = self._checked_airframes(airframes, there)
            if rotor_speeds is None:  # the new rotors may not be able to turn so fast
                rotor_speeds = self.rotor_speeds
        flown = state.get(kernel.AIRFRAME, self.airframes)
        top = 1.001 * flown[..., [PARAMETERS.index("max_rotor_speed")]]
        for name, row, value, size, limit in (
            ("position", kernel.POSITION, position, 3, walls),
            ("velocity", kernel.VELOCITY, velocity, 3, kernel.MAX_SPEED),
            ("attitude", kernel.ATTITUDE, attitude, 4, 1.001),
            ("body_rates", kernel.RATES, body_rates, 3, kernel.MAX_RATE),
            ("rotor_speeds", kernel.ROTORS, rotor_speeds, 4, top),
        ):
            if value is not None:
                shape = (self.num_swarms, self.num_drones, size)
                low = 0 if name == "rotor_speeds" else -limit
                state[row] = _within(name, value, shape, low, limit, there)
        if attitude is not None:
            norms = np.linalg.norm(state[kernel.ATTITUDE], axis=2, keepdims=True)
            _within("attitude's norm", norms, norms.shape, 0.999, 1.001, there)

        if arena is not None:
            self.arena = extents
            self._make_settings()
        if position is not None:
            places = state[kernel.POSITION]
            state[kernel.BEFORE] = places
            holding = (self._table[:, kernel.HOLDS] > 0)[:, None, None]
            state[kernel.CENTRE] = np.where(holding, places, self._read(kernel.CENTRE, 3))
            state[kernel.COLLIDING] = state[kernel.COLLIDED] = np.zeros_like(places[..., :1])
        for row, values in state.items():
            self._write(row, np.where(there, values, self._read(row, values.shape[2])))
        self._look_around()
        return self.observations

    def _checked_airframes(self, airframes: Any, there: np.ndarray) -> np.ndarray:
        """Airframes that can be flown, where they are ``there``."""
        shape = (self.num_swarms, self.num_drones, len(PARAMETERS))
        rows = _within("airframes", airframes, shape, 0, np.inf, there)
        for swarm, drone in np.argwhere(there[..., 0]).tolist():
            try:
                fastest = Airframe.from_row(rows[swarm, drone]).fastest_rate
                self._check_flyable(fastest * (1 - 1e-6))  # rows of ours are rounded to float32
            except ValueError as error:
                raise ValueError(f"airframes[{swarm}, {drone}]: {error}") from None
        return rows

    def _look_around(self) -> None:
        """Work out targets, distances, neighbours and observations of drones that were moved."""
        self._renew_observations()
        table = self._table
        table[:, kernel.VISITS] = 0  # drones are no longer sorted
        unformed = table[:, kernel.LAST_UNFORMED].copy()
        self._advance(self._no_actions, 0, self.num_swarms, fresh=True)
        # Right after a reset, that is the first entry; later, the metric goes on.
        formed = np.where(table[:, kernel.LAST_UNFORMED] < 0, unformed, table[:, kernel.STEP])
        late = table[:, kernel.STEP] > 0
        table[late, kernel.LAST_UNFORMED] = formed[late]

    def step(self, actions: np.ndarray) -> StepResult:
        """Advance every swarm by one control step of 0.05 s.

        Args:
            actions: (S, N, 4) floats; those beyond [-1, 1] are clipped.

        Raises:
            TypeError: the actions are not an array of floats.
            ValueError: their shape is wrong, or one is NaN or infinite.
            RuntimeError: ``reset`` has not been called.
        """
        actions = np.asarray(actions)
        expected = (self.num_swarms, self.num_drones, 4)
        if actions.dtype.kind != "f":
            raise TypeError(f"actions must be floats, got dtype {actions.dtype}")
        if actions.shape != expected:
            raise ValueError(f"actions must have shape {expected}, got {actions.shape}")
        if actions.dtype.itemsize > 4:  # large ones would become infinite; a NaN stays one
            actions = np.where(np.isfinite(actions), np.clip(actions, -1, 1), actions)
        actions = np.ascontiguousarray(actions, np.float32)
        latest, lent = self.observations, self._renew_observations()
        if self.num_threads == 1:
            status = self._advance(actions, 0, self.num_swarms)
        else:
            status = self._advance_on_threads(actions)
        if status != kernel.READY:
            self.observations, self._lent = latest, lent
        if status == kernel.NOT_STARTED:
            raise RuntimeError("call reset() before step()")
        if status == kernel.NOT_FINITE:
            swarm, drone, rotor = np.argwhere(~np.isfinite(actions))[0]
            raise ValueError(
                f"actions must be finite, got {actions[swarm, drone, rotor]} for rotor {rotor} of "
                f"drone {drone} in swarm {swarm}"
            )
        return StepResult(self.observations, self._rewards, self._crashed, self._truncated)

    # ---- observations for keeps ----------------------------------------------------------------

    def lend_observations(self) -> np.ndarray:
        """The observations (S, N, D), for keeps: whatever comes next is written elsewhere.

        That is cheaper than a copy, and as good unless some swarms alone are reset next: it shows
        in the others' observations then what was written into these.  Memory that nobody refers to
        any more is used again.
        """
        if self.num_threads > 1:  # whose helpers know one place to write to
            return self.observations.copy()
        self._lent = True
        return self.observations

    def _renew_observations(self) -> bool:
        """Before some of them change: leave those that were lent.  Says whether there were any."""
        if not self._lent:
            return False
        self.observations, self._lent = self._free_buffer(), False
        return True

    def _free_buffer(self) -> np.ndarray:
        buffers = self._buffers
        for k in range(len(buffers)):
            if sys.getrefcount(buffers[k]) == _UNSHARED:
                return buffers[k]
        buffers.append(np.empty_like(self.observations))
        del buffers[:-MOST_BUFFERS]
        return buffers[-1]

    # ---- the compiled step, and who takes part in it -------------------------------------------

    def _advance(self, actions: np.ndarray, begin: int, end: int, fresh: bool = False) -> int:
        status: int = kernel.advance(*self._arguments(actions, 0), 0, begin, end, fresh)
        return status

    def _arguments(self, actions: np.ndarray, thread: int) -> tuple[Any, ...]:
        return (
            self._blocks, self._table, self._frequencies, self._rings,
            self._lines if self.paced else None, self._settings,
            self.neighbours, *self._workspaces[thread], actions.reshape(-1),
            self.observations, self.final_observations, self._rewards, self.mean_rewards,
            self._crashed, self._truncated, self._board,
        )  # fmt: skip

    def _advance_on_threads(self, actions: np.ndarray) -> int:
        # Plain threads around a kernel that releases the GIL: unlike numba's own parallel layers
        # they survive a fork (the child makes its own) and can be called from several threads.
        if self._team is None or self._team.process != os.getpid():
            self._engage_team()
        assert self._team is not None
        self._wait_for_team()  # left behind when the nap of the latest step was interrupted
        np.copyto(self._shared_actions, actions)
        self._team.wake()
        try:
            status = self._advance(self._shared_actions, 0, self.num_swarms)
        except Exception:  # as NUMBA_BOUNDSCHECK raises: this step will never be complete
            self._team = None
            raise
        if status != kernel.WAITING:
            return status
        self._wait_for_team()
        return kernel.READY

    def _engage_team(self) -> None:
        """Threads that keep the simulator's arrays alive, but not the simulator."""
        S, T = self.num_swarms, self.num_threads
        self._board = np.zeros(kernel.CLAIMS + S + kernel.APART * T, np.int64)
        self._board[kernel.DONE] = S
        self._shared_actions = np.zeros((S, self.num_drones, 4), np.float32)
        helpers = range(1, T) if kernel.COMPILED else ()
        duties = [
            partial(
                kernel.advance, *self._arguments(self._shared_actions, thread), thread,
                S * thread // T, S * (thread + 1) // T, False,
            )
            for thread in helpers
        ]  # fmt: skip
        self._team = Team(duties, partial(self._board.__setitem__, kernel.TICKET, -1))

    def _wait_for_team(self) -> None:
        assert self._team is not None
        while self._board[kernel.DONE] < self.num_swarms:
            if self._team.errors:
                raise self._team.errors[0]
            time.sleep(1e-4)

    # ---- the truth -----------------------------------------------------------------------------

    def _read(self, row: int, count: int = 1) -> np.ndarray:
        shape = (self.num_swarms, self._blocks_per_swarm, kernel.ROWS, kernel.LANES)
        rows = self._blocks.reshape(shape)[:, :, row : row + count]
        lanes = np.moveaxis(rows, 2, 3).reshape(self.num_swarms, -1, count)
        return lanes[:, : self.num_drones].copy()

    def _write(self, row: int, values: np.ndarray) -> None:
        """The opposite of ``_read``."""
        count = values.shape[2]
        shape = (self.num_swarms, self._blocks_per_swarm, kernel.ROWS, kernel.LANES)
        rows = self._blocks.reshape(shape)[:, :, row : row + count]
        lanes = np.moveaxis(rows, 2, 3).reshape(self.num_swarms, -1, count)
        lanes[:, : self.num_drones] = values
        rows[...] = np.moveaxis(lanes.reshape(self.num_swarms, -1, kernel.LANES, count), 3, 2)

    @property
    def reward_weights(self) -> RewardWeights | Mapping[str, RewardWeights]:
        """Weights of the reward's terms; new ones may be set at any time and count at once."""
        return self._reward_weights

    @reward_weights.setter
    def reward_weights(self, weights: RewardWeights | Mapping[str, RewardWeights]) -> None:
        self._reward_weights = _reward("reward_weights", weights)
        self._set_weights(range(self.num_swarms))

    @property
    def position(self) -> np.ndarray:
        """(S, N, 3), m."""
        return self._read(kernel.POSITION, 3)

    @property
    def velocity(self) -> np.ndarray:
        """(S, N, 3), m/s."""
        return self._read(kernel.VELOCITY, 3)

    @property
    def attitude(self) -> np.ndarray:
        """(S, N, 4), unit quaternions w x y z, body to world."""
        return self._read(kernel.ATTITUDE, 4)

    @property
    def body_rates(self) -> np.ndarray:
        """(S, N, 3), rad/s, body frame."""
        return self._read(kernel.RATES, 3)

    @property
    def rotor_speeds(self) -> np.ndarray:
        """(S, N, 4), rad/s."""
        return self._read(kernel.ROTORS, 4)

    @property
    def target_position(self) -> np.ndarray:
        """(S, N, 3), m."""
        return self._read(kernel.TARGET, 3)

    @property
    def target_velocity(self) -> np.ndarray:
        """(S, N, 3), m/s; for a race ring, the velocity at which it wants to be passed.

        In a race with a paced, the place's velocity plus 0.2 s times its acceleration.
        """
        return self._read(kernel.TARGET_VELOCITY, 3)

    @property
    def airframes(self) -> np.ndarray:
        """(S, N, 14), each drone's parameters, columns as ``airframe.PARAMETERS``."""
        return self._read(kernel.AIRFRAME, 14)

    @property
    def distance(self) -> np.ndarray:
        """(S, N), distance to the target, m."""
        return self._read(kernel.DISTANCE)[..., 0]

    @property
    def active(self) -> np.ndarray:
        """(S, N) bool: False for drones that crashed for good."""
        return self._read(kernel.ACTIVE)[..., 0] > 0

    @property
    def colliding(self) -> np.ndarray:
        """(S, N) bool: came nearer to another drone than the collision distance in this step."""
        return self._read(kernel.COLLIDING)[..., 0] > 0

    @property
    def faults(self) -> np.ndarray:
        """(S, N) int: numerical blow-ups of each drone in this episode, contained as crashes."""
        return self._read(kernel.FAULTS)[..., 0].astype(int)

    @property
    def ring_index(self) -> np.ndarray:
        """(S, N) int: the race ring each drone flies to."""
        return self._read(kernel.RING)[..., 0].astype(int)

    def rings(self, swarm: int = 0) -> np.ndarray:
        """(R, 7): centre, unit normal and radius of each race ring of a swarm, m."""
        rings = self._rings[swarm, : self._table[swarm, kernel.NUM_RINGS]].astype(float)
        rings[:, 3:] /= RING_SPEED
        return np.column_stack([rings, np.full(len(rings), RING_RADIUS)])

    @property
    def steps(self) -> np.ndarray:
        """(S,) int: control steps since each swarm's reset."""
        return self._table[:, kernel.STEP].copy()

    def metrics(self) -> dict[str, np.ndarray]:
        """Each swarm's metrics over its episode so far, arrays (S,).

        - ``perf``: mean over drones and steps of 1 - distance / arena diagonal - colliding.
        - ``formation_error``: root mean square distance to target over the last fifth, m.
        - ``on_target``: share of drones that stay within 0.10 m through the last fifth.
        - ``within_half_metre``: the same for 0.5 m.
        - ``time_to_form``: first time from which 95 % of the drones stay within 0.25 m, s;
          infinite when never.
        - ``collisions``: encounters per drone-minute, each counted once, when it starts.
        - ``collision_rate``: share of drone-steps spent colliding.
        - ``crashes``: per drone-episode.
        - ``faults``: those of them that were numerical blow-ups, contained.
        - ``min_separation``: least distance between two drones after the first 2 s, m.
        - ``rings_per_minute``: race rings passed per drone-minute.
        - ``episode_return``, ``length``: mean over drones of the summed reward; steps.

        The last fifth counts from the episode's ``max_steps``: before it, its metrics are NaN.
        A drone that crashed for good is never on target and has no distance (NaN when all are).
        """
        steps = self._table[:, kernel.STEP]
        late = np.maximum(steps - (self.max_steps - self.late_steps), 0)
        elapsed = np.maximum(steps, 1)
        minutes = elapsed * CONTROL_STEP / 60
        active = self.active
        remaining = active.sum(axis=1)
        reached = np.where(late > 0, 1.0, np.nan)

        def mean(row: int) -> np.ndarray:
            return self._read(row)[..., 0].astype(float).mean(axis=1)

        squares = self._read(kernel.LATE_SQUARES)[..., 0].astype(float)
        farthest = self._read(kernel.LATE_FARTHEST)[..., 0]
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no drone, no distance
            late_mean = np.where(active, squares, 0).sum(axis=1) / (remaining * np.maximum(late, 1))
        formed_from = self._table[:, kernel.LAST_UNFORMED] + 1
        return {
            "perf": mean(kernel.SCORE) / elapsed,
            "formation_error": np.sqrt(late_mean) * reached,
            "on_target": ((farthest < 0.10) & active).mean(axis=1) * reached,
            "within_half_metre": ((farthest < 0.5) & active).mean(axis=1) * reached,
            "time_to_form": np.where(
                formed_from > steps, np.inf, formed_from * CONTROL_STEP
            ),
            "collisions": mean(kernel.COLLISIONS) / minutes,
            "collision_rate": mean(kernel.COLLISION_STEPS) / elapsed,
            "crashes": mean(kernel.CRASHES),
            "faults": mean(kernel.FAULTS),
            "min_separation": self._read(kernel.SEPARATION)[..., 0].min(axis=1).astype(float),
            "rings_per_minute": mean(kernel.RINGS) / minutes,
            "episode_return": mean(kernel.RETURN),
            "length": steps.astype(float),
        }  # fmt: skip

    # ---- snapshots -----------------------------------------------------------------------------

    _ARRAYS = (
        "_blocks", "_table", "_frequencies", "_rings", "_lines", "observations",
        "final_observations", "_rewards", "mean_rewards", "_crashed", "_truncated", "colours",
    )  # fmt: skip

    _ROW_NAMES: ClassVar[dict[int, str]] = {
        row + i: name
        for row, size, name in (
            (kernel.POSITION, 3, "position"),
            (kernel.VELOCITY, 3, "velocity"),
            (kernel.ATTITUDE, 4, "attitude"),
            (kernel.RATES, 3, "body_rates"),
            (kernel.ROTORS, 4, "rotor_speeds"),
            (kernel.ACTION, 4, "action"),
            (kernel.TARGET, 3, "target_position"),
            (kernel.TARGET_VELOCITY, 3, "target_velocity"),
            *((kernel.AIRFRAME + k, 1, name) for k, name in enumerate(PARAMETERS)),
        )
        for i in range(size)
    }

    def get_state(self) -> dict[str, Any]:
        """An exact snapshot, randomness included: plain arrays, numbers and names."""
        state: dict[str, Any] = {name: getattr(self, name).copy() for name in self._ARRAYS}
        state["tasks"] = list(self.tasks)
        state["generators"] = [g.bit_generator.state for g in self._generators]
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a snapshot of a simulator built with the same arguments.

        Raises:
            TypeError: it is not a snapshot.
            ValueError: it is of another shape of simulator, or not finite; then nothing has
                changed.
        """
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict from get_state, got {type(state).__name__}")
        for name in self._ARRAYS:
            array: np.ndarray = getattr(self, name)
            value: Any = state.get(name)
            if getattr(value, "dtype", None) != array.dtype or np.shape(value) != array.shape:
                raise ValueError(
                    f"state does not fit this simulator: {name} must be {array.dtype} of shape "
                    f"{array.shape}, got {getattr(value, 'dtype', type(value).__name__)} of shape "
                    f"{np.shape(value)}"
                )
        for name in ("tasks", "generators"):
            if len(state.get(name, ())) != self.num_swarms:
                raise ValueError(
                    f"state does not fit this simulator: {name} must hold {self.num_swarms} entries"
                )
        self._check_finite(state)
        self._renew_observations()
        for name in self._ARRAYS:
            getattr(self, name)[...] = state[name]
        self._table[:, kernel.VISITS] = 0  # the sort is not part of the state
        self.tasks = list(state["tasks"])
        self._set_weights(range(self.num_swarms))
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            generator.bit_generator.state = saved

    def _check_finite(self, state: dict[str, Any]) -> None:
        """Refuse a snapshot that holds a NaN or an infinity, and say where."""
        for name in self._ARRAYS:
            finite = np.isfinite(state[name])
            if name == "_blocks":  # a separation is infinite until it has been measured
                finite[:, kernel.SEPARATION] |= np.isposinf(state[name][:, kernel.SEPARATION])
            if finite.all():
                continue
            index = tuple(int(i) for i in np.argwhere(~finite)[0])
            value, place = state[name][index], f"at {index}"
            if name == "_blocks":
                block, row, lane = index
                swarm, block = divmod(block, self._blocks_per_swarm)
                name = self._ROW_NAMES.get(row, f"row {row}")
                place = f"of drone {block * kernel.LANES + lane} in swarm {swarm}"
                raise ValueError(f"state: {name} {place} must be finite, got {value}")
            raise ValueError(f"state: {name} must be finite, got {value} {place}")

    def __getstate__(self) -> dict[str, Any]:
        apart: dict[str, Any] = {"_team": None, "_board": np.zeros(0, np.int64), "_buffers": []}
        return {**self.__dict__, **apart}
