"""numba's disk cache: never stale, never fatal, and a word to the user who waits."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import drone_formation
from drone_formation import kernel

PACKAGE = Path(drone_formation.__file__).parent


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_kernel_depends_on_no_other_module():
    """The cache is stamped by one file; a constant of another module could go stale in it."""
    tree = ast.parse(Path(kernel.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports
    for node in imports:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert not node.module.startswith("drone_formation")
        else:
            assert not any(name.name.startswith("drone_formation") for name in node.names)


def test_an_upgrade_of_another_module_is_seen(tmp_path):
    """What is compiled stays in the cache, what another module says changes all the same."""
    shutil.copytree(
        PACKAGE, tmp_path / "drone_formation", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = (
        "from drone_formation import Swarms; s = Swarms('hover', 1, 2, seed=0); "
        "print(s.reset()[0, 0, 30])"
    )
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    first = run(code, tmp_path, **cache)
    assert "compiling the simulator" in first.stderr
    table = tmp_path / "drone_formation" / "observation.py"
    text = table.read_text()
    assert "NEIGHBOUR_SCALE = 2.0" in text
    table.write_text(text.replace("NEIGHBOUR_SCALE = 2.0", "NEIGHBOUR_SCALE = 4.0"))
    second = run(code, tmp_path, **cache)
    assert "compiling" not in second.stderr
    assert float(first.stdout) != float(second.stdout)


def test_no_writable_folder_is_no_reason_to_fail(tmp_path):
    code = (
        "import numpy as np; from numba.core.caching import CacheImpl; "
        "CacheImpl._locator_classes = []; "  # as where neither folder can be written
        "from drone_formation import kernel; "
        "print(kernel.all_finite(np.zeros(3, np.float32)))"
    )
    assert run(code, tmp_path, PYTHONPATH=str(PACKAGE.parent)).stdout == "True\n"
