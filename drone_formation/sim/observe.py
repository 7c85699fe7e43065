"""What a drone observes, slice by slice: see the table in ``observation.py``."""

from __future__ import annotations

import numpy as np

from ._jit import inlined
from .layout import (
    ACTIVE, ATTITUDE, BODY_RATES, CONFLICT_COLUMNS, CONFLICT_DEGREE, CONFLICT_OFFSET,
    CONFLICT_VELOCITY, FAR, HOVER_SPEED, INDEX, LANES, NEAREST_KEYS, NEIGHBOUR_COLUMNS, ONE,
    POSITION, POSSIBLE, ROTOR_SPEEDS, SEEN_CONFLICTS, SEEN_NEIGHBOURS, SEEN_RATES,
    SEEN_RELATIVE_VELOCITY, SEEN_ROTORS, SEEN_UP, SEEN_VELOCITY, TARGET_OFFSET_FAR,
    TARGET_OFFSET_MID, TARGET_OFFSET_NEAR, TARGET_POSITION, TARGET_VELOCITY, TINY, TOP_SPEED,
    VELOCITY, ZERO, Record, Scalar, Swarm,
)  # fmt: skip
from .pairs import gather_motion
from .simd import any_positive, columns_of, load3, load4, store3, transpose, view
from .vectors import clamp, clamp3, difference, length, scaled, squash, to_body, up_of


@inlined
def observe(swarm: Swarm, index: int, neighbours: int, scratch: np.ndarray) -> None:
    """Each lane's observation, into the columns of the scratch."""
    observe_self(swarm.blocks, index, swarm.settings, scratch)
    observe_conflicts(swarm.blocks, index, swarm.settings, scratch)
    observe_neighbours(swarm, index, neighbours, scratch)


@inlined
def rotor_level(speed: Scalar, hover: Scalar, above: Scalar, below: Scalar) -> Scalar:
    """The action that would hold a rotor at its present speed: the opposite of control.motor."""
    excess = speed - hover
    return clamp(excess * (above if excess > ZERO else below), ONE)


@inlined
def observe_self(blocks: np.ndarray, index: int, settings: Record, scratch: np.ndarray) -> None:
    """The drone's own state and target: all columns before those of conflicts."""
    block, seen = view(blocks, index), columns_of(scratch)
    far_scale, mid_scale = settings.offset_scales[0], settings.offset_scales[1]
    near_scale = settings.offset_scales[2]
    velocity_scale, rate_scale = settings.velocity_scale, settings.rate_scale
    for lane in range(LANES):
        attitude, velocity = load4(block, ATTITUDE, lane), load3(block, VELOCITY, lane)
        offset = to_body(
            difference(load3(block, TARGET_POSITION, lane), load3(block, POSITION, lane)), attitude
        )
        away = length(offset)
        far, mid, near = far_scale + away, mid_scale + away, near_scale + away
        every = ONE / (far * mid * near)  # one division for three
        store3(seen, TARGET_OFFSET_FAR, lane, scaled(offset, every * mid * near))
        store3(seen, TARGET_OFFSET_MID, lane, scaled(offset, every * far * near))
        store3(seen, TARGET_OFFSET_NEAR, lane, scaled(offset, every * far * mid))
        relative = to_body(difference(velocity, load3(block, TARGET_VELOCITY, lane)), attitude)
        store3(seen, SEEN_RELATIVE_VELOCITY, lane, squash(relative, velocity_scale))
        store3(seen, SEEN_VELOCITY, lane, squash(to_body(velocity, attitude), velocity_scale))
        store3(seen, SEEN_RATES, lane, squash(load3(block, BODY_RATES, lane), rate_scale))
        store3(seen, SEEN_UP, lane, up_of(attitude))
        hover, top = block[HOVER_SPEED, lane], block[TOP_SPEED, lane]
        above, below = ONE / (top - hover), ONE / hover
        for rotor in range(4):
            level = rotor_level(block[ROTOR_SPEEDS + rotor, lane], hover, above, below)
            seen[SEEN_ROTORS + rotor, lane] = level


