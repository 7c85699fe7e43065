"""What the searches for neighbours, conflicts and collisions share: pairs of drones, and keys."""

from __future__ import annotations

import numpy as np

from ._jit import inlined
from .layout import (
    FAR, LANES, POSITION, PREVIOUS_POSITION, VELOCITY, ZERO_BITS, Four, Numbers, Scalar, Swarm,
    Vector,
)  # fmt: skip
from .simd import index_of, key_of, load3, store3, view
from .vectors import difference, length


@inlined
def squared_distance(rows: np.ndarray, lane: int, place: Vector) -> Scalar:
    """Squared distance from a lane's drone to a place, m²."""
    dx, dy, dz = difference(load3(rows, POSITION, lane), place)
    return dx * dx + dy * dy + dz * dz


@inlined
def insert_key(best: Vector, key: Scalar) -> Vector:
    """The three least keys so far, given one more."""
    first, second, third = best
    key0 = key if key < first else first
    key = first if key < first else key
    key1 = key if key < second else second
    key = second if key < second else key
    return key0, key1, key if key < third else third


@inlined
def insert_four(best: Vector, keys: Four) -> Vector:
    """The same, given four more."""
    key0, key1, key2, key3 = keys
    return insert_key(insert_key(insert_key(insert_key(best, key0), key1), key2), key3)


@inlined
def four_places(rows: np.ndarray, that: int) -> tuple[Vector, Vector, Vector, Vector]:
    """Where four drones are, from lane ``that`` on."""
    return (
        load3(rows, POSITION, that), load3(rows, POSITION, that + 1),
        load3(rows, POSITION, that + 2), load3(rows, POSITION, that + 3),
    )  # fmt: skip


@inlined
def four_keys(
    rows: np.ndarray,
    lane: int,
    places: tuple[Vector, Vector, Vector, Vector],
    labels: Four,
    mask: Scalar,
) -> Four:
    """The keys of four drones for a lane's; ``labels`` are their indices."""
    place0, place1, place2, place3 = places
    label0, label1, label2, label3 = labels
    return (
        key_of(squared_distance(rows, lane, place0), mask, label0),
        key_of(squared_distance(rows, lane, place1), mask, label1),
        key_of(squared_distance(rows, lane, place2), mask, label2),
        key_of(squared_distance(rows, lane, place3), mask, label3),
    )


@inlined
def alike(key: Scalar, after: Scalar, mask: Scalar) -> Scalar:
    """Whether two keys share their distance bits, so that their order may be wrong."""
    return (key_of(key, mask, ZERO_BITS) == key_of(after, mask, ZERO_BITS)) & (key < FAR)


@inlined
def motion_of(rows: np.ndarray, lane: int) -> Numbers:
    """A lane's position and velocity, 6 numbers."""
    return load3(rows, POSITION, lane) + load3(rows, VELOCITY, lane)


@inlined
def relative_motion(rows: np.ndarray, lane: int, other: Numbers) -> Numbers:
    """Position and velocity, 6 numbers, of another drone relative to a lane's."""
    x, y, z, u, v, w = other
    px, py, pz = load3(rows, POSITION, lane)
    vx, vy, vz = load3(rows, VELOCITY, lane)
    return x - px, y - py, z - pz, u - vx, v - vy, w - vz


@inlined
def speed_of(rows: np.ndarray, lane: int) -> Scalar:
    """Speed of a lane's drone, m/s."""
    return length(load3(rows, VELOCITY, lane))


@inlined
def path_of(block: np.ndarray, lane: int) -> Numbers:
    """Where a drone is, and how it got there within the step, 6 numbers, m."""
    place = load3(block, POSITION, lane)
    return place + difference(place, load3(block, PREVIOUS_POSITION, lane))


@inlined
def gather_motion(swarm: Swarm, block: np.ndarray, row: int, seen: np.ndarray, column: int) -> None:
    """Write where the drones are whose keys stand in a row, and how they fly: 6 columns."""
    for lane in range(LANES):
        key = block[row, lane]
        index = index_of(key, swarm.mask) if key < FAR else 0
        other, that = view(swarm.blocks, swarm.first + (index >> 4)), index & 15
        store3(seen, column, lane, load3(other, POSITION, that))
        store3(seen, column + 3, lane, load3(other, VELOCITY, that))
