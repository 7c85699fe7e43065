"""What the tests of the views share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import drone_formation
from drone_formation.tasks import TASKS

NAMES = list(TASKS)
IDS = [task.id for task in TASKS.values()]


def flights(steps: int, *batch: int, seed: int = 0) -> np.ndarray:
    """Random actions (steps, *batch, 4), some beyond [-1, 1]; drone 0 climbs until it crashes."""
    actions = np.random.default_rng(seed).uniform(-1.3, 1.3, (steps, *batch, 4))
    actions[..., 0, :] = 1.0
    return actions.astype(np.float32)


def rows_env(*args: Any, **keywords: Any) -> Any:
    """A ``DroneVecEnv``; a skip where Stable-Baselines3 is not installed."""
    pytest.importorskip("stable_baselines3")
    return drone_formation.DroneVecEnv(*args, **keywords)


def assert_same(one: Any, other: Any, path: str = "value") -> None:
    """Equal to the bit, dtypes and keys included; NaN equals NaN."""
    if isinstance(one, dict):
        assert isinstance(other, dict), path
        assert set(one) == set(other), f"{path}: {sorted(one)} against {sorted(other)}"
        for key in one:
            assert_same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{path}[{i}]")
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert other.dtype == object, path
        assert_same(list(one), list(other), path)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, f"{path}: {one.dtype} against {other.dtype}"
        np.testing.assert_array_equal(one, other, err_msg=path)
    elif isinstance(one, float) and np.isnan(one):
        assert np.isnan(other), path
    else:
        assert type(one) is type(other), f"{path}: {one!r} against {other!r}"
        assert one == other, f"{path}: {one!r} against {other!r}"


def arrays(value: Any) -> list[np.ndarray]:
    """All arrays in what a step returned."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, np.ndarray)):
        return [array for item in value for array in arrays(item)]
    return []


VIEWS = ["parallel", "aec", "joint", "vector", "rows"]


class Driver:
    """One way to use every view: S swarms of N drones where it has several, else one.

    Args:
        view: one of ``VIEWS``.
        task: a task's name.
        **options: of the view; ``num_swarms`` (2) for those that have several.
    """

    def __init__(self, view: str, task: str, *, num_swarms: int = 2, **options: Any) -> None:
        self.view = view
        self.env: Any
        if view == "parallel":
            self.env = drone_formation.parallel_env(task, **options)
        elif view == "aec":
            self.env = drone_formation.aec_env(task, **options)
        elif view == "joint":
            self.env = drone_formation.JointEnv(task, **options)
        elif view == "vector":
            self.env = drone_formation.VectorEnv(task, num_swarms, **options)
        else:
            self.env = rows_env(task, num_swarms, **options)

    @property
    def swarms(self) -> Any:
        """The simulator."""
        return self.env.unwrapped.swarms

    def reset(self, seed: int | None = None) -> Any:
        """Begin episodes; all that comes out."""
        if self.view == "rows":
            if seed is not None:
                self.env.seed(seed)
            return self.env.reset(), self.env.reset_infos
        if self.view == "aec":
            self.env.reset(seed=seed)
            return self._look()
        return self.env.reset(seed=seed)

    def step(self, actions: np.ndarray) -> Any:
        """Take actions (S, N, 4), and begin anew where an episode is over; all that comes out."""
        if self.view == "vector":
            return self.env.step(actions)
        if self.view == "rows":
            seen, rewards, dones, infos = self.env.step(actions.reshape(-1, 4))
            for info in infos:  # the wall clock is no part of what is compared
                info.get("episode", {}).pop("t", None)
            return seen, rewards, dones, infos
        if self.view == "joint":
            result = self.env.step(actions[0])
            if result[2] or result[3]:
                result = (*result, self.env.reset())
            return result
        if not self.env.agents:
            return self.reset()
        one_each = dict(zip(self.env.possible_agents, actions[0], strict=True))
        if self.view == "parallel":
            return self.env.step({agent: one_each[agent] for agent in self.env.agents})
        # Agent by agent; those that are gone take their leave with a step of None.
        waiting = [agent for agent in self.env.agents if not self._is_over(agent)]
        while waiting and self.env.agents:
            agent = self.env.agent_selection
            if self._is_over(agent):
                self.env.step(None)
            else:
                waiting.remove(agent)
                self.env.step(one_each[agent])
        result = self._look()
        while self.env.agents and self._is_over(self.env.agent_selection):
            self.env.step(None)
        return result

    def _is_over(self, agent: str) -> bool:
        return bool(self.env.terminations[agent] or self.env.truncations[agent])

    def _look(self) -> tuple:
        env, agents = self.env, list(self.env.agents)
        seen = {agent: env.observe(agent) for agent in agents}
        parts = (env.rewards, env.terminations, env.truncations, env.infos)
        return seen, *({agent: part[agent] for agent in agents} for part in parts)
