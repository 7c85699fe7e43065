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

from drone_formation import Randomization, load_pilot, tasks
from drone_formation.evaluation import evaluate
from drone_formation.pilots.trained import TrainedPilot
from drone_formation.training import SETTINGS, Settings, train

#: What the mixed task draws from: random clouds of targets too, but no race.
FORMING = ("idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "formation")
#: The same, and the two in which most collide twice as often; then the conga line, too.
HARDER = (*FORMING, "flag", "follow")
HARDEST = (*HARDER, "conga")


@dataclass(frozen=True)
class Stage:
    """One training run: its task and settings, where it starts, what a mixed task draws from."""

    task: str
    settings: Settings
    start: str | None = None
    of: tuple[str, ...] = ()
    num_drones: int = 64
    seed: int = 0  #: added to the one asked for


def varied(timesteps: int, conflict: float, follow: float) -> Settings:
    """Settings of a stage in which every drone has an airframe of its own.

    From scratch: a policy that knows one airframe unlearns it for long.
    """
    settings = SETTINGS["swarm"]
    reward = replace(settings.reward, approach=0.5, conflict=conflict)
    return replace(
        settings, timesteps=timesteps, hidden=(96, 96), gae_lambda=0.9, reward=reward,
        randomization=Randomization(), symmetries=1,
        reward_of={"follow": replace(reward, conflict=follow)},
    )  # fmt: skip


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
    timesteps: int, conflict: float, follow: float, collision: float = 20.0
) -> Settings:  # fmt: skip
    """Settings of a stage that goes on from a mean, with less noise and smaller steps."""
    return finer(timesteps, 4e-4, conflict, follow, collision, renewed_log_sigma=-2.2)


def quick(
    start: str, settings: Settings, of: tuple[str, ...] = HARDER, seed: int = 0
) -> Stage:  # fmt: skip
    """A stage whose slots are assigned so that few paths cross, where it pays to be quick."""
    return Stage("swarm", replace(settings, assignment="optimal"), start, of, seed=seed)


def crowd(
    start: str, settings: Settings, num_drones: int, of: tuple[str, ...] = HARDER
) -> Stage:  # fmt: skip
    """A stage of swarms of hundreds, where it pays to be careful."""
    rows, rollout = {384: (3072, 24), 512: (4096, 16), 768: (4608, 16)}[num_drones]
    settings = replace(settings, rows=rows, rollout=rollout)
    return Stage("swarm", settings, start, of, num_drones)


STAGES = {
    # ``drone-formation train DroneFlag-v0`` and ``DroneRace-v0``; the latter is shipped
    "flag": Stage("flag", SETTINGS["flag"]),
    "race": Stage("race", SETTINGS["race"]),
    "joint": Stage("swarm", SETTINGS["swarm"], of=FORMING),
    # Smaller steps of learning and dearer collisions, then in crowds
    "fine": Stage(
        "swarm", finer(30_000_000, 8e-4, 0.4, 0.8), "joint", HARDER
    ),
    "crowd": crowd("fine", finer(25_000_000, 6e-4, 0.4, 0.8, renewed_log_sigma=-2.0), 384),
    "throng": crowd("fine", finer(20_000_000, 6e-4, 0.3, 0.5, 6.0, renewed_log_sigma=-2.0), 512),
    # Rounds of quick and careful stages, from their mean and then from the means of the rounds
    "brisk": quick("mean", later(16_000_000, 0.5, 0.9)),
    "again": quick("mean", later(16_000_000, 0.4, 0.9), seed=1),
    "herd": crowd("mean", later(14_000_000, 0.5, 1.0, 15.0), 512),
    "brisker": quick("second", later(15_000_000, 0.4, 0.8)),
    "flock": crowd("second", later(14_000_000, 0.4, 0.8, 15.0), 512),
    "host": crowd("third", later(14_000_000, 0.4, 0.8, 15.0), 768),
    "swift": quick("fourth", later(15_000_000, 0.45, 0.85), of=HARDEST),
    "legion": crowd("fourth", later(14_000_000, 0.45, 0.85, 15.0), 768, of=HARDEST),
    "swifter": quick("fifth", later(15_000_000, 0.8, 1.0, 30.0), of=HARDEST),
    "myriad": crowd("fifth", later(14_000_000, 0.45, 0.85, 15.0), 768, of=HARDEST),
    # Every drone with an airframe of its own: shipped as fleet.npz
    "fleet": Stage("swarm", varied(72_000_000, 0.4, 0.6), of=HARDEST),
}  # fmt: skip


#: Weighted means of policies that set out from the same one: each flies better than any of its
#: parts (Wortsman et al., "Model soups", 2022).  Shipped is "swarm".
MEANS = {
    "mean": {"fine": 1, "crowd": 1, "throng": 1},
    "second": {"mean": 1, "brisk": 1, "again": 1, "herd": 1},
    "third": {"brisker": 1, "flock": 1},
    "fourth": {"brisker": 4, "flock": 3, "host": 3},
    "fifth": {"swift": 1, "legion": 1},
    "swarm": {"fifth": 1, "swifter": 1, "myriad": 1},
}


def leading_to(name: str) -> list[str]:
    """The stages and means that a stage or mean is made from, in order, and itself."""
    made_from = MEANS[name] if name in MEANS else filter(None, [STAGES[name].start])
    return [*dict.fromkeys(step for part in made_from for step in leading_to(part)), name]


def average(folder: Path, name: str) -> None:
    """Write the mean of some policies' networks to the folder."""
    parts = [load_pilot(find(folder, part)) for part in MEANS[name]]
    weights = list(MEANS[name].values())
    arrays = {
        array: np.average([part.arrays[array] for part in parts], axis=0, weights=weights)
        for array in parts[0].arrays
    }
    steps = leading_to(name)
    made_by = [load_pilot(folder / step).metadata for step in steps if step in STAGES]
    about = {
        **parts[0].metadata,
        "seed": made_by[0]["seed"],
        "command": f"python benchmarks/recipe.py {folder} --only {' '.join(steps)}",
        "steps": sum(stage["steps"] for stage in made_by),
        "seconds": round(sum(stage["seconds"] for stage in made_by), 1),
    }
    pilot = TrainedPilot(arrays, parts[0].neighbours, about)
    tasks.TASKS["swarm"] = replace(tasks.TASKS["swarm"], of=FORMING)
    found = evaluate(pilot, about["task"], 50, **pilot.options)
    print(found.as_table())
    pilot.metadata["evaluation"] = found.as_dict()
    pilot.save(folder / f"{name}.npz")


def find(folder: Path, name: str) -> Path:
    """Where a stage's run or a mean is."""
    return folder / (f"{name}.npz" if name in MEANS else name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    steps = ["flag", "race", *leading_to("swarm"), "fleet"]
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
