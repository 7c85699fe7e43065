"""Drones put where a user wants them: what is allowed, and how it is written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .airframe import CONTROL_STEP, PARAMETERS, Airframe, Randomization
from .batch import Batch
from .sim import layout


class Given(NamedTuple):
    """Parts of the drones' states, as in ``Swarms.place``; None for those that stay."""

    position: Any
    velocity: Any
    attitude: Any
    body_rates: Any
    rotor_speeds: Any


def check_flyable(airframe: Airframe, randomization: Randomization | None, substeps: int) -> None:
    """Refuse airframes too weak to hover, or too quick to be integrated.

    Raises:
        ValueError: the message has the number that says why.
    """
    check_rate(airframe.fastest_rate * (1.3 if randomization else 1.0), substeps)
    if randomization and randomization.weakest(airframe) <= 1:
        raise ValueError(
            "randomization can draw drones too weak to hover around this airframe: "
            f"thrust-to-weight {randomization.weakest(airframe):.2f}"
        )


def check_rate(fastest: float, substeps: int) -> None:
    """Refuse motions that decay so fast, 1/s, that the integration would blow up."""
    # Beyond 2.78, classical Runge-Kutta amplifies a decaying mode; stay clear of it.
    if fastest * CONTROL_STEP / substeps > 2.5:
        needed = int(np.ceil(fastest * CONTROL_STEP / 2.5))
        raise ValueError(
            f"substeps must be {needed} or more for this airframe (its fastest motion decays "
            f"at {fastest:.0f}/s), got {substeps}"
        )


def check_arena(present: np.ndarray, asked: Any) -> np.ndarray:
    """The arena's half extents, at least those asked for."""
    if asked is None:
        return present
    return np.maximum(present, _within("arena", asked, (3,), 0, np.inf))


def check(
    batch: Batch, given: Given, airframes: Any, extents: np.ndarray, substeps: int
) -> dict[int, np.ndarray]:
    """What is to be written, by rows.

    Raises:
        TypeError, ValueError: something is no number, of another shape or not allowed.
    """
    walls = extents.astype(np.float32)  # as the compiled code sees them
    there = batch.read(layout.ACTIVE) > 0
    rows: dict[int, np.ndarray] = {}
    if airframes is not None:
        rows[layout.AIRFRAME] = _checked_airframes(batch, airframes, there, substeps)
        if given.rotor_speeds is None:  # the new rotors may not be able to turn so fast
            given = given._replace(rotor_speeds=batch.read(layout.ROTOR_SPEEDS, 4))
    flown = rows.get(layout.AIRFRAME, batch.read(layout.AIRFRAME, len(PARAMETERS)))
    top = 1.001 * flown[..., [PARAMETERS.index("max_rotor_speed")]]
    for name, row, size, limit in (
        ("position", layout.POSITION, 3, walls),
        ("velocity", layout.VELOCITY, 3, layout.MAX_SPEED),
        ("attitude", layout.ATTITUDE, 4, 1.001),
        ("body_rates", layout.BODY_RATES, 3, layout.MAX_RATE),
        ("rotor_speeds", layout.ROTOR_SPEEDS, 4, top),
    ):
        value = getattr(given, name)
        if value is not None:
            shape = (batch.num_swarms, batch.num_drones, size)
            low = 0 if name == "rotor_speeds" else -limit
            rows[row] = _within(name, value, shape, low, limit, there)
    if given.attitude is not None:
        norms = np.linalg.norm(rows[layout.ATTITUDE], axis=2, keepdims=True)
        _within("attitude's norm", norms, norms.shape, 0.999, 1.001, there)
    return rows


def write(batch: Batch, rows: dict[int, np.ndarray]) -> None:
    """Write what :func:`check` has found sound, for the drones that are not gone."""
    there = batch.read(layout.ACTIVE) > 0
    places = rows.get(layout.POSITION)
    if places is not None:
        rows = {**rows, layout.PREVIOUS_POSITION: places}
        holding = batch.episodes["holds"][:, None, None]
        rows[layout.CENTRE] = np.where(holding, places, batch.read(layout.CENTRE, 3))
        nothing = np.zeros_like(places[..., :1])
        rows[layout.COLLIDING] = rows[layout.PREVIOUSLY_COLLIDING] = nothing
    for row, values in rows.items():
        batch.write(row, np.where(there, values, batch.read(row, values.shape[2])))


def _checked_airframes(
    batch: Batch, airframes: Any, there: np.ndarray, substeps: int
) -> np.ndarray:
    """Airframes that can be flown, where they are ``there``."""
    shape = (batch.num_swarms, batch.num_drones, len(PARAMETERS))
    rows = _within("airframes", airframes, shape, 0, np.inf, there)
    for swarm, drone in np.argwhere(there[..., 0]).tolist():
        try:
            fastest = Airframe.from_row(rows[swarm, drone]).fastest_rate
            check_rate(fastest * (1 - 1e-6), substeps)  # rows of ours are rounded to float32
        except ValueError as error:
            raise ValueError(f"airframes[{swarm}, {drone}]: {error}") from None
    return rows


def _within(
    name: str, value: Any, shape: tuple[int, ...], low: Any, high: Any, there: Any = True
) -> np.ndarray:
    """``value`` as an array of a shape, finite and within its limits where ``there``."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, got {value!r}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    allowed = (np.isfinite(array) & (array >= low) & (array <= high)) | ~np.asarray(there)
    if not allowed.all():
        index = tuple(int(i) for i in np.argwhere(~allowed)[0])
        least, most = (np.broadcast_to(limit, shape)[index] for limit in (low, high))
        raise ValueError(
            f"{name} must be finite and from {least:g} to {most:g}, got {array[index]} at {index}"
        )
    return np.asarray(np.where(there, array, 0).astype(np.float64))
