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
    seed: int = 0  #: added to the one asked for


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


def later(
    timesteps: int, conflict: float, follow: float, collision: float = 20.0, **more: Any
) -> Settings:
    """Settings of a stage that goes on from a mean, with less noise and smaller steps."""
    return finer(
        timesteps, 4e-4, conflict, follow, collision, renewed_log_sigma=-2.2, **more
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
    # From their mean: with slots assigned so that few paths cross it pays to be quick; and a crowd
    "brisk": Stage(
        "swarm", later(16_000_000, 0.5, 0.9, assignment="optimal"), "mean", HARDER
    ),
    "again": Stage(
        "swarm", later(16_000_000, 0.4, 0.9, assignment="optimal"), "mean", HARDER, seed=1
    ),
    "herd": Stage(
        "swarm", later(14_000_000, 0.5, 1.0, 15.0, rows=4096, rollout=16), "mean", HARDER,
        num_drones=512,
    ),
    # The same from the mean of these
    "brisker": Stage(
        "swarm", later(15_000_000, 0.4, 0.8, assignment="optimal"), "second", HARDER
    ),
    "flock": Stage(
        "swarm", later(14_000_000, 0.4, 0.8, 15.0, rows=4096, rollout=16), "second", HARDER,
        num_drones=512,
    ),
    # And once more in a crowd, from the mean of these
    "host": Stage(
        "swarm", later(14_000_000, 0.4, 0.8, 15.0, rows=4608, rollout=16), "third", HARDER,
        num_drones=768,
    ),
}  # fmt: skip


#: Weighted means of policies that set out from the same one: each flies better than any of its
#: parts (Wortsman et al., "Model soups", 2022).  The last is shipped as swarm.npz.
MEANS = {
    "mean": {"fine": 1, "crowd": 1, "throng": 1},
    "second": {"mean": 1, "brisk": 1, "again": 1, "herd": 1},
    "third": {"brisker": 1, "flock": 1},
    "swarm": {"brisker": 4, "flock": 3, "host": 3},
}

#: What leads to swarm.npz, in order.
SWARM = (
    "joint", "fine", "crowd", "throng", "mean", "brisk", "again", "herd", "second", "brisker",
    "flock", "third", "host", "swarm",
)  # fmt: skip


def average(folder: Path, name: str) -> None:
    """Write the mean of some policies' networks to the folder."""
    parts = [load_pilot(find(folder, part)) for part in MEANS[name]]
    weights = list(MEANS[name].values())
    arrays = {
        array: np.average([part.arrays[array] for part in parts], axis=0, weights=weights)
        for array in parts[0].arrays
    }
    runs = SWARM[: SWARM.index(name)]
    made_by = [load_pilot(folder / run).metadata for run in runs if run in STAGES]
    about = {
        **parts[0].metadata,
        "seed": made_by[0]["seed"],
        "command": f"python benchmarks/recipe.py {folder} --only {' '.join(runs)} {name}",
        "steps": sum(stage["steps"] for stage in made_by),
        "seconds": round(sum(stage["seconds"] for stage in made_by), 1),
    }
    pilot = TrainedPilot(arrays, parts[0].neighbours, about)
    tasks.TASKS["swarm"] = replace(tasks.TASKS["swarm"], of=FORMING)
    found = evaluate(pilot, "swarm", 50, neighbours=pilot.neighbours)
    print(found.as_table())
    pilot.metadata["evaluation"] = found.as_dict()
    pilot.save(folder / f"{name}.npz")


def find(folder: Path, name: str) -> Path:
    """Where a stage's run or a mean is."""
    return folder / (f"{name}.npz" if name in MEANS else name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    steps = ["flag", "race", "calm", *SWARM]
    parser.add_argument("--only", choices=steps, nargs="+", default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, help="per stage, for a trial")
    arguments = parser.parse_args()
    mixture = tasks.TASKS["swarm"]
    for name in arguments.only:
        if name in MEANS:
            average(arguments.folder, name)
            continue
        stage = STAGES[name]
        tasks.TASKS["swarm"] = replace(mixture, of=stage.of or mixture.of)
        train(
            stage.task, seed=arguments.seed + stage.seed, timesteps=arguments.timesteps,
            settings=stage.settings, init_from=stage.start and find(arguments.folder, stage.start),
            num_drones=stage.num_drones, out=arguments.folder / name,
        )  # fmt: skip


if __name__ == "__main__":
    main()
