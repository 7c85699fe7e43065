"""What acts on a drone besides its rotors, drag in still air and gravity.

Each force adds to the rows ``FORCE``, N, world frame, which :func:`physics.derivative` reads as an
acceleration.  Where there is none nothing of this is compiled: numba leaves out what stands behind
an argument that is None.
"""

import numpy as np

from ._jit import inlined
from .layout import FORCE, LANES, LINEAR_DRAG, MASS, ONE
from .simd import load3, store3, view
from .vectors import scaled

#: Adding it changes no bit of any number, so LLVM drops it (adding +0 would turn -0 into +0).
NO_ACCELERATION = (np.float32(-0.0), np.float32(-0.0), np.float32(-0.0))


@inlined
def sum_forces(blocks, index, k, wind):
    """The forces on a block's drones, of swarm ``k``, that hold for a control step."""
    if wind is None:
        return
    block = view(blocks, index)
    for lane in range(LANES):
        store3(block, FORCE, lane, of_wind((wind[k, 0], wind[k, 1], wind[k, 2]), block, lane))


@inlined
def of_wind(velocity, block, lane):
    """Linear drag acts on the velocity relative to the air: what a wind (m/s) adds to it, N."""
    return scaled(velocity, block[LINEAR_DRAG, lane])


@inlined
def acceleration_of(block, lane, wind):
    """What the forces do to a lane's drone, m/s²."""
    if wind is None:
        return NO_ACCELERATION
    return scaled(load3(block, FORCE, lane), ONE / block[MASS, lane])
