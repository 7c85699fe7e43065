"""Threads and worker processes: no hang, no crash, the same numbers."""

from __future__ import annotations

import multiprocessing
import threading

import gymnasium as gym
import numpy as np
import pytest
import supersuit
import torch

import drone_formation
from drone_formation import Swarms
from drone_formation.observation import observation_size

OPTIONS = {"num_drones": 6, "max_steps": 20}


def flown(steps: int = 5, **options) -> np.ndarray:
    swarms = Swarms("flag", 4, 40, seed=1, **options)
    swarms.reset()
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 40, 4)).astype(np.float32)
    for _ in range(steps):
        swarms.step(actions)
    return swarms.position


def threaded() -> bool:
    return np.array_equal(flown(num_threads=2), flown())


def test_threads_beside_torch():
    torch.set_num_threads(2)
    for _ in range(3):
        torch.rand(200, 200) @ torch.rand(200, 200)
        assert threaded()


def test_several_callers_at_once():
    results = []
    callers = [threading.Thread(target=lambda: results.append(threaded())) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == [True] * 4


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_threads_in_worker_processes(method):
    assert threaded()  # this process has used its threads before it makes others
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.apply_async(threaded).get(120)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_gymnasium_async_vector_env(context):
    def make(index):
        return lambda: gym.make(
            "drone_formation:DroneFlag-v0", num_threads=2, disable_env_checker=True, **OPTIONS
        )

    envs = gym.vector.AsyncVectorEnv([make(0), make(1)], context=context)
    together = gym.make_vec("DroneFlag-v0", num_envs=2, **OPTIONS)
    first, _ = envs.reset(seed=3)
    second, _ = together.reset(seed=3)
    assert np.array_equal(first, second)
    actions = np.full((2, 6, 4), 0.1, np.float32)
    for _ in range(25):  # beyond the horizon
        one, two = envs.step(actions), together.step(actions)
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[3], two[3])
    envs.close()
    together.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_supersuit_with_processes():
    env = drone_formation.parallel_env("DroneFlag-v0", **OPTIONS)
    vec = supersuit.pettingzoo_env_to_vec_env_v1(env)
    vec = supersuit.concat_vec_envs_v1(vec, 2, num_cpus=2, base_class="stable_baselines3")
    assert vec.reset().shape == (12, observation_size())
    for _ in range(25):
        observations, *_ = vec.step(np.zeros((12, 4), np.float32))
    assert np.isfinite(observations).all()
    vec.close()


def test_sb3_subprocesses():
    from stable_baselines3.common.vec_env import SubprocVecEnv

    def make():
        return gym.wrappers.FlattenObservation(
            gym.make("drone_formation:DroneFlag-v0", num_threads=2, **OPTIONS)
        )

    vec = SubprocVecEnv([make, make], start_method="spawn")
    assert vec.reset().shape == (2, 6 * observation_size())
    observations, *_ = vec.step(np.zeros((2, 6, 4), np.float32))
    assert np.isfinite(observations).all()
    vec.close()
