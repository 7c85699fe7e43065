"""A quadrotor's symmetries: a swarm's images fly as it does, which trained pilots rely on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from drone_formation import Airframe, Swarms
from drone_formation.control import CONTROL_MODES
from drone_formation.observation import Slice, observation_table, symmetries

#: Yaw by drag and by rotors that accelerate, far beyond the default: it tells their spins apart.
AIRFRAME = Airframe(torque_ratio=0.02, rotor_inertia=1e-4, angular_damping=0.02)
N = 12
#: How many numbers a slice of each kind has.
SIZES = {"polar": 3, "axial": 3, "scalar": 2, "rotors": 4}


def as_matrix(quaternions):
    return Rotation.from_quat(np.roll(quaternions[0], -1, axis=1)).as_matrix()


def seen_in(axes, quaternion):
    """The quaternion of a body that a half turn about z, or a reflection, has made of another."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    axis = np.stack([x, y, z], axis=-1) @ axes * np.linalg.det(axes)
    return np.concatenate([w[..., None], axis], axis=-1)


def swarm(points, control):
    swarms = Swarms(
        "formation", 1, points=points, neighbours=3, airframe=AIRFRAME, seed=0, control=control
    )
    swarms.reset()
    return swarms


@pytest.mark.parametrize("control", CONTROL_MODES)
@pytest.mark.parametrize("image", [0, 1, 2, 3])
def test_a_swarm_and_its_image_stay_images(image, control):
    observation, action = symmetries(3, control=control)[image]
    rotors = symmetries(3)[image][1]
    axes = observation[:3, :3].astype(float)
    rng = np.random.default_rng(image)
    points = rng.permutation(np.stack(np.meshgrid([-3, 0, 3], [-4, 0], [-2, 2]), -1).reshape(-1, 3))
    here, there = swarm(points, control), swarm(points @ axes, control)
    np.testing.assert_allclose(there.target_position, here.target_position @ axes, atol=1e-5)
    attitude = rng.normal([2, 0, 0, 0], 1, (1, N, 4))
    attitude /= np.linalg.norm(attitude, axis=2, keepdims=True)
    state = {
        "position": rng.uniform(-2.5, 2.5, (1, N, 3)),  # some collide, many are in conflict
        "velocity": rng.normal(size=(1, N, 3)),
        "attitude": attitude,
        "body_rates": rng.normal(size=(1, N, 3)),
        "rotor_speeds": rng.uniform(100, 500, (1, N, 4)),
    }
    sense = np.linalg.det(axes)
    mirrored = {
        "position": state["position"] @ axes,
        "velocity": state["velocity"] @ axes,
        "attitude": seen_in(axes, attitude),
        "body_rates": sense * state["body_rates"] @ axes,
        "rotor_speeds": state["rotor_speeds"] @ rotors,
    }
    turned = axes @ as_matrix(attitude) @ axes  # the world is reflected, and so is the body
    np.testing.assert_allclose(as_matrix(mirrored["attitude"]), turned, atol=1e-12)

    np.testing.assert_allclose(
        there.place(**mirrored), here.place(**state) @ observation, atol=1e-4
    )
    assert np.abs(here.observations @ observation - here.observations).max() > 0.1 or image == 0
    worst = next(row.columns for row in observation_table(3) if row.name == "conflict_0")
    collided = conflicts = 0
    for _ in range(10):
        actions = rng.uniform(-1, 1, (1, N, 4)).astype(np.float32)
        seen, reward, *_ = here.step(actions)
        seen_there, reward_there, *_ = there.step(actions @ action)
        np.testing.assert_allclose(seen_there, seen @ observation, atol=2e-3)
        np.testing.assert_allclose(reward_there, reward, atol=1e-3)
        np.testing.assert_allclose(there.position, here.position @ axes, atol=1e-4)
        collided += (reward < -0.5).sum()
        conflicts += (np.abs(seen[..., worst]) > 0.1).any(axis=2).sum()
    assert collided
    assert conflicts


@pytest.mark.parametrize("control", CONTROL_MODES)
@pytest.mark.parametrize("neighbours", [0, 2, 8])
def test_images_are_permutations_with_signs_and_their_own_inverses(neighbours, control):
    extra = [Slice(kind, 0, size, kind, "") for kind, size in SIZES.items()]
    images = symmetries(neighbours, extra, control)
    for matrices in zip(*images, strict=True):
        np.testing.assert_array_equal(matrices[0], np.eye(len(matrices[0])))
        for matrix in matrices:
            np.testing.assert_array_equal(np.abs(matrix).sum(axis=0), 1)
            np.testing.assert_array_equal(matrix @ matrix, matrices[0])
        # One after the other they are each other's: a group.
        np.testing.assert_array_equal(matrices[1] @ matrices[2], matrices[3])
