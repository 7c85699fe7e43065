"""`drone-formation record`: size and frame rate as asked for, and a bar that shows progress."""

import io
import sys

import pytest

from drone_formation.cli import main

from .conftest import read_film

FLIGHT = ["record", "flag", "--pilot", "hover", "--num-drones", "3", "--steps", "20"]
pytestmark = pytest.mark.usefixtures("headless")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("fps", "frames"), [("10", 11), ("20", 21), ("60", 61)])
def test_size_and_frame_rate(tmp_path, fps, frames):
    film = tmp_path / "film.mp4"
    assert main([*FLIGHT, "--size", "192x108", "--fps", fps, "--out", str(film)]) == 0
    assert len(read_film(film, (192, 108))) == frames  # one second, both ends included
    seconds = pytest.importorskip("imageio_ffmpeg").count_frames_and_secs(str(film))[1]
    assert seconds == pytest.approx(frames / float(fps), abs=0.02)


def test_between_steps_motion_is_smooth(tmp_path):
    """At three pictures per step none is the same as the one before."""
    shots = tmp_path / "shots"
    argv = [*FLIGHT, "--pilot", "classical", "--size", "320x180"]
    assert main([*argv, "--fps", "60", "--out", str(shots)]) == 0
    files = sorted(shots.iterdir())
    assert len(files) == 61
    assert len({file.read_bytes() for file in files[20:]}) == 41


def test_a_bar_shows_the_progress_on_a_terminal_only(tmp_path, monkeypatch):
    argv = [*FLIGHT, "--size", "64x36", "--fps", "10"]
    for terminal in (Terminal(), io.StringIO()):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            assert main([*argv, "--force", "--out", str(tmp_path / "film.gif")]) == 0
        shown = terminal.getvalue()
        assert ("11/11" in shown) == terminal.isatty()
