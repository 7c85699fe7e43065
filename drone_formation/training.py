"""Training one shared policy with Stable-Baselines3's PPO, as it comes.

The settings are a table, ``SETTINGS``; ``train`` runs them.  A run is a folder::

    run.json             what was asked for, and with which versions
    checkpoints/         one folder per checkpoint: enough to go on exactly as if never stopped
    tensorboard/         logs
    learning_curve.csv   metrics over steps and seconds
    learning_curve.png   the same, drawn
    model.zip            the model as Stable-Baselines3 saves it
    policy.npz           the policy as plain arrays, for flying without torch
"""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import random
import shlex
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from . import validation
from .airframe import Randomization
from .evaluation import FIRST_SEED, Evaluation, evaluate
from .pilots.trained import SYMMETRIES, TrainedPilot, load_pilot
from .registration import task_name
from .reward import RewardWeights
from .swarms import Swarms
from .tasks import TASKS

try:
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
    from stable_baselines3.common.utils import set_random_seed
    from stable_baselines3.common.vec_env import VecEnvWrapper
    from tqdm import tqdm
except ImportError as error:
    raise ImportError(
        f'training needs {error.name}; install it with: pip install "drone-formation[train]"'
    ) from error

from .envs.sb3 import DroneVecEnv

#: Training flies the episodes of seeds from here on, and evaluations those of seeds below.
FIRST_TRAINING_SEED = 2**40
#: The evaluations that decide whether a task is solved have seeds of their own.
FIRST_JUDGING_SEED = 2**39
#: ``until_solved`` stops when this share of the drones is on target in evaluation.
SOLVED = 0.95
#: It looks once this share of them stays within half a metre in training, noise included.
PROMISING = 0.8
#: Control steps of an evaluation episode.
EVALUATION_STEPS = 1024
_FOREVER = 10**15


@dataclass(frozen=True)
class Settings:
    """How a task is trained.

    Attributes:
        timesteps: drone-steps in all; the learning rate falls over them.
        rows: drones flown side by side, in as many swarms as they fill.
        max_steps: control steps per training episode.
        rollout: control steps per update.
        minibatch: rows per gradient step, about.
        epochs: passes over each rollout.
        learning_rate, last_learning_rate: at the start and at the end.
        gamma, gae_lambda, clip_range: of PPO.
        hidden: sizes of the hidden layers, of policy and value network each.
        log_sigma: logarithm of the exploration noise at the start.
        renewed_log_sigma: the same where training starts from a policy, whose own noise has become
            too small to find anything new.
        neighbours, assignment, paced, randomization, reward: as in ``Swarms``.
        reward_of: other weights for some tasks of a mixed one, by their names.
        symmetries: over how many images of a drone the pilot takes the mean of what the network
            would do, as in ``TrainedPilot``.
        leniency: share of the budget over which what collisions, meetings ahead and crashes cost
            rises from a tenth to the full weight; 0 for the full weight from the start.
    """

    timesteps: int = 20_000_000
    rows: int = 1024
    max_steps: int = 512
    rollout: int = 32
    minibatch: int = 2048
    epochs: int = 2
    learning_rate: float = 1.5e-3
    last_learning_rate: float = 5e-5
    gamma: float = 0.99
    gae_lambda: float = 0.9
    clip_range: float = 0.2
    hidden: tuple[int, ...] = (64, 64)
    log_sigma: float = -1.0
    renewed_log_sigma: float = -1.6
    neighbours: int = 4
    assignment: str = "fixed"
    paced: bool = False
    randomization: Randomization | None = None
    reward: RewardWeights = RewardWeights(approach=0.5, collision=10.0, crash=10.0)  # noqa: RUF009
    reward_of: Mapping[str, RewardWeights] = field(default_factory=dict)
    symmetries: int = 2
    leniency: float = 0.5

    def __post_init__(self) -> None:
        validation.choice("symmetries", self.symmetries, SYMMETRIES)

    def reward_at(self, share: float) -> RewardWeights | dict[str, RewardWeights]:
        """The weights once this share of the budget is spent, by task where tasks differ."""
        part = min(0.1 + 0.9 * share / self.leniency, 1.0) if self.leniency else 1.0

        def lenient(full: RewardWeights) -> RewardWeights:
            return replace(
                full,
                collision=part * full.collision,
                conflict=part * full.conflict,
                crash=part * full.crash,
            )

        if not self.reward_of:
            return lenient(self.reward)
        return {task: lenient(self.reward_of.get(task, self.reward)) for task in TASKS}


