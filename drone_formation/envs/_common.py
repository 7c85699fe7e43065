"""What the views share: building the simulator, the spaces, and an episode's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ..airframe import CONTROL_STEP
from ..swarms import Swarms
from ..tasks import Task

#: Ways to draw, and pictures per second that show the drones in real time.
RENDER_MODES = ["human", "rgb_array"]
METADATA: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": round(1 / CONTROL_STEP)}


def build_swarms(task: Task | str, num_swarms: int, options: dict[str, Any]) -> Swarms:
    """The simulator under a view.

    Args:
        task: an id ("DroneFlag-v0"), a task's name ("flag"), "package.module:attribute" or a Task.
        num_swarms: S.
        options: further keywords of ``Swarms``.

    Raises:
        TypeError: a seed is among the options: copies of the view would all be the same world.
    """
    if "seed" in options:
        raise TypeError("seed is not an argument of the environment: give it to reset(seed=...)")
    return Swarms(task, num_swarms, **options)


def take_alias(options: dict[str, Any], alias: str) -> dict[str, Any]:
    """Options with ``alias``, another library's word for ``max_steps``, translated.

    Raises:
        ValueError: both are given and differ.
    """
    options = dict(options)
    value = options.pop(alias, None)
    if value is not None:
        if options.get("max_steps", value) != value:
            raise ValueError(
                f"max_steps and {alias} mean the same: give one, not max_steps="
                f"{options['max_steps']!r} and {alias}={value!r}"
            )
        options["max_steps"] = value
    return options


def observation_box(swarms: Swarms, *batch: int) -> Box:
    """Observations, within [-1, 1]: shape (*batch, D)."""
    return Box(-1.0, 1.0, (*batch, swarms.observations.shape[2]), np.float32)


def action_box(swarms: Swarms, *batch: int) -> Box:
    """Actions, one number per rotor: shape (*batch, 4); 0 hovers.

    All views take from here how long an action is.
    """
    return Box(-1.0, 1.0, (*batch, 4), np.float32)


def known_options(options: dict[str, Any] | None, *allowed: str) -> dict[str, Any]:
    """The options of a reset, all of them known.

    Raises:
        TypeError: they are not a dict.
        ValueError: one of them is not among those ``allowed``; the message names it.
    """
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise TypeError(f"options must be a dict or None, got {options!r}")
    for name in options:
        if name not in allowed:
            raise ValueError(
                f"options: {name!r} is not known; allowed: {', '.join(allowed) or 'none'}"
            )
    return options


def swarm_metrics(swarms: Swarms, which: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
    """The metrics of some swarms' episodes (see ``Swarms.metrics``): floats, and ``"task"``."""
    if not len(which):
        return []
    metrics = swarms.metrics()
    return [
        {"task": swarms.tasks[k], **{name: float(values[k]) for name, values in metrics.items()}}
        for k in which
    ]
