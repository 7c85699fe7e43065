"""One control step of one swarm, and the entry that Python calls for all of them."""

from __future__ import annotations

import numpy as np

from ._jit import OPTIONS, compiled, jitted, merged
from .collisions import find_collisions, longest_step
from .conflicts import measure_conflicts
from .crashes import deactivate, respawn
from .dynamics import contain_faults, integrate, load_actions
from .layout import (
    ACTIVE, CRASHED, DISTANCE, FORMED_SHARE, LANES, ONE, PREVIOUS_DISTANCE, REWARD, RING_PASSED,
    ZERO, Outputs, Swarm, Workspace, World,
)  # fmt: skip
from .neighbours import find_nearest, index_mask, measure_nearest
from .observe import observe, write_observations
from .rewards import count_formed, mean_reward, pay, sum_up
from .simd import any_positive, view
from .targets import (
    measure_distances, move_targets, note_rings, trajectory_time, turn_to_next_ring,
    update_waves,
)  # fmt: skip

#: What a call is to do, added up: refuse bad actions, begin episodes, fly and pay, and show.
CHECK, BEGIN, FLY, SHOW = 1, 2, 4, 8
#: What it answers.
READY, NOT_FINITE, NOT_STARTED = 0, 1, 2


@merged
def fly_and_pay(
    swarm: Swarm,
    k: int,
    world: World,
    neighbours: int,
    work: Workspace,
    actions: np.ndarray,
    out: Outputs,
) -> None:
    """Swarm ``k`` one control step on, and what that pays; crashed drones stay where they are."""
    blocks, episode, settings = swarm.blocks, swarm.episode, swarm.settings
    first, last = swarm.first, swarm.first + swarm.num_blocks
    num_drones, scratch = out.observations.shape[1], work.scratch
    episode.step += 1
    episode.crashed_before, episode.crashes = episode.crashes, False

    for index in range(first, last):
        start = (index - first) * LANES
        count, place = min(LANES, num_drones - start), 4 * (k * num_drones + start)
        load_actions(blocks, index, actions, place, count, scratch)
        integrate(blocks, index, k, settings, world.air)
        episode.crashes |= any_positive(blocks, index, CRASHED)
    if not settings.respawns:
        deactivate_again(swarm)
    longest = longest_step(swarm, scratch)
    if episode.crashes:
        for index in range(first, last):
            contain_faults(blocks, index)
    if episode.harmonics + episode.knots > 0:
        find_targets(swarm, k, world, work.waves)
    for index in range(first, last):
        measure_distances(blocks, index)
        if episode.num_rings > 0:
            note_rings(blocks, index, settings.ring_radius_squared)
    look_around(swarm, neighbours, work.tiling, work.few, scratch)

    stays = ONE if episode.num_rings == 0 or episode.paced else ZERO
    for index in range(first, last):
        find_collisions(swarm, index, longest, work.tiling)
        pay(blocks, index, settings, stays)
        sum_up(blocks, index, settings, episode.step)
        write_rewards(swarm, k, index, out)
    out.means[k] = mean_reward(swarm)
    if count_formed(swarm, scratch) < FORMED_SHARE * num_drones:
        episode.last_unformed = episode.step
    out.truncated[k] = episode.step >= settings.max_steps


@merged
def go_on_and_show(
    swarm: Swarm, k: int, world: World, neighbours: int, work: Workspace, out: Outputs
) -> None:
    """New rings and new places where drones passed or crashed, and what all observe."""
    episode, first = swarm.episode, swarm.first
    if episode.crashes and swarm.settings.respawns:
        keep_finals(swarm, k, neighbours, work.scratch, out.finals)
        respawn_crashed(swarm, work.scratch)
        look_around(swarm, neighbours, work.tiling, work.few, work.scratch)
    for index in range(first, first + swarm.num_blocks):
        if episode.num_rings > 0:
            turn_to_next_rings(swarm, index, world.rings[k])
        go_on_from_here(swarm, index)
        show(swarm, k, index, neighbours, work.scratch, out.observations)
    if episode.crashes and not swarm.settings.respawns:
        deactivate_crashed(swarm)


@merged
def begin_episode(
    swarm: Swarm, k: int, world: World, neighbours: int, work: Workspace, out: Outputs
) -> None:
    """Targets, distances and observations of swarm ``k`` right after a reset, or after changes."""
    episode, first = swarm.episode, swarm.first
    find_targets(swarm, k, world, work.waves)
    for index in range(first, first + swarm.num_blocks):
        go_on_from_here(swarm, index)
    formed = count_formed(swarm, work.scratch)
    episode.last_unformed = -1 if formed >= FORMED_SHARE * out.observations.shape[1] else 0
    look_around(swarm, neighbours, work.tiling, work.few, work.scratch)
    for index in range(first, first + swarm.num_blocks):
        show(swarm, k, index, neighbours, work.scratch, out.observations)


# ---- their parts -------------------------------------------------------------------------------


@jitted
def look_around(
    swarm: Swarm, neighbours: int, tiling: tuple | None, few: bool | None, scratch: np.ndarray
) -> None:
    """Each drone's nearest others and worst conflicts.  See ``find_nearest`` for the arguments."""
    find_nearest(swarm, neighbours, tiling, few, scratch)
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        measure_nearest(swarm, index)
        measure_conflicts(swarm, index, scratch)


