import os
import subprocess
import sys

import numpy as np
import pygame
import pytest

from drone_formation.render import PRESETS, Camera, Renderer, Snapshot

from .conftest import flag, flying

SIZE = (640, 360)
pytestmark = pytest.mark.usefixtures("headless")


def light(pixels: np.ndarray, at: np.ndarray, half: int = 3) -> np.ndarray:
    """(3,): the mean colour of a small square round (x, y)."""
    x, y = np.rint(at).astype(int)
    return pixels[y - half : y + half + 1, x - half : x + half + 1].mean(axis=(0, 1))


def test_frame_is_a_fresh_array():
    renderer = Renderer(SIZE)
    first = renderer.frame(flag())
    assert first.shape == (360, 640, 3)
    assert first.dtype == np.uint8
    assert first.flags["C_CONTIGUOUS"]
    kept = first.copy()
    second = renderer.frame(flying(0.0))
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)


def test_channels_are_red_green_blue():
    frame = Renderer(SIZE).frame(flag())
    surface = Renderer(SIZE).draw(flag())
    for x, y in ((320, 180), (100, 300), (600, 20)):
        assert tuple(frame[y, x]) == tuple(surface.get_at((x, y)))[:3]


def test_the_flag_reads_from_the_front():
    snapshot = flag()
    frame = Renderer((1280, 720), "front", show_targets=False).frame(snapshot).astype(float)
    camera = PRESETS["front"](snapshot, (1280, 720))
    pixels, _ = camera.project(snapshot.positions, (1280, 720))
    colours = np.array([light(frame, at) for at in pixels]).reshape(8, 8, 3)
    places = pixels.reshape(8, 8, 2)
    assert (np.diff(places[..., 0], axis=1) > 0).all()  # columns go right
    assert (np.diff(places[..., 1], axis=0) > 0).all()  # rows go down

    red, _, blue = np.moveaxis(colours, -1, 0)
    canton = np.zeros((8, 8), bool)
    canton[:4, :4] = True
    striped = np.repeat(np.arange(8) % 2 == 0, 8).reshape(8, 8)
    assert (blue > 1.5 * red)[canton].all()
    assert (red > 1.5 * blue)[~canton & striped].all()  # the first stripe is red
    assert (colours.min(axis=-1) > 150)[~canton & ~striped].all()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_same_snapshots_same_pixels(preset):
    def film():
        renderer = Renderer(SIZE, preset, trails=1.0, labels=True)
        return [renderer.frame(flying(0.1 * k)) for k in range(4)]

    for a, b in zip(film(), film(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_drawing_twice_changes_nothing():
    renderer = Renderer(SIZE, trails=1.0)
    renderer.frame(flying(0.0))
    first = renderer.frame(flying(0.1))
    np.testing.assert_array_equal(renderer.frame(flying(0.1)), first)


def test_history_does_not_show_without_trails():
    used = Renderer(SIZE)
    for k in range(30):
        used.frame(flying(0.3 * k, n=20))
    np.testing.assert_array_equal(used.frame(flag()), Renderer(SIZE).frame(flag()))


def test_several_renderers_do_not_disturb_each_other():
    sizes = [(640, 360), (321, 243), (200, 400)]
    alone = [Renderer(size).frame(flag()) for size in sizes]
    renderers = [Renderer(size) for size in sizes]
    for _ in range(2):
        for renderer, expected in zip(renderers, alone, strict=True):
            renderer.frame(flying(1.0))
            np.testing.assert_array_equal(renderer.frame(flag()), expected)
    renderers[0].close()
    np.testing.assert_array_equal(renderers[1].frame(flag()), alone[1])
    np.testing.assert_array_equal(renderers[0].frame(flag()), alone[0])  # comes back to life


def test_survives_pygame_quit():
    renderer = Renderer(SIZE)
    expected = renderer.frame(flag())
    pygame.quit()
    np.testing.assert_array_equal(renderer.frame(flag(time=1.0)), expected)
    pygame.quit()
    pygame.font.init()
    changed = renderer.frame(flag(task="another"))
    assert (changed != expected).any()


@pytest.mark.parametrize("driver", [None, "dummy"])
def test_needs_no_display_and_no_environment(driver):
    """In a fresh process: nothing but pygame's fonts is started, no simulator is imported."""
    code = """
import sys
import drone_formation.render as render
render.Renderer((64, 64)).frame(render.Snapshot([[0, 0, 0]], task="hover"))
import pygame
assert not pygame.display.get_init()
"""
    env = {k: v for k, v in os.environ.items() if k not in ("SDL_VIDEODRIVER", "DISPLAY")}
    env |= {"PYGAME_HIDE_SUPPORT_PROMPT": "1"} | ({"SDL_VIDEODRIVER": driver} if driver else {})
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=env)


def test_gone_drones_are_not_drawn():
    active = np.ones(64, bool)
    active[9] = False
    camera = Camera(distance=30)
    whole = Renderer(SIZE, camera, show_targets=False).frame(flag()).astype(int)
    less = Renderer(SIZE, camera, show_targets=False).frame(flag(active=active)).astype(int)
    pixels, _ = camera.project(flag().positions, SIZE)
    assert light(whole, pixels[9]).sum() > light(less, pixels[9]).sum() + 100
    assert (light(whole, pixels[63]) == light(less, pixels[63])).all()


def test_a_collision_is_marked():
    colliding = np.zeros(64, bool)
    colliding[[27, 28]] = True
    camera = Camera(distance=30)
    calm = Renderer(SIZE, camera).frame(flag()).astype(int)
    hit = Renderer(SIZE, camera).frame(flag(colliding=colliding)).astype(int)
    changed = np.argwhere((hit != calm).any(axis=-1))[:, ::-1]
    pixels, _ = camera.project(flag().positions[[27, 28]], SIZE)
    gaps = np.linalg.norm(changed[:, None] - pixels, axis=2).min(axis=1)
    assert len(changed) > 100
    assert gaps.max() < 25
    assert (hit - calm)[..., 0].sum() > 2 * (hit - calm)[..., 2].sum()  # red


def test_nearer_is_drawn_over_farther():
    points = np.array([[0.0, 0, 0], [5.0, 0, 0]])  # the second one hides the first
    camera = Camera(distance=10, elevation=0)
    pixels = camera.project(points, SIZE)[0]
    for order in ([0, 1], [1, 0]):
        colours = np.array([(255, 20, 20), (20, 20, 255)])[order]
        frame = Renderer(SIZE, camera, show_targets=False).frame(
            Snapshot(points[order], colours=colours)
        )
        red, _, blue = light(frame, pixels[1], half=8)
        assert blue > red


def test_rotors_tilt_with_the_attitude():
    camera = Camera(distance=6, elevation=0)
    lean = 0.8  # rad about body x: the +y rotor, at the right of the picture, goes up
    tilted = Snapshot([[0, 0, 0]], attitudes=[[np.cos(lean / 2), np.sin(lean / 2), 0, 0]])
    level = Snapshot([[0, 0, 0]])
    tips = 0.3 * np.array([[0, 1, 0], [0, np.cos(lean), np.sin(lean)]])
    places, _ = camera.project(tips, SIZE)
    renderer = Renderer(SIZE, camera, show_targets=False)
    flat, steep = renderer.frame(level).astype(int), renderer.frame(tilted).astype(int)
    assert light(flat, places[0], 1).sum() > light(steep, places[0], 1).sum() + 60
    assert light(steep, places[1], 1).sum() > light(flat, places[1], 1).sum() + 60


def test_drones_are_as_large_as_collisions_are_judged():
    camera = Camera(distance=12, elevation=np.pi / 2)
    renderer = Renderer((400, 400), camera, show_targets=False, hud=False)
    for distance in (0.5, 1.0, 2.0):
        bare = renderer.frame(Snapshot([[0, 0, 0]], active=[False])).astype(int)
        frame = renderer.frame(Snapshot([[0, 0, 0]], collision_distance=distance)).astype(int)
        profile = (frame - bare)[200].sum(axis=-1)  # along the arms on the y axis
        reach = np.flatnonzero(profile > 150)
        expected = 0.45 * distance * camera.focal((400, 400)) / 12
        assert (reach[-1] - reach[0]) / 2 == pytest.approx(expected, rel=0.12, abs=1.5)


def test_a_drone_glows_in_its_colour():
    camera = Camera(distance=14)
    renderer = Renderer(SIZE, camera, show_targets=False, hud=False)
    bare = renderer.frame(flag(active=np.zeros(64, bool))).astype(int)
    red = Snapshot([[0, 0, 0]], colours=[[255, 40, 40]])
    halo = renderer.frame(red).astype(int) - bare
    reach = 0.45 * camera.focal(SIZE) / 14
    above = [halo[round(180 - k * reach), 320] for k in (1.2, 1.8, 2.6)]  # no rotor there
    lights = [light[0] for light in above]
    assert lights == sorted(lights, reverse=True)
    assert lights[0] > 15
    assert lights[-1] > 0
    assert above[0][0] > 2 * above[0][2]
    assert halo[round(180 - 4 * reach), 320].max() == 0


def test_the_farther_the_dimmer_and_smaller():
    camera = Camera(distance=20, elevation=0.1)
    sizes, lights = [], []
    for away in (0, 40, 90):
        points = camera.axes[2:] * away
        renderer = Renderer(SIZE, camera, show_targets=False, hud=False)
        bare, frame = (
            renderer.frame(
                Snapshot(points, active=[there], arena=(30, 30, 60), colours=[[90, 40, 30]])
            ).astype(int)
            for there in (False, True)
        )
        sizes.append(((frame - bare).max(axis=2) > 40).sum())
        lights.append(light(frame, [320, 180], half=0).sum())
    assert sizes[0] > 3 * sizes[1] > 3 * sizes[2] > 0
    assert lights[0] > lights[1] + 15 > lights[2] + 30


def test_targets_are_faint_rings_that_hide_nothing():
    camera = Camera(distance=14, elevation=0.3)
    renderer = Renderer(SIZE, camera, hud=False)
    here, there = [[0.0, -2, 0]], [[0.0, 2, 0]]
    radius = 0.5 * camera.focal(SIZE) / 14

    def ring(drone, target):
        """What the ring adds to the picture: how bright it is, and where."""
        renderer.show_targets = False
        plain = renderer.frame(Snapshot(drone, targets=target)).astype(int)
        renderer.show_targets = True
        added = renderer.frame(Snapshot(drone, targets=target)).astype(int) - plain
        assert added.min() >= 0
        middle = camera.project(np.array(target), SIZE)[0][0]
        lit = np.argwhere(added.max(axis=2) > 2)[:, ::-1] + 0.5
        return added.max(), np.linalg.norm(lit - middle, axis=1)

    missing, gaps = ring(here, there)
    np.testing.assert_allclose(gaps, radius, rtol=0.12)
    assert 40 < missing < 120
    reached, gaps = ring(there, there)
    np.testing.assert_allclose(gaps, radius, rtol=0.12)
    assert 0 < reached < 0.5 * missing


def test_targets_labels_and_hud_can_be_switched():
    renderer = Renderer(SIZE)
    base = renderer.frame(flag())
    for name in ("show_targets", "labels", "hud"):
        setattr(renderer, name, not getattr(renderer, name))
        assert (renderer.frame(flag()) != base).any(), name
        setattr(renderer, name, not getattr(renderer, name))
    np.testing.assert_array_equal(renderer.frame(flag()), base)
    assert (renderer.frame(flag(hud={"perf": 0.98, "on target": "64 / 64"})) != base).any()


def test_race_rings_tell_entry_from_exit():
    # Seen from +x: one is flown away from the viewer, the other towards the viewer.
    rings = np.array([[0, -5, 0, -1, 0, 0, 2], [0, 5, 0, 1, 0, 0, 2.0]])
    camera = Camera(distance=30, elevation=0.0)
    frame = Renderer(SIZE, camera).frame(Snapshot([[0, 0, 0]], rings=rings)).astype(int)
    rim, _ = camera.project(np.array([[0, -5, 2.07], [0, 5, 2.07]]), SIZE)
    entry, leave = (light(frame, at, half=1) for at in rim)
    assert entry[1] > 1.5 * entry[0]  # green
    assert leave[0] > 1.5 * leave[1]  # red
    marked = Renderer(SIZE, camera).frame(Snapshot([[0, 0, 0]], rings=rings, next_ring=1))
    assert light(marked, rim[0], half=1).sum() < entry.sum()


def test_a_race_shows_its_rings_as_the_only_targets():
    rings = np.array([[0, -5, 0, -1, 0, 0, 2.0]])
    shared = np.tile([[0, -5.0, 0]], (64, 1))
    with_targets = flag(targets=shared, rings=rings)
    without = flag(targets=None, rings=rings)
    camera = Camera(distance=30)
    frames = [Renderer(SIZE, camera).frame(seen) for seen in (with_targets, without)]
    np.testing.assert_array_equal(*frames)


def test_a_crowd_keeps_its_colours():
    """Hundreds of lights behind each other add up, but not to white."""
    side = np.linspace(-5, 5, 10)
    cube = np.stack(np.meshgrid(side, side, side), axis=-1).reshape(-1, 3)
    renderer = Renderer(SIZE, Camera(distance=50, azimuth=0.3), show_targets=False, hud=False)
    for colour in ((30, 90, 255), (255, 120, 60), (60, 200, 90)):
        snapshot = Snapshot(cube, colours=np.tile(colour, (1000, 1)))
        frame = renderer.frame(snapshot)[130:230, 270:370].astype(float)
        low, _, high = np.sort(frame.mean(axis=(0, 1)))
        assert high > 120
        assert low < 0.6 * high
        assert (frame.max(axis=2) == 255).mean() < 0.15
        assert frame.max(axis=2).std() > 18  # drones stand out from the glow between them
    # One alone shines as before: it has no crowd to share its light with.
    one = Renderer(SIZE, Camera(distance=12), show_targets=False).frame(Snapshot([[0, 0, 0]]))
    assert one[180, 320].min() > 150


def test_shadows_fall_on_the_ground():
    camera = Camera(target=(0, 0, -10), distance=20, elevation=0.5)
    low = Snapshot([[0, 0, -6]])
    none = Snapshot([[0, 0, -6]], active=[False])
    renderer = Renderer(SIZE, camera, show_targets=False, hud=False)
    lit, shaded = renderer.frame(none).astype(int), renderer.frame(low).astype(int)
    below, _ = camera.project(np.array([[0, 0, -10]]), SIZE)
    assert light(shaded, below[0]).sum() < light(lit, below[0]).sum()


@pytest.mark.parametrize(
    "camera",
    [
        Camera(distance=1.0),  # inside the swarm
        Camera(target=(0, 0, -60), elevation=-1.2),  # under the ground
        Camera(elevation=np.pi / 2),
        Camera(distance=2000),
        Camera(target=(0, -7, 5), distance=1.0, elevation=0.5),
    ],
)
def test_any_camera_draws(camera):
    renderer = Renderer(SIZE, camera, trails=1.0, labels=True)
    rings = np.array([[0, -5, 0, -1, 0, 0, 2.0], [0, 0, 0, 0, 0, 1, 2.0]])
    for k in range(3):
        snapshot = flag(time=0.1 * k, rings=rings, colliding=np.ones(64, bool))
        assert renderer.frame(snapshot).any()


def test_no_drone_there():
    assert Renderer(SIZE).frame(flag(active=np.zeros(64, bool))).any()


def test_resizing():
    renderer = Renderer(SIZE)
    renderer.frame(flag())
    renderer.size = (200, 100)
    np.testing.assert_array_equal(renderer.frame(flag()), Renderer((200, 100)).frame(flag()))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("size", (0, 720), ValueError),
        ("size", (640.5, 720), ValueError),
        ("size", 640, TypeError),
        ("size", (1, 2, 3), TypeError),
        ("camera", "behind", ValueError),
        ("trails", -1, ValueError),
        ("trails", float("inf"), ValueError),
    ],
)
def test_bad_settings_are_named(name, value, error):
    with pytest.raises(error, match=name):
        Renderer(**{name: value})
    with pytest.raises(TypeError, match="Snapshot"):
        Renderer(SIZE).draw("a flag")
