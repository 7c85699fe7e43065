"""PPO in one file, top to bottom, on ``gym.make_vec``: change whatever you like.

Each of the S swarms is one environment with observations (N, D); here every drone of every swarm is
a row of its own, S·N in all, and all rows share one policy.  Needs only torch:
``python examples/train_cleanrl.py --out flag.npz``.
"""

import argparse
import itertools
import time
from collections import deque
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from drone_formation.pilots.trained import TrainedPilot  # the package registers its ids, too

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--timesteps", type=float, default=6e6, help="drone-steps in all")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--num-swarms", type=int, default=16)
parser.add_argument("--num-drones", type=int, default=64)
parser.add_argument("--out", type=Path, default=Path("flag_cleanrl.npz"), help="the policy's file")
parser.add_argument("--force", action="store_true", help="replace an existing file")
args = parser.parse_args()
args.out = args.out.with_suffix(".npz")

ROLLOUT = 32  # control steps between updates
EPISODE = 512  # control steps
EPOCHS = 3
MINIBATCHES = 8
FIRST_RATE, LAST_RATE = 1.5e-3, 5e-5
GAMMA, LAMBDA = 0.99, 0.95
CLIP = 0.2
VALUE_WEIGHT = 0.5
MAX_GRADIENT = 0.5
HIDDEN = 64
FIRST_LOG_SIGMA = -1.0


def network(*sizes: int, last_gain: float) -> nn.Sequential:
    """Layers of the given sizes with tanh in between, orthogonal at first."""
    layers: list[nn.Module] = []
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        last = k == len(sizes) - 2
        layer = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(layer.weight, last_gain if last else 2**0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer] if last else [layer, nn.Tanh()]
    return nn.Sequential(*layers)


