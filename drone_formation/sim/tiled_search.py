"""Neighbours and conflicts in a large swarm: only tiles near each other are compared."""

from __future__ import annotations

import numpy as np

from ._jit import inlined, jitted
from .boxes import corners_of, list_boxes, measure_gaps
from .conflicts import set_alerts, update_conflicts_of_tile
from .exact import search_exactly
from .layout import (
    ALERT, BOX_CORNERS, BOX_GAP, BOX_LIST, BOX_NEARBY, BOX_SWEPT, CONFLICT_KEYS, FARTHEST,
    INDEX, LANES, NEARBY_TILE, NEAREST_KEYS, ONE, SANE, TILE_BEST, TILE_DOUBT, TILE_FLOOR,
    TILE_INDEX, TILE_ROWS, ZERO, Scalar, Swarm,
)  # fmt: skip
from .pairs import alike
from .simd import greatest, key_of, positive_at, tile_of, view
from .tiles import compare_tiles, pack_tiles, sort_drones

#: The greatest of a tile's third least keys stands at this place of its rows, flat.
_THIRD = (TILE_BEST + 2) * LANES


@jitted
def search_tiles(
    swarm: Swarm, wanted: int, tiling: tuple, margin: Scalar, fastest: Scalar, scratch: np.ndarray
) -> None:
    """The keys of each drone's ``wanted`` nearest others, one more, and of its worst conflicts.

    ``tiling`` is (tiles, boxes, orders of the drones in the tiles).  The sort decides how fast this
    is, never what it finds, so it is renewed only when the number of comparisons has grown.
    """
    blocks, first, num_blocks, mask = swarm.blocks, swarm.first, swarm.num_blocks, swarm.mask
    tiles, boxes, order = tiling[0], tiling[1], tiling[2][first // num_blocks]
    fresh = swarm.episode.visits == 0
    if fresh:
        places = tiles.reshape(TILE_ROWS, -1)  # before the tiles are filled, their memory is free
        sort_drones(blocks, first, num_blocks, order, places)
    pack_tiles(blocks, first, num_blocks, tiles, boxes, order)
    visits = 0
    for t in range(num_blocks):
        tile = tile_of(tiles, t)
        if boxes[BOX_CORNERS, t] > SANE:
            continue  # only parked drones
        measure_gaps(boxes, num_blocks, BOX_CORNERS, corners_of(boxes, BOX_CORNERS, t))
        for lane in range(LANES):
            tile[TILE_FLOOR, lane] = -ONE
        for found in range(0, wanted + 1, 3):
            visits += find_three_of_tile(tiles, boxes, num_blocks, t, found, mask)
            if found == 0:
                set_alerts(tile, TILE_BEST, TILE_INDEX, margin, fastest)
            for lane in range(LANES):
                drone = order[t * LANES + lane]
                block, that = view(blocks, first + (drone >> 4)), drone & 15
                for rank in range(3):
                    block[NEAREST_KEYS + found + rank, that] = tile[TILE_BEST + rank, lane]
        if positive_at(tiles, (t * TILE_ROWS + TILE_DOUBT) * LANES):
            resolve_doubts(swarm, order, t, wanted, tiling, scratch)
        if positive_at(tiles, (t * TILE_ROWS + TILE_INDEX + ALERT) * LANES):
            corners = corners_of(boxes, BOX_SWEPT, t)
            measure_gaps(boxes, num_blocks, BOX_SWEPT, corners)
            count = list_boxes(boxes, num_blocks, margin * margin, num_blocks)[0]
            for i in range(count):
                theirs = int(boxes[BOX_LIST, i])
                update_conflicts_of_tile(tiles, t, theirs, corners, margin, mask)
        for lane in range(LANES):
            drone = order[t * LANES + lane]
            block, that = view(blocks, first + (drone >> 4)), drone & 15
            for rank in range(2):
                key = tile[TILE_INDEX + CONFLICT_KEYS + rank, lane]
                block[INDEX + CONFLICT_KEYS + rank, that] = key
    if fresh:
        swarm.episode.visits = visits + num_blocks
    elif 4 * visits > 5 * swarm.episode.visits:
        swarm.episode.visits = 0


@inlined
def find_three_of_tile(
    tiles: np.ndarray, boxes: np.ndarray, num_tiles: int, t: int, found: int, mask: Scalar
) -> int:
    """Each lane's three least keys beyond those ``found`` before; the number of tiles visited."""
    tile, visits = tile_of(tiles, t), 0
    for rank in range(3):
        for lane in range(LANES):
            tile[TILE_BEST + rank, lane] = FARTHEST
    compare_tiles(tiles, t, t, mask, found > 0)
    limit = greatest(tiles, t * TILE_ROWS * LANES + _THIRD)
    count, touching = list_boxes(boxes, num_tiles, limit, t)
    for i in range(count):
        theirs = int(boxes[BOX_LIST, i])
        if i < touching or boxes[BOX_GAP, theirs] <= limit:
            compare_tiles(tiles, t, theirs, mask, found > 0)
            limit = greatest(tiles, t * TILE_ROWS * LANES + _THIRD)
            visits += 1
    for lane in range(LANES):
        key0, key1 = tile[TILE_BEST, lane], tile[TILE_BEST + 1, lane]
        key2, floor = tile[TILE_BEST + 2, lane], tile[TILE_FLOOR, lane]
        doubt = alike(floor, key0, mask) | alike(key0, key1, mask) | alike(key1, key2, mask)
        before = tile[TILE_DOUBT, lane] if found > 0 else ZERO
        tile[TILE_DOUBT, lane] = ONE if doubt else before
        tile[TILE_FLOOR, lane] = key2
    return visits


@inlined
def resolve_doubts(
    swarm: Swarm, order: np.ndarray, t: int, wanted: int, tiling: tuple, scratch: np.ndarray
) -> None:
    """Search again, by whole distances, for the lanes of a tile whose keys are in doubt."""
    tiles, boxes, mask, num_tiles = tiling[0], tiling[1], swarm.mask, swarm.num_blocks
    limit = key_of(greatest(tiles, t * TILE_ROWS * LANES + _THIRD), mask, ~mask)
    count = list_boxes(boxes, num_tiles, limit, num_tiles)[0]
    for i in range(count):
        theirs = int(boxes[BOX_LIST, i])
        for corner in range(6):
            boxes[BOX_NEARBY + corner, i] = boxes[BOX_CORNERS + corner, theirs]
        boxes[NEARBY_TILE, i] = boxes[BOX_LIST, i]
    tile = tile_of(tiles, t)
    for lane in range(LANES):
        if tile[TILE_DOUBT, lane] > ZERO:
            drone = order[t * LANES + lane]
            index = swarm.first + (drone >> 4)
            search_exactly(swarm, index, drone & 15, wanted, tiling, count, scratch)
