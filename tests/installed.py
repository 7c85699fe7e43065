"""Run the tests against the installed wheel, away from the repository.

    python tests/installed.py                     # builds the wheel, tests what users get
    python tests/installed.py -k flag             # further arguments are pytest's
    python tests/installed.py --wheel dist/drone_formation-0.1.0-py3-none-any.whl

In a temporary folder: a fresh virtual environment with the wheel and its extra ``test``, and a copy
of the tests.  Those that read the repository's own files (marked ``repository``) are left out, by
name of the marker and in plain sight: pytest says how many it deselected.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHOICE = "not repository and not trainers"


def build(folder: Path) -> Path:
    """The wheel of the source tree."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def main() -> int:
    """Build, install, test; pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="built already")
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    arguments, rest = parser.parse_known_args()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        wheel = arguments.wheel.resolve() if arguments.wheel else build(folder)
        venv.create(folder / "venv", with_pip=True)
        bin_ = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        python = str(bin_ / "python")
        constraints = ["-c", str(arguments.constraints.resolve())]
        install = [python, "-m", "pip", "install", "-q", *constraints, f"{wheel}[test]"]
        subprocess.run(install, check=True, cwd=folder, env=environment)

        work = folder / "work"
        shutil.copytree(
            ROOT / "tests", work / "tests", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(ROOT / "pyproject.toml", work)  # pytest's settings
        said = "import drone_formation as d; print(d.__version__, d.__file__)"
        where = subprocess.run(
            [python, "-c", said],
            check=True,
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
        ).stdout.strip()
        print(f"testing drone_formation {where}", flush=True)
        if str(folder / "venv") not in where:
            print("that is not what was installed", file=sys.stderr)
            return 1
        command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-m", CHOICE, *rest]
        # The wheel's commands are found on the path, as in an activated environment.
        path = os.pathsep.join([str(bin_), environment.get("PATH", "")])
        return subprocess.run(command, cwd=work, env={**environment, "PATH": path}).returncode


if __name__ == "__main__":
    sys.exit(main())
