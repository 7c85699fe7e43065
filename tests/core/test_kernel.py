"""The compiled functions against plain NumPy and SciPy, over every lane and block."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.spatial import cKDTree

from drone_formation import RewardWeights, Swarms, kernel
from drone_formation.observation import (
    NEIGHBOUR_SCALE,
    OFFSET_SCALES,
    RATE_SCALE,
    VELOCITY_SCALE,
    observation_size,
    observation_table,
)
from drone_formation.tasks import TASKS


def placed(positions, neighbours=2, task="hover", **options):
    """Swarms of one whose drones stand at the given positions (N, 3), freshly observed."""
    swarms = Swarms(task, 1, len(positions), seed=0, neighbours=neighbours, **options)
    swarms.reset()
    put(swarms, kernel.POSITION, positions)
    put(swarms, kernel.BEFORE, positions)
    return swarms


def put(swarms, row, values):
    """Overwrite rows of a single swarm with values (N, k)."""
    for drone, value in enumerate(np.asarray(values, np.float32)):
        block, lane = divmod(drone, kernel.LANES)
        swarms._blocks[block, row : row + len(value), lane] = value


@njit
def find_nearest(blocks, neighbours, tiling, few, entry, settings, scratch, only_crashed):
    """The kernel's own functions can only be called by compiled ones."""
    mask = kernel.index_mask(len(blocks))
    kernel.find_nearest(
        blocks, 0, len(blocks), neighbours, mask, tiling, few, entry, settings, scratch,
        only_crashed,
    )  # fmt: skip
    return mask


def nearest_found(swarms, neighbours):
    swarms._table[0, kernel.VISITS] = 0
    scratch, _, tiling, few = swarms._workspaces[0]
    mask = find_nearest(
        swarms._blocks, neighbours, tiling, few, swarms._table[0], swarms._settings[0], scratch,
        kernel.ZERO,
    )  # fmt: skip
    keys = swarms._read(kernel.NEAR, neighbours)[0]
    names = keys.view(np.int32) & ~np.int32(mask)
    return np.where(keys < kernel.FAR, names, -1)


def nearest_by_hand(positions, neighbours):
    """Exact in float32, ties by index, -1 where there are no more."""
    p = np.asarray(positions, np.float32)
    gaps = p[:, None, :] - p[None, :, :]
    squared = (gaps.astype(float) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    order = np.argsort(squared, axis=1, kind="stable")[:, :neighbours]
    real = np.take_along_axis(squared, order, axis=1) < np.inf
    found = np.full((len(p), neighbours), -1)
    found[:, : order.shape[1]] = np.where(real, order, -1)
    return found, squared


def check_neighbours(positions, neighbours):
    found = nearest_found(placed(positions, neighbours), neighbours)
    expected, squared = nearest_by_hand(positions, neighbours)
    differs = np.argwhere(found != expected)
    for drone, slot in differs:  # only where float32 cannot tell two distances apart
        mine, theirs = squared[drone, found[drone, slot]], squared[drone, expected[drone, slot]]
        assert mine == pytest.approx(theirs, rel=3e-7, abs=1e-30), (drone, slot)
    for row in found:
        real = row[row >= 0]
        assert len(set(real)) == len(real)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.integers(1, 150), st.integers(150, 600)),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["wide", "clump", "lattice", "coincident", "line"]),
)  # fmt: skip
def test_neighbours_are_exact(num_drones, neighbours, seed, kind):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-9, 9, (num_drones, 3))
    if kind == "clump":
        positions *= 1e-3
    elif kind == "lattice":
        positions = rng.integers(-2, 3, (num_drones, 3)).astype(float)
    elif kind == "coincident":
        positions[:] = positions[0]
    elif kind == "line":
        positions[:, :2] = 0
    check_neighbours(positions, neighbours)


