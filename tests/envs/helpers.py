"""What the tests of the views share."""

from __future__ import annotations

from typing import Any

import numpy as np

from drone_formation.tasks import TASKS

NAMES = list(TASKS)
IDS = [task.id for task in TASKS.values()]


def flights(steps: int, *batch: int, seed: int = 0) -> np.ndarray:
    """Random actions (steps, *batch, 4), some beyond [-1, 1]; drone 0 climbs until it crashes."""
    actions = np.random.default_rng(seed).uniform(-1.3, 1.3, (steps, *batch, 4))
    actions[..., 0, :] = 1.0
    return actions.astype(np.float32)


def assert_same(one: Any, other: Any, path: str = "value") -> None:
    """Equal to the bit, dtypes and keys included; NaN equals NaN."""
    if isinstance(one, dict):
        assert isinstance(other, dict), path
        assert set(one) == set(other), f"{path}: {sorted(one)} against {sorted(other)}"
        for key in one:
            assert_same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{path}[{i}]")
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert other.dtype == object, path
        assert_same(list(one), list(other), path)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, f"{path}: {one.dtype} against {other.dtype}"
        np.testing.assert_array_equal(one, other, err_msg=path)
    elif isinstance(one, float) and np.isnan(one):
        assert np.isnan(other), path
    else:
        assert type(one) is type(other), f"{path}: {one!r} against {other!r}"
        assert one == other, f"{path}: {one!r} against {other!r}"
