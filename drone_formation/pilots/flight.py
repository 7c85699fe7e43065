"""The compiled half of the classical pilot: motion primitives, conflict-free planning, tracking.

One file, because numba's disk cache notices changes only in the file that holds a function.

**Motion primitives** (Mueller, Hehn & D'Andrea, "A computationally efficient motion primitive for
quadrocopter trajectory generation", 2015).  A plan is a drone's offset from its moving target as a
function of time: per axis the quintic that starts at the present offset, velocity and acceleration
and comes to rest on the target after a duration T, plus a detour ``bump * 64 s^3 (1 - s)^3`` with
s = time / T, which leaves both ends alone.  So a primitive has four free numbers, T and the bump.

**Planning** (prioritised: van den Berg & Overmars, "Prioritized motion planning for multiple
robots", 2005; improved by repeated best responses).  Drones choose one after the other, each among
the same few dozen primitives: the cheapest that keeps clear of the paths already chosen.

**Tracking** (Mellinger & Kumar, "Minimum snap trajectory generation and control for quadrotors",
2011; Lee, Leok & McClamroch, "Geometric tracking control of a quadrotor UAV on SE(3)", 2010).  The
plan's acceleration plus feedback gives a force; the thrust axis is turned into it; yaw, which
nothing depends on, is left alone.

World frame, SI units.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..airframe import CONTROL_STEP
from ..racing.curves import DOWN, LATERAL, TURN, UP
from ..sim._jit import compiled

#: Plans are compared on a grid of times, s; the last is how far ahead conflicts are looked for.
GRID, SAMPLES = 0.1, 128
#: Samples are bounded in chunks of so many, so that far-apart paths are told quickly.
CHUNK, CHUNKS = 8, 16

# A plan is a row: start time, duration, then 7 coefficients of s^0 ... s^6 for each axis.
START, DURATION, COEFFICIENTS, PLAN = 0, 1, 2, 23

jitted = compiled(error_model="numpy")


class Gains(NamedTuple):
    """Settings of the classical pilot.

    Attributes:
        position, velocity: feedback on tracking errors, 1/s² and 1/s.
        attitude: rate per angle between the thrust axis and the wanted force, 1/s.
        damping: least decay of body rates, 1/s; made up for where the airframe's own is less.
        lead: how far ahead the plan's acceleration is read, to make up for attitude lag, s.
        clearance: least separation that a plan may have, in collision distances.
        comfort: separation below which a plan costs more, in collision distances.
        detour: greatest bump, m.
        passes: how often everyone chooses anew, given the others' choices.
        repairs: how often, after that, those still in conflict choose anew.
    """

    position: float = 9.0
    velocity: float = 5.0
    attitude: float = 7.9
    damping: float = 20.0
    lead: float = 0.15
    clearance: float = 1.3
    comfort: float = 1.5
    detour: float = 5.0
    passes: int = 2
    repairs: int = 6


# ---- motion primitives -------------------------------------------------------------------------


@jitted
def set_plan(plan, now, duration, offset, velocity, acceleration, bump):
    """Write the primitive that starts in a given state, all relative to the target."""
    plan[START], plan[DURATION] = now, duration
    for axis in range(3):
        p, v = offset[axis], velocity[axis] * duration
        a, b = acceleration[axis] * duration * duration, 64 * bump[axis]
        row = COEFFICIENTS + 7 * axis
        plan[row], plan[row + 1], plan[row + 2] = p, v, 0.5 * a
        plan[row + 3] = -10 * p - 6 * v - 1.5 * a + b
        plan[row + 4] = 15 * p + 8 * v + 1.5 * a - 3 * b
        plan[row + 5] = -6 * p - 3 * v - 0.5 * a + 3 * b
        plan[row + 6] = -b


@jitted
def offset_at(plan, axis, time):
    """Offset, velocity and acceleration along an axis, relative to the target."""
    duration = plan[DURATION]
    s = max((time - plan[START]) / duration, 0.0)
    if s >= 1.0:
        return 0.0, 0.0, 0.0
    row = COEFFICIENTS + 7 * axis
    c1, c2, c3 = plan[row + 1], plan[row + 2], plan[row + 3]
    c4, c5, c6 = plan[row + 4], plan[row + 5], plan[row + 6]
    return (
        plan[row] + s * (c1 + s * (c2 + s * (c3 + s * (c4 + s * (c5 + s * c6))))),
        (c1 + s * (2 * c2 + s * (3 * c3 + s * (4 * c4 + s * (5 * c5 + s * 6 * c6))))) / duration,
        (2 * c2 + s * (6 * c3 + s * (12 * c4 + s * (20 * c5 + s * 30 * c6)))) / duration**2,
    )


@jitted
def sample(plan, now, target, path):
    """The path (3, SAMPLES) of a drone that flies a plan to a target, on the grid from now on.

    Returns:
        The time integral of its distance to the target, m s.
    """
    per_duration = 1 / plan[DURATION]
    area = 0.0
    for m in range(SAMPLES):
        s = min(max((now + m * GRID - plan[START]) * per_duration, 0.0), 1.0)
        square = 0.0
        for axis in range(3):
            row = COEFFICIENTS + 7 * axis
            x = plan[row] + s * (
                plan[row + 1] + s * (plan[row + 2] + s * (plan[row + 3] + s * (
                    plan[row + 4] + s * (plan[row + 5] + s * plan[row + 6])
                )))
            )  # fmt: skip
            x = 0.0 if s >= 1.0 else x
            path[axis, m] = target[axis, m] + x
            square += x * x
        area += math.sqrt(square)
    return area * GRID


@jitted
def strain(path, duration, gravity, limits):
    """By which factor a path must be slowed for a drone to be able to fly it.

    Judged by finite differences: accelerations against the drone's limits, and the rate at which
    the thrust must turn against the torque at hand, which grows with the thrust.
    """
    worst = 0.0
    end = min(int(duration / GRID) + 2, SAMPLES - 3)
    for m in range(end):
        ax = (path[0, m + 2] - 2 * path[0, m + 1] + path[0, m]) / GRID**2
        ay = (path[1, m + 2] - 2 * path[1, m + 1] + path[1, m]) / GRID**2
        az = (path[2, m + 2] - 2 * path[2, m + 1] + path[2, m]) / GRID**2
        bx = (path[0, m + 3] - 2 * path[0, m + 2] + path[0, m + 1]) / GRID**2
        by = (path[1, m + 3] - 2 * path[1, m + 2] + path[1, m + 1]) / GRID**2
        bz = (path[2, m + 3] - 2 * path[2, m + 2] + path[2, m + 1]) / GRID**2
        most = max(math.sqrt(ax * ax + ay * ay) / limits[LATERAL], az / limits[UP])
        most = max(most, -az / limits[DOWN])
        az += gravity
        jx, jy, jz = (bx - ax) / GRID, (by - ay) / GRID, (bz + gravity - az) / GRID
        tx, ty, tz = ay * jz - az * jy, az * jx - ax * jz, ax * jy - ay * jx
        thrust = max(math.sqrt(ax * ax + ay * ay + az * az), 0.3 * gravity)
        turning = math.sqrt(tx * tx + ty * ty + tz * tz) / (thrust * thrust)
        turn = turning / (limits[TURN] * thrust / gravity)
        worst = max(worst, math.sqrt(most), turn ** (1 / 3))
    return worst


# ---- planning ----------------------------------------------------------------------------------


@jitted
def outline(path, spheres):
    """Spheres around a path's stretches of 8 samples, (CHUNKS, 4): centre and radius."""
    for chunk in range(CHUNKS):
        first, last = CHUNK * chunk, min(CHUNK * (chunk + 1), SAMPLES - 1)
        for axis in range(3):
            spheres[chunk, axis] = np.float32(0.5) * (path[axis, first] + path[axis, last])
        largest = np.float32(0)
        for m in range(first, last + 1):
            dx, dy = path[0, m] - spheres[chunk, 0], path[1, m] - spheres[chunk, 1]
            dz = path[2, m] - spheres[chunk, 2]
            largest = max(largest, dx * dx + dy * dy + dz * dz)
        spheres[chunk, 3] = math.sqrt(largest)


