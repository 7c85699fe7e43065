"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drone_formation import RewardWeights, Swarms
from drone_formation.control import CONTROL_MODES
from drone_formation.observation import observation_table
from drone_formation.tasks import BUILT_IN as TASKS

ROOT = Path(__file__).parents[1]
#: Arguments of ``Swarms`` that views set, or take elsewhere.
HIDDEN = {"task", "num_swarms", "seed"}


@pytest.fixture(scope="module")
def make_pages() -> ModuleType:
    """``docs/make_pages.py``, as a module."""
    spec = importlib.util.spec_from_file_location("make_pages", ROOT / "docs" / "make_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def cells(markdown: str, head: str) -> list[list[str]]:
    """The rows of the table whose head begins with ``head``."""
    lines = markdown[markdown.index(f"\n| {head}") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_of_tasks_is_up_to_date(make_pages: ModuleType) -> None:
    assert text("docs/tasks.md") == make_pages.document(), "run: python docs/make_pages.py"


def test_the_page_tells_of_everything() -> None:
    page = text("docs/tasks.md")
    sections = re.findall(r"^### (Drone.*)$", page, re.MULTILINE)
    assert sections == [task.id for task in TASKS.values()]
    names = [*RewardWeights.__dataclass_fields__, *(row.name for row in observation_table())]
    names += [name for name in inspect.signature(Swarms).parameters if name not in HIDDEN]
    names += [f'"{mode}"' for mode in CONTROL_MODES]
    missing = [name for name in names if f"`{name}`" not in page]
    assert not missing
    assert "``" not in page.replace("```", "")
    assert ":func:" not in page
    anchors = {f"#{section.lower()}" for section in sections}
    assert set(re.findall(r"\]\((#[^)]*)\)", page)) == anchors


def test_readme_lists_the_ids() -> None:
    rows = cells(text("README.md"), "id |")
    assert [row[0] for row in rows] == [f"`{task.id}`" for task in TASKS.values()]
    for (_, words), task in zip(rows, TASKS.values(), strict=True):
        if "`" not in words:  # where it has no more to say than the table
            assert words == task.summary.removeprefix("the swarm ")


def test_readme_describes_the_observation() -> None:
    rows = cells(text("README.md"), "columns |")
    slices = list(observation_table(Swarms("flag", 1, 3).neighbours))
    for columns, quoted, meaning in rows:
        name = quoted.strip("`")
        first, last = (int(number) for number in columns.split("–"))
        described = [slices.pop(0)]
        if name.endswith("*"):
            while slices and slices[0].name.startswith(name[:-1]):
                described.append(slices.pop(0))
            assert described[0].name.startswith(name[:-1])
        else:
            assert (described[0].name, described[0].meaning) == (name, meaning)
        assert first == described[0].start
        assert last == described[-1].start + described[-1].size - 1
    assert not slices, f"the README leaves out {[part.name for part in slices]}"


def test_readme_tells_the_observations_length() -> None:
    readme, size = text("README.md"), observation_table()[-1].columns.stop
    assert f"obs (64, {size}), action (64, 4)" in readme
    assert f"# (8, 64, {size}) float32" in readme


def test_files_that_the_guide_names_exist() -> None:
    guide = text("CONTRIBUTING.md")
    named = re.findall(r"\b((?:tests|benchmarks|docs|drone_formation)/[\w/]+\.py)\b", guide)
    assert len(named) > 10
    missing = [name for name in named if not (ROOT / name).is_file()]
    assert not missing


def test_add_a_formation_to_the_letter(tmp_path: Path) -> None:
    """Follow CONTRIBUTING.md in a copy: apply its code blocks, then run its commands."""
    guide = text("CONTRIBUTING.md").split("## Add a formation in 20 lines")[1].split("\n## ")[0]
    blocks = re.findall(r"```(\w+)\n(.*?)```", guide, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "python", "markdown", "bash"]
    function, row, readme_row, commands = (code for _, code in blocks)
    assert (function + row + readme_row).count("\n") <= 20

    for name in ("drone_formation", "docs", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)  # compiled code comes along
    for name in ("README.md", "pyproject.toml", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    formations = tmp_path / "drone_formation" / "formations.py"
    with formations.open("a", encoding="utf-8") as file:
        file.write("\n\n" + function)
    insert_above(tmp_path / "drone_formation" / "tasks.py", 'Task("mixed"', row)
    insert_above(tmp_path / "README.md", "| `DroneMixed-v0`", readme_row)

    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True,
            text=True, timeout=300, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = {}
    for line in commands.strip().splitlines():
        program, *arguments = line.split()
        if program == "drone-formation":
            arguments = ["-m", "drone_formation", *arguments]
        elif arguments[:2] == ["-m", "pytest"]:  # the whole matrix: here, the quick half of it
            arguments += ["tests/core/test_tasks.py", "tests/test_golden.py", "tests/test_docs.py",
                          "--deselect", "tests/test_docs.py::" + here()]  # fmt: skip
        said[line] = run(*arguments)
    assert "DroneHelix-v0" in said["drone-formation list"]
    assert "### DroneHelix-v0" in (tmp_path / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert "DroneHelix-v0: new" in said["python tests/test_golden.py --write"]
    assert "failed" not in said["python -m pytest -k helix"]
    script = """
import gymnasium as gym, numpy as np
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import parallel_api_test
import drone_formation
env = gym.make("DroneHelix-v0", num_drones=64)
check_env(env.unwrapped, skip_render_check=True)
observations, _ = env.reset(seed=0)
for _ in range(50):
    observations, reward, *_ = env.step(np.zeros((64, 4), np.float32))
parallel_api_test(drone_formation.parallel_env("helix", num_drones=3), num_cycles=20)
print(drone_formation.__file__, env.unwrapped.swarms.crash)
"""
    assert str(tmp_path) in run("-c", script)


def insert_above(path: Path, mark: str, line: str) -> None:
    """Insert a line above the only one that begins with ``mark``."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (place,) = (i for i, old in enumerate(lines) if old.strip().startswith(mark))
    lines.insert(place, line)
    path.write_text("".join(lines), encoding="utf-8")


def here() -> str:
    """Name of the test that follows the guide."""
    return test_add_a_formation_to_the_letter.__name__
