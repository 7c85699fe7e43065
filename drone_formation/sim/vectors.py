"""Scalar functions of vectors and quaternions, for one lane."""

from __future__ import annotations

import math

from ._jit import inlined
from .layout import ONE, TWO, Four, Scalar, Vector


@inlined
def clamp(value: Scalar, limit: Scalar) -> Scalar:
    """``value`` within [-limit, limit]; a NaN stays one."""
    value = limit if value > limit else value
    return -limit if value < -limit else value


@inlined
def clamp3(vector: Vector, limit: Scalar) -> Vector:
    """Each component within [-limit, limit]."""
    x, y, z = vector
    return clamp(x, limit), clamp(y, limit), clamp(z, limit)


@inlined
def clamp4(numbers: Four, limit: Scalar) -> Four:
    """Each of four numbers within [-limit, limit]."""
    a, b, c, d = numbers
    return clamp(a, limit), clamp(b, limit), clamp(c, limit), clamp(d, limit)


@inlined
def scaled(vector: Vector, factor: Scalar) -> Vector:
    """A vector times a number."""
    x, y, z = vector
    return x * factor, y * factor, z * factor


@inlined
def difference(vector: Vector, other: Vector) -> Vector:
    """``vector - other``."""
    x, y, z = vector
    u, v, w = other
    return x - u, y - v, z - w


@inlined
def dot(vector: Vector, other: Vector) -> Scalar:
    """The scalar product."""
    x, y, z = vector
    u, v, w = other
    return x * u + y * v + z * w


@inlined
def length(vector: Vector) -> Scalar:
    """The Euclidean norm."""
    return math.sqrt(dot(vector, vector))


@inlined
def squash(vector: Vector, scale: Scalar) -> Vector:
    """v / (scale + |v|): the direction stays, the length tends to 1."""
    return scaled(vector, ONE / (scale + length(vector)))


@inlined
def to_body(vector: Vector, attitude: Four) -> Vector:
    """A world vector in the body frame: the transposed rotation matrix of a quaternion w x y z."""
    x, y, z = vector
    qw, qx, qy, qz = attitude
    return (
        (ONE - TWO * (qy * qy + qz * qz)) * x + TWO * (qx * qy + qw * qz) * y
        + TWO * (qx * qz - qw * qy) * z,
        TWO * (qx * qy - qw * qz) * x + (ONE - TWO * (qx * qx + qz * qz)) * y
        + TWO * (qy * qz + qw * qx) * z,
        TWO * (qx * qz + qw * qy) * x + TWO * (qy * qz - qw * qx) * y
        + (ONE - TWO * (qx * qx + qy * qy)) * z,
    )  # fmt: skip


@inlined
def up_of(attitude: Four) -> Vector:
    """The world's up direction in the body frame, clamped where rounding could pass one."""
    qw, qx, qy, qz = attitude
    return clamp3(
        (TWO * (qx * qz - qw * qy), TWO * (qy * qz + qw * qx), ONE - TWO * (qx * qx + qy * qy)), ONE
    )
