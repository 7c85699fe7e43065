"""Pilots made of other things: functions, torch modules, models of other libraries."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import policy_file, reading
from .basic import Pilot
from .trained import remembered

if TYPE_CHECKING:
    from ..swarms import Swarms


class AdaptedPilot:
    """Flies by a function of the swarms, and checks what it gives.

    Args:
        name: what evaluations call it.
        function: ``f(swarms) -> actions`` (S, N, 4).
        options: keywords of ``Swarms`` that suit it; ``control`` among them is what it commands.
    """

    def __init__(
        self, name: str, function: Callable[[Swarms], Any], options: Mapping[str, Any] | None = None
    ) -> None:
        self._name = name
        self._function = function
        self.options = dict(options or {})

    @property
    def name(self) -> str:
        return self._name

    def act(self, swarms: Swarms) -> np.ndarray:
        """Actions (S, N, 4), float32.

        Raises:
            ValueError: the function gives something else, or the swarms have another control mode
                than the options; the message names the pilot.
        """
        if "control" in self.options:
            reading.check_control(self.name, self.options["control"], swarms)
        given = self._function(swarms)
        try:
            actions = np.asarray(given)
        except ValueError:  # rows of different lengths
            actions = np.asarray(None)
        shape = (swarms.num_swarms, swarms.num_drones, 4)
        if actions.dtype.kind not in "iuf":
            raise ValueError(f"pilot {self.name!r} must give an array of numbers, gave {given!r}")
        if actions.shape != shape:
            raise ValueError(
                f"pilot {self.name!r} must give actions of shape {shape}, gave {actions.shape}"
            )
        if not np.isfinite(actions).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(actions))[0])
            raise ValueError(
                f"pilot {self.name!r} must give finite actions, gave {actions[index]} at {index}"
            )
        return actions.astype(np.float32)


def adapt(thing: Any) -> Pilot:
    """A pilot of anything but a name: see ``as_pilot``."""
    if type(thing).__module__.startswith(f"{__package__}.") and isinstance(thing, Pilot):
        return thing  # one of ours
    if inspect.isclass(thing):
        raise TypeError(
            f"pilot must be able to fly; {thing.__name__} is a class: give {thing.__name__}()"
        )
    name = name_of(thing)
    if callable(getattr(thing, "act", None)):
        return AdaptedPilot(name, thing.act, getattr(thing, "options", None))
    if callable(getattr(thing, "predict", None)):
        if "deterministic" in inspect.signature(thing.predict).parameters:
            return _from_model(name, thing)
        return AdaptedPilot(name, _from_all(thing.predict))
    if _is_torch(thing):
        return AdaptedPilot(name, _from_torch(thing))
    if callable(thing):
        return AdaptedPilot(name, _from_all(thing))
    raise TypeError(
        "pilot must be an object with act(swarms) or predict(observations), a torch module, a "
        f"function of observations, or a name; got {thing!r}"
    )


def name_of(thing: Any) -> str:
    """What evaluations call something: its ``name``, or that of the function or class."""
    for name in (getattr(thing, "name", None), getattr(thing, "__name__", None)):
        if isinstance(name, str):
            return name
    return type(thing).__name__


def _from_all(function: Callable[[np.ndarray], Any]) -> Callable[[Swarms], Any]:
    """Observations (S, N, D) in, actions out; they are copies, which the function may change."""
    return lambda swarms: function(swarms.observations.copy())


def _from_model(name: str, model: Any) -> Pilot:
    """As Stable-Baselines3 has it: a batch of observations in, (actions, state) out.

    An observation is that of a drone (D,) or, if the model was trained on a ``JointEnv``, that of
    a swarm (N, D).  A model that was trained on a ``DroneVecEnv`` finds its slices by name.
    """
    about = remembered(model)
    slices = policy_file.slices_of(about["observation"]) if "observation" in about else None
    options = {"control": about["control"]} if "control" in about else {}
    if slices is not None:
        options |= {"neighbours": reading.neighbours_of(slices), "paced": about.get("paced", False)}
    shape = getattr(getattr(model, "observation_space", None), "shape", None)

    def act(swarms: Swarms) -> Any:
        seen = swarms.observations if slices is None else reading.observed(name, slices, swarms)
        one = seen.shape[-1:] if shape is None else tuple(shape)
        if one not in (seen.shape[1:], seen.shape[2:]):
            raise ValueError(
                f"pilot {name!r} reads {_in_words(one)}, and of these swarms a drone observes "
                f"{_in_words(seen.shape[2:])}: build them with the neighbours= that it knows"
            )
        given = model.predict(seen.reshape(-1, *one).copy(), deterministic=True)
        actions = np.asarray(given[0] if isinstance(given, tuple) else given)
        fits = actions.shape[-1:] == (4,) and actions.size == 4 * seen[..., 0].size
        return actions.reshape(*seen.shape[:2], 4) if fits else actions

    return AdaptedPilot(name, act, options)


def _in_words(shape: tuple[int, ...]) -> str:
    of_drones = f", of each of {shape[0]} drones" if len(shape) == 2 else ""
    return reading.width_in_words(shape[-1]) + of_drones if shape else "a number"


def _is_torch(thing: Any) -> bool:
    """Whether it is a torch module; torch is imported already if there is one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _from_torch(module: Any) -> Callable[[Swarms], Any]:
    """Observations (S, N, D) in, as float32 on the module's device; actions out."""
    import torch

    def act(swarms: Swarms) -> Any:
        observations = torch.tensor(swarms.observations, dtype=torch.float32)
        parameter = next(module.parameters(), None)
        with torch.no_grad():
            given = module(observations if parameter is None else observations.to(parameter.device))
        return given.cpu().numpy() if isinstance(given, torch.Tensor) else given

    return act