def test_ties_go_to_the_lower_index():
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], float)
    assert nearest_found(placed(positions, 4), 4)[0].tolist() == [1, 2, 3, 4]
    together = np.zeros((40, 3))
    assert nearest_found(placed(together, 3), 3)[17].tolist() == [0, 1, 2]
    assert nearest_found(placed(together, 3), 3)[1].tolist() == [0, 2, 3]


def test_neighbours_against_a_tree():
    positions = np.random.default_rng(5).uniform(-9, 9, (500, 3)).astype(np.float32)
    tree = cKDTree(positions)
    _, expected = tree.query(positions, 4)
    assert np.array_equal(nearest_found(placed(positions, 3), 3), expected[:, 1:])


def squash(v, scale):
    return v / (scale + np.linalg.norm(v, axis=-1, keepdims=True))


def rotation(q):
    w, x, y, z = np.moveaxis(q, -1, 0)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )


def meetings(swarms):
    """Each drone's two worst meetings ahead, (S, N, 2, 6), world frame, as documented.

    The direction in which the other passes and its squashed velocity, both times how bad it is.
    """
    position, velocity = swarms.position.astype(float), swarms.velocity.astype(float)
    offset = position[:, None] - position[:, :, None]
    drift = velocity[:, None] - velocity[:, :, None]
    closing, swept = -(offset * drift).sum(axis=-1), (drift * drift).sum(axis=-1)
    time = np.clip(closing / (swept + 1e-9), 0, 1.5)
    gap = np.linalg.norm(offset, axis=-1)
    time[gap < swarms.collision_distance] = 0
    miss = offset + time[..., None] * drift
    length = np.linalg.norm(miss, axis=-1)
    nearness = np.clip(3 - 2 * length / swarms.collision_distance, 0, 1)
    there = (
        swarms.active[:, None] & swarms.active[:, :, None] & ~np.eye(swarms.num_drones, dtype=bool)
    )
    conflict = nearness * (1 - time / 1.5) * there
    conflict[conflict < 0.01] = 0
    seen = np.concatenate(
        [miss / (length[..., None] + 1e-9), squash(drift, VELOCITY_SCALE)], axis=-1
    )
    worst = np.lexsort((gap, -conflict), axis=-1)[..., :2]
    if swarms.num_drones == 1:
        worst = np.repeat(worst, 2, axis=-1)
    pick = worst[..., None]
    return np.take_along_axis(conflict[..., None] * seen, pick, axis=2)


def observed_by_hand(swarms):
    """The observation, written anew from its table and the truth, in double precision."""
    position, velocity = swarms.position.astype(float), swarms.velocity.astype(float)
    into_body = np.swapaxes(rotation(swarms.attitude.astype(float)), -1, -2)

    def body(v):
        return np.einsum("...ij,...j->...i", into_body, v)

    offset = body(swarms.target_position - position)
    parts = [squash(offset, scale) for scale in OFFSET_SCALES]
    parts.append(squash(body(velocity - swarms.target_velocity), VELOCITY_SCALE))
    parts.append(squash(body(velocity), VELOCITY_SCALE))
    parts.append(squash(swarms.body_rates.astype(float), RATE_SCALE))
    parts.append(into_body[..., 2])
    hover, top = swarms.airframes[..., 13:14], swarms.airframes[..., 10:11]
    excess = swarms.rotor_speeds - hover
    parts.append(np.where(excess > 0, excess / (top - hover), excess / hover))
    for threat in np.moveaxis(meetings(swarms), 2, 0):
        parts += [body(threat[..., :3]), body(threat[..., 3:])]
    own = len(parts)
    for s in range(swarms.num_swarms):
        nearest, _ = nearest_by_hand(position[s], swarms.neighbours)
        for slot in range(swarms.neighbours):
            if s == 0:
                parts += [np.zeros_like(position), np.zeros_like(position)]
            other, there = nearest[:, slot], nearest[:, slot : slot + 1] >= 0
            to = np.einsum("nij,nj->ni", into_body[s], position[s, other] - position[s])
            gap = np.linalg.norm(to, axis=-1, keepdims=True)
            nearness = NEIGHBOUR_SCALE / (NEIGHBOUR_SCALE + gap) / np.maximum(gap, 1e-9)
            drift = np.einsum("nij,nj->ni", into_body[s], velocity[s, other] - velocity[s])
            parts[own + 2 * slot][s] = np.where(there, to * nearness, 0)
            parts[own + 1 + 2 * slot][s] = np.where(there, squash(drift, VELOCITY_SCALE), 0)
    return np.concatenate(parts, axis=-1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("num_drones", "neighbours"), [(1, 2), (5, 0), (37, 2), (64, 3), (20, 8)])
