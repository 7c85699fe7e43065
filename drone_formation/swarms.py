"""The simulator: a batch of swarms stepped together.  It knows no Gymnasium and no pygame."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

import numpy as np

from . import arguments, episodes, observation, placing, snapshots, validation
from .airframe import CONTROL_STEP, Airframe, Randomization
from .batch import Batch
from .by_hand import ByHand
from .control import CONTROL_MODES
from .disturbances import Disturbances
from .metrics import late_steps
from .observation import MAX_NEIGHBOURS, Slice, observation_table
from .planner import Planner
from .registration import resolve_task
from .reward import RewardWeights
from .sim import layout, step
from .tasks import RING_RADIUS, Task
from .terms import ObservationTerm, RewardTerm


class StepResult(NamedTuple):
    """What a step gives: the simulator's own buffers, overwritten by the next step."""

    observations: np.ndarray  #: (S, N, D) float32
    rewards: np.ndarray  #: (S, N) float32
    crashed: np.ndarray  #: (S, N) bool, left the arena in this step
    truncated: np.ndarray  #: (S,) bool, the episode has lasted ``max_steps``


class Swarms(ByHand):
    """``num_swarms`` swarms of ``num_drones`` drones each, in one task.

    Swarm k's random stream depends on its own seed alone, so its numbers are bitwise the same
    however many swarms are stepped beside it and on however many threads.

    Args:
        task: a name, "flag", an id, "DroneFlag-v0", "package.module:attribute" or a ``Task``.
        num_swarms: S.
        num_drones: N, 1 to 4,096; None for 64, or for the number of ``points``.
        seed: an integer s (swarm k gets s + k), a sequence of S integers, or None (unpredictable).
        max_steps: control steps per episode.
        airframe: the drones' physical parameters; None for those of ``Airframe()``.
        randomization: how they vary from drone to drone; None for not at all.
        control: what actions mean; see ``drone_formation.control``: "motor", one number per rotor,
            0 hovers; "body_rates", collective thrust and three body rates.
        disturbances: what acts on the drones besides themselves, such as wind; None for nothing.
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

    # Arguments: they are the keywords that every id and view shares.
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
        disturbances: Disturbances | None = None,
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
        self.disturbances = validation.instance(
            "disturbances", disturbances, Disturbances, Disturbances()
        )
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
        self._reward = arguments.reward("reward", reward)
        self.reward_terms = arguments.terms("reward_terms", reward_terms, RewardTerm, self._task)
        self.observation_terms = arguments.terms(
            "observation_terms", observation_terms, ObservationTerm, self._task
        )
        points, colours, self.num_drones = arguments.formation(
            self._task, points, colours, num_drones
        )
        placing.check_flyable(self.airframe, self.randomization, self.substeps)
        self._planner = Planner(
            self._task, self.num_drones, self.collision_distance, assignment, points, colours, arena
        )
        self.arena: np.ndarray = self._planner.arena.copy()  #: half extents (3,), m
        self._build(secrets.randbits(63) if seed is None else seed)

    # ---- construction --------------------------------------------------------------------------

    def _build(self, seed: int | Sequence[int]) -> None:
        """Make the arrays, once all arguments have been found sound."""
        S, N = self.num_swarms, self.num_drones
        self._batch = batch = Batch(
            S,
            N,
            self.neighbours,
            self._planner.num_rings,
            self.num_threads,
            self.disturbances,
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
        self._generators = [np.random.default_rng(s) for s in arguments.seeds(seed, S)]

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
        self._reward = arguments.reward("reward_weights", weights)
        for swarm in range(self.num_swarms):
            self._write_weights(swarm)

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
            self._generators = [
                np.random.default_rng(s) for s in arguments.seeds(seed, self.num_swarms)
            ]
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
        actions = arguments.actions(actions, (self.num_swarms, self.num_drones, 4))
        batch = self._batch
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
