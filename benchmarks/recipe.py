"""Train the policies that come with the package: see recipe.md.

    python benchmarks/recipe.py runs/recipe              # flag, then swarm
    python benchmarks/recipe.py runs/recipe --only flag

``flag`` is what ``drone-formation train DroneFlag-v0 --seed 0`` trains.  ``swarm`` is
``drone-formation train DroneSwarm-v0 --seed 0`` with random clouds of targets among its tasks.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from drone_formation import tasks
from drone_formation.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=("flag", "swarm"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, help="per policy, for a trial")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    mixture = tasks.TASKS["swarm"]
    tasks.TASKS["swarm"] = replace(mixture, of=(*mixture.of, "formation"))
    for name in ("flag", "swarm") if arguments.only is None else (arguments.only,):
        train(
            name, seed=arguments.seed, timesteps=arguments.timesteps,
            threads=arguments.threads, out=arguments.folder / name,
        )  # fmt: skip


if __name__ == "__main__":
    main()
