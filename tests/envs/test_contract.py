"""What every view promises, beyond what the stock checkers look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as arrays_of

import drone_formation
from drone_formation import Swarms
from drone_formation.observation import observation_table
from drone_formation.tasks import TASKS

from .helpers import NAMES, VIEWS, Driver, arrays, assert_same, flights

S, N = 2, 5
OPTIONS = {"num_drones": N, "max_steps": 30}
every_view = pytest.mark.parametrize("view", VIEWS)
every_task = pytest.mark.parametrize("task", NAMES)


@every_view
@every_task
def test_seeds_make_whole_episodes(view: str, task: str) -> None:
    """The same from the first step of an episode to the last of the third, whatever was before."""
    one, two, other = (Driver(view, task, **OPTIONS) for _ in range(3))
    two.reset(seed=99)  # this one has flown before
    for actions in flights(17, S, N, seed=5):
        two.step(actions)
    other.reset(seed=8)
    assert_same(one.reset(seed=7), two.reset(seed=7))
    differ = []
    for t, actions in enumerate(flights(100, S, N)):
        result = one.step(actions)
        assert_same(result, two.step(actions), f"step {t}")
        other.step(actions)
        differ.append(not np.array_equal(one.swarms.position, other.swarms.position))
    assert all(differ), "another seed is another world, in every step"
    assert_same(one.reset(), two.reset())  # without a seed the stream goes on


@every_view
def test_unseeded_environments_differ(view: str) -> None:
    one, two = (Driver(view, "flag", **OPTIONS) for _ in range(2))
    one.reset()
    two.reset()
    assert not np.array_equal(one.swarms.position, two.swarms.position)


@every_view
@pytest.mark.parametrize("steps", [0, 1, 13, 30])
def test_reset_in_mid_episode(view: str, steps: int) -> None:
    driver, fresh = (Driver(view, "mixed", **OPTIONS) for _ in range(2))
    driver.reset(seed=1)
    for actions in flights(steps, S, N):
        driver.step(actions)
    assert_same(driver.reset(seed=2), fresh.reset(seed=2))
    for actions in flights(40, S, N):
        assert_same(driver.step(actions), fresh.step(actions))


@every_view
def test_close_twice_and_go_on(view: str) -> None:
    driver = Driver(view, "flag", **OPTIONS)
    driver.env.close()  # before the first reset, too
    driver.reset(seed=0)
    driver.step(flights(1, S, N)[0])
    driver.env.close()
    driver.env.close()


@pytest.mark.parametrize("view", ["parallel", "aec", "joint", "vector"])  # rows take no options
def test_options(view: str) -> None:
    """Options that are not known are refused by name, and nothing has changed."""
    driver, plain = (Driver(view, "mixed", **OPTIONS) for _ in range(2))
    driver.env.reset(seed=3, options={})
    plain.env.reset(seed=3, options=None)
    allowed = {"vector": "reset_mask", "joint": "none"}.get(view, "options")
    with pytest.raises(ValueError, match=f"options: 'formation' is not known; allowed: {allowed}"):
        driver.env.unwrapped.reset(seed=4, options={"formation": "cube"})
    with pytest.raises(TypeError, match="options must be a dict"):
        driver.env.unwrapped.reset(options=["formation"])
    for actions in flights(3, S, N):
        assert_same(driver.step(actions), plain.step(actions))


@every_view
def test_a_task_is_an_id_a_name_or_a_task(view: str) -> None:
    drivers = [Driver(view, task, **OPTIONS) for task in (TASKS["cube"], "cube", "DroneCube-v0")]
    for driver in drivers:
        assert driver.swarms.task == "cube"
        assert_same(driver.reset(seed=3), drivers[0].reset(seed=3))
    with pytest.raises(ValueError, match=r"task must be one of .*'nonsense'"):
        Driver(view, "nonsense", **OPTIONS)


@pytest.mark.parametrize("view", ["parallel", "aec", "joint", "vector"])  # rows cannot leave
def test_drones_that_are_gone_leave_no_numbers(view: str) -> None:
    """Whatever the simulator says of their places, views give finite numbers within bounds."""
    driver = Driver(view, "flag", **{**OPTIONS, "max_steps": 200}, crash="terminate")
    driver.reset(seed=0)
    while driver.swarms.active[0, 0]:
        check_spaces(driver, driver.step(flights(1, S, N)[0]))
    for actions in 0.1 * flights(5, S, N, seed=1):
        result = driver.step(actions)
        check_spaces(driver, result)
        assert all(np.isfinite(array).all() for array in arrays(result) if array.dtype.kind == "f")


def lively(swarms: Swarms, steps: int) -> np.ndarray:
    """Actions (steps, S, N, 4) near hover, so that drones fly about without crashing at once."""
    shape = (steps, swarms.num_swarms, swarms.num_drones, 4)
    return np.random.default_rng(0).uniform(-0.3, 0.3, shape).astype(np.float32)


@every_task
@pytest.mark.parametrize("neighbours", [0, 2, 8])
def test_no_element_of_an_observation_is_constant(task: str, neighbours: int) -> None:
    """Each carries information in every task: it changes in time, and from drone to drone."""
    # A great collision distance, so that drones have more than one meeting ahead
    swarms = Swarms(
        task, 4, 24, seed=0, neighbours=neighbours, max_steps=1000, collision_distance=2.5
    )
    swarms.reset()
    actions = lively(swarms, 150)
    seen = np.stack([swarms.step(action).observations.copy() for action in actions])
    names = [
        f"{part.name}[{i}]" for part in observation_table(neighbours) for i in range(part.size)
    ]
    assert len(names) == seen.shape[-1]
    for i, name in enumerate(names):
        values = seen[..., i]
        assert np.ptp(values) > 1e-3, f"{name} is {values.flat[0]} throughout"
        assert (np.ptp(values, axis=0) > 0).any(), f"{name} does not change in time"
        assert (np.ptp(values, axis=2) > 0).any(), f"{name} is the same for all drones"


def test_no_element_of_the_global_state_is_constant() -> None:
    env = drone_formation.parallel_env("mixed", num_drones=N, max_steps=60)
    states = []
    for episode in range(25):  # tasks whose targets stand still, and others
        env.reset(seed=episode)
        for actions in lively(env.swarms, 20)[:, 0]:
            env.step(dict(zip(env.agents, actions, strict=True)))
            states.append(env.state())
    spread = np.ptp(np.stack(states), axis=0)
    assert (spread > 0).all(), f"constant: {np.flatnonzero(spread == 0)}"


def check_spaces(driver: Driver, result: Any) -> None:
    """Whatever a reset or a step gave is within the space that was declared for it."""
    env, view = driver.env, driver.view
    if view in ("parallel", "aec"):
        seen, *rest = result
        for agent, observation in seen.items():
            assert env.observation_space(agent).contains(observation)
        if len(rest) > 1:
            rewards, terminations, truncations, infos = rest
            assert all(np.isfinite(reward) for reward in rewards.values())
            ends = (*terminations.values(), *truncations.values())
            assert all(type(end) is bool for end in ends)
            for agent, info in infos.items():
                if "final_obs" in info:
                    assert env.observation_space(agent).contains(info["final_obs"])
        assert env.unwrapped.state_space.contains(env.state())
    elif view == "rows":
        seen, *rest = result
        assert seen.shape == (env.num_envs, *env.observation_space.shape)
        for row in seen:
            assert env.observation_space.contains(row)
        if len(rest) == 3:
            assert np.isfinite(rest[0]).all()
            for done, info in zip(rest[1], rest[2], strict=True):
                if done:
                    assert env.observation_space.contains(info["terminal_observation"])
    else:
        assert env.observation_space.contains(result[0])
        if len(result) > 2:
            assert np.isfinite(result[1]).all()
            assert np.isfinite(result[4].get("rewards", 0.0)).all()


numbers = st.one_of(
    st.floats(-1.5, 1.5),
    st.floats(allow_nan=False, allow_infinity=False),  # to 1.8e308: anything finite is clipped
    st.sampled_from([-1.0, 0.0, -0.0, 1.0, 5e-324, 1e-40, 3.4e38, -3.5e38]),
)


@every_view
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    task=st.sampled_from(NAMES),
    crash=st.sampled_from(["respawn", "terminate"]),
    seed=st.integers(0, 2**32),
    steps=st.lists(
        st.tuples(arrays_of(np.float64, (S, 3, 4), elements=numbers), st.integers(1, 25)),
        min_size=1,
        max_size=5,
    ),
)
def test_spaces_are_honoured(
    view: str, task: str, crash: str, seed: int, steps: list[tuple[np.ndarray, int]]
) -> None:
    """Under any finite actions, through crashes and ends of episodes."""
    options = {"num_drones": 3, "max_steps": 25, "crash": crash}
    if view == "rows":
        options["crash"] = "respawn"
    driver = Driver(view, task, **options)
    check_spaces(driver, driver.reset(seed=seed))
    for actions, times in steps:
        for _ in range(times):
            check_spaces(driver, driver.step(actions))


@every_view
def test_actions_are_clipped_and_left_alone(view: str) -> None:
    """Beyond [-1, 1], up to what a float can hold, an action is as good as one at the bound."""
    driver, bounded = (Driver(view, "flag", **OPTIONS) for _ in range(2))
    driver.reset(seed=4)
    bounded.reset(seed=4)
    for t, actions in enumerate(flights(40, S, N).astype(np.float64)):
        huge = np.where(np.abs(actions) > 0.5, np.sign(actions) * 10.0 ** (7.6 * t), actions)
        kept = huge.copy()
        limits = np.clip(huge, -1, 1)
        assert_same(driver.step(huge), bounded.step(limits), f"step {t}")
        assert np.array_equal(huge, kept), "the caller's array was written to"
