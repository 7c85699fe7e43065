"""Terms of users' own: rewards and observations as NumPy functions over the whole batch.

Each sees the simulator right after the drones have flown, crashed ones where they crashed, with all
of its ground-truth state.  They cost what NumPy costs; those of the package are compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import validation
from .observation import KINDS, Slice

if TYPE_CHECKING:
    from .swarms import Swarms

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{what}: name must be a string, got {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what}: name must be of a-z, 0-9 and _, as in 'altitude'; got {name!r}")


@dataclass(frozen=True)
class RewardTerm:
    """A term that is added to the reward in every step.

    Attributes:
        name: of the term; metrics have ``return_<name>``, its summed share of the return.
        function: ``f(swarms) -> (S, N)``, finite numbers; drones that are gone are paid nothing.
        weight: what it is multiplied with; negative for a price.

    Raises:
        ValueError, TypeError: an argument is not allowed.
    """

    name: str
    function: Callable[[Swarms], np.ndarray]
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_name("RewardTerm", self.name)
        if not callable(self.function):
            raise TypeError(f"RewardTerm {self.name}: function must be callable")
        validation.number(f"RewardTerm {self.name}: weight", self.weight)

    def evaluate(self, swarms: Swarms) -> np.ndarray:
        """(S, N) float32, weighted; zeros for drones that are gone."""
        shape = (swarms.num_swarms, swarms.num_drones)
        value = _evaluate(f"reward term {self.name!r}", self.function, swarms, shape)
        return (np.float32(self.weight) * value).astype(np.float32)


@dataclass(frozen=True)
class ObservationTerm:
    """A slice that is appended to every drone's observation.

    Attributes:
        name: of the slice.
        size: how many numbers each drone is shown.
        function: ``f(swarms) -> (S, N, size)``, within [-1, 1]; beyond, it is clipped.
        kind: how it changes under a quadrotor's symmetries: "polar" (a vector in the body frame),
            "axial" (the same for rates of rotation), "scalar", or "rotors".
        meaning: one line for people.

    Raises:
        ValueError, TypeError: an argument is not allowed.
    """

    name: str
    size: int
    function: Callable[[Swarms], np.ndarray]
    kind: str = "scalar"
    meaning: str = ""

    def __post_init__(self) -> None:
        _check_name("ObservationTerm", self.name)
        if not callable(self.function):
            raise TypeError(f"ObservationTerm {self.name}: function must be callable")
        validation.integer(f"ObservationTerm {self.name}: size", self.size, 1)
        validation.choice(f"ObservationTerm {self.name}: kind", self.kind, tuple(KINDS))

    @property
    def slice(self) -> Slice:
        """As the table of slices has it; where it starts is up to the table."""
        return Slice(self.name, 0, self.size, self.kind, self.meaning)

    def evaluate(self, swarms: Swarms) -> np.ndarray:
        """(S, N, size) float32 within [-1, 1]; zeros for drones that are gone."""
        shape = (swarms.num_swarms, swarms.num_drones, self.size)
        value = _evaluate(f"observation term {self.name!r}", self.function, swarms, shape)
        return np.clip(value, -1, 1).astype(np.float32)


def _evaluate(what: str, function: Callable, swarms: Swarms, shape: tuple[int, ...]) -> np.ndarray:
    """What a user's function gives for the drones that fly, zeros for those that are gone."""
    value = np.asarray(function(swarms))
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{what} must give an array of numbers, got {value!r}")
    if value.shape != shape:
        raise ValueError(f"{what} must give shape {shape}, got {value.shape}")
    there = swarms.active.reshape(*shape[:2], *[1] * (len(shape) - 2))
    value = np.where(there, value, 0)
    if not np.isfinite(value).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(f"{what} must be finite, got {value[index]} at {index}")
    return value
