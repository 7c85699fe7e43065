"""What users pass to ``Swarms``, checked: each error names the argument, its value and the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import validation
from .registration import resolve_task
from .reward import RewardWeights
from .tasks import TASKS, Task

MAX_DRONES = 4096


def formation(
    task: Task, points: Any, colours: Any, num_drones: int | None
) -> tuple[np.ndarray | None, np.ndarray | None, int]:
    """Own points (N, 3) and colours (N, 3), or None; and N."""
    if points is None:
        if colours is not None:
            raise ValueError("colours need points")
        count = 64 if num_drones is None else num_drones
        return None, None, validation.integer("num_drones", count, 1, MAX_DRONES)
    if not any(member.accepts_points for member in task.members):
        accept = ", ".join(repr(other.name) for other in TASKS.values() if other.accepts_points)
        raise ValueError(f"points are for the task {accept}, not {task.name!r}")
    points = validation.points("points", points)
    count = validation.integer("the number of points", len(points), 1, MAX_DRONES)
    if num_drones is not None and num_drones != count:
        raise ValueError(f"num_drones must be the number of points, {count}, got {num_drones!r}")
    if colours is not None:
        colours = validation.colours("colours", colours, count)
    return points, colours, count


def seeds(seed: Any, count: int) -> list[int]:
    """A seed for each swarm."""
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        given = [int(seed) + k for k in range(count)]
    elif isinstance(seed, (Sequence, np.ndarray)) and not isinstance(seed, str):
        given = list(seed)
        if len(given) != count:
            raise ValueError(f"seed must hold {count} integers, got {len(given)}")
    else:
        raise TypeError(f"seed must be an integer, a sequence of them or None, got {seed!r}")
    return [validation.integer("seed", s, 0) for s in given]


def actions(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Actions as contiguous float32; whether they are finite is for the compiled code to see."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(f"actions must be floats, got dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"actions must have shape {shape}, got {array.shape}")
    if array.dtype.itemsize > 4:  # large ones would become infinite; a NaN stays one
        array = np.where(np.isfinite(array), np.clip(array, -1, 1), array)
    return np.ascontiguousarray(array, np.float32)


def reward(name: str, value: Any) -> RewardWeights | dict[str, RewardWeights] | None:
    """Weights, or those of some tasks by name, or None."""
    if isinstance(value, Mapping):
        checked = {}
        for key, weights in value.items():
            try:
                task = resolve_task(key)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            what = f"{name} of {key}"
            checked[task.name] = validation.instance(what, weights, RewardWeights, task.reward)
        return checked
    if value is not None and not isinstance(value, RewardWeights):
        raise TypeError(f"{name} must be RewardWeights, a mapping to them or None, got {value!r}")
    return value


def terms(name: str, given: Any, kind: type, task: Task) -> tuple[Any, ...]:
    """The task's terms and those given, of different names."""
    if isinstance(given, kind) or not isinstance(given, Sequence):
        raise TypeError(f"{name} must be a sequence of {kind.__name__}, got {given!r}")
    found: list[Any] = []
    for member in dict.fromkeys((task, *task.members)):
        found += [term for term in getattr(member, name) if term not in found]
    found += given
    for term in found:
        if not isinstance(term, kind):
            raise TypeError(f"{name} must hold {kind.__name__}, got {term!r}")
    names = [term.name for term in found]
    for one in names:
        if names.count(one) > 1:
            raise ValueError(f"{name}: two terms are named {one!r}")
    return tuple(found)
