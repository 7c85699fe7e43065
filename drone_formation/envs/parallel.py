"""PettingZoo: every drone is an agent."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pettingzoo
from gymnasium.spaces import Box
from gymnasium.utils import EzPickle
from pettingzoo.utils import parallel_to_aec

from .. import validation
from ..airframe import PARAMETERS
from ..swarms import StepResult
from ..tasks import TASKS, Task
from ._common import (
    METADATA,
    action_box,
    build_swarms,
    known_options,
    observation_box,
    swarm_metrics,
    take_alias,
)
from ._rendering import Painter

#: One drone's part of the global state: name, size, unit in which it is measured.
STATE = (
    ("position", 3, "arena half extents"),
    ("velocity", 3, "50 m/s"),
    ("attitude", 4, "quaternion w x y z, body to world"),
    ("body_rates", 3, "50 rad/s"),
    ("rotor_speeds", 4, "the drone's own top rotor speed"),
    ("target_position", 3, "arena half extents"),
    ("target_velocity", 3, "50 m/s"),
)
STATE_SIZE = sum(size for _, size, _ in STATE)

_METADATA = {**METADATA, "name": "drone_formation_v0", "is_parallelizable": True}


class ParallelEnv(pettingzoo.ParallelEnv, EzPickle):
    """One swarm; agents ``drone_0`` ... ``drone_{N-1}`` act at once.

    Observations (D,) and actions (4,) are float32 in [-1, 1], the same space for every agent.
    Dictionaries are keyed by exactly the agents that acted.

    With ``crash="respawn"`` the team never changes: a drone that leaves the arena pays for it in
    its reward and is put back, ``infos[agent]["crashed"]`` is True in that step, and
    ``infos[agent]["final_obs"]`` is what it saw before.  With ``crash="terminate"`` it
    terminates, with that observation, and leaves ``agents``.

    At the horizon every truncation is True, so is ``infos[agent]["TimeLimit.truncated"]`` (of
    the drones that did not terminate in that step) for trainers that bootstrap, and ``agents`` is
    empty.  On the last step of an episode ``infos[agent]["swarm_metrics"]`` has the episode's
    metrics (see ``Swarms.metrics``) and ``"task"``, the same for every agent.

    ``pickle`` re-creates the environment from its arguments (``EzPickle``), so that copies made by
    vectorisers never share a random stream; ``copy.deepcopy`` and ``get_state`` are exact.

    Args:
        task: an id ("DroneFlag-v0"), a task's name ("flag"), or a ``Task``.
        render_mode: "rgb_array", "human" or None.
        max_cycles: PettingZoo's word for ``max_steps``.
        **swarm_options: further keywords of ``drone_formation.Swarms``; seeds go to ``reset``.

    Attributes:
        swarms: the simulator, for the ground-truth state (arrays shaped (1, N, ...)).
    """

    metadata = _METADATA

    def __init__(
        self,
        task: str | Task = "flag",
        *,
        render_mode: str | None = None,
        max_cycles: int | None = None,
        **swarm_options: Any,
    ) -> None:
        EzPickle.__init__(
            self, task, render_mode=render_mode, max_cycles=max_cycles, **swarm_options
        )
        self._options = take_alias({**swarm_options, "max_cycles": max_cycles}, "max_cycles")
        self.swarms = build_swarms(task, 1, self._options)
        self._max_cycles = self.swarms.max_steps
        self.render_mode = render_mode
        self._painter = Painter(render_mode)
        row = TASKS[self.swarms.task]
        self.metadata = {**_METADATA, "name": f"drone_{row.name}_v{row.version}"}
        count = self.swarms.num_drones
        self.possible_agents = [f"drone_{i}" for i in range(count)]
        self.agents: list[str] = []
        self._live = np.arange(count)  # indices of the agents
        self._begun = False
        self._observation_space = observation_box(self.swarms)
        self._action_space = action_box(self.swarms)
        self.state_space = Box(-1.0, 1.0, (count * STATE_SIZE,), np.float32)

    def observation_space(self, agent: str) -> Box:
        """(D,) float32 in [-1, 1]: one space, shared by all agents."""
        return self._observation_space

    def action_space(self, agent: str) -> Box:
        """(4,) float32 in [-1, 1], one number per rotor: one space, shared by all agents."""
        return self._action_space

    @property
    def max_cycles(self) -> int:
        """Steps per episode; a new value holds from the next reset on."""
        return self._max_cycles

    @max_cycles.setter
    def max_cycles(self, value: int) -> None:
        self._max_cycles = validation.integer("max_cycles", value, 1)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Begin an episode.

        Args:
            seed: makes everything that follows reproducible; None goes on with the present stream.
            options: none are known; ``{"options": 1}``, as PettingZoo's tests pass it, is ignored.

        Raises:
            ValueError: there is another option; the message names it.
        """
        known_options(options, "options")
        if self._max_cycles != self.swarms.max_steps:
            state = self.swarms.get_state()
            self._options["max_steps"] = self._max_cycles
            self.swarms = build_swarms(self.swarms.task, 1, self._options)
            self.swarms.set_state(state)
        observations = self.swarms.reset(seed)[0].copy()
        self._begun = True
        self.agents = self.possible_agents[:]
        self._live = np.arange(len(self.agents))
        if self.render_mode == "human":
            self.render()
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        return dict(zip(self.agents, observations, strict=True)), infos

    def step(
        self, actions: dict[str, np.ndarray]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Advance by one control step of 0.05 s.

        Args:
            actions: an array (4,) of floats for exactly the agents in ``agents``; values beyond
                [-1, 1] are clipped.

        Returns:
            Observations, rewards, terminations, truncations, infos.  The observations are rows of
            one fresh array.

        Raises:
            ValueError: an agent is missing or unknown, or its action has a wrong shape or is not
                finite; the message names it.
            TypeError: the actions are not a dict of floats.
            RuntimeError: there is no episode, or it is over.
        """
        agents, live = self.agents, self._live
        if not agents:
            raise RuntimeError("there are no agents: call reset() to begin an episode")
        result = self._advance(self._gather(actions))
        # Indexing with the live ones copies; so does `copy` where all are.
        whole = len(live) == self.swarms.num_drones
        observations = result.observations[0].copy() if whole else result.observations[0, live]
        rewards = result.rewards[0] if whole else result.rewards[0, live]
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in agents}
        terminations = dict.fromkeys(agents, False)
        over = bool(result.truncated[0])

        if np.count_nonzero(result.crashed):  # several times faster than any()
            self._report_crashes(result.crashed[0], terminations, infos)
        if over:
            for agent, info in infos.items():
                info["TimeLimit.truncated"] = not terminations[agent]
        outcome = (
            dict(zip(agents, observations, strict=True)),
            dict(zip(agents, rewards.tolist(), strict=True)),
            terminations,
            dict.fromkeys(agents, over),
            infos,
        )
        if over:
            self.agents = []
        if not self.agents:
            metrics = swarm_metrics(self.swarms, [0])[0]
            for info in infos.values():
                info["swarm_metrics"] = dict(metrics)
        if self.render_mode == "human":
            self.render()
        return outcome

    def _advance(self, actions: np.ndarray) -> StepResult:
        """Step with the agents' actions; drones that are gone take part with zeros."""
        if len(actions) < self.swarms.num_drones:
            some = actions
            actions = np.zeros((self.swarms.num_drones, some.shape[1]), some.dtype)
            actions[self._live] = some
        try:
            return self.swarms.step(actions[None])
        except ValueError:
            self._refuse(actions)
            raise

    def _report_crashes(
        self,
        crashed: np.ndarray,
        terminations: dict[str, bool],
        infos: dict[str, dict[str, Any]],
    ) -> None:
        gone = self.swarms.crash == "terminate"
        for i in np.flatnonzero(crashed):
            agent = self.possible_agents[i]
            infos[agent]["crashed"] = True
            if gone:
                terminations[agent] = True
            else:
                infos[agent]["final_obs"] = self.swarms.final_observations[0, i].copy()
        if gone:
            self._live = self._live[~crashed[self._live]]
            self.agents = [self.possible_agents[i] for i in self._live]

    def _gather(self, actions: dict[str, np.ndarray]) -> np.ndarray:
        """The agents' actions as one array, in order."""
        agents, shape = self.agents, self._action_space.shape
        if not isinstance(actions, dict):
            raise TypeError(f"actions must be a dict, got {type(actions).__name__}")
        if list(actions) == agents:
            values = list(actions.values())
        else:
            missing = [agent for agent in agents if agent not in actions]
            if missing:
                raise ValueError(f"actions: no action for {missing[0]}")
            if len(actions) != len(agents):
                unknown = next(agent for agent in actions if agent not in set(agents))
                raise ValueError(f"actions: {unknown!r} is not one of the agents")
            values = [actions[agent] for agent in agents]
        try:
            array = np.array(values)  # faster than np.stack, and it checks the shapes
        except ValueError:
            array = None
        if array is None or array.dtype.kind != "f" or array.shape != (len(agents), *shape):
            array = np.array([self._action(*item) for item in zip(agents, values, strict=True)])
        return array

    def _refuse(self, array: np.ndarray) -> None:
        """Name the agent whose actions, of all (N, 4), are not finite."""
        for agent, action in zip(self.possible_agents, array, strict=True):
            if not np.isfinite(action).all():
                raise ValueError(f"actions: {agent}'s must be finite, got {action.tolist()}")

    def _action(self, agent: str, value: Any) -> np.ndarray:
        """One agent's action, found acceptable."""
        try:
            value = np.asarray(value)
        except ValueError:
            value = np.asarray(value, object)
        if value.dtype.kind != "f":
            raise TypeError(f"actions: {agent}'s must be floats, got dtype {value.dtype}")
        shape = self._action_space.shape
        if value.shape != shape:
            raise ValueError(f"actions: {agent}'s must have shape {shape}, got {value.shape}")
        return value

    def state(self) -> np.ndarray:
        """The global state, (N·23,) float32 in [-1, 1]: for each drone, the parts of ``STATE`` in
        the world frame; of a drone that is gone, all are zero but its target's.
        """
        if not self._begun:
            raise RuntimeError("call reset() before state()")
        swarms = self.swarms
        top = swarms.airframes[0, :, PARAMETERS.index("max_rotor_speed"), None]
        own = (
            swarms.position[0] / swarms.arena,
            swarms.velocity[0] / 50,
            swarms.attitude[0],
            swarms.body_rates[0] / 50,
            swarms.rotor_speeds[0] / top,
        )
        flying = np.where(swarms.active[0, :, None], np.concatenate(own, axis=1), 0)
        targets = swarms.target_position[0] / swarms.arena, swarms.target_velocity[0] / 50
        state = np.nan_to_num(np.concatenate((flying, *targets), axis=1))
        return state.clip(-1, 1).astype(np.float32).reshape(-1)

    def get_state(self) -> dict[str, Any]:
        """An exact snapshot of the episode, randomness included."""
        return {
            "swarms": self.swarms.get_state(),
            "live": self._live.copy(),
            "agents": list(self.agents),
            "begun": self._begun,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a snapshot of an environment made with the same arguments."""
        self.swarms.set_state(state["swarms"])
        self._live = state["live"].copy()
        self.agents = list(state["agents"])
        self._begun = state["begun"]

    def __deepcopy__(self, memo: dict[int, Any]) -> ParallelEnv:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def render(self) -> np.ndarray | None:
        """A picture (H, W, 3) uint8 in "rgb_array"; a window and None in "human"."""
        return self._painter.draw(self.swarms)

    def close(self) -> None:
        """Close the window, if one is open."""
        self._painter.close()


def parallel_env(task: str | Task = "flag", **keywords: Any) -> ParallelEnv:
    """A PettingZoo parallel environment; see ``ParallelEnv`` for the keywords."""
    return ParallelEnv(task, **keywords)


def aec_env(task: str | Task = "flag", **keywords: Any) -> pettingzoo.AECEnv:
    """The same as PettingZoo's agent-by-agent environment: the swarm moves when all have acted."""
    return parallel_to_aec(ParallelEnv(task, **keywords))
