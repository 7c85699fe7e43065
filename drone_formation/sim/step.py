"""One control step of one swarm, and the entry that Python calls for all of them."""

from typing import NamedTuple

import numpy as np

from ._jit import OPTIONS, compiled, jitted, merged
from .collisions import find_collisions, longest_step, mark_struck
from .conflicts import measure_conflicts
from .crashes import deactivate, respawn
from .dynamics import contain_faults, integrate, load_actions
from .layout import (
    ACTIVE,
    CRASHED,
    DISTANCE,
    FORMED_SHARE,
    LANES,
    ONE,
    PREVIOUS_DISTANCE,
    REWARD,
    RING_PASSED,
    ZERO,
    Swarm,
)  # fmt: skip
from .neighbours import find_nearest, index_mask, measure_nearest
from .observe import observe, write_observations
from .rewards import count_formed, mean_reward, pay, sum_up
from .simd import any_positive, view
from .targets import (
    measure_distances,
    move_along_course,
    move_targets,
    note_rings,
    turn_to_next_ring,
    update_waves,
)  # fmt: skip

#: What a call is to do, added up: refuse bad actions, begin episodes, fly, and show.
CHECK, BEGIN, STEP = 1, 2, 4
#: What it answers.
READY, NOT_FINITE, NOT_STARTED = 0, 1, 2


class Motion(NamedTuple):
    """Where targets go."""

    frequencies: np.ndarray  #: (S, HARMONICS, 2) float64, rad/s and rad per step
    rings: np.ndarray  #: (S, R, 6) float32, centre, m, and velocity to be passed at, m/s
    lines: np.ndarray | None  #: (S, lines, 1 + 2 H, 3) float32, of a paced race; else None


class Workspace(NamedTuple):
    """What a thread works with."""

    scratch: np.ndarray  #: (MAX_OBSERVATION, LANES) float32
    waves: np.ndarray  #: (HARMONICS, 3) float32
    tiling: tuple | None  #: see tiled_search; None for small swarms
    few: bool | None  #: None for large ones


class Outputs(NamedTuple):
    """What a step writes."""

    observations: np.ndarray  #: (S, N, D) float32
    finals: np.ndarray  #: (S, N, D) float32, what drones that crashed observed last
    rewards: np.ndarray  #: (S, N) float32
    means: np.ndarray  #: (S,) float64, mean reward
    crashed: np.ndarray  #: (S, N) bool
    truncated: np.ndarray  #: (S,) bool


@merged
def step_swarm(swarm, k, motion, neighbours, work, tiling, few, actions, out):
    """Advance swarm ``k`` by one control step and write what came of it.

    Nine arguments, because numba leaves out code only behind arguments that are None.
    """
    blocks, episode, settings = swarm.blocks, swarm.episode, swarm.settings
    num_drones, scratch = out.observations.shape[1], work.scratch
    first, last = swarm.first, swarm.first + swarm.num_blocks
    episode.step += 1

    crashes = fly(swarm, k, actions, num_drones, scratch)
    fastest = longest_step(swarm, scratch)
    if crashes:
        for index in range(first, last):
            contain_faults(blocks, index)
    find_targets(swarm, k, motion, work)
    for index in range(first, last):
        measure_distances(blocks, index)
        if episode.num_rings > 0:
            note_rings(blocks, index, settings.ring_radius_squared)
    if crashes and settings.respawns:
        handle_crashes(swarm, k, neighbours, tiling, few, scratch, fastest, out)
    find_nearest(swarm, neighbours, tiling, few, scratch, ZERO)

    formed = count_formed(swarm, scratch)
    stays = ONE if episode.num_rings == 0 or episode.num_lines > 0 else ZERO
    for index in range(first, last):
        measure_nearest(swarm, index)
        measure_conflicts(swarm, index, scratch)
        find_collisions(swarm, index, fastest, tiling)
        pay(blocks, index, settings, stays)
        sum_up(blocks, index, settings, episode.step)
        write_rewards(swarm, k, index, crashes, out)
        go_on(swarm, k, index, motion.rings, crashes)
        show(swarm, k, index, neighbours, scratch, out.observations)
    out.means[k] = mean_reward(swarm)
    episode.clean = not crashes
    if formed < FORMED_SHARE * num_drones:
        episode.last_unformed = episode.step
    if crashes and not settings.respawns:
        deactivate_where(swarm, CRASHED, ZERO)
    out.truncated[k] = episode.step >= settings.max_steps


