"""The table of tasks, registered with Gymnasium and PettingZoo.  Nothing heavy is imported."""

from __future__ import annotations

import gymnasium
import pettingzoo

from .tasks import TASKS

_ENVS = "drone_formation.envs"


def task_name(task: str) -> str:
    """The name of a task, "flag", given that or its id, "DroneFlag-v0".

    Raises:
        ValueError: there is no such task; the message lists them all.
    """
    if isinstance(task, str):
        if task in TASKS:
            return task
        for name, row in TASKS.items():
            if task.removeprefix("drone_formation:") == row.id:
                return name
    ids = ", ".join(row.id for row in TASKS.values())
    raise ValueError(f"task must be one of {ids} (or a bare name, such as 'flag'); got {task!r}")


def register() -> None:
    """Register every id with Gymnasium and, where it has a registry, with PettingZoo.

    The environments end their episodes themselves, at ``max_steps``, so no step limit is
    registered: a second one would only wrap them once more.
    """
    for task in TASKS.values():
        if task.id not in gymnasium.registry:
            gymnasium.register(
                task.id,
                entry_point=f"{_ENVS}.joint:JointEnv",
                vector_entry_point=f"{_ENVS}.vector:VectorEnv",
                kwargs={"task": task.name},
            )
        if hasattr(pettingzoo, "register"):  # from 1.27 on
            for kind in ("parallel", "aec"):
                if task.id not in getattr(pettingzoo, f"{kind}_registry"):
                    pettingzoo.register(
                        kind,
                        task.id,
                        entry_point=f"{_ENVS}.parallel:{kind}_env",
                        kwargs={"task": task.name},
                    )
