"""Snapshots, copies and memory: exact where promised, and nothing shared between steps."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import drone_formation

from .helpers import NAMES, VIEWS, Driver, arrays, assert_same, flights

S, N = 2, 4
OPTIONS = {"num_drones": N, "max_steps": 30}


views = pytest.mark.parametrize("view", ["parallel", "joint", "vector"])


@views
@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_set_state_resumes_to_the_bit(view: str, task: str, crash: str) -> None:
    driver = Driver(view, task, crash=crash, **OPTIONS)
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
    other = Driver(view, task, crash=crash, **OPTIONS)  # never reset
    other.env.set_state(pickle.loads(pickle.dumps(state)))
    assert_same([other.step(actions[t]) for t in range(25, 100)], expected)


@views
def test_a_foreign_state_is_refused(view: str) -> None:
    state = Driver(view, "flag", **{**OPTIONS, "num_drones": N + 1}).env.get_state()
    with pytest.raises(ValueError, match="state does not fit"):
        Driver(view, "flag", **OPTIONS).env.set_state(state)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_in_mid_episode(view: str, how: str) -> None:
    driver = Driver(view, "mixed", **OPTIONS)
    driver.reset(seed=3)
    actions = flights(80, S, N)
    for t in range(25):
        driver.step(actions[t])
    twin = copy.deepcopy(driver) if how == "deepcopy" else pickle.loads(pickle.dumps(driver))
    if view in ("parallel", "aec") and how == "pickle":  # EzPickle: made anew from the arguments
        with pytest.raises(RuntimeError, match=r"call reset\(\)"):
            twin.swarms.step(actions[0, :1])
        first = [one.reset()[0]["drone_0"] for one in (twin, driver)]
        assert not np.array_equal(*first)
        assert_same(twin.reset(seed=5), driver.reset(seed=5))
    for t in range(25, 80):
        assert_same(twin.step(actions[t]), driver.step(actions[t]))


def test_pickled_parallel_envs_never_share_a_random_stream() -> None:
    env = drone_formation.parallel_env("flag", num_drones=3, max_cycles=9)
    env.reset(seed=0)
    twins = [pickle.loads(pickle.dumps(env)) for _ in range(2)]
    starts = [twin.reset()[0]["drone_0"] for twin in twins]
    assert not np.array_equal(*starts)
    assert twins[0].swarms.max_steps == 9


@pytest.mark.parametrize("view", [*VIEWS, "SameStep"])
def test_steps_share_no_memory(view: str) -> None:
    if view == "SameStep":
        driver = Driver("vector", "flag", autoreset_mode="SameStep", **OPTIONS)
    else:
        driver = Driver(view, "flag", **OPTIONS)
    own = [v for v in vars(driver.swarms).values() if isinstance(v, np.ndarray)]
    returned = [arrays(driver.reset(seed=0))]
    before = [copy.deepcopy(returned[0])]
    for actions in flights(70, S, N):
        found = arrays(driver.step(actions))
        assert found
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
