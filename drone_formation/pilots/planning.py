"""Planning that avoids conflicts, compiled.

It is prioritised (van den Berg & Overmars, "Prioritized motion planning for multiple robots",
2005) and improved by repeated best responses.  Drones choose one after the other, each among the
same few dozen motion primitives: the cheapest that keeps clear of the paths already chosen.

World frame, SI units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..racing.curves import LATERAL
from ..sim._jit import compiled
from .primitives import GRID, PLAN, SAMPLES, sample, set_plan, strain

if TYPE_CHECKING:
    from .classical import Gains

#: Samples are bounded in chunks of this size, so that far-apart paths are told quickly.
CHUNK, CHUNKS = 8, 16

#: What a conflict costs, and each metre of it, m s; a path without any is always cheaper.
CONFLICT, CONFLICT_DEPTH, DISCOMFORT, OUTSIDE = 100.0, 500.0, 4.0, 1000.0
#: What asking too much of a drone costs, m s; and the speed relative to its target, m/s, from which
#: a drone may have to.
STRAIN, IN_FLIGHT = 300.0, 2.5

jitted = compiled(error_model="numpy")


class Outlook(NamedTuple):
    """What the drones of one swarm plan by.

    Attributes:
        now: present time, s.
        offset, velocity, acceleration: (N, 3), each relative to the target's.
        targets: (N, 3, SAMPLES), where the targets will be.
        room: half extents (3,) within which paths should stay.
        gravity, limits: (N,) and (N, LIMITS).
        collision_distance: m.
    """

    now: float
    offset: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    targets: np.ndarray
    room: np.ndarray
    gravity: np.ndarray
    limits: np.ndarray
    collision_distance: float


class Chosen(NamedTuple):
    """What the drones of one swarm have chosen.

    Attributes:
        plans: (N, PLAN).
        paths: (N, 3, SAMPLES) float32, where these lead.
        spheres: (N, CHUNKS, 4) float32, around the paths; see ``outline``.
        planned: (N,) bool, which have chosen.
        cost: (N,), of a drone's path by itself, m s.
    """

    plans: np.ndarray
    paths: np.ndarray
    spheres: np.ndarray
    planned: np.ndarray
    cost: np.ndarray


# ---- what a path costs -------------------------------------------------------------------------


@jitted
def outline(path: np.ndarray, spheres: np.ndarray) -> None:
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
def separation(
    one: np.ndarray,
    around_one: np.ndarray,
    other: np.ndarray,
    around_other: np.ndarray,
    reach: float,
) -> float:
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


@jitted
def crowding(
    drone: int, path: np.ndarray, around: np.ndarray, chosen: Chosen, clearance: float,
    comfort: float, enough: float,
) -> float:  # fmt: skip
    """What a path costs for coming near the others' paths; at least ``enough`` once it is that."""
    total = 0.0
    for other in range(len(chosen.paths)):
        if other != drone and chosen.planned[other]:
            gap = separation(path, around, chosen.paths[other], chosen.spheres[other], comfort)
            if gap < comfort:
                total += DISCOMFORT * (comfort - gap)
                if gap < clearance:
                    total += CONFLICT + CONFLICT_DEPTH * (clearance - gap)
                if total >= enough:
                    break
    return total


@jitted
def excursion(path: np.ndarray, duration: float, room: np.ndarray) -> float:
    """What a path costs for leaving the room (half extents) on its way, m s."""
    total = 0.0
    for axis in range(3):
        for m in range(min(int(duration / GRID) + 1, SAMPLES)):
            total += max(abs(path[axis, m]) - room[axis], 0.0)
    return OUTSIDE * total


# ---- choosing ----------------------------------------------------------------------------------


@jitted
def flyable(
    outlook: Outlook, drone: int, bump: np.ndarray, shortest: float, longest: float,
    plan: np.ndarray, path: np.ndarray,
) -> tuple[float, float]:  # fmt: skip
    """The quickest plan with a detour that a drone can fly, written with its path.

    Returns:
        Its duration, at least ``shortest`` and not much more than ``longest``, s; and the time
        integral of the distance to the target, m s.
    """
    duration, area = shortest, 0.0
    gravity, limits = outlook.gravity[drone], outlook.limits[drone]
    offset, velocity = outlook.offset[drone], outlook.velocity[drone]
    for _ in range(20):
        set_plan(plan, outlook.now, duration, offset, velocity, outlook.acceleration[drone], bump)
        area = sample(plan, outlook.now, outlook.targets[drone], path)
        slower = strain(path, duration, gravity, limits)
        if slower <= 1.0 or duration > longest:
            break
        duration *= min(max(1.005 * slower, 1.01), 1.5)
    return duration, area


