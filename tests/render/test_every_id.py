"""Every id draws: no display, no window, the same state in the same pixels, to a video too."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from drone_formation import Swarms
from drone_formation.render import PRESETS, Renderer, snapshot_of
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
@pytest.mark.parametrize("drones", [64, 256])
def test_the_flag_in_the_air_reads_from_the_front(drones):
    """The task's own flag, flown to its end: canton at the top left, first stripe red."""
    swarms = Swarms("flag", 1, drones, seed=0)
    swarms.reset()
    swarms.place(swarms.target_position)
    seen = snapshot_of(swarms)
    frame = Renderer((1280, 720), "front", show_targets=False, hud=False).frame(seen)
    pixels, _ = PRESETS["front"](seen, (1280, 720)).project(seen.positions, (1280, 720))
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    share = (pixels - low) / (high - low)  # (0, 0): the top left corner of the flag
    x, y = np.rint(pixels).astype(int).T
    light = np.array(
        [frame[v - 2 : v + 3, u - 2 : u + 3].mean(axis=(0, 1)) for u, v in zip(x, y, strict=True)]
    )
    red, _, blue = light.T
    canton = (share < 0.45).all(axis=1)
    assert (blue[canton] > 1.3 * red[canton]).all()
    first = (share[:, 1] < 0.02) & (share[:, 0] > 0.55)
    assert first.sum() >= 4
    assert (red[first] > 1.3 * blue[first]).all()
    assert light[~canton & (light.min(axis=1) > 150)].shape[0] > drones / 5  # white stripes


@pytest.mark.usefixtures("headless")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:moviepy")
@pytest.mark.parametrize("name", IDS)
def test_record_video(name, tmp_path, monkeypatch):
    """Gymnasium's own wrapper films every id."""
    # Small pictures: the encoder's time is not what is tested.
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
