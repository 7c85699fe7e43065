"""CONTRIBUTING.md's recipes, followed to the letter in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: Where a block goes: "In `file`, above `mark`:", and the block.
EDIT = re.compile(r"In `([^`]+)`,\s+(above|below)\s+`([^`]+)`:\n\n```python\n(.*?)```", re.DOTALL)

#: Flies with everything that the recipes add, and fails where it has no effect.
FLIGHT = """
import numpy as np
from drone_formation import Disturbances, RewardWeights, Swarms
from drone_formation.observation import observation_table, symmetries

def fly(task="lift", steps=20, action=0.0, **options):
    swarms = Swarms(task, 1, 3, seed=0, **options)
    swarms.reset()
    for _ in range(steps):
        result = swarms.step(np.full((1, 3, 4), action, np.float32))
    return swarms, result

swarms, result = fly()
assert np.allclose(swarms.target_velocity[0, :, 2], 0.2 * np.pi * np.cos(0.2 * np.pi), atol=1e-5)
(height,) = [row for row in observation_table() if row.name == "height"]
z = swarms.position[..., 2]
assert np.allclose(result.observations[..., height.start], z / (10 + abs(z)), atol=1e-6)
assert result.observations.shape[2] == 62 and symmetries()[0][0].shape == (62, 62)

free, crowded = fly(steps=1), fly(steps=1, reward=RewardWeights(crowding=1.0))
paid = free[1].rewards - crowded[1].rewards
assert np.allclose(paid, 1 / (1 + free[0].nearest_distance), atol=1e-5), paid

swarms, _ = fly(steps=200, action=0.5, control="rotor_thrust", arena=(30.0, 30.0, 300.0))
hover = swarms.airframe.hover_rotor_speed
middle = np.sqrt((hover**2 + swarms.airframe.max_rotor_speed**2) / 2)
assert np.allclose(swarms.rotor_speeds, middle, rtol=1e-4), swarms.rotor_speeds

start = fly(steps=1)[0].velocity[..., 2]
lifted = fly(steps=1, disturbances=Disturbances(buoyancy=2.0))[0].velocity[..., 2]
assert np.allclose(lifted - start, 2.0 * 0.05, rtol=0.01)  # 1 kg, for a step of 0.05 s
print("flown")
"""


class Recipe(NamedTuple):
    """A section of CONTRIBUTING.md: which files it changes, and how."""

    title: str
    edits: list[tuple[str, str, str, str]]

    @property
    def files(self) -> int:
        return len({file for file, *_ in self.edits})

    @property
    def lines(self) -> int:
        """Lines that are not empty."""
        return sum(bool(line.strip()) for *_, code in self.edits for line in code.splitlines())


def recipes() -> list[Recipe]:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide.split("## Extend the simulator")[1].split("\n## ")[0]
    return [
        Recipe(part.partition("\n")[0].strip(), EDIT.findall(part))
        for part in section.split("\n### ")[1:]
    ]


def apply(folder: Path, edit: tuple[str, str, str, str]) -> None:
    """Insert a block above or below the only place that has a mark."""
    file, where, mark, code = edit
    path = folder / file
    source, mark = path.read_text(encoding="utf-8"), mark.replace("\\n", "\n")
    assert source.count(mark) == 1, f"{file} has {mark!r} {source.count(mark)} times"
    begin = source.index(mark)
    at = begin if where == "above" else source.index("\n", begin) + 1
    path.write_text(source[:at] + code + source[at:], encoding="utf-8")


def test_the_table_says_what_they_take() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    said = {
        what.strip(): (int(files), int(lines))
        for what, files, lines in re.findall(r"\| (an? [\w ()]+) \| (\d+) \| (\d+) \|", guide)
    }
    formation = guide.split("## Add a formation in 20 lines")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", formation, re.DOTALL)
    found = {"a formation (above)": (2, sum(len(block.splitlines()) for block in blocks))}
    for recipe in recipes():
        found[recipe.title[0].lower() + recipe.title[1:]] = (recipe.files, recipe.lines)
    assert found == said


def test_recipes_work_to_the_letter(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "drone_formation", tmp_path / "drone_formation", ignore=ignored)
    for recipe in recipes():
        assert recipe.edits, recipe.title
        for edit in recipe.edits:
            apply(tmp_path, edit)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FLIGHT], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "flown\n"
