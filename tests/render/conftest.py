"""Snapshots to draw, and the promise that drawing opens no display."""

import os
import re
import subprocess

import numpy as np
import pytest

pygame = pytest.importorskip("pygame")

from drone_formation.render import Snapshot  # noqa: E402

RED, WHITE, BLUE = (230, 30, 45), (245, 245, 255), (40, 80, 235)


def flag(**changes) -> Snapshot:
    """The 8 x 8 flag in the plane x = 0, its first drone at y = -7, z = 5."""
    row, column = np.divmod(np.arange(64), 8)
    points = np.stack([0.0 * row, -7 + 2.0 * column, 5 - 1.5 * row], axis=1)
    canton = (row < 4) & (column < 4)
    colours = np.where((row % 2 == 0)[:, None], RED, WHITE)
    colours[canton] = BLUE
    values = {"positions": points, "colours": colours, "targets": points, "time": 1.0}
    return Snapshot(**(values | {"task": "flag"} | changes))


def flying(time: float, n: int = 12) -> Snapshot:
    """Drones going round in a circle, tilted."""
    angle = np.arange(n) / n * 2 * np.pi + time
    points = np.stack([6 * np.cos(angle), 6 * np.sin(angle), np.sin(3 * angle)], axis=1)
    attitudes = np.stack([np.ones(n), 0.3 * np.sin(angle), 0 * angle, 0.5 * angle], axis=1)
    return Snapshot(points, attitudes, targets=points + 0.3, time=time, task="ring")


def read_film(path, size: tuple[int, int]) -> np.ndarray:
    """(frames, height, width, 3): what a player would show."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    version = int(re.search(r"\d+", ffmpeg.get_ffmpeg_version()).group())
    keep = "-vsync" if version < 6 else "-fps_mode"  # renamed in 5.1, the old name gone since 9
    command = [ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), keep, "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


@pytest.fixture
def headless(monkeypatch):
    """No display before, and none after."""
    pygame.display.quit()
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    yield
    assert not pygame.display.get_init(), "drawing off screen opened a display"


@pytest.fixture
def dummy_display(monkeypatch):
    """A display that exists only in memory."""
    pygame.display.quit()
    monkeypatch.setitem(os.environ, "SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()
