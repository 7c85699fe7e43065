"""What a pilot is, and the two that ask for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:  # the simulator imports numba, which listing pilots does not need
    from ..swarms import Swarms


@runtime_checkable
class Pilot(Protocol):
    """Flies every drone of a batch of swarms."""

    @property
    def name(self) -> str:
        """What evaluations call it."""
        ...

    def act(self, swarms: Swarms) -> np.ndarray:
        """Actions (S, N, 4) in [-1, 1], float32, for the swarms as they are now."""
        ...


class HoverPilot:
    """Commands hover speed for ever: what happens when there is no pilot."""

    name = "hover"

    def act(self, swarms: Swarms) -> np.ndarray:
        return np.zeros((swarms.num_swarms, swarms.num_drones, 4), np.float32)


class RandomPilot:
    """Uniformly random actions."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)

    def act(self, swarms: Swarms) -> np.ndarray:
        shape = (swarms.num_swarms, swarms.num_drones, 4)
        return self._rng.uniform(-1, 1, shape).astype(np.float32)
