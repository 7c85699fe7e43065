"""What acts on drones besides themselves; what is not asked for costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from . import validation


@dataclass(frozen=True)
class Disturbances:
    """Forces on every drone; ``sim/forces.py`` has a function for each.

    Attributes:
        wind: steady, the same everywhere, m/s, world frame; up to 50 m/s along each axis.
            Drag acts on the velocity relative to the air: ``linear_drag * (wind - velocity)``.

    Raises:
        TypeError, ValueError: a field is no number, of another shape or not in its range.
    """

    wind: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), metadata={"limit": 50.0})

    def __post_init__(self) -> None:
        for part in fields(self):
            name, value = f"Disturbances: {part.name}", np.asarray(getattr(self, part.name))
            if value.dtype.kind not in "iuf" or value.shape != np.asarray(part.default).shape:
                raise TypeError(f"{name} must be like {part.default}, got {value.tolist()!r}")
            limit = part.metadata["limit"]
            validation.within(name, value.astype(float), -limit, limit)
            plain = value.astype(float).tolist()
            object.__setattr__(self, part.name, tuple(plain) if value.shape else plain)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self != Disturbances()

    def as_record(self) -> np.ndarray:
        """All fields as one record ``AIR``."""
        record = np.zeros((), AIR)
        for part in fields(self):
            record[part.name] = getattr(self, part.name)
        return record


#: What the compiled code knows of them: a float32, or several, for each field.
AIR = np.dtype(
    [(part.name, np.float32, np.asarray(part.default).shape) for part in fields(Disturbances)]
)
