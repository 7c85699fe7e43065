"""Pilots by name: the policies that come with the package, files, and users' own."""

from __future__ import annotations

import inspect
import os
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from ..registration import resolve_task
from ..tasks import TASKS, Task
from .adapters import adapt
from .basic import HoverPilot, Pilot, RandomPilot
from .trained import TrainedPilot


def shipped_policies() -> tuple[str, ...]:
    """Names of the trained policies that come with the package."""
    folder = resources.files("drone_formation").joinpath("policies")
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".npz"))
    )


def policy_of(task: str | Task, randomized: bool = False) -> str | None:
    """Which of these flies a task: its own, or a joint one.

    Args:
        task: a name, an id or a ``Task``.
        randomized: with airframes that differ from drone to drone.  The policy that knows such
            drones has not learnt to race.
    """
    found = resolve_task(task)
    racing_only = found.races and not found.of
    own = "randomized" if randomized and not racing_only else found.name
    shipped = shipped_policies()
    return next((name for name in (own, "generalist") if name in shipped), None)


def as_pilot(pilot: Any) -> Pilot:
    """A pilot, made of whatever can fly.

    Args:
        pilot: one of

            - an object with ``act(swarms) -> actions``, such as the pilots of the package;
            - a Stable-Baselines3 model, ``predict(rows, deterministic=True)``: a row per drone, or
              per swarm if it was trained on a ``JointEnv``;
            - an object with ``predict(observations)``;
            - a torch module, called without gradients and in the mode it is in;
            - a function of observations;
            - "classical", "hover", "random", or what :func:`load_pilot` takes.

            Observations are (S, N, D), float32; actions (S, N, 4), finite.

    Returns:
        The pilot itself if it is one of the package's, or one that calls it and checks what it
        gives: its ``act`` raises a ValueError that names the pilot where this is no such actions,
        or where the swarms have another ``control`` than the object's ``options`` name.

    Raises:
        TypeError: it is none of these.
        ValueError, FileNotFoundError: see :func:`load_pilot`.
    """
    if not isinstance(pilot, (str, os.PathLike)):
        return adapt(pilot)
    if pilot == "hover":
        return HoverPilot()
    if pilot == "random":
        return RandomPilot()
    if pilot == "classical":
        from .classical import ClassicalPilot  # which needs the compiler

        return ClassicalPilot()
    return load_pilot(pilot)


def load_pilot(name: str | os.PathLike[str]) -> TrainedPilot | Any:
    """A pilot, ready to fly.

    Args:
        name: the name of a policy that comes with the package; or the path of a policy file
            (``.npz``), of a Stable-Baselines3 model (``.zip``; needs Stable-Baselines3, and is
            as trustworthy as whoever made it: reading one can run code), or of the folder of a
            training run; or a task ("flag", "DroneFlag-v0"), for the policy that flies it best; or
            "package.module:name", which is imported: a class or a function without arguments is
            called, and what comes of it is flown, like any other object, as in :func:`as_pilot`.

    Returns:
        A ``TrainedPilot``; only "package.module:name" gives another ``Pilot``.

    Raises:
        ValueError, FileNotFoundError: there is no such policy, or it cannot be read.
    """
    if isinstance(name, str) and ":" in name and not Path(name).exists():
        module_name, _, attribute = name.partition(":")
        if all(map(str.isidentifier, [*module_name.split("."), attribute])):
            return adapt(_imported(module_name, attribute))
    return load_policy(name)


def load_policy(name: str | os.PathLike[str]) -> TrainedPilot:
    """A trained policy, as :func:`load_pilot` does, but nothing is imported."""
    if isinstance(name, str) and not Path(name).exists():
        task = next((task for task in TASKS.values() if name in (task.name, task.id)), None)
        name = (policy_of(task) if task else None) or name
    if isinstance(name, str) and name in shipped_policies():
        with resources.as_file(
            resources.files("drone_formation").joinpath("policies", f"{name}.npz")
        ) as path:
            pilot = TrainedPilot.load(path)
        pilot.metadata["name"] = name
        return pilot
    path = Path(name)
    if path.is_dir():
        path = path / "policy.npz"
        if not path.is_file():
            raise FileNotFoundError(f"{path.parent} holds no policy.npz")
    if path.suffix == ".zip" and path.is_file():
        return _load_sb3(path)
    if path.suffix == ".npz" or path.is_file():
        return TrainedPilot.load(path)
    known = ", ".join(shipped_policies()) or "none"
    raise FileNotFoundError(
        f"no policy {str(name)!r}: give a path to a .npz or .zip file, the name of one that "
        f"comes with the package ({known}), the name of a task, or package.module:name"
    )


def _imported(module_name: str, attribute: str) -> Any:
    """What a module has under a name; of a class or a factory, what it makes."""
    path = f"{module_name}:{attribute}"
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and lacks something itself
        raise ValueError(f"pilot {path!r}: there is no module {error.name!r}") from error
    if not hasattr(module, attribute):
        raise ValueError(f"pilot {path!r}: the module {module_name!r} has no {attribute!r}")
    found = getattr(module, attribute)
    if inspect.isclass(found) or (inspect.isroutine(found) and _takes_nothing(found)):
        return found()
    return found


def _takes_nothing(function: Any) -> bool:
    """Whether a function can be called without arguments: it makes a pilot, and is none."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):  # arguments are missing; or it is built in and does not say
        return False
    return True


def _load_sb3(path: Path) -> TrainedPilot:
    try:
        from stable_baselines3 import PPO
    except ImportError as error:
        raise ImportError(
            f"reading {path} needs Stable-Baselines3; install it with: "
            'pip install "drone-formation[train]"'
        ) from error
    try:
        model = PPO.load(path, device="cpu")
    except Exception as error:  # whatever unpickling foreign bytes comes to
        raise ValueError(
            f"{path} is not a Stable-Baselines3 PPO model, or is damaged: {error}"
        ) from None
    try:
        pilot = TrainedPilot.from_sb3(model, {"source": path.name})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if "task" not in pilot.metadata:
        pilot.metadata.setdefault("name", path.stem)
    return pilot