def test_observation_follows_its_table(task, num_drones, neighbours):
    swarms = Swarms(task, 2, num_drones, seed=1, neighbours=neighbours)
    swarms.reset()
    rng = np.random.default_rng(0)
    for step in range(40):
        if step % 10 == 0:
            expected = observed_by_hand(swarms)
            assert expected.shape[-1] == observation_size(neighbours)
            np.testing.assert_allclose(swarms.observations, expected, atol=2e-5)
        actions = rng.normal(0, 0.15, (2, num_drones, 4)).astype(np.float32)
        swarms.step(actions)
        assert np.abs(swarms.observations).max() <= 1


@pytest.mark.parametrize("num_drones", [1, 3, 37, 64, 200])
def test_of_several_that_touch_the_nearest_are_shown(num_drones):
    swarms = Swarms("flag", 1, num_drones, seed=3, neighbours=0)
    swarms.reset()
    rng = np.random.default_rng(num_drones)
    position, velocity = rng.normal(size=(2, 1, num_drones, 3))
    swarms.place(position=min(0.02 * num_drones, 1.5) * position, velocity=velocity)
    expected = meetings(swarms)
    columns = [part.columns for part in observation_table(0) if part.name.startswith("conflict")]
    seen = swarms.observations[..., columns[0].start : columns[-1].stop]
    np.testing.assert_allclose(seen, expected.reshape(1, num_drones, 12), atol=2e-5)
    assert num_drones == 1 or np.abs(expected).max() > 0.5


@pytest.mark.parametrize("num_drones", [2, 5, 16, 64, 128, 129, 300])
@pytest.mark.parametrize("speed", [0.0, 0.5, 12.0])
def test_threats_are_looked_for_among_all(num_drones, speed):
    """However far away and however many drones are nearer, in few blocks as in many tiles."""
    swarms = Swarms("flag", 2, num_drones, seed=3, neighbours=0)
    swarms.reset()
    rng = np.random.default_rng(num_drones)
    velocity = speed * rng.normal(size=(2, num_drones, 3))
    swarms.place(velocity=velocity)
    expected = meetings(swarms)
    columns = [part.columns for part in observation_table(0) if part.name.startswith("conflict")]
    seen = swarms.observations[..., columns[0].start : columns[-1].stop]
    into_body = np.swapaxes(rotation(swarms.attitude.astype(float)), -1, -2)
    body = np.einsum("snij,snkj->snki", into_body, expected.reshape(2, num_drones, 4, 3))
    np.testing.assert_allclose(seen, body.reshape(2, num_drones, 12), atol=2e-5)
    if speed == 0:
        assert not seen.any()
    if speed > 1 and num_drones >= 64:
        assert np.abs(seen).max() > 0.1


def test_the_table_has_no_gaps():
    for neighbours in range(9):
        end = 0
        for part in observation_table(neighbours):
            assert part.start == end
            end += part.size
        assert end == observation_size(neighbours)


def test_nothing_observed_is_constant():
    # So that a drone meets more than one other
    swarms = Swarms("flag", 1, 64, seed=0, collision_distance=3.0)
    seen = [swarms.reset().copy()]
    rng = np.random.default_rng(0)
    for _ in range(50):
        swarms.step(rng.uniform(-1, 1, (1, 64, 4)).astype(np.float32))
        seen.append(swarms.observations.copy())
    assert (np.std(np.concatenate(seen), axis=(0, 1)) > 1e-3).all()


