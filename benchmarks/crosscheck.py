"""The same rotor commands flown by this simulator and by crazyflow, side by side.

    pip install "crazyflow==0.4.0"
    python benchmarks/crosscheck.py

crazyflow (learnsyslab, MIT licence) is an independent simulator in JAX.  Its first-principles model
is given this package's airframes: per drone mass, inertia, arm, thrust and torque curves, drag,
rotor lag and rotor inertia, in RPM, with rotors on the body axes.  It computes in double precision.

Compared are the equations themselves, at random states, and flights of one second.  What differs
between the models, and what is done about it:

- *angular damping* is in this model only.  crazyflow gets it through its own input for a
  disturbance torque, evaluated in every stage of the integration.
- *gyroscopic torque of the rotors* (body rates across the rotors' momentum) is in crazyflow only.
  It is taken back through the same input; the last row leaves it in, to show what it amounts to.
- *drag* is isotropic here and a matrix in the body frame there: a multiple of the unit matrix.
- *rotor lag* is linear here, and there a polynomial that differs between spinning up and down: its
  quadratic part is zero and both directions are alike.
- *integration*: both are RK4 at the same step.  This simulator adds the quaternion's stages up and
  normalises at the end of the step; crazyflow normalises in every stage and turns the attitude by
  the average of its body rates, which is of lower order where the axis of rotation moves.  Hence
  a comparison with RK4 of the textbook on crazyflow's equations, and one with short steps.
- *limits*: this simulator clamps speed and rates at 50 m/s and 50 rad/s, crazyflow the rotor
  commands to its own drones' and heights to the floor.  The latter two stages are removed, and
  no flight here reaches the former.

The exit status is 1 when a difference exceeds what is stated in ``ALLOWED``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import warnings
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # before crazyflow makes its first array

import jax.numpy as jnp  # noqa: E402
from crazyflow.control import Control  # noqa: E402
from crazyflow.dynamics import Dynamics  # noqa: E402
from crazyflow.dynamics.first_principles import Params, dynamics  # noqa: E402
from crazyflow.sim import Sim  # noqa: E402
from crazyflow.sim.dynamics import first_principles_dynamics  # noqa: E402
from crazyflow.sim.integration import Integrator, rk4  # noqa: E402
from jax.scipy.spatial.transform import Rotation as JaxRotation  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

from drone_formation import Airframe, Randomization, Swarms  # noqa: E402
from drone_formation.airframe import CONTROL_STEP, PARAMETERS  # noqa: E402
from drone_formation.sim import physics  # noqa: E402

RPM = 60 / (2 * np.pi)  # in a rad/s
LAYOUT = np.array([[0, 1, 0, -1], [-1, 0, 1, 0], [1, -1, 1, -1]], float)  # roll, pitch, yaw
DRONES, STEPS = 64, 20  # 20 control steps are one second
SUBSTEPS = 50  # of the comparison with short steps: 1 ms
QUANTITIES = {"position": "m", "velocity": "m/s", "attitude": "°", "body rates": "rad/s"}
NEAR_HOVER, WIDE = 0.05, 1.0  # greatest action: rotor speeds within 23 rad/s of hover, and all
#: Greatest differences allowed at short steps, where both have converged: float32 remains.
ALLOWED = {
    NEAR_HOVER: dict(zip(QUANTITIES, (1e-4, 5e-4, 0.01, 5e-4), strict=True)),
    WIDE: dict(zip(QUANTITIES, (1e-4, 5e-4, 0.02, 1e-3), strict=True)),
}
ALLOWED_OF_EQUATIONS = 1e-12


def parameters(airframes: np.ndarray) -> dict[str, np.ndarray]:
    """crazyflow's parameters for airframes (N, 14); every array has N in front."""
    p = dict(zip(PARAMETERS, np.asarray(airframes, float).T, strict=True))
    count, zero = len(airframes), np.zeros(len(airframes))
    unit = np.eye(3)
    inertia = np.stack([p["inertia_x"], p["inertia_y"], p["inertia_z"]], axis=1)
    thrust = p["thrust_coefficient"] / RPM**2
    quick = 1 / p["motor_time_constant"]
    return {
        "mass": p["mass"][:, None],
        "L": p["arm"][:, None],
        "prop_inertia": p["rotor_inertia"][:, None],
        "gravity_vec": np.stack([zero, zero, -p["gravity"]], axis=1),
        "J": inertia[:, None, :] * unit,
        "J_inv": unit / inertia[:, None, :],
        "rpm2thrust": np.stack([zero, zero, thrust], axis=1)[:, None, :],
        "rpm2torque": np.stack([zero, zero, p["torque_ratio"] * thrust], axis=1)[:, None, :],
        "mixing_matrix": np.broadcast_to(LAYOUT, (count, 3, 4)),
        "drag_matrix": -p["linear_drag"][:, None, None] * unit,
        "rotor_dyn_coef": np.stack([quick, zero, quick, zero], axis=1)[:, None, :],
    }


