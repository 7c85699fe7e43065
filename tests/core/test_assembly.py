"""The lane loops are compiled to packed instructions: all lanes of a register at once.

Each function is compiled anew, because numba shows the assembly only of what this process has
compiled, not of what it loads from the cache.
"""

from __future__ import annotations

import functools
import inspect
import platform
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from llvmlite import binding
from numba import config, njit, typeof

from drone_formation import Swarms
from drone_formation.sim import (
    _jit,
    conflicts,
    dynamics,
    layout,
    neighbours,
    observe,
    rewards,
    targets,
    tiles,
)

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
#: Scalar arithmetic that a function may hold outside its loops: what is worked out once, before.
FEW = 5


class Loops(NamedTuple):
    """What a function is compiled to: at least so many packed instructions.

    ``two_buffers``: whether it works on the block and on the scratch, so that LLVM keeps a scalar
    copy of its loops for the case that they overlap, which never happens.
    """

    function: Any
    packed: int
    two_buffers: bool = False


FUNCTIONS = {
    "integrate": Loops(dynamics.integrate, 600),
    "add_harmonic": Loops(targets.add_harmonic, 35, two_buffers=True),
    "measure_distances": Loops(targets.measure_distances, 8),
    "note_rings": Loops(targets.note_rings, 25),
    "find_three": Loops(neighbours.find_three, 80),
    "compare_tiles": Loops(tiles.compare_tiles, 80),
    "measure_conflicts": Loops(conflicts.measure_conflicts, 65, two_buffers=True),
    "observe_self": Loops(observe.observe_self, 130, two_buffers=True),
    "observe_conflicts": Loops(observe.observe_conflicts, 140, two_buffers=True),
    "observe_neighbours": Loops(observe.observe_neighbours, 70, two_buffers=True),
    "pay": Loops(rewards.pay, 24),
}


@functools.cache
def argument_types() -> dict[str, Any]:
    """numba's types of arguments, by their names, as a simulator calls with them."""
    small, large = (Swarms("orbit", 1, count)._batch for count in (20, 200))
    small.set_capacity(1, 0)
    world, work = small.world, small._workspaces[0]
    settings, episode = world.settings[0], world.episodes[0]
    arguments = {
        "blocks": world.blocks, "settings": settings, "air": None, "scratch": work.scratch,
        "harmonics": world.harmonics, "wave": work.waves[0], "lead": episode["lead"],
        "radius_squared": settings["ring_radius_squared"], "stays": np.float32(1),
        "mask": np.int32(-32), "again": False, "tiles": large._workspaces[0].tiling[0],
        "swarm": layout.Swarm(world.blocks, 0, 2, settings, episode, np.int32(-32)),
    }  # fmt: skip
    counts = ("index", "k", "place", "first", "num_blocks", "found", "mine", "theirs", "neighbours")
    arguments |= dict.fromkeys(counts, 2)
    return {name: typeof(value) for name, value in arguments.items()}


@functools.cache
def assembly_of(name: str, **options: str) -> str:
    """What a function of the simulator is compiled to."""
    function = FUNCTIONS[name].function.py_func
    compiled = njit(**{**_jit._INTERNAL, **options})(function)
    known = argument_types()
    compiled.compile(tuple(known[argument] for argument in inspect.signature(function).parameters))
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
    loops = FUNCTIONS[name]
    return packed >= loops.packed and (loops.two_buffers or scalar <= FEW)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lane_loops_are_packed(name):
    packed, scalar = counts(name)
    assert is_packed(name, packed, scalar), f"{packed} packed instructions, {scalar} scalar ones"


@pytest.mark.parametrize("name", ["note_rings", "observe_self", "observe_neighbours"])
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
