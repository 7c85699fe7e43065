"""What acts on a drone besides its rotors, drag in still air and gravity.

Each force is a function and a summand of :func:`sum_forces`, and has its numbers from a field of
``disturbances.Disturbances``.  Their sum is read by :func:`physics.derivative` as an acceleration.
Where there are none nothing of this is compiled: numba leaves out what stands behind an argument
that is None.
"""

from __future__ import annotations

import numpy as np

from ._jit import inlined
from .layout import FORCE, LANES, LINEAR_DRAG, MASS, ONE, Scalar, Vector
from .simd import load3, store3, view
from .vectors import scaled

#: Adding it changes no bit of any number, so LLVM drops it (adding +0 would turn -0 into +0).
NO_ACCELERATION = (np.float32(-0.0), np.float32(-0.0), np.float32(-0.0))


@inlined
def sum_forces(blocks: np.ndarray, index: int, k: int, air: np.ndarray | None) -> None:
    """The forces on a block's drones, of swarm ``k``, that hold for a control step, N."""
    if air is None:
        return
    block = view(blocks, index)
    wind = air[k].wind[0], air[k].wind[1], air[k].wind[2]
    for lane in range(LANES):
        force = wind_force(wind, block[LINEAR_DRAG, lane])
        store3(block, FORCE, lane, force)


@inlined
def wind_force(wind: Vector, drag: Scalar) -> Vector:
    """What a wind (m/s) adds to the linear drag, which acts on the velocity relative to the air."""
    return scaled(wind, drag)


@inlined
def acceleration_of(block: np.ndarray, lane: int, air: np.ndarray | None) -> Vector:
    """What the forces do to a lane's drone, m/s²."""
    if air is None:
        return NO_ACCELERATION
    return scaled(load3(block, FORCE, lane), ONE / block[MASS, lane])
