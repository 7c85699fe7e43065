"""Collisions: which drones come within the collision distance of another within the step."""

from __future__ import annotations

import numpy as np

from ._jit import inlined, jitted
from .boxes import measure_gaps
from .layout import (
    ACTIVE, BOX_CORNERS, BOX_GAP, CLOSE, COLLIDING, LANE, LANES, NEAREST_DISTANCE, ONE,
    POSITION, STEP_LENGTH, STRUCK, TALLY, TILE_INDEX, TILE_MARKED, TILE_MOVE, TILE_ROWS, ZERO,
    Numbers, Scalar, Swarm,
)  # fmt: skip
from .pairs import path_of
from .simd import any_positive, columns_of, greatest, load3, positive_at, tile_of, view
from .vectors import dot


@inlined
def come_within(own: Numbers, other: Numbers, limit: Scalar) -> Scalar:
    """Whether two drones' paths come within sqrt(limit) of each other in the step.

    Both are taken to move straight from where they were to where they are, so that they cannot
    pass through each other unseen: they are near at the end, near at the start, or nearest in
    between, where d² - (d·w)² / w² is below the limit (d: offset at the end, w: its change).
    """
    ox, oy, oz, ou, ov, ow = other
    mx, my, mz, mu, mv, mw = own
    dx, dy, dz = ox - mx, oy - my, oz - mz
    wx, wy, wz = ou - mu, ov - mv, ow - mw
    sx, sy, sz = dx - wx, dy - wy, dz - wz
    end, start = dot((dx, dy, dz), (dx, dy, dz)), dot((sx, sy, sz), (sx, sy, sz))
    closed, swept = dot((dx, dy, dz), (wx, wy, wz)), dot((wx, wy, wz), (wx, wy, wz))
    between = (closed > ZERO) & (closed < swept) & ((end - limit) * swept < closed * closed)
    return (end < limit) | (start < limit) | between


@jitted
def comes_near_another(
    swarm: Swarm, mine: int, this: int, limit: Scalar, reach: Scalar, tiling: tuple | None
) -> bool:
    """Whether a drone comes within sqrt(limit) of another in the step.

    ``reach`` bounds how far away, at the end of the step, such another can be, m.
    """
    own = path_of(view(swarm.blocks, mine), this)
    if tiling is None:
        for theirs in range(swarm.first, swarm.first + swarm.num_blocks):
            other = view(swarm.blocks, theirs)
            self = np.float32(this if theirs == mine else -1)
            for lane in range(LANES):
                hit = come_within(own, path_of(other, lane), limit) & (other[LANE, lane] != self)
                other[STRUCK, lane] = ONE if hit else ZERO
            if any_positive(swarm.blocks, theirs, STRUCK):
                return True
        return False
    tiles, boxes = tiling[0], tiling[1]
    place = load3(view(swarm.blocks, mine), POSITION, this)
    measure_gaps(boxes, swarm.num_blocks, BOX_CORNERS, place + place)
    self = np.float32((mine - swarm.first) * LANES + this)
    for t in range(swarm.num_blocks):
        if boxes[BOX_GAP, t] > reach * reach:
            continue
        tile = tile_of(tiles, t)
        for lane in range(LANES):
            path = load3(tile, POSITION, lane) + load3(tile, TILE_MOVE, lane)
            hit = come_within(own, path, limit) & (tile[TILE_INDEX, lane] != self)
            tile[TILE_MARKED, lane] = ONE if hit else ZERO
        if positive_at(tiles, (t * TILE_ROWS + TILE_MARKED) * LANES):
            return True
    return False


@inlined
def find_collisions(swarm: Swarm, index: int, fastest: Scalar, tiling: tuple | None) -> None:
    """Which drones come nearer to another than the collision distance within this step.

    Those cannot whose nearest drone is now farther than that plus what both can have moved
    (``fastest``: the longest step in the swarm, m); for the few others the closest approach counts.
    """
    block, collision_distance = view(swarm.blocks, index), swarm.settings.collision_distance
    for lane in range(LANES):
        reach = collision_distance + block[STEP_LENGTH, lane] + fastest
        block[CLOSE, lane] = block[ACTIVE, lane] if block[NEAREST_DISTANCE, lane] < reach else ZERO
        block[COLLIDING, lane] = ZERO
    if any_positive(swarm.blocks, index, CLOSE):
        limit = collision_distance * collision_distance
        for lane in range(LANES):
            if block[CLOSE, lane] == ZERO:
                continue
            reach = collision_distance + block[STEP_LENGTH, lane] + fastest
            if block[NEAREST_DISTANCE, lane] < collision_distance or comes_near_another(
                swarm, index, lane, limit, reach, tiling
            ):
                block[COLLIDING, lane] = ONE


@inlined
def longest_step(swarm: Swarm, scratch: np.ndarray) -> Scalar:
    """How far the drone moved that moved farthest in this step, m."""
    longest = columns_of(scratch)
    for lane in range(LANES):
        longest[TALLY, lane] = ZERO
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            moved = block[STEP_LENGTH, lane] * block[ACTIVE, lane]
            longest[TALLY, lane] = moved if moved > longest[TALLY, lane] else longest[TALLY, lane]
    return greatest(scratch, TALLY * LANES)
