import itertools
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pygame
import pytest

from drone_formation.render import Camera, Window

from .conftest import flag, flying, read_film

SIZE = (640, 360)


@pytest.fixture
def window(dummy_display, tmp_path):
    with Window(SIZE, tasks=("sphere", "cube", "flag"), realtime=False, folder=tmp_path) as window:
        window.show(flag())
        yield window


def press(*keys, mod=0, unicode=""):
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod, unicode=unicode))


def drag(rel, button, pos=(300, 200)):
    buttons = tuple(int(button == k) for k in (1, 2, 3))
    down, up = pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP
    end = (pos[0] + rel[0], pos[1] + rel[1])
    pygame.event.post(pygame.event.Event(down, button=button, pos=pos))
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, rel=rel, pos=end, buttons=buttons))
    pygame.event.post(pygame.event.Event(up, button=button, pos=end))


def click(pos):
    pos = tuple(int(c) for c in pos)
    for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
        pygame.event.post(pygame.event.Event(kind, button=1, pos=pos))


def screen():
    return pygame.surfarray.array3d(pygame.display.get_surface()).astype(int)


def camera(window, snapshot=None) -> Camera:
    return window.renderer.camera(snapshot or flag(), SIZE)


def test_the_picture_reaches_the_screen(window):
    assert window.show(flag()).closed is False
    assert pygame.display.get_surface().get_size() == SIZE
    expected = pygame.surfarray.array3d(window.renderer.draw(flag()))
    np.testing.assert_array_equal(screen()[:, 60:250], expected[:, 60:250])


def test_dragging_orbits(window):
    before, picture = camera(window), screen()
    drag((50, 20), button=1)
    window.show(flag())
    after = camera(window)
    assert after.azimuth == pytest.approx(before.azimuth - 0.3)
    assert after.elevation == pytest.approx(before.elevation + 0.12)
    assert after.distance == pytest.approx(before.distance)
    assert after.target == before.target
    assert (screen() != picture).any()


def test_the_wheel_zooms(window):
    before = camera(window)
    pygame.event.post(pygame.event.Event(pygame.MOUSEWHEEL, x=0, y=2, flipped=False))
    window.show(flag())
    assert camera(window).distance == pytest.approx(before.distance / 1.12**2)


@pytest.mark.parametrize("button", [2, 3])
def test_the_other_buttons_pan(window, button):
    before = camera(window)
    point = np.array([before.target])
    drag((40, -30), button=button)
    window.show(flag())
    pixels, _ = camera(window).project(point, SIZE)
    np.testing.assert_allclose(pixels, [[320 + 40, 180 - 30]], atol=0.01)  # it follows the hand


def test_the_eye_stays_above_the_ground(window):
    drag((0, -2000), button=1)
    window.show(flag())
    assert camera(window).eye[2] > -10


def test_view_keys(window):
    pictures = []
    for key in (pygame.K_f, pygame.K_t, pygame.K_c, pygame.K_a):
        press(key)
        window.show(flag(time=20.0))
        pictures.append(screen())
    assert camera(window).elevation < 0.5
    for a, b in itertools.pairwise(pictures):
        assert (a != b).mean() > 0.1


def test_clicking_a_drone_follows_it(window):
    pixels, _ = camera(window).project(flag().positions, SIZE)
    click(pixels[42])
    window.show(flag())
    assert window.following == 42
    moved = flag(positions=flag().positions + np.array([1.0, 2.0, 0.5]))
    np.testing.assert_allclose(camera(window, moved).target, moved.positions[42])
    drag((30, 0), button=1)  # turning keeps it in the middle
    window.show(flag())
    np.testing.assert_allclose(camera(window, moved).target, moved.positions[42])
    click((5, 355))  # on nothing: nothing changes
    window.show(flag())
    assert window.following == 42
    press(pygame.K_f)
    window.show(flag())
    assert window.following is None


