"""How a policy reads what swarms show: it finds its slices by name, and says what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..observation import MAX_NEIGHBOURS, Slice, observation_size, size_of

if TYPE_CHECKING:
    from ..swarms import Swarms


def neighbours_of(slices: Sequence[Slice]) -> int:
    """How many neighbours must be shown for slices of them to be there."""
    numbers = [row.name.split("_")[1] for row in slices if row.name.startswith("neighbour_")]
    return 1 + max(map(int, filter(str.isdigit, numbers)), default=-1)


def width_in_words(width: int) -> str:
    """A width, and how many neighbours make an observation of it."""
    for neighbours in range(MAX_NEIGHBOURS + 1):
        if observation_size(neighbours) == width:
            return f"{width} numbers ({neighbours} neighbours)"
    return f"{width} numbers (no number of neighbours by itself)"


def columns_of(
    name: str, slices: Sequence[Slice], shown: Sequence[Slice], neighbours: int
) -> np.ndarray:
    """Where the slices that a pilot reads stand among those that swarms show.

    Raises:
        ValueError: some are not shown; the message names them and the keywords that show them.
    """
    places = {(row.name, row.size, row.kind): row.columns for row in shown}
    wanted = [(row.name, row.size, row.kind) for row in slices]
    missing = [row[0] for row in wanted if row not in places]
    if missing:
        others = [missed for missed in missing if not missed.startswith("neighbour_")]
        terms = f" and observation_terms that show {', '.join(others)}" if others else ""
        needed = neighbours_of(slices)
        raise ValueError(
            f"pilot {name!r} observes {', '.join(missing)}, which the swarms do not show: "
            f"it observes {needed} neighbours and they show {neighbours}; build them "
            f"with neighbours={max(needed, neighbours)}{terms}"
        )
    columns = np.arange(size_of(shown))
    return np.concatenate([columns[places[row]] for row in wanted])


def observed(name: str, slices: Sequence[Slice], swarms: Swarms) -> np.ndarray:
    """What swarms show of a pilot's slices, (S, N, D); it may be the simulator's own buffer.

    Raises:
        ValueError: they do not show all of them.
    """
    shown = swarms.observation_table
    if [row[:3] for row in shown] == [row[:3] for row in slices]:
        return swarms.observations
    return swarms.observations[..., columns_of(name, slices, shown, swarms.neighbours)]


def check_control(name: str, control: str, swarms: Swarms) -> None:
    """Raise a ValueError unless the swarms take a pilot's actions for what they are."""
    if swarms.control != control:
        raise ValueError(
            f"pilot {name!r} commands control={control!r} and the swarms have "
            f"{swarms.control!r}: build them with control={control!r}"
        )
