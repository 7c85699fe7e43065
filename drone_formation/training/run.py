"""``train``: begin a training run, or go on with one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from .. import validation
from ..airframe import Airframe
from ..envs.sb3 import DroneVecEnv
from ..pilots.library import load_policy
from ..pilots.trained import TrainedPilot
from ..registration import task_name
from ..swarms import Swarms
from ..tasks import TASKS
from .checkpoints import find_run, new_folder
from .config import RunConfig, TrainConfig, default_config
from .session import Manner, Result, Training


# Arguments: they are the options of a command that people type; most lines say what they mean.
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
    airframe: Airframe | None = None,
    force: bool = False,
    config: TrainConfig | None = None,
    callback: BaseCallback | Sequence[BaseCallback] | None = None,
    checkpoint_every: int = 2_500_000,
    threads: int = 1,
    evaluation_episodes: int = 16,
    verbose: int = 1,
) -> Result:
    """Train one policy that all drones of a swarm share.

    Args:
        task: an id ("DroneFlag-v0") or a task's name ("flag").
        timesteps: drone-steps in all; None for the config's, or no limit when ``minutes`` is given.
        minutes: wall time after which to stop; the learning rate falls accordingly.
        seed: of everything random, 0 by default.
        out: folder of the run, which must not exist; None for the first free ``runs/<task>-<n>``.
        resume: folder of a run to go on with, exactly as if it had never stopped.  Reading one
            can run code: use your own.
        init_from: a trained policy to start from: see ``load_policy``.  Its hidden layers and
            neighbours take the place of the config's.
        until_solved: stop as soon as an evaluation finds 95 % of the drones on target.
        num_drones: drones per swarm, 64 by default.
        num_swarms: swarms flown side by side; by default as many as fill the config's rows.
        airframe: the drones' physical parameters; takes the place of the config's.
        force: replace the run in ``out``.
        config: how to learn; None for ``default_config(task)``.
        callback: Stable-Baselines3's, one or several, called beside ours.  A run that is resumed
            has those given then.
        checkpoint_every: drone-steps between checkpoints.
        threads: of torch.  The networks are so small that a second one slows them down.
        evaluation_episodes: flown at the end, without exploration noise, on unseen seeds.
        verbose: 0 prints nothing, 1 progress and results, 2 also PPO's tables, update by update.

    Raises:
        ValueError, TypeError: an argument is not allowed.
        FileExistsError: ``out`` exists.
        FileNotFoundError: ``resume`` or ``init_from`` does not.
    """
    began = time.perf_counter()
    manner = Manner.checked(callback, checkpoint_every, threads, evaluation_episodes, verbose)
    choices: dict[str, Any] = {
        "seed": seed, "num_drones": num_drones, "num_swarms": num_swarms, "config": config,
    }  # fmt: skip
    pilot = checkpoint = None
    if resume is not None:
        given = {"out": out, "init_from": init_from, "airframe": airframe, "force": force or None}
        folder, checkpoint, run = _resumed(Path(resume), given, {"task": task, **choices})
    else:
        run, pilot = _started_from(init_from, planned(task, airframe=airframe, **choices))
    run = _within_budget(run, checkpoint, timesteps, minutes, until_solved)
    env = _environment(run)
    if resume is None:  # not before everything else has proven sound
        folder = new_folder(run.task, out, force)
        run.write(folder)
    manner.say(
        f"training {TASKS[run.task].id}: {run.num_swarms} swarms of {run.num_drones} drones, "
        f"seed {run.seed}, {manner.threads} torch threads; run folder {folder}"
    )
    threads_before = torch.get_num_threads()
    torch.set_num_threads(manner.threads)
    try:
        return Training(run, env, folder, manner, began).from_start_to_end(checkpoint, pilot)
    finally:
        env.close()
        torch.set_num_threads(threads_before)


def planned(
    task: str | None,
    config: TrainConfig | None = None,
    *,
    seed: int | None = None,
    num_drones: int | None = None,
    num_swarms: int | None = None,
    airframe: Airframe | None = None,
) -> RunConfig:
    """What a new run is asked for, its defaults filled in: arguments as of ``train``."""
    if task is None:
        raise ValueError("task is needed, unless a run is resumed")
    name = task_name(task)
    config = validation.instance("config", config, TrainConfig, default_config(name))
    if validation.instance("airframe", airframe, Airframe, None) is not None:
        config = replace(config, airframe=airframe)
    for other in config.reward_of:
        validation.choice("reward_of: a task", other, TASKS[name].of or (name,))
    num_drones = validation.integer("num_drones", 64 if num_drones is None else num_drones, 1)
    if num_swarms is None:
        num_swarms = max(config.num_rows // num_drones, 1)
    return RunConfig(
        task=name,
        seed=validation.integer("seed", 0 if seed is None else seed, 0, 2**32 - 1),
        timesteps=config.timesteps,
        minutes=None,
        until_solved=False,
        num_drones=num_drones,
        num_swarms=validation.integer("num_swarms", num_swarms, 1),
        init_from=None,
        config=config,
    )


def _started_from(
    policy: str | os.PathLike[str] | None, run: RunConfig
) -> tuple[RunConfig, TrainedPilot | None]:
    """The run with the network that a policy has, and the policy as a pilot."""
    if policy is None:
        return run, None
    pilot = load_policy(policy)
    if run.config.neighbours not in (None, pilot.neighbours):
        raise ValueError(
            f"init_from: {policy} observes {pilot.neighbours} neighbours, and neighbours="
            f"{run.config.neighbours} was asked for"
        )
    config = replace(run.config, hidden=pilot.hidden, neighbours=pilot.neighbours)
    return replace(run, init_from=str(policy), config=config), pilot


def _resumed(
    path: Path, given: dict[str, Any], asked: dict[str, Any]
) -> tuple[Path, Path, RunConfig]:
    """A run to go on with: its folder, its checkpoint, and what it was asked for."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} cannot be given when a run is resumed")
    folder, checkpoint, run = find_run(path)
    if asked["task"] is not None:
        asked["task"] = task_name(asked["task"])
    elif run.task not in TASKS:
        raise ValueError(f"{folder} trains the task {run.task!r}, which is not known: name it, too")
    for name, value in asked.items():
        if value is not None and value != getattr(run, name):
            raise ValueError(
                f"{folder} was started with {name}={getattr(run, name)!r}: it cannot be resumed "
                f"with {value!r}"
            )
    return folder, checkpoint, run