@merged
def fly(swarm, k, actions, num_drones, scratch):
    """Read the actions and advance the drones; whether any crashed."""
    crashes = False
    for b in range(swarm.num_blocks):
        index, start = swarm.first + b, b * LANES
        count = min(LANES, num_drones - start)
        load_actions(swarm.blocks, index, actions, 4 * (k * num_drones + start), count, scratch)
        integrate(swarm.blocks, index, swarm.settings)
        crashes |= any_positive(swarm.blocks, index, CRASHED)
    if not swarm.settings.respawns:  # drones that are gone stay parked
        for index in range(swarm.first, swarm.first + swarm.num_blocks):
            block = view(swarm.blocks, index)
            for lane in range(LANES):
                if block[ACTIVE, lane] == ZERO:
                    deactivate(block, lane)
    return crashes


@jitted
def deactivate_where(swarm, row, above):
    """Take the drones out of play of which a row is above a number."""
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            if block[row, lane] > above:
                deactivate(block, lane)


@merged
def find_targets(swarm, k, motion, work):
    """Move the targets on to the present time, where they move."""
    episode = swarm.episode
    if episode.harmonics > 0:
        update_waves(motion.frequencies[k], episode.step, work.waves)
        for index in range(swarm.first, swarm.first + swarm.num_blocks):
            if episode.num_lines > 0:
                move_along_course(
                    swarm.blocks, index, motion.lines, k, episode.num_lines, work.waves,
                    work.scratch,
                )  # fmt: skip
            else:
                move_targets(swarm.blocks, index, work.waves)


@merged
def handle_crashes(swarm, k, neighbours, tiling, few, scratch, fastest, out):
    """Crashed drones: which others they hit, what they observe last, and where they start again."""
    blocks, first, last = swarm.blocks, swarm.first, swarm.first + swarm.num_blocks
    find_nearest(swarm, neighbours, tiling, few, scratch, ONE)
    for index in range(first, last):
        if not any_positive(blocks, index, CRASHED):
            continue
        block = view(blocks, index)
        measure_nearest(swarm, index)
        measure_conflicts(swarm, index, scratch)
        observe(swarm, index, neighbours, scratch)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                mark_struck(swarm, index, lane, fastest)
                for column in range(out.finals.shape[2]):
                    out.finals[k, (index - first) * LANES + lane, column] = scratch[column, lane]
    for index in range(first, last):
        block = view(blocks, index)
        for lane in range(LANES):
            if block[CRASHED, lane] > ZERO:
                respawn(swarm, index, lane, scratch)


@merged
def write_rewards(swarm, k, index, crashes, out):
    """Write a block's rewards, and which of its drones crashed."""
    block, start = view(swarm.blocks, index), (index - swarm.first) * LANES
    count = min(LANES, out.rewards.shape[1] - start)
    for lane in range(count):
        out.rewards[k, start + lane] = block[REWARD, lane]
    if crashes or not swarm.episode.clean:
        for lane in range(count):
            out.crashed[k, start + lane] = block[CRASHED, lane] > ZERO


