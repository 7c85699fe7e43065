"""The model that PPO trains, its learning rate, and what it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from ..files import replace_atomically
from ..pilots.trained import TrainedPilot
from .config import RunConfig

#: Training flies the episodes of seeds from here on, and evaluations those of seeds below.
FIRST_TRAINING_SEED = 2**40


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
        y: torch.Tensor = _Tanh.apply(x)  # type: ignore[no-untyped-call]
        return y


class LinearSchedule:
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


def new_model(env: VecEnv, run: RunConfig, schedule: LinearSchedule) -> PPO:
    """An untrained model; everything random from here on follows from the run's seed."""
    config = run.config
    # PPO(seed=...) would give swarm k of seed 0 the same episodes as swarm k - 1 of seed 1.
    set_random_seed(run.seed)
    env.seed(FIRST_TRAINING_SEED + 2**20 * run.seed)
    return PPO(
        "MlpPolicy",
        env,
        learning_rate=schedule,
        n_steps=config.n_steps,
        batch_size=whole_batch(config.n_steps * env.num_envs, config.batch_size),
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        policy_kwargs={
            "net_arch": list(config.hidden),
            "activation_fn": Tanh,
            "log_std_init": config.log_std_init,
        },
        device="cpu",
    )


def whole_batch(rows: int, wanted: int) -> int:
    """The largest divisor of ``rows`` that is at most ``wanted``: no batch is cut short."""
    return next(rows // parts for parts in range(-(-rows // wanted), rows + 1) if rows % parts == 0)


def start_from(model: PPO, pilot: TrainedPilot, log_std: float) -> None:
    """Put a pilot's networks into a model of the same shape, and renew the exploration noise."""
    policy: Any = model.policy
    modules = {
        "policy": [*policy.mlp_extractor.policy_net, policy.action_net],
        "value": [*policy.mlp_extractor.value_net, policy.value_net],
    }
    with torch.no_grad():
        for name, network in modules.items():
            linear = [module for module in network if isinstance(module, torch.nn.Linear)]
            for module, (weight, bias) in zip(linear, pilot.layers(name), strict=False):
                module.weight.copy_(torch.from_numpy(weight.T.copy()))
                module.bias.copy_(torch.from_numpy(bias))
        policy.log_std.fill_(log_std)


def save_model(model: PPO, path: Path) -> None:
    """Save a model, replacing one of that name, as a file that appears when it is complete."""
    # What it observed last belongs to a checkpoint's state, not to the model.
    transient = ["_last_obs", "_last_episode_starts", "ep_info_buffer", "ep_success_buffer"]
    with replace_atomically(path, force=True) as partial:
        model.save(partial, exclude=transient)
