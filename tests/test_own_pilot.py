"""Pilots, a reward term and an observation slice of a user's own, from a package outside this one.

They are the examples, run as a user would run them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import drone_formation

pytestmark = pytest.mark.repository  # reads the examples
EXAMPLES = Path(__file__).parents[1] / "examples"
COMMAND = ("-m", "drone_formation")
SMALL = ("--num-drones", "4", "--episodes", "2")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the examples as a package of a user's own."""
    package = tmp_path / "my_swarms"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(EXAMPLES / "own_pilot.py", package / "pilots.py")
    shutil.copy(EXAMPLES / "own_reward.py", package / "careful.py")
    return tmp_path


def run(site: Path, *arguments: str, status: int = 0) -> str:
    """What a command prints that is run beside the package, from another folder."""
    here = Path(drone_formation.__file__).parents[1]
    (site / "elsewhere").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=site / "elsewhere",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(here)])},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_own_pilots_beat_hovering(site: Path) -> None:
    lines = run(
        site, str(site / "my_swarms" / "pilots.py"), "--drones", "8", "--episodes", "2",
        "--steps", "400",
    ).splitlines()  # fmt: skip
    assert [line.split(":")[0] for line in lines] == ["hover", "steer", "MyPilot"]
    hover, steer, mine = (float(re.findall(r"perf (\S+),", line)[0]) for line in lines)
    assert min(steer, mine) > 0.94 > 0.85 > hover
    assert all("100% of the drones within half" in line for line in lines[1:])


def test_own_pilots_on_the_command_line(site: Path) -> None:
    evaluate = (*COMMAND, "evaluate", "flag", *SMALL, "--max-steps", "60", "--json")
    found = json.loads(run(site, *evaluate, "--pilot", "my_swarms.pilots:MyPilot"))
    assert found["pilot"] == "MyPilot"
    assert found["options"]["control"] == "body_rates"
    steer = (*evaluate, "--pilot", "my_swarms.pilots:steer")
    found = json.loads(run(site, *steer, "--control", "body_rates"))
    assert found["pilot"] == "steer"
    said = run(site, *evaluate, "--pilot", "my_swarms.pilots:yours", status=2)
    assert "'my_swarms.pilots' has no 'yours'" in said
    said = run(site, *evaluate, "--pilot", "generalist", "--control", "body_rates", status=2)
    assert "control='motor'" in said


def test_own_terms_are_learnt_and_reported(site: Path) -> None:
    pytest.importorskip("stable_baselines3")
    said = run(site, str(site / "my_swarms" / "careful.py"), "--timesteps", "4096", "--drones", "8")
    assert len(re.findall(r"return_wall -?\d", said)) == 2
    # and its policy, which has a slice of its own, flies where that is shown
    policy = str(site / "elsewhere" / "runs" / "careful_flag")
    evaluate = (*COMMAND, "evaluate", *SMALL, "--max-steps", "60", "--pilot")
    for file in ("policy.npz", "model.zip"):
        table = run(site, *evaluate, f"{policy}/{file}", "my_swarms.careful:CAREFUL_FLAG")
        assert "\nreturn_wall" in table
    said = run(site, *evaluate, policy, "flag", status=2)
    assert "pilot 'careful_flag' observes wall, which the swarms do not show" in said
    assert "return_wall" not in run(site, *evaluate, "generalist", "flag")
    # a policy without it flies there, too
    assert "return_wall" in run(site, *evaluate, "generalist", "my_swarms.careful:CAREFUL_FLAG")


def test_own_terms_on_the_command_line(site: Path) -> None:
    pytest.importorskip("stable_baselines3")
    said = run(
        site, *COMMAND, "train", "my_swarms.careful:CAREFUL_FLAG", "--timesteps", "4096",
        "--num-drones", "8", "--out", "run",
    )  # fmt: skip
    assert "return_wall" in said
