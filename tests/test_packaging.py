"""The wheel: what is in it, what it says about itself, and that it works on its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes, message_from_string
from email.message import Message
from pathlib import Path

import pytest

import drone_formation
from drone_formation.cli.program import EXTRAS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "drone_formation"
MISSING = [name for name in ("build", "hatchling") if importlib.util.find_spec(name) is None]
if MISSING:
    pytest.skip(
        f"needs {' and '.join(MISSING)} (pip install build hatchling)", allow_module_level=True
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel of the source tree, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    # Elsewhere, since a folder of build results would be taken for the module "build".
    done = subprocess.run(
        [*command, str(ROOT)], capture_output=True, text=True, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def metadata(wheel: zipfile.ZipFile, name: str = "METADATA") -> Message:
    """A file of the wheel's ``.dist-info`` whose lines are ``Field: value``."""
    (path,) = (entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}"))
    return message_from_bytes(wheel.read(path))


def test_the_package_is_in_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    info = {name for name in names if ".dist-info/" in name}
    tracked = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names - info == tracked
    assert "drone_formation/py.typed" in names
    assert not any(re.search(r"(^|/)(tests?|examples|benchmarks|docs)/", name) for name in names)
    kinds = {Path(name).suffix for name in tracked}
    assert kinds <= {".py", ".typed", ".npz", ".json", ".md"}, "nothing else belongs there"
    assert not any(name.endswith((".pkl", ".pickle", ".pt", ".so", ".zip")) for name in names)


def test_policies_come_along(wheel: zipfile.ZipFile) -> None:
    from drone_formation.pilots.library import shipped_policies

    shipped = {f"drone_formation/policies/{name}.npz" for name in shipped_policies()}
    assert shipped == {name for name in wheel.namelist() if name.endswith(".npz")}


def test_what_it_says_about_itself(wheel: zipfile.ZipFile) -> None:
    said = metadata(wheel)
    assert said["Name"] == "drone-formation"
    assert said["Version"] == drone_formation.__version__
    assert said["License-Expression"] == "MIT"
    assert said.get_all("License-File") == ["LICENSE"]
    assert not [line for line in said.get_all("Classifier", []) if line.startswith("License")]
    assert said["Requires-Python"] == ">=3.11"
    required = {
        re.split(r"[<>=; \[]", line)[0]
        for line in said.get_all("Requires-Dist", [])
        if "extra ==" not in line
    }
    assert required == {"gymnasium", "pettingzoo", "numpy", "numba"}
    extras = set(said.get_all("Provides-Extra", []))
    assert extras == {"assignment", "plots", "render", "train", "trainers", "all", "test"}
    named = re.compile(r"drone-formation\[(\w+)\]")
    messages = {name for path in SOURCE.rglob("*.py") for name in named.findall(path.read_text())}
    assert messages | set(EXTRAS.values()) <= extras, "what a message tells to install is there"
    assert metadata(wheel, "WHEEL")["Root-Is-Purelib"] == "true"
    assert metadata(wheel, "WHEEL")["Tag"] == "py3-none-any"
    (licence,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert b"MIT License" in wheel.read(licence)


def test_it_works_on_its_own(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Unpacked, as an installer would, and away from the repository."""
    wheel.extractall(tmp_path / "site")
    script = """
import gymnasium as gym, numpy as np
import drone_formation
env = gym.make("DroneFlag-v0", num_drones=3)
env.reset(seed=0)
for _ in range(100):
    observation, reward, *_ = env.step(np.zeros((3, 4), np.float32))
assert observation in env.observation_space
print(drone_formation.__file__)
"""
    # Interpreted: compiling anew takes half a minute, and is no different there.
    environment = {
        **os.environ, "PYTHONPATH": str(tmp_path / "site"), "NUMBA_DISABLE_JIT": "1"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_the_citation_names_this_version() -> None:
    said = message_from_string((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert said["cff-version"] == "1.2.0"
    assert said["license"] == "MIT"
    assert said["version"] == drone_formation.__version__
