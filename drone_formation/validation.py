"""Checks of what users pass: a plain error at once, naming the argument, the value and the rule."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An integer of at least ``low`` and at most ``high``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    number = int(value)
    if number < low or (high is not None and number > high):
        allowed = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return number


def boolean(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not (math.isfinite(value) and float(value) > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return float(value)


def number(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return float(value)


def choice(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """One of the allowed values."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def instance(name: str, value: Any, kind: type, default: Any) -> Any:
    """``value``, an instance of ``kind``, or ``default`` for None."""
    if value is None:
        return default
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__} or None, got {value!r}")
    return value


def points(name: str, value: Any) -> np.ndarray:
    """A finite (N, 3) array of at least one point, as float64."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, got {value!r}")
    array = array.astype(np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise ValueError(f"{name} must have shape (N, 3) with N of 1 or more, got {array.shape}")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{name} must be finite, got {array[row, column]} in point {row}")
    return array


def colours(name: str, value: Any, count: int) -> np.ndarray:
    """A (count, 3) array of RGB integers from 0 to 255, as uint8."""
    array = np.asarray(value)
    if array.shape != (count, 3):
        raise ValueError(f"{name} must have shape ({count}, 3), got {array.shape}")
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise ValueError(f"{name} must be integers from 0 to 255, got {array.dtype} {value!r}")
    return array.astype(np.uint8)


def within(name: str, array: np.ndarray, low: float, high: float) -> np.ndarray:
    """An array whose numbers are all from ``low`` to ``high``."""
    bad = ~((array >= low) & (array <= high))  # a NaN, too
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must be finite and from {low:g} to {high:g}, got {array[index]} at {index}"
        )
    return array