@pytest.mark.parametrize("task", ["flag", "orbit", "race"])
def test_reward_is_the_sum_of_its_terms(task):
    w = RewardWeights(
        progress=0.7, approach=0.3, precision=0.2, ring=3, collision=1.5, conflict=0.4,
        smoothness=0.01, spin=0.002, crash=4,
    )  # fmt: skip
    swarms = Swarms(task, 2, 64, seed=4, reward=w, collision_distance=2.0, crash="terminate")
    swarms.reset()
    rng = np.random.default_rng(1)
    last_actions = np.zeros((2, 64, 4), np.float32)
    collided, grazed, crashed, stays = 0, 0, 0, task != "race"
    for _ in range(60):
        before, alive = swarms.distance.astype(float), swarms.active
        actions = rng.uniform(-1.3, 1.3, (2, 64, 4)).astype(np.float32)
        result = swarms.step(actions)
        clipped = np.clip(actions, -1, 1)
        distance = swarms._read(kernel.LAST_DISTANCE)[..., 0].astype(float)
        ring_passed = swarms._read(kernel.PASSED)[..., 0] > 0
        gaps = np.linalg.norm(swarms.position[:, None] - swarms.position[:, :, None], axis=-1)
        gaps[:, np.arange(64), np.arange(64)] = np.inf
        touch = np.clip((1.2 - gaps.min(axis=-1) / 2.0) / 0.2, swarms.colliding, 1)
        expected = (
            w.progress * (before - distance)
            + stays * w.approach / (1 + distance)
            + stays * w.precision * 0.1 / (0.1 + distance)
            - w.collision * touch
            - w.conflict * np.linalg.norm(meetings(swarms)[..., 0, :3], axis=-1)
            - w.smoothness * ((clipped - last_actions) ** 2).sum(axis=-1)
            - w.spin * (swarms.body_rates.astype(float) ** 2).sum(axis=-1)
        )
        # A drone that has just crashed for good is no longer where its neighbours still felt it.
        usual = alive & ~ring_passed & ~result.crashed.any(axis=1, keepdims=True)
        np.testing.assert_allclose(result.rewards[usual], expected[usual], atol=3e-4)
        assert (result.rewards[~alive] == 0).all()
        assert (result.rewards[result.crashed] < -w.crash + 2).all()
        collided += (swarms.colliding & usual).sum()
        grazed += ((touch > 0) & (touch < 1) & usual).sum()
        crashed += result.crashed.sum()
        last_actions = clipped
    assert collided > 0
    assert grazed > 0
    assert crashed > 0


def test_the_weights_of_the_reward_may_change_in_mid_flight():
    swarms, twin = (Swarms("flag", 1, 8, seed=0) for _ in range(2))
    swarms.reset()
    twin.reset()
    actions = np.full((1, 8, 4), 0.1, np.float32)
    rewards = swarms.step(actions).rewards.copy()
    assert (rewards == twin.step(actions).rewards).all()
    twin.reward_weights = RewardWeights(progress=50)
    assert (swarms.step(actions).rewards != twin.step(actions).rewards).all()
    assert (swarms.position == twin.position).all()
    with pytest.raises(TypeError, match=r"reward_weights must be RewardWeights or .* got None"):
        twin.reward_weights = None


def test_tasks_of_a_mixture_may_have_weights_of_their_own():
    reward = {"flag": RewardWeights(progress=50), "follow": RewardWeights(approach=7)}
    mixed = Swarms("mixed", 12, 8, seed=3, reward=reward)
    mixed.reset()
    state = mixed.get_state()
    actions = np.full((12, 8, 4), 0.1, np.float32)
    rewards = mixed.step(actions).rewards.copy()
    assert {"flag", "follow", "cube"} <= set(mixed.tasks)
    for task in set(mixed.tasks):
        alone = Swarms("mixed", 12, 8, seed=3, reward=reward.get(task))
        alone.reset()
        which = np.array(mixed.tasks) == task
        assert (alone.step(actions).rewards[which] == rewards[which]).all()
    mixed.reset()
    mixed.set_state(state)  # other tasks, and so other weights
    assert (mixed.step(actions).rewards == rewards).all()


