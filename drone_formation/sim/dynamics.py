"""A control step of a block: its actions in, its state advanced, its crashes noted."""

from __future__ import annotations

import numpy as np

from ._jit import inlined, jitted
from .control import write_commands
from .forces import acceleration_of, sum_forces
from .layout import (
    ACTION, ACTION_CHANGE, ACTIVE, ATTITUDE, BODY_RATES, COMMAND, CRASHED, FAULT, HALF,
    HOVER_SPEED, LANES, LEAP, ONE, POSITION, PREVIOUS_POSITION, ROTOR_SPEEDS, SANE, STEP_LENGTH,
    VELOCITY, ZERO, Record,
)  # fmt: skip
from .physics import load_airframe, load_state, rk4_step, store_state
from .simd import columns_of, load3, load4, store3, store4, view
from .vectors import clamp4, difference, length


@inlined
def load_actions(
    blocks: np.ndarray, index: int, actions: np.ndarray, start: int, count: int, scratch: np.ndarray
) -> None:
    """Clip the actions of ``count`` drones, from ``actions[start]`` on, into the block's lanes."""
    block, raw = view(blocks, index), columns_of(scratch)
    for lane in range(count):
        place = start + 4 * lane
        store4(
            raw, 0, lane,
            (actions[place], actions[place + 1], actions[place + 2], actions[place + 3]),
        )  # fmt: skip
    for lane in range(LANES):
        a, b, c, d = clamp4(load4(raw, 0, lane), ONE)
        e, f, g, h = load4(block, ACTION, lane)
        e, f, g, h = a - e, b - f, c - g, d - h
        block[ACTION_CHANGE, lane] = e * e + f * f + g * g + h * h
        store4(block, ACTION, lane, (a, b, c, d))


@inlined
def integrate(
    blocks: np.ndarray, index: int, k: int, settings: Record, air: np.ndarray | None
) -> None:
    """Advance a block of swarm ``k`` by one control step; note which drones left the arena."""
    block = view(blocks, index)
    time_step = settings.time_step
    for lane in range(LANES):
        store3(block, PREVIOUS_POSITION, lane, load3(block, POSITION, lane))
    sum_forces(blocks, index, k, air)
    for _ in range(settings.substeps):
        write_commands(blocks, index, settings.control)
        for lane in range(LANES):
            state, airframe = load_state(block, lane), load_airframe(block, lane)
            commands, pushed = load4(block, COMMAND, lane), acceleration_of(block, lane, air)
            store_state(block, lane, rk4_step(state, commands, airframe, pushed, time_step))
    note_crashes(blocks, index, settings)


@inlined
def note_crashes(blocks: np.ndarray, index: int, settings: Record) -> None:
    """Which drones left the arena in this step, and of which the numbers have blown up."""
    block = view(blocks, index)
    reach_x, reach_y, reach_z = settings.arena[0], settings.arena[1], settings.arena[2]
    for lane in range(LANES):
        x, y, z = load3(block, POSITION, lane)
        moved = length(difference((x, y, z), load3(block, PREVIOUS_POSITION, lane)))
        block[STEP_LENGTH, lane] = moved
        # Every quantity in one sum, so that a NaN or an infinity anywhere shows.
        vx, vy, vz = load3(block, VELOCITY, lane)
        qw, qx, qy, qz = load4(block, ATTITUDE, lane)
        p, q, r = load3(block, BODY_RATES, lane)
        w0, w1, w2, w3 = load4(block, ROTOR_SPEEDS, lane)
        total = (
            abs(x) + abs(y) + abs(z) + vx + vy + vz + qw + qx + qy + qz + p + q + r
            + w0 + w1 + w2 + w3
        )  # fmt: skip
        # An overflow in its normalisation leaves an attitude of zeros.
        norm = qw * qw + qx * qx + qy * qy + qz * qz
        sane = (abs(total) < SANE) & (moved < LEAP) & (norm > HALF)
        inside = (abs(x) <= reach_x) & (abs(y) <= reach_y) & (abs(z) <= reach_z) & sane
        block[FAULT, lane] = ZERO if sane else block[ACTIVE, lane]
        block[CRASHED, lane] = ZERO if inside else block[ACTIVE, lane]


@jitted
def reset_to_hover(block: np.ndarray, lane: int) -> None:
    """Put a drone at rest where it is, level, with its rotors at hover speed."""
    for row in range(VELOCITY, ROTOR_SPEEDS):
        block[row, lane] = ZERO
    block[ATTITUDE, lane] = ONE
    for rotor in range(4):
        block[ROTOR_SPEEDS + rotor, lane] = block[HOVER_SPEED, lane]
        block[ACTION + rotor, lane] = ZERO
    store3(block, PREVIOUS_POSITION, lane, load3(block, POSITION, lane))
    block[STEP_LENGTH, lane] = ZERO


@jitted
def contain_faults(blocks: np.ndarray, index: int) -> None:
    """Put drones whose numbers have blown up to rest where they were: nothing of it may spread."""
    block = view(blocks, index)
    for lane in range(LANES):
        if block[FAULT, lane] > ZERO:
            for axis in range(3):
                before = block[PREVIOUS_POSITION + axis, lane]
                block[POSITION + axis, lane] = before if abs(before) < SANE else ZERO
            reset_to_hover(block, lane)
