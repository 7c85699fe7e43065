"""Tasks by name: the table, registered with Gymnasium and PettingZoo, and users' own beside it.

A task of a user's own is made known by :func:`register_task`; from then on its name and its id work
wherever those of the package do.  There are three ways for others to find it without a call of
their own:

- an entry point of a distribution, in the group ``drone_formation.tasks``, whose object is a
  ``Task``; it is loaded when a name is asked for that is not known;
- ``"package.module:attribute"`` in place of a name, as one types it in a shell: the module is
  imported and the attribute, a ``Task``, registered;
- ``gymnasium.make("package.module:DroneFigureEight-v0")``, where importing the module registers it.

**Other processes.** A worker that was forked knows what its parent knew.  One that was spawned
imports this package anew, and finds a task in each of the three ways above, or when it is given the
``Task`` itself in place of its name: its functions travel as names of their module, which is
imported there.  Nothing heavy is imported here.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import gymnasium
import pettingzoo

from .tasks import BUILT_IN, TASKS, Task

#: Entry points of this group are tasks.
GROUP = "drone_formation.tasks"
_ENVS = "drone_formation.envs"


def register_task(task: Task, force: bool = False) -> Task:
    """Make a task known under its name and its id, in every view and on the command line.

    Args:
        task: it may have been registered before.
        force: whether it takes the place of another that was registered under its name, as when
            one defines it anew in a notebook; those of the package stay what they are.

    Returns:
        The task.

    Raises:
        TypeError: it is not a ``Task``.
        ValueError: another task, or an environment of another package, has its name or its id; or
            it draws from tasks that are not registered.
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must be a Task, got {task!r}")
    known = TASKS.get(task.name)
    if known is not None and known != task:
        if task.name in BUILT_IN:
            raise ValueError(f"{task}: a task of the package has this name; choose another one")
        if not force:
            raise ValueError(
                f"{task}: another task is registered under this name; choose another one, or "
                "replace it: register_task(task, force=True)"
            )
    theirs = gymnasium.registry.get(task.id)
    if theirs is not None and (theirs.kwargs or {}).get("task") != task.name:
        raise ValueError(f"{task}: {task.id} is registered with Gymnasium by another package")
    task.members  # noqa: B018  (refuses those that are not there)
    if known is not None and known.id != task.id:
        for registry in _registries():
            registry.pop(known.id, None)
    TASKS[task.name] = task
    _register_id(task)
    return task


def resolve_task(task: Task | str) -> Task:
    """The task that is meant.

    Args:
        task: a ``Task``, which becomes registered; an id, "DroneFlag-v0"; a name, "flag"; or where
            to find a task: "package.module:attribute", or an id in place of the attribute.

    Raises:
        ValueError: there is none; the message lists those that there are.  Or see
            :func:`register_task`.
    """
    if isinstance(task, Task):
        return register_task(task)
    if isinstance(task, str):
        found = _look_up(task) or _load(task)
        if found is None and ":" not in task:
            discover_tasks()
            found = _look_up(task)
        if found is not None:
            return found
    ids = ", ".join(row.id for row in TASKS.values())
    raise ValueError(
        f"task must be one of {ids} (or a bare name, such as 'flag', 'package.module:attribute', "
        f"or a Task of your own: see register_task); got {task!r}"
    )


def task_name(task: Task | str) -> str:
    """The name of a task, "flag", given whatever :func:`resolve_task` takes."""
    return resolve_task(task).name


def discover_tasks() -> dict[str, Task]:
    """All tasks by name, those of installed distributions' entry points included.

    One that cannot be loaded is told of in a warning.
    """
    for entry in entry_points(group=GROUP):
        try:
            register_task(entry.load())
        except Exception as error:  # whatever it is, the other tasks are there
            warnings.warn(
                f"the task {entry.name} = {entry.value} of an installed distribution cannot be "
                f"loaded: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    return dict(TASKS)


def register() -> None:
    """Register the ids of all tasks that are known."""
    for task in TASKS.values():
        _register_id(task)


def _look_up(task: str) -> Task | None:
    """A task by its name or id."""
    return TASKS.get(task) or next((row for row in TASKS.values() if row.id == task), None)


def _load(path: str) -> Task | None:
    """The task that "package.module:attribute" names; None where this names none.

    Raises:
        ValueError: the module cannot be imported, or what it has there is not a task.
    """
    module_name, colon, attribute = path.partition(":")
    if not (colon and attribute and all(map(str.isidentifier, module_name.split(".")))):
        return None
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and lacks something itself
        raise ValueError(f"task {path!r}: there is no module {error.name!r}") from error
    found: Any = getattr(module, attribute, None)
    if isinstance(found, Task):
        return register_task(found)
    by_name = _look_up(attribute)  # that importing the module may have registered
    if found is not None and by_name is None:
        raise ValueError(f"task {path!r} must be a Task, and is of type {type(found).__name__}")
    return by_name


def _registries() -> list[dict[str, Any]]:
    """Where ids are; PettingZoo has registries from 1.27 on."""
    kinds = ("parallel_registry", "aec_registry")
    theirs = [getattr(pettingzoo, kind) for kind in kinds if hasattr(pettingzoo, kind)]
    return [gymnasium.registry, *theirs]


def _register_id(task: Task) -> None:
    """Give a task its id with Gymnasium and, where it has a registry, with PettingZoo.

    The environments end their episodes themselves, at ``max_steps``, so no step limit is
    registered: a second one would only wrap them once more.  What is registered is the task's name,
    so that specifications stay plain text.
    """
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
