"""The dynamics against SciPy's integrator on the published equations, in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from drone_formation import Airframe, Randomization, Swarms
from drone_formation.airframe import CONTROL_STEP, PARAMETERS
from drone_formation.disturbances import Disturbances


def equations(state, commands, airframe, wind=(0.0, 0.0, 0.0)):
    """Newton, Euler and first-order rotors, written out anew as an independent reference."""
    p = dict(zip(PARAMETERS, airframe, strict=True))
    velocity, quaternion, rates, rotors = state[3:6], state[6:10], state[10:13], state[13:17]
    w, x, y, z = quaternion
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    inertia = np.array([p["inertia_x"], p["inertia_y"], p["inertia_z"]])
    acceleration = (commands - rotors) / p["motor_time_constant"]
    thrust = p["thrust_coefficient"] * rotors**2
    signs = np.array([1, -1, 1, -1])
    torque = np.array(
        [
            p["arm"] * (thrust[1] - thrust[3]),
            p["arm"] * (thrust[2] - thrust[0]),
            p["torque_ratio"] * signs @ thrust + p["rotor_inertia"] * signs @ acceleration,
        ]
    )
    torque -= p["angular_damping"] * rates + np.cross(rates, inertia * rates)
    force = rotation @ [0, 0, thrust.sum()] - p["linear_drag"] * (velocity - wind)
    spin = np.array(
        [
            [0, -rates[0], -rates[1], -rates[2]],
            [rates[0], 0, rates[2], -rates[1]],
            [rates[1], -rates[2], 0, rates[0]],
            [rates[2], rates[1], -rates[0], 0],
        ]
    )
    return np.concatenate(
        [
            velocity,
            force / p["mass"] - [0, 0, p["gravity"]],
            0.5 * spin @ quaternion,
            torque / inertia,
            acceleration,
        ]
    )


def command_of(action, airframe):
    p = dict(zip(PARAMETERS, airframe, strict=True))
    hover, top = p["hover_rotor_speed"], p["max_rotor_speed"]
    return np.where(action > 0, hover + action * (top - hover), hover * (1 + action))


def state_of(swarms):
    return np.concatenate(
        [
            swarms.position,
            swarms.velocity,
            swarms.attitude,
            swarms.body_rates,
            swarms.rotor_speeds,
        ],
        axis=-1,
    )[0].astype(float)


def fly_both(
    action_scale, substeps=1, num_drones=24, steps=20, randomization=None, seed=3, wind=(0, 0, 0)
):
    """Greatest position error, m, of the simulator against SciPy after ``steps`` control steps."""
    swarms = Swarms(
        "hover", 1, num_drones, seed=seed, substeps=substeps, randomization=randomization,
        disturbances=Disturbances(wind) if any(wind) else None,
    )  # fmt: skip
    swarms.reset()
    rng = np.random.default_rng(seed)
    state, airframes = state_of(swarms), swarms.airframes[0].astype(float)
    exact = state.copy()
    for _ in range(steps):
        actions = rng.uniform(-1, 1, (1, num_drones, 4)) * action_scale
        swarms.step(actions.astype(np.float32))
        for i in range(num_drones):
            commands = command_of(actions[0, i].astype(np.float32).astype(float), airframes[i])
            solution = solve_ivp(
                lambda _, y, c=commands, a=airframes[i]: equations(y, c, a, wind),
                (0, CONTROL_STEP),
                exact[i],
                rtol=1e-10,
                atol=1e-12,
            )
            exact[i] = solution.y[:, -1]
    flown = state_of(swarms)
    calm = ~(swarms.metrics()["crashes"] > 0)
    assert calm.all(), "nobody may leave the arena in this test"
    return np.linalg.norm(flown[:, :3] - exact[:, :3], axis=1).max()


def near_hover() -> float:
    airframe = Airframe()
    return 10 / (airframe.max_rotor_speed - airframe.hover_rotor_speed)


def test_near_hover_within_a_tenth_of_a_millimetre():
    assert fly_both(near_hover()) < 1e-4


def test_full_range_within_ten_millimetres():
    assert fly_both(1.0, steps=20) < 0.010


def test_randomised_airframes_agree_too():
    assert fly_both(0.2, randomization=Randomization()) < 0.005


def test_drag_is_relative_to_the_wind():
    assert fly_both(0.2, num_drones=8, randomization=Randomization(), wind=(7, -4, 2)) < 0.005


def test_substeps_shrink_the_error_at_fourth_order():
    one, two = fly_both(1.0, num_drones=8), fly_both(1.0, substeps=2, num_drones=8)
    assert two < one / 10  # 16 in theory; float32 takes its share
    assert fly_both(1.0, substeps=4, num_drones=8) < two


def _alone(**options):
    """One drone that starts well above the floor."""
    swarms = Swarms("hover", 1, 1, **options)
    for seed in range(100):
        swarms.reset(seed=seed)
        if 3 < swarms.position[0, 0, 2] < 6:
            return swarms
    raise AssertionError("no start in the upper half")


def _held(swarms, action, steps):
    actions = np.broadcast_to(np.float32(action), (1, 1, 4)).copy()
    for _ in range(steps):
        swarms.step(actions)


def test_a_row_leads_back_to_its_airframe():
    airframe = Airframe(mass=2.0, inertia=(0.01, 0.02, 0.04), arm=0.2, max_rotor_speed=900.0)
    assert Airframe.from_row(airframe.as_row()) == airframe


def test_hover_stays_put():
    swarms = _alone()
    before = swarms.position
    _held(swarms, 0, 200)
    np.testing.assert_allclose(swarms.position, before, atol=2e-3)


def test_free_fall_without_drag():
    tau, g, t = 0.05, 9.81, 1.0
    swarms = _alone(airframe=Airframe(linear_drag=0, motor_time_constant=tau), substeps=4)
    start = swarms.position[0, 0, 2]
    _held(swarms, -1, 20)
    # The rotors spin down with time constant tau, so thrust decays as exp(-2 t / tau).
    thrust = g * (tau / 2) * (t - tau / 2 * (1 - np.exp(-2 * t / tau)))
    assert start - swarms.position[0, 0, 2] == pytest.approx(0.5 * g * t**2 - thrust, abs=1e-3)


def test_terminal_velocity():
    swarms = _alone(airframe=Airframe(mass=0.1, linear_drag=0.5))
    _held(swarms, -1, 40)  # ten time constants
    assert swarms.velocity[0, 0, 2] == pytest.approx(-0.1 * 9.81 / 0.5, rel=1e-3)


def test_rotor_step_response():
    swarms = _alone()
    _held(swarms, 1, 4)
    airframe = Airframe()
    gap = airframe.max_rotor_speed - airframe.hover_rotor_speed
    expected = airframe.max_rotor_speed - gap * np.exp(-0.2 / 0.1)
    np.testing.assert_allclose(swarms.rotor_speeds, expected, rtol=1e-3)


def test_accelerating_rotors_yaw_the_body():
    swarms = _alone()
    swarms.step(np.array([[[0.2, -0.2, 0.2, -0.2]]], np.float32))
    assert swarms.body_rates[0, 0, 2] > 0


@pytest.mark.parametrize(("rotor", "axis", "sign"), [(1, 0, 1), (3, 0, -1), (2, 1, 1), (0, 1, -1)])
def test_rotors_sit_on_the_body_axes(rotor, axis, sign):
    swarms = _alone()
    action = np.zeros((1, 1, 4), np.float32)
    action[..., rotor] = 0.1
    swarms.step(action)
    assert np.sign(swarms.body_rates[0, 0, axis]) == sign


def test_quaternions_stay_unit():
    swarms = Swarms("flag", 2, 64, seed=0)
    swarms.reset()
    rng = np.random.default_rng(0)
    for _ in range(200):
        swarms.step(rng.uniform(-1, 1, (2, 64, 4)).astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(swarms.attitude, axis=-1), 1, atol=1e-6)
