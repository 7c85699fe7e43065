"""numba's disk cache: never stale, never fatal, and a word to the user who waits."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import drone_formation
from drone_formation import kernel

PACKAGE = Path(drone_formation.__file__).parent

#: Flies every motion model, randomised, with collisions and crashes, and prints a hash of it all.
FLIGHT = """
import hashlib
import numpy as np
from drone_formation import Randomization, Swarms
digest, random = hashlib.sha256(), np.random.default_rng(0)
for task, drones in ("flag", 20), ("follow", 200), ("race", 20):
    swarms = Swarms(task, 2, drones, seed=0, randomization=Randomization())
    digest.update(swarms.reset())
    for _ in range(60):
        for array in swarms.step(random.uniform(-0.5, 0.5, (2, drones, 4)).astype(np.float32)):
            digest.update(array)
    for array in (swarms.position, swarms.attitude, swarms.rotor_speeds):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


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


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder with a copy of the package, whose compiled code is in a cache of its own."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "drone_formation", ignore=ignored)
    return folder


def fly(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run :data:`FLIGHT` on the copy."""
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    return run(FLIGHT, folder, **cache, **environment)


def compiled(folder: Path) -> dict[str, int]:
    """What is in the cache, and since when.

    The word to the user would tell as well, were it not for slow or busy machines: there even
    reading the cache can take long enough for it.
    """
    return {str(path): path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.nb?")}


@pytest.fixture(scope="module")
def cold(copy):
    """The first flight, which compiles."""
    result = fly(copy)
    assert "compiling the simulator" in result.stderr
    return result


def test_compiling_changes_no_bit(copy, cold):
    """The process that compiles computes exactly what those that load the cache compute."""
    before = compiled(copy)
    warm = fly(copy)
    assert compiled(copy) == before != {}
    assert warm.stdout == cold.stdout


def test_the_processor_changes_no_bit(copy, cold):
    """Neither fused nor wider instructions round differently: here without AVX and FMA."""
    plain = fly(copy, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert "compiling the simulator" in plain.stderr
    assert plain.stdout == cold.stdout


def test_an_upgrade_of_another_module_is_seen(copy, cold):
    """What is compiled stays in the cache, what another module says changes all the same."""
    table = copy / "drone_formation" / "observation.py"
    text = table.read_text()
    assert "NEIGHBOUR_SCALE = 2.0" in text
    before = compiled(copy)
    table.write_text(text.replace("NEIGHBOUR_SCALE = 2.0", "NEIGHBOUR_SCALE = 4.0"))
    try:
        upgraded = fly(copy)
    finally:
        table.write_text(text)
    assert compiled(copy) == before != {}
    assert upgraded.stdout != cold.stdout


def test_no_writable_folder_is_no_reason_to_fail(tmp_path):
    code = (
        "import numpy as np; from numba.core.caching import CacheImpl; "
        "CacheImpl._locator_classes = []; "  # as where neither folder can be written
        "from drone_formation import kernel; from numba import njit; "
        "print(njit(lambda numbers: kernel.all_finite(numbers))(np.zeros(3, np.float32)))"
    )
    assert run(code, tmp_path, PYTHONPATH=str(PACKAGE.parent)).stdout == "True\n"
