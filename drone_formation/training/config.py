"""What a training run is asked to do: ``TrainConfig``, how to learn; ``RunConfig``, the run."""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import validation
from ..airframe import Airframe, Randomization
from ..control import CONTROL_MODES
from ..files import replace_atomically
from ..observation import MAX_NEIGHBOURS
from ..pilots.trained import SYMMETRIES
from ..reward import RewardWeights
from ..tasks import TASKS
from .values import updated


@dataclass(frozen=True)
class TrainConfig:
    """How a task is learned.

    The environment is the task's own.  The fields from ``neighbours`` on ask for another one, and
    leave it as the task is where they are None or empty.  What training adds are ``max_steps``,
    shorter than an evaluation's, and ``penalty_warmup``.

    Attributes:
        timesteps: drone-steps in all; the learning rate falls over them.
        num_rows: drones flown side by side, in as many swarms as they fill.
        max_steps: control steps per training episode.
        n_steps: control steps per update.
        batch_size: rows per gradient step; the largest divisor of an update's rows up to this.
        n_epochs: passes over the rows of each update.
        learning_rate: at the start.
        last_learning_rate: at the end; in between it falls linearly.
        gamma: discount per control step.
        gae_lambda: of generalised advantage estimation.
        clip_range: of PPO.
        hidden: sizes of the hidden layers, of policy and value network each.
        log_std_init: logarithm of the exploration noise's standard deviation at the start.
        renewed_log_std: the same where training starts from a policy, whose own noise has become
            too small to find anything new.
        symmetries: over how many images of a drone the pilot takes the mean of what the network
            would do, as in ``TrainedPilot``.
        penalty_warmup: share of the budget over which what collisions, conflicts and crashes cost
            rises from a tenth to the full weight; 0 for the full weight from the start.
        neighbours: how many of the nearest drones are observed.
        assignment: of drones to slots, "fixed" or "optimal".
        control: what actions mean, as in ``Swarms``.
        paced: whether the drones of a race have places on a common course.
        reward: weights of the reward's terms; in a mixed task, of all tasks that it draws.
        reward_of: weights of some of the tasks that a mixed one draws, by their names.
        airframe: the drones' physical parameters.
        randomization: how the airframe varies from drone to drone.

    Raises:
        ValueError, TypeError: a field is not allowed; the message names it.
    """

    timesteps: int = 20_000_000
    num_rows: int = 1024
    max_steps: int = 512
    n_steps: int = 32
    batch_size: int = 2048
    n_epochs: int = 2
    learning_rate: float = 1.5e-3
    last_learning_rate: float = 5e-5
    gamma: float = 0.99
    gae_lambda: float = 0.9
    clip_range: float = 0.2
    hidden: tuple[int, ...] = (64, 64)
    log_std_init: float = -1.0
    renewed_log_std: float = -1.6
    symmetries: int = 2
    penalty_warmup: float = 0.5
    neighbours: int | None = None
    assignment: str | None = None
    control: str | None = None
    paced: bool | None = None
    reward: RewardWeights | None = None
    reward_of: Mapping[str, RewardWeights] = field(default_factory=dict)
    airframe: Airframe | None = None
    randomization: Randomization | None = None

    def __post_init__(self) -> None:
        for name in ("timesteps", "num_rows", "max_steps", "n_steps", "batch_size", "n_epochs"):
            validation.integer(name, getattr(self, name), 1)
        for name in ("learning_rate", "last_learning_rate", "clip_range"):
            validation.positive(name, getattr(self, name))
        for name in ("gamma", "gae_lambda", "penalty_warmup"):
            _number(name, getattr(self, name), 0, 1)
        for name in ("log_std_init", "renewed_log_std"):
            _number(name, getattr(self, name), -20, 2)
        if not isinstance(self.hidden, (tuple, list)) or not self.hidden:
            raise TypeError(f"hidden must be sizes of layers, as (64, 64), got {self.hidden!r}")
        sizes = tuple(validation.integer("hidden", size, 1) for size in self.hidden)
        object.__setattr__(self, "hidden", sizes)
        validation.choice("symmetries", self.symmetries, SYMMETRIES)
        if self.neighbours is not None:
            validation.integer("neighbours", self.neighbours, 0, MAX_NEIGHBOURS)
        validation.choice("assignment", self.assignment, (None, "fixed", "optimal"))
        validation.choice("control", self.control, (None, *CONTROL_MODES))
        validation.choice("paced", self.paced, (None, False, True))
        validation.instance("reward", self.reward, RewardWeights, None)
        for task, weights in self.reward_of.items():
            if not isinstance(weights, RewardWeights):
                raise TypeError(f"reward_of: {task} must be RewardWeights, got {weights!r}")
        validation.instance("airframe", self.airframe, Airframe, None)
        validation.instance("randomization", self.randomization, Randomization, None)

    def reward_at(self, task: str, share: float) -> RewardWeights | dict[str, RewardWeights]:
        """What a task pays once this share of the budget is spent; a mixed one, by drawn task."""
        part = min(0.1 + 0.9 * share / self.penalty_warmup, 1.0) if self.penalty_warmup else 1.0

        def paid(name: str) -> RewardWeights:
            full = self.full_reward(name)
            return replace(
                full,
                collision=part * full.collision,
                conflict=part * full.conflict,
                crash=part * full.crash,
            )

        drawn = TASKS[task].of
        return {name: paid(name) for name in drawn} if drawn else paid(task)

    def full_reward(self, task: str) -> RewardWeights:
        """What one task pays after the warm-up: what is asked for here, or its own."""
        return self.reward_of.get(task) or self.reward or TASKS[task].reward

    def environment(self, task: str) -> dict[str, Any]:
        """What is asked of the task's environment: keywords of ``Swarms``."""
        names = ("neighbours", "assignment", "control", "paced", "airframe", "randomization")
        asked = {name: getattr(self, name) for name in names}
        asked = {name: value for name, value in asked.items() if value is not None}
        return {**asked, "reward": self.reward_at(task, 1.0)}


