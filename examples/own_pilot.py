"""Two pilots of your own: a function of what drones observe, and a class that sees the simulator.

Both command thrust and body rates.  Once this file is where Python finds modules,

    drone-formation evaluate flag --pilot own_pilot:MyPilot

flies the class, and so do ``fly`` and ``record``.  Run as a script, it measures both, and hovering.
"""

import argparse

import numpy as np

from drone_formation import Swarms, evaluate
from drone_formation.control import MAX_RATES
from drone_formation.observation import OFFSET_SCALES, VELOCITY_SCALE, observation_table

#: Fastest approach, m/s; how quickly speeds and angles are corrected, 1/s.
SPEED, SPEED_GAIN, TILT_GAIN = 5.0, 2.0, 8.0
#: Most that a drone leans, as sideways thrust in weights; and its greatest thrust, likewise.
STEEPEST, STRONGEST = 0.8, 6.9
WHERE = {row.name: row.columns for row in observation_table()}


def unsquashed(seen: np.ndarray, scale: float) -> np.ndarray:
    """The vector v, of which v / (scale + |v|) is observed."""
    share = np.linalg.norm(seen, axis=-1, keepdims=True)
    return scale * seen / np.maximum(1 - share, 1e-3)


def limited(vector: np.ndarray, most: float) -> np.ndarray:
    """The vector, shortened to a length where it is longer."""
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True) / most, 1)


def steer(observations: np.ndarray) -> np.ndarray:
    """Actions (S, N, 4): thrust and body rates that fly each drone to its target, (S, N, D)."""
    offset = unsquashed(observations[..., WHERE["target_offset_far"]], OFFSET_SCALES[0])
    velocity = unsquashed(observations[..., WHERE["relative_velocity"]], VELOCITY_SCALE)
    wanted = SPEED_GAIN * (limited(0.8 * offset, SPEED) - velocity)  # acceleration, m/s^2
    # The force in weights, in the body frame: its z is the thrust, and z is turned towards it.
    force = limited(wanted / 9.81, STEEPEST) + observations[..., WHERE["up"]]
    extra = force[..., 2] - 1
    thrust = np.where(extra > 0, extra / (STRONGEST - 1), extra)
    roll, pitch = (
        -force[..., 1] * TILT_GAIN / MAX_RATES[0],
        force[..., 0] * TILT_GAIN / MAX_RATES[1],
    )
    return np.stack([thrust, roll, pitch, np.zeros_like(thrust)], axis=-1)


class MyPilot:
    """Steers likewise, but lets the drones leave one after the other, the nearest first."""

    #: Keywords of ``Swarms`` that the pilot needs; the command line reads them.
    options = {"control": "body_rates"}  # noqa: RUF012

    def __init__(self, interval: float = 0.1) -> None:
        self.interval = interval

    def act(self, swarms: Swarms) -> np.ndarray:
        """Actions (S, N, 4), from the ground-truth state."""
        if swarms.steps.max() == 0:  # a new episode
            self.turn = swarms.distance.argsort(axis=1).argsort(axis=1)
        gone = self.turn * self.interval <= swarms.time[:, None]
        return np.where(gone[..., None], steer(swarms.observations), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", default="flag")
    parser.add_argument("--drones", type=int, default=64)
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1024)
    args = parser.parse_args()
    for pilot in ("hover", steer, MyPilot()):
        found = evaluate(
            pilot, args.task, args.episodes, args.drones, max_steps=args.steps, control="body_rates"
        )
        perf, near = (found.statistic(name).value for name in ("perf", "within_half_metre"))
        print(f"{found.pilot}: perf {perf:.3f}, {near:.0%} of the drones within half a metre")


if __name__ == "__main__":
    main()
