"""What acts on drones besides themselves.  Each is off unless it is asked for, and costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from . import validation


@dataclass(frozen=True)
class Disturbances:
    """Forces on every drone; ``sim/forces.py`` has a function for each.

    Attributes:
        wind: steady, the same everywhere, m/s, world frame; up to 50 m/s along each axis.  Drag acts
            on a drone's velocity relative to the air: ``linear_drag * (wind - velocity)``.

    Raises:
        TypeError, ValueError: a field is no number, of another shape or not in its range.
    """

    wind: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        wind = np.asarray(self.wind)
        if wind.dtype.kind not in "iuf" or wind.shape != (3,):
            raise TypeError(f"Disturbances: wind must be three numbers, got {self.wind!r}")
        validation.within("Disturbances: wind", wind.astype(float), -50.0, 50.0)
        object.__setattr__(self, "wind", tuple(map(float, wind)))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self != Disturbances()

    def as_record(self) -> np.ndarray:
        """All fields as one record ``AIR``."""
        record = np.zeros((), AIR)
        for field in fields(self):
            record[field.name] = getattr(self, field.name)
        return record


#: What the compiled code knows of them: a float32, or several, for each field.
AIR = np.dtype(
    [(field.name, np.float32, np.shape(field.default)) for field in fields(Disturbances)]
)
