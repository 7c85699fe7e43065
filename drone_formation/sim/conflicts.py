"""Conflicts: which drones will pass too near if all fly on as they do.

Every other drone is led on along its present velocity, as the drone itself is, for up to
``HORIZON``: the two worst are kept.  This looks ahead along straight lines, as collision avoidance
by velocity obstacles does (Fiorini & Shiller, 1998).
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import inlined, merged
from .boxes import gap_between
from .layout import (
    ALERT, CAUTION, CONFLICT, CONFLICT_DEGREE, CONFLICT_KEYS, CONFLICT_MARGIN, CONFLICT_OFFSET,
    CONFLICT_VELOCITY, FAR, FARTHEST, HIGH, HORIZON, INDEX, LANES, LEAST, MATTERS, ONE,
    POSITION, POSSIBLE, SANE, TALLY, TILE_INDEX, TILE_MARKED, TINY, TWO, VELOCITY, ZERO,
    Numbers, Scalar, Swarm,
)  # fmt: skip
from .pairs import gather_motion, motion_of, relative_motion, speed_of
from .simd import (
    any_positive, columns_of, greatest, key_of, load3, positive_at, store3, tile_of, view,
)  # fmt: skip
from .vectors import clamp

EVERY = -1  #: in place of a row that marks some drones


@inlined
def top_speed(blocks: np.ndarray, first: int, num_blocks: int, scratch: np.ndarray) -> Scalar:
    """The greatest speed in a swarm, m/s."""
    top = columns_of(scratch)
    for lane in range(LANES):
        top[TALLY, lane] = ZERO
    for index in range(first, first + num_blocks):
        block = view(blocks, index)
        for lane in range(LANES):
            speed = speed_of(block, lane)
            top[TALLY, lane] = speed if speed > top[TALLY, lane] else top[TALLY, lane]
    return greatest(scratch, TALLY * LANES)


@inlined
def touching_within(margin: Scalar) -> Scalar:
    """Squared distance below which drones collide, m²."""
    return margin * margin * (ONE / (CONFLICT_MARGIN * CONFLICT_MARGIN))


@merged
def set_alerts(rows: np.ndarray, nearest: int, index: int, margin: Scalar, fastest: Scalar) -> None:
    """Forget each lane's conflicts, and put it on alert where they must be looked for.

    They need not be where the nearest drone is farther away than both can fly until the horizon,
    as in a swarm at rest, nor where two drones touch this one: nothing is worse.  ``nearest``, the
    first of the nearest drones' keys, and ``index`` are numbers of rows.
    """
    touching = touching_within(margin)
    for lane in range(LANES):
        reach = MATTERS * margin + HORIZON * (speed_of(rows, lane) + fastest)
        there = rows[POSITION, lane] < SANE
        near = (rows[nearest, lane] < CAUTION * reach * reach) & there
        settled = (rows[nearest + 1, lane] < touching) & there
        rows[index + ALERT, lane] = ONE if near & (not settled) else ZERO
        rows[index + CONFLICT_KEYS, lane] = rows[nearest, lane] if settled else FARTHEST
        rows[index + CONFLICT_KEYS + 1, lane] = rows[nearest + 1, lane] if settled else FARTHEST


@inlined
def may_conflict(motion: Numbers, limit: Scalar) -> Scalar:
    """Whether a drone in relative motion may pass within sqrt(limit) before the horizon.

    Divides nothing, and errs on the safe side: a conflict is never missed.
    """
    x, y, z, u, v, w = motion
    squared, closing = x * x + y * y + z * z, -(x * u + y * v + z * w)
    swept = u * u + v * v + w * w
    soon = (closing > ZERO) & (closing < CAUTION * HORIZON * swept)
    return (squared < limit) | (soon & ((squared - limit) * swept < closing * closing))


@inlined
def closest_approach(motion: Numbers, margin: Scalar) -> Numbers:
    """Where a drone in relative motion will be when it passes, how far away, and how bad that is.

    Both are led on along their present velocities, for up to the horizon, unless they touch now.
    The degree of conflict is 1 - time / horizon times a share, which is 1 where they would collide
    and falls to 0 at the margin; below ``LEAST`` it is none.
    """
    x, y, z, u, v, w = motion
    time = -(x * u + y * v + z * w) / (u * u + v * v + w * w + TINY)
    time = ZERO if time < ZERO else (HORIZON if time > HORIZON else time)
    time = ZERO if x * x + y * y + z * z < touching_within(margin) else time
    x, y, z = x + time * u, y + time * v, z + time * w
    miss = math.sqrt(x * x + y * y + z * z)
    nearness = (margin - miss) * (CONFLICT_MARGIN / (CONFLICT_MARGIN - ONE)) / margin
    nearness = clamp(nearness if nearness > ZERO else ZERO, ONE)
    conflict = nearness * (ONE - time * (ONE / HORIZON))
    return x, y, z, miss, conflict if conflict >= LEAST else ZERO


@inlined
def update_conflicts_of_tile(
    tiles: np.ndarray, mine: int, theirs: int, corners: Numbers, margin: Scalar, mask: Scalar
) -> None:
    """:func:`update_conflicts` for those of a tile's drones whose way comes near a box."""
    tile = tile_of(tiles, theirs)
    for lane in range(LANES):
        gap = ZERO
        for axis in range(3):
            start = tile[axis, lane]
            end = start + HORIZON * tile[VELOCITY + axis, lane]
            low, high = (start, end) if start < end else (end, start)
            side = gap_between(low, high, corners[axis], corners[HIGH + axis])
            gap += side * side
        tile[TILE_MARKED, lane] = ONE if gap < margin * margin else ZERO
    update_conflicts(tile_of(tiles, mine), tile, TILE_INDEX, TILE_MARKED, margin, mask)


