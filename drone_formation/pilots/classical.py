"""The classical pilot: what one would do without learning.

It reads the ground-truth state.  When an episode begins it plans, for every drone, a smooth path to
its target that keeps clear of all the others' paths; then each drone tracks its own.  A drone that
is put somewhere else (a respawn), or whose target is, plans anew while the others keep their plans.
``primitives.py``, ``planning.py`` and ``tracking.py`` hold the methods and their sources.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from ..airframe import CONTROL_STEP, PARAMETERS
from ..racing.course import RACING_DOWN, Course, limits
from ..swarms import Swarms
from .planning import Outlook, plan_swarm
from .primitives import DURATION, GRID, PLAN, SAMPLES
from .tracking import Seen, track

#: Targets are foreseen on circular arcs, which turn at this rate at most, rad/s.
MAX_ARC_RATE = 0.5
#: Paths keep this far from the walls, m.
WALL_MARGIN = 0.6
#: A drone farther than this from where its plan has it plans anew, m.
LOST_DISTANCE = 1.0


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
        passes: how often every drone chooses anew, given the others' choices.
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


class ClassicalPilot:
    """Prioritised planning of motion primitives, and geometric tracking.

    Args:
        gains: its settings.
        candidates: how many detours each drone chooses among.
    """

    name = "classical"

    def __init__(self, gains: Gains | None = None, candidates: int = 56) -> None:
        self.gains = gains or Gains()
        self._primitives = draw_primitives(self.gains.passes + self.gains.repairs, candidates)
        self._swarms: Swarms | None = None

    def act(self, swarms: Swarms) -> np.ndarray:
        """Actions (S, N, 4) in [-1, 1], float32, for the swarms as they are now."""
        seen, ready = self._look(swarms)
        for lost in np.flatnonzero(self._lost.any(axis=1) & ready):
            self._plan(swarms, seen, int(lost))
        now = swarms.steps * CONTROL_STEP
        feed = seen.target_acceleration.copy()
        for s, course in enumerate(self._courses):
            if course is not None:
                feed[s] = course.places(now[s] + self.gains.lead)[2]
        actions = np.zeros((swarms.num_swarms, swarms.num_drones, 4), np.float32)
        track(
            now, seen._replace(target_acceleration=feed), self._airframes,
            swarms.active & ready[:, None], self._plans, self.gains, actions, self._errors,
        )  # fmt: skip
        return actions

    # ---- noticing what is new ------------------------------------------------------------------

    def _forget(self, swarms: Swarms) -> None:
        S, N = swarms.num_swarms, swarms.num_drones
        self._swarms = swarms
        self._steps = np.full(S, -2)
        self._before: Seen | None = None
        self._courses: list[Course | None] = [None] * S
        self._airframes = np.zeros((S, N, len(PARAMETERS)))
        self._lost = np.ones((S, N), bool)
        self._errors = np.zeros((S, N))
        self._plans = np.zeros((S, N, PLAN))
        self._plans[:, :, DURATION] = 1.0

    def _look(self, swarms: Swarms) -> tuple[Seen, np.ndarray]:
        """What is seen, and which swarms can plan; notes which drones have no valid plan."""
        if self._swarms is not swarms:
            self._forget(swarms)
        steps = swarms.steps
        fresh = steps != self._steps + 1
        if fresh.any():
            self._airframes[fresh] = swarms.airframes[fresh]
            for new in np.flatnonzero(fresh).tolist():
                self._courses[new] = self._lay_course(swarms, new)
        seen = Seen(
            swarms.position.astype(float),
            swarms.velocity.astype(float),
            swarms.attitude,
            swarms.body_rates,
            swarms.rotor_speeds,
            swarms.target_position.astype(float),
            swarms.target_velocity.astype(float),
            np.zeros((*self._lost.shape, 3)),
        )
        racing = np.array([course is not None for course in self._courses])
        for s, course in enumerate(self._courses):
            if course is not None:
                places = course.places(steps[s] * CONTROL_STEP)
                seen.target[s], seen.target_velocity[s], seen.target_acceleration[s] = places
        if self._before is not None:
            before = self._before
            shifted = seen.target - before.target - CONTROL_STEP * before.target_velocity
            shifted = (np.abs(shifted).max(axis=2) > 0.5) | fresh[:, None]
            moved = seen.position - before.position - CONTROL_STEP * before.velocity
            moved = np.abs(moved).max(axis=2) > 1.0
            self._lost |= shifted | moved | (self._errors > LOST_DISTANCE)
            turning = (seen.target_velocity - before.target_velocity) / CONTROL_STEP
            turning[shifted] = 0
            seen.target_acceleration[~racing] = turning[~racing]
        self._lost[fresh] = True
        # How a target's velocity changes shows after one step: where they move, plan then.
        moving = np.abs(seen.target_velocity).max(axis=(1, 2)) > 1e-6
        self._steps, self._before = steps, seen
        return seen, ~(fresh & moving & ~racing)

    def _lay_course(self, swarms: Swarms, s: int) -> Course | None:
        rings = swarms.rings(s)
        if not len(rings):
            return None
        airframes = self._airframes[s]
        return Course(rings, swarms.ring_index[s], airframes, swarms.collision_distance)

    # ---- planning ------------------------------------------------------------------------------

    def _plan(self, swarms: Swarms, seen: Seen, s: int) -> None:
        """Plans for the drones of swarm s that have none."""
        now, offset = swarms.steps[s] * CONTROL_STEP, seen.position[s] - seen.target[s]
        airframes, course = self._airframes[s], self._courses[s]
        drift, turning = seen.target_velocity[s], seen.target_acceleration[s]
        outlook = Outlook(
            now,
            offset,
            seen.velocity[s] - drift,
            present_acceleration(swarms, airframes, s) - turning,
            foresee_places(course, now) if course else foresee(seen.target[s], drift, turning),
            swarms.arena - WALL_MARGIN,
            airframes[:, PARAMETERS.index("gravity")].copy(),
            limits(airframes, RACING_DOWN) if course else limits(airframes),
            swarms.collision_distance,
        )
        farthest_first = np.argsort(-np.linalg.norm(offset, axis=1), kind="stable")
        plan_swarm(
            outlook, farthest_first, self._lost[s], swarms.active[s], self._primitives, self.gains,
            self._plans[s],
        )  # fmt: skip
        self._lost[s] = False


def draw_primitives(sweeps: int, count: int) -> np.ndarray:
    """The primitives that drones choose among: (sweeps, 6 + count, 4), see ``plan_swarm``.

    The first is the straight one, then some that only take longer, then detours every way.
    """
    rng = np.random.default_rng(0)
    primitives = np.zeros((sweeps, count, 4))
    kinds = -(-count // 8)
    sides = np.array(list(itertools.product((1, -1), repeat=3)))
    way = rng.normal(size=(sweeps, kinds, 1, 3))
    way *= rng.uniform(0, 1, (sweeps, kinds, 1, 1)) / np.linalg.norm(way, axis=3, keepdims=True)
    # Each with its mirror images, so that no side is preferred.
    primitives[:, :, 1:] = (way * sides).reshape(sweeps, -1, 3)[:, :count]
    stretch = 1 + rng.exponential(0.25, (sweeps, kinds))
    primitives[:, :, 0] = np.repeat(stretch, 8, axis=1)[:, :count]
    plain = [1, 1.07, 1.15, 1.3, 1.5, 1.8]
    straight = np.zeros((sweeps, len(plain), 4))
    straight[:, :, 0] = plain
    return np.concatenate([straight, primitives], axis=1)


def foresee(target: np.ndarray, velocity: np.ndarray, acceleration: np.ndarray) -> np.ndarray:
    """Where targets will be, (N, 3, SAMPLES): each on the circular arc it is now on.

    Exact for a formation that stands, drifts straight or turns; for others, a good guess.
    """
    time = np.arange(SAMPLES) * GRID
    speed, bend = (np.linalg.norm(v, axis=1) for v in (velocity, acceleration))
    rate = np.clip(bend / np.maximum(speed, 1e-3), 1e-4, MAX_ARC_RATE)[:, None, None]
    return (
        target[:, :, None]
        + velocity[:, :, None] * np.sin(rate * time) / rate
        + acceleration[:, :, None] * (1 - np.cos(rate * time)) / rate**2
    )


def foresee_places(course: Course, now: float) -> np.ndarray:
    """Where the places on a course will be, likewise."""
    times = now + np.arange(SAMPLES) * GRID
    return np.stack([course.places(time)[0] for time in times], axis=2)


def present_acceleration(swarms: Swarms, airframes: np.ndarray, s: int) -> np.ndarray:
    """Accelerations (N, 3) of the drones of swarm s under their present thrust, m/s²."""
    column = {name: airframes[:, [i]] for i, name in enumerate(PARAMETERS)}
    w, x, y, z = swarms.attitude[s].T.astype(float)
    up = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1)
    thrust = column["thrust_coefficient"] * (swarms.rotor_speeds[s] ** 2).sum(axis=1, keepdims=True)
    weight = column["mass"] * column["gravity"] * [0, 0, 1]
    return (thrust * up - weight - column["linear_drag"] * swarms.velocity[s]) / column["mass"]
