"""Airframes: the physical parameters of a quadrotor, and how they are randomised.

All values are SI: kilograms, metres, newtons, seconds, radians.  The body frame
has x forward, y left, z up; rotors 0, 1, 2, 3 sit at +x, +y, -x, -y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

#: Seconds between two actions: every task is controlled at 20 Hz.
CONTROL_STEP = 0.05

#: The order in which the compiled code reads a drone's parameters.
PARAMETERS = (
    "mass",
    "inertia_x",
    "inertia_y",
    "inertia_z",
    "arm",
    "thrust_coefficient",
    "torque_ratio",
    "linear_drag",
    "angular_damping",
    "gravity",
    "max_rotor_speed",
    "motor_time_constant",
    "rotor_inertia",
    "hover_rotor_speed",
)


def _is_number(value: object) -> bool:
    """Whether it is a real number; a bool is not."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _numbers(values: Any, count: int) -> tuple[float, ...] | None:
    """``count`` real numbers, as floats; None when they are not that."""
    try:
        values = tuple(values)
    except TypeError:
        return None
    if len(values) != count or not all(map(_is_number, values)):
        return None
    return tuple(map(float, values))


@dataclass(frozen=True)
class Airframe:
    """A quadrotor's physical parameters.

    The defaults are those of the small quadrotor in PufferLib's ``drone_swarm``
    environment, so that results compare.

    Attributes:
        mass: kg.
        inertia: principal moments about the body axes x, y, z, kg·m².
        arm: distance from the centre to each rotor, m.
        thrust_coefficient: a rotor at speed w pushes with ``thrust_coefficient * w**2``,
            N/(rad/s)².
        torque_ratio: yaw torque per newton of thrust, m.
        linear_drag: drag force per speed, N/(m/s).
        angular_damping: damping torque per body rate, N·m/(rad/s).
        gravity: m/s².
        max_rotor_speed: rad/s.
        motor_time_constant: time constant of the first-order rotor lag, s.
        rotor_inertia: spin inertia of one rotor, kg·m²; a rotor that accelerates yaws the body.

    Raises:
        ValueError: a parameter is not finite or not in its range, or the drone is too
            heavy to hover.
        TypeError: a parameter is not a number.
    """

    mass: float = 1.0
    inertia: tuple[float, float, float] = (0.01, 0.01, 0.02)
    arm: float = 0.1
    thrust_coefficient: float = 3e-5
    torque_ratio: float = 1e-6
    linear_drag: float = 0.1
    angular_damping: float = 0.2
    gravity: float = 9.81
    max_rotor_speed: float = 750.0
    motor_time_constant: float = 0.1
    rotor_inertia: float = 1e-5

    def __post_init__(self) -> None:
        inertia = _numbers(self.inertia, 3)
        if inertia is None:
            raise TypeError(f"Airframe: inertia must be three numbers, got {self.inertia!r}")
        object.__setattr__(self, "inertia", inertia)
        may_be_zero = {"torque_ratio", "linear_drag", "angular_damping", "rotor_inertia"}
        for field in fields(self):
            values = inertia if field.name == "inertia" else (getattr(self, field.name),)
            for value in values:
                if not _is_number(value):
                    raise TypeError(f"Airframe: {field.name} must be a number, got {value!r}")
                if field.name in may_be_zero:
                    if not 0 <= value <= 1e12:  # false for a NaN, too
                        raise ValueError(
                            f"Airframe: {field.name} must be from 0 to 1e12, got {value!r}"
                        )
                elif not 1e-30 <= value <= 1e12:
                    raise ValueError(
                        f"Airframe: {field.name} must be positive (1e-30 to 1e12), got {value!r}"
                    )
        if self.hover_rotor_speed >= self.max_rotor_speed:
            raise ValueError(
                f"Airframe: cannot hover: it would need {self.hover_rotor_speed:.0f} rad/s and "
                f"max_rotor_speed is {self.max_rotor_speed:.0f}"
            )

    @property
    def hover_rotor_speed(self) -> float:
        """Rotor speed at which four rotors carry the weight, rad/s."""
        return math.sqrt(self.mass * self.gravity / (4 * self.thrust_coefficient))

    @property
    def max_thrust(self) -> float:
        """Thrust of all four rotors at top speed, N."""
        return 4 * self.thrust_coefficient * self.max_rotor_speed**2

    @property
    def fastest_rate(self) -> float:
        """The fastest decay in the equations of motion, 1/s: it bounds the time step."""
        return max(
            1 / self.motor_time_constant,
            self.angular_damping / min(self.inertia),
            self.linear_drag / self.mass,
        )

    @classmethod
    def from_row(cls, row: np.ndarray) -> Airframe:
        """The opposite of :meth:`as_row`.

        Raises:
            ValueError: a parameter is not allowed, or ``hover_rotor_speed`` does not follow from
                the others.
        """
        *given, hover = (float(number) for number in row)
        mass, x, y, z, *rest = given
        airframe = cls(mass, (x, y, z), *rest)
        if not math.isclose(hover, airframe.hover_rotor_speed, rel_tol=1e-3):
            raise ValueError(
                f"Airframe: hover_rotor_speed must be {airframe.hover_rotor_speed:.6g}, which "
                f"carries the weight, got {hover:.6g}"
            )
        return airframe

    def as_row(self) -> np.ndarray:
        """The parameters in the order of ``PARAMETERS``, float64, shape ``(14,)``."""
        return np.array(
            [
                self.mass,
                *self.inertia,
                self.arm,
                self.thrust_coefficient,
                self.torque_ratio,
                self.linear_drag,
                self.angular_damping,
                self.gravity,
                self.max_rotor_speed,
                self.motor_time_constant,
                self.rotor_inertia,
                self.hover_rotor_speed,
            ]
        )


