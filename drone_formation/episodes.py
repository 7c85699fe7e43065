"""How an episode begins: what a plan says, written into the rows of a swarm."""

from __future__ import annotations

import numpy as np

from .airframe import PARAMETERS, Airframe, Randomization
from .batch import Batch
from .planner import Plan
from .racing import course
from .sim import layout
from .tasks import RING_RADIUS, RING_SPEED
from .trajectories import Trajectory


def begin(
    batch: Batch, swarm: int, plan: Plan, airframes: np.ndarray, random_key: int, paced: bool
) -> None:
    """Write a new episode of one swarm.

    Args:
        batch: the arrays.
        swarm: which.
        plan: what the planner drew.
        airframes: (N, 14), or (1, 14) where all are alike.
        random_key: what places for crashed drones are drawn from.
        paced: whether a race gives every drone a place on one course through all rings.
    """
    batch.episodes[swarm] = 0  # every field
    episode, N = batch.episodes[swarm], batch.num_drones
    episode["started"] = True
    episode["random_key"] = random_key
    episode["holds"] = plan.holds
    episode["num_rings"] = len(plan.rings)
    episode["paced"] = paced and len(plan.rings) > 0
    episode["crashes"] = True  # as far as the output array tells: the first step clears it

    lanes = np.zeros((layout.ROWS, batch.blocks_per_swarm * layout.LANES), np.float32)

    def put(row: int, values: np.ndarray, count: int | None = None) -> None:
        lanes[row : row + len(values), :count] = values

    put(layout.AIRFRAME, airframes[:1].T)
    put(layout.AIRFRAME, airframes.T, N)
    put(layout.POSITION, np.full((3, 1), layout.PARKED))
    put(layout.POSITION, plan.starts.T, N)
    put(layout.PREVIOUS_POSITION, lanes[layout.POSITION : layout.POSITION + 3])
    lanes[layout.ATTITUDE] = 1
    put(layout.ROTOR_SPEEDS, np.tile(lanes[layout.HOVER_SPEED], (4, 1)))
    lanes[layout.ACTIVE, :N] = 1
    lanes[layout.SEPARATION] = np.inf
    lanes[layout.INDEX] = np.arange(lanes.shape[1])
    lanes[layout.LANE] = lanes[layout.INDEX] % layout.LANES
    trajectory = plan.trajectory
    if plan.first_ring is not None:
        rings = np.column_stack([plan.rings[:, :3], RING_SPEED * plan.rings[:, 3:]])
        batch.rings[swarm, : len(rings)] = rings
        lanes[layout.RING, :N] = plan.first_ring
        put(layout.RING_CENTRE, rings[plan.first_ring].T, N)  # and its velocity, in the next rows
        if paced:
            trajectory = _paced(batch, plan, airframes)
    batch.write_lanes(swarm, lanes)
    batch.set_trajectory(swarm, trajectory)


def _paced(batch: Batch, plan: Plan, airframes: np.ndarray) -> Trajectory:
    """Places on a course through all rings, one for each drone."""
    assert plan.first_ring is not None
    rings = np.column_stack([plan.rings, np.full(len(plan.rings), RING_RADIUS)])
    # As the compiled code has them, so that equal rows give equal courses
    rows = np.broadcast_to(airframes, (batch.num_drones, len(PARAMETERS)))
    rows = rows.astype(np.float32).astype(float)
    distance = float(batch.settings["collision_distance"][0])
    laid = course.pace(
        rings.astype(np.float32).astype(float), plan.first_ring, plan.starts, rows, distance
    )
    return course.course_trajectory(laid)


def draw_airframes(
    airframe: Airframe, randomization: Randomization | None, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Each drone's parameters (N, 14); (1, 14) where all are alike, which draws nothing."""
    if randomization is None:
        return airframe.as_row()[None]
    return randomization.sample(airframe, count, rng)