def test_tab_goes_through_the_drones_that_are_there(window):
    active = np.ones(64, bool)
    active[[0, 2]] = False
    snapshot = flag(active=active)
    seen = []
    for mod in (0, 0, pygame.KMOD_LSHIFT, pygame.KMOD_LSHIFT):
        press(pygame.K_TAB, mod=mod)
        window.show(snapshot)
        seen.append(window.following)
    assert seen == [1, 3, 1, 63]


def test_the_camera_stays_where_a_followed_drone_went(window):
    pixels, _ = camera(window).project(flag().positions, SIZE)
    click(pixels[42])
    window.show(flag())
    active = np.ones(64, bool)
    active[42] = False
    positions = np.where(active[:, None], flag().positions, np.nan)
    left = flag(positions=positions, active=active)
    window.show(left)
    np.testing.assert_allclose(camera(window, left).target, flag().positions[42])


def test_pause_and_step(window):
    press(pygame.K_SPACE)
    controls = window.show(flag())
    assert controls.paused
    assert not controls.advance
    press(pygame.K_n)
    controls = window.show(flag())
    assert controls.step_once
    assert controls.advance
    assert not window.show(flag()).advance
    press(pygame.K_SPACE)
    assert window.show(flag()).advance


def test_hold_waits_until_the_flight_may_go_on(window):
    press(pygame.K_SPACE, pygame.K_SPACE, pygame.K_SPACE)
    window.show(flag())
    press(pygame.K_n)
    controls = window.show(flag(), hold=True)  # would wait for ever without the key
    assert controls.advance
    press(pygame.K_2)
    assert window.show(flag(), hold=True).task_request == "cube"


def test_speed(window):
    press(pygame.K_MINUS, pygame.K_MINUS)
    assert window.show(flag()).speed == 0.25
    press(*[pygame.K_PLUS] * 9)
    assert window.show(flag()).speed == 8
    press(*[pygame.K_MINUS] * 9)
    assert window.show(flag()).speed == 0.125


def test_switches(window):
    renderer = window.renderer
    for key, name in (
        (pygame.K_x, "trails"),
        (pygame.K_g, "show_targets"),
        (pygame.K_l, "labels"),
        (pygame.K_u, "hud"),
    ):
        before, picture = getattr(renderer, name), screen()
        press(key)
        window.show(flag())
        assert bool(getattr(renderer, name)) is not bool(before)
        if name == "trails":  # they need a flight
            picture = screen()
            window.show(flag(time=1.1, positions=flag().positions + np.array([0, 1.0, 0])))
        assert (screen() != picture).any(), name
        press(key)
        window.show(flag())
        assert getattr(renderer, name) == before


def test_the_status_line(window):
    for k in range(3):
        window.show(flying(0.1 * k))
    assert [line.split()[1] for line in window._status()] == ["frames/s"]
    assert float(window._status()[0].split()[0]) > 0
    bottom = screen()[:, -40:]
    press(pygame.K_SPACE, pygame.K_PLUS, pygame.K_TAB)
    window.show(flying(0.3))
    assert window._status()[1:] == ["speed x 2", "following drone 0", "paused"]
    assert (screen()[:, -40:] != bottom).any()


def test_help_covers_the_middle(window):
    picture = screen()
    press(pygame.K_h)
    window.show(flag())
    assert (screen()[250:400, 50:300] != picture[250:400, 50:300]).any(axis=-1).mean() > 0.5
    press(pygame.K_h)
    window.show(flag())
    assert not window.help


def test_task_keys(window):
    assert window.show(flag()).task_request is None
    press(pygame.K_3)
    assert window.show(flag()).task_request == "flag"
    assert window.show(flag()).task_request is None  # once
    press(pygame.K_9)
    assert window.show(flag()).task_request is None  # there is no ninth task
    press(pygame.K_AMPERSAND, unicode="1")  # a keyboard with shifted digits
    assert window.show(flag()).task_request == "sphere"


def test_pictures_never_overwrite(window, tmp_path):
    for _ in range(2):
        press(pygame.K_p)
        window.show(flag())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["drone_formation_001.png", "drone_formation_002.png"]
    saved = pygame.image.load(tmp_path / names[0])
    assert saved.get_size() == SIZE


