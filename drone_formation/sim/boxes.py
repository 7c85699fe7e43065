"""The boxes around tiles: how far apart they are, and which are near enough to matter."""

from __future__ import annotations

import numpy as np

from ._jit import inlined, jitted
from .layout import BOX_GAP, BOX_LIST, LANES, MAX_TILES, ZERO, Numbers, Scalar
from .simd import boxes_of, lowest, within


@inlined
def corners_of(boxes: np.ndarray, row: int, tile: int) -> Numbers:
    """The corners of a tile's box, from the given row on: low 3, high 3."""
    return (
        boxes[row, tile], boxes[row + 1, tile], boxes[row + 2, tile],
        boxes[row + 3, tile], boxes[row + 4, tile], boxes[row + 5, tile],
    )  # fmt: skip


@inlined
def gap_between(low: Scalar, high: Scalar, other_low: Scalar, other_high: Scalar) -> Scalar:
    """How far apart two intervals are; zero where they overlap."""
    before, after = low - other_high, other_low - high
    gap = before if before > after else after
    return gap if gap > ZERO else ZERO


@inlined
def measure_gaps(boxes: np.ndarray, num_tiles: int, row: int, corners: Numbers) -> None:
    """Squared distance of every tile's box, from the given row on, from one with given corners."""
    box = boxes_of(boxes)
    x0, y0, z0, x1, y1, z1 = corners
    for t in range(num_tiles):
        dx = gap_between(box[row, t], box[row + 3, t], x0, x1)
        dy = gap_between(box[row + 1, t], box[row + 4, t], y0, y1)
        dz = gap_between(box[row + 2, t], box[row + 5, t], z0, z1)
        box[BOX_GAP, t] = dx * dx + dy * dy + dz * dz


@inlined
def boxes_within(boxes: np.ndarray, start: int, end: int, limit: Scalar) -> int:
    """A bit for each of 16 boxes from ``start`` on, before ``end``: is its gap up to the limit?"""
    bits = within(boxes, BOX_GAP * MAX_TILES + start, limit)
    return bits & ((1 << (end - start)) - 1) if end - start < LANES else bits


@jitted
def list_boxes(boxes: np.ndarray, num_tiles: int, limit: Scalar, skip: int) -> tuple[int, int]:
    """List the tiles within a squared distance but for one, those that overlap first.

    Returns how many there are, and how many of them overlap.
    """
    box, count, touching = boxes_of(boxes), 0, 0
    for away in range(2):
        for start in range(0, num_tiles, LANES):
            bits = boxes_within(boxes, start, num_tiles, ZERO)
            if away == 1:
                bits = boxes_within(boxes, start, num_tiles, limit) & ~bits
            while bits != 0:
                t = start + lowest(bits)
                bits &= bits - 1
                if t != skip:
                    box[BOX_LIST, count] = np.float32(t)
                    count += 1
        if away == 0:
            touching = count
    return count, touching
