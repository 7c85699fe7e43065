"""Random configurations and flights; ``benchmarks/fuzz.py`` flies as many as you like."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SOURCE = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    """A benchmark, as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", SOURCE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_hundred_random_flights() -> None:
    tally: Counter[str] = Counter()
    load("fuzz").fuzz(100, tally=tally)
    assert tally["cases"] >= 100
    assert tally["drone-steps"] > 10_000
    assert tally["crashes"] > 100


def test_the_fuzzer_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz = load("fuzz")
    case = fuzz.Case({"task": "flag", "num_drones": 3, "seed": 0}, [("noise", 2)])
    assert fuzz.fly(case) == (6, 0, 0)
    for attribute, value, says in (
        ("attitude", np.full((1, 3, 4), 0.50001), "quaternion"),
        ("velocity", np.full((1, 3, 3), np.nan), "velocity is not finite"),
        ("position", np.full((1, 3, 3), 31.0), "outside"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(fuzz.Swarms, attribute, value)
            with pytest.raises(AssertionError, match=says):
                fuzz.fly(case)


@pytest.mark.parametrize("pilot", ["random", "classical"])
def test_a_short_soak(pilot: str) -> None:
    result = load("soak").soak(pilot, 20_000, num_swarms=2, num_drones=32, max_steps=50)
    assert result["drone-steps"] >= 20_000
    assert result["not finite"] == 0
    assert result["quaternion"] < 1e-6
    assert (result["crashes"] > 0) == (pilot == "random")
