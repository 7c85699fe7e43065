"""What becomes of drones that left the arena: a new random place, or none."""

from __future__ import annotations

import numpy as np

from ._jit import jitted
from .dynamics import reset_to_hover
from .layout import (
    ACTIVE, CENTRE, CONFLICT_MARGIN, CRASHED, FAR, LANE, LANES, ONE, PARKED, POSITION,
    RESPAWN_TRIALS, TALLY, TARGET_POSITION, TWO, ZERO, Scalar, Swarm, Vector,
)  # fmt: skip
from .pairs import squared_distance
from .simd import columns_of, greatest, load3, store3, view
from .vectors import difference, dot


@jitted
def uniform(key: int, count: int) -> Scalar:
    """A random number in [0, 1), the ``count``-th under a key: splitmix64 (Steele et al., 2014)."""
    mixed = np.uint64(key) + np.uint64(count + 1) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.float32(mixed >> np.uint64(40)) * np.float32(1 / 16777216)


@jitted
def room_at(swarm: Swarm, index: int, this: int, place: Vector, scratch: np.ndarray) -> Scalar:
    """Squared distance from a place to the nearest other drone, or to the target that it holds."""
    room, holds = columns_of(scratch), swarm.episode.holds
    for lane in range(LANES):
        room[TALLY, lane] = -FAR
    for theirs in range(swarm.first, swarm.first + swarm.num_blocks):
        other = view(swarm.blocks, theirs)
        self = np.float32(this if theirs == index else -1)
        for lane in range(LANES):
            squared = squared_distance(other, lane, place)
            offset = difference(load3(other, CENTRE, lane), place)
            held = dot(offset, offset) if holds else FAR
            squared = held if held < squared else squared
            gone = (other[ACTIVE, lane] == ZERO) | (other[LANE, lane] == self)
            nearness = -FAR if gone else -squared
            room[TALLY, lane] = nearness if nearness > room[TALLY, lane] else room[TALLY, lane]
    return -greatest(scratch, TALLY * LANES)


@jitted
def respawn(swarm: Swarm, index: int, this: int, scratch: np.ndarray) -> None:
    """Put a crashed drone back at a random place that is clear of the others."""
    block, settings, episode = view(swarm.blocks, index), swarm.settings, swarm.episode
    spacing = CONFLICT_MARGIN * settings.collision_distance
    best, key = -ONE, episode.random_key
    for _ in range(RESPAWN_TRIALS):
        count = 3 * episode.respawns
        episode.respawns += 1
        x = (TWO * uniform(key, count) - ONE) * (settings.arena[0] - spacing)
        y = (TWO * uniform(key, count + 1) - ONE) * (settings.arena[1] - spacing)
        z = (TWO * uniform(key, count + 2) - ONE) * (settings.arena[2] - spacing)
        room = room_at(swarm, index, this, (x, y, z), scratch)
        if room > best:
            best = room
            store3(block, POSITION, this, (x, y, z))
        if best >= spacing * spacing:
            break
    reset_to_hover(block, this)
    if episode.holds:
        store3(block, CENTRE, this, load3(block, POSITION, this))
        store3(block, TARGET_POSITION, this, load3(block, POSITION, this))


@jitted
def deactivate(block: np.ndarray, lane: int) -> None:
    """Take a drone out of play."""
    block[ACTIVE, lane] = ZERO
    block[CRASHED, lane] = ZERO
    store3(block, POSITION, lane, (PARKED, PARKED, PARKED))
    reset_to_hover(block, lane)