@jitted
def separation(one, around_one, other, around_other, reach):
    """Least distance between two paths where it is below ``reach``; else something above.

    Paths are taken to be straight between samples; stretches whose spheres are apart are skipped.
    """
    least = np.float32(1e30)
    for chunk in range(CHUNKS):
        dx = around_one[chunk, 0] - around_other[chunk, 0]
        dy = around_one[chunk, 1] - around_other[chunk, 1]
        dz = around_one[chunk, 2] - around_other[chunk, 2]
        far = reach + around_one[chunk, 3] + around_other[chunk, 3]
        if dx * dx + dy * dy + dz * dz > far * far:
            continue
        for m in range(CHUNK * chunk, min(CHUNK * (chunk + 1), SAMPLES - 1)):
            dx, dy, dz = other[0, m] - one[0, m], other[1, m] - one[1, m], other[2, m] - one[2, m]
            wx = other[0, m + 1] - one[0, m + 1] - dx
            wy = other[1, m + 1] - one[1, m + 1] - dy
            wz = other[2, m + 1] - one[2, m + 1] - dz
            square = wx * wx + wy * wy + wz * wz + np.float32(1e-9)
            part = -(dx * wx + dy * wy + dz * wz) / square
            part = min(max(part, np.float32(0)), np.float32(1))
            dx, dy, dz = dx + part * wx, dy + part * wy, dz + part * wz
            least = min(least, dx * dx + dy * dy + dz * dz)
    return math.sqrt(least)


