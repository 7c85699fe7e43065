"""Train one policy for all drones with TorchRL: its wrapper, its collector and its PPO loss."""

import argparse
import time
from pathlib import Path

import torch
from tensordict.nn import AddStateIndependentNormalScale, TensorDictModule
from torchrl.collectors import Collector
from torchrl.envs import PettingZooWrapper, SerialEnv, check_env_specs
from torchrl.modules import MLP, IndependentNormal, ProbabilisticActor
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import drone_formation
from drone_formation.pilots.trained import TrainedPilot

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--timesteps", type=float, default=6e6, help="drone-steps in all")
parser.add_argument("--swarms", type=int, default=8, help="side by side")
parser.add_argument("--num-drones", type=int, default=64)
parser.add_argument("--rollout", type=int, default=64, help="control steps between updates")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("flag_torchrl.npz"), help="the policy's file")
parser.add_argument("--force", action="store_true", help="replace an existing file")
args = parser.parse_args()
args.out = args.out.with_suffix(".npz")


def make_env() -> PettingZooWrapper:
    swarm = drone_formation.parallel_env("DroneFlag-v0", num_drones=args.num_drones, max_steps=512)
    return PettingZooWrapper(swarm)


if args.out.exists() and not args.force:
    parser.error(f"{args.out} exists: choose another --out, or --force")
torch.manual_seed(args.seed)
torch.set_num_threads(1)  # the networks are too small for more

# TorchRL groups agents by their names: drone_0, drone_1, ... are the group "drone", whose tensors
# are (..., N, D).  Networks act on the last dimension, so that all drones share them.
check_env_specs(make_env())
env = SerialEnv(args.swarms, make_env)
env.set_seed(1000 * args.seed)
size = env.observation_spec["drone", "observation"].shape[-1]
hidden = {"num_cells": [64, 64], "activation_class": torch.nn.Tanh}
network, value_network = MLP(size, 4, **hidden), MLP(size, 1, **hidden)
# A beginner hovers and tries little: noise of 1, which is usual, would be a tumble.
noise = AddStateIndependentNormalScale(4, scale_mapping="exp", init_value=-1.0)
with torch.no_grad():
    network[-1].weight.mul_(0.01)

# Actions beyond [-1, 1] are clipped by the simulator; the loss must see what was drawn.
policy = ProbabilisticActor(
    TensorDictModule(
        torch.nn.Sequential(network, noise),
        in_keys=[("drone", "observation")],
        out_keys=[("drone", "loc"), ("drone", "scale")],
    ),
    in_keys={"loc": ("drone", "loc"), "scale": ("drone", "scale")},
    out_keys=[("drone", "action")],
    distribution_class=IndependentNormal,
    return_log_prob=True,
    log_prob_key=("drone", "action_log_prob"),
)
critic = TensorDictModule(
    value_network, in_keys=[("drone", "observation")], out_keys=[("drone", "state_value")]
)
loss_module = ClipPPOLoss(
    policy, critic, clip_epsilon=0.2, entropy_bonus=False, critic_coeff=0.5,
    loss_critic_type="l2",
)  # fmt: skip
# Every drone has rewards and ends of its own.  At the horizon it is truncated and not terminated,
# which is what GAE tells apart: it bootstraps.
ends = {"done": ("drone", "done"), "terminated": ("drone", "terminated")}
loss_module.set_keys(
    action=("drone", "action"), sample_log_prob=("drone", "action_log_prob"),
    value=("drone", "state_value"), reward=("drone", "reward"), **ends,
)  # fmt: skip
advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
advantage.set_keys(value=("drone", "state_value"), reward=("drone", "reward"), **ends)

# TorchRL counts steps of swarms.
per_update = args.swarms * args.rollout
updates = max(int(args.timesteps) // (per_update * args.num_drones), 1)
collector = Collector(env, policy, frames_per_batch=per_update, total_frames=updates * per_update)
optimiser = torch.optim.Adam(loss_module.parameters(), lr=1.5e-3, eps=1e-5)
falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 1 / 30, updates)
minibatch = max(4096 // args.num_drones, 1)

steps, began = 0, time.perf_counter()
for batch in collector:
    with torch.no_grad():
        advantage(batch)
    batch = batch.reshape(-1)  # steps of swarms
    surprise = batch["advantage"]
    batch["advantage"] = (surprise - surprise.mean()) / (surprise.std() + 1e-8)
    for _ in range(3):
        for index in torch.randperm(len(batch)).split(minibatch):
            losses = loss_module(batch[index])
            optimiser.zero_grad()
            (losses["loss_objective"] + losses["loss_critic"]).backward()
            torch.nn.utils.clip_grad_norm_(loss_module.parameters(), 0.5)
            optimiser.step()
    falling.step()
    steps += len(batch) * args.num_drones
    print(
        f"{steps:>10,} drone-steps, {steps / (time.perf_counter() - began):,.0f}/s, "
        f"policy loss {losses['loss_objective']:.4f}, value loss {losses['loss_critic']:.4f}, "
        f"reward {batch['next', 'drone', 'reward'].mean():.3f}",
        flush=True,
    )
collector.shutdown()

arrays = {"log_sigma": noise.state_independent_scale.detach().numpy()}
layers = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
for k, layer in enumerate(layers):
    arrays[f"policy_weight_{k}"] = layer.weight.detach().numpy().T
    arrays[f"policy_bias_{k}"] = layer.bias.detach().numpy()
about = {"task": "flag", "seed": args.seed, "steps": steps}
path = TrainedPilot(arrays, metadata=about).save(args.out, force=args.force)
print(f"saved; measure it with: drone-formation evaluate DroneFlag-v0 --model {path}")
