"""Rows for Stable-Baselines3: what is an end, what is bootstrapped, what is logged."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecMonitor,
    VecNormalize,
)

import drone_formation
from drone_formation.envs.sb3 import DroneVecEnv
from drone_formation.observation import observation_size

from .helpers import assert_same, flights

S, N = 4, 3
OPTIONS = {"num_drones": N, "max_steps": 32}


def still(env: DroneVecEnv, *climbers: int) -> np.ndarray:
    actions = np.zeros((env.num_envs, 4), np.float32)
    actions[list(climbers)] = 1
    return actions


def test_spaces() -> None:
    env = DroneVecEnv("DroneFlag-v0", S, **OPTIONS)
    assert env.num_envs == S * N
    assert env.observation_space.shape == (observation_size(),)
    assert env.action_space.shape == (4,)
    assert env.reset().shape == (S * N, observation_size())


def test_ends() -> None:
    """Returns and lengths are counted per drone; a crash is a terminal, the horizon is not."""
    env = DroneVecEnv("flag", S, seed=0, **OPTIONS)
    env.reset()
    returns, lengths, crashes = np.zeros(S * N), np.zeros(S * N, int), 0
    for t in range(1, 97):
        _, rewards, dones, infos = env.step(still(env, 1, 7))
        returns, lengths = returns + rewards, lengths + 1
        horizon = t % 32 == 0
        for row in range(S * N):
            info = infos[row]
            if not dones[row]:
                assert info == {}
                continue
            assert info["terminal_observation"].shape == (observation_size(),)
            assert horizon or info["crashed"]
            assert info["TimeLimit.truncated"] is not info["crashed"]
            assert info["episode"]["r"] == pytest.approx(returns[row], abs=1e-5)
            assert info["episode"]["l"] == lengths[row]
            assert info["episode"]["t"] >= 0
            assert ("swarm_metrics" in info) == (horizon and row % N == 0)
            crashes += info["crashed"]
        assert dones.all() == horizon
        returns[dones], lengths[dones] = 0, 0
        if horizon:
            assert infos[N]["swarm_metrics"]["task"] == "flag"
            assert infos[N]["swarm_metrics"]["length"] == 32.0
    assert crashes > 0


def test_a_crash_in_the_last_step_is_a_terminal() -> None:
    env = DroneVecEnv("flag", 1, num_drones=N, seed=0)
    env.reset()
    dones = np.zeros(N, bool)
    while not dones.any():
        _, _, dones, infos = env.step(still(env, 1))
    steps = int(env.swarms.steps[0])
    seen = infos[1]["terminal_observation"]
    env = DroneVecEnv("flag", 1, num_drones=N, seed=0, max_steps=steps)
    env.reset()
    for _ in range(steps):
        _, _, dones, infos = env.step(still(env, 1))
    assert dones.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [True, False, True]
    assert_same(infos[1]["terminal_observation"], seen)


def test_infos_are_the_callers_own() -> None:
    env = DroneVecEnv("flag", S, seed=0, **OPTIONS)
    env.reset()
    last: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    for _ in range(70):
        _, _, dones, infos = env.step(still(env, 1))
        assert len({id(info) for info in infos}) == len(infos)
        assert all(bool(info) == done for info, done in zip(infos, dones, strict=True))
        assert_same(last, kept)  # what was returned is not written to any more
        last, kept = infos, copy.deepcopy(infos)
    infos[0]["mine"] = 1  # a careless wrapper
    _, _, _, infos = env.step(still(env))
    assert not any("mine" in info for info in infos)


def test_staggered_first_episodes() -> None:
    env = DroneVecEnv("flag", S, seed=0, stagger=True, **OPTIONS)
    for _ in range(2):  # a reset begins anew
        env.reset()
        ends: dict[int, list[int]] = {k: [] for k in range(S)}
        reports: dict[int, list[int]] = {k: [] for k in range(S)}
        for t in range(1, 81):
            _, _, dones, infos = env.step(still(env))
            for k in np.flatnonzero(dones.reshape(S, N).all(axis=1)):
                ends[k].append(t)
                assert all(infos[k * N + i]["TimeLimit.truncated"] for i in range(N))
                if "swarm_metrics" in infos[k * N]:
                    reports[k].append(t)
                    assert infos[k * N]["swarm_metrics"]["length"] == 32
        assert ends == {0: [8, 40, 72], 1: [16, 48, 80], 2: [24, 56], 3: [32, 64]}
        assert reports == {0: [40, 72], 1: [48, 80], 2: [56], 3: [32, 64]}


def test_seeds() -> None:
    env, other = DroneVecEnv("flag", S, seed=5, **OPTIONS), DroneVecEnv("flag", S, **OPTIONS)
    assert other.seed(5) == [5 + row // N for row in range(S * N)]
    first = env.reset()
    assert_same(other.reset(), first)
    assert_same(other.reset(), env.reset())
    assert not np.array_equal(first, env.reset())  # the streams go on
    env.seed(5)
    assert_same(env.reset(), first)
    assert len(env.seed()) == S * N
    assert not np.array_equal(env.reset(), first)


def test_attributes_and_methods() -> None:
    env = DroneVecEnv("flag", S, **OPTIONS)
    assert env.get_attr("render_mode") == [None] * (S * N)
    assert env.get_attr("stagger", indices=[0, 3]) == [False, False]
    assert env.get_attr("stagger", indices=1) == [False]
    assert not env.has_attr("nonsense")
    env.set_attr("label", "x")
    assert env.get_attr("label", 0) == ["x"]
    assert env.env_method("seed", 3, indices=0) == [[3 + row // N for row in range(S * N)]]
    assert env.env_is_wrapped(Monitor, 0) == [True]
    assert not any(env.env_is_wrapped(VecMonitor))
    env.close()
    env.close()


def test_sb3_wrappers() -> None:
    env = DroneVecEnv("flag", S, seed=0, **OPTIONS)
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        VecMonitor(env)
    wrapped = VecNormalize(env)
    wrapped.reset()
    for actions in flights(40, S, N):
        observations, *_ = wrapped.step(actions.reshape(-1, 4))
        assert np.isfinite(observations).all()


class Fixed:
    """A policy's value function, replaced by a constant."""

    def __init__(self, model: PPO, value: float) -> None:
        self.calls = 0

        def predict(observations: torch.Tensor) -> torch.Tensor:
            self.calls += len(observations)
            return torch.full((len(observations), 1), value)

        model.policy.predict_values = predict


