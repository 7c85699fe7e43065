"""Trajectories: the one model of motion, its derivatives, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from drone_formation import formations
from drone_formation.airframe import Airframe
from drone_formation.racing.course import LEAD, Course, course_trajectory
from drone_formation.trajectories import MAX_BYTES, Path, Trajectory

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(5, 3)) * 4
TRACK = formations.conga_track(5, 1.5)
TIMES = np.linspace(0, 30, 61)


def course(num_drones: int = 9) -> Course:
    angle = np.arange(8) * np.pi / 4
    out, along = np.stack([np.cos(angle), np.sin(angle)]), np.stack([-np.sin(angle), np.cos(angle)])
    rings = np.concatenate([20 * out, [0 * angle], along, [0 * angle], [0 * angle + 2]]).T
    airframes = np.repeat(Airframe().as_row()[None], num_drones, axis=0).astype(float)
    return Course(rings, np.arange(num_drones) % 8, airframes, 1.0)


MOTIONS = {
    "still": Trajectory.still(POINTS),
    "turning": Trajectory.turning(POINTS, 40.0),
    "clockwise": Trajectory.turning(POINTS, -25.0),
    "together": Trajectory.wandering(POINTS, np.full(3, 5.0), RNG, together=True),
    "apart": Trajectory.wandering(POINTS, np.full(3, 2.0), RNG),
    "trailing": Trajectory.trailing(*TRACK.harmonics(), -0.1 * np.arange(5), 1.5 / TRACK.scale),
    "waving": Trajectory.waving(POINTS, 0.8, 9.0, 4.0),
    "sampled": Trajectory.sampled(RNG.normal(size=(40, 5, 3)), 0.5),
    "closed": Trajectory.sampled(RNG.normal(size=(7, 5, 3)), 0.5, closed=True),
}


@pytest.mark.parametrize("name", MOTIONS)
def test_velocity_is_the_derivative(name: str) -> None:
    moving, h = MOTIONS[name], 1e-6
    times = TIMES[1:] + 0.013  # not at a knot
    difference = (moving.position(times + h) - moving.position(times - h)) / (2 * h)
    assert difference.shape == (len(times), 5, 3)
    np.testing.assert_allclose(moving.velocity(times), difference, atol=1e-6)
    np.testing.assert_allclose(moving.position(times[3]), moving.position(times)[3], atol=1e-12)


@pytest.mark.parametrize("name", MOTIONS)
def test_the_plain_arrays_say_all(name: str) -> None:
    """What the compiled step is given, evaluated here as it does."""
    moving, time = MOTIONS[name], 7.3
    rows = moving.harmonic_rows()
    assert rows.dtype == np.float32
    assert rows.shape == (len(moving.frequencies), 6, 5)
    waves = np.cos(moving.frequencies * time), np.sin(moving.frequencies * time)
    found = moving.centre.T + sum(
        row[:3] * c + row[3:] * s for row, c, s in zip(rows, *waves, strict=True)
    )
    if moving.path is not None:
        knots, interval = moving.path.rows(), moving.path.interval
        assert knots.dtype == np.float32
        at = time / interval % len(knots) if moving.path.closed else time / interval
        k, u = int(at), at - int(at)
        a, b = knots[k], knots[(k + 1) % len(knots)]
        found = (
            found + (1 + 2 * u) * (1 - u) ** 2 * a[:3] + u**2 * (3 - 2 * u) * b[:3]
            + interval * (u * (1 - u) ** 2 * a[3:] - u**2 * (1 - u) * b[3:])
        )  # fmt: skip
    np.testing.assert_allclose(found.T, moving.position(time), atol=1e-5)


@pytest.mark.parametrize("name", MOTIONS)
def test_slots_in_another_order(name: str) -> None:
    order = np.array([3, 1, 4, 0, 2])
    moving, taken = MOTIONS[name], MOTIONS[name].take(order)
    for time in (0.0, 4.2):
        np.testing.assert_allclose(taken.position(time), moving.position(time)[order], atol=1e-12)
        np.testing.assert_allclose(taken.velocity(time), moving.velocity(time)[order], atol=1e-12)


def test_turning_takes_its_period_and_keeps_the_height() -> None:
    turned = MOTIONS["turning"].position(10.0)  # a quarter
    np.testing.assert_allclose(turned, POINTS[:, [1, 0, 2]] * [-1, 1, 1], atol=1e-12)
    back = MOTIONS["clockwise"].position(25.0 / 4)
    np.testing.assert_allclose(back, POINTS[:, [1, 0, 2]] * [1, -1, 1], atol=1e-12)


def test_a_wandering_stays_in_its_room_and_is_slow() -> None:
    times = np.linspace(0, 600, 5000)
    for name, room in (("together", 5.0), ("apart", 2.0)):
        away = MOTIONS[name].position(times) - POINTS
        assert np.abs(away).max() <= room
        assert np.abs(MOTIONS[name].velocity(times)).max() <= 1.0
        assert np.allclose(away, away[:, :1]) == (name == "together")


def test_a_wave_runs_along_and_moves_across() -> None:
    flag = formations.flag(64, 1.5).points
    amplitude = 0.1 * (flag[:, 1] + 7)  # the mast at y = -7 stays
    waving = Trajectory.waving(flag, amplitude, wavelength=8.0, period=4.0)
    moved = waving.position(TIMES) - flag
    assert (moved[..., 1:] == 0).all()
    assert (moved[:, flag[:, 1] == -7] == 0).all()
    np.testing.assert_allclose(np.abs(moved[..., 0]).max(axis=0), amplitude, atol=0.1)
    # A second later, a quarter of a wavelength farther on, there is the same.
    at, on = (np.flatnonzero(flag[:, 1] == y)[0] for y in (1, 3))
    shares = waving.position(5.0)[at, 0] / 0.8, waving.position(6.0)[on, 0] / 1.0
    assert shares[0] == pytest.approx(shares[1])


def test_a_sampled_path_goes_through_its_knots() -> None:
    samples = RNG.normal(size=(9, 4, 3))
    for closed in (False, True):
        moving = Trajectory.sampled(samples, 0.2, closed=closed)
        np.testing.assert_allclose(moving.position(0.2 * np.arange(9)), samples, atol=1e-12)
    # Cubics are met exactly where velocities are given.
    t = np.linspace(0, 2, 6)[:, None, None] * np.ones((1, 1, 3))
    cubic = Trajectory.sampled(t**3 - t, 0.4, 3 * t**2 - 1)
    np.testing.assert_allclose(cubic.position(1.23)[0], 1.23**3 - 1.23, atol=1e-12)
    np.testing.assert_allclose(cubic.velocity(1.23)[0], 3 * 1.23**2 - 1, atol=1e-12)


def test_after_its_end_a_path_rests_or_begins_again() -> None:
    samples = RNG.normal(size=(9, 4, 3))
    ended, closed = Trajectory.sampled(samples, 0.5), Trajectory.sampled(samples, 0.5, closed=True)
    for time in (4.0, 4.1, 1e6):
        np.testing.assert_array_equal(ended.position(time), samples[-1])
        np.testing.assert_array_equal(ended.velocity(time), 0)
    for time in (0.3, 4.2):
        np.testing.assert_allclose(closed.position(time + 4.5), closed.position(time), atol=1e-12)
        np.testing.assert_allclose(closed.velocity(time + 9), closed.velocity(time), atol=1e-9)
    one = Trajectory.sampled(samples[:1], 1.0)
    np.testing.assert_array_equal(one.position([0, 0.5, 7]), np.stack([samples[0]] * 3))


def test_harmonics_and_a_path_add_up() -> None:
    path = MOTIONS["sampled"].path
    both = Trajectory(POINTS, path=path, **{
        name: getattr(MOTIONS["apart"], name) for name in ("cosine", "sine", "frequencies")
    })  # fmt: skip
    expected = MOTIONS["apart"].position(TIMES) + MOTIONS["sampled"].position(TIMES)
    np.testing.assert_allclose(both.position(TIMES), expected, atol=1e-12)


def test_a_course_is_a_trajectory() -> None:
    """A paced race is the same model: a series per drone, its head start included."""
    laid = course()
    moving = course_trajectory(laid)
    assert len(moving) == 9
    for time in (0.0, 3.7, 40.0):
        position, velocity, acceleration = laid.places(time)
        np.testing.assert_allclose(moving.position(time), position, atol=1e-9)
        np.testing.assert_allclose(moving.velocity(time), velocity + LEAD * acceleration, atol=1e-8)


def test_what_is_given_is_neither_changed_nor_shared() -> None:
    points = POINTS.copy()
    moving = Trajectory.still(points)
    points[:] = 0
    np.testing.assert_array_equal(moving.position(0), POINTS)
    with pytest.raises(ValueError, match="read-only"):
        moving.centre[0] = 0
    again = pickle.loads(pickle.dumps(MOTIONS["closed"]))
    np.testing.assert_array_equal(again.position(3.3), MOTIONS["closed"].position(3.3))


WAVE = {"cosine": np.zeros((2, 5, 3)), "sine": np.zeros((2, 1, 3)), "frequencies": np.ones(2)}
SAMPLES = np.zeros((4, 5, 3))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Trajectory(POINTS[0]), ValueError, r"centre must have shape \(N, 3\)"),
        (lambda: Trajectory(np.zeros((0, 3))), ValueError, "centre must hold a slot"),
        (lambda: Trajectory(POINTS * np.nan), ValueError, r"centre must be finite, got nan at"),
        (lambda: Trajectory("flag"), TypeError, "centre must be an array of numbers"),
        (lambda: Trajectory(POINTS, **{**WAVE, "sine": np.zeros((3, 5, 3))}), ValueError,
         r"sine must have shape \(2, 5, 3\) or \(2, 1, 3\), for 2 freq"),
        (lambda: Trajectory(POINTS[:4], **WAVE), ValueError, r"cosine must have .* got \(2, 5, 3"),
        (lambda: Trajectory(POINTS, **{**WAVE, "frequencies": np.ones((2, 1))}), ValueError,
         r"frequencies must have shape \(H,\)"),
        (lambda: Trajectory(POINTS, lead=-0.2), ValueError, "lead must be positive"),
        (lambda: Trajectory(POINTS, path=SAMPLES), TypeError, "path must be a Path"),
        (lambda: Trajectory(POINTS[:3], path=MOTIONS["closed"].path), ValueError,
         "path must move 3 slots"),
        (lambda: Trajectory.sampled(SAMPLES[0], 0.1), ValueError, r"\(T, N, 3\), got \(5, 3\)"),
        (lambda: Trajectory.sampled(SAMPLES, 0), ValueError, "interval must be positive"),
        (lambda: Trajectory.sampled(SAMPLES, 1, SAMPLES[:3]), ValueError, "velocities must have"),
        (lambda: Trajectory.sampled(SAMPLES[:0], 1), ValueError, "must hold a knot"),
        (lambda: Path(SAMPLES, SAMPLES, 1.0, "yes"), TypeError, "closed must be True or False"),
        (lambda: Trajectory.sampled(np.zeros((683, 4096, 3)), 1), ValueError,
         f"may take {MAX_BYTES:,} bytes"),
        (lambda: Trajectory.waving(POINTS, 1, 0, 1), ValueError, "wavelength must be positive"),
        (lambda: Trajectory.waving(POINTS, 1, 1, -1), ValueError, "period must be positive"),
    ],
)  # fmt: skip
def test_bad_trajectories(make, error, says) -> None:
    with pytest.raises(error, match=says):
        make()
