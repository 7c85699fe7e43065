"""Tracking: actions that fly drones along their plans, compiled.

A geometric controller (Mellinger & Kumar, "Minimum snap trajectory generation and control for
quadrotors", 2011; Lee, Leok & McClamroch, "Geometric tracking control of a quadrotor UAV on
SE(3)", 2010).  The plan's acceleration plus feedback gives a force; the thrust axis is turned into
it; yaw, which nothing depends on, is left alone.

World frame, SI units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..airframe import CONTROL_STEP, PARAMETERS
from ..sim._jit import compiled
from .primitives import offset_at

if TYPE_CHECKING:
    from .classical import Gains

# Columns of an airframe.
MASS, GRAVITY = PARAMETERS.index("mass"), PARAMETERS.index("gravity")
INERTIA_X, INERTIA_Y = PARAMETERS.index("inertia_x"), PARAMETERS.index("inertia_y")
ARM, THRUST_COEFFICIENT = PARAMETERS.index("arm"), PARAMETERS.index("thrust_coefficient")
LINEAR_DRAG = PARAMETERS.index("linear_drag")
ANGULAR_DAMPING = PARAMETERS.index("angular_damping")
MAX_ROTOR_SPEED = PARAMETERS.index("max_rotor_speed")
HOVER_ROTOR_SPEED = PARAMETERS.index("hover_rotor_speed")
MOTOR_TIME_CONSTANT = PARAMETERS.index("motor_time_constant")

#: Greatest ratio of sideways to upward force: a tilt of 63 degrees.
STEEPEST = 5.0

jitted = compiled(error_model="numpy")


class Seen(NamedTuple):
    """What the pilot sees at one time, each (S, N, ...), named as in ``Swarms``.

    On a course, the places on it are the targets.
    """

    position: np.ndarray
    velocity: np.ndarray
    attitude: np.ndarray
    body_rates: np.ndarray
    rotor_speeds: np.ndarray
    target: np.ndarray
    target_velocity: np.ndarray
    target_acceleration: np.ndarray


@jitted
def command(push: float, present: float, airframe: np.ndarray) -> float:
    """The action that gives a rotor a thrust, N, at the end of the step; ``present``: its speed."""
    top, hover = airframe[MAX_ROTOR_SPEED], airframe[HOVER_ROTOR_SPEED]
    keep = math.exp(-CONTROL_STEP / airframe[MOTOR_TIME_CONSTANT])
    speed = min(math.sqrt(max(push, 0.0) / airframe[THRUST_COEFFICIENT]), top)
    speed = (speed - keep * present) / (1 - keep)
    excess = speed - hover
    return min(max(excess / ((top - hover) if excess > 0 else hover), -1.0), 1.0)


@jitted
def motors(
    force: tuple[float, float, float],
    attitude: np.ndarray,
    rates: np.ndarray,
    rotors: np.ndarray,
    airframe: np.ndarray,
    gains: Gains,
    action: np.ndarray,
) -> None:
    """Actions (4,) whose thrust turns into a force (world frame, N) and comes to match it.

    The attitude is foreseen at the end of the step, when the rotors reach the speeds chosen here:
    their lag is inverted, as far as the range of commands allows.
    """
    inertia_x, inertia_y, arm = airframe[INERTIA_X], airframe[INERTIA_Y], airframe[ARM]
    thrust, damping = airframe[THRUST_COEFFICIENT], airframe[ANGULAR_DAMPING]
    w, x, y, z = attitude[0], attitude[1], attitude[2], attitude[3]
    fx, fy, fz = force
    bx = (1 - 2 * (y * y + z * z)) * fx + 2 * (x * y + w * z) * fy + 2 * (x * z - w * y) * fz
    by = 2 * (x * y - w * z) * fx + (1 - 2 * (x * x + z * z)) * fy + 2 * (y * z + w * x) * fz
    bz = 2 * (x * z + w * y) * fx + 2 * (y * z - w * x) * fy + (1 - 2 * (x * x + y * y)) * fz

    # Body rates at the end of the step under the present torques.
    roll, pitch = rotors[1] ** 2 - rotors[3] ** 2, rotors[2] ** 2 - rotors[0] ** 2
    p, q = rates[0], rates[1]
    decay_x, decay_y = damping / inertia_x, damping / inertia_y
    left_x, left_y = math.exp(-decay_x * CONTROL_STEP), math.exp(-decay_y * CONTROL_STEP)
    gain_x = (1 - left_x) / decay_x if decay_x > 1e-6 else CONTROL_STEP
    gain_y = (1 - left_y) / decay_y if decay_y > 1e-6 else CONTROL_STEP
    p_end = p * left_x + gain_x * arm * thrust * roll / inertia_x
    q_end = q * left_y + gain_y * arm * thrust * pitch / inertia_y
    turn_x, turn_y = 0.5 * CONTROL_STEP * (p + p_end), 0.5 * CONTROL_STEP * (q + q_end)
    turn_z = CONTROL_STEP * rates[2]
    bx, by, bz = (
        bx - (turn_y * bz - turn_z * by),
        by - (turn_z * bx - turn_x * bz),
        bz - (turn_x * by - turn_y * bx),
    )

    side = math.sqrt(bx * bx + by * by)
    lean = gains.attitude * math.atan2(side, bz) / side if side > 1e-9 else 0.0
    p_wanted, q_wanted = -by * lean, bx * lean
    missing_x = max(gains.damping - decay_x, 0.0) * inertia_x
    missing_y = max(gains.damping - decay_y, 0.0) * inertia_y
    roll = (damping * p_wanted + missing_x * (p_wanted - p_end)) / (2 * arm)
    pitch = (damping * q_wanted + missing_y * (q_wanted - q_end)) / (2 * arm)
    # Turning comes first: some thrust is kept for it even when none is wanted.
    share = max(bz, 0.2 * airframe[MASS] * airframe[GRAVITY]) / 4
    for rotor in range(4):
        push = share
        if rotor == 0:
            push -= pitch
        elif rotor == 1:
            push += roll
        elif rotor == 2:
            push += pitch
        else:
            push -= roll
        action[rotor] = command(push, rotors[rotor], airframe)


@jitted
def track(
    now: np.ndarray,
    seen: Seen,
    airframes: np.ndarray,
    present: np.ndarray,
    plans: np.ndarray,
    gains: Gains,
    actions: np.ndarray,
    errors: np.ndarray,
) -> None:
    """Actions (S, N, 4) that fly every drone along its plan.

    Args:
        now: (S,), s.
        seen: the drones' states and targets.
        airframes: (S, N, 14).
        present: (S, N) bool.
        plans: (S, N, PLAN).
        gains: the pilot's settings.
        actions: (S, N, 4) float32, written; zeros for drones that are not there.
        errors: (S, N), written: distances to where the plans have the drones now, m.
    """
    wanted = np.zeros(3)
    for s in range(seen.position.shape[0]):
        for i in range(seen.position.shape[1]):
            if not present[s, i]:
                errors[s, i] = 0
                for rotor in range(4):
                    actions[s, i, rotor] = 0
                continue
            error = 0.0
            airframe, plan = airframes[s, i], plans[s, i]
            for axis in range(3):
                offset, speed, _ = offset_at(plan, axis, now[s])
                acceleration = offset_at(plan, axis, now[s] + gains.lead)[2]
                gap = seen.target[s, i, axis] + offset - seen.position[s, i, axis]
                error += gap * gap
                wanted[axis] = (
                    acceleration + seen.target_acceleration[s, i, axis] + gains.position * gap
                    + gains.velocity
                    * (seen.target_velocity[s, i, axis] + speed - seen.velocity[s, i, axis])
                )  # fmt: skip
            errors[s, i] = math.sqrt(error)
            mass, drag, gravity = airframe[MASS], airframe[LINEAR_DRAG], airframe[GRAVITY]
            strongest = 4 * airframe[THRUST_COEFFICIENT] * airframe[MAX_ROTOR_SPEED] ** 2 / mass
            up = gravity + min(
                max(wanted[2], -0.7 * gravity), 0.7 * max(0.8 * strongest - gravity, 0.0)
            )
            sideways = math.sqrt(wanted[0] ** 2 + wanted[1] ** 2)
            most = min(math.sqrt(max((0.85 * strongest) ** 2 - up * up, 0.01)), STEEPEST * up)
            shrink = most / sideways if sideways > most else 1.0
            force = (
                mass * wanted[0] * shrink + drag * seen.velocity[s, i, 0],
                mass * wanted[1] * shrink + drag * seen.velocity[s, i, 1],
                mass * up + drag * seen.velocity[s, i, 2],
            )
            attitude, rates = seen.attitude[s, i], seen.body_rates[s, i]
            motors(force, attitude, rates, seen.rotor_speeds[s, i], airframe, gains, actions[s, i])
