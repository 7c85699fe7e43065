"""numba's disk cache: never stale, never fatal, and a word to the user who waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import drone_formation

PACKAGE = Path(drone_formation.__file__).parent

#: In blocks, in tiles, and on a course.
TASKS = (("flag", 20), ("follow", 200), ("race", 20))
#: Flies them, randomised, with collisions and crashes, and prints a hash of it all for each.
FLIGHT = """
import hashlib
import numpy as np
from drone_formation import Randomization, Swarms
for task, drones in TASKS:
    digest, random = hashlib.sha256(), np.random.default_rng(0)
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


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder with a copy of the package, whose compiled code is in a cache of its own."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "drone_formation", ignore=ignored)
    return folder


def fly(folder: Path, tasks: tuple = TASKS, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run :data:`FLIGHT` on the copy."""
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    return run(f"TASKS = {tasks}\n{FLIGHT}", folder, **cache, **environment)


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


@pytest.mark.parametrize(
    ("module", "constant", "changed"),
    [
        ("sim/layout.py", "PRECISION_SCALE = np.float32(0.1)", "PRECISION_SCALE = np.float32(0.3)"),
        ("sim/vectors.py", "return x * factor, y * factor", "return x * factor, z * factor"),
        ("airframe.py", '"hover_rotor_speed",', '"hover_rotor_speed",  # in rad/s'),
        ("observation.py", "NEIGHBOUR_SCALE = 2.0", "NEIGHBOUR_SCALE = 4.0"),
        ("reward.py", '"""The reward:', '"""What is paid:'),
        ("control.py", "YAW_AUTHORITY = 0.2", "YAW_AUTHORITY = 0.3"),
        ("disturbances.py", "50.0", "40.0"),
    ],
    ids=["layout", "vectors", "airframe", "observation", "reward", "control", "disturbances"],
)
def test_a_change_beside_the_entry_is_seen(copy, cold, module, constant, changed):
    """Whatever file it is in, all is compiled anew, and what it changes shows.

    numba by itself would notice only the file that holds the function.
    """
    source = copy / "drone_formation" / module
    text = source.read_text()
    assert text.count(constant) >= 1
    before = stamps(copy)
    source.write_text(text.replace(constant, changed, 1))
    try:
        after = stamps(copy)
        assert after != before
        if module == "sim/layout.py":
            changed_flights = [fly(copy, TASKS[:1]).stdout.splitlines() for _ in range(2)]
            assert changed_flights[0] != cold.stdout.splitlines()[:1]
            assert changed_flights[1] == changed_flights[0]  # and so it is in the cache
    finally:
        source.write_text(text)
    assert stamps(copy) == before


def stamps(folder: Path) -> str:
    """What a process that starts now would stamp compiled code with."""
    code = (
        "from drone_formation.sim import _jit; from pathlib import Path; "
        "print(_jit.source_stamp(Path(_jit.__file__).parent))"
    )
    return run(code, folder, PYTHONPATH=str(folder)).stdout


# ---- what is damaged, full or not writable -----------------------------------------------------

#: Compiles as the simulator does, in a fraction of the time.
SMALL = """
import numpy as np
from drone_formation.sim._jit import OPTIONS, compiled, inlined

@inlined
def twice(x):
    return x + x

@compiled(**OPTIONS)
def add_up(numbers):
    total = 0.0
    for number in numbers:
        total += twice(number)
    return total

@compiled(**OPTIONS)
def first(numbers):
    return numbers[0]

if __name__ == "__main__":
    print(add_up(np.ones(3)), first(np.ones(3)))
"""
RIGHT = "6.0 1.0\n"


@pytest.fixture
def small(tmp_path):
    """A folder with a small module of two compiled functions, and what a start of it says."""
    (tmp_path / "small.py").write_text(SMALL)

    def start(code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(PACKAGE.parent)}
        main = (
            f"{code}\nimport sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np\n"
            "import small\n"
            "print(small.add_up(np.ones(3)), small.first(np.ones(3)))"
        )
        return run(main, tmp_path, **{**cache, **environment})

    return start


def files(folder: Path, suffix: str) -> list[Path]:
    found = sorted((folder / "cache").rglob(f"*.{suffix}"))
    assert found
    return found


def said_once(said: str, *words: str) -> bool:
    """One line, which has these words."""
    return said.count("\n") == 1 and all(word in said for word in words)


def test_a_sound_cache_is_read_in_silence(small, tmp_path):
    assert (small().stdout, small().stdout) == (RIGHT, RIGHT)
    before = compiled(tmp_path)
    again = small()
    assert (again.stdout, again.stderr) == (RIGHT, "")
    assert compiled(tmp_path) == before


def truncate(folder: Path) -> None:
    for path in files(folder, "nbc"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_code(folder: Path) -> None:
    for path in files(folder, "nbc"):
        path.write_bytes(b"")


def empty_index(folder: Path) -> None:
    for path in files(folder, "nbi"):
        path.write_bytes(b"")


def garble_index(folder: Path) -> None:
    for path in files(folder, "nbi"):
        path.write_bytes(b"not a pickle at all")


def truncate_index(folder: Path) -> None:
    for path in files(folder, "nbi"):
        path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    "damage", [truncate, empty_code, empty_index, garble_index, truncate_index]
)
def test_a_damaged_cache_is_made_anew_and_said_once(small, tmp_path, damage):
    small()
    damage(tmp_path)
    result = small()
    assert result.stdout == RIGHT
    assert said_once(result.stderr, "cannot be read in", "it is compiled anew")
    assert str(tmp_path / "cache") in result.stderr
    before = compiled(tmp_path)
    again = small()
    assert (again.stdout, again.stderr) == (RIGHT, ""), "the next process reads a good one"
    assert compiled(tmp_path) == before


def test_a_lost_file_is_no_damage(small, tmp_path):
    small()
    for path in files(tmp_path, "nbc"):
        path.unlink()
    assert small().stdout == RIGHT
    again = small()
    assert (again.stdout, again.stderr) == (RIGHT, "")


#: Every write of compiled code meets a full disk.
FULL = """
import errno
from numba.core import caching

def full(self, name, data):
    raise OSError(errno.ENOSPC, "No space left on device")

caching.IndexDataCacheFile.save = full
"""


def test_a_full_disk_is_no_reason_to_fail(small):
    """Two functions cannot be kept, and it is said once."""
    result = small(FULL)
    assert result.stdout == RIGHT
    assert said_once(result.stderr, "cannot be kept in", "No space left", "compiled in memory")


def test_a_disk_that_is_really_full(small, tmp_path):
    """On a file system of 12 KiB, where one may be mounted; the case above runs everywhere."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a file system, and not everywhere")
    try:
        result = small(NUMBA_CACHE_DIR=str(disk))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert result.stdout == RIGHT
    assert said_once(result.stderr, "cannot be kept in", "No space left", "compiled in memory")


#: As where neither the package's folder nor the user's can be written.
NOWHERE = """
from numba.core.caching import CacheImpl
CacheImpl._locator_classes = []
"""


def test_no_writable_folder_is_no_reason_to_fail(small):
    result = small(NOWHERE)
    assert result.stdout == RIGHT
    assert said_once(result.stderr, "no folder for compiled code is writable", "in memory")


def test_a_folder_that_became_read_only_is_no_reason_to_fail(small, tmp_path):
    """There is a locator, and then writing fails, as with a quota."""
    code = FULL.replace("errno.ENOSPC", "errno.EROFS").replace("No space left", "Read-only")
    result = small(code)
    assert result.stdout == RIGHT
    assert said_once(result.stderr, "cannot be kept in", "Read-only", "compiled in memory")
