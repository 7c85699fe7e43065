"""Trained pilots: a policy network as plain arrays, flown with NumPy alone.

A policy file is an ``.npz`` of float32 arrays, a JSON text that says where they come from, and a
SHA-256 of both.  Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import validation
from ..observation import (
    MAX_NEIGHBOURS,
    NEIGHBOUR_SCALE,
    OFFSET_SCALES,
    RATE_SCALE,
    VELOCITY_SCALE,
    observation_size,
    observation_table,
    symmetries,
)
from ..tasks import TASKS

if TYPE_CHECKING:
    from ..swarms import Swarms

#: Numbers of images that make a group.
SYMMETRIES = (1, 2, 4)
_FORMAT = "drone_formation policy 1"


def observation_layout(neighbours: int) -> dict[str, Any]:
    """What a policy must agree on with the observation: its slices and their scales."""
    return {
        "slices": [[row.name, row.size] for row in observation_table(neighbours)],
        "scales": [*OFFSET_SCALES, VELOCITY_SCALE, RATE_SCALE, NEIGHBOUR_SCALE],
    }


class TrainedPilot:
    """A multilayer perceptron with tanh between its layers; actions are clipped to [-1, 1].

    Args:
        arrays: ``policy_weight_0`` (in, out), ``policy_bias_0`` (out,), ``policy_weight_1``, ...,
            float32.  ``value_weight_0``, ... and ``log_sigma`` may come along: they do not fly,
            but training can go on from the former.
        neighbours: how many neighbours it observes.
        metadata: where it comes from: task, training command, seed, wall time, evaluation, ...
            Of these, ``paced`` and ``symmetries`` say how it flies.

    Raises:
        ValueError: the arrays do not make a network from observations to actions, or
            ``symmetries`` is not 1, 2 or 4.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        neighbours: int = 2,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.arrays = {
            name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()
        }
        self.neighbours = neighbours
        self.metadata = dict(metadata or {})
        self._layers = self.layers("policy")
        sizes = [weight.shape[0] for weight, _ in self._layers]
        sizes.append(self._layers[-1][0].shape[1] if self._layers else 0)
        if sizes[0] != observation_size(neighbours) or sizes[-1] != 4:
            raise ValueError(
                f"the policy network must lead from {observation_size(neighbours)} observations "
                f"({neighbours} neighbours) to 4 actions; its layers have the sizes {sizes}"
            )
        if not all(np.isfinite(value).all() for value in self.arrays.values()):
            raise ValueError("the policy network has weights that are not finite")
        validation.choice("symmetries", self.symmetries, SYMMETRIES)
        images = symmetries(neighbours)[: self.symmetries]
        self._images = [self._as_image(*image) for image in images]

    @property
    def name(self) -> str:
        """The task it was trained for."""
        return str(self.metadata.get("task", "trained"))

    @property
    def paced(self) -> bool:
        """Whether it was trained for races with a timetable."""
        return bool(self.metadata.get("paced", False))

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
        return {"neighbours": self.neighbours, "paced": self.paced}

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
        """Actions (S, N, 4) for what every drone observes now."""
        if swarms.neighbours != self.neighbours:
            raise ValueError(
                f"this policy observes {self.neighbours} neighbours and the swarms show "
                f"{swarms.neighbours}: build them with neighbours={self.neighbours}"
            )
        if self.paced and not swarms.paced and TASKS[swarms.task].races:
            raise ValueError(
                "this policy races by a timetable and the swarms have none: build them with "
                "paced=True"
            )
        return self.predict(swarms.observations)

    def predict(self, observations: np.ndarray) -> np.ndarray:
        """Actions (..., 4), the policy's means, for observations (..., D)."""
        observations = np.asarray(observations, np.float32)
        rows = observations.reshape(-1, observations.shape[-1])
        actions = np.mean([_forward(rows, layers) for layers in self._images], axis=0)
        np.clip(actions, -1, 1, out=actions)
        return actions.reshape(*observations.shape[:-1], 4)

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

        How a model of ``drone-formation train`` is to be flown is read from its attribute
        ``drone_formation``; ``metadata`` adds to it.

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
        metadata = {**getattr(model, "drone_formation", {}), **(metadata or {})}
        size = arrays["policy_weight_0"].shape[0]
        for neighbours in range(MAX_NEIGHBOURS + 1):
            if observation_size(neighbours) == size:
                return cls(arrays, neighbours, metadata)
        raise ValueError(f"the model observes {size} numbers; no number of neighbours makes these")

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write a policy file; the name gets ``.npz`` when it has no such ending.

        Raises:
            FileExistsError: the file exists and ``force`` is not given.
        """
        path = Path(path)
        path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
        if path.exists() and not force:
            raise FileExistsError(f"{path} exists; choose another name or force its replacement")
        about = {
            **self.metadata,
            "neighbours": self.neighbours,
            "observation": observation_layout(self.neighbours),
        }
        text = json.dumps(about, sort_keys=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(partial, "wb") as file:
                np.savez_compressed(
                    file,
                    format=np.array(_FORMAT),
                    metadata=np.array(text),
                    sha256=np.array(_checksum(self.arrays, text)),
                    **self.arrays,  # type: ignore[arg-type]
                )
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainedPilot:
        """Read a policy file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged, is something else, or is for another observation layout.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            kind = str(arrays.pop("format"))
            text = str(arrays.pop("metadata"))
            checksum = str(arrays.pop("sha256"))
        # What NumPy raises on foreign bytes depends on where they stop making sense.
        except (ValueError, KeyError, AttributeError, EOFError, OSError, NotImplementedError,
                zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
            raise ValueError(f"{path} is not a policy file, or is damaged: {error}") from None
        if kind != _FORMAT:
            raise ValueError(f"{path} has the format {kind!r}; this version reads {_FORMAT!r}")
        if checksum != _checksum(arrays, text):
            raise ValueError(f"{path} is damaged: its checksum does not match")
        metadata = json.loads(text)
        neighbours = metadata.pop("neighbours")
        layout = metadata.pop("observation")
        if layout != observation_layout(neighbours):
            theirs, ours = dict(layout["slices"]), dict(observation_layout(neighbours)["slices"])
            differing = [n for n in {**theirs, **ours} if theirs.get(n) != ours.get(n)]
            raise ValueError(
                f"{path} was trained on another observation layout, which differs in "
                f"{', '.join(differing) or 'its scales'}: train it again with this version"
            )
        try:
            return cls(arrays, neighbours, metadata)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


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


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def shipped_policies() -> tuple[str, ...]:
    """Names of the trained policies that come with the package."""
    folder = resources.files("drone_formation").joinpath("policies")
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".npz"))
    )


