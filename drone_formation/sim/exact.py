"""The rare second search: neighbours by whole distances, where keys cannot tell them apart."""

from __future__ import annotations

import numpy as np

from ._jit import jitted, merged
from .boxes import boxes_within, measure_gaps
from .layout import (
    BOX_NEARBY, FAR, FARTHEST, INDEX, LANES, NEARBY_TILE, NEAREST_INDEX, NEAREST_KEYS,
    NEAREST_SQUARED, NEGATED, ONE, POSITION, TILE_INDEX, ZERO, Scalar, Swarm, Vector,
)  # fmt: skip
from .pairs import squared_distance
from .simd import columns_of, greatest, key_of, load3, lowest, tile_of, view, within


@merged
def keep_nearer(
    rows: np.ndarray,
    index: int,
    place: Vector,
    after: tuple[Scalar, Scalar],
    own: Scalar,
    seen: np.ndarray,
) -> None:
    """Keep in each lane of ``seen`` the nearest of the drones offered, ties by index.

    Only those beyond ``after``, a squared distance and an index, count, and not one's ``own``.
    """
    last, last_index = after
    for lane in range(LANES):
        squared, label = squared_distance(rows, lane, place), rows[index, lane]
        best, nearest = seen[NEAREST_SQUARED, lane], seen[NEAREST_INDEX, lane]
        fresh = (squared > last) | ((squared == last) & (label > last_index))
        better = (squared < best) | ((squared == best) & (label < nearest))
        taken = fresh & better & (label != own)
        seen[NEAREST_SQUARED, lane] = squared if taken else best
        seen[NEAREST_INDEX, lane] = label if taken else nearest


@jitted
def search_exactly(
    swarm: Swarm,
    index: int,
    this: int,
    wanted: int,
    tiling: tuple | None,
    nearby: int,
    scratch: np.ndarray,
) -> None:
    """One lane's nearest drones by whole distances.

    With tiles they are among the first ``nearby`` ones of ``BOX_NEARBY``.
    """
    block, seen, mask = view(swarm.blocks, index), columns_of(scratch), swarm.mask
    place, own = load3(block, POSITION, this), block[INDEX, this]
    limit = key_of(block[NEAREST_KEYS + wanted, this], mask, ~mask)  # what it may have stood for
    if tiling is not None:
        measure_gaps(tiling[1], nearby, BOX_NEARBY, place + place)
    for rank in range(wanted + 1):
        block[NEAREST_KEYS + rank, this] = FARTHEST
    after = (-ONE, -ONE)
    for rank in range(wanted):
        for lane in range(LANES):
            seen[NEAREST_SQUARED, lane], seen[NEAREST_INDEX, lane] = FAR, -ONE
        if tiling is not None:
            tiles, boxes = tiling[0], tiling[1]
            for start in range(0, nearby, LANES):
                bits = boxes_within(boxes, start, nearby, limit)
                while bits != 0:
                    tile = tile_of(tiles, int(boxes[NEARBY_TILE, start + lowest(bits)]))
                    keep_nearer(tile, TILE_INDEX, place, after, own, seen)
                    bits &= bits - 1
        else:
            for theirs in range(swarm.first, swarm.first + swarm.num_blocks):
                keep_nearer(view(swarm.blocks, theirs), INDEX, place, after, own, seen)
        for lane in range(LANES):
            seen[NEGATED, lane] = -seen[NEAREST_SQUARED, lane]
        least = -greatest(scratch, NEGATED * LANES)
        bits = within(scratch, NEAREST_SQUARED * LANES, least)
        found = seen[NEAREST_INDEX, lowest(bits)]
        while bits != 0:
            found = min(found, seen[NEAREST_INDEX, lowest(bits)])
            bits &= bits - 1
        if found < ZERO:
            break
        block[NEAREST_KEYS + rank, this] = key_of(least, mask, np.int32(found))
        after = (least, found)
