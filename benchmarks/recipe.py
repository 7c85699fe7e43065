"""Train the policies that come with the package, stage by stage: see recipe.md.

python benchmarks/recipe.py runs/recipe              # all stages, each in a folder of its own
python benchmarks/recipe.py runs/recipe --only fine  # this one; what it starts from must exist
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from drone_formation import tasks
from drone_formation.training import SETTINGS, Settings, train

#: What the mixed task draws from: random clouds of targets too, but no race.
FORMING = ("idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "formation")


@dataclass(frozen=True)
class Stage:
    """One training run: its task and settings, where it starts, what a mixed task draws from."""

    task: str
    settings: Settings
    start: str | None = None
    of: tuple[str, ...] = ()
    num_drones: int = 64


def finer(timesteps: int, rate: float, conflict: float, follow: float, **more: Any) -> Settings:
    """Settings of a stage that goes on from another.

    ``conflict``: what meetings ahead cost; ``follow``: the same in its ball, the densest formation.
    """
    settings = SETTINGS["swarm"]
    reward = replace(settings.reward, collision=15.0, conflict=conflict)
    return replace(
        settings, timesteps=timesteps, minibatch=8192, learning_rate=rate, reward=reward,
        reward_of={"follow": replace(reward, conflict=follow)}, **more,
    )  # fmt: skip


STAGES = {
    # ``drone-formation train DroneFlag-v0`` and ``DroneRace-v0``; shipped as flag.npz and race.npz
    "flag": Stage("flag", SETTINGS["flag"]),
    "race": Stage("race", SETTINGS["race"]),
    "joint": Stage("swarm", SETTINGS["swarm"], of=FORMING),
    # Smaller steps of learning and dearer collisions, then in crowds; shipped as swarm.npz
    "fine": Stage(
        "swarm", finer(30_000_000, 8e-4, 0.4, 0.8), "joint", (*FORMING, "flag", "follow")
    ),
    "crowd": Stage(
        "swarm",
        finer(30_000_000, 6e-4, 0.2, 0.35, renewed_log_sigma=-2.0, rows=4096, rollout=16),
        "fine", (*FORMING, "flag", "follow"), num_drones=512,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, help="per stage, for a trial")
    arguments = parser.parse_args()
    mixture = tasks.TASKS["swarm"]
    for name in arguments.only:
        stage = STAGES[name]
        tasks.TASKS["swarm"] = replace(mixture, of=stage.of or mixture.of)
        train(
            stage.task, seed=arguments.seed, timesteps=arguments.timesteps,
            settings=stage.settings, init_from=stage.start and arguments.folder / stage.start,
            num_drones=stage.num_drones, out=arguments.folder / name,
        )  # fmt: skip


if __name__ == "__main__":
    main()
