"""A reward term and an observation slice of your own, as NumPy functions of the whole simulator.

The task is the flag, but drones are paid for keeping away from the walls, and see how near the
nearest one is.  Importing this module registers it, so that

    drone-formation train own_reward:CAREFUL_FLAG

trains it once this file is where Python finds modules.  Run as a script, it trains for a few
seconds and says what the term has paid.
"""

import argparse

import numpy as np

from drone_formation import ObservationTerm, RewardTerm, Swarms, Task, register_task
from drone_formation.formations import flag


def room(swarms: Swarms) -> np.ndarray:
    """Distances (S, N) to the nearest wall, floor or ceiling, m."""
    return np.min(swarms.arena - np.abs(swarms.position), axis=2)


def near_wall(swarms: Swarms) -> np.ndarray:
    """(S, N): 0 from 2 m off the walls on, 1 at one; drones that are gone read NaN, as they are."""
    return np.clip(1 - room(swarms) / 2, 0, 1)


def shown(swarms: Swarms) -> np.ndarray:
    """The same as a slice, (S, N, 1)."""
    return near_wall(swarms)[..., None]


CAREFUL_FLAG = register_task(
    Task(
        "careful_flag", "the swarm forms the flag and keeps away from the walls", flag,
        reward_terms=(RewardTerm("wall", near_wall, weight=-0.1),),
        observation_terms=(ObservationTerm("wall", 1, shown, meaning="how near a wall is"),),
    )
)  # fmt: skip


def main() -> None:
    from drone_formation import evaluate, train

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=200_000)
    parser.add_argument("--drones", type=int, default=64)
    parser.add_argument("--out", default="runs/careful_flag")
    args = parser.parse_args()
    result = train(
        "careful_flag", timesteps=args.timesteps, num_drones=args.drones, out=args.out,
        evaluation_episodes=0,
    )  # fmt: skip
    options = {"num_drones": args.drones, "max_steps": 256}
    for pilot in ("random", result.pilot):
        found = evaluate(pilot, "careful_flag", 4, **options)
        paid, whole = (found.statistic(name) for name in ("return_wall", "episode_return"))
        print(f"{found.pilot}: return_wall {paid.value:.3f} of episode_return {whole.value:.3f}")


if __name__ == "__main__":
    main()