@merged
def update_conflicts(
    rows: np.ndarray, others: np.ndarray, index: int, marks: int, margin: Scalar, mask: Scalar
) -> None:
    """Keep each lane's two worst conflicts, now that the drones of another block or tile are seen.

    Few drones are in conflict, so two are looked at roughly first, and those not marked in row
    ``marks``, unless that is ``EVERY``, not at all.
    """
    limit = CAUTION * (MATTERS * margin) * (MATTERS * margin)
    for that in range(0, LANES, 2):
        if marks != EVERY and others[marks, that] + others[marks, that + 1] == ZERO:
            continue
        other0, other1 = motion_of(others, that), motion_of(others, that + 1)
        own0, own1 = others[index, that], others[index, that + 1]
        for lane in range(LANES):
            met0 = may_conflict(relative_motion(rows, lane, other0), limit)
            met1 = may_conflict(relative_motion(rows, lane, other1), limit)
            met0, met1 = met0 & (rows[index, lane] != own0), met1 & (rows[index, lane] != own1)
            rows[index + POSSIBLE, lane] = rows[index + ALERT, lane] if met0 | met1 else ZERO
        if positive_at(rows, (index + POSSIBLE) * LANES):
            insert_conflict(rows, other0, own0, index, margin, mask)
            insert_conflict(rows, other1, own1, index, margin, mask)


@merged
def insert_conflict(
    rows: np.ndarray, other: Numbers, own: Scalar, index: int, margin: Scalar, mask: Scalar
) -> None:
    """Offer one drone, whose index is ``own``, to all lanes on alert as a conflict."""
    label = np.int32(own)
    for lane in range(LANES):
        conflict = closest_approach(relative_motion(rows, lane, other), margin)[4]
        alert = rows[index + ALERT, lane] > ZERO
        counts = (conflict > ZERO) & alert & (rows[index, lane] != own)
        # Twos less conflicts sort from the worst on, and their bits make keys.
        key = key_of(TWO - conflict, mask, label) if counts else FARTHEST
        worst = rows[index + CONFLICT_KEYS, lane]
        second = rows[index + CONFLICT_KEYS + 1, lane]
        rows[index + CONFLICT_KEYS, lane] = key if key < worst else worst
        key = worst if key < worst else key
        rows[index + CONFLICT_KEYS + 1, lane] = key if key < second else second


@inlined
def measure_conflicts(swarm: Swarm, index: int, scratch: np.ndarray) -> None:
    """What each lane's two worst conflicts ahead are: their degrees, offsets and velocities."""
    block, seen = view(swarm.blocks, index), columns_of(scratch)
    margin = CONFLICT_MARGIN * swarm.settings.collision_distance
    for lane in range(LANES):
        block[CONFLICT, lane] = ZERO
        threatened = block[INDEX + CONFLICT_KEYS, lane] < FAR
        block[INDEX + POSSIBLE, lane] = ONE if threatened else ZERO
    if not any_positive(swarm.blocks, index, INDEX + POSSIBLE):
        return
    for rank in range(2):
        keys = INDEX + CONFLICT_KEYS + rank
        gather_motion(swarm, block, keys, seen, 0)
        for lane in range(LANES):
            other = load3(seen, 0, lane) + load3(seen, 3, lane)
            motion = relative_motion(block, lane, other)
            x, y, z, _, degree = closest_approach(motion, margin)
            degree = degree if block[keys, lane] < FAR else ZERO
            worst = block[CONFLICT, lane]
            block[CONFLICT, lane] = degree if degree > worst else worst
            block[CONFLICT_DEGREE + rank, lane] = degree
            store3(block, CONFLICT_OFFSET + 3 * rank, lane, (x, y, z))
            store3(block, CONFLICT_VELOCITY + 3 * rank, lane, motion[3:])