class Extra(NamedTuple):
    """The torque (body frame) by which crazyflow's model is made equal to this one.

    Attributes:
        damping: (N, 1), angular damping.
        rotor_inertia: (N, 1), whose gyroscopic torque is taken back; zero leaves it in.
    """

    damping: Any
    rotor_inertia: Any

    @classmethod
    def of(cls, airframes: np.ndarray, gyroscopic: bool = False) -> Extra:
        """For airframes (N, 14); ``gyroscopic`` leaves the rotors' gyroscopic torque in."""
        column = {name: airframes[:, i, None].astype(float) for i, name in enumerate(PARAMETERS)}
        inertia = column["rotor_inertia"]
        return cls(column["angular_damping"], inertia * (not gyroscopic))

    def torque(self, rates: Any, rotors: Any, xp: Any = np) -> Any:
        """(N, 3), given body rates in rad/s and rotor speeds in RPM, by NumPy or by JAX."""
        momentum = self.rotor_inertia * (rotors / RPM * LAYOUT[2]).sum(axis=-1, keepdims=True)
        p, q = rates[..., :1], rates[..., 1:2]
        gyroscopic = xp.concatenate([q * momentum, -p * momentum, 0 * momentum], axis=-1)
        return -self.damping * rates - gyroscopic


# ---- the equations -----------------------------------------------------------------------------


def their_derivative(
    state: np.ndarray, commands: np.ndarray, airframes: np.ndarray, extra: Extra
) -> np.ndarray:
    """crazyflow's time derivative of states (N, 17), laid out and in the units of this package."""
    scalar_last = np.roll(state[:, 6:10], -1, axis=1)
    rates, rotors = state[:, 10:13], state[:, 13:] * RPM
    torque = Rotation.from_quat(scalar_last).apply(extra.torque(rates, rotors))
    velocity, turning, acceleration, spinning, slewing = dynamics(
        state[:, :3], scalar_last, state[:, 3:6], rates, commands * RPM, rotors,
        dist_t=torque, **parameters(airframes),
    )  # fmt: skip
    turning = np.roll(turning, 1, axis=1)
    return np.concatenate([velocity, acceleration, turning, spinning, slewing / RPM], axis=1)


def our_derivative(state: np.ndarray, commands: np.ndarray, airframes: np.ndarray) -> np.ndarray:
    """The package's own, as written in ``sim/physics.py``, interpreted in double precision."""
    function = getattr(physics.derivative, "py_func", physics.derivative)
    still = np.zeros((3, len(state)))  # no force but rotors, drag and gravity
    return np.stack(function(state.T, commands.T, airframes.astype(float).T, still), axis=1)


def compare_equations(count: int = 10_000) -> float:
    """Greatest difference of derivatives at random states, as a share of the largest there is."""
    rng = np.random.default_rng(0)
    airframes = Randomization().sample(Airframe(), count, rng)
    state = rng.normal(size=(count, 17)) * np.repeat([10, 10, 1, 10], [3, 3, 4, 7])
    state[:, 6:10] /= np.linalg.norm(state[:, 6:10], axis=1, keepdims=True)
    top = airframes[:, PARAMETERS.index("max_rotor_speed"), None]
    state[:, 13:], commands = rng.uniform(0, top, (count, 4)), rng.uniform(0, top, (count, 4))
    ours = our_derivative(state, commands, airframes)
    theirs = their_derivative(state, commands, airframes, Extra.of(airframes))
    size = np.abs(ours).max(axis=0)
    return float((np.abs(ours - theirs) / size).max())


# ---- flights -----------------------------------------------------------------------------------


