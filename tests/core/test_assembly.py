"""The lane loops are compiled to packed instructions: all lanes of a register at once.

Each function is compiled anew, because numba shows the assembly only of what this process has
compiled, not of what it loads from the cache.
"""

from __future__ import annotations

import functools
import inspect
import platform
import re

import pytest
from llvmlite import binding
from numba import config, njit, types

from drone_formation import kernel

MACHINE = platform.machine().lower()
ARM = MACHINE in ("aarch64", "arm64")
REASON = ""
if config.DISABLE_JIT:
    REASON = "nothing is compiled: NUMBA_DISABLE_JIT is set"
elif config.BOUNDSCHECK:
    REASON = "checks of bounds stop vectorisation: NUMBA_BOUNDSCHECK is set"
elif not (ARM or MACHINE in ("x86_64", "amd64")):
    REASON = f"what packed instructions look like on {MACHINE} is not known here"
elif not ARM and not binding.get_host_cpu_features().get("avx", False):
    REASON = "this processor has no AVX"
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

#: Arithmetic on a whole register of float32, and on one number.
if ARM:
    PACKED = r"\bf(?:mul|add|sub|div|sqrt|ml[as]|min|max|minnm|maxnm)(?:\.4s|\s+[vz]\d+\.4?s)\b"
    SINGLE = r"\bfn?(?:mul|add|sub|div|sqrt|madd|msub|min|max|minnm|maxnm)\s+[sd]\d+\b"
else:
    PACKED = r"\bv(?:mul|add|sub|div|sqrt|min|max|fn?m(?:add|sub)\d+)ps\b[^\n]*%[yz]mm"
    SINGLE = r"\bv?(?:mul|add|sub|div|sqrt|min|max|fn?m(?:add|sub)\d+)s[sd]\b"
FLOATS = {rank: types.Array(types.float32, rank, "C") for rank in (1, 2, 3)}
#: Types of arguments by their names; all others are int64.
TYPES = {
    **dict.fromkeys(("blocks", "tiles"), FLOATS[3]),
    **dict.fromkeys(("scratch", "waves", "boxes"), FLOATS[2]),
    **dict.fromkeys(("settings", "actions"), FLOATS[1]),
    **dict.fromkeys(("again", "late", "settled"), types.boolean),
    "mask": types.int32,
    "radius_squared": types.float32,
}
#: Scalar arithmetic that a function may hold outside its loops.
FEW = 5
#: How many packed instructions each function has at least, and whether it works on two buffers, so
#: that LLVM keeps a scalar copy of its loops for the case that they overlap, which never happens.
FUNCTIONS = {
    "fly": (400, False),
    "move_targets": (6, False),
    "measure": (7, False),
    "pass_rings": (20, False),
    "find_three": (80, False),
    "compare_tiles": (80, False),
    "foresee": (20, True),
    "observe": (180, True),
}


@functools.cache
def assembly_of(name: str, **options: str) -> str:
    """What a function of the kernel is compiled to."""
    function = getattr(kernel, name).py_func
    compiled = njit(**{**kernel._OPTIONS, **options})(function)
    compiled.compile(
        tuple(TYPES.get(name, types.int64) for name in inspect.signature(function).parameters)
    )
    (assembly,) = compiled.inspect_asm().values()
    return assembly


def counts(name: str, **options: str) -> tuple[int, int]:
    """How many packed and scalar float instructions that is."""
    assembly = assembly_of(name, **options)
    return len(re.findall(PACKED, assembly)), len(re.findall(SINGLE, assembly))


def is_packed(name: str, packed: int, scalar: int) -> bool:
    """Whether all loops of a function run on packed instructions, by the two counts.

    A loop that falls back loses its packed instructions, and its scalar ones are new unless they
    are there anyway.
    """
    least, two_buffers = FUNCTIONS[name]
    return packed >= least and (two_buffers or scalar <= FEW)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lane_loops_are_packed(name):
    packed, scalar = counts(name)
    assert is_packed(name, packed, scalar), f"{packed} packed instructions, {scalar} scalar ones"


@pytest.mark.parametrize("name", ["fly", "pass_rings", "observe"])
def test_a_loop_that_is_not_packed_is_noticed(name):
    """Python's error model checks every division, and a loop with a way out stays scalar."""
    packed, scalar = counts(name, error_model="python")
    assert not is_packed(name, packed, scalar), f"{packed} packed, {scalar} scalar"


@pytest.mark.skipif(
    ARM or not binding.get_host_cpu_features().get("avx512f", False),
    reason="this processor has no registers of 512 bits",
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lane_loops_take_the_widest_registers(name):
    """Left to itself, LLVM keeps to 256 bits on Intel's processors."""
    widths = re.findall(PACKED.replace("[yz]mm", "([yz])mm"), assembly_of(name))
    assert widths.count("z") > widths.count("y")
