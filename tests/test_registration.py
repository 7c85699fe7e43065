"""Ids, the registries, and what importing the package costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import gymnasium
import pettingzoo
import pytest
from gymnasium.wrappers import TimeLimit

import drone_formation
from drone_formation import registration
from drone_formation.tasks import TASKS

IDS = [task.id for task in TASKS.values()]
SMALL = {"num_drones": 3, "max_steps": 5}


def run(script: str) -> str:
    """What a script prints in a process of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light() -> None:
    script = """
import sys, drone_formation
heavy = {"numba", "pygame", "torch", "scipy", "stable_baselines3", "supersuit", "matplotlib"}
print(sorted(heavy & set(sys.modules)), hasattr(drone_formation, "__version__"))
"""
    assert run(script).split() == ["[]", "True"]


def test_views_import_only_what_they_need() -> None:
    script = """
import sys, drone_formation
drone_formation.parallel_env("flag", num_drones=2).reset()
print(sorted({"pygame", "torch", "stable_baselines3"} & set(sys.modules)))
"""
    assert run(script).strip() == "[]"


def test_make_imports_the_package_by_its_name() -> None:
    script = """
import gymnasium
env = gymnasium.make("drone_formation:DroneFlag-v0", num_drones=3)
env.reset(seed=0)
for _ in range(100):
    observation, *_ = env.step(env.action_space.sample())
print(observation.shape[0])
"""
    assert run(script).strip() == "3"


@pytest.mark.parametrize("id", IDS)
def test_gymnasium_makes_every_id(id: str) -> None:
    env = gymnasium.make(id, **SMALL)
    assert type(env.unwrapped) is drone_formation.JointEnv
    assert env.unwrapped.swarms.task == id.removeprefix("Drone").removesuffix("-v0").lower()
    assert env.spec is not None
    assert env.spec.max_episode_steps is None
    wrapper = env
    while wrapper is not env.unwrapped:  # the environment ends its episodes itself
        assert not isinstance(wrapper, TimeLimit)
        wrapper = wrapper.env
    assert type(gymnasium.make_vec(id, num_envs=2, **SMALL)) is drone_formation.VectorEnv


@pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo has no registry")
@pytest.mark.parametrize("id", IDS)
def test_pettingzoo_makes_every_id(id: str) -> None:
    env = pettingzoo.make("parallel", id, max_cycles=7, num_drones=3)
    assert env.swarms.task == registration.task_name(id)
    assert env.max_cycles == 7
    assert isinstance(pettingzoo.make("aec", id, num_drones=3), pettingzoo.AECEnv)


def test_registering_again_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    registration.register()
    importlib.reload(registration).register()
    assert dict(gymnasium.registry) == before


def test_registering_with_a_pettingzoo_without_registry(monkeypatch) -> None:
    monkeypatch.delattr(pettingzoo, "register", raising=False)
    monkeypatch.delitem(gymnasium.registry, IDS[0])
    registration.register()
    assert IDS[0] in gymnasium.registry


def test_names_of_other_packages_stay_theirs() -> None:
    names = ("ReachPos", "ReachVel", "Landing", "FigureEightTrajectory")  # crazyflow's
    theirs = {f"Drone{name}-v0" for name in names}
    assert not theirs & set(IDS)


@pytest.mark.parametrize("make", ["parallel_env", "aec_env", "JointEnv", "VectorEnv"])
@pytest.mark.parametrize("task", ["DroneFlag", "DroneFlag-v1", "Flag", "", None, 3])
def test_unknown_task_lists_those_there_are(make: str, task: object) -> None:
    with pytest.raises(ValueError, match=r"DroneIdle-v0.*DroneFormation-v0") as raised:
        getattr(drone_formation, make)(task)
    assert repr(task) in str(raised.value)


@pytest.mark.parametrize("task", ["flag", "DroneFlag-v0", "drone_formation:DroneFlag-v0"])
def test_a_task_has_a_name_and_an_id(task: str) -> None:
    assert registration.task_name(task) == "flag"
    assert drone_formation.parallel_env(task, num_drones=2).swarms.task == "flag"


def test_public_names() -> None:
    for name in drone_formation.__all__:
        assert name in dir(drone_formation)
        assert getattr(drone_formation, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = drone_formation.nonsense
