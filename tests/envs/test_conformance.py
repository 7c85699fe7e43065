"""The checkers that Gymnasium, PettingZoo and Stable-Baselines3 ship: every id, no warning."""

from __future__ import annotations

import gymnasium
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import (
    api_test,
    parallel_api_test,
    parallel_seed_test,
    render_test,
    seed_test,
    state_test,
)

import drone_formation

from .helpers import IDS

SMALL = {"num_drones": 4, "max_steps": 20}
CRASH = pytest.mark.parametrize("crash", ["respawn", "terminate"])
every_id = pytest.mark.parametrize("id", IDS)


@every_id
@CRASH
def test_gymnasium_check_env(id: str, crash: str) -> None:
    env = gymnasium.make(id, crash=crash, **SMALL)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@every_id
def test_gymnasium_check_env_with_rendering(id: str) -> None:
    pytest.importorskip("pygame")
    check_env(gymnasium.make(id, **SMALL).unwrapped)


@every_id
@CRASH
def test_pettingzoo_parallel_api(id: str, crash: str) -> None:
    env = drone_formation.parallel_env(id, num_drones=4, crash=crash)
    parallel_api_test(env, num_cycles=40)
    assert env.swarms.max_steps == 40  # the test sets `max_cycles`, and that counts


@every_id
@CRASH
def test_pettingzoo_api(id: str, crash: str) -> None:
    api_test(drone_formation.aec_env(id, crash=crash, **SMALL), num_cycles=60)


@every_id
def test_pettingzoo_seeds(id: str) -> None:
    parallel_seed_test(lambda: drone_formation.parallel_env(id, **SMALL), num_cycles=30)
    seed_test(lambda: drone_formation.aec_env(id, **SMALL), num_cycles=30)


@every_id
@CRASH
def test_pettingzoo_state(id: str, crash: str) -> None:
    options = {"num_drones": 4, "max_steps": 60, "crash": crash}
    state_test(
        drone_formation.aec_env(id, **options),
        drone_formation.parallel_env(id, **options),
        num_cycles=50,
    )


@every_id
def test_pettingzoo_render(id: str) -> None:
    pytest.importorskip("pygame")
    render_test(lambda **keywords: drone_formation.aec_env(id, **SMALL, **keywords))


@every_id
def test_stable_baselines3_check_env(id: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gymnasium.make(id, **SMALL)
    # SB3 wants flat observations and knows no (N, D) ones.
    checker.check_env(gymnasium.wrappers.FlattenObservation(env), skip_render_check=True)


@every_id
def test_metadata(id: str) -> None:
    env = drone_formation.parallel_env(id, num_drones=2)
    assert env.metadata["name"] == f"drone_{env.swarms.task}_{id.rpartition('-')[2]}" == str(env)
    assert env.metadata["render_modes"] == ["human", "rgb_array"]
    assert env.metadata["render_fps"] == 20
    assert env.metadata["is_parallelizable"] is True
    assert isinstance(env, gymnasium.utils.EzPickle)
    assert isinstance(drone_formation.aec_env(id, num_drones=2), pettingzoo.AECEnv)
