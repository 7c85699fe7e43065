"""Trained pilots: a policy network as plain arrays, flown with NumPy alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import validation
from ..control import CONTROL_MODES
from ..observation import (
    MAX_NEIGHBOURS,
    Slice,
    numbered,
    observation_size,
    observation_table,
    size_of,
    symmetries,
)
from ..tasks import TASKS
from . import policy_file, reading

if TYPE_CHECKING:
    from ..swarms import Swarms

#: Numbers of images that make a group.
SYMMETRIES = (1, 2, 4)


class TrainedPilot:
    """A multilayer perceptron with tanh between its layers; actions are clipped to [-1, 1].

    It observes slices by name: swarms may show more than these, and in another order.

    Args:
        arrays: ``policy_weight_0`` (in, out), ``policy_bias_0`` (out,), ``policy_weight_1``, ...,
            float32.  ``value_weight_0``, ... and ``log_sigma`` may come along: they do not fly,
            but training can go on from the former.
        neighbours: how many neighbours it observes; None for 4, or for those among ``slices``.
        metadata: where it comes from: task, training command, seed, wall time, evaluation, ...
            Of these, ``control``, ``paced`` and ``symmetries`` say how it flies.
        slices: what it observes, in order; None for the observation of that many neighbours.

    Raises:
        ValueError: the arrays do not make a network from observations to actions; ``neighbours``
            are not those of ``slices``; ``symmetries`` is not 1, 2 or 4; or ``control`` is no
            control mode.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        neighbours: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        slices: Iterable[Slice] | None = None,
    ) -> None:
        self.arrays = {
            name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()
        }
        if slices is None:
            slices = observation_table(4 if neighbours is None else neighbours)
        self.slices = numbered((row.name, row.size, row.kind, row.meaning) for row in slices)
        self.neighbours = reading.neighbours_of(self.slices)
        if neighbours not in (None, self.neighbours):
            raise ValueError(
                f"neighbours must be those of the slices, {self.neighbours}; got {neighbours!r}"
            )
        self.metadata = dict(metadata or {})
        self._layers = self.layers("policy")
        sizes = [weight.shape[0] for weight, _ in self._layers]
        sizes.append(self._layers[-1][0].shape[1] if self._layers else 0)
        if sizes[0] != size_of(self.slices) or sizes[-1] != 4:
            raise ValueError(
                f"the policy network must lead from {size_of(self.slices)} observations "
                f"({self.neighbours} neighbours) to 4 actions; its layers have the sizes {sizes}"
            )
        if not all(np.isfinite(value).all() for value in self.arrays.values()):
            raise ValueError("the policy network has weights that are not finite")
        validation.choice("symmetries", self.symmetries, SYMMETRIES)
        validation.choice("control", self.control, CONTROL_MODES)
        self._images = [self._as_image(*image) for image in self._symmetries()]

    @property
    def name(self) -> str:
        """That of the policy, if it comes with the package, or of the task it was trained for."""
        return str(self.metadata.get("name") or self.metadata.get("task", "trained"))

    @property
    def paced(self) -> bool:
        """Whether it was trained on paced races."""
        return bool(self.metadata.get("paced", False))

    @property
    def control(self) -> str:
        """The control mode of the actions it has learnt."""
        return self.metadata.get("control", "motor")

    @property
    def symmetries(self) -> int:
        """Over how many images of a drone it takes the mean of what the network would do.

        Itself, 1; turned by half, 2; its reflections, too, 4.  A network learns to treat these
        alike only about as well as all else, and what it does wrong as one it seldom does as the
        others.  Reflections are not for those that have learnt on which side to pass each other.
        """
        return self.metadata.get("symmetries", 1)

    @property
    def options(self) -> dict[str, Any]:
        """What swarms that it is to fly must be built with: keywords of ``Swarms``."""
        return {"neighbours": self.neighbours, "paced": self.paced, "control": self.control}

    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        return tuple(weight.shape[1] for weight, _ in self._layers[:-1])

    def layers(self, network: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights (in, out) and biases (out,) of a network, "policy" or "value", in order.

        Raises:
            ValueError: they do not fit together.
        """
        layers: list[tuple[np.ndarray, np.ndarray]] = []
        while f"{network}_weight_{len(layers)}" in self.arrays:
            weight = self.arrays[f"{network}_weight_{len(layers)}"]
            bias = self.arrays.get(f"{network}_bias_{len(layers)}")
            fits = bias is not None and weight.ndim == 2 and bias.shape == weight.shape[1:]
            if not fits or (layers and layers[-1][0].shape[1] != weight.shape[0]):
                raise ValueError(f"layer {len(layers)} of the {network} network does not fit")
            assert bias is not None
            layers.append((weight, bias))
        return layers

    def act(self, swarms: Swarms) -> np.ndarray:
        """Actions (S, N, 4) for what every drone observes now.

        Raises:
            ValueError: the swarms do not show what it observes, have another control mode, or
                have a race that is not paced though it was trained on paced ones.
        """
        reading.check_control(self.name, self.control, swarms)
        if self.paced and not swarms.paced and TASKS[swarms.task].races:
            raise ValueError(
                f"pilot {self.name!r} was trained on paced races and this one is not paced: build "
                "the swarms with paced=True"
            )
        return self.predict(reading.observed(self.name, self.slices, swarms))

    def predict(self, observations: np.ndarray) -> np.ndarray:
        """Actions (..., 4), the policy's means, for observations (..., D) of its own slices.

        Raises:
            ValueError: they have another width; the message names the neighbours of both.
        """
        observations = np.asarray(observations, np.float32)
        width = size_of(self.slices)
        if observations.shape[-1:] != (width,):
            given = observations.shape[-1] if observations.ndim else 0
            ours = {row.name for row in observation_table(self.neighbours)}
            others = [row.name for row in self.slices if row.name not in ours]
            terms = f" and observation_terms that show {', '.join(others)}" if others else ""
            raise ValueError(
                f"the observations have {reading.width_in_words(given)} and pilot {self.name!r} "
                f"reads {width} ({', '.join([f'{self.neighbours} neighbours', *others])}): build "
                f"what shows them with neighbours={self.neighbours}{terms}, or call act(swarms), "
                "which finds its slices by name"
            )
        rows = observations.reshape(-1, width)
        actions = np.mean([_forward(rows, layers) for layers in self._images], axis=0)
        np.clip(actions, -1, 1, out=actions)
        return actions.reshape(*observations.shape[:-1], 4)

    def _symmetries(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """What its images observe, in the order of its slices, and what they do."""
        ours = {row.name for row in observation_table(self.neighbours)}
        extra = [row for row in self.slices if row.name not in ours]
        table = observation_table(self.neighbours, extra)
        columns = reading.columns_of(self.name, self.slices, table, self.neighbours)
        images = symmetries(self.neighbours, extra, self.control)[: self.symmetries]
        return [(observation[np.ix_(columns, columns)], action) for observation, action in images]

    def _as_image(
        self, observation: np.ndarray, action: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """The network that takes a drone's observations to what it would do as an image."""
        layers = list(self._layers)
        weight, bias = layers[0]
        layers[0] = (observation @ weight, bias)
        weight, bias = layers[-1]
        layers[-1] = (weight @ action, bias @ action)
        return layers

    # ---- files ---------------------------------------------------------------------------------

    @classmethod
    def from_sb3(cls, model: Any, metadata: Mapping[str, Any] | None = None) -> TrainedPilot:
        """Take the networks out of a Stable-Baselines3 actor-critic model (PPO, A2C).

        How it is to be flown is read from its attribute ``drone_formation``, which
        ``drone-formation train`` gives its models, or else from its environment, if that is a
        ``DroneVecEnv``; ``metadata`` adds to it.

        Raises:
            ValueError: the model's policy is not a multilayer perceptron with tanh.
        """
        from torch import nn

        policy = model.policy
        try:
            networks = {
                "policy": [*policy.mlp_extractor.policy_net, policy.action_net],
                "value": [*policy.mlp_extractor.value_net, policy.value_net],
            }
            sigma = policy.log_std
        except AttributeError as error:
            raise ValueError(
                f"not an actor-critic model with continuous actions: {error}"
            ) from None
        arrays = {"log_sigma": sigma.detach().cpu().numpy()}
        for name, modules in networks.items():
            linear = [module for module in modules if isinstance(module, nn.Linear)]
            between = [module for module in modules if not isinstance(module, nn.Linear)]
            if not all(isinstance(module, nn.Tanh) for module in between):
                raise ValueError(f"only tanh is understood between layers, got {between}")
            for k, module in enumerate(linear):
                arrays[f"{name}_weight_{k}"] = module.weight.detach().cpu().numpy().T
                arrays[f"{name}_bias_{k}"] = module.bias.detach().cpu().numpy()
        about = {**remembered(model), **(metadata or {})}
        layout = about.pop("observation", None)
        if layout is not None:
            return cls(arrays, None, about, policy_file.slices_of(layout))
        size = arrays["policy_weight_0"].shape[0]
        for neighbours in range(MAX_NEIGHBOURS + 1):
            if observation_size(neighbours) == size:
                return cls(arrays, neighbours, about)
        raise ValueError(f"the model observes {size} numbers; no number of neighbours makes these")

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write a policy file; the name gets ``.npz`` when it has no such ending.

        Raises:
            FileExistsError: the file exists and ``force`` is not given.
        """
        about = {**self.metadata, "observation": policy_file.layout_of(self.slices)}
        return policy_file.write(path, self.arrays, about, force)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainedPilot:
        """Read a policy file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged, is something else, or reads slices of the observation that
                are not those of this version.
        """
        arrays, metadata = policy_file.read(Path(path))
        metadata.pop("neighbours", None)  # of earlier versions; the slices tell
        try:
            slices = policy_file.slices_of(metadata.pop("observation"))
            return cls(arrays, None, metadata, slices)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def how_to_fly(swarms: Swarms) -> dict[str, Any]:
    """What a policy that was trained on some swarms must remember of them: metadata."""
    return {
        "control": swarms.control,
        "paced": swarms.paced,
        "observation": policy_file.layout_of(swarms.observation_table),
    }


def remembered(model: Any) -> dict[str, Any]:
    """What a Stable-Baselines3 model tells of how it is to be flown, as :func:`how_to_fly` does.

    That is in its attribute ``drone_formation``, which goes first, and in its environment, if that
    is a ``DroneVecEnv``; it may be nothing.
    """
    env = model.get_env() if hasattr(model, "get_env") else None
    swarms = getattr(env, "swarms", None)
    about = {} if swarms is None else how_to_fly(swarms)
    return {**about, **getattr(model, "drone_formation", {})}


def _forward(rows: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    for k, (weight, bias) in enumerate(layers):
        if k:
            np.tanh(rows, out=rows)
        rows = _times(rows, weight)
        rows += bias
    return rows


def _times(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``rows @ weight``, so few rows at a time that BLAS starts no threads for them.

    On a machine with other work they are a hundred times slower than none, as they spin while
    they wait for each other.  OpenBLAS works alone up to 2^18 multiplications.
    """
    size, result = weight.shape
    product = np.empty((len(rows), result), np.float32)
    few = max(1, 2**18 // (size * result))
    whole = len(rows) // few * few
    blocks = rows[:whole].reshape(whole // few, few, size)
    np.matmul(blocks, weight, out=product[:whole].reshape(whole // few, few, result))
    np.matmul(rows[whole:], weight, out=product[whole:])
    return product
