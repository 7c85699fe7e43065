"""What actions mean: a function per control mode, from a drone's action to rotor commands.

The mode is chosen outside the lane loop.  ``drone_formation.control`` has each mode's action
slices, their kinds and scales.  Rotor commands are speeds, rad/s; rotors 0 to 3 sit at +x, +y,
-x, -y.
"""

from __future__ import annotations

import math

import numpy as np

from ..control import CONTROL_MODES, MAX_RATES, YAW_AUTHORITY
from ._jit import inlined
from .layout import (
    ACTION, BODY_RATES, COMMAND, HALF, HOVER_SPEED, LANES, ONE, TOP_SPEED, TWO, ZERO, Four,
    Numbers, Scalar, Vector,
)  # fmt: skip
from .physics import load_airframe
from .simd import load3, load4, store4, view
from .vectors import clamp

MOTOR, RATES = CONTROL_MODES.index("motor"), CONTROL_MODES.index("body_rates")
_ROLL_RATE, _PITCH_RATE, _YAW_RATE = (np.float32(rate) for rate in MAX_RATES)
_YAW_SHARE = np.float32(YAW_AUTHORITY)
_LEAST_RATIO, _QUARTER = np.float32(1e-4), np.float32(0.25)


@inlined
def write_commands(blocks: np.ndarray, index: int, control: int) -> None:
    """Each lane's rotor commands, at every physics step."""
    block = view(blocks, index)
    if control == MOTOR:
        for lane in range(LANES):
            hover, top = block[HOVER_SPEED, lane], block[TOP_SPEED, lane]
            a, b, c, d = load4(block, ACTION, lane)
            store4(
                block, COMMAND, lane,
                (motor(a, hover, top), motor(b, hover, top), motor(c, hover, top),
                 motor(d, hover, top)),
            )  # fmt: skip
    elif control == RATES:
        for lane in range(LANES):
            commands = body_rates(
                load4(block, ACTION, lane), load3(block, BODY_RATES, lane),
                load_airframe(block, lane),
            )  # fmt: skip
            store4(block, COMMAND, lane, commands)


@inlined
def motor(action: Scalar, hover: Scalar, top: Scalar) -> Scalar:
    """Rotor speed aimed at, rad/s, for a number in [-1, 1]: 0 hovers, 1 is the top, -1 stops."""
    return hover + action * ((top - hover) if action > ZERO else hover)


@inlined
def body_rates(action: Four, rates: Vector, airframe: Numbers) -> Four:
    """Collective thrust and body rates: a proportional rate loop, and the mixer of a + frame.

    The torque is J k (commanded - actual) + damping + w x J w, which cancels what the airframe
    does by itself (e.g. Mahony, Kumar & Corke, 2012).  With motors that lag by T and an airframe
    damped at d, the loop is T s^2 + (1 + d T) s + k: k is such that its damping ratio is 0.71.
    """
    thrust_action, roll, pitch, yaw = action
    p, q, r = rates
    (
        mass, inertia_x, inertia_y, inertia_z, arm, thrust, torque_ratio, _, damping, gravity,
        top, lag, _, _,
    ) = airframe  # fmt: skip
    weight, strongest = mass * gravity, (TWO * TWO) * thrust * top * top
    lift = weight + thrust_action * ((strongest - weight) if thrust_action > ZERO else weight)
    torque_x = rate_torque(roll * _ROLL_RATE, p, inertia_x, damping, lag)
    torque_y = rate_torque(pitch * _PITCH_RATE, q, inertia_y, damping, lag)
    torque_z = rate_torque(yaw * _YAW_RATE, r, inertia_z, damping, lag)
    torque_x -= (inertia_y - inertia_z) * q * r
    torque_y -= (inertia_z - inertia_x) * r * p
    torque_z -= (inertia_x - inertia_y) * p * q
    # Rotors that hardly turn the body, as the default drone's, are not asked to.
    ratio = torque_ratio if torque_ratio > _LEAST_RATIO else _LEAST_RATIO
    turn = clamp(torque_z * _QUARTER / ratio, _YAW_SHARE * weight * _QUARTER)
    turn = turn if torque_ratio > _LEAST_RATIO else ZERO
    share, about_x, about_y = lift * _QUARTER, torque_x * HALF / arm, torque_y * HALF / arm
    return (
        speed_for(share - about_y + turn, thrust, top),
        speed_for(share + about_x - turn, thrust, top),
        speed_for(share + about_y + turn, thrust, top),
        speed_for(share - about_x - turn, thrust, top),
    )


@inlined
def rate_torque(
    commanded: Scalar, rate: Scalar, inertia: Scalar, damping: Scalar, lag: Scalar
) -> Scalar:
    """The torque that brings a rate to what is commanded, and what damping takes, N m."""
    stiffness = ONE + damping / inertia * lag
    return inertia * (stiffness * stiffness * HALF / lag) * (commanded - rate) + damping * rate


@inlined
def speed_for(newtons: Scalar, thrust: Scalar, top: Scalar) -> Scalar:
    """The rotor speed at which a rotor pushes so hard, rad/s, as far as it can."""
    speed = math.sqrt((newtons if newtons > ZERO else ZERO) / thrust)
    return speed if speed < top else top