def ppo(env: Any, **keywords: Any) -> PPO:
    settings = {"n_steps": 32, "batch_size": 48, "n_epochs": 1, "device": "cpu", **keywords}
    return PPO("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, **settings)


def test_ppo_bootstraps_the_horizon_and_not_a_crash() -> None:
    env = DroneVecEnv("flag", S, seed=0, **OPTIONS)
    model = ppo(env, gamma=0.5)
    # Drone 1 climbs until it is gone, the others hover.
    model.policy.forward = lambda observations: (
        torch.as_tensor(still(env, 1)), torch.zeros(S * N, 1), torch.zeros(S * N)
    )  # fmt: skip
    fixed = Fixed(model, 1000.0)
    crashes: list[tuple[int, int]] = []
    step_wait, t = env.step_wait, iter(range(10**6))

    def watched() -> Any:
        result, now = step_wait(), next(t)
        crashes.extend((now, row) for row, info in enumerate(result[3]) if info.get("crashed"))
        return result

    env.step_wait = watched
    model.learn(32 * S * N)
    rewards = model.rollout_buffer.rewards.copy()
    crashed = np.zeros(rewards.shape, bool)
    crashed[tuple(np.transpose(crashes))] = True
    assert crashed.sum() > 0
    assert not crashed[-1].any()
    assert (rewards[-1] > 400).all()  # the horizon: 0.5 * 1000 on top
    assert (rewards[:-1] < 100).all()
    assert (rewards[crashed] < -2).all()
    assert fixed.calls == S * N + S * N  # one by one at the horizon, and once for the last values


def test_ppo_logs_returns_and_is_reproducible() -> None:
    weights = []
    for _ in range(2):
        env = DroneVecEnv("flag", S, stagger=True, **OPTIONS)
        model = ppo(env, seed=3)
        model.learn(2 * 32 * S * N)
        assert len(model.ep_info_buffer) > 0
        assert {"r", "l", "t"} <= set(model.ep_info_buffer[0])
        weights.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
    assert torch.equal(*weights)
    mean, deviation = evaluate_policy(model, DroneVecEnv("flag", 1, **OPTIONS), n_eval_episodes=6)
    assert np.isfinite([mean, deviation]).all()


def test_the_joint_view_bootstraps_as_well() -> None:
    """SB3's own vectoriser over the joint view: the horizon arrives as a truncation."""
    env = DummyVecEnv([lambda: drone_formation.JointEnv("flag", **OPTIONS)])
    env.reset()
    for _ in range(32):
        _, _, dones, infos = env.step(np.zeros((1, N, 4), np.float32))
    assert dones.all()
    assert infos[0]["TimeLimit.truncated"]


# ---- the conventional way: SuperSuit ---------------------------------------------------------


def supersuit_rows(swarms: int = 2) -> Any:
    supersuit = pytest.importorskip("supersuit")
    env = drone_formation.parallel_env("flag", **OPTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SuperSuit's own
        env = supersuit.pettingzoo_env_to_vec_env_v1(env)
        return supersuit.concat_vec_envs_v1(env, swarms, base_class="stable_baselines3")


def test_supersuit_rows_reach_the_horizon_and_truncate() -> None:
    env = supersuit_rows()
    first = env.reset()
    assert first.shape == (2 * N, observation_size())
    assert not np.array_equal(first[:N], first[N:])  # copies are worlds of their own
    actions = np.zeros((2 * N, 4), np.float32)
    actions[1] = 1  # crashes now and then; the others stay
    for t in range(1, 70):
        _, _, dones, infos = env.step(actions)
        assert dones.all() == dones.any() == (t % 32 == 0)
        for info in infos:
            assert info.get("TimeLimit.truncated", False) == (t % 32 == 0)
            assert ("terminal_observation" in info) == (t % 32 == 0)
            assert ("swarm_metrics" in info) == (t % 32 == 0)


def test_supersuit_is_reproducible_and_agrees_with_rows() -> None:
    ways = [supersuit_rows(), supersuit_rows()]
    for env in ways:
        env.venv.reset(seed=4)
    native = DroneVecEnv("flag", 2, seed=4, **OPTIONS)
    native.reset()
    for actions in flights(31, 2, N):
        one, two = (env.step(actions.reshape(-1, 4)) for env in ways)
        for a, b in zip(one[:3], two[:3], strict=True):
            assert np.array_equal(a, b)
        assert np.array_equal(one[0][:N], native.step(actions.reshape(-1, 4))[0][:N])


def test_supersuit_ppo_bootstraps() -> None:
    env = supersuit_rows()
    model = ppo(env, gamma=0.5)
    Fixed(model, 1000.0)
    model.learn(32 * 2 * N)
    assert (model.rollout_buffer.rewards[-1] > 400).all()
    assert (model.rollout_buffer.rewards[:-1] < 100).all()
