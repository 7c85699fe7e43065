"""Types: a user's script that names what is public is strictly typed, and so is the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import drone_formation

pytest.importorskip("mypy")

SCRIPT = """
import numpy as np
import drone_formation as df
from drone_formation.tasks import TASKS

env = df.parallel_env("DroneFlag-v0", num_drones=4, airframe=df.Airframe(mass=1.1))
observations, infos = env.reset(seed=0)
swarms: df.Swarms = env.swarms
pilot = df.load_pilot("DroneFlag-v0")
actions: np.ndarray = pilot.act(swarms)
distance: float = float(swarms.distance.mean())
envs = df.VectorEnv(TASKS["cube"], num_envs=2, reward=df.RewardWeights(), neighbours=3)
seen, rewards, terminated, truncated, more = envs.step(np.zeros((2, 64, 4)))
joint: df.JointEnv = df.JointEnv("flag", randomization=df.Randomization())
rows = df.DroneVecEnv("flag", num_swarms=2)
found = df.evaluate(pilot, "flag", episodes=1)
print(found.per_episode["perf"].mean(), distance, rewards.sum(), rows.num_envs, df.__version__)
"""


def mypy(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def test_a_users_script_is_strictly_typed(tmp_path: Path) -> None:
    """As a user checks it: elsewhere, with no configuration, and what is wrong is found."""
    pytest.importorskip("stable_baselines3")
    names = ", ".join(sorted(drone_formation.__all__))
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "names.py").write_text(f"from drone_formation import {names}\n")
    (tmp_path / "wrong.py").write_text(
        f"{SCRIPT}steps: str = swarms.max_steps\nswarms.nonsense\ndf.nonsense\n"
    )
    done = mypy(tmp_path, "--strict", "script.py", "names.py", "wrong.py")
    errors = [line.split(": error: ") for line in done.stdout.splitlines() if ": error: " in line]
    lines = SCRIPT.count("\n")
    assert [(place, text.rsplit(" ")[-1]) for place, text in errors] == [
        (f"wrong.py:{lines + 1}", "[assignment]"),
        (f"wrong.py:{lines + 2}", "[attr-defined]"),
        (f"wrong.py:{lines + 3}", "[attr-defined]"),
    ], done.stdout + done.stderr


@pytest.mark.repository
@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.2.0",
    reason="the types of older NumPy tell less, and so differently, of shapes and of `max`",
)
def test_the_package_is_typed() -> None:
    """One regime for all of it, that of pyproject.toml."""
    done = mypy(Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout + done.stderr