#: What a conflict costs, and each metre of it, m s; a path without any is always cheaper.
CONFLICT, CONFLICT_DEPTH, DISCOMFORT, OUTSIDE = 100.0, 500.0, 4.0, 1000.0
#: What asking too much of a drone costs, m s; and the speed relative to its target, m/s, from which
#: a drone may have to.
STRAIN, IN_FLIGHT = 300.0, 2.5


@jitted
def crowding(drone, path, around, paths, spheres, planned, clearance, comfort, enough):
    """What a path costs for coming near the others' paths; at least ``enough`` once it is that."""
    total = 0.0
    for other in range(len(paths)):
        if other != drone and planned[other]:
            gap = separation(path, around, paths[other], spheres[other], comfort)
            if gap < comfort:
                total += DISCOMFORT * (comfort - gap)
                if gap < clearance:
                    total += CONFLICT + CONFLICT_DEPTH * (clearance - gap)
                if total >= enough:
                    break
    return total


@jitted
def excursion(path, duration, room):
    """What a path costs for leaving the room (half extents) on its way, m s."""
    total = 0.0
    for axis in range(3):
        for m in range(min(int(duration / GRID) + 1, SAMPLES)):
            total += max(abs(path[axis, m]) - room[axis], 0.0)
    return OUTSIDE * total


@jitted
def plan_swarm(
    now, offset, velocity, acceleration, targets, order, chooses, present, room, gravity, limits,
    primitives, collision_distance, gains, plans, paths,
):  # fmt: skip
    """Choose plans for the drones of one swarm.

    Args:
        now: present time, s.
        offset, velocity, acceleration: (N, 3), each relative to the target's.
        targets: (N, 3, SAMPLES), where the targets will be.
        order: drones in the order in which they choose.
        chooses: (N,) bool, who chooses; the others keep their plans.
        present: (N,) bool, who is there at all.
        room: half extents (3,) within which paths should stay.
        gravity, limits: (N,) and (N, LIMITS).
        primitives: (passes + repairs, K, 4): duration as a multiple of the shortest, and bump as a
            share of the greatest; the first of each is the straight one.
        plans: (N, PLAN), updated.
        paths: (N, 3, SAMPLES) float32, updated.

    Returns:
        How many drones are left in conflict.
    """
    count = len(offset)
    planned = np.zeros(count, np.bool_)
    cost = np.zeros(count)
    trial, path, bump = np.zeros(PLAN), np.zeros((3, SAMPLES), np.float32), np.zeros(3)
    clearance, comfort = gains.clearance * collision_distance, gains.comfort * collision_distance
    around = np.zeros((CHUNKS, 4), np.float32)
    spheres = np.zeros((count, CHUNKS, 4), np.float32)
    for i in range(count):
        if present[i] and not chooses[i]:
            sample(plans[i], now, targets[i], paths[i])
            outline(paths[i], spheres[i])
            planned[i] = True
    conflicts = 0
    for sweep in range(len(primitives)):
        conflicts = 0
        for i in order:
            if not (chooses[i] and present[i]):
                continue
            best = np.inf
            if sweep > 0:
                near = crowding(
                    i, paths[i], spheres[i], paths, spheres, planned, clearance, comfort, np.inf
                )
                best = cost[i] + near
                if sweep >= gains.passes and near < CONFLICT:
                    continue
                conflicts += near >= CONFLICT
            distance = math.sqrt((offset[i] ** 2).sum())
            detour = min(gains.detour, 0.5 + 0.4 * distance) * collision_distance
            if sweep >= gains.passes:
                detour *= 1.0 + 0.3 * (sweep - gains.passes)
            shortest = max(0.6, 1.5 * math.sqrt(distance / limits[i, LATERAL]))
            in_flight = (velocity[i] ** 2).sum() > IN_FLIGHT**2
            # In flight the present state may be what is too much, and no time makes up for it.
            longest = 2.0 + 3 * shortest if in_flight else GRID * SAMPLES
            for k in range(primitives.shape[1]):
                stretch = primitives[sweep, k, 0]
                # A detour only ever takes longer: spare the trial of what cannot be the best.
                if k > 0 and not in_flight and 0.4 * distance * shortest * stretch >= best:
                    continue
                for axis in range(3):
                    bump[axis] = detour * primitives[sweep, k, 1 + axis]
                duration = shortest
                for _ in range(20):
                    set_plan(trial, now, duration, offset[i], velocity[i], acceleration[i], bump)
                    area = sample(trial, now, targets[i], path)
                    slower = strain(path, duration, gravity[i], limits[i])
                    if slower <= 1.0 or duration > longest:
                        break
                    duration *= min(max(1.005 * slower, 1.01), 1.5)
                if k == 0:
                    shortest = duration
                # In flight there may be no time for what is comfortable: half of the trials hurry.
                if in_flight and k % 2 == 1:
                    stretch = 1 / stretch
                if stretch != 1:
                    duration *= stretch
                    set_plan(trial, now, duration, offset[i], velocity[i], acceleration[i], bump)
                    area = sample(trial, now, targets[i], path)
                if in_flight:
                    area += STRAIN * max(strain(path, duration, gravity[i], limits[i]) - 1, 0.0)
                area += excursion(path, duration, room)
                if area >= best:
                    continue
                outline(path, around)
                total = area + crowding(
                    i, path, around, paths, spheres, planned, clearance, comfort, best - area
                )
                if total < best:
                    best = total
                    cost[i] = area
                    plans[i] = trial
                    paths[i] = path
                    spheres[i] = around
            planned[i] = True
        if sweep >= gains.passes and conflicts == 0:
            break
    return conflicts


