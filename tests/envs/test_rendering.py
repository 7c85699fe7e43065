"""Pictures from every view; windows without a display."""

from __future__ import annotations

import copy
import pickle

import gymnasium
import numpy as np
import pytest

pytest.importorskip("pygame")

import drone_formation
from drone_formation.envs._rendering import snapshot

from .helpers import NAMES, rows_env

N = 4


def is_picture(frame: object) -> bool:
    return isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.shape[2:] == (3,)


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("crash", ["respawn", "terminate"])
def test_snapshot_shows_the_ground_truth(task: str, crash: str) -> None:
    env = drone_formation.VectorEnv(task, 2, num_drones=N, crash=crash)
    env.reset(seed=0)
    actions = np.zeros((2, N, 4), np.float32)
    actions[:, 0] = 1
    for _ in range(60):
        env.step(actions)
    swarms = env.swarms
    shown = snapshot(swarms, 1)
    here = swarms.active[1]
    assert here.all() == (crash == "respawn")
    np.testing.assert_array_equal(shown.active, here)
    np.testing.assert_array_equal(shown.positions[here], swarms.position[1, here])
    np.testing.assert_array_equal(shown.colours, swarms.colours[1])
    np.testing.assert_array_equal(shown.targets[here], swarms.target_position[1, here])
    assert np.isfinite(shown.targets).all()
    assert shown.task == swarms.tasks[1]
    assert shown.time == pytest.approx(3.0)
    assert (shown.rings is not None) == (len(swarms.rings(1)) > 0)


def test_pictures() -> None:
    joint = gymnasium.make("DroneFlag-v0", num_drones=N, render_mode="rgb_array")
    parallel = drone_formation.parallel_env("flag", num_drones=N, render_mode="rgb_array")
    vector = drone_formation.VectorEnv("flag", 2, num_drones=N, render_mode="rgb_array")
    for env in (joint, parallel, vector):
        with pytest.raises(RuntimeError, match=r"call reset\(\) before render|before `env.reset"):
            env.unwrapped.render()
        env.reset(seed=0)
    assert is_picture(joint.render())
    assert np.array_equal(joint.render(), parallel.render())
    frames = vector.render()
    assert len(frames) == 2
    assert all(map(is_picture, frames))
    assert np.array_equal(frames[0], joint.render())
    assert not np.array_equal(*frames)
    # What was drawn with can neither be copied nor pickled, and need not be.
    for env in (parallel, vector, joint.unwrapped):
        twins = (copy.deepcopy(env), pickle.loads(pickle.dumps(env)))
        for twin in twins:
            twin.reset(seed=0)
            twin.render()
        env.close()
        env.close()
        assert env.render() is not None  # opens anew


def test_no_picture_before_the_first_reset_and_one_when_all_are_gone() -> None:
    env = drone_formation.JointEnv("flag", num_drones=2, crash="terminate", render_mode="rgb_array")
    with pytest.raises(RuntimeError, match=r"call reset\(\) before render"):
        env.render()
    env.reset(seed=0)
    terminated = False
    while not terminated:
        terminated = env.step(np.ones((2, 4), np.float32))[2]
        assert is_picture(env.render())
    assert not env.swarms.active.any()


def test_rows() -> None:
    env = rows_env("flag", 2, num_drones=N, render_mode="rgb_array")
    env.reset()
    assert is_picture(env.render())
    assert is_picture(env.get_images()[0])
    with pytest.warns(UserWarning, match="nothing is drawn"):
        assert env.render("human") is None
    env.close()
    quiet = rows_env("flag", 2, num_drones=N)
    quiet.reset()
    with pytest.warns(UserWarning, match="nothing is drawn"):
        assert quiet.render() is None


def test_windows_follow_by_themselves() -> None:
    for make in (drone_formation.parallel_env, drone_formation.JointEnv, drone_formation.VectorEnv):
        env = make("flag", num_drones=N, render_mode="human")
        env.reset(seed=0)
        canvas = env._painter._canvases[0]
        assert env.render() is None
        if make is drone_formation.parallel_env:
            env.step(dict.fromkeys(env.agents, np.zeros(4, np.float32)))
        else:
            env.step(np.zeros(env.action_space.shape, np.float32))
        assert canvas._snapshot.time == pytest.approx(0.05)
        env.close()
        env.close()


def test_without_a_render_mode() -> None:
    for make in (drone_formation.parallel_env, drone_formation.JointEnv, drone_formation.VectorEnv):
        env = make("flag", num_drones=N)
        env.reset()
        with pytest.warns(UserWarning, match="without a render mode"):
            assert env.render() is None
