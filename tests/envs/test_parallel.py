"""What the PettingZoo view promises beyond the stock checkers."""

from __future__ import annotations

import numpy as np
import pytest

import drone_formation
from drone_formation.envs.parallel import STATE, STATE_SIZE
from drone_formation.observation import observation_size

from .helpers import NAMES

N = 5
UP, STILL = np.ones(4, np.float32), np.zeros(4, np.float32)


def climbing(env, *those: str) -> dict[str, np.ndarray]:
    return {agent: UP if agent in those else STILL for agent in env.agents}


def test_spaces_and_agents() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N, neighbours=3)
    assert env.possible_agents == [f"drone_{i}" for i in range(N)]
    assert env.max_num_agents == N
    assert env.agents == []
    spaces = {id(env.observation_space(agent)) for agent in env.possible_agents}
    assert len(spaces) == 1
    space = env.observation_space("drone_0")
    assert space.shape == (observation_size(3),)
    assert space.dtype == np.float32
    assert (space.low == -1).all()
    assert (space.high == 1).all()
    assert env.action_space("drone_0") is env.action_space("drone_4")
    assert env.action_space("drone_0").shape == (4,)


@pytest.mark.parametrize("task", NAMES)
def test_everything_stays_in_its_space(task: str) -> None:
    env = drone_formation.parallel_env(task, num_drones=N)
    rng = np.random.default_rng(0)
    observations, _ = env.reset(seed=0)
    for t in range(120):
        for agent, observation in observations.items():
            assert env.observation_space(agent).contains(observation)
        assert env.state_space.contains(env.state())
        size = 1e30 if t % 2 else 1.0
        actions = {agent: rng.uniform(-size, size, 4) for agent in env.agents}
        observations, rewards, *_ = env.step(actions)
        assert all(type(reward) is float and np.isfinite(reward) for reward in rewards.values())


def test_respawn_keeps_the_team() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N, max_steps=60)
    env.reset(seed=0)
    crashes = 0
    for t in range(60):
        _, rewards, terminations, truncations, infos = env.step(climbing(env, "drone_1"))
        assert not any(terminations.values())
        assert set(truncations.values()) == {t == 59}
        assert [agent for agent in infos if "crashed" in infos[agent]] in ([], ["drone_1"])
        if "crashed" in infos["drone_1"]:
            crashes += 1
            assert infos["drone_1"]["crashed"] is True
            assert rewards["drone_1"] < -2
            seen = infos["drone_1"]["final_obs"]
            assert env.observation_space("drone_1").contains(seen)
        assert ("swarm_metrics" in infos["drone_0"]) == (t == 59)
    assert crashes > 0
    assert env.agents == []
    for agent in env.possible_agents:
        assert infos[agent]["TimeLimit.truncated"] is True
        assert infos[agent]["swarm_metrics"]["crashes"] == pytest.approx(crashes / N)
        assert infos[agent]["swarm_metrics"]["task"] == "flag"
        assert infos[agent]["swarm_metrics"]["length"] == 60
    metrics = [id(infos[agent]["swarm_metrics"]) for agent in infos]
    assert len(set(metrics)) == N  # nothing shared between agents


def test_terminate_is_standard_agent_death() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N, max_steps=60, crash="terminate")
    env.reset(seed=0)
    while "drone_1" in env.agents:
        before = list(env.agents)
        outcome = env.step(climbing(env, "drone_1"))
        for part in outcome:
            assert list(part) == before
    observations, rewards, terminations, truncations, infos = outcome
    assert terminations == {agent: agent == "drone_1" for agent in before}
    assert not any(truncations.values())
    assert rewards["drone_1"] < -2
    assert infos["drone_1"] == {"crashed": True}
    assert observations["drone_1"].any()  # what it saw last
    assert env.agents == ["drone_0", "drone_2", "drone_3", "drone_4"]

    for part in env.step(climbing(env)):
        assert list(part) == env.agents
    while env.agents:
        outcome = env.step(climbing(env, *env.possible_agents))
    assert all(outcome[2].values())  # none is left, so the episode is over
    assert not any(outcome[3].values())
    assert all("swarm_metrics" in info for info in outcome[4].values())
    assert env.reset()[0].keys() == set(env.possible_agents)


def test_crash_at_the_horizon() -> None:
    """A drone that terminates in the last step is not to be bootstrapped."""
    env = drone_formation.parallel_env("flag", num_drones=N, crash="terminate")
    env.reset(seed=0)
    while "drone_1" in env.agents:
        env.step(climbing(env, "drone_1"))
    steps = int(env.swarms.steps[0])

    env = drone_formation.parallel_env("flag", num_drones=N, crash="terminate", max_steps=steps)
    env.reset(seed=0)
    while env.agents:
        _, _, terminations, truncations, infos = env.step(climbing(env, "drone_1"))
    for agent in env.possible_agents:
        assert terminations[agent] == (agent == "drone_1")
        assert truncations[agent]
        assert infos[agent]["TimeLimit.truncated"] is (agent != "drone_1")


def test_reset_in_mid_episode_and_the_option_of_pettingzoos_tests() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N)
    first, infos = env.reset(seed=4, options={"options": 1})
    assert infos == {agent: {} for agent in env.agents}
    for _ in range(5):
        env.step(climbing(env))
    again, _ = env.reset(seed=4, options=None)
    for agent in env.agents:
        assert np.array_equal(first[agent], again[agent])
    env.close()
    env.close()


def test_agents_belong_to_the_caller_as_little_as_possible() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N)
    env.reset()
    env.agents.remove("drone_0")  # PettingZoo's wrappers do such things to their own lists
    assert len(env.possible_agents) == N
    env.reset()
    assert len(env.agents) == N


def test_state_is_the_ground_truth() -> None:
    env = drone_formation.parallel_env("follow", num_drones=N)
    env.reset(seed=0)
    for _ in range(12):
        env.step(climbing(env, "drone_3"))
    assert env.state_space.shape == (N * STATE_SIZE,)
    table = env.state().reshape(N, STATE_SIZE)
    start = 0
    for name, size, _ in STATE:
        units = {
            "position": env.swarms.arena,
            "attitude": 1,
            "rotor_speeds": env.swarms.airframe.max_rotor_speed,
            "target_position": env.swarms.arena,
        }
        expected = getattr(env.swarms, name)[0] / units.get(name, 50)
        np.testing.assert_allclose(table[:, start : start + size], expected, atol=1e-6)
        start += size
    assert start == STATE_SIZE


def test_state_of_drones_that_are_gone() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N, crash="terminate")
    env.reset(seed=0)
    while "drone_1" in env.agents:
        env.step(climbing(env, "drone_1"))
    table = env.state().reshape(N, STATE_SIZE)
    assert not table[1, :17].any()
    assert table[1, 17:].any()  # the slot that it leaves empty
    assert table[0, :17].any()
    assert env.state_space.contains(table.reshape(-1))