@jitted
def find_targets(swarm: Swarm, k: int, world: World, waves: np.ndarray) -> None:
    """Move the targets to where they are now."""
    episode = swarm.episode
    update_waves(world.frequencies[k], episode.harmonics, trajectory_time(swarm), waves)
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        move_targets(swarm, index, world, waves)


@merged
def go_on_from_here(swarm: Swarm, index: int) -> None:
    """Measure the distances that the next step's progress counts from."""
    measure_distances(swarm.blocks, index)
    block = view(swarm.blocks, index)
    for lane in range(LANES):
        block[PREVIOUS_DISTANCE, lane] = block[DISTANCE, lane]


@jitted
def turn_to_next_rings(swarm: Swarm, index: int, rings: np.ndarray) -> None:
    """Turn the drones of a block that passed their rings to the next ones."""
    block, episode = view(swarm.blocks, index), swarm.episode
    for lane in range(LANES):
        if block[RING_PASSED, lane] > ZERO:
            turn_to_next_ring(block, lane, rings, episode.num_rings, episode.paced)


@merged
def write_rewards(swarm: Swarm, k: int, index: int, out: Outputs) -> None:
    """Write a block's rewards, and which of its drones crashed."""
    block, start = view(swarm.blocks, index), (index - swarm.first) * LANES
    count = min(LANES, out.rewards.shape[1] - start)
    for lane in range(count):
        out.rewards[k, start + lane] = block[REWARD, lane]
    if swarm.episode.crashes or swarm.episode.crashed_before:
        for lane in range(count):
            out.crashed[k, start + lane] = block[CRASHED, lane] > ZERO


@jitted
def keep_finals(
    swarm: Swarm, k: int, neighbours: int, scratch: np.ndarray, finals: np.ndarray
) -> None:
    """Write what crashed drones observe where they crashed."""
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        if not any_positive(swarm.blocks, index, CRASHED):
            continue
        block, start = view(swarm.blocks, index), (index - swarm.first) * LANES
        observe(swarm, index, neighbours, scratch)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                for column in range(finals.shape[2]):
                    finals[k, start + lane, column] = scratch[column, lane]


@jitted
def respawn_crashed(swarm: Swarm, scratch: np.ndarray) -> None:
    """Put crashed drones back at random places."""
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                respawn(swarm, index, lane, scratch)


@jitted
def deactivate_crashed(swarm: Swarm) -> None:
    """Take crashed drones out of play."""
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                deactivate(block, lane)


@jitted
def deactivate_again(swarm: Swarm) -> None:
    """Keep drones that are gone where they stand, far away."""
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            if block[ACTIVE, lane] == ZERO:
                deactivate(block, lane)


@merged
def show(
    swarm: Swarm, k: int, index: int, neighbours: int, scratch: np.ndarray, observations: np.ndarray
) -> None:
    """Write what a block's drones observe."""
    start = (index - swarm.first) * LANES
    place = (k * observations.shape[1] + start) * observations.shape[2]
    write_observations(swarm, index, start, neighbours, scratch, observations, place)


# ---- what Python calls -------------------------------------------------------------------------


@jitted
def all_finite(values: np.ndarray) -> bool:
    """Whether no entry of a flat array is NaN or infinite."""
    bad = 0
    for i in range(len(values)):
        bad |= not (abs(values[i]) < np.inf)
    return bad == 0


@compiled(**OPTIONS)
def advance(
    world: World,
    neighbours: int,
    work: Workspace,
    actions: np.ndarray,
    out: Outputs,
    begin: int,
    end: int,
    what: int,
) -> int:
    """Advance swarms ``begin`` to ``end`` by one control step, or begin their episodes.

    This is the only entry, since every entry costs seconds of compilation.

    Args:
        world: the batch, a ``layout.World``.
        neighbours: how many are observed.
        work: the calling thread's ``layout.Workspace``.
        actions: (S * N * 4,) float32.
        out: ``layout.Outputs``.
        begin, end: the range of swarms.
        what: the sum of ``CHECK`` (touch nothing unless all actions in the range are finite and all
            its swarms have been reset), ``BEGIN``, ``FLY`` and ``SHOW``.

    Returns:
        READY, NOT_FINITE or NOT_STARTED.
    """
    num_drones = out.observations.shape[1]
    if what & CHECK:
        if not all_finite(actions[4 * num_drones * begin : 4 * num_drones * end]):
            return NOT_FINITE
        for k in range(begin, end):
            if not world.episodes[k].started:
                return NOT_STARTED
    num_blocks = (num_drones + LANES - 1) // LANES
    mask = index_mask(num_blocks)
    for k in range(begin, end):
        swarm = Swarm(
            world.blocks, k * num_blocks, num_blocks, world.settings[k], world.episodes[k], mask
        )
        if what & BEGIN:
            begin_episode(swarm, k, world, neighbours, work, out)
        if what & FLY:
            fly_and_pay(swarm, k, world, neighbours, work, actions, out)
        if what & SHOW:
            go_on_and_show(swarm, k, world, neighbours, work, out)
    return READY