#: Weights of a race by timetable.
RACING = RewardWeights(approach=1.0, ring=1.0, collision=10.0, conflict=0.05, crash=10.0)

#: Settings of each task; those not named here have the defaults.
SETTINGS: dict[str, Settings] = {
    **{name: Settings() for name in TASKS},
    # Who keeps to a timetable passes the rings, and meets nobody: neither needs a great price.
    "race": Settings(paced=True, hidden=(128, 128), reward=RACING),
    # All tasks at once take a larger network and more time: see benchmarks/recipe.md.
    "mixed": Settings(
        timesteps=36_000_000,
        rows=2048,
        minibatch=4096,
        epochs=3,
        last_learning_rate=1e-5,
        paced=True,
        hidden=(128, 128),
        reward=RewardWeights(approach=0.5, precision=0.18, collision=10.0, crash=10.0),
        reward_of={"race": RACING},
        symmetries=4,
    ),
}


@dataclass(frozen=True)
class Job:
    """What a run was asked to do: ``run.json``, which ``resume`` reads again."""

    task: str
    seed: int
    timesteps: int | None
    minutes: float | None
    until_solved: bool
    num_drones: int
    num_swarms: int
    init_from: str | None
    settings: Settings

    def write(self, folder: Path) -> None:
        about = {**asdict(self), "command": command_line(), "versions": versions()}
        _write_text(folder / "run.json", json.dumps(about, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Job:
        path = folder / "run.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is not a training run: it has no run.json")
        try:
            about = json.loads(path.read_text())
            settings = about["settings"]
            settings["hidden"] = tuple(settings["hidden"])
            if settings["randomization"] is not None:
                settings["randomization"] = Randomization(**settings["randomization"])
            settings["reward"] = RewardWeights(**settings["reward"])
            settings["reward_of"] = {
                task: RewardWeights(**weights) for task, weights in settings["reward_of"].items()
            }
            about["settings"] = Settings(**settings)
            return cls(**{name: about[name] for name in cls.__dataclass_fields__})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged, or of another version: {error}") from None


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


# ---- what surrounds PPO ----------------------------------------------------------------------


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = (2 * x).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, y)


class Tanh(torch.nn.Tanh):
    """tanh(x) = 2 sigmoid(2 x) - 1, to the rounding of float32 numbers near one.

    torch's own takes five times as long on AMD's processors: a third of all learning.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Tanh.apply(x)


class FallingRate:
    """A learning rate that falls linearly with the share of the budget that is spent.

    Stable-Baselines3 calls it with the share of steps that remains; ``spent`` is the share of
    wall time, for runs that are limited by it.  The greater one counts.
    """

    def __init__(self, first: float, last: float) -> None:
        self.first, self.last = first, last
        self.spent = 0.0

    def __call__(self, remaining: float) -> float:
        remaining = min(max(min(remaining, 1 - self.spent), 0.0), 1.0)
        return self.last + (self.first - self.last) * remaining


class Stopwatch(VecEnvWrapper):
    """Passes everything on and adds up the seconds that the environment's steps take."""

    def __init__(self, venv: DroneVecEnv) -> None:
        super().__init__(venv)
        self.elapsed = 0.0

    def reset(self) -> np.ndarray:
        return self.venv.reset()

    def step_async(self, actions: np.ndarray) -> None:
        begin = time.perf_counter()
        self.venv.step_async(actions)
        self.elapsed += time.perf_counter() - begin

    def step_wait(self) -> Any:
        begin = time.perf_counter()
        result = self.venv.step_wait()
        self.elapsed += time.perf_counter() - begin
        return result