def commands_of(actions: np.ndarray, airframes: np.ndarray) -> np.ndarray:
    """Rotor speeds, rad/s, for actions (..., N, 4): 0 hovers, 1 is the top speed, -1 a stop."""
    hover = airframes[:, PARAMETERS.index("hover_rotor_speed"), None].astype(float)
    top = airframes[:, PARAMETERS.index("max_rotor_speed"), None].astype(float)
    return hover + actions * np.where(actions > 0, top - hover, hover)


def state_of(swarms: Swarms) -> np.ndarray:
    """The state of swarm 0 (N, 17)."""
    names = ("position", "velocity", "attitude", "body_rates", "rotor_speeds")
    return np.concatenate([getattr(swarms, name)[0] for name in names], axis=1).astype(float)


def fly_ours(swarms: Swarms, actions: np.ndarray) -> np.ndarray:
    """States (STEPS, N, 17) from the middle of the arena."""
    swarms.place(position=np.zeros((1, DRONES, 3)))
    flown = []
    for action in actions:
        swarms.step(action[None])
        flown.append(state_of(swarms))
    assert not swarms.metrics()["crashes"].any(), "a drone left the arena"
    found = np.array(flown)
    assert np.abs(found[..., 3:6]).max() < 50, "a clamp was reached"
    assert np.abs(found[..., 10:13]).max() < 50, "a clamp was reached"
    return found


def fly_textbook(
    start: np.ndarray, commands: np.ndarray, airframes: np.ndarray, extra: Extra, substeps: int
) -> np.ndarray:
    """The same by classical RK4 on crazyflow's equations, unit quaternions after every step."""
    state, flown, step = start.copy(), [], CONTROL_STEP / substeps
    for command in commands:
        for _ in range(substeps):
            k1 = their_derivative(state, command, airframes, extra)
            k2 = their_derivative(state + step / 2 * k1, command, airframes, extra)
            k3 = their_derivative(state + step / 2 * k2, command, airframes, extra)
            k4 = their_derivative(state + step * k3, command, airframes, extra)
            state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            state[:, 6:10] /= np.linalg.norm(state[:, 6:10], axis=1, keepdims=True)
        flown.append(state)
    return np.array(flown)


@cache
def simulator(frequency: int) -> Sim:
    """crazyflow's own, whose step adds the torque that ``data.plugins["extra"]`` describes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MuJoCo, about names that nothing here uses
        sim = Sim(
            n_worlds=1, n_drones=DRONES, dynamics=Dynamics.first_principles,
            control=Control.rotor_vel, integrator=Integrator.rk4, freq=frequency,
        )  # fmt: skip
    for stage in ("clip_rotor_vel_cmd", "clip_floor_pos"):
        del sim.step_pipeline[stage]

    def derivative(data: Any) -> Any:
        states = data.states
        torque = Extra(*data.plugins["extra"]).torque(states.ang_vel, states.rotor_vel, jnp)
        torque = JaxRotation.from_quat(states.quat).apply(torque)
        return first_principles_dynamics(data.replace(states=states.replace(torque=torque)))

    sim.step_pipeline["integration"] = lambda data: rk4(data, derivative)
    sim.build_step_fn()
    return sim


def fly_crazyflow(
    start: np.ndarray, commands: np.ndarray, airframes: np.ndarray, extra: Extra, substeps: int
) -> np.ndarray:
    """The same by crazyflow's own simulator and integrator."""
    sim = simulator(round(substeps / CONTROL_STEP))
    states = sim.data.states.replace(
        pos=jnp.asarray(start[None, :, :3]),
        vel=jnp.asarray(start[None, :, 3:6]),
        quat=jnp.asarray(np.roll(start[None, :, 6:10], -1, axis=2)),
        ang_vel=jnp.asarray(start[None, :, 10:13]),
        rotor_vel=jnp.asarray(start[None, :, 13:] * RPM),
    )
    given = {name: jnp.asarray(value[None]) for name, value in parameters(airframes).items()}
    extras = {"extra": tuple(jnp.asarray(part) for part in extra)}
    sim.data = sim.data.replace(states=states, params=Params(**given), plugins=extras)
    flown = []
    for command in commands:
        sim.rotor_vel_control(command[None] * RPM)
        sim.step(substeps)
        now = sim.data.states
        turned = np.roll(now.quat[0], 1, axis=1)
        parts = (now.pos[0], now.vel[0], turned, now.ang_vel[0], now.rotor_vel[0] / RPM)
        flown.append(np.concatenate(parts, axis=1))
    return np.array(flown)