#: Greatest ratio of sideways to upward force: a tilt of 63 degrees.
STEEPEST = 5.0

# ---- tracking ----------------------------------------------------------------------------------


@jitted
def motors(force, attitude, rates, rotors, airframe, gains, action):
    """Actions (4,) whose thrust turns into a force (world frame, N) and comes to match it.

    The attitude is foreseen at the end of the step, when the rotors reach the speeds chosen here:
    their lag is inverted, as far as the range of commands allows.
    """
    mass, inertia_x, inertia_y, arm = airframe[0], airframe[1], airframe[2], airframe[4]
    thrust, damping, gravity, top = airframe[5], airframe[8], airframe[9], airframe[10]
    keep, hover = math.exp(-CONTROL_STEP / airframe[11]), airframe[13]
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
    share = max(bz, 0.2 * mass * gravity) / 4
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
        speed = min(math.sqrt(max(push, 0.0) / thrust), top)
        speed = (speed - keep * rotors[rotor]) / (1 - keep)
        excess = speed - hover
        action[rotor] = min(max(excess / ((top - hover) if excess > 0 else hover), -1.0), 1.0)


@jitted
def track(
    now, position, velocity, attitude, rates, rotors, target, target_velocity,
    target_acceleration, airframes, present, plans, gains, actions, errors,
):  # fmt: skip
    """Actions (S, N, 4) that fly every drone along its plan; arrays as the truth in ``Swarms``.

    ``errors`` (S, N) receives the distances to where the plans have the drones now, m.
    """
    wanted = np.zeros(3)
    for s in range(position.shape[0]):
        for i in range(position.shape[1]):
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
                gap = target[s, i, axis] + offset - position[s, i, axis]
                error += gap * gap
                wanted[axis] = (
                    acceleration + target_acceleration[s, i, axis] + gains.position * gap
                    + gains.velocity * (target_velocity[s, i, axis] + speed - velocity[s, i, axis])
                )  # fmt: skip
            errors[s, i] = math.sqrt(error)
            mass, drag, gravity = airframe[0], airframe[7], airframe[9]
            strongest = 4 * airframe[5] * airframe[10] ** 2 / mass
            up = gravity + min(
                max(wanted[2], -0.7 * gravity), 0.7 * max(0.8 * strongest - gravity, 0.0)
            )
            sideways = math.sqrt(wanted[0] ** 2 + wanted[1] ** 2)
            most = min(math.sqrt(max((0.85 * strongest) ** 2 - up * up, 0.01)), STEEPEST * up)
            shrink = most / sideways if sideways > most else 1.0
            force = (
                mass * wanted[0] * shrink + drag * velocity[s, i, 0],
                mass * wanted[1] * shrink + drag * velocity[s, i, 1],
                mass * up + drag * velocity[s, i, 2],
            )
            motors(force, attitude[s, i], rates[s, i], rotors[s, i], airframe, gains, actions[s, i])
