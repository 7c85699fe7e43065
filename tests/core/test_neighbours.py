"""The nearest drones, found exactly: against NumPy and SciPy, over every lane and block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.spatial import cKDTree

from drone_formation import Swarms
from drone_formation.sim import layout, neighbours

from .helpers import nearest_by_hand, placed


@njit
def search(world, wanted, work):
    """Functions of the simulator can only be called by compiled ones."""
    num_blocks = len(world.blocks)
    mask = neighbours.index_mask(num_blocks)
    swarm = layout.Swarm(
        world.blocks, 0, num_blocks, world.settings[0], world.episodes[0], mask
    )  # fmt: skip
    neighbours.find_nearest(swarm, wanted, work.tiling, work.few, work.scratch)
    return mask


def nearest_found(swarms: Swarms, wanted: int) -> np.ndarray:
    batch = swarms._batch
    batch.episodes["visits"] = 0
    mask = search(batch.world, wanted, batch._workspaces[0])
    keys = batch.read(layout.NEAREST_KEYS, wanted)[0]
    labels = keys.view(np.int32) & ~np.int32(mask)
    return np.where(keys < layout.FAR, labels, -1)


def check_neighbours(positions: np.ndarray, wanted: int) -> None:
    found = nearest_found(placed(positions, wanted), wanted)
    expected, squared = nearest_by_hand(positions, wanted)
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
def test_neighbours_are_exact(num_drones, wanted, seed, kind):
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
    check_neighbours(positions, wanted)


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


def test_keys_leave_as_many_bits_as_indices_need():
    mask_of = njit(lambda blocks: neighbours.index_mask(blocks))
    assert [mask_of(blocks) for blocks in (1, 4, 5)] == [-16, -64, -128]
