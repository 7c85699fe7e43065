"""Train the policies that come with the package, stage by stage: see recipe.md.

python benchmarks/recipe.py runs/recipe              # all stages, each in a folder of its own
python benchmarks/recipe.py runs/recipe --only fine_1  # this one; what it starts from must exist
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from drone_formation import Randomization, RewardWeights, Swarms, load_pilot, tasks
from drone_formation.evaluation import evaluate
from drone_formation.pilots.trained import TrainedPilot
from drone_formation.training import TrainConfig, default_config, train
from drone_formation.training.metrics import FIRST_JUDGING_SEED

#: What the mixed task draws from but for races: random clouds of targets, too, and twice as often
#: those in which most collide.
FORMING = (
    "idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "formation",
    "flag", "follow", "conga",
)  # fmt: skip
#: The same for crowds.  A cube of hundreds is so dense that no drone gets to the slots inside, and
#: all learn from the jam.
LOOSER = tuple(task for task in FORMING if task != "cube")


@dataclass(frozen=True)
class Stage:
    """One training run: its task, how it learns, where it starts, what a mixed task draws from."""

    task: str
    config: TrainConfig
    start: str | None = None
    of: tuple[str, ...] = ()
    num_drones: int = 64
    seed: int = 0  #: added to the one asked for


#: What races pay for in all joint stages but the first.
SAFER = replace(tasks.TASKS["race"].reward, collision=15.0, crash=20.0)


def weighing(collision: float, conflict: float, precision: float = 0.3) -> RewardWeights:
    """What all other tasks pay for in a joint stage."""
    return RewardWeights(
        approach=0.5, precision=precision, collision=collision, conflict=conflict, crash=10.0
    )


def joint(
    start: str, timesteps: int, races: int, seed: int = 0, *, rate: float, log_std: float,
    weights: RewardWeights, follow: float, race: RewardWeights = SAFER, batch: int = 8192,
    num_drones: int = 64, of: tuple[str, ...] = FORMING,
) -> Stage:  # fmt: skip
    """A stage of all tasks that goes on from another, with ``races`` races among the others.

    ``follow``: what conflicts cost in its ball, the densest formation.
    """
    num_rows, n_steps = {64: (2048, 32), 512: (4096, 16), 768: (4608, 16)}[num_drones]
    config = replace(
        default_config("mixed"), timesteps=timesteps, num_rows=num_rows, n_steps=n_steps,
        batch_size=batch, learning_rate=rate, renewed_log_std=log_std, penalty_warmup=0.0,
        reward=weights,
        reward_of={"follow": replace(weights, conflict=follow), "race": race},
    )  # fmt: skip
    return Stage("mixed", config, start, (*of, *races * ("race",)), num_drones, seed)


def varied(timesteps: int, weights: RewardWeights, follow: float) -> Stage:
    """A stage in which every drone has an airframe of its own.

    From scratch: a policy that knows one airframe unlearns it for long.
    """
    config = replace(
        default_config("mixed"), timesteps=timesteps, hidden=(96, 96), paced=False,
        penalty_warmup=0.0, randomization=Randomization(), symmetries=1, reward=weights,
        reward_of={"follow": replace(weights, conflict=follow)},
    )  # fmt: skip
    return Stage("mixed", config, of=FORMING)


STAGES = {
    # ``drone-formation train DroneFlag-v0`` and ``DroneRace-v0``
    "flag": Stage("flag", default_config("flag")),
    "race": Stage("race", default_config("race")),
    # A policy that can race learns the rest within minutes, and goes on racing.
    "all": joint(
        "race", 30_000_000, 4, rate=1.2e-3, log_std=-1.4, batch=4096,
        weights=weighing(15.0, 0.6, 0.18), follow=1.0, race=tasks.TASKS["race"].reward,
    ),
    # Rounds of a stage of 64 drones and one of a crowd, each from the mean of the last
    "fine_1": joint(
        "all", 24_000_000, 3, rate=8e-4, log_std=-1.6, weights=weighing(20.0, 0.9), follow=1.4
    ),
    "crowd_1": joint(
        "all", 20_000_000, 3, rate=8e-4, log_std=-1.8, weights=weighing(20.0, 0.8), follow=1.3,
        num_drones=512,
    ),
    "fine_2": joint(
        "mean_1", 16_000_000, 5, 1, rate=6e-4, log_std=-1.9, weights=weighing(25.0, 0.9),
        follow=1.5,
    ),
    "crowd_2": joint(
        "mean_1", 14_000_000, 2, rate=5e-4, log_std=-2.0, weights=weighing(20.0, 0.7), follow=1.1,
        num_drones=768,
    ),
    "fine_3": joint(
        "mean_2", 18_000_000, 7, 2, rate=5e-4, log_std=-2.0, weights=weighing(30.0, 0.9),
        follow=1.8, race=replace(SAFER, approach=1.5),
    ),
    "crowd_3": joint(
        "mean_2", 15_000_000, 0, 2, rate=5e-4, log_std=-2.2, weights=weighing(25.0, 0.7),
        follow=1.2, num_drones=768, of=LOOSER,
    ),
    "fine_4": joint(
        "mean_3", 14_000_000, 5, 6, rate=5e-4, log_std=-2.0, weights=weighing(30.0, 0.9),
        follow=2.2,
    ),
    "crowd_4": joint(
        "mean_3", 13_000_000, 0, 7, rate=5e-4, log_std=-2.2, weights=weighing(25.0, 0.8),
        follow=1.6, num_drones=512, of=LOOSER,
    ),
    # Every drone with an airframe of its own: shipped as randomized.npz
    "randomized": varied(72_000_000, weighing(5.0, 0.4, 0.18), follow=0.6),
}  # fmt: skip


#: Weighted means of policies that set out from the same one: each flies better than any of its
#: parts (Wortsman et al., "Model soups", 2022).  Shipped is "generalist", trimmed.
MEANS = {
    "mean_1": {"fine_1": 1, "crowd_1": 1},
    "mean_2": {"fine_2": 1, "crowd_2": 1},
    "mean_3": {"fine_3": 2, "crowd_3": 2, "fine_2": 1},
    "generalist": {"fine_4": 1, "crowd_4": 1, "fine_2": 1},
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
    if name == "generalist":
        pilot = trimmed(pilot)
    tasks.TASKS["mixed"] = replace(tasks.TASKS["mixed"], of=(*FORMING, "race"))
    found = evaluate(pilot, about["task"], 50, **pilot.options)
    print(found.as_table())
    pilot.metadata["evaluation"] = found.as_dict()
    pilot.save(folder / f"{name}.npz")


def trimmed(pilot: TrainedPilot) -> TrainedPilot:
    """The pilot with its collective thrust set so that at rest on target it hovers, as trims do.

    The mean over symmetries lets the errors across cancel, and thrust is what is left of them.
    """
    thrusts = []
    for task in ("flag", "sphere", "cube", "formation"):
        swarms = Swarms(task, 16, 64, seed=FIRST_JUDGING_SEED, **pilot.options)
        swarms.reset()
        swarms.place(swarms.target_position)
        thrusts.append(pilot.act(swarms).mean())
    last = f"policy_bias_{len(pilot.hidden)}"
    arrays = {**pilot.arrays, last: pilot.arrays[last] - np.mean(thrusts)}
    return TrainedPilot(arrays, pilot.neighbours, pilot.metadata)


def find(folder: Path, name: str) -> Path:
    """Where a stage's run or a mean is."""
    return folder / (f"{name}.npz" if name in MEANS else name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    steps = ["flag", *leading_to("generalist"), "randomized"]
    parser.add_argument("--only", choices=steps, nargs="+", default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, help="per stage, for a trial")
    arguments = parser.parse_args()
    mixture = tasks.TASKS["mixed"]
    for name in arguments.only:
        if name in MEANS:
            average(arguments.folder, name)
            continue
        stage = STAGES[name]
        tasks.TASKS["mixed"] = replace(mixture, of=stage.of or mixture.of)
        train(
            stage.task, seed=arguments.seed + stage.seed, timesteps=arguments.timesteps,
            config=stage.config, init_from=stage.start and find(arguments.folder, stage.start),
            num_drones=stage.num_drones, out=arguments.folder / name,
        )  # fmt: skip


if __name__ == "__main__":
    main()
