"""The physics of a quadrotor, written once, as scalar functions of one drone.

A state is the 17 numbers position 3 (m, world frame), velocity 3 (m/s, world frame), attitude 4
(unit quaternion w x y z, body to world), body rates 3 (rad/s, body frame), rotor speeds 4 (rad/s).
An airframe is the numbers of ``airframe.PARAMETERS``, in SI units.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import inlined
from .layout import (
    AIRFRAME, ATTITUDE, BODY_RATES, HALF, MAX_RATE, MAX_SPEED, ONE, POSITION, ROTOR_SPEEDS,
    SIXTH, TWO, VELOCITY, Four, Numbers, Scalar, Vector,
)  # fmt: skip
from .simd import load3, load4, store3, store4
from .vectors import clamp3


@inlined
def derivative(state: Numbers, commands: Four, airframe: Numbers, acceleration: Vector) -> Numbers:
    """Time derivative of a quadrotor's state, in the state's units per second.

    Rigid body with four first-order rotors (e.g. Mahony, Kumar & Corke, "Multirotor Aerial
    Vehicles", 2012), linear drag and angular damping.

    Args:
        state: 17 numbers, as above.
        commands: the four rotor speeds aimed at, rad/s.
        airframe: the parameters.
        acceleration: by forces other than rotors, drag and gravity (3), m/s², world frame.
    """
    _, _, _, vx, vy, vz, qw, qx, qy, qz, p, q, r, w0, w1, w2, w3 = state
    c0, c1, c2, c3 = commands
    ax, ay, az = acceleration
    (
        mass, inertia_x, inertia_y, inertia_z, arm, thrust, torque_ratio, drag, damping, gravity,
        _, lag, rotor_inertia, _,
    ) = airframe  # fmt: skip

    # Divisions stand beside constants only: each is done once per step, not in every stage.
    lift, slow, quick = thrust / mass, drag / mass, ONE / lag
    roll, roll_damping, roll_coupling = (
        arm * thrust / inertia_x, damping / inertia_x, (inertia_y - inertia_z) / inertia_x
    )  # fmt: skip
    pitch, pitch_damping, pitch_coupling = (
        arm * thrust / inertia_y, damping / inertia_y, (inertia_z - inertia_x) / inertia_y
    )  # fmt: skip
    yaw, yaw_damping, yaw_coupling = (
        torque_ratio * thrust / inertia_z, damping / inertia_z, (inertia_x - inertia_y) / inertia_z
    )  # fmt: skip
    reaction = rotor_inertia / inertia_z

    a0, a1, a2, a3 = quick * (c0 - w0), quick * (c1 - w1), quick * (c2 - w2), quick * (c3 - w3)
    s0, s1, s2, s3 = w0 * w0, w1 * w1, w2 * w2, w3 * w3
    x_pair, y_pair = s0 + s2, s1 + s3
    push = lift * (x_pair + y_pair)
    twice = TWO * push
    hp, hq, hr = HALF * p, HALF * q, HALF * r
    return (
        vx,
        vy,
        vz,
        twice * (qx * qz + qw * qy) - slow * vx + ax,
        twice * (qy * qz - qw * qx) - slow * vy + ay,
        push - twice * (qx * qx + qy * qy) - slow * vz - gravity + az,
        -qx * hp - qy * hq - qz * hr,
        qw * hp + qy * hr - qz * hq,
        qw * hq + qz * hp - qx * hr,
        qw * hr + qx * hq - qy * hp,
        roll * (s1 - s3) - roll_damping * p + roll_coupling * (q * r),
        pitch * (s2 - s0) - pitch_damping * q + pitch_coupling * (r * p),
        yaw * (x_pair - y_pair) + reaction * (a0 - a1 + a2 - a3)
        - yaw_damping * r + yaw_coupling * (p * q),
        a0,
        a1,
        a2,
        a3,
    )  # fmt: skip


@inlined
def along(state: Numbers, rate: Numbers, time: Scalar) -> Numbers:
    """``state + time * rate``."""
    s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16 = state
    r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15, r16 = rate
    return (
        s0 + time * r0, s1 + time * r1, s2 + time * r2, s3 + time * r3, s4 + time * r4,
        s5 + time * r5, s6 + time * r6, s7 + time * r7, s8 + time * r8, s9 + time * r9,
        s10 + time * r10, s11 + time * r11, s12 + time * r12, s13 + time * r13, s14 + time * r14,
        s15 + time * r15, s16 + time * r16,
    )  # fmt: skip


@inlined
def rk4_step(
    state: Numbers, commands: Four, airframe: Numbers, acceleration: Vector, time_step: Scalar
) -> Numbers:
    """The state one classical Runge-Kutta step of ``time_step`` seconds later."""
    half, sixth = HALF * time_step, SIXTH * time_step
    k1 = derivative(state, commands, airframe, acceleration)
    k2 = derivative(along(state, k1, half), commands, airframe, acceleration)
    total = along(along(state, k1, sixth), k2, TWO * sixth)
    k3 = derivative(along(state, k2, half), commands, airframe, acceleration)
    total = along(total, k3, TWO * sixth)
    k4 = derivative(along(state, k3, time_step), commands, airframe, acceleration)
    return along(total, k4, sixth)


@inlined
def load_state(block: np.ndarray, lane: int) -> Numbers:
    """A lane's state."""
    return (
        load3(block, POSITION, lane) + load3(block, VELOCITY, lane) + load4(block, ATTITUDE, lane)
        + load3(block, BODY_RATES, lane) + load4(block, ROTOR_SPEEDS, lane)
    )  # fmt: skip


@inlined
def load_airframe(block: np.ndarray, lane: int) -> Numbers:
    """A lane's airframe."""
    last = AIRFRAME + 12
    return (
        load4(block, AIRFRAME, lane) + load4(block, AIRFRAME + 4, lane)
        + load4(block, AIRFRAME + 8, lane) + (block[last, lane], block[last + 1, lane])
    )  # fmt: skip


@inlined
def store_state(block: np.ndarray, lane: int, state: Numbers) -> None:
    """Store a lane's state, its speeds and rates clamped and its quaternion a unit one again."""
    x, y, z, vx, vy, vz, qw, qx, qy, qz, p, q, r, w0, w1, w2, w3 = state
    norm = ONE / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    store3(block, POSITION, lane, (x, y, z))
    store3(block, VELOCITY, lane, clamp3((vx, vy, vz), MAX_SPEED))
    store4(block, ATTITUDE, lane, (qw * norm, qx * norm, qy * norm, qz * norm))
    store3(block, BODY_RATES, lane, clamp3((p, q, r), MAX_RATE))
    store4(block, ROTOR_SPEEDS, lane, (w0, w1, w2, w3))
