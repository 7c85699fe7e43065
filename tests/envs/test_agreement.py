"""All views show the same numbers to the bit, through crashes and ends of episodes."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

import drone_formation
from drone_formation import Swarms

from .helpers import NAMES, Driver, assert_same, flights, rows_env

S, N = 3, 5
OPTIONS = {"num_drones": N, "max_steps": 40}
STEPS = 130  # three whole episodes and a bit


class Outcome(NamedTuple):
    """What a step of S swarms came to, of the bare simulator; arrays of its own."""

    last: np.ndarray  # (S, N, D), before resets
    now: np.ndarray  # (S, N, D), after the swarms that were over were reset
    finals: np.ndarray  # (S, N, D), what drones saw before they were put back
    rewards: np.ndarray  # (S, N)
    crashed: np.ndarray  # (S, N)
    over: np.ndarray  # (S,)
    means: np.ndarray  # (S,), of the rewards
    metrics: dict[str, np.ndarray]  # each (S,)


def fly(bare: Swarms, actions: np.ndarray) -> Outcome:
    """Step, and reset the swarms that are over."""
    result = bare.step(actions)
    last, rewards = result.observations.copy(), result.rewards.copy()
    crashed, over = result.crashed.copy(), result.truncated.copy()
    finals, metrics = bare.final_observations.copy(), bare.metrics()
    if over.any():
        bare.reset(which=np.flatnonzero(over))
    means = rewards.astype(np.float64).sum(axis=1) / N
    return Outcome(last, bare.observations.copy(), finals, rewards, crashed, over, means, metrics)


def check_rows(step: tuple, expected: Outcome) -> None:
    seen, gained, dones, infos = step
    crashed, over = expected.crashed, expected.over
    assert_same(seen.reshape(S, N, -1), expected.now)
    assert_same(gained.reshape(S, N), expected.rewards)
    assert_same(dones.reshape(S, N), crashed | over[:, None])
    for k, i in np.argwhere(dones.reshape(S, N)):
        terminal = expected.finals[k, i] if crashed[k, i] else expected.last[k, i]
        info = infos[k * N + i]
        assert_same(info["terminal_observation"], terminal)
        assert info["TimeLimit.truncated"] is not bool(crashed[k, i])
        assert ("swarm_metrics" in info) == (i == 0 and bool(over[k]))


def check_vector(step: tuple, expected: Outcome) -> None:
    seen, gained, terminated, truncated, infos = step
    assert_same(seen, expected.now)
    assert_same(gained, expected.means)
    assert_same(truncated, expected.over)
    assert not terminated.any()
    for k in np.flatnonzero(expected.over):
        assert_same(infos["final_obs"][k], expected.last[k])


def check_joint(step: tuple, expected: Outcome, k: int) -> None:
    seen, gained, terminated, truncated, info = step
    assert_same(seen, expected.last[k])
    assert_same(gained, float(expected.means[k]))
    assert (terminated, truncated) == (False, bool(expected.over[k]))
    assert_same(info["rewards"], expected.rewards[k])
    assert_same(info["crashed"], expected.crashed[k])
    if expected.over[k]:
        found = dict(info["swarm_metrics"])
        assert found.pop("task") in NAMES
        assert_same(found, {name: float(values[k]) for name, values in expected.metrics.items()})


def check_parallel(step: tuple, expected: Outcome, k: int) -> None:
    assert_same(stack(step[0]), expected.last[k])
    assert_same(np.array(list(step[1].values()), np.float32), expected.rewards[k])
    assert not any(step[2].values())
    assert set(step[3].values()) == {bool(expected.over[k])}
    for i, info in enumerate(step[4].values()):
        assert info.get("crashed", False) == expected.crashed[k, i]
        assert info.get("TimeLimit.truncated", False) == expected.over[k]
        if expected.crashed[k, i]:
            assert_same(info["final_obs"], expected.finals[k, i])


def check_aec(aec: Any, step: tuple, expected: Outcome) -> None:
    """Swarm 0, against the same step of the parallel environment."""
    for i, agent in enumerate(aec.possible_agents):
        assert_same(aec.observe(agent), expected.last[0, i])
        assert_same(np.float32(aec.rewards[agent]), expected.rewards[0, i])
    for part, name in enumerate(("rewards", "terminations", "truncations", "infos"), 1):
        assert_same(getattr(aec, name), step[part])


@pytest.mark.parametrize("task", NAMES)
def test_views_agree(task: str) -> None:
    actions = flights(STEPS, S, N)
    bare = Swarms(task, S, seed=7, **OPTIONS)
    rows = rows_env(task, S, seed=7, **OPTIONS)
    vector = drone_formation.VectorEnv(task, S, autoreset_mode="SameStep", **OPTIONS)
    joints = [drone_formation.JointEnv(task, **OPTIONS) for _ in range(S)]
    parallels = [drone_formation.parallel_env(task, **OPTIONS) for _ in range(S)]
    aec = drone_formation.aec_env(task, **OPTIONS)

    first = bare.reset().copy()
    assert_same(rows.reset().reshape(S, N, -1), first)
    assert_same(vector.reset(seed=7)[0], first)
    for k in range(S):
        assert_same(joints[k].reset(seed=7 + k)[0], first[k])
        assert_same(stack(parallels[k].reset(seed=7 + k)[0]), first[k])
    aec.reset(seed=7)

    crashes = ends = 0
    for action in actions:
        expected = fly(bare, action)
        crashes, ends = crashes + expected.crashed.sum(), ends + expected.over.sum()
        check_rows(rows.step(action.reshape(-1, 4)), expected)
        check_vector(vector.step(action), expected)
        for i in range(N):
            aec.step(action[0, i])
        for k in range(S):
            one = joints[k].step(action[k])
            check_joint(one, expected, k)
            assert joints[k].observation_space.contains(one[0])
            env = parallels[k]
            many = env.step(dict(zip(env.agents, action[k], strict=True)))
            check_parallel(many, expected, k)
            if k == 0:
                check_aec(aec, many, expected)
            if expected.over[k]:
                for info in many[4].values():
                    assert_same(info["swarm_metrics"], one[4]["swarm_metrics"])
                assert env.agents == []
                env.reset()
                joints[k].reset()
        if expected.over[0]:
            aec.reset()
    assert ends == 3 * S
    assert crashes > 0  # the actions are meant to make some


@pytest.mark.parametrize("task", NAMES)
def test_views_agree_when_drones_leave(task: str) -> None:
    """With ``crash="terminate"``, to the last drone of the swarm and beyond."""
    options = {**OPTIONS, "crash": "terminate", "max_steps": 70}
    parallel, joint, aec = (Driver(view, task, **options) for view in ("parallel", "joint", "aec"))
    agents = parallel.env.possible_agents
    actions = flights(STEPS, 1, N)
    actions[65:, :, 1:] = 1.0  # in the second episode, all of them leave
    first = parallel.reset(seed=7)
    assert_same(joint.reset(seed=7)[0], stack(first[0]))
    assert_same(aec.reset(seed=7)[0], first[0])
    lengths, length, deaths = [], 0, 0
    for action in actions:
        flying = list(parallel.env.agents)
        one, two, three = (driver.step(action) for driver in (parallel, joint, aec))
        length += 1
        assert_same(three[:5], one, f"step {length}")
        seen, rewards, terminations, truncations, _ = one
        assert list(seen) == flying
        deaths += sum(terminations.values())
        for i, agent in enumerate(agents):
            if agent in flying and not terminations[agent]:
                assert_same(two[0][i], seen[agent])
            elif agent not in flying:
                assert not two[0][i].any()
                assert two[4]["rewards"][i] == 0
            assert bool(two[4]["crashed"][i]) == terminations.get(agent, False)
        assert_same(two[1], float(np.float64(sum(rewards.values())) / len(flying)))
        assert two[2] == all(terminations.values())
        assert two[3] == any(truncations.values())
        if not parallel.env.agents:
            lengths.append(length)
            length = 0
            again = parallel.reset()
            assert_same(two[5][0], stack(again[0]))
            assert_same(aec.reset()[0], again[0])
    assert deaths > 0
    assert len(lengths) >= 2


def stack(observations: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(observations.values()))


@pytest.mark.parametrize("crash", ["respawn", "terminate"])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.parametrize("task", ["flag", "mixed", "race"])
def test_vector_env_is_what_gymnasium_makes_of_joint_envs(task: str, mode: str, crash: str) -> None:
    options = {**OPTIONS, "crash": crash, "max_steps": 60}
    native = drone_formation.VectorEnv(task, S, autoreset_mode=mode, **options)
    copied = gymnasium.vector.SyncVectorEnv(
        [lambda: drone_formation.JointEnv(task, **options)] * S, autoreset_mode=mode
    )
    assert native.single_observation_space == copied.single_observation_space
    assert native.single_action_space == copied.single_action_space
    assert native.observation_space == copied.observation_space
    assert native.action_space == copied.action_space
    assert native.metadata == copied.metadata

    actions = flights(200, S, N)
    actions[:100, 1] = 1.0  # all of one swarm crash early
    assert_same(native.reset(seed=[4, 2, 9]), copied.reset(seed=[4, 2, 9]))
    ends = 0
    for t in range(len(actions)):
        mine, theirs = native.step(actions[t]), copied.step(actions[t])
        assert_same(mine, theirs, f"step {t}")
        over = mine[2] | mine[3]
        ends += over.sum()
        if mode == "Disabled" and over.any():
            # Some carry on with their random stream, some get a new seed.
            seed = None if ends < 4 else [t, None, 3]
            ours = native.reset(seed=seed, options={"reset_mask": over.copy()})
            assert_same(ours, copied.reset(seed=seed, options={"reset_mask": over.copy()}))
    assert ends >= 3 * S


@pytest.mark.parametrize("task", NAMES)
def test_a_thousand_steps_do_not_depend_on_company_or_threads(task: str) -> None:
    seeds = [11 * k + 5 for k in range(16)]
    options = {"num_drones": 6, "max_steps": 300}
    crowd = drone_formation.VectorEnv(task, 16, autoreset_mode="SameStep", **options)
    threaded = drone_formation.VectorEnv(
        task, 16, autoreset_mode="SameStep", num_threads=2, **options
    )
    alone = drone_formation.VectorEnv(task, 1, autoreset_mode="SameStep", **options)
    assert_same(crowd.reset(seed=seeds), threaded.reset(seed=seeds))
    assert_same(crowd.swarms.observations[9:10], alone.reset(seed=seeds[9])[0])
    for t, actions in enumerate(flights(1000, 16, 6)):
        one, two, three = crowd.step(actions), threaded.step(actions), alone.step(actions[9:10])
        for a, b, c in zip(one[:4], two[:4], three[:4], strict=True):
            assert np.array_equal(a, b), t
            assert np.array_equal(a[9:10], c), t
    assert_same(crowd.get_state(), threaded.get_state())
    for name in ("position", "velocity", "attitude", "body_rates", "rotor_speeds"):
        assert_same(getattr(crowd.swarms, name)[9:10], getattr(alone.swarms, name))


def test_an_integer_seed_counts_up() -> None:
    envs = drone_formation.VectorEnv("flag", 3, num_drones=4)
    assert_same(envs.reset(seed=20)[0], envs.reset(seed=[20, 21, 22])[0])
    assert not np.array_equal(envs.reset(seed=0)[0], envs.reset(seed=1)[0])
    assert envs.np_random_seed == 1
    joint = drone_formation.JointEnv("flag", num_drones=4)
    assert_same(joint.reset(seed=22)[0], envs.reset(seed=20)[0][2])
    assert not np.array_equal(joint.reset()[0], joint.reset()[0])


@pytest.mark.parametrize("drones", [1, 2, 3, 7, 16, 17, 64, 130, 1000])
@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_mean_rewards_are_over_those_who_flew_and_do_not_depend_on_company(
    drones: int, crash: str
) -> None:
    company = drone_formation.Swarms("flag", 5, drones, seed=3, crash=crash)
    alone = drone_formation.Swarms("flag", 1, drones, seed=5, crash=crash)
    company.reset()
    alone.reset()
    rng = np.random.default_rng(0)
    for _ in range(80):
        actions = rng.uniform(-1, 1, (5, drones, 4)).astype(np.float32)
        flying = company.active
        result = company.step(actions)
        sums = result.rewards.sum(axis=1, dtype=np.float64)
        expected = sums / np.maximum(flying.sum(axis=1), 1)
        assert np.allclose(company.mean_rewards, expected, rtol=1e-12, atol=1e-12)
        alone.step(actions[2:3])
        assert alone.mean_rewards[0] == company.mean_rewards[2]
    if crash == "terminate":
        assert not company.active.all()