def _number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be from {low} to {high}, got {value!r}")


# ---- how tasks are learned where nothing else is asked for -------------------------------------

#: Configurations of the tasks for which ``TrainConfig()`` is not the one to start from.
CONFIGS: dict[str, TrainConfig] = {
    "race": TrainConfig(hidden=(128, 128)),
    # All tasks at once take a larger network and more time: see benchmarks/recipe.md.
    "mixed": TrainConfig(
        timesteps=36_000_000,
        num_rows=2048,
        batch_size=4096,
        n_epochs=3,
        last_learning_rate=1e-5,
        hidden=(128, 128),
        symmetries=4,
    ),
}


def default_config(task: str) -> TrainConfig:
    """How a task, given by its name, is trained where nothing else is asked for."""
    return CONFIGS.get(task, TrainConfig())


def config_for(task: str, changes: Mapping[str, Any]) -> TrainConfig:
    """A task's default configuration with changes: plain values, nested as in a TOML file.

    ``reward`` changes terms of what the task pays, or in a mixed task of what each task that it
    draws pays, and ``reward_of`` those of some of these.  Drones that differ are trained without
    symmetries unless these are asked for: the mean over them costs such pilots precision (see
    benchmarks/recipe.md).

    Raises:
        ValueError, TypeError: a name is unknown, or a value is not allowed; the message names it.
    """
    changes = dict(changes)
    if changes.get("randomization") is not None:
        changes.setdefault("symmetries", 1)
    terms, terms_of = changes.pop("reward", None), changes.pop("reward_of", None)
    config = updated(default_config(task), changes)
    if terms is None and not terms_of:
        return config
    terms, terms_of = {} if terms is None else terms, terms_of or {}
    if not isinstance(terms_of, Mapping):
        raise TypeError(f"reward_of must name tasks, as reward_of.{task}.progress: {terms_of!r}")
    drawn = TASKS[task].of
    for name in terms_of:
        validation.choice("reward_of: a task", name, drawn or (task,))
    paid = {
        name: updated(updated(TASKS[name].reward, terms, "reward."), terms_of.get(name, {}), where)
        for name in drawn or (task,)
        for where in (f"reward_of.{name}.",)
    }
    return replace(config, reward_of=paid) if drawn else replace(config, reward=paid[task])


# ---- a run -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked to do: ``run.json``, which ``resume`` reads again."""

    task: str
    seed: int
    timesteps: int | None
    minutes: float | None
    until_solved: bool
    num_drones: int
    num_swarms: int
    init_from: str | None
    config: TrainConfig

    def write(self, folder: Path) -> None:
        about = {**asdict(self), "command": command_line(), "versions": versions()}
        with replace_atomically(folder / "run.json", force=True) as partial:
            partial.write_text(json.dumps(about, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunConfig:
        path = folder / "run.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is not a training run: it has no run.json")
        try:
            about = json.loads(path.read_text())
            about["config"] = updated(TrainConfig(), about["config"])
            return cls(**{name: about[name] for name in cls.__dataclass_fields__})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged, or of another version: {error}") from None


def command_line() -> str:
    """The command that started this process, as one would type it."""
    if sys.argv and os.path.basename(sys.argv[0]) in ("drone-formation", "__main__.py"):
        return shlex.join(["drone-formation", *sys.argv[1:]])
    return shlex.join([os.path.basename(argument) for argument in sys.argv[:1]] + sys.argv[1:])


def versions() -> dict[str, str]:
    """Versions of what a training result depends on."""
    names = ("drone-formation", "stable-baselines3", "torch", "numpy", "numba", "gymnasium")
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree
            continue
    return found