def policy_of(task: str, randomized: bool = False) -> str | None:
    """Which of these flies a task: its own, or a joint one.

    ``randomized``: with airframes that differ from drone to drone.  Those that know such drones
    have not learnt to race.
    """
    fitting = (
        ("randomized", "generalist") if randomized and task != "race" else (task, "generalist")
    )
    shipped = shipped_policies()
    return next((name for name in fitting if name in shipped), None)


def load_pilot(name: str | os.PathLike[str]) -> TrainedPilot:
    """A trained pilot, ready to fly.

    Args:
        name: the name of a policy that comes with the package; or the path of a policy file
            (``.npz``), of a Stable-Baselines3 model (``.zip``; needs Stable-Baselines3, and is
            as trustworthy as whoever made it: reading one can run code), or of the folder of a
            training run; or the name of a task ("flag"), for the policy that flies it best.

    Raises:
        ValueError, FileNotFoundError: there is no such policy, or it cannot be read.
    """
    if isinstance(name, str) and name in TASKS and not Path(name).exists():
        name = policy_of(name) or name
    if isinstance(name, str) and name in shipped_policies():
        with resources.as_file(
            resources.files("drone_formation").joinpath("policies", f"{name}.npz")
        ) as path:
            return TrainedPilot.load(path)
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
        f"comes with the package ({known}), or the name of a task"
    )


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
    pilot.metadata.setdefault("task", path.stem)
    return pilot
