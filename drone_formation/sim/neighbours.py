"""Which drones are nearest to each, exactly, and which are in conflict with it."""

from __future__ import annotations

import math

import numpy as np

from ._jit import inlined, jitted
from .conflicts import EVERY, set_alerts, top_speed, update_conflicts
from .exact import search_exactly
from .layout import (
    ALERT, BEST, CONFLICT_MARGIN, DOUBT, FAR, FARTHEST, FLOOR, INDEX, LANE, LANES,
    NEAREST_DISTANCE, NEAREST_KEYS, ONE, POSITION, THREE, TWO, ZERO, Scalar, Swarm,
)  # fmt: skip
from .pairs import alike, four_keys, four_places, insert_four, squared_distance
from .simd import any_positive, index_of, load3, store3, view
from .tiled_search import search_tiles


@inlined
def index_mask(num_blocks: int) -> Scalar:
    """The bits of a key that hold the distance: all but those that an index needs."""
    bits = LANES
    while bits < num_blocks * LANES:
        bits *= 2
    return np.int32(-bits)


@jitted
def find_nearest(
    swarm: Swarm, neighbours: int, tiling: tuple | None, few: bool | None, scratch: np.ndarray
) -> None:
    """The keys of each drone's worst conflicts, and of its nearest drones, nearest first.

    The nearest are exact, ties by index: one key more than needed is kept, and only where two of
    these share their distance bits can the order be in doubt; such a lane is searched again with
    whole distances.

    ``tiling`` is None for small swarms, so that nothing of it is compiled for them, and ``few`` is
    None for large ones: numba leaves out code behind an argument that is None, no other.
    """
    blocks, first, num_blocks = swarm.blocks, swarm.first, swarm.num_blocks
    wanted = max(1, neighbours)
    margin = CONFLICT_MARGIN * swarm.settings.collision_distance
    fastest = top_speed(blocks, first, num_blocks, scratch)
    if tiling is not None:
        search_tiles(swarm, wanted, tiling, margin, fastest, scratch)
    if few is not None:
        for index in range(first, first + num_blocks):
            for found in range(0, wanted + 1, 3):
                find_three(blocks, first, num_blocks, index, found, swarm.mask)
            block = view(blocks, index)
            set_alerts(block, NEAREST_KEYS, INDEX, margin, fastest)
            if any_positive(blocks, index, INDEX + ALERT):
                for theirs in range(first, first + num_blocks):
                    update_conflicts(block, view(blocks, theirs), INDEX, EVERY, margin, swarm.mask)
            if any_positive(blocks, index, DOUBT):
                for lane in range(LANES):
                    if block[DOUBT, lane] > ZERO:
                        search_exactly(swarm, index, lane, wanted, tiling, num_blocks, scratch)


@inlined
def measure_nearest(swarm: Swarm, index: int) -> None:
    """The distance to each lane's nearest drone."""
    block = view(swarm.blocks, index)
    for lane in range(LANES):
        key = block[NEAREST_KEYS, lane]
        that = index_of(key, swarm.mask) if key < FAR else 0
        place = load3(view(swarm.blocks, swarm.first + (that >> 4)), POSITION, that & 15)
        squared = squared_distance(block, lane, place)
        block[NEAREST_DISTANCE, lane] = math.sqrt(squared if key < FAR else FAR)


@inlined
def find_three(
    blocks: np.ndarray, first: int, num_blocks: int, index: int, found: int, mask: Scalar
) -> None:
    """Write each lane's three least keys but for the ``found`` ones to ``NEAREST_KEYS + found``.

    Rows with a constant number do the work: one that varies would bring alias checks back.
    """
    block = view(blocks, index)
    for lane in range(LANES):
        block[FLOOR, lane] = block[BEST + 2, lane] if found > 0 else -ONE
        store3(block, BEST, lane, (FARTHEST, FARTHEST, FARTHEST))
    for theirs in range(num_blocks):
        other = view(blocks, first + theirs)
        # Four at a time, so that the best so far is loaded and stored a quarter as often.
        for that in range(0, LANES, 4):
            places, label = four_places(other, that), theirs * LANES + that
            labels = np.int32(label), np.int32(label + 1), np.int32(label + 2), np.int32(label + 3)
            if found == 0 and first + theirs != index:
                for lane in range(LANES):
                    keys = four_keys(block, lane, places, labels, mask)
                    store3(block, BEST, lane, insert_four(load3(block, BEST, lane), keys))
            else:  # the rarer case: leave out the drone itself and those found before
                own = np.float32(that if first + theirs == index else -LANES)
                for lane in range(LANES):
                    key0, key1, key2, key3 = four_keys(block, lane, places, labels, mask)
                    last, gap = block[FLOOR, lane], block[LANE, lane] - own
                    key0 = FARTHEST if (key0 <= last) | (gap == ZERO) else key0
                    key1 = FARTHEST if (key1 <= last) | (gap == ONE) else key1
                    key2 = FARTHEST if (key2 <= last) | (gap == TWO) else key2
                    key3 = FARTHEST if (key3 <= last) | (gap == THREE) else key3
                    best = insert_four(load3(block, BEST, lane), (key0, key1, key2, key3))
                    store3(block, BEST, lane, best)
    for lane in range(LANES):
        key0, key1, key2 = load3(block, BEST, lane)
        doubt = alike(block[FLOOR, lane], key0, mask) | alike(key0, key1, mask)
        doubt = doubt | alike(key1, key2, mask)
        before = block[DOUBT, lane] if found > 0 else ZERO
        block[DOUBT, lane] = ONE if doubt else before
    if found == 0:
        for lane in range(LANES):
            store3(block, NEAREST_KEYS, lane, load3(block, BEST, lane))
    else:
        for lane in range(LANES):
            store3(block, NEAREST_KEYS + found, lane, load3(block, BEST, lane))