class Profile(BaseCallback):
    """Where the wall time goes, by clocks around the parts; costs microseconds per step."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self.stopwatch = stopwatch
        self.policy = self.learning = 0.0
        self._learning_since: float | None = None
        self._forward_since = 0.0

    def _on_training_start(self) -> None:
        self.begin = time.perf_counter()
        # Calling the policy is the forward pass of a rollout; PPO's updates use another method.
        self.hooks = [
            self.model.policy.register_forward_pre_hook(self._before_forward),
            self.model.policy.register_forward_hook(self._after_forward),
        ]

    def _before_forward(self, *_: Any) -> None:
        self._forward_since = time.perf_counter()

    def _after_forward(self, *_: Any) -> None:
        self.policy += time.perf_counter() - self._forward_since

    def _on_rollout_start(self) -> None:
        self._stop_learning()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._learning_since = time.perf_counter()

    def _on_training_end(self) -> None:
        self._stop_learning()
        for hook in self.hooks:
            hook.remove()
        self.seconds = time.perf_counter() - self.begin

    def _stop_learning(self) -> None:
        if self._learning_since is not None:
            self.learning += time.perf_counter() - self._learning_since
            self._learning_since = None

    def shares(self) -> dict[str, float]:
        """Shares of the wall time of training."""
        parts = {
            "environment": self.stopwatch.elapsed,
            "policy": self.policy,
            "learning": self.learning,
        }
        parts["rest"] = max(self.seconds - sum(parts.values()), 0.0)
        return {name: seconds / self.seconds for name, seconds in parts.items()}


class Metrics(BaseCallback):
    """Logs the metrics of the training swarms' latest episodes, exploration noise included."""

    def __init__(self, path: Path, job: Job, began: float) -> None:
        super().__init__()
        self.path = path
        self.num_drones = job.num_drones
        self.mixed = bool(TASKS[job.task].of)
        self.began = began
        self.episodes: deque[dict[str, Any]] = deque(maxlen=job.num_swarms)

    def _on_step(self) -> bool:
        for info in self.locals["infos"][:: self.num_drones]:  # a swarm's first row carries them
            if "swarm_metrics" in info:
                self.episodes.append(info["swarm_metrics"])
        return True

    def mean(self, name: str, task: str | None = None) -> float:
        """Mean of a metric's finite values over the latest episodes; NaN when there are none."""
        values = [e[name] for e in self.episodes if task in (None, e["task"])]
        values = [value for value in values if math.isfinite(value)]
        return sum(values) / len(values) if values else math.nan

    def _on_rollout_end(self) -> None:
        if not self.episodes:
            return
        row: dict[str, float] = {
            "steps": self.model.num_timesteps,
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        for name in self.episodes[-1]:
            if name == "task":
                continue
            row[name] = self.mean(name)
            if math.isfinite(row[name]):
                self.logger.record(f"swarm/{name}", row[name])
        if self.mixed:
            for task in {episode["task"] for episode in self.episodes}:
                self.logger.record(f"{task}/on_target", self.mean("on_target", task))
        fresh = not self.path.exists()
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def forget_after(self, steps: int) -> None:
        """Drop rows of the learning curve beyond a checkpoint that training goes on from."""
        if not self.path.exists():
            return
        with open(self.path, newline="") as file:
            header, *rows = csv.reader(file)
        kept = [row for row in rows if int(row[0]) <= steps]
        _write_text(self.path, "".join(",".join(row) + "\n" for row in [header, *kept]))


class Keeper(BaseCallback):
    """Keeps to the budget, shows progress, saves checkpoints, stops when asked or when solved."""

    def __init__(
        self, job: Job, folder: Path, metrics: Metrics, rate: FallingRate,
        env: DroneVecEnv, checkpoint_every: int, began: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.job, self.folder, self.metrics, self.rate, self.env = job, folder, metrics, rate, env
        self.checkpoint_every = checkpoint_every
        self.began = began  # moved back by the time spent before a resume
        self.interrupted: str | None = None
        self.solved_after: float | None = None
        self._snapshot: dict[str, Any] = {}
        self._cut_short = False
        self._judged_at = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def _on_training_start(self) -> None:
        self.next_checkpoint = self.model.num_timesteps + self.checkpoint_every
        self.first_step, self.first_second = self.model.num_timesteps, self.seconds
        # Without a terminal there is no bar, but a line now and then.
        self.bar = tqdm(
            total=100,
            disable=None,
            leave=False,
            bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}",
        )
        self._last_line = self.seconds

    def _on_rollout_start(self) -> None:
        # Between updates nothing is half done: this is what a checkpoint holds.
        self._snapshot = self._take_snapshot()
        if self.model.num_timesteps >= self.next_checkpoint:
            self.next_checkpoint += self.checkpoint_every
            self.save_checkpoint()
        if self.job.until_solved:
            self._judge()
        self.env.swarms.reward_weights = self.job.settings.reward_at(self.share())
        self._show()

    def _on_step(self) -> bool:
        spent = self.seconds / 60 / self.job.minutes if self.job.minutes else 0.0
        self.rate.spent = spent
        self._cut_short = bool(self.interrupted or self.solved_after or spent >= 1)
        return not self._cut_short

    def _on_training_end(self) -> None:
        self.bar.close()
        if not self._cut_short:
            self._snapshot = self._take_snapshot()
        # A rollout that was cut short is dropped: it will be flown again after a resume.
        self.model.num_timesteps = self._snapshot["num_timesteps"]
        self.save_checkpoint()

    # ---- checkpoints ---------------------------------------------------------------------------

    def _take_snapshot(self) -> dict[str, Any]:
        """All that training depends on but for what ``model.save`` writes.

        Between two updates the networks and the optimizer do not change, so that this and the
        model make a checkpoint at any time during the rollout that follows.
        """
        model, env = self.model, self.env
        return {
            "num_timesteps": model.num_timesteps,
            "seconds": self.seconds,
            "last_obs": model._last_obs.copy(),
            "last_episode_starts": model._last_episode_starts.copy(),
            "ep_info_buffer": model.ep_info_buffer.copy(),
            "ep_success_buffer": model.ep_success_buffer.copy(),
            "episodes": self.metrics.episodes.copy(),
            "env": {
                "swarms": env.swarms.get_state(),
                **{name: getattr(env, name).copy() for name in ("_returns", "_lengths", "_limits")},
            },
            "python": random.getstate(),
            "numpy": np.random.get_state(),  # noqa: NPY002 (PPO shuffles with it)
            "torch": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot: everything but the networks and the optimizer."""
        model, env = self.model, self.env
        model.num_timesteps = state["num_timesteps"]
        model._last_obs = state["last_obs"]
        model._last_episode_starts = state["last_episode_starts"]
        model.ep_info_buffer = state["ep_info_buffer"]
        model.ep_success_buffer = state["ep_success_buffer"]
        self.metrics.episodes.extend(state["episodes"])
        self.metrics.forget_after(model.num_timesteps)
        self.began -= state["seconds"]
        self.metrics.began = self.began
        for name in ("_returns", "_lengths", "_limits"):
            setattr(env, name, state["env"][name])
        env.swarms.set_state(state["env"]["swarms"])
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])  # noqa: NPY002
        torch.set_rng_state(state["torch"])

    def save_checkpoint(self) -> None:
        """Write the snapshot and the model under a name that appears when all is there."""
        steps = self._snapshot["num_timesteps"]
        final = self.folder / "checkpoints" / f"{steps:012d}"
        if final.exists():
            return
        partial = final.with_name(f".{final.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_model(self.model, partial / "model.zip")
        with open(partial / "state.pkl", "wb") as file:
            pickle.dump(self._snapshot, file)
        os.replace(partial, final)

    # ---- progress ------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Evaluate when the training swarms do well, at most every five updates."""
        update = self.job.settings.rollout * self.env.num_envs
        recent = self.metrics.mean("within_half_metre")
        steps = self.model.num_timesteps
        if not recent >= PROMISING or steps - self._judged_at < 5 * update:
            return
        self._judged_at = steps
        pilot = TrainedPilot.from_sb3(self.model)
        found = evaluate_pilot(pilot, self.job, episodes=4, seed=FIRST_JUDGING_SEED + steps)
        on_target = found.as_dict()["on_target"]
        self.logger.record("evaluation/on_target", on_target)
        if on_target >= SOLVED:
            self.solved_after = self.seconds

    def share(self) -> float:
        """Share of the budget that is spent, of steps or of wall time, whichever is greater."""
        share = 0.0
        if self.job.timesteps:
            share = self.model.num_timesteps / self.job.timesteps
        if self.job.minutes:
            share = max(share, self.seconds / 60 / self.job.minutes)
        return share

    def _show(self) -> None:
        model, share = self.model, self.share()
        fps = (model.num_timesteps - self.first_step) / max(self.seconds - self.first_second, 1e-9)
        text = f"{model.num_timesteps / 1e6:.1f}M steps, {fps / 1000:.0f}k/s"
        for name, label, form in (
            ("on_target", "on target", ".2f"),
            ("formation_error", "error", ".2f"),
            ("collisions", "collisions", ".2f"),
        ):
            value = self.metrics.mean(name)
            if math.isfinite(value):
                text += f", {label} {value:{form}}"
        if not self.bar.disable:
            self.bar.n = round(min(100 * share, 100), 1)
            self.bar.set_postfix_str(text)
        elif self.seconds - self._last_line > 15:
            self._last_line = self.seconds
            print(f"{self.seconds:5.0f} s  {min(share, 1):4.0%}  {text}", flush=True)


# ---- a run -----------------------------------------------------------------------------------


def train(
    task: str | None = None,
    *,
    timesteps: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    init_from: str | os.PathLike[str] | None = None,
    until_solved: bool = False,
    num_drones: int | None = None,
    num_swarms: int | None = None,
    force: bool = False,
    settings: Settings | None = None,
    checkpoint_every: int = 2_500_000,
    threads: int = 1,
    evaluation_episodes: int = 16,
) -> Result:
    """Train one policy that all drones of a swarm share.

    Args:
        task: an id ("DroneFlag-v0") or a task's name ("flag").
        timesteps: drone-steps in all; None for the task's own number, or no limit when
            ``minutes`` is given.
        minutes: wall time after which to stop; the learning rate falls accordingly.
        seed: of everything random, 0 by default.
        out: folder of the run, which must not exist; None for the first free ``runs/<task>-<n>``.
        resume: folder of a run to go on with, exactly as if it had never stopped.  Reading one
            can run code: use your own.
        init_from: a trained policy to start from: see ``load_pilot``.
        until_solved: stop as soon as an evaluation finds 95 % of the drones on target.
        num_drones: drones per swarm, 64 by default.
        num_swarms: swarms flown side by side; by default as many as fill the settings' rows.
        force: replace the run in ``out``.
        settings: other settings than ``SETTINGS[task]``.
        checkpoint_every: drone-steps between checkpoints.
        threads: of torch.  The networks are so small that a second one slows them down.
        evaluation_episodes: flown at the end, without exploration noise, on unseen seeds.

    Raises:
        ValueError, TypeError: an argument is not allowed.
        FileExistsError: ``out`` exists.
        FileNotFoundError: ``resume`` or ``init_from`` does not.
    """
    began = time.perf_counter()
    if resume is not None:
        asked = {
            "task": task and task_name(task), "seed": seed, "num_drones": num_drones,
            "num_swarms": num_swarms, "settings": settings,
        }  # fmt: skip
        given = {"out": out, "init_from": init_from, "force": force or None}
        folder, checkpoint, job = _find_run(Path(resume), asked, given)
        if timesteps is not None or minutes is not None:
            job = replace(job, timesteps=timesteps, minutes=minutes)
        job = replace(job, until_solved=job.until_solved or until_solved)
        if job.timesteps is not None and int(checkpoint.name) >= job.timesteps:
            raise ValueError(
                f"{folder} has had its {int(checkpoint.name):,} steps: give more --timesteps"
            )
    else:
        if task is None:
            raise ValueError("task is needed, unless a run is resumed")
        job = _plan_job(
            task, timesteps, minutes, seed, init_from, until_solved, num_drones, num_swarms,
            settings,
        )  # fmt: skip
        checkpoint = None
    _check_budget(job)
    first_pilot = load_pilot(job.init_from) if job.init_from and checkpoint is None else None
    if first_pilot is not None:
        hidden, neighbours = first_pilot.hidden, first_pilot.neighbours
        job = replace(job, settings=replace(job.settings, hidden=hidden, neighbours=neighbours))

    options = {
        "num_drones": job.num_drones,
        "max_steps": job.settings.max_steps,
        "neighbours": job.settings.neighbours,
        "assignment": job.settings.assignment,
        "paced": job.settings.paced,
        "randomization": job.settings.randomization,
        "reward": job.settings.reward_at(1.0),
    }
    env = DroneVecEnv(job.task, job.num_swarms, stagger=True, **options)
    if resume is None:  # not before everything else has proven sound
        folder = _new_folder(job.task, out, force)
        job.write(folder)
    threads = validation.integer("threads", threads, 1)
    print(
        f"training {TASKS[job.task].id}: {job.num_swarms} swarms of {job.num_drones} drones, "
        f"seed {job.seed}, {threads} torch threads; run folder {folder}",
        flush=True,
    )

    # The first step compiles or loads the simulator: not part of training's speed.
    swarms = Swarms(job.task, 1, **options)
    swarms.reset()
    swarms.step(np.zeros((1, job.num_drones, 4), np.float32))

    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _run(
            job, env, folder, checkpoint, first_pilot, began, checkpoint_every, evaluation_episodes
        )
    finally:
        env.close()
        torch.set_num_threads(threads_before)


def _run(job, env, folder, checkpoint, first_pilot, began, checkpoint_every, episodes) -> Result:
    stopwatch = Stopwatch(env)
    rate = FallingRate(job.settings.learning_rate, job.settings.last_learning_rate)
    if checkpoint is None:
        model = new_model(stopwatch, job, rate)
        if first_pilot is not None:
            start_from(model, first_pilot, job.settings.renewed_log_sigma)
    else:
        model = PPO.load(
            checkpoint / "model.zip", env=stopwatch, device="cpu", force_reset=False,
            learning_rate=rate,
        )  # fmt: skip

    # Saved with the model, so that whoever finds no more than its file knows how to fly it.
    model.drone_formation = {
        "task": job.task,
        "paced": job.settings.paced,
        "symmetries": job.settings.symmetries,
    }
    metrics = Metrics(folder / "learning_curve.csv", job, began)
    keeper = Keeper(job, folder, metrics, rate, env, checkpoint_every, began)
    profile = Profile(stopwatch)
    if checkpoint is not None:
        keeper.model = model
        with open(checkpoint / "state.pkl", "rb") as file:
            keeper.restore(pickle.load(file))
        print(f"going on from step {model.num_timesteps:,}", flush=True)
    model.set_logger(Logger(str(folder), [TensorBoardOutputFormat(str(folder / "tensorboard"))]))
    steps_before, seconds_before = model.num_timesteps, keeper.seconds
    with _asking_to_stop(keeper):
        model.learn(
            (job.timesteps or _FOREVER) - steps_before,
            callback=[profile, metrics, keeper],
            reset_num_timesteps=checkpoint is None,
        )
    model.logger.close()

    elapsed = keeper.seconds - seconds_before
    fps = (model.num_timesteps - steps_before) / elapsed
    pilot = TrainedPilot.from_sb3(
        model,
        {
            "command": command_line(),
            "seed": job.seed,
            "steps": model.num_timesteps,
            "seconds": round(keeper.seconds, 1),
            "versions": versions(),
        },
    )
    result = Result(
        folder, pilot, model.num_timesteps, keeper.seconds, fps, profile.shares(),
        keeper.solved_after, keeper.interrupted,
    )  # fmt: skip
    save_model(model, folder / "model.zip")
    pilot.save(folder / "policy.npz", force=True)
    if keeper.interrupted:
        print(
            f"stopped by {keeper.interrupted} after {model.num_timesteps:,} steps; saved in "
            f"{folder}; go on with: drone-formation train --resume {folder}",
            flush=True,
        )
        return result
    if keeper.solved_after is not None:
        print(f"solved after {keeper.solved_after:.0f} s of wall time")
    print(
        f"{model.num_timesteps:,} drone-steps in {keeper.seconds:.0f} s of wall time "
        f"({fps:,.0f} per second)"
    )
    print("share of wall time: " + ", ".join(f"{k} {v:.1%}" for k, v in result.profile.items()))
    if episodes:
        result.evaluation = evaluate_pilot(pilot, job, episodes, FIRST_SEED)
        print(result.evaluation.as_table())
        pilot.metadata["evaluation"] = result.evaluation.as_dict()
        pilot.save(folder / "policy.npz", force=True)
    _draw_curve(folder, job.task)
    print(f"saved {folder / 'policy.npz'} and {folder / 'model.zip'}", flush=True)
    return result


def new_model(env: Any, job: Job, rate: Any) -> PPO:
    """An untrained model; everything random from here on follows from the job's seed."""
    settings = job.settings
    # PPO(seed=...) would give swarm k of seed 0 the same episodes as swarm k - 1 of seed 1.
    set_random_seed(job.seed)
    env.seed(FIRST_TRAINING_SEED + 2**20 * job.seed)
    return PPO(
        "MlpPolicy",
        env,
        learning_rate=rate,
        n_steps=settings.rollout,
        batch_size=minibatch(settings.rollout * env.num_envs, settings.minibatch),
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        policy_kwargs={
            "net_arch": list(settings.hidden),
            "activation_fn": Tanh,
            "log_std_init": settings.log_sigma,
        },
        device="cpu",
    )


def minibatch(rows: int, wanted: int) -> int:
    """The largest divisor of ``rows`` that is at most ``wanted``: no minibatch is cut short."""
    return next(rows // parts for parts in range(-(-rows // wanted), rows + 1) if rows % parts == 0)


def start_from(model: PPO, pilot: TrainedPilot, log_sigma: float) -> None:
    """Put a pilot's networks into a model of the same shape, and renew the exploration noise."""
    modules = {
        "policy": [*model.policy.mlp_extractor.policy_net, model.policy.action_net],
        "value": [*model.policy.mlp_extractor.value_net, model.policy.value_net],
    }
    with torch.no_grad():
        for name, network in modules.items():
            linear = [module for module in network if isinstance(module, torch.nn.Linear)]
            for module, (weight, bias) in zip(linear, pilot.layers(name), strict=False):
                module.weight.copy_(torch.from_numpy(weight.T.copy()))
                module.bias.copy_(torch.from_numpy(bias))
        model.policy.log_std.fill_(log_sigma)


def evaluate_pilot(pilot: TrainedPilot, job: Job, episodes: int, seed: int) -> Evaluation:
    """Fly episodes without exploration noise."""
    return evaluate(
        pilot, job.task, episodes, seed=seed, num_drones=job.num_drones,
        max_steps=EVALUATION_STEPS, assignment=job.settings.assignment,
        randomization=job.settings.randomization, reward=job.settings.reward_at(1.0),
        **pilot.options,
    )  # fmt: skip


def save_model(model: PPO, path: Path) -> None:
    """Save a model under a name that appears when the file is complete."""
    partial = path.with_name(f".{path.stem}.part.zip")
    # What it observed last belongs to a checkpoint's state, not to the model.
    transient = ["_last_obs", "_last_episode_starts", "ep_info_buffer", "ep_success_buffer"]
    model.save(partial, exclude=transient)
    os.replace(partial, path)


# ---- small parts -----------------------------------------------------------------------------


def _plan_job(
    task, timesteps, minutes, seed, init_from, until_solved, num_drones, num_swarms, settings
) -> Job:
    name = task_name(task)
    settings = settings or SETTINGS[name]
    num_drones = validation.integer("num_drones", 64 if num_drones is None else num_drones, 1)
    if num_swarms is None:
        num_swarms = max(settings.rows // num_drones, 1)
    if timesteps is None and minutes is None:
        timesteps = settings.timesteps
    return Job(
        task=name,
        seed=validation.integer("seed", 0 if seed is None else seed, 0, 2**32 - 1),
        timesteps=timesteps,
        minutes=minutes,
        until_solved=until_solved,
        num_drones=num_drones,
        num_swarms=validation.integer("num_swarms", num_swarms, 1),
        init_from=None if init_from is None else str(init_from),
        settings=settings,
    )


def _check_budget(job: Job) -> None:
    if job.timesteps is not None:
        validation.integer("timesteps", job.timesteps, 1)
    if job.minutes is not None:
        validation.positive("minutes", job.minutes)


def _find_run(path: Path, asked: dict[str, Any], given: dict[str, Any]) -> tuple[Path, Path, Job]:
    """A run's folder, its latest checkpoint and its job; ``path`` may be the checkpoint's own."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} cannot be given when a run is resumed")
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such training run")
    if path.parent.name == "checkpoints":
        folder, checkpoints = path.parent.parent, [path]
    else:
        folder, checkpoints = path, sorted(path.glob("checkpoints/[0-9]*"))
    job = Job.read(folder)
    for name, value in asked.items():
        if value is not None and value != getattr(job, name):
            raise ValueError(
                f"{folder} was started with {name}={getattr(job, name)!r}: it cannot be resumed "
                f"with {value!r}"
            )
    if not checkpoints:
        raise FileNotFoundError(f"{folder} holds no checkpoint to go on from")
    return folder, checkpoints[-1], job


def _new_folder(task: str, out: str | os.PathLike[str] | None, force: bool) -> Path:
    if out is None:
        number = 1
        while True:
            folder = Path("runs") / f"{task}-{number}"
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                number += 1
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not force:
            raise FileExistsError(f"{folder} exists: choose another --out, --resume it or --force")
        if not (folder / "run.json").is_file():
            raise FileExistsError(f"{folder} exists and is not a training run: not replaced")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _asking_to_stop(keeper: Keeper) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop training at the next step; a second one does not wait."""

    def ask(number: int, frame: Any) -> None:
        if keeper.interrupted:
            raise KeyboardInterrupt
        keeper.interrupted = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():  # signals go to that one alone
        yield
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text)
    os.replace(partial, path)


def _draw_curve(folder: Path, task: str) -> None:
    """Draw the learning curve, where there is one and matplotlib is installed."""
    from . import plots

    table = folder / "learning_curve.csv"
    with suppress(ImportError, FileNotFoundError):
        figure = plots.training_curve(table, TASKS[task].id)
        if figure is not None:
            plots.save(figure, table.with_suffix(".png"), force=True)
