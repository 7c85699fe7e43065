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

import numpy as np

from drone_formation import load_pilot, tasks
from drone_formation.evaluation import evaluate
from drone_formation.pilots.trained import TrainedPilot
from drone_formation.training import SETTINGS, Settings, train

#: What the mixed task draws from: random clouds of targets too, but no race.
FORMING = ("idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "formation")
#: The same, and the two in which most collide twice as often.
HARDER = (*FORMING, "flag", "follow")


@dataclass(frozen=True)
class Stage:
    """One training run: its task and settings, where it starts, what a mixed task draws from."""

    task: str
    settings: Settings
    start: str | None = None
    of: tuple[str, ...] = ()
    num_drones: int = 64


def finer(
    timesteps: int, rate: float, conflict: float, follow: float, collision: float = 15.0,
    **more: Any,
) -> Settings:  # fmt: skip
    """Settings of a stage that goes on from another.

    ``conflict``: what meetings ahead cost; ``follow``: the same in its ball, the densest formation.
    """
    settings = SETTINGS["swarm"]
    reward = replace(settings.reward, collision=collision, conflict=conflict)
    return replace(
        settings, timesteps=timesteps, minibatch=8192, learning_rate=rate, reward=reward,
        reward_of={"follow": replace(reward, conflict=follow)}, **more,
    )  # fmt: skip


STAGES = {
    # ``drone-formation train DroneFlag-v0`` and ``DroneRace-v0``
    "flag": Stage("flag", SETTINGS["flag"]),
    "race": Stage("race", SETTINGS["race"]),
    # Dearer collisions and meetings, for a race that is fast already: shipped as race.npz
    "calm": Stage(
        "race",
        replace(
            SETTINGS["race"], timesteps=24_000_000, minibatch=8192, learning_rate=6e-4,
            leniency=0.0, renewed_log_sigma=-2.0,
            reward=replace(SETTINGS["race"].reward, collision=15.0, conflict=0.3),
        ),
        "race",
    ),
    "joint": Stage("swarm", SETTINGS["swarm"], of=FORMING),
    # Smaller steps of learning and dearer collisions, then in crowds
    "fine": Stage(
        "swarm", finer(30_000_000, 8e-4, 0.4, 0.8), "joint", HARDER
    ),
    "crowd": Stage(
        "swarm",
        finer(25_000_000, 6e-4, 0.4, 0.8, renewed_log_sigma=-2.0, rows=3072, rollout=24),
        "fine", HARDER, num_drones=384,
    ),
    "throng": Stage(
        "swarm",
        finer(20_000_000, 6e-4, 0.3, 0.5, 6.0, renewed_log_sigma=-2.0, rows=4096, rollout=16),
        "fine", HARDER, num_drones=512,
    ),
    # With slots assigned so that few paths cross, where it pays to be quick
    "brisk": Stage(
        "swarm",
        finer(20_000_000, 6e-4, 0.4, 0.8, renewed_log_sigma=-2.0, assignment="optimal"),
        "fine", HARDER,
    ),
}  # fmt: skip


#: Policies that set out from the same one, and whose mean flies better than any of them
#: (Wortsman et al., "Model soups", 2022): shipped as swarm.npz.
AVERAGED = ("fine", "crowd", "throng")


def average(folder: Path) -> None:
    """Write the mean of the averaged policies' networks to ``folder / "swarm.npz"``."""
    stages = {name: load_pilot(folder / name) for name in ("joint", *AVERAGED)}
    parts = [stages[name] for name in AVERAGED]
    arrays = {
        name: np.mean([part.arrays[name] for part in parts], axis=0) for name in parts[0].arrays
    }
    made_by = [stage.metadata for stage in stages.values()]
    about = {
        **parts[0].metadata,
        "command": f"python benchmarks/recipe.py {folder} --only {' '.join(stages)} average",
        "steps": sum(stage["steps"] for stage in made_by),
        "seconds": round(sum(stage["seconds"] for stage in made_by), 1),
    }
    pilot = TrainedPilot(arrays, parts[0].neighbours, about)
    tasks.TASKS["swarm"] = replace(tasks.TASKS["swarm"], of=FORMING)
    found = evaluate(pilot, "swarm", 50, neighbours=pilot.neighbours)
    print(found.as_table())
    pilot.metadata["evaluation"] = found.as_dict()
    pilot.save(folder / "swarm.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    steps = [*STAGES, "average"]
    parser.add_argument("--only", choices=steps, nargs="+", default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, help="per stage, for a trial")
    arguments = parser.parse_args()
    mixture = tasks.TASKS["swarm"]
    for name in arguments.only:
        if name == "average":
            average(arguments.folder)
            continue
        stage = STAGES[name]
        tasks.TASKS["swarm"] = replace(mixture, of=stage.of or mixture.of)
        train(
            stage.task, seed=arguments.seed, timesteps=arguments.timesteps,
            settings=stage.settings, init_from=stage.start and arguments.folder / stage.start,
            num_drones=stage.num_drones, out=arguments.folder / name,
        )  # fmt: skip


if __name__ == "__main__":
    main()
