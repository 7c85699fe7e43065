"""What actions mean, in each control mode, as ``control.ACTION_SLICES`` says."""

from __future__ import annotations

import numpy as np
import pytest

from drone_formation import Airframe, Randomization, Swarms
from drone_formation.airframe import PARAMETERS
from drone_formation.control import ACTION_SLICES, CONTROL_MODES, MAX_RATES

from .helpers import hover

ARENA = (200.0, 200.0, 200.0)
#: Rotors that turn the body about the vertical, too, and a body that the air does not hold.
AGILE = Airframe(torque_ratio=0.02, angular_damping=0.01)


def flying(control: str, airframe: Airframe | None = None, count: int = 20, **options) -> Swarms:
    swarms = Swarms(
        "hover", 1, count, seed=0, control=control, airframe=airframe, arena=ARENA, **options
    )
    swarms.reset()
    # In the middle of the arena, where there is room to every side
    swarms.place(np.stack([2.0 * np.arange(count), np.zeros(count), np.zeros(count)], axis=1)[None])
    return swarms


def held(swarms: Swarms, actions: np.ndarray, steps: int) -> None:
    """Hold actions (N, 4)."""
    for _ in range(steps):
        swarms.step(np.float32(actions)[None])


@pytest.mark.parametrize("control", CONTROL_MODES)
def test_a_mode_has_four_actions_and_zero_hovers(control):
    assert sum(size for _, size, *_ in ACTION_SLICES[control]) == 4
    for randomization in (None, Randomization()):
        swarms = flying(control, randomization=randomization)
        held(swarms, np.zeros((20, 4)), 60)
        assert swarms.distance.max() < 0.01
        assert np.abs(swarms.body_rates).max() < 1e-4


def test_motor_actions_are_rotor_speeds():
    """0 hovers, 1 is the top speed, -1 a stop, and between these it is linear."""
    airframe = Airframe(motor_time_constant=0.02)
    swarms = flying("motor", airframe, 4)
    actions = np.array([[0.0, 0.5, -0.5, 1.0], [-1, 0, 1, 0.25], [2, -2, 0, 0], [0, 0, 0, -0.1]])
    held(swarms, actions, 20)
    level = np.clip(actions, -1, 1)
    low, top = airframe.hover_rotor_speed, airframe.max_rotor_speed
    expected = low + level * np.where(level > 0, top - low, low)
    np.testing.assert_allclose(swarms.rotor_speeds[0], expected, rtol=1e-4, atol=0.05)


@pytest.mark.parametrize("steps", [40])
@pytest.mark.parametrize(("airframe", "error"), [(AGILE, 0.01), (Airframe(), 0.05)])
def test_rates_settle_where_they_are_commanded(airframe, error, steps):
    """After 2 s within 1 %, and within 5 % of the default airframe's roll and pitch.

    The air damps the latter's rates at 20/s, far faster than its rotors answer (10/s).
    """
    axes = 3 if airframe is AGILE else 2
    commanded = np.zeros((6, 3))
    commanded[:axes, :axes] = np.eye(axes)
    commanded[3:, :axes] = [[-1, 0.5, 0.2][:axes], [0.5, 0.5, -0.3][:axes], [0, 0, 0][:axes]]
    swarms = flying("body_rates", airframe, 6)
    held(swarms, np.column_stack([np.zeros(6), commanded / MAX_RATES]), steps)
    np.testing.assert_allclose(swarms.body_rates[0], commanded, atol=error)


def test_an_axis_does_not_move_the_others():
    """Rolling alone, at once and for a second, neither pitches nor yaws."""
    swarms = flying("body_rates", AGILE, 3)
    actions = np.zeros((3, 4))
    actions[:, 1:] = np.diag([0.2, -0.2, 0.1])
    for _ in range(20):
        held(swarms, actions, 1)
        rates = swarms.body_rates[0]
        assert np.abs(rates[~np.eye(3, dtype=bool)]).max() < 5e-3
        assert (np.sign(np.diag(rates)) == [1, -1, 1]).all()


@pytest.mark.parametrize("level", [1.0, 0.4, 0.0, -0.5, -1.0])
def test_thrust_is_a_share_of_what_there_is(level):
    """0 carries the weight, 1 is all that the rotors can, -1 none; in between it is linear."""
    swarms = flying("body_rates", None, 5, randomization=Randomization())
    actions = np.zeros((5, 4))
    actions[:, 0] = level
    held(swarms, actions, 60)  # 3 s: the rotors have come to their speeds
    frames = dict(zip(PARAMETERS, swarms.airframes[0].astype(float).T, strict=True))
    weight = frames["mass"] * frames["gravity"]
    strongest = 4 * frames["thrust_coefficient"] * frames["max_rotor_speed"] ** 2
    expected = weight + level * (strongest - weight if level > 0 else weight)
    thrust = frames["thrust_coefficient"] * (swarms.rotor_speeds[0].astype(float) ** 2).sum(axis=1)
    np.testing.assert_allclose(thrust, expected, rtol=1e-3, atol=1e-3 * weight.max())
    assert np.abs(swarms.body_rates).max() < 1e-3


def test_no_command_is_beyond_what_rotors_can_do():
    """Full thrust and full rates at once: nothing is broken, and rotors stay within their range."""
    swarms = flying("body_rates", AGILE, 16, crash="respawn")
    rng = np.random.default_rng(0)
    for _ in range(60):
        result = swarms.step(np.sign(rng.normal(size=(1, 16, 4))).astype(np.float32))
        assert np.isfinite(result.observations).all()
        assert (swarms.rotor_speeds >= -1e-3).all()
        assert (swarms.rotor_speeds <= AGILE.max_rotor_speed * 1.0001).all()
    assert not swarms.faults.any()


def test_rates_are_held_at_every_physics_step():
    """With more substeps the loop is closed more often, and settles at the same rates."""
    found = []
    for substeps in (1, 5):
        swarms = flying("body_rates", AGILE, 2, substeps=substeps)
        held(swarms, np.array([[0, 0.1, 0.05, 0], [0, 0, 0, 0.1]]), 40)
        found.append(swarms.body_rates[0])
    np.testing.assert_allclose(*found, atol=2e-3)


def test_a_mode_is_part_of_no_snapshot():
    """As all arguments of the constructor; the state flies on in either."""
    swarms, other = flying("motor"), flying("body_rates")
    held(swarms, np.full((20, 4), 0.01), 3)
    other.set_state(swarms.get_state())
    np.testing.assert_array_equal(other.position, swarms.position)
    other.step(hover(other))
    assert other.control == "body_rates"


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match=r"control must be .*motor.*body_rates.* got 'rates'"):
        Swarms("flag", control="rates")
