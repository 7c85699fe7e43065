"""A training run under way: learning, saving, reporting."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import (
    HumanOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)

from .. import validation
from ..envs.sb3 import DroneVecEnv
from ..evaluation import FIRST_SEED, Evaluation
from ..pilots.trained import TrainedPilot, how_to_fly
from .callbacks import RunCallback, asking_to_stop
from .checkpoints import read_snapshot
from .config import RunConfig, command_line, versions
from .metrics import Metrics, draw_curve, evaluate_pilot
from .model import LinearSchedule, new_model, save_model, start_from
from .profile import Profile, Stopwatch

_FOREVER = 10**15


@dataclass
class Result:
    """What came of a training run.

    Attributes:
        run: its folder.
        pilot: the trained policy; its ``metadata`` tells the story.
        steps: drone-steps in all, those before a resume included.
        seconds: wall time in all, likewise.
        fps: drone-steps per second of this run.
        profile: shares of this run's wall time: "environment", "policy", "learning", "rest".
        solved_after: seconds until an evaluation found the task solved; None when none did.
        interrupted: the signal that stopped it, or None.
        evaluation: the final one, or None when interrupted.
    """

    run: Path
    pilot: TrainedPilot
    steps: int
    seconds: float
    fps: float
    profile: dict[str, float]
    solved_after: float | None
    interrupted: str | None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Manner:
    """How a run is carried out; none of it changes what comes of it but users' callbacks."""

    callbacks: tuple[BaseCallback, ...]
    checkpoint_every: int
    threads: int
    evaluation_episodes: int
    verbose: int

    @classmethod
    def checked(
        cls, callback: Any, checkpoint_every: int, threads: int, episodes: int, verbose: int
    ) -> Manner:
        several = callback if isinstance(callback, (list, tuple)) else (callback,)
        callbacks = tuple(each for each in several if each is not None)
        for each in callbacks:
            if not isinstance(each, BaseCallback):
                raise TypeError(
                    "callback must be a BaseCallback of Stable-Baselines3, or a list of them, "
                    f"got {each!r}"
                )
        return cls(
            callbacks,
            validation.integer("checkpoint_every", checkpoint_every, 1),
            validation.integer("threads", threads, 1),
            validation.integer("evaluation_episodes", episodes, 0),
            validation.choice("verbose", verbose, (0, 1, 2)),
        )

    def say(self, text: str) -> None:
        if self.verbose:
            print(text, flush=True)


class Training:
    """A run under way."""

    def __init__(
        self, run: RunConfig, env: DroneVecEnv, folder: Path, manner: Manner, began: float
    ) -> None:
        self.run, self.env, self.folder, self.manner = run, env, folder, manner
        config = run.config
        self.schedule = LinearSchedule(config.learning_rate, config.last_learning_rate)
        self.stopwatch = Stopwatch(env)
        self.profile = Profile(self.stopwatch)
        self.metrics = Metrics(folder / "learning_curve.csv", run, began)
        self.callback = RunCallback(
            run, folder, self.metrics, self.schedule, env, manner.checkpoint_every, manner.verbose
        )

    def from_start_to_end(self, checkpoint: Path | None, pilot: TrainedPilot | None) -> Result:
        """Train from a checkpoint, a pilot or nothing; save and evaluate what comes of it."""
        model = self._begin(pilot) if checkpoint is None else self._go_on(checkpoint)
        # Saved with the model, so that its file alone tells how to fly it.
        model.drone_formation = {  # type: ignore[attr-defined]
            **how_to_fly(self.env.swarms),
            "task": self.run.task,
            "symmetries": self.run.config.symmetries,
        }
        result = self._learn(model, fresh=checkpoint is None)
        save_model(model, self.folder / "model.zip")
        result.pilot.save(self.folder / "policy.npz", force=True)
        self._report(result)
        return result

    def _begin(self, pilot: TrainedPilot | None) -> PPO:
        model = new_model(self.stopwatch, self.run, self.schedule)
        if pilot is not None:
            start_from(model, pilot, self.run.config.renewed_log_std)
        return model

    def _go_on(self, checkpoint: Path) -> PPO:
        model = PPO.load(
            checkpoint / "model.zip", env=self.stopwatch, device="cpu", force_reset=False,
            learning_rate=self.schedule,
        )  # fmt: skip
        self.callback.model = model
        self.callback.go_on(read_snapshot(checkpoint))
        self.manner.say(f"going on from step {model.num_timesteps:,}")
        return model

    def _learn(self, model: PPO, fresh: bool) -> Result:
        outputs: list[KVWriter] = [TensorBoardOutputFormat(str(self.folder / "tensorboard"))]
        if self.manner.verbose > 1:
            outputs.append(HumanOutputFormat(sys.stdout))
        model.set_logger(Logger(str(self.folder), outputs))
        steps_before, seconds_before = model.num_timesteps, self.callback.seconds
        with asking_to_stop(self.callback):
            model.learn(
                (self.run.timesteps or _FOREVER) - steps_before,
                callback=[self.profile, self.metrics, self.callback, *self.manner.callbacks],
                reset_num_timesteps=fresh,
            )
        model.logger.close()
        seconds = self.callback.seconds
        about = {
            "command": command_line(),
            "seed": self.run.seed,
            "steps": model.num_timesteps,
            "seconds": round(seconds, 1),
            "versions": versions(),
        }
        return Result(
            run=self.folder,
            pilot=TrainedPilot.from_sb3(model, about),
            steps=model.num_timesteps,
            seconds=seconds,
            fps=(model.num_timesteps - steps_before) / (seconds - seconds_before),
            profile=self.profile.shares(),
            solved_after=self.callback.solved_after,
            interrupted=self.callback.interrupted,
        )

    def _report(self, result: Result) -> None:
        """Say what came of it, and evaluate it where the run has come to its end."""
        say, folder = self.manner.say, self.folder
        if result.interrupted:
            say(
                f"stopped by {result.interrupted} after {result.steps:,} steps; saved in "
                f"{folder}; go on with: drone-formation train --resume {folder}"
            )
            return
        if result.solved_after is not None:
            say(f"solved after {result.solved_after:.0f} s of wall time")
        elif not (self.callback.whole or self.callback.out_of_time):
            say(f"stopped by a callback after {result.steps:,} steps")
        say(
            f"{result.steps:,} drone-steps in {result.seconds:.0f} s of wall time "
            f"({result.fps:,.0f} per second)"
        )
        say("share of wall time: " + ", ".join(f"{k} {v:.1%}" for k, v in result.profile.items()))
        if self.manner.evaluation_episodes:
            result.evaluation = evaluate_pilot(
                result.pilot, self.run, self.manner.evaluation_episodes, FIRST_SEED
            )
            say(result.evaluation.as_table())
            result.pilot.metadata["evaluation"] = result.evaluation.as_dict()
            result.pilot.save(folder / "policy.npz", force=True)
        draw_curve(folder, self.run.task)
        say(f"saved {folder / 'policy.npz'} and {folder / 'model.zip'}")
