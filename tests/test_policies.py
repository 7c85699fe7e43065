"""The trained policies that come with the package: sound files, no torch, and they fly."""

import subprocess
import sys
from dataclasses import replace
from importlib import resources

import pytest

from drone_formation import Randomization, load_pilot
from drone_formation.evaluation import evaluate
from drone_formation.pilots.library import policy_of, shipped_policies
from drone_formation.tasks import TASKS

FOLDER = resources.files("drone_formation").joinpath("policies")

#: task: least perf and most collisions per drone-minute, over two episodes of 512 steps.  All
#: collisions happen on the way to the targets: full episodes, twice as long, have half as many.
BOUNDS = {
    "hover": (0.999, 0.0),
    "flag": (0.96, 0.4),
    "sphere": (0.965, 0.4),
    "cube": (0.965, 0.4),
    "orbit": (0.965, 0.4),
    "follow": (0.96, 0.8),
    "conga": (0.95, 0.4),
    "idle": (0.95, 0.2),
    "formation": (0.96, 0.4),
}


def fly(name, task, **options):
    pilot = load_pilot(name)
    options = {"max_steps": 512, **pilot.options, **options}
    return evaluate(pilot, task, 2, **options).as_dict()


def test_joint_policies_come_along_and_all_are_small():
    assert {"generalist", "randomized"} == set(shipped_policies())
    sizes = [len(FOLDER.joinpath(f"{name}.npz").read_bytes()) for name in shipped_policies()]
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize("name", shipped_policies())
def test_a_policy_tells_where_it_comes_from(name):
    # Loading it also checks its checksum.
    about = load_pilot(name).metadata
    assert {"task", "command", "seed", "steps", "seconds", "versions", "evaluation"} <= set(about)


def test_policies_load_and_fly_without_torch():
    code = """
import sys
sys.modules["torch"] = sys.modules["stable_baselines3"] = None  # importing them fails
from drone_formation import load_pilot
from drone_formation.pilots.library import shipped_policies
from drone_formation.swarms import Swarms
for name in shipped_policies():
    pilot = load_pilot(name)
    swarms = Swarms("race", seed=0, **pilot.options)
    swarms.reset()
    swarms.step(pilot.act(swarms))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("task", BOUNDS)
def test_the_joint_policy_flies_every_formation(task):
    found = fly("generalist", task)
    perf, collisions = BOUNDS[task]
    assert found["perf"] >= perf
    assert found["collisions"] <= collisions
    assert found["on_target"] >= 0.98
    assert found["crashes"] <= 0.01


@pytest.mark.parametrize("task", ["flag", "sphere", "cube", "conga"])
def test_the_joint_policy_hardly_collides_when_slots_are_assigned_well(task):
    pytest.importorskip("scipy")
    found = fly("generalist", task, assignment="optimal")
    assert found["on_target"] >= 0.98
    assert found["collisions"] <= 0.1


@pytest.mark.parametrize("task", [name for name in TASKS if name not in shipped_policies()])
def test_a_task_without_a_policy_of_its_own_has_the_joint_one(task, tmp_path, monkeypatch):
    assert load_pilot(task).metadata == load_pilot("generalist").metadata
    # but what the user has made goes first
    monkeypatch.chdir(tmp_path)
    (tmp_path / task).mkdir()
    with pytest.raises(FileNotFoundError, match=task):
        load_pilot(task)


def test_the_default_of_the_flag_lands_within_a_centimetre():
    found = fly("flag", "flag")
    assert found["on_target"] == 1
    assert found["formation_error"] <= 0.01
    assert found["collisions"] <= 0.9


@pytest.mark.parametrize("num_drones", [1, 8, 256])
def test_the_joint_policy_flies_swarms_of_other_sizes(num_drones):
    found = fly("generalist", "flag", num_drones=num_drones)
    assert found["within_half_metre"] >= 0.95


@pytest.mark.parametrize("task", ["flag", "sphere", "follow", "formation"])
def test_the_randomized_policy_lands_drones_of_every_airframe(task):
    found = fly("randomized", task, randomization=Randomization(), max_steps=1024)
    assert found["on_target"] >= 0.95
    assert found["crashes"] <= 0.01
    assert found["collisions"] <= 0.4


def test_which_policy_flies_what():
    assert policy_of("flag") == policy_of("race") == policy_of("mixed") == "generalist"
    assert policy_of("flag", randomized=True) == policy_of("mixed", randomized=True) == "randomized"
    assert policy_of("race", randomized=True) == "generalist"
    task = replace(TASKS["race"], name="my_race", version=1)  # a race by what it is, not its name
    try:
        assert policy_of(task, randomized=True) == "generalist"
        assert policy_of("DroneMyRace-v1") == "generalist"
    finally:
        del TASKS["my_race"]


def test_the_joint_policy_races():
    found = fly("generalist", "race")
    assert found["rings_per_minute"] >= 32  # joining takes its share of a short episode
    assert found["collisions"] <= 1
    assert found["crashes"] <= 0.02