class Agent(nn.Module):
    """A Gaussian policy whose mean depends on the observation and whose width does not."""

    def __init__(self, observation_size: int) -> None:
        super().__init__()
        self.policy = network(observation_size, HIDDEN, HIDDEN, 4, last_gain=0.01)
        self.value = network(observation_size, HIDDEN, HIDDEN, 1, last_gain=1.0)
        self.log_sigma = nn.Parameter(torch.full((4,), FIRST_LOG_SIGMA))

    def actions(self, rows: torch.Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(self.policy(rows), self.log_sigma.exp())


if args.out.exists() and not args.force:
    parser.error(f"{args.out} exists: choose another --out, or --force")
torch.manual_seed(args.seed)
torch.set_num_threads(1)  # the networks are too small for more

envs = gym.make_vec(
    "DroneFlag-v0",
    num_envs=args.num_swarms,
    num_drones=args.num_drones,
    max_steps=EPISODE,
    autoreset_mode="Disabled",  # a swarm that is done is reset below, where one can see it
)
S, N, D = envs.observation_space.shape
rows = S * N
timesteps = int(args.timesteps)
updates = max(timesteps // (ROLLOUT * rows), 1)

agent = Agent(D)
optimiser = torch.optim.Adam(agent.parameters(), eps=1e-5)

observation, next_observation = torch.zeros(2, ROLLOUT, rows, D)
action = torch.zeros(ROLLOUT, rows, 4)
log_probability, reward, advantage = torch.zeros(3, ROLLOUT, rows)
crashed, cut = torch.zeros(2, ROLLOUT, rows, dtype=torch.bool)


def as_rows(per_drone: np.ndarray) -> torch.Tensor:
    """(S, N, ...) as a tensor (S·N, ...): drone i of swarm k is row k·N + i."""
    return torch.from_numpy(per_drone.reshape(rows, *per_drone.shape[2:]))


# Swarm k gets the seed 1000·seed + k.  Swarms that all took off together would land together, and
# PPO would forget the one while it learns the other: let them begin at different times.
seen, _ = envs.reset(seed=1000 * args.seed)
for k in range(1, S):
    for _ in range(EPISODE // S):
        envs.step(np.zeros((S, N, 4), np.float32))
    seen, _ = envs.reset(options={"reset_mask": np.arange(S) == k})

on_target: deque[float] = deque(maxlen=S)  # of the latest episodes, exploration noise included
formation_error: deque[float] = deque(maxlen=S)
began = time.perf_counter()
for update in range(1, updates + 1):
    remaining = 1 - (update - 1) / updates
    optimiser.param_groups[0]["lr"] = LAST_RATE + (FIRST_RATE - LAST_RATE) * remaining

    # ---- fly ------------------------------------------------------------------------------------
    for t in range(ROLLOUT):
        observation[t] = as_rows(seen)
        with torch.no_grad():
            chances = agent.actions(observation[t])
            action[t] = chances.sample()
            log_probability[t] = chances.log_prob(action[t]).sum(1)
        # The simulator clips actions by itself; what PPO must remember is what it drew.
        seen, _, _, truncated, infos = envs.step(action[t].numpy().reshape(S, N, 4))
        # The swarm's reward is a mean, which tells a drone little: each learns from its own.
        reward[t] = as_rows(infos["rewards"])
        next_observation[t] = as_rows(seen)
        crashed[t] = as_rows(infos["crashed"])
        cut[t] = as_rows(np.repeat(truncated[:, None], N, axis=1))
        if truncated.any():
            on_target.extend(infos["swarm_metrics"]["on_target"][truncated])
            formation_error.extend(infos["swarm_metrics"]["formation_error"][truncated])
            seen, _ = envs.reset(options={"reset_mask": truncated})

    # ---- judge (generalised advantage estimation) -----------------------------------------------
    with torch.no_grad():
        value = agent.value(observation)[:, :, 0]
        next_value = agent.value(next_observation)[:, :, 0]
    # A drone that crashed was put back at random, and what it saw next is another flight: its own
    # is over and worth nothing more.  At the time limit a flight is cut, not over: it is still
    # worth what the last observation promises.
    next_value[crashed] = 0
    surprise = reward + GAMMA * next_value - value
    goes_on = ~(crashed | cut)
    following = torch.zeros(rows)
    for t in reversed(range(ROLLOUT)):
        following = surprise[t] + GAMMA * LAMBDA * goes_on[t] * following
        advantage[t] = following
    wanted = advantage + value

    # ---- learn ----------------------------------------------------------------------------------
    batch = [x.flatten(0, 1) for x in (observation, action, log_probability, advantage, wanted)]
    for _ in range(EPOCHS):
        for index in torch.randperm(ROLLOUT * rows).chunk(MINIBATCHES):
            obs, act, old_log_probability, adv, target = (x[index] for x in batch)
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            ratio = (agent.actions(obs).log_prob(act).sum(1) - old_log_probability).exp()
            policy_loss = -torch.min(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv).mean()
            value_loss = (agent.value(obs)[:, 0] - target).square().mean()
            loss = policy_loss + VALUE_WEIGHT * value_loss
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_GRADIENT)
            optimiser.step()

    if update % 10 == 0 or update == updates:
        steps = update * ROLLOUT * rows
        line = f"{steps:>10,} drone-steps, {steps / (time.perf_counter() - began):,.0f}/s"
        line += f", reward {reward.mean():.3f}, loss {loss.item():.4f}"
        if on_target:
            line += f", on target {np.mean(on_target):.3f}"
            line += f", formation error {np.mean(formation_error):.3f} m"
        print(line, flush=True)

# ---- save ---------------------------------------------------------------------------------------
arrays = {"log_sigma": agent.log_sigma.detach().numpy()}
for name in ("policy", "value"):
    linear = [layer for layer in getattr(agent, name) if isinstance(layer, nn.Linear)]
    for k, layer in enumerate(linear):
        arrays[f"{name}_weight_{k}"] = layer.weight.detach().numpy().T
        arrays[f"{name}_bias_{k}"] = layer.bias.detach().numpy()
about = {"task": "flag", "seed": args.seed, "steps": updates * ROLLOUT * rows}
pilot = TrainedPilot(arrays, metadata=about)
path = pilot.save(args.out, force=args.force)
print(f"saved; measure it with: drone-formation evaluate DroneFlag-v0 --model {path}")