def test_recording(window, tmp_path):
    (tmp_path / "drone_formation_001.mp4").write_bytes(b"precious")
    window.show(flying(0.0))
    window.show(flying(0.1))
    press(pygame.K_r)
    for k in range(5):
        window.show(flying(0.2 + 0.1 * k))
    assert window.recording is not None
    press(pygame.K_r)
    window.show(flying(1.0))
    assert window.recording is None
    assert (tmp_path / "drone_formation_001.mp4").read_bytes() == b"precious"
    film = tmp_path / "drone_formation_002.mp4"
    assert len(read_film(film, SIZE)) == 5
    count = pytest.importorskip("imageio_ffmpeg").count_frames_and_secs
    assert count(str(film))[1] == pytest.approx(0.5)  # s: 10 snapshots per second


def test_closing_finishes_the_recording(window, tmp_path):
    press(pygame.K_r)
    window.show(flying(0.0))
    window.show(flying(0.1))
    window.close()
    assert [path.name for path in tmp_path.iterdir()] == ["drone_formation_001.mp4"]


@pytest.mark.parametrize("how", ["cross", "escape", "q"])
def test_closing_ends_cleanly(window, how):
    if how == "cross":
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    else:
        press(pygame.K_ESCAPE if how == "escape" else pygame.K_q)
    assert window.show(flag()).closed
    assert not pygame.display.get_init()
    controls = window.show(flag())  # harmless
    assert controls.closed
    assert not controls.advance
    window.close()


def test_resizing(window):
    pygame.event.post(pygame.event.Event(pygame.VIDEORESIZE, w=500, h=300, size=(500, 300)))
    window.show(flag())
    assert window.renderer.size == (500, 300)


def test_only_one_window(window):
    with pytest.raises(RuntimeError, match="window"):
        Window(SIZE).show(flag())


def test_plays_in_real_time(dummy_display):
    with Window((160, 90)) as window:
        window.show(flying(0.0))
        start = time.perf_counter()
        for k in range(1, 5):
            window.show(flying(0.05 * k))
        taken = time.perf_counter() - start
        window.speed = 8.0
        start = time.perf_counter()
        for k in range(5, 9):
            window.show(flying(0.05 * k))
        fast = time.perf_counter() - start
    assert taken > 0.17
    assert fast < taken


def test_trails_are_not_broken_by_smooth_motion(dummy_display):
    with Window((160, 90), trails=1.0) as window:
        for k in range(5):
            window.show(flying(0.05 * k))
        times = [instant.time for instant in window.renderer._trail.past]
    assert len(times) > 5
    assert times == sorted(times)


def test_bad_input_is_named(window):
    with pytest.raises(TypeError, match="Snapshot"):
        window.show(None)
    with pytest.raises(ValueError, match="fps"):
        Window(fps=0)


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no virtual X display installed")
def test_under_a_real_x_display(tmp_path):
    """In its own process, because SDL picks its video driver once."""
    code = f"""
import pygame, sys
sys.path.insert(0, {sys.path[0]!r})
from drone_formation.render import Snapshot, Window
with Window((320, 180), realtime=False) as window:
    window.show(Snapshot([[0, 0, 0]]))
    assert pygame.display.get_driver() == "x11"
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_t, mod=0, unicode="t"))
    assert not window.show(Snapshot([[0, 0, 0]])).closed
    assert window.renderer.camera(Snapshot([[0, 0, 0]]), (320, 180)).elevation > 1.5
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.show(Snapshot([[0, 0, 0]])).closed
"""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            display = pipe.readline().strip()
        assert display, "Xvfb did not start"
        env = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            timeout=60,
            env=env | {"DISPLAY": f":{display}"},
        )
    finally:
        server.terminate()
        server.wait()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others always have a display")
def test_no_display_is_said_so():
    code = """
from drone_formation.render import Snapshot, Window
try:
    Window((64, 64)).show(Snapshot([[0, 0, 0]]))
except RuntimeError as error:
    assert "window" in str(error)
else:
    raise SystemExit("opened a window on nothing")
"""
    hidden = ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)