def _within_budget(
    run: RunConfig,
    checkpoint: Path | None,
    timesteps: int | None,
    minutes: float | None,
    until_solved: bool,
) -> RunConfig:
    """The run with the limits that were asked for, of which some must be left to spend."""
    if timesteps is not None or minutes is not None:
        run = replace(run, timesteps=timesteps, minutes=minutes)
    if run.timesteps is not None:
        validation.integer("timesteps", run.timesteps, 1)
        if checkpoint is not None and int(checkpoint.name) >= run.timesteps:
            raise ValueError(
                f"{checkpoint.parents[1]} has had its {int(checkpoint.name):,} steps: "
                "give more --timesteps"
            )
    if run.minutes is not None:
        validation.positive("minutes", run.minutes)
    return replace(run, until_solved=run.until_solved or until_solved)


def _environment(run: RunConfig) -> DroneVecEnv:
    """The run's environment, compiled: that is not part of training's speed."""
    options = {
        "num_drones": run.num_drones,
        "max_steps": run.config.max_steps,
        **run.config.environment(run.task),
    }
    env = DroneVecEnv(run.task, run.num_swarms, stagger=True, **options)
    swarms = Swarms(run.task, 1, **options)
    swarms.reset()
    swarms.step(np.zeros((1, run.num_drones, 4), np.float32))
    return env