@inlined
def observe_conflicts(
    blocks: np.ndarray, index: int, settings: Record, scratch: np.ndarray
) -> None:
    """The two worst conflicts: where each will pass and how it flies, both times its degree."""
    block, seen = view(blocks, index), columns_of(scratch)
    if not any_positive(blocks, index, INDEX + POSSIBLE):
        for column in range(SEEN_CONFLICTS, SEEN_CONFLICTS + 2 * CONFLICT_COLUMNS):
            for lane in range(LANES):
                seen[column, lane] = ZERO
        return
    velocity_scale = settings.velocity_scale
    for rank in range(2):
        column = SEEN_CONFLICTS + CONFLICT_COLUMNS * rank
        for lane in range(LANES):
            attitude, degree = load4(block, ATTITUDE, lane), block[CONFLICT_DEGREE + rank, lane]
            offset = load3(block, CONFLICT_OFFSET + 3 * rank, lane)
            direction = scaled(offset, degree / (length(offset) + TINY))
            store3(seen, column, lane, clamp3(to_body(direction, attitude), ONE))
            x, y, z = to_body(load3(block, CONFLICT_VELOCITY + 3 * rank, lane), attitude)
            factor = degree * (ONE / (velocity_scale + length((x, y, z))))
            store3(seen, column + 3, lane, (x * factor, y * factor, z * factor))


@inlined
def observe_neighbours(swarm: Swarm, index: int, neighbours: int, scratch: np.ndarray) -> None:
    """The nearest drones: direction times nearness, and relative velocity."""
    block, seen = view(swarm.blocks, index), columns_of(scratch)
    velocity_scale, scale = swarm.settings.velocity_scale, swarm.settings.neighbour_scale
    for rank in range(neighbours):
        column = SEEN_NEIGHBOURS + NEIGHBOUR_COLUMNS * rank
        gather_motion(swarm, block, NEAREST_KEYS + rank, seen, column)
        for lane in range(LANES):
            attitude = load4(block, ATTITUDE, lane)
            there = ONE if block[NEAREST_KEYS + rank, lane] < FAR else ZERO
            offset = to_body(
                difference(load3(seen, column, lane), load3(block, POSITION, lane)), attitude
            )
            away = length(offset)
            factor = there * scale / ((scale + away) * (away + TINY))
            store3(seen, column, lane, scaled(offset, factor))
            x, y, z = to_body(
                difference(load3(seen, column + 3, lane), load3(block, VELOCITY, lane)), attitude
            )
            factor = there * (ONE / (velocity_scale + length((x, y, z))))
            store3(seen, column + 3, lane, (x * factor, y * factor, z * factor))


@inlined
def write_rows(scratch: np.ndarray, count: int, rows: np.ndarray, start: int, size: int) -> None:
    """Turn the scratch's columns into ``count`` rows of ``size``, from ``rows[start]`` on."""
    seen = columns_of(scratch)
    if count < LANES:
        for lane in range(count):
            for column in range(size):
                rows[start + lane * size + column] = seen[column, lane]
        return
    for lane in range(0, LANES, 8):
        for column in range(0, size, 8):
            column = min(column, size - 8)  # the last tile overlaps the one before
            transpose(scratch, column, lane, rows, start + lane * size + column, size)


@inlined
def write_observations(
    swarm: Swarm,
    index: int,
    start: int,
    neighbours: int,
    scratch: np.ndarray,
    observations: np.ndarray,
    place: int,
) -> None:
    """Write the observations of a block's drones, the first being ``start``; zeros for the gone.

    ``observations`` (S, N, D); ``place`` is where the first one's begins in it, flat.
    """
    num_drones, size = observations.shape[1], observations.shape[2]
    block, rows = view(swarm.blocks, index), observations.reshape(-1)
    count = min(LANES, num_drones - start)
    observe(swarm, index, neighbours, scratch)
    write_rows(scratch, count, rows, place, size)
    if swarm.settings.respawns:
        return  # all are active
    for lane in range(count):
        if block[ACTIVE, lane] == ZERO:
            rows[place + lane * size : place + (lane + 1) * size] = ZERO
