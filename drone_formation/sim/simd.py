"""What Python and numba cannot say: views of constant shape, packed searches, keys, a transpose.

Each has a plain twin for ``NUMBA_DISABLE_JIT=1``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined, unused-ignore]
from numba.extending import intrinsic as _intrinsic

from ._jit import COMPILED, Decorator, inlined, merged
from .layout import (
    BOX_ROWS, LANES, MAX_OBSERVATION, MAX_TILES, ROWS, TILE_ROWS, ZERO, Four, Scalar, Vector,
)  # fmt: skip


intrinsic: Decorator = _intrinsic


@intrinsic
def _address(typingctx: Any, array: Any, index: Any) -> Any:
    """Pointer to ``array[index]``'s data; what uses it works with registers of any width.

    LLVM keeps to half of Intel's 512 bits unless a function asks for all.  Every function with lane
    loops comes by here, through the merged :func:`view` and its like.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Not by ``attributes.add``, which knows fewer attributes than LLVM.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        view_ = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(view_.strides, 0)
        data = builder.ptrtoint(view_.data, stride.type)
        offset = builder.mul(
            stride, context.cast(builder, arguments[1], signature.args[1], types.intp)
        )
        return builder.inttoptr(builder.add(data, offset), view_.data.type)

    return types.CPointer(array.dtype)(array, index), codegen


@intrinsic
def _pack(typingctx: Any, value: Any, mask: Any, name: Any) -> Any:
    """The float32 whose bits are those of ``value`` under the mask, and ``name`` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(32))
        bits = builder.or_(builder.and_(bits, arguments[1]), arguments[2])
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32, types.int32, types.int32), codegen


@intrinsic
def _unpack(typingctx: Any, key: Any, mask: Any) -> Any:
    """What a float32's bits hold outside the mask, as an int32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(32))
        return builder.and_(bits, builder.not_(arguments[1]))

    return types.int32(types.float32, types.int32), codegen


