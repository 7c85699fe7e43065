"""`drone-formation fly` on a desktop: real key strokes and mouse movements through an X server.

The window runs in a process of its own on a virtual screen. The test types and drags through the X
server's test extension, and looks at what is then on that screen.
"""

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no virtual X display installed"),
    pytest.mark.skipif(not ctypes.util.find_library("Xtst"), reason="no X test extension"),
]

SIZE = (640, 360)
LEFT, MIDDLE, RIGHT, UP = 1, 2, 3, 4  # mouse buttons; the wheel turned up is the fourth


class Desktop:
    """A virtual screen, with hands and an eye."""

    def __init__(self, folder: Path) -> None:
        read, write = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x360x24", "-fbdir", folder],
            pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as pipe:
            self.name = f":{pipe.readline().strip()}"
        self._memory = folder / "Xvfb_screen0"
        self._x11 = ctypes.CDLL(ctypes.util.find_library("X11"))
        self._test = ctypes.CDLL(ctypes.util.find_library("Xtst"))
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(self.name.encode()))
        assert self._display, "Xvfb did not start"

    def close(self) -> None:
        self._x11.XCloseDisplay(self._display)
        self._server.terminate()
        self._server.wait()

    def screen(self) -> np.ndarray:
        """What is shown now, (height, width, 3)."""
        raw = self._memory.read_bytes()
        header = np.frombuffer(raw, ">u4", 25)
        start, width, height, stride = header[0] + 12 * header[19], *header[[4, 5, 12]]
        rows = np.frombuffer(raw, np.uint8, height * stride, int(start)).reshape(height, stride)
        return rows[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1].astype(int)

    def move(self, x: int, y: int) -> None:
        self._test.XTestFakeMotionEvent(self._display, -1, x, y, ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def button(self, number: int, down: bool) -> None:
        self._test.XTestFakeButtonEvent(self._display, number, int(down), ctypes.c_ulong(0))
        self._x11.XFlush(self._display)

    def drag(self, button: int, start: tuple[int, int], end: tuple[int, int]) -> None:
        self.move(*start)
        self.button(button, True)
        for share in np.linspace(0.2, 1, 5):
            time.sleep(0.02)
            self.move(*(round(a + share * (b - a)) for a, b in zip(start, end, strict=True)))
        self.button(button, False)

    def press(self, key: str) -> None:
        symbol = {"Escape": 0xFF1B}.get(key) or ord(key)
        code = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(symbol))
        for down in (1, 0):
            self._test.XTestFakeKeyEvent(self._display, code, down, ctypes.c_ulong(0))
            self._x11.XFlush(self._display)
            time.sleep(0.02)


def wait_for(condition, what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.03)


@pytest.fixture
def desktop(tmp_path):
    folder = tmp_path / "screen"
    folder.mkdir()
    desktop = Desktop(folder)
    yield desktop
    desktop.close()


def test_flying_by_hand(desktop, tmp_path):
    folder = tmp_path / "shots"
    folder.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("SDL_VIDEODRIVER", "WAYLAND_DISPLAY")}
    env |= {"DISPLAY": desktop.name, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    argv = [sys.executable, "-m", "drone_formation", "fly", "flag", "--pilot", "classical"]
    window = subprocess.Popen(
        [*argv, "--num-drones", "9", "--size", "640x360", "--camera", "front"],
        env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        _drive(desktop, folder)
        desktop.press("Escape")
        output, _ = window.communicate(timeout=20)
        assert window.returncode == 0, output
        assert "Traceback" not in output
    finally:
        if window.poll() is None:
            window.kill()
            window.wait()


def _drive(desktop: Desktop, folder: Path) -> None:
    middle, title = (slice(100, 260), slice(200, 440)), (slice(8, 40), slice(10, 90))

    def changed(before: np.ndarray, part=middle) -> float:
        """Share of pixels of a part of the screen that differ now."""
        difference = np.abs(desktop.screen()[part] - before[part]).max(axis=-1)
        return float((difference > 12).mean())

    wait_for(lambda: desktop.screen().mean() > 5, "a picture", 90)
    desktop.move(320, 180)
    desktop.press(" ")  # from here on, only what the hands do changes the picture
    time.sleep(0.5)
    still = desktop.screen()
    time.sleep(0.5)
    assert changed(still) == 0

    desktop.press("h")
    wait_for(lambda: changed(still) > 0.5, "help")
    desktop.press("h")
    wait_for(lambda: changed(still) == 0, "help is gone")

    for what, act in (
        ("orbit", lambda: desktop.drag(LEFT, (300, 180), (420, 200))),
        ("pan", lambda: desktop.drag(RIGHT, (300, 180), (380, 140))),
        ("zoom", lambda: (desktop.button(UP, True), desktop.button(UP, False))),
        ("top view", lambda: desktop.press("t")),
        ("front view", lambda: desktop.press("f")),
    ):
        before = desktop.screen()
        act()
        wait_for(lambda before=before: changed(before) > 0.003, what)
        time.sleep(0.2)
    assert changed(still) == 0  # back where we were

    desktop.press("p")
    wait_for(lambda: (folder / "drone_formation_001.png").exists(), "a picture on the disk")

    before = desktop.screen()
    desktop.press("3")  # the cube, although paused
    wait_for(lambda: changed(before, title) > 0.02, "the name of the other task")
    before = desktop.screen()
    desktop.press(" ")
    wait_for(lambda: changed(before) > 0.001, "the flight goes on")
