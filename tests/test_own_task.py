"""A task of a user's own, from a package outside this one, as a user would have it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import drone_formation

pytestmark = pytest.mark.repository  # reads the examples
ROOT = Path(__file__).parents[1]
ENTRY_POINTS = """\
[drone_formation.tasks]
figure_eight = my_swarms.tasks:FIGURE_EIGHT
waving_flag = my_swarms.tasks:WAVING_FLAG
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the example as a package of somebody's."""
    package = tmp_path / "my_swarms"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(ROOT / "examples" / "own_task.py", package / "tasks.py")
    return tmp_path


def install(site: Path, entry_points: str = ENTRY_POINTS) -> None:
    """What an installer leaves: the metadata of a distribution."""
    info = site / "my_swarms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-swarms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def run(site: Path, script: str, *, warns: bool = False) -> str:
    """What a script prints that is run beside the package, from another folder."""
    file = site / "script.py"
    file.write_text(script)
    here = Path(drone_formation.__file__).parents[1]
    path = os.pathsep.join([str(site), str(here)])
    (site / "elsewhere").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-W", "default" if warns else "error", str(file)],
        cwd=site / "elsewhere", env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + (done.stderr if warns else "")


def test_it_is_in_every_view_and_the_stock_checkers_pass(site: Path) -> None:
    script = """
import warnings
import gymnasium as gym, numpy as np, pettingzoo
with warnings.catch_warnings():  # third parties' own
    warnings.simplefilter("ignore")
    from gymnasium.utils.env_checker import check_env
    from pettingzoo.test import parallel_api_test
    from stable_baselines3.common.env_checker import check_env as sb3_check_env
import drone_formation as df
import my_swarms.tasks as mine

small = {"num_drones": 6, "max_steps": 20}
ids = {"DroneFigureEight-v0": mine.FIGURE_EIGHT, "DroneWavingFlag-v0": mine.WAVING_FLAG}
for id, task in ids.items():
    env = gym.make(id, **small)
    check_env(env.unwrapped, skip_render_check=True)
    assert gym.envs.registration.EnvSpec.from_json(env.spec.to_json()).make().reset()
    parallel_api_test(df.parallel_env(id, **small), num_cycles=30)
    views = [
        df.JointEnv(task, **small), df.aec_env(id, **small), df.VectorEnv(task.name, 2, **small),
        df.DroneVecEnv(task, 2, **small), gym.make_vec(id, num_envs=2, **small),
        gym.make_vec(id, num_envs=2, vectorization_mode="sync", **small),
    ]
    if hasattr(pettingzoo, "register"):
        views += [pettingzoo.make(kind, id, **small) for kind in ("parallel", "aec")]
    for view in views:
        view.reset()
    swarms = df.Swarms(task, 2, 6, seed=0)
    assert swarms.task == task.name
    assert swarms.reward_weights == task.reward
    swarms.reset()
    if task is mine.FIGURE_EIGHT:
        assert np.ptp(swarms.position[..., 2]) == 0, "its own start"
    rest = np.zeros((2, 6, 4), np.float32)
    for _ in range(30):
        swarms.step(rest)
    assert np.abs(swarms.target_velocity).max() > 0.1
    print(id, env.unwrapped.swarms.arena.tolist())
"""
    lines = run(site, script).splitlines()
    assert "DroneFigureEight-v0 [30.0, 30.0, 10.0]" in lines
    assert "DroneWavingFlag-v0 [30.0, 30.0, 10.0]" in lines


def test_it_is_feasible_at_all_times(site: Path) -> None:
    script = """
from drone_formation.planner import check_task
from my_swarms.tasks import FIGURE_EIGHT, WAVING_FLAG
for num_drones in (1, 2, 3, 7, 64, 256):
    for collision_distance in (1.0, 2.5):
        check_task(FIGURE_EIGHT, num_drones, collision_distance)
        check_task(WAVING_FLAG, num_drones, collision_distance)
"""
    run(site, script)


