"""Snapshots, copies and memory: exact where promised, and nothing shared between steps."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import drone_formation

from .helpers import NAMES, assert_same, flights

S, N = 2, 4
OPTIONS = {"num_drones": N, "max_steps": 30}


class Driver:
    """One way to step each view: a row of ``flights(steps, S, N)`` in, all that comes out."""

    def __init__(self, view: str, task: str, **options: Any) -> None:
        self.view = view
        options = {**OPTIONS, **options}
        if view == "parallel":
            self.env: Any = drone_formation.parallel_env(task, **options)
        elif view == "joint":
            self.env = drone_formation.JointEnv(task, **options)
        else:
            self.env = drone_formation.VectorEnv(task, S, **options)

    def step(self, actions: np.ndarray) -> tuple:
        if self.view == "vector":
            return self.env.step(actions)
        if self.view == "joint":
            result = self.env.step(actions[0])
            if result[2] or result[3]:
                result = (*result, self.env.reset())
            return result
        if not self.env.agents:
            return self.env.reset()
        live = dict(zip(self.env.possible_agents, actions[0], strict=True))
        return self.env.step({agent: live[agent] for agent in self.env.agents})


views = pytest.mark.parametrize("view", ["parallel", "joint", "vector"])


@views
@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_set_state_resumes_to_the_bit(view: str, task: str, crash: str) -> None:
    driver = Driver(view, task, crash=crash)
    driver.env.reset(seed=3)
    actions = flights(120, S, N)
    for t in range(25):
        driver.step(actions[t])
    state = driver.env.get_state()
    kept = copy.deepcopy(state)
    expected = [driver.step(actions[t]) for t in range(25, 100)]  # through ends of episodes
    assert_same(state, kept)  # the snapshot is a copy

    driver.env.set_state(state)
    assert_same([driver.step(actions[t]) for t in range(25, 100)], expected)
    other = Driver(view, task, crash=crash)  # never reset
    other.env.set_state(pickle.loads(pickle.dumps(state)))
    assert_same([other.step(actions[t]) for t in range(25, 100)], expected)


@views
def test_a_foreign_state_is_refused(view: str) -> None:
    state = Driver(view, "flag", num_drones=N + 1).env.get_state()
    with pytest.raises(ValueError, match="state does not fit"):
        Driver(view, "flag").env.set_state(state)


@views
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_in_mid_episode(view: str, how: str) -> None:
    driver = Driver(view, "swarm")
    driver.env.reset(seed=3)
    actions = flights(80, S, N)
    for t in range(25):
        driver.step(actions[t])
    twin = copy.deepcopy(driver) if how == "deepcopy" else pickle.loads(pickle.dumps(driver))
    if (view, how) == ("parallel", "pickle"):  # EzPickle: made anew from the arguments
        assert twin.env.agents == []
        assert not np.array_equal(twin.env.reset()[0]["drone_0"], driver.env.reset()[0]["drone_0"])
        assert_same(twin.env.reset(seed=5), driver.env.reset(seed=5))
    for t in range(25, 80):
        assert_same(twin.step(actions[t]), driver.step(actions[t]))


def test_pickled_parallel_envs_never_share_a_random_stream() -> None:
    env = drone_formation.parallel_env("flag", num_drones=3, max_cycles=9)
    env.reset(seed=0)
    twins = [pickle.loads(pickle.dumps(env)) for _ in range(2)]
    starts = [twin.reset()[0]["drone_0"] for twin in twins]
    assert not np.array_equal(*starts)
    assert twins[0].swarms.max_steps == 9


def arrays(value: Any) -> list[np.ndarray]:
    """All arrays in what a step returned."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, np.ndarray)):
        return [array for item in value for array in arrays(item)]
    return []


@pytest.mark.parametrize("view", ["parallel", "joint", "vector", "SameStep", "rows"])
def test_steps_share_no_memory(view: str) -> None:
    step: Callable[[np.ndarray], Any]
    if view == "rows":
        env = pytest.importorskip("drone_formation.envs.sb3").DroneVecEnv("flag", S, **OPTIONS)
        step = lambda actions: env.step(actions.reshape(-1, 4))  # noqa: E731
    elif view == "SameStep":
        driver = Driver("vector", "flag", autoreset_mode="SameStep")
        env, step = driver.env, driver.step
    else:
        driver = Driver(view, "flag")
        env, step = driver.env, driver.step
    own = [v for v in vars(env.swarms).values() if isinstance(v, np.ndarray)]
    returned = [arrays(env.reset())]
    before = [copy.deepcopy(returned[0])]
    for actions in flights(70, S, N):
        result = step(actions)
        found = arrays(result)
        assert not any(np.shares_memory(a, b) for a in found for b in own)
        assert not any(np.shares_memory(a, b) for a in found for b in returned[-1])
        returned.append(found)
        before.append(copy.deepcopy(found))
    assert_same(returned, before)  # nothing returned was written to afterwards


def test_zero_copy_must_be_asked_for() -> None:
    env = drone_formation.VectorEnv("flag", S, copy=False, **OPTIONS)
    other = drone_formation.VectorEnv("flag", S, **OPTIONS)
    assert_same(env.reset(seed=1), other.reset(seed=1))
    for actions in flights(70, S, N):
        result = env.step(actions)
        assert np.shares_memory(result[0], env.swarms.observations)
        assert_same(result, other.step(actions))