@dataclass(frozen=True)
class Randomization:
    """How each drone's airframe varies around the given one, redrawn at every reset.

    A size (arm length) is drawn, the other parameters follow it by geometric scaling
    (mass as size³, inertia as mass·size², thrust as mass·size, damping as inertia, drag as
    size², top rotor speed as 1/size), and then each is multiplied by its own random factor.

    Attributes:
        size: least and greatest arm length, m.
        spread: half-width of the random factor on each parameter, as a share of it.
        gravity_spread: the same for gravity.

    Raises:
        ValueError: a range is empty, not finite or not positive, or a spread is outside [0, 0.1]
            (beyond a tenth, a drone may be too weak to fly).
        TypeError: one of them is not a number, or size is not two numbers.
    """

    size: tuple[float, float] = (0.1, 0.4)
    spread: float = 0.1
    gravity_spread: float = 0.01

    def __post_init__(self) -> None:
        size = _numbers(self.size, 2)
        if size is None:
            raise TypeError(f"Randomization: size must be two numbers, got {self.size!r}")
        object.__setattr__(self, "size", size)
        low, high = size
        if not (math.isfinite(low) and math.isfinite(high) and 0 < low <= high):
            raise ValueError(f"Randomization: size must be 0 < low <= high, got {self.size!r}")
        for name in ("spread", "gravity_spread"):
            value = getattr(self, name)
            if not _is_number(value):
                raise TypeError(f"Randomization: {name} must be a number, got {value!r}")
            if not (math.isfinite(value) and 0 <= value <= 0.1):
                raise ValueError(f"Randomization: {name} must be within [0, 0.1], got {value!r}")

    def weakest(self, airframe: Airframe) -> float:
        """Least thrust-to-weight ratio that can be drawn around ``airframe``."""
        ratio = self.size[1] / airframe.arm
        nominal = airframe.max_thrust / (airframe.mass * airframe.gravity) / ratio
        low, high = 1 - self.spread, 1 + self.spread
        return nominal * low * low**2 / (high * (1 + self.gravity_spread))

    def sample(self, airframe: Airframe, num_drones: int, rng: np.random.Generator) -> np.ndarray:
        """Draw airframes: float64, shape ``(num_drones, 14)``, columns as ``PARAMETERS``."""
        rows = np.tile(airframe.as_row(), (num_drones, 1))
        column = {name: rows[:, i] for i, name in enumerate(PARAMETERS)}
        ratio = rng.uniform(*self.size, num_drones) / airframe.arm
        column["mass"] *= ratio**3
        for axis in "xyz":
            column[f"inertia_{axis}"] *= ratio**5
        column["arm"] *= ratio
        column["thrust_coefficient"] *= ratio**4
        column["linear_drag"] *= ratio**2
        column["angular_damping"] *= ratio**5
        column["max_rotor_speed"] /= ratio
        factors = rng.uniform(1 - self.spread, 1 + self.spread, (num_drones, len(PARAMETERS)))
        factors[:, PARAMETERS.index("gravity")] = rng.uniform(
            1 - self.gravity_spread, 1 + self.gravity_spread, num_drones
        )
        rows *= factors
        column["hover_rotor_speed"][:] = np.sqrt(
            column["mass"] * column["gravity"] / (4 * column["thrust_coefficient"])
        )
        return rows