def test_what_one_types_in_a_shell(site: Path) -> None:
    """Without a registration of one's own: module and attribute, or an id after the module."""
    script = """
import gymnasium as gym, drone_formation as df
from drone_formation.registration import resolve_task
assert df.Swarms("my_swarms.tasks:WAVING_FLAG").task == "waving_flag"
assert resolve_task("DroneFigureEight-v0").name == "figure_eight"
assert resolve_task("my_swarms.tasks:DroneFigureEight-v0").name == "figure_eight"
print(gym.make("my_swarms.tasks:DroneFigureEight-v0", num_drones=3).unwrapped.swarms.task)
"""
    assert run(site, script) == "figure_eight\n"


def test_an_installed_distribution_makes_its_tasks_known(site: Path) -> None:
    install(site)
    script = """
import sys, drone_formation as df
assert not any(name.startswith("my_swarms") for name in sys.modules), "before it is asked for"
print(df.parallel_env("figure_eight", num_drones=3).metadata["name"])
from drone_formation.registration import discover_tasks
print(list(discover_tasks())[-2:])
"""
    assert run(site, script) == "drone_figure_eight_v0\n['figure_eight', 'waving_flag']\n"
    listed = run(site, "from drone_formation.cli import main; main(['list'])")
    assert "DroneFigureEight-v0 " in listed
    assert "DroneWavingFlag-v0 " in listed


def test_a_broken_distribution_is_told_of_and_does_no_harm(site: Path) -> None:
    install(site, "[drone_formation.tasks]\nlost = my_swarms.nowhere:TASK\n" + ENTRY_POINTS[24:])
    script = """
from drone_formation.registration import discover_tasks
print("waving_flag" in discover_tasks())
"""
    said = run(site, script, warns=True)
    assert said.startswith("True\n")
    assert "the task lost = my_swarms.nowhere:TASK of an installed distribution cannot be" in said


def test_spawned_workers_find_it(site: Path) -> None:
    """By an id after its module, by module and attribute, or given the task itself."""
    script = """
import warnings
import gymnasium as gym
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from stable_baselines3.common.vec_env import SubprocVecEnv
import drone_formation as df

class Flat(gym.ObservationWrapper):  # SB3's workers take any Gymnasium environment
    def observation(self, observation):
        return observation

def make(task):
    return Flat(df.JointEnv(task, num_drones=3))

if __name__ == "__main__":
    from functools import partial
    from my_swarms.tasks import FIGURE_EIGHT
    for made in (
        partial(gym.make, "my_swarms.tasks:DroneFigureEight-v0", num_drones=3),
        partial(make, "my_swarms.tasks:FIGURE_EIGHT"),
        partial(make, FIGURE_EIGHT),
    ):
        envs = gym.vector.AsyncVectorEnv([made], context="spawn", shared_memory=False)
        print(envs.reset(seed=0)[0].shape)
        envs.close()
    envs = SubprocVecEnv([partial(make, FIGURE_EIGHT)], start_method="spawn")
    print(envs.reset().shape)
    envs.close()
"""
    lines = run(site, script, warns=True).splitlines()
    assert [line.split(", ")[:2] for line in lines[:4]] == [["(1", "3"]] * 4


def test_an_unknown_name_says_what_to_do(site: Path) -> None:
    script = """
import drone_formation as df
for task in ("figure_eight", "my_swarms.none:X", "my_swarms.tasks:LOST", "my_swarms.tasks:SINE"):
    try:
        df.Swarms(task)
    except ValueError as error:
        print(error)
"""
    unknown, nowhere, lost, other = run(site, script).splitlines()
    for text in ("DroneIdle-v0", "package.module:attribute", "register_task", "'figure_eight'"):
        assert text in unknown
    assert nowhere == "task 'my_swarms.none:X': there is no module 'my_swarms.none'"
    assert "DroneFigureEight-v0" in lost
    assert "got 'my_swarms.tasks:LOST'" in lost
    assert other.startswith("task 'my_swarms.tasks:SINE' must be a Task, and is of type ndarray")
