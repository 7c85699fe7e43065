"""Every id draws: no display, no window, the same state in the same pixels, to a video too."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import drone_formation  # noqa: F401  registers the ids
from drone_formation.tasks import TASKS

from .conftest import read_film

IDS = [task.id for task in TASKS.values()]
N = 5


def make(name: str, **options):
    return gymnasium.make(name, num_drones=N, render_mode="rgb_array", **options)


def fly(env, steps: int, seed: int = 3) -> list[np.ndarray]:
    env.reset(seed=seed)
    env.action_space.seed(seed)
    frames = [env.render()]
    for _ in range(steps):
        env.step(env.action_space.sample())
        frames.append(env.render())
    return frames


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize("name", IDS)
def test_same_state_same_pixels(name):
    env, twin = make(name), make(name)
    frames = fly(env, 2)
    assert frames[0].shape == (720, 1280, 3)
    assert (frames[0] != frames[2]).any()
    # Side by side with another environment, and after close().
    for frame, expected in zip(fly(twin, 2), frames, strict=True):
        np.testing.assert_array_equal(frame, expected)
    env.close()
    for frame, expected in zip(fly(env, 2), frames, strict=True):
        np.testing.assert_array_equal(frame, expected)
    # A state gone back to looks as it did.
    swarms = twin.unwrapped.swarms
    state = swarms.get_state()
    before = twin.render()
    twin.step(twin.action_space.sample())
    twin.render()
    swarms.set_state(state)
    np.testing.assert_array_equal(twin.render(), before)
    env.close()
    twin.close()


@pytest.mark.parametrize("driver", [None, "dummy"])
def test_every_id_without_a_display(driver):
    """In a fresh process without a display; the pictures do not depend on SDL's driver."""
    code = """
import hashlib, sys
import gymnasium, drone_formation
from drone_formation.tasks import TASKS
for task in TASKS.values():
    env = gymnasium.make(task.id, num_drones=5, render_mode="rgb_array")
    env.reset(seed=3)
    print(task.id, hashlib.sha256(env.render().tobytes()).hexdigest())
    env.close()
import pygame
assert not pygame.display.get_init()
"""
    hidden = ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY")
    env = {k: v for k, v in os.environ.items() if k not in hidden}
    env |= {"PYGAME_HIDE_SUPPORT_PROMPT": "1"} | ({"SDL_VIDEODRIVER": driver} if driver else {})
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, env=env, capture_output=True, text=True
    )
    import hashlib

    expected = []
    for name in IDS:
        here = make(name)
        here.reset(seed=3)
        expected.append(f"{name} {hashlib.sha256(here.render().tobytes()).hexdigest()}")
        here.close()
    assert done.stdout.splitlines() == expected


@pytest.mark.usefixtures("headless")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:moviepy")
@pytest.mark.parametrize("name", IDS)
def test_record_video(name, tmp_path, monkeypatch):
    """Gymnasium's own wrapper films every id."""
    # Small pictures: the encoder's time is not what is tested.
    from drone_formation.render import Renderer

    painter = "drone_formation.envs._rendering.Painter"
    monkeypatch.setattr(f"{painter}._open", lambda _: Renderer((96, 64)))
    env = gymnasium.wrappers.RecordVideo(
        make(name, max_steps=3), str(tmp_path / "films"), episode_trigger=lambda episode: True
    )
    fly_through(env, episodes=2)
    env.close()
    films = sorted((tmp_path / "films").iterdir())
    assert [film.name for film in films] == [f"rl-video-episode-{k}.mp4" for k in (0, 1)]
    frames = read_film(films[0], (96, 64))
    assert len(frames) == 4
    assert frames.mean() > 3


def fly_through(env, episodes: int) -> None:
    for episode in range(episodes):
        env.reset(seed=episode)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
