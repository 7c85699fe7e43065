"""Large swarms in tiles of 16 drones that are near each other: a k-d tree's leaves."""

from __future__ import annotations

import numpy as np

from ._jit import inlined, jitted
from .layout import (
    BOX_CORNERS, BOX_SWEPT, FARTHEST, HORIZON, LANES, ONE, POSITION, TILE_BEST, TILE_FLOOR,
    TILE_INDEX, TILE_MOVE, VELOCITY, Scalar,
)  # fmt: skip
from .pairs import four_keys, four_places, insert_four, path_of
from .simd import load3, store3, tile_of, view


@jitted
def select(order: np.ndarray, along: np.ndarray, begin: int, end: int, middle: int) -> None:
    """Reorder ``order[begin:end]`` so that the entries before ``middle`` are the lower ones.

    Hoare's quickselect, by the coordinate ``along[entry]``.
    """
    end -= 1
    while begin < end:
        pivot = along[order[(begin + end) >> 1]]
        i, j = begin, end
        while i <= j:
            while along[order[i]] < pivot:
                i += 1
            while along[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            end = j
        elif middle >= i:
            begin = i
        else:
            return


@jitted
def sort_drones(
    blocks: np.ndarray, first: int, num_blocks: int, order: np.ndarray, places: np.ndarray
) -> None:
    """Order a swarm's drones so that each 16 in a row are near each other.

    The drones are halved across the longest side of their box, and the halves again, down to
    single tiles (a k-d tree, whose leaves are the tiles).  ``places`` (3 or more, 16 B) is scratch.
    """
    for drone in range(num_blocks * LANES):
        block, lane = view(blocks, first + (drone >> 4)), drone & 15
        for axis in range(3):
            places[axis, drone] = block[axis, lane]
        order[drone] = drone
    width = 1
    while width < num_blocks:
        width *= 2
    while width > 1:  # level by level: groups of at most ``width`` tiles
        for group in range(0, num_blocks, width):
            begin, end = group * LANES, min(num_blocks, group + width) * LANES
            middle = (group + width // 2) * LANES
            if middle >= end:
                continue
            longest, side = 0, -ONE
            for axis in range(3):
                low, high = FARTHEST, -FARTHEST
                for i in range(begin, end):
                    place = places[axis, order[i]]
                    low, high = min(low, place), max(high, place)
                if high - low > side:
                    longest, side = axis, high - low
            select(order, places[longest], begin, end, middle)
        width //= 2


@jitted
def pack_tiles(
    blocks: np.ndarray,
    first: int,
    num_blocks: int,
    tiles: np.ndarray,
    boxes: np.ndarray,
    order: np.ndarray,
) -> None:
    """Copy the drones into tiles, in sorted order, with the corners of each tile's boxes."""
    for t in range(num_blocks):
        tile = tile_of(tiles, t)
        for lane in range(LANES):
            drone = order[t * LANES + lane]
            block, that = view(blocks, first + (drone >> 4)), drone & 15
            x, y, z, dx, dy, dz = path_of(block, that)
            store3(tile, POSITION, lane, (x, y, z))
            store3(tile, VELOCITY, lane, load3(block, VELOCITY, that))
            store3(tile, TILE_MOVE, lane, (dx, dy, dz))
            tile[TILE_INDEX, lane] = np.float32(drone)
        for axis in range(3):
            low, high = tile[axis, 0], tile[axis, 0]
            for lane in range(1, LANES):
                low, high = min(low, tile[axis, lane]), max(high, tile[axis, lane])
            boxes[BOX_CORNERS + axis, t], boxes[BOX_CORNERS + 3 + axis, t] = low, high
            for lane in range(LANES):
                then = tile[axis, lane] + HORIZON * tile[VELOCITY + axis, lane]
                low, high = min(low, then), max(high, then)
            boxes[BOX_SWEPT + axis, t], boxes[BOX_SWEPT + 3 + axis, t] = low, high


@inlined
def compare_tiles(tiles: np.ndarray, mine: int, theirs: int, mask: Scalar, again: bool) -> None:
    """Offer the drones of one tile to those of another as neighbours.

    ``again``: in a further pass, which leaves out those found before.
    """
    tile, other = tile_of(tiles, mine), tile_of(tiles, theirs)
    for that in range(0, LANES, 4):
        places = four_places(other, that)
        label0, label1 = other[TILE_INDEX, that], other[TILE_INDEX, that + 1]
        label2, label3 = other[TILE_INDEX, that + 2], other[TILE_INDEX, that + 3]
        labels = np.int32(label0), np.int32(label1), np.int32(label2), np.int32(label3)
        if mine != theirs and not again:
            for lane in range(LANES):
                keys = four_keys(tile, lane, places, labels, mask)
                store3(tile, TILE_BEST, lane, insert_four(load3(tile, TILE_BEST, lane), keys))
        else:
            for lane in range(LANES):
                key0, key1, key2, key3 = four_keys(tile, lane, places, labels, mask)
                last, own = tile[TILE_FLOOR, lane], tile[TILE_INDEX, lane]
                key0 = FARTHEST if (key0 <= last) | (own == label0) else key0
                key1 = FARTHEST if (key1 <= last) | (own == label1) else key1
                key2 = FARTHEST if (key2 <= last) | (own == label2) else key2
                key3 = FARTHEST if (key3 <= last) | (own == label3) else key3
                best = insert_four(load3(tile, TILE_BEST, lane), (key0, key1, key2, key3))
                store3(tile, TILE_BEST, lane, best)
