"""The dynamics against what can be worked out with a pencil: rotors, tops, conservation laws."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation import Airframe, Swarms

DRONES = 5
STEP = 0.05


def in_flight(airframe: Airframe, **state: np.ndarray) -> Swarms:
    """Drones in the middle of the arena, at rest but for what is given."""
    swarms = Swarms("hover", 1, DRONES, airframe=airframe, substeps=10, seed=0)
    swarms.reset()
    given = {
        name: np.broadcast_to(values, (1, DRONES, np.shape(values)[-1]))
        for name, values in state.items()
    }
    swarms.place(position=np.zeros((1, DRONES, 3)), **given)
    return swarms


def fly(swarms: Swarms, actions: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """The state (steps + 1, N, ...) under constant actions (N, 4)."""
    names = ("position", "velocity", "attitude", "body_rates", "rotor_speeds")
    found: dict[str, list] = {name: [getattr(swarms, name)[0]] for name in names}
    actions = np.broadcast_to(actions, (1, DRONES, 4)).astype(np.float32)
    for _ in range(steps):
        assert not swarms.step(actions).crashed.any()
        for name in names:
            found[name].append(getattr(swarms, name)[0])
    return {name: np.array(values, float) for name, values in found.items()}


#: Nothing that takes energy away.
FREE = {"linear_drag": 0.0, "angular_damping": 0.0, "torque_ratio": 0.0}


def test_yaw_from_rotor_acceleration() -> None:
    """What the rotors gain in spin about the vertical, the body gains the other way round."""
    airframe = Airframe(**FREE)
    swarms = in_flight(airframe)
    twist = np.array([0.01, 0.03, 0.05, -0.02, 0.1])[:, None]
    flown = fly(swarms, twist * [1, -1, 1, -1], 20)
    time = STEP * np.arange(21)[:, None]
    hover = airframe.hover_rotor_speed
    commands = hover + twist * np.where(
        twist * [1, -1, 1, -1] > 0, airframe.max_rotor_speed - hover, hover
    ) * [1, -1, 1, -1]  # fmt: skip
    gained = (commands - hover) @ [1, -1, 1, -1]
    rise = 1 - np.exp(-time / airframe.motor_time_constant)
    expected = airframe.rotor_inertia / airframe.inertia[2] * gained * rise
    np.testing.assert_allclose(flown["body_rates"][..., 2], expected, rtol=1e-4, atol=5e-6)
    assert np.abs(expected[-1]).min() > 1e-3


def test_torque_from_thrust_yaws_the_body() -> None:
    """With rotor speeds held, the yaw rate rises linearly; with damping, to a limit."""
    speeds = np.array([320.0, 250.0, 320.0, 250.0])
    for damping in (0.0, 0.05):
        airframe = Airframe(
            linear_drag=0.0, angular_damping=damping, torque_ratio=1e-3, rotor_inertia=0.0
        )
        hover, top = airframe.hover_rotor_speed, airframe.max_rotor_speed
        action = np.where(speeds > hover, (speeds - hover) / (top - hover), speeds / hover - 1)
        flown = fly(in_flight(airframe, rotor_speeds=speeds), action, 20)
        torque = 1e-3 * airframe.thrust_coefficient * (speeds**2 @ [1, -1, 1, -1])
        time, inertia = STEP * np.arange(21), airframe.inertia[2]
        expected = torque / inertia * time
        if damping:
            expected = torque / damping * (1 - np.exp(-damping / inertia * time))
        yaw = flown["body_rates"][..., 2]
        np.testing.assert_allclose(yaw, expected[:, None].repeat(DRONES, 1), rtol=1e-3, atol=1e-6)
        assert expected[-1] > 0.01


def test_gyroscopic_coupling_of_a_symmetric_top() -> None:
    """Its rates turn about its axis at (C - A) / A times the spin."""
    a, c = 0.01, 0.016
    airframe = Airframe(inertia=(a, a, c), **FREE)
    spin = np.array([-20.0, -5.0, 0.0, 8.0, 25.0])
    rates = np.stack([np.full(DRONES, 3.0), np.zeros(DRONES), spin], axis=1)
    flown = fly(in_flight(airframe, body_rates=rates), np.zeros((DRONES, 4)), 20)["body_rates"]
    phase = (c - a) / a * spin * STEP * np.arange(21)[:, None]
    np.testing.assert_allclose(flown[..., 0], 3 * np.cos(phase), atol=2e-3)
    np.testing.assert_allclose(flown[..., 1], 3 * np.sin(phase), atol=2e-3)
    np.testing.assert_allclose(flown[..., 2], np.broadcast_to(spin, (21, DRONES)), atol=1e-3)


def test_a_free_top_keeps_its_energy_and_its_angular_momentum() -> None:
    """Three different moments of inertia, tumbling: the vector in the world frame stays."""
    inertia = np.array([0.008, 0.011, 0.017])
    airframe = Airframe(inertia=tuple(inertia), **FREE)
    rates = np.random.default_rng(0).uniform(-12, 12, (DRONES, 3))
    flown = fly(in_flight(airframe, body_rates=rates), np.zeros((DRONES, 4)), 20)
    omega = flown["body_rates"]
    energy = 0.5 * (inertia * omega**2).sum(axis=-1)
    np.testing.assert_allclose(energy, np.broadcast_to(energy[0], energy.shape), rtol=1e-4)
    w, vector = flown["attitude"][..., :1], flown["attitude"][..., 1:]
    momentum = inertia * omega
    turned = momentum + 2 * np.cross(vector, np.cross(vector, momentum) + w * momentum)
    np.testing.assert_allclose(turned, np.broadcast_to(turned[0], turned.shape), atol=2e-4)
    assert np.ptp(omega, axis=0).max() > 5, "it tumbles"


def test_energy_without_drag() -> None:
    """Rotors at rest: a parabola, whatever the attitude, and what is lost in height is speed."""
    airframe = Airframe(**FREE)
    rng = np.random.default_rng(1)
    velocity = rng.uniform(-4, 4, (DRONES, 3)) + np.array([0, 0, 4])
    attitude = rng.normal(size=(DRONES, 4))
    attitude /= np.linalg.norm(attitude, axis=1, keepdims=True)
    swarms = in_flight(
        airframe, velocity=velocity, attitude=attitude, body_rates=rng.uniform(-5, 5, (DRONES, 3)),
        rotor_speeds=np.zeros(4),
    )  # fmt: skip
    flown = fly(swarms, np.full(4, -1.0), 20)
    time = STEP * np.arange(21)[:, None, None]
    fall = np.array([0, 0, -airframe.gravity])
    np.testing.assert_allclose(flown["velocity"], velocity + fall * time, atol=1e-4)
    np.testing.assert_allclose(flown["position"], velocity * time + fall * time**2 / 2, atol=1e-4)
    energy = airframe.mass * (
        (flown["velocity"] ** 2).sum(axis=-1) / 2 + airframe.gravity * flown["position"][..., 2]
    )
    np.testing.assert_allclose(energy, np.broadcast_to(energy[0], energy.shape), rtol=1e-4)


@pytest.mark.parametrize("action", [0.05, 0.2, -0.1])
def test_thrust_does_the_work(action: float) -> None:
    """A level climb with rotor speeds held: what the thrust did is what the drone has gained."""
    airframe = Airframe(**FREE)
    hover, top = airframe.hover_rotor_speed, airframe.max_rotor_speed
    speed = hover + action * ((top - hover) if action > 0 else hover)
    flown = fly(in_flight(airframe, rotor_speeds=np.full(4, speed)), np.full(4, action), 15)
    height, climb = flown["position"][..., 2], flown["velocity"][..., 2]
    thrust = 4 * airframe.thrust_coefficient * speed**2
    gained = airframe.mass * (climb**2 / 2 + airframe.gravity * height)
    np.testing.assert_allclose(gained, thrust * height, rtol=1e-3, atol=1e-4)
    assert np.abs(height[-1]).min() > 0.4


def test_drag_slows_exponentially() -> None:
    airframe = Airframe(linear_drag=0.4)
    velocity = np.random.default_rng(2).uniform(-6, 6, (DRONES, 3)) * [1, 1, 0]
    flown = fly(in_flight(airframe, velocity=velocity), np.zeros(4), 20)["velocity"]
    expected = velocity * np.exp(-0.4 / airframe.mass * STEP * np.arange(21))[:, None, None]
    np.testing.assert_allclose(flown, expected, atol=1e-3)


def test_damping_slows_rates_exponentially() -> None:
    airframe = Airframe(inertia=(0.02, 0.02, 0.02), angular_damping=0.05)
    rates = np.random.default_rng(3).uniform(-3, 3, (DRONES, 3))
    flown = fly(in_flight(airframe, body_rates=rates), np.zeros(4), 20)["body_rates"]
    expected = rates * np.exp(-0.05 / 0.02 * STEP * np.arange(21))[:, None, None]
    np.testing.assert_allclose(flown, expected, atol=1e-3)
