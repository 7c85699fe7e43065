"""A run's folder and its checkpoints, from which training goes on to the bit."""

from __future__ import annotations

import os
import pickle
import random
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from ..envs.sb3 import DroneVecEnv
from ..files import replace_atomically
from .config import RunConfig
from .metrics import Metrics
from .model import save_model

_ROWS = ("_returns", "_lengths", "_limits")  # what the environment counts for each row


def take_snapshot(model: PPO, env: DroneVecEnv, metrics: Metrics, seconds: float) -> dict[str, Any]:
    """All that training depends on but for what ``model.save`` writes.

    Between two updates the networks and the optimizer do not change, so that this and the model
    make a checkpoint at any time during the rollout that follows.
    """
    last_obs: Any = model._last_obs
    last_starts: Any = model._last_episode_starts
    infos: Any = model.ep_info_buffer
    successes: Any = model.ep_success_buffer
    return {
        "num_timesteps": model.num_timesteps,
        "seconds": seconds,
        "last_obs": last_obs.copy(),
        "last_episode_starts": last_starts.copy(),
        "ep_info_buffer": infos.copy(),
        "ep_success_buffer": successes.copy(),
        "episodes": metrics.episodes.copy(),
        "env": {
            "swarms": env.swarms.get_state(),
            **{name: getattr(env, name).copy() for name in _ROWS},
        },
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (PPO shuffles with it)
        "torch": torch.get_rng_state(),
    }


def restore(state: dict[str, Any], model: PPO, env: DroneVecEnv, metrics: Metrics) -> None:
    """Go on from a snapshot: everything but the networks and the optimizer."""
    model.num_timesteps = state["num_timesteps"]
    model._last_obs = state["last_obs"]
    model._last_episode_starts = state["last_episode_starts"]
    model.ep_info_buffer = state["ep_info_buffer"]
    model.ep_success_buffer = state["ep_success_buffer"]
    metrics.episodes.extend(state["episodes"])
    metrics.forget_after(model.num_timesteps)
    metrics.began -= state["seconds"]
    for name in _ROWS:
        setattr(env, name, state["env"][name])
    env.swarms.set_state(state["env"]["swarms"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])


def save_checkpoint(folder: Path, model: PPO, snapshot: dict[str, Any]) -> None:
    """Write the snapshot and the model under a name that appears when all is there."""
    path = folder / "checkpoints" / f"{snapshot['num_timesteps']:012d}"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    with replace_atomically(path) as partial:
        partial.mkdir()
        save_model(model, partial / "model.zip")
        with open(partial / "state.pkl", "wb") as file:
            pickle.dump(snapshot, file)


def read_snapshot(checkpoint: Path) -> dict[str, Any]:
    """A checkpoint's snapshot.  Reading one can run code."""
    with open(checkpoint / "state.pkl", "rb") as file:
        state: dict[str, Any] = pickle.load(file)
    return state


def find_run(path: Path) -> tuple[Path, Path, RunConfig]:
    """A run's folder, its latest checkpoint and what it was asked for.

    ``path`` may also be a checkpoint, which is then the one.

    Raises:
        FileNotFoundError: there is no such run, or it has no checkpoint.
        ValueError: its ``run.json`` is damaged.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such training run")
    if path.parent.name == "checkpoints":
        folder, checkpoints = path.parent.parent, [path]
    else:
        folder, checkpoints = path, sorted(path.glob("checkpoints/[0-9]*"))
    run = RunConfig.read(folder)
    if not checkpoints:
        raise FileNotFoundError(f"{folder} holds no checkpoint to go on from")
    return folder, checkpoints[-1], run


def check_free(folder: Path, force: bool) -> None:
    """Raise FileExistsError unless a run may be made in ``folder``."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not force:
        raise FileExistsError(f"{folder} exists: choose another --out, --resume it or --force")
    if not (folder / "run.json").is_file():
        raise FileExistsError(f"{folder} exists and is not a training run: not replaced")


def free_folder(task: str) -> Path:
    """The first of ``runs/<task>-1``, ``runs/<task>-2``, ... that does not exist."""
    names = (Path("runs") / f"{task}-{number}" for number in count(1))
    return next(folder for folder in names if not folder.exists())


def new_folder(task: str, out: str | os.PathLike[str] | None, force: bool) -> Path:
    """Make a run's folder: ``out``, or for None the first free ``runs/<task>-<n>``."""
    if out is None:
        while True:
            folder = free_folder(task)
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:  # another run was quicker
                continue
    folder = Path(out)
    check_free(folder, force)
    if (folder / "run.json").is_file():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
