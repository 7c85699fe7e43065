"""Trails: they fade, follow time, and join nothing that was not flown."""

import numpy as np
import pytest

from drone_formation.render import Camera, Renderer, Snapshot

from .conftest import flying

SIZE = (640, 360)
pytestmark = pytest.mark.usefixtures("headless")


def test_trails_fade_with_age():
    camera = Camera(distance=30, elevation=0)
    pictures = []
    for trails in (0.0, 2.0):
        renderer = Renderer(SIZE, camera, trails=trails, show_targets=False, hud=False)
        for k in range(41):
            frame = renderer.frame(Snapshot([[0, -8 + 0.4 * k, 0.0]], time=0.05 * k))
        pictures.append(frame.astype(int))
    line = (pictures[1] - pictures[0])[176:184].sum(axis=(0, 2))
    places = camera.project(np.array([[0, y, 0] for y in (-7.5, -4, 0, 4)]), SIZE)[0][:, 0]
    lights = [line[int(x) - 4 : int(x) + 5].mean() for x in places]
    assert lights == sorted(lights)
    assert lights[0] < 0.1 * lights[-1]
    assert lights[1] > 0


def test_trails_follow_time_and_break_at_jumps():
    def drawn(trails, steps):
        renderer = Renderer(SIZE, Camera(distance=30), trails=trails, show_targets=False)
        for k in steps:
            frame = renderer.frame(flying(0.1 * k))
        return frame.astype(int)

    plain = drawn(0.0, range(10))
    long, short = drawn(1.0, range(10)), drawn(0.3, range(10))
    assert (long >= plain).all()
    assert (long - plain).sum() > (short - plain).sum() > 0
    # A jump of half a circle, or a step back in time, leaves no line.
    np.testing.assert_array_equal(drawn(9.0, [0, 15]), drawn(0.0, [15]))
    np.testing.assert_array_equal(drawn(9.0, [8, 9, 0]), drawn(0.0, [0]))


def test_long_trails_are_thinned_but_still_break_at_jumps(monkeypatch):
    """The same path in steps too short to be seen gives nearly the same picture."""
    from drone_formation.render import trails

    def drawn(limit):
        monkeypatch.setattr(trails, "MAX_PIECES", limit)
        renderer = Renderer(SIZE, Camera(distance=30), trails=9.0, show_targets=False)
        for k in range(40):
            away = 5.0 if k > 20 else 0.0  # all jump 5 m up on the way
            snapshot = flying(0.02 * k)
            frame = renderer.frame(
                Snapshot(snapshot.positions + np.array([0, 0, away]), time=snapshot.time)
            )
        return frame.astype(int)

    fine, coarse = drawn(10_000), drawn(100)
    assert (fine != coarse).any()
    assert np.abs(fine - coarse).mean() < 0.5


def test_a_drone_that_is_gone_has_no_trail():
    """What is given for it may be NaN, and nothing of it is drawn."""

    def drawn(places):
        renderer = Renderer(SIZE, Camera(distance=30), trails=9.0, hud=False)
        for k, place in enumerate(places):
            there = [place is not None, True]
            points = [[np.nan] * 3 if place is None else place, [0, 9.0, 0]]
            frame = renderer.frame(Snapshot(points, active=there, targets=points, time=0.1 * k))
        return frame

    way = [[0, -1.0, 0], [0, -0.5, 0]]
    assert (drawn([*way, [0, 0, 0]]) != drawn([None, None, [0, 0, 0]])).any()  # it had one
    np.testing.assert_array_equal(drawn([*way, None]), drawn([None] * 3))
