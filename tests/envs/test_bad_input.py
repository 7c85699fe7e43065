"""What is not allowed is refused at once, with a plain error that names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import drone_formation
from drone_formation import RewardWeights

from .helpers import rows_env

N = 4
NAN, INF = float("nan"), float("inf")


MAKERS = {
    "parallel": drone_formation.parallel_env,
    "aec": drone_formation.aec_env,
    "joint": drone_formation.JointEnv,
    "vector": drone_formation.VectorEnv,
    "rows": rows_env,
}
every_view = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every_view
@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"num_drones": 0}, ValueError, "num_drones must be from 1 to 4096, got 0"),
        ({"num_drones": 4097}, ValueError, "num_drones"),
        ({"num_drones": 2.5}, TypeError, "num_drones"),
        ({"max_steps": 0}, ValueError, "max_steps"),
        ({"crash": "explode"}, ValueError, "crash must be .*'explode'"),
        ({"neighbours": 9}, ValueError, "neighbours"),
        ({"collision_distance": -1.0}, ValueError, "collision_distance"),
        ({"collision_distance": NAN}, ValueError, "collision_distance"),
        ({"control": "telepathy"}, ValueError, "control"),
        ({"substeps": 0}, ValueError, "substeps"),
        ({"num_threads": 0}, ValueError, "num_threads"),
        ({"reward": {"crash": 1.0}}, ValueError, "reward: task must be one of"),
        ({"points": np.eye(3) * 5}, ValueError, "points"),
        ({"render_mode": "ascii"}, ValueError, "render_mode must be one of"),
        ({"nonsense": 1}, TypeError, "nonsense"),
    ],
)
def test_keywords(make: Any, keywords: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make("flag", **keywords)


@pytest.mark.parametrize(
    "points",
    [
        [[0, 0, 0], [0, 0, 0]],  # on top of each other
        [[0, 0, 0], [0, 0, 99_999]],  # too far
        [[0, 0, 0], [0, 0, NAN]],
        [[0, 0], [1, 1]],
        [],
    ],
)
@every_view
def test_points(make: Any, points: list) -> None:
    with pytest.raises(ValueError, match="points"):
        make("formation", points=points)


def test_negative_weight() -> None:
    with pytest.raises(ValueError, match="crash must be from 0 to 1e6"):
        RewardWeights(crash=-1.0)


@pytest.mark.parametrize("name", ["parallel", "aec", "joint", "vector"])
def test_seed_belongs_to_reset(name: str) -> None:
    with pytest.raises(TypeError, match=r"give it to reset\(seed=...\)"):
        MAKERS[name]("flag", seed=3)


@pytest.mark.parametrize("name", ["parallel", "joint", "vector"])
@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (1.5, TypeError), ("3", (TypeError, ValueError))]
)
def test_bad_seeds(name: str, seed: object, error: type) -> None:
    with pytest.raises(error, match="seed"):
        MAKERS[name]("flag", num_drones=N).reset(seed=seed)


@pytest.mark.parametrize(
    ("make", "alias"),
    [
        (drone_formation.parallel_env, "max_cycles"),
        (drone_formation.VectorEnv, "max_episode_steps"),
    ],
)
def test_aliases_of_max_steps(make: Any, alias: str) -> None:
    assert make("flag", **{alias: 9}).swarms.max_steps == 9
    assert make("flag", **{alias: 9, "max_steps": 9}).swarms.max_steps == 9
    assert make("flag", **{alias: None, "max_steps": 9}).swarms.max_steps == 9
    with pytest.raises(ValueError, match=f"max_steps and {alias} mean the same"):
        make("flag", **{alias: 9, "max_steps": 10})
    with pytest.raises(ValueError, match="max_steps"):
        make("flag", **{alias: 0})


def test_max_cycles_is_an_attribute_too() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N)
    env.reset(seed=1)
    twin = env.get_state()
    env.max_cycles = 3
    assert env.swarms.max_steps == 1024  # the present episode goes on
    expected = drone_formation.parallel_env("flag", num_drones=N)
    expected.set_state(twin)
    assert np.array_equal(env.reset()[0]["drone_0"], expected.reset()[0]["drone_0"])
    for _ in range(3):
        assert env.agents
        env.step(dict.fromkeys(env.agents, np.zeros(4, np.float32)))
    assert not env.agents
    with pytest.raises(ValueError, match="max_cycles"):
        env.max_cycles = 0


BAD_ACTIONS = [
    (np.zeros((N, 3), np.float32), ValueError, "shape"),
    (np.zeros(N * 4, np.float32), ValueError, "shape"),
    (np.zeros((N + 1, 4), np.float32), ValueError, "shape"),
    (np.zeros((N, 4), np.int64), TypeError, "float"),
    (np.zeros((N, 4), complex), TypeError, "float"),
    (np.full((N, 4), NAN), ValueError, "finite"),
    (np.full((N, 4), -INF), ValueError, "finite"),
    (None, (TypeError, ValueError), "actions?"),
    ("up", (TypeError, ValueError), "actions?"),
]


@pytest.mark.parametrize(("actions", "error", "message"), BAD_ACTIONS)
def test_actions_of_arrays(actions: Any, error: type, message: str) -> None:
    joint = drone_formation.JointEnv("flag", num_drones=N)
    joint.reset()
    with pytest.raises(error, match=message):
        joint.step(actions)
    vector = drone_formation.VectorEnv("flag", 1, num_drones=N)
    vector.reset()
    with pytest.raises(error, match=message):
        vector.step(actions if actions is None or isinstance(actions, str) else actions[None])
    rows = rows_env("flag", 1, num_drones=N)
    rows.reset()
    with pytest.raises(error, match=message):
        rows.step(actions)
    for env in (joint, vector):  # nothing has moved
        assert env.swarms.steps[0] == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"drone_2": np.zeros(3, np.float32)}, ValueError, r"drone_2.*shape \(4,\), got \(3,\)"),
        ({"drone_2": np.zeros((1, 4))}, ValueError, "drone_2.*shape"),
        ({"drone_2": 0.5}, ValueError, "drone_2.*shape"),
        ({"drone_2": [0.5, [1.0], 0.0, 0.0]}, (TypeError, ValueError), "drone_2"),
        ({"drone_2": np.array([0, NAN, 0, 0])}, ValueError, "drone_2.*finite.*nan"),
        ({"drone_2": np.array([0, 0, 0, INF])}, ValueError, "drone_2.*finite.*inf"),
        ({"drone_2": None}, TypeError, "drone_2.*float"),
        ({"drone_2": "north"}, TypeError, "drone_2.*float"),
        ({"drone_9": np.zeros(4)}, ValueError, "'drone_9' is not one of the agents"),
        ({3: np.zeros(4)}, ValueError, "3 is not one of the agents"),
    ],
)
def test_actions_of_agents(change: dict, error: type, message: str) -> None:
    env = drone_formation.parallel_env("flag", num_drones=N)
    env.reset()
    actions = dict.fromkeys(env.agents, np.zeros(4, np.float32))
    with pytest.raises(error, match=message):
        env.step(actions | change)
    del actions["drone_1"]
    with pytest.raises(ValueError, match="no action for drone_1"):
        env.step(actions)
    assert env.swarms.steps[0] == 0


def test_actions_of_agents_that_are_gone() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N, crash="terminate")
    env.reset(seed=0)
    still = np.zeros(4, np.float32)
    while len(env.agents) == N:  # drone_0 climbs until it is gone
        env.step({agent: still + (agent == "drone_0") for agent in env.agents})
    assert "drone_0" not in env.agents
    with pytest.raises(ValueError, match="'drone_0' is not one of the agents"):
        env.step(dict.fromkeys(env.possible_agents, still))
    with pytest.raises(ValueError, match=r"drone_3.*finite"):
        env.step({agent: still + (NAN if agent == "drone_3" else 0) for agent in env.agents})


def test_a_dict_is_needed() -> None:
    env = drone_formation.parallel_env("flag", num_drones=N)
    env.reset()
    with pytest.raises(TypeError, match="actions must be a dict, got ndarray"):
        env.step(np.zeros((N, 4)))


def test_lists_and_other_orders_will_do() -> None:
    env, other = (drone_formation.parallel_env("flag", num_drones=N) for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=0)
    actions = {agent: np.full(4, 0.1 * i) for i, agent in enumerate(env.agents)}
    backwards = {agent: actions[agent].tolist() for agent in reversed(env.agents)}
    one, two = env.step(actions), other.step(backwards)
    assert list(one[0]) == list(two[0]) == env.agents
    for agent in env.agents:
        assert np.array_equal(one[0][agent], two[0][agent])


def test_order_of_calls() -> None:
    parallel = drone_formation.parallel_env("flag", num_drones=1, max_steps=1)
    actions = {"drone_0": np.zeros(4, np.float32)}
    for call in (lambda: parallel.step(actions), parallel.state):
        with pytest.raises(RuntimeError, match=r"call reset\(\)"):
            call()
    parallel.reset()
    parallel.step(actions)
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        parallel.step({})
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        drone_formation.JointEnv("flag", num_drones=1).step(np.zeros((1, 4)))
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        drone_formation.VectorEnv("flag", 1, num_drones=1).step(np.zeros((1, 1, 4)))
    rows = rows_env("flag", 1, num_drones=1)
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        rows.step(np.zeros((1, 4)))
    rows.reset()
    with pytest.raises(RuntimeError, match="step_async"):
        rows.step_wait()


def test_vector_reset_masks() -> None:
    options = {"num_drones": 1, "max_steps": 1, "autoreset_mode": "Disabled"}
    envs = drone_formation.VectorEnv("flag", 2, **options)
    envs.reset(seed=0)
    for mask, error in [
        ([True, False], TypeError),
        (np.array([1, 0]), TypeError),
        (np.array([True]), ValueError),
        (np.array([False, False]), ValueError),
    ]:
        with pytest.raises(error, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="seed must hold 2 integers, got 3"):
        envs.reset(seed=[1, 2, 3])
    envs.step(np.zeros((2, 1, 4)))
    envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(RuntimeError, match=r"swarms \[1\] are over"):
        envs.step(np.zeros((2, 1, 4)))
    with pytest.raises(ValueError, match="autoreset_mode must be one of 'NextStep'"):
        drone_formation.VectorEnv("flag", autoreset_mode="Sometimes")


def test_rows_cannot_leave() -> None:
    with pytest.raises(ValueError, match="crash must be 'respawn' for DroneVecEnv"):
        rows_env("flag", crash="terminate")
