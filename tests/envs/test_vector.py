"""What Gymnasium's own code does with the vector view."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers

import drone_formation
from drone_formation.observation import observation_size

from .helpers import IDS, flights

N = 4


@pytest.mark.parametrize("id", IDS)
def test_make_vec(id: str) -> None:
    envs = gymnasium.make_vec(id, num_envs=3, num_drones=N, max_episode_steps=8)
    assert envs.spec.id == id
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.swarms.max_steps == 8
    observations, infos = envs.reset(seed=0)
    assert infos == {}
    assert envs.observation_space.contains(observations)
    for t in range(20):
        observations, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(observations)
        assert rewards.dtype == np.float64
        assert rewards.shape == terminated.shape == truncated.shape == (3,)
        assert truncated.all() == (t % 9 == 7)  # the ninth step resets
        assert rewards.any() == (t % 9 != 8)
        if truncated.any():
            assert infos["swarm_metrics"]["_perf"].all()
    envs.close()
    envs.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_autoreset_modes_by_name_and_member(mode: AutoresetMode) -> None:
    for given in (mode, mode.value):
        envs = gymnasium.make_vec("DroneFlag-v0", num_envs=2, num_drones=N, autoreset_mode=given)
        assert envs.metadata["autoreset_mode"] is mode


def test_sync_vectorization_is_the_same() -> None:
    keywords = {"num_envs": 2, "num_drones": N, "max_steps": 9}
    one = gymnasium.make_vec("DroneFlag-v0", **keywords)
    two = gymnasium.make_vec("DroneFlag-v0", vectorization_mode="sync", **keywords)
    assert np.array_equal(one.reset(seed=3)[0], two.reset(seed=3)[0])
    for actions in flights(30, 2, N):
        for a, b in zip(one.step(actions)[:4], two.step(actions)[:4], strict=True):
            assert np.array_equal(a, b)


def test_wrappers() -> None:
    envs = gymnasium.make_vec("DroneFlag-v0", num_envs=3, num_drones=N, max_steps=10)
    envs = wrappers.RecordEpisodeStatistics(envs)
    envs = wrappers.NormalizeObservation(wrappers.FlattenObservation(envs))
    envs = wrappers.NormalizeReward(envs)
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (3, N * observation_size())
    episodes = []
    for _ in range(35):
        observations, *_, infos = envs.step(envs.action_space.sample())
        assert np.isfinite(observations).all()
        if "episode" in infos:
            episodes.append(infos["episode"])
    assert len(episodes) == 3
    assert all((episode["l"] == 10).all() for episode in episodes)


def test_terminates_when_no_drone_is_left() -> None:
    envs = drone_formation.VectorEnv(
        "flag", 2, num_drones=N, crash="terminate", autoreset_mode="Disabled"
    )
    envs.reset(seed=0)
    actions = np.zeros((2, N, 4), np.float32)
    actions[1] = 1
    terminated = np.zeros(2, bool)
    while not terminated.any():
        _, rewards, terminated, truncated, _ = envs.step(actions)
    assert terminated.tolist() == [False, True]
    assert not truncated.any()
    assert rewards[1] < -1  # the mean is over those that flew, the crash included


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_observations_are_the_callers_own(mode: str) -> None:
    """Kept, they stay as they were; written into, they spoil nothing that comes later."""
    options = {"num_drones": 5, "max_steps": 7, "autoreset_mode": mode}
    envs, careful = (drone_formation.VectorEnv("flag", 3, **options) for _ in range(2))
    spoilt, _ = envs.reset(seed=0)
    careful.reset(seed=0)
    kept, copies = [], []
    for step in range(25):
        spoilt[:] = np.nan
        actions = np.full((3, 5, 4), 0.1 * np.sin(step), np.float32)
        spoilt, _, _, truncated, _ = envs.step(actions)
        seen = careful.step(actions)[0]
        assert np.array_equal(spoilt, seen)
        if mode == "Disabled" and truncated.any():
            spoilt[:] = np.nan
            mask = {"reset_mask": truncated}
            spoilt, seen = envs.reset(options=mask)[0], careful.reset(options=mask)[0]
            assert np.array_equal(spoilt, seen)
        kept.append(seen)
        copies.append(seen.copy())
    assert np.array_equal(kept, copies)