@pytest.mark.parametrize(
    ("reward", "error", "words"),
    [
        ({"flug": RewardWeights()}, ValueError, "reward: a task must be one of .*'flug'"),
        ({"flag": 3.0}, TypeError, "reward of flag must be a RewardWeights"),
        (3.0, TypeError, "reward must be RewardWeights or a mapping"),
    ],
)
def test_weights_that_are_none_are_refused(reward, error, words):
    with pytest.raises(error, match=words):
        Swarms("mixed", reward=reward)


def test_collisions_are_judged_within_the_step():
    """Two drones that swap places in a step pass through each other: a collision for both."""
    swarms = placed(np.array([[0, 0, 0], [1.2, 0, 0], [0, 8, 0], [3, 8, 0]], float))
    put(swarms, kernel.VELOCITY, np.array([[24, 0, 0], [-24, 0, 0], [0, 0, 0], [0, 0, 0]], float))
    swarms.step(np.zeros((1, 4, 4), np.float32))
    assert np.linalg.norm(swarms.position[0, 0] - swarms.position[0, 1]) > 1.0
    assert swarms.colliding[0].tolist() == [True, True, False, False]
    assert swarms.metrics()["collisions"][0] > 0


def test_an_encounter_counts_once():
    swarms = placed(np.array([[0, 0, 0], [0.8, 0, 0]], float))
    for _ in range(10):
        swarms.step(np.zeros((1, 2, 4), np.float32))
    assert swarms._read(kernel.COLLISIONS)[0, :, 0].tolist() == [1, 1]
    assert swarms._read(kernel.COLLISION_STEPS)[0, :, 0].tolist() == [10, 10]


def test_a_crashing_drone_still_hits_the_one_beside_it():
    swarms = placed(np.array([[29.9, 0, 0], [29.9, 0.9, 0], [0, 0, 0]], float))
    put(swarms, kernel.VELOCITY, np.array([[20, 0, 0], [0, 0, 0], [0, 0, 0]], float))
    result = swarms.step(np.zeros((1, 3, 4), np.float32))
    assert result.crashed[0].tolist() == [True, False, False]
    assert swarms.colliding[0].tolist() == [True, True, False]
    (offset,) = (part for part in observation_table(2) if part.name == "neighbour_0_offset")
    final = swarms.final_observations[0, 0, offset.columns]
    # What it saw last: its neighbour close by, not the place of its respawn.
    assert np.linalg.norm(final) > NEIGHBOUR_SCALE / (NEIGHBOUR_SCALE + 2.0)


@pytest.mark.parametrize("row", [kernel.POSITION, kernel.VELOCITY, kernel.ATTITUDE, kernel.RATES,
                                 kernel.ROTORS])  # fmt: skip
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_a_blow_up_is_contained(row, value, crash):
    """One drone's broken numbers end in its own crash; nobody else's change."""
    swarms, twin = (Swarms("flag", 1, 40, seed=2, crash=crash, neighbours=0) for _ in range(2))
    swarms.reset()
    twin.reset()
    swarms._blocks[1, row, 3] = value  # drone 19
    for step in range(3):
        result = swarms.step(np.full((1, 40, 4), 0.01, np.float32))
        twin.step(np.full((1, 40, 4), 0.01, np.float32))
        assert np.isfinite(result.observations).all()
        assert np.isfinite(result.rewards).all()
        assert result.crashed[0].nonzero()[0].tolist() == ([19] if step == 0 else [])
        others = np.arange(40) != 19
        assert np.array_equal(swarms.position[0, others], twin.position[0, others])
        assert np.array_equal(swarms.observations[0, others], twin.observations[0, others])
    assert swarms.faults.sum() == 1
    assert np.isfinite(swarms.final_observations).all()