@jitted
def choose(
    i: int, best: float, sweep: int, primitives: np.ndarray, outlook: Outlook, gains: Gains,
    chosen: Chosen,
) -> None:  # fmt: skip
    """Give drone i the cheapest of its primitives (K, 4), if one costs less than ``best``."""
    plan, path, bump = np.zeros(PLAN), np.zeros((3, SAMPLES), np.float32), np.zeros(3)
    around = np.zeros((CHUNKS, 4), np.float32)
    clearance = gains.clearance * outlook.collision_distance
    comfort = gains.comfort * outlook.collision_distance
    now, gravity, limits = outlook.now, outlook.gravity[i], outlook.limits[i]
    distance = math.sqrt((outlook.offset[i] ** 2).sum())
    detour = min(gains.detour, 0.5 + 0.4 * distance) * outlook.collision_distance
    if sweep >= gains.passes:
        detour *= 1.0 + 0.3 * (sweep - gains.passes)
    shortest = max(0.6, 1.5 * math.sqrt(distance / limits[LATERAL]))
    in_flight = (outlook.velocity[i] ** 2).sum() > IN_FLIGHT**2
    # In flight the present state may be what is too much, and no time makes up for it.
    longest = 2.0 + 3 * shortest if in_flight else GRID * SAMPLES
    for k in range(len(primitives)):
        stretch = primitives[k, 0]
        # A detour only ever takes longer: spare the trial of what cannot be the best.
        if k > 0 and not in_flight and 0.4 * distance * shortest * stretch >= best:
            continue
        for axis in range(3):
            bump[axis] = detour * primitives[k, 1 + axis]
        duration, area = flyable(outlook, i, bump, shortest, longest, plan, path)
        if k == 0:
            shortest = duration
        # In flight there may be no time for what is comfortable: half of the trials hurry.
        if in_flight and k % 2 == 1:
            stretch = 1 / stretch
        if stretch != 1:
            duration *= stretch
            set_plan(
                plan, now, duration, outlook.offset[i], outlook.velocity[i],
                outlook.acceleration[i], bump,
            )  # fmt: skip
            area = sample(plan, now, outlook.targets[i], path)
        if in_flight:
            area += STRAIN * max(strain(path, duration, gravity, limits) - 1, 0.0)
        area += excursion(path, duration, outlook.room)
        if area >= best:
            continue
        outline(path, around)
        total = area + crowding(i, path, around, chosen, clearance, comfort, best - area)
        if total < best:
            best = total
            chosen.cost[i] = area
            chosen.plans[i] = plan
            chosen.paths[i] = path
            chosen.spheres[i] = around


@jitted
def plan_swarm(
    outlook: Outlook, order: np.ndarray, chooses: np.ndarray, present: np.ndarray,
    primitives: np.ndarray, gains: Gains, plans: np.ndarray,
) -> int:  # fmt: skip
    """Choose plans for the drones of one swarm.

    Args:
        outlook: what they plan by.
        order: drones in the order in which they choose.
        chooses: (N,) bool, which choose; the others keep their plans.
        present: (N,) bool, which are there at all.
        primitives: (passes + repairs, K, 4): duration as a multiple of the shortest, and bump as a
            share of the greatest; the first of each is the straight one.
        gains: the pilot's settings.
        plans: (N, PLAN), updated.

    Returns:
        How many drones are left in conflict.
    """
    count = len(outlook.offset)
    clearance = gains.clearance * outlook.collision_distance
    comfort = gains.comfort * outlook.collision_distance
    paths = np.zeros((count, 3, SAMPLES), np.float32)
    spheres = np.zeros((count, CHUNKS, 4), np.float32)
    chosen = Chosen(plans, paths, spheres, np.zeros(count, np.bool_), np.zeros(count))
    for i in range(count):
        if present[i] and not chooses[i]:
            sample(plans[i], outlook.now, outlook.targets[i], paths[i])
            outline(paths[i], spheres[i])
            chosen.planned[i] = True
    conflicts = 0
    for sweep in range(len(primitives)):
        conflicts = 0
        for i in order:
            if not (chooses[i] and present[i]):
                continue
            best = np.inf
            if sweep > 0:
                near = crowding(i, paths[i], spheres[i], chosen, clearance, comfort, np.inf)
                best = chosen.cost[i] + near
                if sweep >= gains.passes and near < CONFLICT:
                    continue
                conflicts += near >= CONFLICT
            choose(i, best, sweep, primitives[sweep], outlook, gains, chosen)
            chosen.planned[i] = True
        if sweep >= gains.passes and conflicts == 0:
            break
    return conflicts
