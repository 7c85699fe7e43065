"""Train the policies that come with the package, stage by stage: see recipe.md.

    python benchmarks/recipe.py runs/recipe         # all stages, each in a folder of its own
    python benchmarks/recipe.py runs/recipe fine    # only these; what they start from must exist

The shipped files were made by these stages with the learning rate falling over wall time, on a
machine that had other work; here it falls over the steps they had.  So the result is alike, not
the same to the bit.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from drone_formation import tasks
from drone_formation.observation import observation_size
from drone_formation.pilots.trained import TrainedPilot, load_pilot
from drone_formation.reward import RewardWeights
from drone_formation.training import SETTINGS, Settings, train

CAREFUL = RewardWeights(collision=3.0, conflict=0.5)
WIDE = Settings(
    hidden=(128, 128), neighbours=4, rows=2048, minibatch=4096, reward=CAREFUL, log_sigma=-1.5
)
#: The joint task without the race, and with random clouds of targets.
FORMING = ("idle", "hover", "sphere", "orbit", "follow", "cube", "conga", "flag", "formation")


@dataclass(frozen=True)
class Stage:
    """One training run: its task, where it starts, its settings.

    Attributes:
        task: name of the task.
        start: the stage it goes on from, or None.
        settings: of the run.
        of: tasks that a mixed task draws from; empty for its own.
        widen: whether the start's network is widened to the settings' first.
    """

    task: str
    start: str | None
    settings: Settings
    of: tuple[str, ...] = field(default=())
    widen: bool = False


STAGES = {
    # to the targets, in two layers of 64 and with two neighbours in sight
    "land": Stage("flag", None, SETTINGS["flag"]),
    # the same function in two layers of 128, with four neighbours; all tasks
    "joint": Stage(
        "swarm", "land", widen=True,
        settings=replace(
            WIDE, timesteps=10_100_000, learning_rate=7e-4, last_learning_rate=5e-4,
            reward=RewardWeights(), last_reward=CAREFUL, ramp=(0.0, 0.4),
        ),
    ),
    "careful": Stage(
        "swarm", "joint", of=FORMING,
        settings=replace(
            WIDE, timesteps=10_000_000, learning_rate=6e-4, last_learning_rate=2.6e-4
        ),
    ),
    "fine": Stage(
        "swarm", "careful", of=FORMING,
        settings=replace(
            WIDE, timesteps=6_800_000, minibatch=8192,
            learning_rate=2.5e-4, last_learning_rate=1e-5,
        ),
    ),
}  # fmt: skip


def widened(pilot: TrainedPilot, settings: Settings, seed: int = 0) -> TrainedPilot:
    """The same function of the observation, in a wider network that is shown more neighbours.

    New units listen at random and are not listened to; new observations are not heard by the old
    units.  (Chen, Goodfellow and Shlens, "Net2Net", 2016, is the idea.)
    """
    rng = np.random.default_rng(seed)
    arrays = {"log_sigma": np.full(4, settings.log_sigma)}
    for network in ("policy", "value"):
        layers = pilot.layers(network)
        inputs = observation_size(settings.neighbours)
        for k, (old, bias) in enumerate(layers):
            outputs = settings.hidden[k] if k < len(layers) - 1 else old.shape[1]
            weight = np.zeros((inputs, outputs))
            weight[:, old.shape[1] :] = rng.normal(
                scale=inputs**-0.5, size=(inputs, outputs - old.shape[1])
            )
            weight[: old.shape[0], : old.shape[1]] = old
            arrays[f"{network}_weight_{k}"] = weight
            arrays[f"{network}_bias_{k}"] = np.pad(bias, (0, outputs - len(bias)))
            inputs = outputs
    return TrainedPilot(arrays, settings.neighbours, pilot.metadata)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("stages", nargs="*", metavar="stage", help=f"of {', '.join(STAGES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timesteps", type=int, help="per stage, for a trial")
    arguments = parser.parse_args()
    unknown = set(arguments.stages) - set(STAGES)
    if unknown:
        parser.error(f"no stage {', '.join(sorted(unknown))}: there are {', '.join(STAGES)}")
    own = tasks.TASKS["swarm"]
    for name in arguments.stages or STAGES:
        stage = STAGES[name]
        tasks.TASKS["swarm"] = replace(own, of=stage.of or own.of)
        start = stage.start and arguments.folder / stage.start / "policy.npz"
        if stage.widen:
            wide = widened(load_pilot(start), stage.settings)
            start = wide.save(arguments.folder / f"{stage.start}-widened.npz", force=True)
        train(
            stage.task, seed=arguments.seed, timesteps=arguments.timesteps,
            settings=stage.settings, init_from=start, out=arguments.folder / name, force=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
