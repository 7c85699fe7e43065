"""What acts on drones besides themselves; each is off unless it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import validation


@dataclass(frozen=True)
class Wind:
    """A steady wind, the same everywhere.

    Drag acts on a drone's velocity relative to the air, so the force on it is
    ``linear_drag * (wind - velocity)``.

    Attributes:
        velocity: (3,), m/s, world frame; up to 50 m/s along each axis.

    Raises:
        TypeError, ValueError: it is not three finite numbers in that range.
    """

    velocity: tuple[float, float, float]

    def __post_init__(self) -> None:
        array = np.asarray(self.velocity)
        if array.dtype.kind not in "iuf" or array.shape != (3,):
            raise TypeError(f"Wind: velocity must be three numbers, got {self.velocity!r}")
        validation.within("Wind: velocity", array.astype(float), -50.0, 50.0)
        object.__setattr__(self, "velocity", tuple(map(float, array)))
