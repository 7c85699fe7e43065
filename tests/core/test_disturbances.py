"""A steady wind: what it does to drones, and that without one no bit is another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from drone_formation import Airframe, Randomization, Swarms
from drone_formation.airframe import PARAMETERS
from drone_formation.disturbances import Disturbances
from drone_formation.pilots import RandomPilot

from .helpers import hover

ARENA = (200.0, 200.0, 200.0)


def drifting(wind, airframe: Airframe | None = None, **options) -> Swarms:
    swarms = Swarms(
        "hover",
        1,
        20,
        seed=0,
        disturbances=Disturbances(wind),
        airframe=airframe,
        arena=ARENA,
        **options,
    )
    swarms.reset()
    # In the middle of the arena, where there is room to every side
    swarms.place(np.stack([2.0 * np.arange(20), np.zeros(20), np.zeros(20)], axis=1)[None])
    return swarms


@pytest.mark.parametrize("drag", [0.1, 1.0])
def test_a_hovering_drone_drifts_off_by_the_equation_of_drag(drag):
    """m dv/dt = k (w - v): against SciPy, and in the end at the wind's own speed."""
    wind, airframe, steps = np.array([3.0, -2.0, 0.5]), Airframe(linear_drag=drag), 240
    swarms = drifting(wind, airframe)
    start, time = swarms.position[0].astype(float), 0.05 * np.arange(1, steps + 1)
    exact = solve_ivp(
        lambda _, y: np.concatenate([y[3:], drag / airframe.mass * (wind - y[3:])]),
        (0, time[-1] + 1e-9), np.zeros(6), t_eval=time, rtol=1e-10, atol=1e-12,
    ).y.T  # fmt: skip
    for expected in exact:
        swarms.step(hover(swarms))
        np.testing.assert_allclose(
            swarms.velocity[0], np.tile(expected[3:], (20, 1)), rtol=2e-5, atol=2e-5
        )
        np.testing.assert_allclose(swarms.position[0], start + expected[:3], atol=2e-3)
    if drag == 1.0:
        np.testing.assert_allclose(swarms.velocity[0], np.tile(wind, (20, 1)), rtol=1e-4)
    np.testing.assert_array_equal(swarms.attitude[0], np.tile([1, 0, 0, 0], (20, 1)))


def test_each_drone_has_the_drag_of_its_own_airframe():
    wind = np.array([4.0, 0.0, 0.0])
    swarms = drifting(wind, randomization=Randomization())
    frames = dict(zip(PARAMETERS, swarms.airframes[0].astype(float).T, strict=True))
    for _ in range(40):
        swarms.step(hover(swarms))
    speed = wind[0] * (1 - np.exp(-2.0 * frames["linear_drag"] / frames["mass"]))
    assert np.ptp(speed) > 0.02
    np.testing.assert_allclose(swarms.velocity[0, :, 0], speed, rtol=1e-4)


@pytest.mark.parametrize("task", ["flag", "race", "hover"])
def test_no_wind_changes_no_bit(task):
    """Neither None nor a wind of zero: nothing is added to any number but zero."""
    flights = []
    for disturbances in (None, Disturbances(wind=(0, 0, 0))):
        swarms = Swarms(task, 2, 20, seed=1, disturbances=disturbances, max_steps=60)
        swarms.reset()
        pilot = RandomPilot(3)
        for _ in range(50):
            result = swarms.step(pilot.act(swarms))
        flights.append([*map(np.copy, result), swarms.position, swarms.attitude])
    for none, zero in zip(*flights, strict=True):
        np.testing.assert_array_equal(none, zero)


def test_the_wind_blows_in_every_swarm_and_on_every_thread():
    alone, together = (
        Swarms(
            "flag", 4, 20, seed=0, disturbances=Disturbances(wind=(5, 1, 0)), num_threads=threads
        )
        for threads in (1, 3)
    )
    for swarms in (alone, together):
        swarms.reset()
        for _ in range(20):
            swarms.step(hover(swarms))
    np.testing.assert_array_equal(alone.position, together.position)
    assert (alone.velocity[..., 0] > 0.3).all()


@pytest.mark.parametrize("velocity", [3.0, (1, 2), "calm", (True, False, True), None, (1, 2, 3j)])
def test_a_wind_is_three_numbers(velocity):
    with pytest.raises(TypeError, match="Disturbances: wind must be like"):
        Disturbances(velocity)


@pytest.mark.parametrize("velocity", [(np.nan, 0, 0), (0, np.inf, 0), (0, 0, 51)])
def test_a_wind_is_finite_and_not_a_storm(velocity):
    with pytest.raises(ValueError, match=r"Disturbances: wind must be finite and from -50"):
        Disturbances(velocity)


def test_disturbances_are_a_wind():
    with pytest.raises(TypeError, match="disturbances must be a Disturbances"):
        Swarms("flag", disturbances=(3, 0, 0))