def test_respawns_are_clear_of_others_and_reproducible():
    def run(threads):
        swarms = Swarms("hover", 4, 64, seed=9, num_threads=threads)
        swarms.reset()
        rng = np.random.default_rng(0)
        for _ in range(80):
            result = swarms.step(rng.uniform(-1, 1, (4, 64, 4)).astype(np.float32))
            for s, i in np.argwhere(result.crashed):
                gaps = np.linalg.norm(swarms.position[s] - swarms.position[s, i], axis=1)
                gaps[i] = np.inf
                assert gaps.min() >= 1.5 - 1e-5
                np.testing.assert_array_equal(swarms.velocity[s, i], 0)
        assert swarms.metrics()["crashes"].sum() > 0
        return swarms.position

    assert np.array_equal(run(1), run(3))


def test_passing_a_ring_the_right_way():
    swarms = Swarms("race", 1, 8, seed=0, reward=RewardWeights(ring=10))
    swarms.reset()
    target, speed = swarms.target_position, swarms.target_velocity
    normal = speed / np.linalg.norm(speed, axis=-1, keepdims=True)
    offsets = np.array([0, 0, 0, 2.5, 0, 0, 0, 1.5])
    sideways = np.cross(normal[0], [0, 0, 1.0])
    sideways /= np.linalg.norm(sideways, axis=-1, keepdims=True)
    direction = np.array([1, -1, 1, 1, 1, 1, 1, 1])[:, None]
    start = target[0] - direction * normal[0] * 0.2 + sideways * offsets[:, None]
    ring = swarms.ring_index[0]
    put(swarms, kernel.POSITION, start)
    put(swarms, kernel.LAST_DISTANCE, np.linalg.norm(start - target[0], axis=1)[:, None])
    put(swarms, kernel.VELOCITY, direction * normal[0] * 8)
    result = swarms.step(np.zeros((1, 8, 4), np.float32))
    passed = swarms.ring_index[0] == (ring + 1) % len(swarms.rings())
    assert passed.tolist() == [True, False, True, False, True, True, True, True]
    assert (result.rewards[0, passed] > 3).all()
    assert (result.rewards[0, ~passed] < 3).all()


def test_keys_tell_the_index_and_sort_by_distance():
    mask_of = njit(lambda blocks: kernel.index_mask(blocks))
    assert mask_of(4) == -64
    assert mask_of(5) == -128


_THREE_WAYS = """
import numpy as np
from drone_formation import Swarms
for task, crash in (("flag", "respawn"), ("race", "terminate"), ("conga", "respawn")):
    swarms = Swarms(task, 2, 20, seed=3, crash=crash, neighbours=3)
    swarms.reset()
    rng = np.random.default_rng(0)
    for _ in range(12):
        swarms.step(rng.uniform(-1, 1, (2, 20, 4)).astype(np.float32))
    print(*np.round(swarms.observations.astype(float).sum(axis=(1, 2)), 2))
    print(*np.round(swarms.position.astype(float).sum(axis=(1, 2)), 2))
# Large enough for tiles: on the targets, where distances tie, and in flight, where drones meet
swarms = Swarms("flag", 1, 150, seed=3)
swarms.reset()
velocity = 4 * rng.normal(size=(1, 150, 3))
for options in ({"position": swarms.target_position}, {"velocity": velocity}):
    swarms.place(**options)
    swarms.step(np.zeros((1, 150, 4), np.float32))
    print(*np.round(swarms.observations.astype(float).sum(axis=(0, 2)), 2))
"""


@pytest.mark.parametrize("variable", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_the_kernel_three_ways(variable, tmp_path):
    """Compiled, compiled with bounds checks, and as plain Python: the same numbers."""
    outputs = []
    for extra in ({}, {variable: "1", "NUMBA_CACHE_DIR": str(tmp_path)}):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _THREE_WAYS],
            env={**os.environ, **extra},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-2000:]
        outputs.append(np.array(run.stdout.split(), float))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=0.05)
