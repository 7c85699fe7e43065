"""Ids, the registries, and what importing the package costs."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import gymnasium
import pettingzoo
import pytest
from gymnasium.wrappers import TimeLimit

import drone_formation
from drone_formation import RewardWeights, Swarms, Task, formations, registration
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
    assert env.unwrapped.swarms.task == registration.task_name(id)
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


@pytest.fixture
def forgetting() -> Iterator[None]:
    """What a test registers is known in that test alone."""
    known = [TASKS, *registration._registries()]
    before = [dict(names) for names in known]
    yield
    for names, old in zip(known, before, strict=True):
        names.clear()
        names.update(old)


@pytest.mark.usefixtures("forgetting")
def test_a_registered_task_is_known_everywhere() -> None:
    task = Task("three_rows", "three rows", formations.flag, reward=RewardWeights(spin=0.5))
    assert drone_formation.register_task(task) is task
    assert task.id == "DroneThreeRows-v0"
    for named in (task, "three_rows", "DroneThreeRows-v0"):
        assert registration.resolve_task(named) is task
        assert Swarms(named, num_drones=3).reward_weights.spin == 0.5
        assert drone_formation.JointEnv(named, num_drones=3).swarms.task == "three_rows"
    spec = gymnasium.make("DroneThreeRows-v0", num_drones=3).spec
    assert spec is not None
    assert spec.kwargs["task"] == "three_rows"


@pytest.mark.usefixtures("forgetting")
def test_a_task_is_registered_when_it_is_used() -> None:
    task = Task("on_the_fly", formation=formations.cube)
    assert Swarms(task, 1, 5).task == "on_the_fly"
    assert "DroneOnTheFly-v0" in gymnasium.registry


@pytest.mark.usefixtures("forgetting")
def test_registering_twice_and_clashes() -> None:
    task = Task("three_rows", formation=formations.flag)
    drone_formation.register_task(task)
    assert drone_formation.register_task(pickle.loads(pickle.dumps(task))) == task
    other = replace(task, formation=formations.cube, version=1)
    with pytest.raises(ValueError, match=r"'three_rows': another task is registered .* force=True"):
        drone_formation.register_task(other)
    drone_formation.register_task(other, force=True)
    assert registration.resolve_task("DroneThreeRows-v1") is other
    assert "DroneThreeRows-v0" not in gymnasium.registry
    for force in (False, True):
        with pytest.raises(ValueError, match="'flag': a task of the package has this name"):
            drone_formation.register_task(Task("flag", formation=formations.cube), force=force)
    assert drone_formation.register_task(TASKS["flag"]) is TASKS["flag"]
    gymnasium.register("DroneTheirs-v0", entry_point="theirs:Env")
    with pytest.raises(ValueError, match="DroneTheirs-v0 is registered with Gymnasium by another"):
        drone_formation.register_task(Task("theirs"))
    with pytest.raises(TypeError, match="task must be a Task, got 'flag'"):
        drone_formation.register_task("flag")


@pytest.mark.usefixtures("forgetting")
def test_a_mixture_of_ones_own() -> None:
    mine = Task("mine", formation=formations.cube, reward=RewardWeights(crash=7))
    mixture = Task("my_mixture", of=("flag", "mine"))
    with pytest.raises(ValueError, match="'my_mixture': it draws from 'mine', which is not reg"):
        drone_formation.register_task(mixture)
    drone_formation.register_task(mine)
    swarms = Swarms(mixture, 16, 3, seed=0)
    swarms.reset()
    assert set(swarms.tasks) == {"flag", "mine"}
    assert swarms.reward_weights == {"flag": TASKS["flag"].reward, "mine": mine.reward}
    with pytest.raises(ValueError, match="draws from 'my_mixture', which is a mixture itself"):
        drone_formation.register_task(Task("mixed_again", of=("my_mixture",)))


def test_public_names() -> None:
    for name in drone_formation.__all__:
        assert name in dir(drone_formation)
        assert getattr(drone_formation, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = drone_formation.nonsense
