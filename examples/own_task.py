"""Two tasks of your own: a figure of eight, and a flag that waves in the wind.

Importing this module registers them, so that ``gymnasium.make("own_task:DroneFigureEight-v0")``
and ``drone-formation evaluate own_task:FIGURE_EIGHT`` find them.  A distribution of your own makes
their names known by an entry point:

    [project.entry-points."drone_formation.tasks"]
    figure_eight = "own_task:FIGURE_EIGHT"
    waving_flag = "own_task:WAVING_FLAG"

Run as a script, it lets the classical pilot fly one of them.
"""

import argparse

import numpy as np

from drone_formation import Formation, RewardWeights, Swarms, Task, Trajectory, register_task
from drone_formation.formations import flag, rainbow
from drone_formation.tasks import Setting

# The curve is size * (sin a, sin(2 a) / 2, 0.3 cos a): as a Fourier series of the angle a, the
# coefficients of its first and second harmonic.  Where it crosses itself, one branch is above.
COSINE = np.array([[0, 0, 0.3], [0, 0, 0]])
SINE = np.array([[1, 0, 0], [0, 0.5, 0]])


def size(num_drones: int, separation: float) -> float:
    """How large the curve must be for drones at equal angles to keep their distance, m."""
    return max(12.0, 1.8 * separation, 0.26 * num_drones * separation)


def places(num_drones: int) -> np.ndarray:
    """The drones' angles on the curve (N,)."""
    return 2 * np.pi * np.arange(num_drones) / num_drones


def eight(num_drones: int, separation: float) -> Formation:
    """Drones along a figure of eight."""
    a = places(num_drones)[:, None]
    points = np.cos(a) * COSINE[0] + np.sin(a) * SINE[0] + np.sin(2 * a) * SINE[1]
    return Formation(size(num_drones, separation) * points, rainbow(num_drones))


def following(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """The drones follow each other around it at 2 m/s or less, from anywhere on it."""
    count = len(setting.formation.points)
    scale = size(count, setting.separation)
    angles = places(count) + rng.uniform(0, 2 * np.pi)
    rate = 2.0 / (1.5 * scale)
    return Trajectory.trailing(np.array([1, 2]), scale * COSINE, scale * SINE, angles, rate)


def reach(points: np.ndarray) -> np.ndarray:
    """How far the curve through some of its points goes, (3,), m."""
    scale = np.hypot(points[:, 0], points[:, 2] / 0.3).max()
    return scale * np.array([1, 0.5, 0.3])


def parked(
    room: np.ndarray, num_drones: int, separation: float, rng: np.random.Generator
) -> np.ndarray:
    """All start side by side near the ground, in random order."""
    side = int(np.ceil(np.sqrt(num_drones)))
    row, column = np.divmod(rng.permutation(num_drones), side)
    middle, gap = (side - 1) / 2, 1.2 * separation
    height = np.full(num_drones, -0.9 * room[2])
    return np.stack([gap * (row - middle), gap * (column - middle), height], axis=1)


def waving(setting: Setting, rng: np.random.Generator) -> Trajectory:
    """Waves run through the flag from its mast, where it stays, to its end."""
    points = setting.formation.points
    along = points[:, 1] - points[:, 1].min()
    amplitude = 1.5 * along / max(along.max(), 1.0)
    return Trajectory.waving(points, amplitude, wavelength=12.0, period=rng.uniform(5, 8))


FIGURE_EIGHT = register_task(
    Task(
        "figure_eight", "the drones follow each other along a figure of eight", eight, following,
        reach, start=parked, reward=RewardWeights(approach=0.5, collision=5.0),
    )
)  # fmt: skip
WAVING_FLAG = register_task(
    Task("waving_flag", "a flag waves in the wind", flag, waving, margin=(1.5, 0, 0))
)


def main() -> None:
    from drone_formation.pilots.classical import ClassicalPilot

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", default="figure_eight")
    parser.add_argument("--drones", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    steps = round(args.seconds / 0.05)
    swarms = Swarms(args.task, 1, args.drones, seed=0, max_steps=steps)
    pilot = ClassicalPilot()
    swarms.reset()
    for _ in range(steps):
        swarms.step(pilot.act(swarms))
    metrics = {name: values[0] for name, values in swarms.metrics().items()}
    print(f"{metrics['on_target']:.0%} of the drones are on target, "
          f"{metrics['collisions']:.2f} collisions per drone-minute")  # fmt: skip


if __name__ == "__main__":
    main()