@intrinsic
def _within(typingctx: Any, array: Any, place: Any, limit: Any) -> Any:
    """A bit for each of the 16 floats from ``array[place]`` on, flat: is it up to a limit?"""
    vector = ir.VectorType(ir.FloatType(), LANES)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_ = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.bitcast(builder.gep(array_.data, [arguments[1]]), vector.as_pointer())
        row = builder.load(start)
        row.align = 4
        limits = ir.Constant(vector, ir.Undefined)
        for lane in range(LANES):
            limits = builder.insert_element(limits, arguments[2], ir.Constant(ir.IntType(32), lane))
        bits = builder.bitcast(builder.fcmp_ordered("<=", row, limits), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(array, types.intp, types.float32), codegen


@intrinsic
def _lowest(typingctx: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def _greatest(typingctx: Any, array: Any, place: Any) -> Any:
    """The greatest of the 16 floats from ``array[place]`` on, flat."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_ = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.gep(array_.data, [arguments[1]])
        vector = ir.VectorType(ir.FloatType(), LANES)
        row = builder.load(builder.bitcast(start, vector.as_pointer()))
        row.align = 4
        width = LANES
        while width > 1:  # fold the halves onto each other
            width //= 2
            halves = [
                builder.shuffle_vector(
                    row, row, ir.Constant(ir.VectorType(ir.IntType(32), width), list(order))
                )
                for order in (range(width), range(width, 2 * width))
            ]
            row = builder.select(builder.fcmp_ordered(">", *halves), *halves)
        return builder.extract_element(row, ir.Constant(ir.IntType(32), 0))

    return types.float32(array, types.intp), codegen


@intrinsic
def _transpose(typingctx: Any, array: Any, source: Any, to: Any, target: Any, stride: Any) -> Any:
    """Copy an 8 x 8 tile, transposed, from a flat array with rows of 16 to one with any stride.

    LLVM does not find this by itself: element by element the copy takes four times as long.
    """
    vector = ir.VectorType(ir.FloatType(), 8)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer(which: Any, offset: Any) -> Any:
            array_ = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.gep(array_.data, [offset])

        def mix(one: Any, other: Any, *lanes_: Any) -> Any:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(lanes_))
            return builder.shuffle_vector(one, other, mask)

        start = pointer(0, arguments[1])
        rows = []
        for row in range(8):
            place = builder.gep(start, [ir.Constant(ir.IntType(64), LANES * row)])
            loaded = builder.load(builder.bitcast(place, vector.as_pointer()))
            loaded.align = 4
            rows.append(loaded)
        pairs = [
            mix(rows[i], rows[i + 1], *order)
            for i in range(0, 8, 2)
            for order in ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
        ]
        fours = [
            mix(pairs[i + j], pairs[i + j + 2], *order)
            for i in (0, 4)
            for j in (0, 1)
            for order in ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
        ]
        columns = [
            mix(fours[i], fours[i + 4], *order)
            for order in ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
            for i in range(4)
        ]
        end = pointer(2, arguments[3])
        for column in range(8):
            offset = builder.mul(arguments[4], ir.Constant(ir.IntType(64), column))
            place = builder.bitcast(builder.gep(end, [offset]), vector.as_pointer())
            builder.store(columns[column], place).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, to, types.intp, types.intp), codegen


if not COMPILED:

    @merged
    def view(blocks: np.ndarray, index: int) -> np.ndarray:
        """Block ``index``, shape (ROWS, LANES)."""
        return blocks[index]

    @merged
    def columns_of(scratch: np.ndarray) -> np.ndarray:
        """The scratch, shape (MAX_OBSERVATION, LANES)."""
        return scratch

    @merged
    def six_rows(rows: np.ndarray, index: int) -> np.ndarray:
        """Entry ``index`` of a trajectory's coefficients or knots, shape (6, LANES)."""
        return rows[index]

    @merged
    def tile_of(tiles: np.ndarray, index: int) -> np.ndarray:
        """Tile ``index``, shape (TILE_ROWS, LANES)."""
        return tiles[index]

    @merged
    def boxes_of(boxes: np.ndarray) -> np.ndarray:
        """The tiles' boxes, shape (BOX_ROWS, MAX_TILES)."""
        return boxes

    @inlined
    def greatest(rows: np.ndarray, place: int) -> Scalar:
        """See below."""
        return rows.reshape(-1)[place : place + LANES].max()

    @inlined
    def within(rows: np.ndarray, place: int, limit: Scalar) -> int:
        """See below."""
        return int((rows.reshape(-1)[place : place + LANES] <= limit) @ (1 << np.arange(LANES)))

    @inlined
    def lowest(bits: int) -> int:
        """See below."""
        return (bits & -bits).bit_length() - 1

    @inlined
    def key_of(squared: Scalar, mask: Scalar, name: Scalar) -> Scalar:
        """See below."""
        return np.int32((np.float32(squared).view(np.int32) & mask) | name).view(np.float32)

    @inlined
    def index_of(key: Scalar, mask: Scalar) -> int:
        """See below."""
        return int(np.float32(key).view(np.int32) & ~mask)

    @inlined
    def transpose(
        scratch: np.ndarray, row: int, lane: int, rows: np.ndarray, start: int, size: int
    ) -> None:
        """See below."""
        for i in range(8):
            rows[start + i * size : start + i * size + 8] = scratch[row : row + 8, lane + i]

else:

    @merged
    def view(blocks: np.ndarray, index: int) -> np.ndarray:
        """Block ``index``, seen with a shape that is a compile-time constant."""
        return carray(_address(blocks, index), (ROWS, LANES))

    @merged
    def columns_of(scratch: np.ndarray) -> np.ndarray:
        """The scratch, likewise."""
        return carray(_address(scratch, 0), (MAX_OBSERVATION, LANES))

    @merged
    def six_rows(rows: np.ndarray, index: int) -> np.ndarray:
        """Entry ``index`` of a trajectory's coefficients or knots, likewise."""
        return carray(_address(rows, index), (6, LANES))

    @merged
    def tile_of(tiles: np.ndarray, index: int) -> np.ndarray:
        """Tile ``index``, likewise."""
        return carray(_address(tiles, index), (TILE_ROWS, LANES))

    @merged
    def boxes_of(boxes: np.ndarray) -> np.ndarray:
        """The tiles' boxes, likewise."""
        return carray(_address(boxes, 0), (BOX_ROWS, MAX_TILES))

    @inlined
    def greatest(rows: np.ndarray, place: int) -> Scalar:
        """The greatest of the 16 floats from flat index ``place`` on."""
        return _greatest(rows, place)

    @inlined
    def within(rows: np.ndarray, place: int, limit: Scalar) -> int:
        """A bit for each of the 16 floats from flat index ``place`` on: is it up to the limit?"""
        return _within(rows, place, limit)

    @inlined
    def lowest(bits: int) -> int:
        """The number of the lowest bit that is set; there must be one."""
        return _lowest(bits)

    @inlined
    def key_of(squared: Scalar, mask: Scalar, name: Scalar) -> Scalar:
        """A float that sorts by squared distance, then by index: its low bits hold the index.

        Positive floats order like their bits, so the least key is the nearest drone.
        """
        return _pack(squared, mask, name)

    @inlined
    def index_of(key: Scalar, mask: Scalar) -> int:
        """The index in a key."""
        return _unpack(key, mask)

    @inlined
    def transpose(
        scratch: np.ndarray, row: int, lane: int, rows: np.ndarray, start: int, size: int
    ) -> None:
        """Write rows ``row`` to ``row + 7`` of eight lanes as eight columns, ``size`` apart."""
        _transpose(scratch, row * LANES + lane, rows, start, size)


@inlined
def positive_at(rows: np.ndarray, place: int) -> bool:
    """Whether one of the 16 floats from flat index ``place`` on is above zero."""
    return within(rows, place, ZERO) != (1 << LANES) - 1


@inlined
def any_positive(blocks: np.ndarray, index: int, row: int) -> bool:
    """Whether a row of a block is positive in any lane: far cheaper than asking each lane."""
    return positive_at(blocks, (index * ROWS + row) * LANES)


@inlined
def load3(rows: np.ndarray, row: int, lane: int) -> Vector:
    """A lane's vector, whose x stands in a row."""
    return rows[row, lane], rows[row + 1, lane], rows[row + 2, lane]


@inlined
def store3(rows: np.ndarray, row: int, lane: int, vector: Vector) -> None:
    """The opposite of :func:`load3`."""
    x, y, z = vector
    rows[row, lane], rows[row + 1, lane], rows[row + 2, lane] = x, y, z


@inlined
def load4(rows: np.ndarray, row: int, lane: int) -> Four:
    """A lane's four numbers, from a row on."""
    return rows[row, lane], rows[row + 1, lane], rows[row + 2, lane], rows[row + 3, lane]


@inlined
def store4(rows: np.ndarray, row: int, lane: int, numbers: Four) -> None:
    """The opposite of :func:`load4`."""
    a, b, c, d = numbers
    rows[row, lane], rows[row + 1, lane], rows[row + 2, lane], rows[row + 3, lane] = a, b, c, d