@merged
def go_on(swarm, k, index, rings, crashes):
    """Turn drones that passed their rings to the next ones; distances are those to go on from."""
    block, episode = view(swarm.blocks, index), swarm.episode
    if episode.num_rings > 0:
        for lane in range(LANES):
            if block[RING_PASSED, lane] > ZERO:
                turn_to_next_ring(block, lane, rings[k], episode.num_rings, episode.num_lines)
    if episode.num_rings > 0 or crashes:  # new rings or new places
        measure_distances(swarm.blocks, index)
    for lane in range(LANES):
        block[PREVIOUS_DISTANCE, lane] = block[DISTANCE, lane]


@merged
def show(swarm, k, index, neighbours, scratch, observations):
    """Write what a block's drones observe."""
    start = (index - swarm.first) * LANES
    place = (k * observations.shape[1] + start) * observations.shape[2]
    write_observations(swarm, index, start, neighbours, scratch, observations, place)


@merged
def begin_episode(swarm, k, motion, neighbours, work, tiling, few, out):
    """Targets, distances and observations of swarm ``k`` right after a reset."""
    episode, scratch = swarm.episode, work.scratch
    update_waves(motion.frequencies[k], episode.step, work.waves)
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        if episode.num_lines > 0:
            move_along_course(
                swarm.blocks, index, motion.lines, k, episode.num_lines, work.waves, scratch
            )
        else:
            move_targets(swarm.blocks, index, work.waves)
        measure_distances(swarm.blocks, index)
        block = view(swarm.blocks, index)
        for lane in range(LANES):
            block[PREVIOUS_DISTANCE, lane] = block[DISTANCE, lane]
    formed = count_formed(swarm, scratch)
    episode.last_unformed = -1 if formed >= FORMED_SHARE * out.observations.shape[1] else 0
    find_nearest(swarm, neighbours, tiling, few, scratch, ZERO)
    for index in range(swarm.first, swarm.first + swarm.num_blocks):
        measure_nearest(swarm, index)
        measure_conflicts(swarm, index, scratch)
        show(swarm, k, index, neighbours, scratch, out.observations)


@jitted
def all_finite(values):
    """Whether no entry of a flat array is NaN or infinite."""
    bad = 0
    for i in range(len(values)):
        bad |= not (abs(values[i]) < np.inf)
    return bad == 0


@compiled(**OPTIONS)
def advance(blocks, settings, episodes, motion, neighbours, work, actions, out, begin, end, what):
    """Advance swarms ``begin`` to ``end`` by one control step, or begin their episodes.

    Eleven arguments, because every further tuple costs Python a microsecond per step.  This is the
    only entry, since every entry costs seconds of compilation.

    Args:
        blocks: (S * B, ROWS, LANES) float32; see ``layout.BLOCK_TABLE``.
        settings: (S,) records ``layout.SETTINGS``.
        episodes: (S,) records ``layout.EPISODE``.
        motion: a ``Motion``.
        neighbours: how many are observed.
        work: the calling thread's ``Workspace``.
        actions: (S * N * 4,) float32.
        out: ``Outputs``.
        begin, end: the range of swarms.
        what: the sum of ``CHECK`` (touch nothing unless all actions in the range are finite and all
            its swarms have been reset), ``BEGIN`` and ``STEP``.

    Returns:
        READY, NOT_FINITE or NOT_STARTED.
    """
    num_drones = out.observations.shape[1]
    if what & CHECK:
        if not all_finite(actions[4 * num_drones * begin : 4 * num_drones * end]):
            return NOT_FINITE
        for k in range(begin, end):
            if not episodes[k].started:
                return NOT_STARTED
    num_blocks = (num_drones + LANES - 1) // LANES
    mask = index_mask(num_blocks)
    for k in range(begin, end):
        swarm = Swarm(blocks, k * num_blocks, num_blocks, settings[k], episodes[k], mask)
        if what & BEGIN:
            begin_episode(swarm, k, motion, neighbours, work, work.tiling, work.few, out)
        if what & STEP:
            step_swarm(
                swarm, k, motion, neighbours, work, work.tiling, work.few, actions, out
            )  # fmt: skip
    return READY
