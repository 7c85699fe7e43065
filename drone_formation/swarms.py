"""The simulator: a batch of swarms stepped together.  It knows no Gymnasium and no pygame."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

import numpy as np

from . import episodes, observation, placing, snapshots, validation
from .airframe import CONTROL_STEP, Airframe, Randomization
from .batch import Batch
from .control import CONTROL_MODES
from .disturbances import Wind
from .ground_truth import GroundTruth
from .metrics import late_steps
from .observation import MAX_NEIGHBOURS, Slice, observation_table
from .planner import Planner, assign
from .registration import resolve_task
from .reward import RewardWeights
from .sim import layout, step
from .tasks import RING_RADIUS, TASKS, Task
from .terms import ObservationTerm, RewardTerm
from .trajectories import Trajectory

MAX_DRONES = 4096


class StepResult(NamedTuple):
    """What a step gives: the simulator's own buffers, overwritten by the next step."""

    observations: np.ndarray  #: (S, N, D) float32
    rewards: np.ndarray  #: (S, N) float32
    crashed: np.ndarray  #: (S, N) bool, left the arena in this step
    truncated: np.ndarray  #: (S,) bool, the episode has lasted ``max_steps``


class Swarms(GroundTruth):
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
        control: what actions mean; see ``drone_formation.control``: "motor", one number per rotor,
            0 hovers; "body_rates", collective thrust and three body rates.
        disturbances: a ``Wind``; None for still air.
        substeps: Runge-Kutta steps per control step of 0.05 s.
        assignment: "fixed" (drone i flies to slot i) or "optimal" (least summed squared distance
            from where drones are: at the reset, after ``place`` and after ``set_targets``).
        neighbours: how many of the nearest drones are observed, 0 to 8.
        collision_distance: m, between centres, 0.01 to 100.
        reward: weights of the reward's terms, None for those of the task; for a mixed task also a
            mapping from the names of its tasks to weights, those not named having their own.
        reward_terms, observation_terms: of the user's own, besides those of the task.
        crash: what becomes of a drone that leaves the arena: "respawn" (put back at random) or
            "terminate" (gone until the reset).
        num_threads: threads that share the swarms.
        paced: in a race, whether every drone has a place on one common course through all rings,
            which moves and keeps clear of the others' places.  Its target is that place, as a slot
            is in a formation; without, it is the next ring.  Other tasks have none.
        points: (N, 3) slots for the task "formation", m; None draws random ones per episode.
        colours: (N, 3) uint8 colours of these slots.
        arena: (3,) half extents of the arena, m; None for as large as the formation needs.

    Raises:
        ValueError, TypeError: an argument is not allowed; the message names it.

    The ground-truth state is readable at any time, as fresh arrays in the world frame and SI units:
    ``position``, ``velocity``, ``attitude`` (quaternion w x y z, body to world), ``body_rates``
    (body frame), ``rotor_speeds``, ``target_position``, ``target_velocity``, each (S, N, ...).
    Drones that are gone read NaN.
    """

    # Twenty-one arguments: they are the keywords that every id and view shares.
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
        disturbances: Wind | None = None,
        substeps: int = 1,
        assignment: str = "fixed",
        neighbours: int = 4,
        collision_distance: float = 1.0,
        reward: RewardWeights | Mapping[str, RewardWeights] | None = None,
        reward_terms: Sequence[RewardTerm] = (),
        observation_terms: Sequence[ObservationTerm] = (),
        crash: str = "respawn",
        num_threads: int = 1,
        paced: bool = True,
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
        self.control = validation.choice("control", control, CONTROL_MODES)
        self.disturbances = validation.instance("disturbances", disturbances, Wind, None)
        self.substeps = validation.integer("substeps", substeps, 1)
        self.assignment = validation.choice("assignment", assignment, ("fixed", "optimal"))
        self.neighbours = validation.integer("neighbours", neighbours, 0, MAX_NEIGHBOURS)
        self.collision_distance = validation.positive("collision_distance", collision_distance)
        if not 0.01 <= self.collision_distance <= 100:
            raise ValueError(
                f"collision_distance must be from 0.01 to 100, got {collision_distance!r}"
            )
        self.crash = validation.choice("crash", crash, ("respawn", "terminate"))
        self.num_threads = validation.integer("num_threads", num_threads, 1)
        self.paced = validation.boolean("paced", paced) and self._task.races
        self._reward = _checked_reward("reward", reward)
        self.reward_terms = _checked_terms("reward_terms", reward_terms, RewardTerm, self._task)
        self.observation_terms = _checked_terms(
            "observation_terms", observation_terms, ObservationTerm, self._task
        )
        points, colours = self._own_formation(points, colours, num_drones)
        placing.check_flyable(self.airframe, self.randomization, self.substeps)
        self._planner = Planner(
            self._task, self.num_drones, self.collision_distance, assignment, points, colours, arena
        )
        self.arena: np.ndarray = self._planner.arena.copy()  #: half extents (3,), m
        self._build(secrets.randbits(63) if seed is None else seed)

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
        if not any(member.accepts_points for member in self._task.members):
            accept = ", ".join(repr(task.name) for task in TASKS.values() if task.accepts_points)
            raise ValueError(f"points are for the task {accept}, not {self.task!r}")
        points = validation.points("points", points)
        self.num_drones = validation.integer("the number of points", len(points), 1, MAX_DRONES)
        if num_drones is not None and num_drones != self.num_drones:
            raise ValueError(
                f"num_drones must be the number of points, {self.num_drones}, got {num_drones!r}"
            )
        if colours is not None:
            colours = validation.colours("colours", colours, len(points))
        return points, colours

    def _build(self, seed: int | Sequence[int]) -> None:
        """Make the arrays, once all arguments have been found sound."""
        S, N = self.num_swarms, self.num_drones
        wind = None if self.disturbances is None else np.array(self.disturbances.velocity)
        self._batch = batch = Batch(
            S, N, self.neighbours, self._planner.num_rings, self.num_threads, wind
        )
        self.tasks = [self.task] * S  #: name of each swarm's present task
        self.colours = np.zeros((S, N, 3), np.uint8)  #: (S, N, 3) RGB, of each drone's slot
        #: (S,) float64, of the latest step: over the drones of each swarm that flew in it
        self.mean_rewards = batch.mean_rewards
        #: (S, N, D) float32; the simulator's own buffer
        self.observations = batch.observations
        #: what a drone that crashed in the latest step observed before it was put back, (S, N, D)
        self.final_observations = batch.final_observations
        if self.observation_terms:
            size = self.observation_table[-1].start + self.observation_table[-1].size
            self.observations, self.final_observations = np.zeros((2, S, N, size), np.float32)
        self._term_returns = np.zeros((len(self.reward_terms), S, N))
        self._write_settings()
        self._seed(seed)

    @property
    def observation_table(self) -> tuple[Slice, ...]:
        """The slices of a drone's observation, in order."""
        return observation_table(
            self.neighbours, tuple(term.slice for term in self.observation_terms)
        )

    def _write_settings(self) -> None:
        settings = self._batch.settings
        settings["control_step"] = CONTROL_STEP
        settings["time_step"] = CONTROL_STEP / self.substeps
        settings["substeps"] = self.substeps
        settings["control"] = CONTROL_MODES.index(self.control)
        settings["arena"] = self.arena
        settings["arena_diagonal"] = np.linalg.norm(2 * self.arena)
        settings["collision_distance"] = self.collision_distance
        settings["respawns"] = self.crash == "respawn"
        settings["late_from"] = self.max_steps - late_steps(self.max_steps) + 1
        settings["max_steps"] = self.max_steps
        settings["ring_radius_squared"] = RING_RADIUS**2
        settings["offset_scales"] = observation.OFFSET_SCALES
        settings["velocity_scale"] = observation.VELOCITY_SCALE
        settings["rate_scale"] = observation.RATE_SCALE
        settings["neighbour_scale"] = observation.NEIGHBOUR_SCALE
        for swarm in range(self.num_swarms):
            self._write_weights(swarm)

    def _write_weights(self, swarm: int) -> None:
        """Put what a swarm's present task pays into its settings."""
        weights, task = self._reward, self._planner.member(self.tasks[swarm])
        if isinstance(weights, Mapping):
            weights = weights.get(task.name)
        self._batch.settings["weights"][swarm] = astuple(weights or task.reward)

    @property
    def reward_weights(self) -> RewardWeights | Mapping[str, RewardWeights]:
        """Weights of the reward's terms, by task where the tasks of a mixture differ.

        New ones may be set at any time and count at once; None stands for those of the task.
        """
        if self._reward is not None:
            return self._reward
        weights = {member.name: member.reward for member in self._task.members}
        first, *others = weights.values()
        return weights if any(other != first for other in others) else first

    @reward_weights.setter
    def reward_weights(self, weights: RewardWeights | Mapping[str, RewardWeights] | None) -> None:
        self._reward = _checked_reward("reward_weights", weights)
        for swarm in range(self.num_swarms):
            self._write_weights(swarm)

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
        for k in range(self.num_swarms) if which is None else which:
            self._begin(int(k))
        self._append_terms(self.observations)
        return self.observations

    def _begin(self, swarm: int) -> None:
        rng = self._generators[swarm]
        plan = self._planner.plan(rng)
        random_key = int(rng.integers(2**63))
        airframes = episodes.draw_airframes(self.airframe, self.randomization, self.num_drones, rng)
        self.tasks[swarm] = plan.task.name
        self._write_weights(swarm)
        self.colours[swarm] = plan.colours
        self._term_returns[:, swarm] = 0
        episodes.begin(self._batch, swarm, plan, airframes, random_key, self.paced)
        self._batch.begin(swarm, swarm + 1)

    # Eight arguments and self: a drone's state has five parts.
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

        What is None stays as it is, and so do targets, clocks and metrics; but a task of holding a
        place takes the new one for its target, and ``assignment="optimal"`` assigns the slots anew.
        Nothing is paid or counted for the way there.  Drones that are gone stay gone, and what is
        given for them is not looked at.

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
        self._check_started("place()")
        given = placing.Given(position, velocity, attitude, body_rates, rotor_speeds)
        extents = placing.check_arena(self.arena, arena)
        rows = placing.check(self._batch, given, airframes, extents, self.substeps)
        if arena is not None:
            self.arena = extents
            self._write_settings()
        placing.write(self._batch, rows)
        if position is not None:
            self._assign(range(self.num_swarms))
        return self._look_again(range(self.num_swarms))

    def set_targets(
        self,
        targets: Any,
        *,
        which: Sequence[int] | np.ndarray | None = None,
        colours: Any = None,
    ) -> np.ndarray:
        """Give the drones new targets, in the middle of an episode; nothing is paid for the change.

        Args:
            targets: places (N, 3) where to stay, m, or a ``Trajectory`` of N slots whose times
                count from now.  ``assignment="optimal"`` assigns its slots anew.
            which: indices of the swarms that get them; None for all.
            colours: (N, 3) uint8, of the slots; None for those there are.

        Returns:
            The observations (S, N, D), the simulator's own buffer.

        Raises:
            TypeError, ValueError: they are of another shape, not finite, outside the arena, or
                nearer to each other than 1.5 collision distances; then nothing has changed.
            RuntimeError: ``reset`` has not been called.
        """
        self._check_started("set_targets()")
        swarms = range(self.num_swarms) if which is None else [int(k) for k in which]
        if not isinstance(targets, Trajectory):
            targets = Trajectory.still(validation.points("targets", targets))
        self._planner.check_targets("targets", targets, self.arena)
        if colours is not None:
            colours = validation.colours("colours", colours, self.num_drones)
        for k in swarms:
            if self._batch.episodes["num_rings"][k]:
                raise ValueError(f"targets of a race are its rings: swarm {k} races")
        for k in swarms:
            self._batch.set_trajectory(k, targets, now=True)
            self._batch.episodes["holds"][k] = False
            if colours is not None:
                self.colours[k] = colours
        self._assign(swarms)
        return self._look_again(swarms)

    def _check_started(self, call: str) -> None:
        if not self._batch.episodes["started"].all():
            raise RuntimeError(f"call reset() before {call}")

    def _assign(self, swarms: Sequence[int]) -> None:
        """Give the slots to the drones anew, from where they are, where that is asked for."""
        if self.assignment != "optimal":
            return
        self._batch.begin(0, self.num_swarms)  # where the targets are now
        for k in swarms:
            episode = self._batch.episodes[k]
            if not (episode["num_rings"] or episode["holds"]):
                places = np.where(
                    self.active[k][:, None], self.position[k], self.target_position[k]
                )
                order = assign(places, self.target_position[k])
                self._batch.permute_targets(k, order)
                self.colours[k] = self.colours[k][order]

    def _look_again(self, swarms: Sequence[int]) -> np.ndarray:
        """Work out targets, distances, neighbours and observations after a change by hand."""
        table = self._batch.episodes
        table["visits"] = 0  # drones are no longer sorted
        unformed = table["last_unformed"].copy()
        for k in swarms:
            self._batch.begin(k, k + 1)
        # Right after a reset, that is the first entry; later, the metric goes on.
        formed = np.where(table["last_unformed"] < 0, unformed, table["step"])
        late = table["step"] > 0
        changed = np.zeros(self.num_swarms, bool)
        changed[list(swarms)] = True
        table["last_unformed"] = np.where(
            changed & late, formed, np.where(changed, table["last_unformed"], unformed)
        )
        self._append_terms(self.observations)
        return self.observations

    def step(self, actions: np.ndarray) -> StepResult:
        """Advance every swarm by one control step of 0.05 s.

        In the step of a crash all that is paid is of the place and time of the crash; in the step
        of a ring, of the ring that was passed.

        Args:
            actions: (S, N, 4) floats; those beyond [-1, 1] are clipped.

        Raises:
            TypeError: the actions are not an array of floats.
            ValueError: their shape is wrong, or one is NaN or infinite.
            RuntimeError: ``reset`` has not been called.
        """
        actions, batch = self._checked_actions(actions), self._batch
        if self.reward_terms or self.observation_terms:
            status = batch.run(actions, step.CHECK | step.FLY)
            if status == step.READY:
                self._pay_terms()
                self._append_terms(self.final_observations)
                batch.run(actions, step.SHOW)
                self.final_observations[..., : batch.observations.shape[2]] = (
                    batch.final_observations
                )
                self._append_terms(self.observations)
        else:
            status = batch.run(actions, step.CHECK | step.FLY | step.SHOW)
        if status == step.NOT_STARTED:
            raise RuntimeError("call reset() before step()")
        if status == step.NOT_FINITE:
            swarm, drone, number = np.argwhere(~np.isfinite(actions))[0]
            raise ValueError(
                f"actions must be finite, got {actions[swarm, drone, number]} for number {number} "
                f"of drone {drone} in swarm {swarm}"
            )
        return StepResult(self.observations, batch.rewards, batch.crashed, batch.truncated)

    def _checked_actions(self, actions: np.ndarray) -> np.ndarray:
        actions = np.asarray(actions)
        expected = (self.num_swarms, self.num_drones, 4)
        if actions.dtype.kind != "f":
            raise TypeError(f"actions must be floats, got dtype {actions.dtype}")
        if actions.shape != expected:
            raise ValueError(f"actions must have shape {expected}, got {actions.shape}")
        if actions.dtype.itemsize > 4:  # large ones would become infinite; a NaN stays one
            actions = np.where(np.isfinite(actions), np.clip(actions, -1, 1), actions)
        return np.ascontiguousarray(actions, np.float32)

    # ---- terms of the user's own ---------------------------------------------------------------

    def _pay_terms(self) -> None:
        """Add the user's terms to the rewards of this step, and to the return."""
        batch = self._batch
        if not self.reward_terms:
            return
        paid = np.stack([term.evaluate(self) for term in self.reward_terms])
        self._term_returns += paid
        total = paid.sum(axis=0)
        batch.rewards += total
        returns = batch.read(layout.EPISODE_RETURN)
        batch.write(layout.EPISODE_RETURN, returns + total[..., None])
        batch.mean_rewards += total.sum(axis=1) / np.maximum(self.active.sum(axis=1), 1)

    def _append_terms(self, rows: np.ndarray) -> None:
        """Complete observations by the user's slices; rows without any are complete."""
        if not self.observation_terms:
            return
        own = self._batch.observations.shape[2]
        if rows is self.observations:
            rows[..., :own] = self._batch.observations
        parts = [term.evaluate(self) for term in self.observation_terms]
        rows[..., own:] = np.concatenate(parts, axis=2)

    def metrics(self) -> dict[str, np.ndarray]:
        """Each swarm's metrics over its episode so far, arrays (S,): see ``metrics``.

        Of each reward term of the user's own, ``return_<name>`` is the mean over drones of its sum.
        """
        found = super().metrics()
        for term, total in zip(self.reward_terms, self._term_returns, strict=True):
            found[f"return_{term.name}"] = total.mean(axis=1)
        return found

    # ---- snapshots -----------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """An exact snapshot, randomness included: plain arrays, numbers and names."""
        return {
            **snapshots.take(self._batch),
            "colours": self.colours.copy(),
            "term_returns": self._term_returns.copy(),
            "tasks": list(self.tasks),
            "generators": [g.bit_generator.state for g in self._generators],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a snapshot of a simulator built with the same arguments.

        Raises:
            TypeError: it is not a snapshot.
            ValueError: it is of another shape of simulator, or not finite; then nothing has
                changed.
        """
        if not isinstance(state, dict):
            raise TypeError(f"state must be a dict from get_state, got {type(state).__name__}")
        snapshots.check(self._batch, state)
        snapshots.check_like("colours", self.colours, state.get("colours"))
        snapshots.check_like("term_returns", self._term_returns, state.get("term_returns"))
        for name in ("tasks", "generators"):
            if len(state.get(name, ())) != self.num_swarms:
                raise ValueError(
                    f"state does not fit this simulator: {name} must hold {self.num_swarms} entries"
                )
        snapshots.restore(self._batch, state)
        self.colours[...] = state["colours"]
        self._term_returns[...] = state["term_returns"]
        self.tasks = list(state["tasks"])
        for swarm in range(self.num_swarms):
            self._write_weights(swarm)
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            generator.bit_generator.state = saved
        self._append_terms(self.observations)


def _checked_reward(name: str, value: Any) -> RewardWeights | dict[str, RewardWeights] | None:
    """Weights, or those of some tasks by name, or None."""
    if isinstance(value, Mapping):
        checked = {}
        for key, weights in value.items():
            try:
                task = resolve_task(key)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            what = f"{name} of {key}"
            checked[task.name] = validation.instance(what, weights, RewardWeights, task.reward)
        return checked
    if value is not None and not isinstance(value, RewardWeights):
        raise TypeError(f"{name} must be RewardWeights, a mapping to them or None, got {value!r}")
    return value


def _checked_terms(name: str, given: Any, kind: type, task: Task) -> tuple[Any, ...]:
    """The task's terms and those given, of different names."""
    if isinstance(given, kind) or not isinstance(given, Sequence):
        raise TypeError(f"{name} must be a sequence of {kind.__name__}, got {given!r}")
    terms: list[Any] = []
    for member in dict.fromkeys((task, *task.members)):
        terms += [term for term in getattr(member, name) if term not in terms]
    terms += given
    for term in terms:
        if not isinstance(term, kind):
            raise TypeError(f"{name} must hold {kind.__name__}, got {term!r}")
    names = [term.name for term in terms]
    for one in names:
        if names.count(one) > 1:
            raise ValueError(f"{name}: two terms are named {one!r}")
    return tuple(terms)