def differences(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """The largest differences over drones and time, by quantity (see ``QUANTITIES``)."""
    first, second = (
        Rotation.from_quat(np.roll(flown[..., 6:10], -1, axis=-1).reshape(-1, 4))
        for flown in (ours, theirs)
    )
    return {
        "position": float(np.linalg.norm(ours[..., :3] - theirs[..., :3], axis=-1).max()),
        "velocity": float(np.linalg.norm(ours[..., 3:6] - theirs[..., 3:6], axis=-1).max()),
        "attitude": float(np.degrees((first.inv() * second).magnitude().max())),
        "body rates": float(np.linalg.norm(ours[..., 10:13] - theirs[..., 10:13], axis=-1).max()),
    }


def say(what: str, found: dict[str, float]) -> None:
    """One row."""
    cells = "".join(f"{found[name]:>17.1e}" for name in QUANTITIES)
    print(f"{what:<50}{cells}", flush=True)


def compare_flights(reach: float, title: str, **options) -> bool:
    """Fly one second in every way, print the differences; whether they are as allowed."""
    rng = np.random.default_rng(1)
    actions = rng.uniform(-reach, reach, (STEPS, DRONES, 4)).astype(np.float32)
    ours = {}
    for substeps in (1, SUBSTEPS):
        swarms = Swarms("hover", 1, DRONES, seed=0, substeps=substeps, **options)
        swarms.reset()
        airframes = swarms.airframes[0]
        start = state_of(swarms)
        ours[substeps] = fly_ours(swarms, actions)
    start[:, :3] = 0
    commands = commands_of(actions.astype(float), airframes)
    equal, alone = Extra.of(airframes), Extra.of(airframes, gyroscopic=True)
    speeds = np.linalg.norm(ours[1][..., 3:6], axis=-1).max()
    rates = np.linalg.norm(ours[1][..., 10:13], axis=-1).max()
    print(f"\n{title}: up to {speeds:.1f} m/s and {rates:.1f} rad/s")
    flights = [
        ("crazyflow's equations, textbook RK4, 50 ms", 1, fly_textbook, equal),
        ("crazyflow, its RK4, 50 ms", 1, fly_crazyflow, equal),
        ("crazyflow, its RK4, 1 ms", SUBSTEPS, fly_crazyflow, equal),
    ]
    if airframes[:, PARAMETERS.index("rotor_inertia")].any():
        flights.append(
            ("the same, with its rotors' gyroscopic torque", SUBSTEPS, fly_crazyflow, alone)
        )
    found = {}
    for what, substeps, fly, extra in flights:
        theirs = fly(start, commands, airframes, extra, substeps)
        found[what] = differences(ours[substeps], theirs)
        say(what, found[what])
    converged = found["crazyflow, its RK4, 1 ms"]
    return all(converged[name] <= ALLOWED[reach][name] for name in QUANTITIES)


def compare() -> bool:
    """Print all differences; whether they are as allowed."""
    worst = compare_equations()
    print(f"equations, 10,000 random states and airframes: within {worst:.1e} of the largest")
    print("\n" + " " * 50 + "".join(f"{f'{n}, {unit}':>17}" for n, unit in QUANTITIES.items()))
    plain = replace(Airframe(), angular_damping=0.0, rotor_inertia=0.0)
    sound = worst <= ALLOWED_OF_EQUATIONS
    for reach, where in ((NEAR_HOVER, "near hover"), (WIDE, "all rotor speeds")):
        for title, options in (
            ("default airframe", {}),
            ("without damping and rotor inertia: nothing is added", {"airframe": plain}),
            ("randomised airframes", {"randomization": Randomization()}),
        ):
            sound = compare_flights(reach, f"{where}, {title}", **options) and sound
    return sound


def main() -> int:
    """Compare, and say whether they agree; the exit status."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        sound = compare()  # MuJoCo, which crazyflow draws with, leaves a log where it is run
    print("\nthey agree" if sound else "\nTHEY DO NOT AGREE")
    return not sound


if __name__ == "__main__":
    sys.exit(main())
