"""Exact snapshots of a batch of swarms, as plain arrays, numbers and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .sim import layout

if TYPE_CHECKING:
    from .batch import Batch

#: Arrays of a ``Batch`` that change from step to step.
ARRAYS = (
    "blocks", "episodes", "rings", "observations", "final_observations", "rewards",
    "mean_rewards", "crashed", "truncated",
)  # fmt: skip
#: And those whose size depends on the trajectories drawn so far.
TRAJECTORIES = ("frequencies", "harmonics", "knots")


def take(batch: Batch) -> dict[str, Any]:
    """Copies of the arrays."""
    return {name: getattr(batch, name).copy() for name in (*ARRAYS, *TRAJECTORIES)}


def restore(batch: Batch, state: dict[str, Any]) -> None:
    """Go back to a snapshot that :func:`check` has found sound."""
    harmonics, knots = state["frequencies"].shape[1], len(state["knots"]) // len(batch.blocks)
    batch.set_capacity(harmonics, knots)
    for name in (*ARRAYS, *TRAJECTORIES):
        getattr(batch, name)[...] = state[name]
    batch.episodes["visits"] = 0  # the sort is not part of the state


def check(batch: Batch, state: dict[str, Any]) -> None:
    """Refuse a snapshot of another shape of simulator, or one with a NaN in it.

    Raises:
        ValueError: the message names the array and the place.
    """
    for name in (*ARRAYS, *TRAJECTORIES):
        array, value = getattr(batch, name), state.get(name)
        shape: tuple[int, ...] = array.shape
        if name in TRAJECTORIES and getattr(value, "ndim", 0) == len(shape):
            free = 1 if name == "frequencies" else 0  # any number of harmonics and knots
            shape = (*shape[:free], value.shape[free], *shape[free + 1 :])  # type: ignore[union-attr]
        check_like(name, np.broadcast_to(np.zeros((), array.dtype), shape), value)
        _check_finite(batch, name, np.asarray(value))
    per_block = state["frequencies"].shape[1] * len(batch.blocks)
    if len(state["harmonics"]) != per_block or len(state["knots"]) % len(batch.blocks):
        raise ValueError("state does not fit this simulator: its trajectories are of another size")


def check_like(name: str, array: np.ndarray, value: Any) -> None:
    """Refuse what is not of an array's type and shape."""
    if getattr(value, "dtype", None) != array.dtype or np.shape(value) != array.shape:
        raise ValueError(
            f"state does not fit this simulator: {name} must be {array.dtype} of shape "
            f"{array.shape}, got {getattr(value, 'dtype', type(value).__name__)} of shape "
            f"{np.shape(value)}"
        )


def _check_finite(batch: Batch, name: str, value: np.ndarray) -> None:
    if value.dtype.kind != "f":
        return
    finite = np.isfinite(value)
    if name == "blocks":  # a separation is infinite until it has been measured
        finite[:, layout.SEPARATION] |= np.isposinf(value[:, layout.SEPARATION])
    if finite.all():
        return
    index = tuple(int(i) for i in np.argwhere(~finite)[0])
    if name == "blocks":
        block, row, lane = index
        swarm, block = divmod(block, batch.blocks_per_swarm)
        raise ValueError(
            f"state: {layout.name_of_row(row)} of drone {block * layout.LANES + lane} in swarm "
            f"{swarm} must be finite, got {value[index]}"
        )
    raise ValueError(f"state: {name} must be finite, got {value[index]} at {index}")
