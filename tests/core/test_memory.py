"""Stepping leaves nothing behind; ``benchmarks/memory.py`` shows it over a million steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numba import config

pytestmark = pytest.mark.skipif(
    bool(config.DISABLE_JIT), reason="interpreted, every number is an object"
)
told = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="this system tells only the most memory so far"
)
SOURCE = Path(__file__).parents[2] / "benchmarks" / "memory.py"
#: So many steps that a small object lost in each of them would be more than a MiB in all.
STEPS = 50_000
#: So many swarms that an array of one byte for each is larger than a step's small objects.
SWARMS = 2048


@pytest.fixture(scope="module")
def memory():
    spec = importlib.util.spec_from_file_location("benchmark_memory", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@told
@pytest.mark.parametrize("num_threads", [1, 2])
def test_memory_does_not_grow(memory, num_threads):
    assert memory.growth(memory.flight(2, 4, num_threads), STEPS) < memory.MEBIBYTE


@told
def test_a_leak_is_noticed(memory):
    step, lost = memory.flight(2, 4), []

    def leaky():
        step()
        lost.append(bytes(1024))  # more than other tests may have left free for reuse

    assert memory.growth(leaky, STEPS) > memory.MEBIBYTE


def test_a_step_allocates_no_array(memory):
    step = memory.flight(SWARMS, 1)
    most, left = memory.allocated(step)
    assert most < SWARMS
    assert left == 0


def test_an_array_is_noticed(memory):
    step = memory.flight(SWARMS, 1)
    most, left = memory.allocated(lambda: (step(), np.empty(SWARMS, np.bool_)))
    assert most >= SWARMS
    assert left == 0
    kept = []
    most, left = memory.allocated(lambda: kept.append(np.empty(SWARMS, np.bool_)), 10)
    assert left == 10 * SWARMS
