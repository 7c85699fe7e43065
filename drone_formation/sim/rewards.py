"""What a step pays: one function per term of ``reward.RewardWeights``, and the episode's sums."""

from __future__ import annotations

import numpy as np

from ._jit import inlined
from .layout import (
    ACTION_CHANGE, ACTIVE, BODY_RATES, COLLIDING, COLLISIONS, COLLISION_STEPS, CONFLICT,
    CRASHED, CRASHES, DISTANCE, EPISODE_RETURN, FAULT, FAULTS, FORMED_DISTANCE, GRAZE, LANES,
    LATE_FARTHEST, LATE_SQUARES, NEAREST_DISTANCE, ONE, PRECISION_SCALE, PREVIOUSLY_COLLIDING,
    PREVIOUS_DISTANCE, REWARD, RINGS_PASSED, RING_PASSED, SCORE, SEPARATION, SETTLING_STEPS,
    TALLY, ZERO, Record, Scalar, Swarm, Vector,
)  # fmt: skip
from .simd import columns_of, load3, view
from .vectors import dot


@inlined
def progress(weight: Scalar, previous_distance: Scalar, distance: Scalar) -> Scalar:
    """Metres gained on the target in this step."""
    return weight * (previous_distance - distance)


@inlined
def nearness(weight: Scalar, scale: Scalar, distance: Scalar) -> Scalar:
    """1 on the target, 1/2 at the scale: approach (1 m) and precision (0.1 m)."""
    return weight * scale / (scale + distance)


@inlined
def ring(weight: Scalar, passed: Scalar) -> Scalar:
    """1 when the drone passed its race ring the right way."""
    return weight * passed


@inlined
def collision(
    weight: Scalar, colliding: Scalar, nearest_distance: Scalar, per_graze: Scalar
) -> Scalar:
    """1 in a collision, falling to 0 at 1.2 collision distances; ``per_graze`` is 1 / (0.2 d)."""
    touch = (ONE + GRAZE) / GRAZE - nearest_distance * per_graze
    touch = ONE if touch > ONE else (ZERO if touch < ZERO else touch)
    return weight * (ONE if colliding > ZERO else touch)


@inlined
def conflict(weight: Scalar, degree: Scalar) -> Scalar:
    """How near and how soon the worst conflict ahead is."""
    return weight * degree


@inlined
def smoothness(weight: Scalar, squared_change: Scalar) -> Scalar:
    """Squared change of the action."""
    return weight * squared_change


@inlined
def spin(weight: Scalar, body_rates: Vector) -> Scalar:
    """Squared body rates, rad²/s²."""
    return weight * dot(body_rates, body_rates)


@inlined
def crash(weight: Scalar, crashed: Scalar) -> Scalar:
    """1 when the drone left the arena."""
    return weight * crashed


@inlined
def pay(blocks: np.ndarray, index: int, settings: Record, stays: Scalar) -> None:
    """Each lane's reward for this step.

    ``stays`` is zero where a target, being a race ring, is no place to stay.
    """
    block, weights = view(blocks, index), settings.weights
    w_progress, w_ring, w_crash = weights.progress, weights.ring, weights.crash
    w_approach, w_precision = stays * weights.approach, stays * weights.precision
    w_collision, w_conflict = weights.collision, weights.conflict
    w_smoothness, w_spin = weights.smoothness, weights.spin
    per_graze = ONE / (GRAZE * settings.collision_distance)
    for lane in range(LANES):
        distance = block[DISTANCE, lane]
        value = (
            progress(w_progress, block[PREVIOUS_DISTANCE, lane], distance)
            + nearness(w_approach, ONE, distance)
            + nearness(w_precision, PRECISION_SCALE, distance)
            + ring(w_ring, block[RING_PASSED, lane])
            - collision(
                w_collision, block[COLLIDING, lane], block[NEAREST_DISTANCE, lane], per_graze
            )
            - conflict(w_conflict, block[CONFLICT, lane])
            - smoothness(w_smoothness, block[ACTION_CHANGE, lane])
            - spin(w_spin, load3(block, BODY_RATES, lane))
            - crash(w_crash, block[CRASHED, lane])
        )
        block[REWARD, lane] = value if block[ACTIVE, lane] > ZERO else ZERO


@inlined
def sum_up(blocks: np.ndarray, index: int, settings: Record, step: int) -> None:
    """Add this step to the sums behind the metrics."""
    block = view(blocks, index)
    per_diagonal = ONE / settings.arena_diagonal
    for lane in range(LANES):
        active, distance = block[ACTIVE, lane], block[DISTANCE, lane]
        colliding = block[COLLIDING, lane] * active
        block[EPISODE_RETURN, lane] += block[REWARD, lane]
        block[SCORE, lane] += active * (ONE - distance * per_diagonal - colliding)
        block[COLLISIONS, lane] += colliding * (ONE - block[PREVIOUSLY_COLLIDING, lane])
        block[COLLISION_STEPS, lane] += colliding
        block[CRASHES, lane] += block[CRASHED, lane]
        block[FAULTS, lane] += block[FAULT, lane]
        block[RINGS_PASSED, lane] += block[RING_PASSED, lane]
        block[PREVIOUSLY_COLLIDING, lane] = colliding * (ONE - block[CRASHED, lane])
    if step >= settings.late_from:
        for lane in range(LANES):
            distance, farthest = block[DISTANCE, lane], block[LATE_FARTHEST, lane]
            block[LATE_SQUARES, lane] += distance * distance
            block[LATE_FARTHEST, lane] = distance if distance > farthest else farthest
    if step >= SETTLING_STEPS:
        for lane in range(LANES):
            nearest, least = block[NEAREST_DISTANCE, lane], block[SEPARATION, lane]
            counts = (nearest < least) & (block[ACTIVE, lane] > ZERO)
            block[SEPARATION, lane] = nearest if counts else least


@inlined
def mean_reward(swarm: Swarm) -> Scalar:
    """Mean over the drones of a swarm that flew in this step."""
    # Four sums, so that no addition waits for the one before
    a, b, c, d, flying = 0.0, 0.0, 0.0, 0.0, ZERO
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(0, LANES, 4):
            a += block[REWARD, lane]
            b += block[REWARD, lane + 1]
            c += block[REWARD, lane + 2]
            d += block[REWARD, lane + 3]
            flying += (block[ACTIVE, lane] + block[ACTIVE, lane + 1]) + (
                block[ACTIVE, lane + 2] + block[ACTIVE, lane + 3]
            )
    return ((a + b) + (c + d)) / max(flying, ONE)


@inlined
def count_formed(swarm: Swarm, scratch: np.ndarray) -> Scalar:
    """How many drones of a swarm are within 0.25 m of their targets."""
    formed = columns_of(scratch)
    for lane in range(LANES):
        formed[TALLY, lane] = ZERO
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            near = block[DISTANCE, lane] <= FORMED_DISTANCE
            formed[TALLY, lane] += block[ACTIVE, lane] if near else ZERO
    total = ZERO
    for lane in range(LANES):
        total += formed[TALLY, lane]
    return total
