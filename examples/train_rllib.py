"""Train one policy for all drones with RLlib's PPO, flown by worker processes of a Ray cluster.

Alone it starts a cluster on this machine.  To use many: ``ray start --head`` on one of them, ``ray
start --address=...`` on the others, this package installed on all, and here ``--address`` and as
many ``--workers`` as there are processors to fly.
"""

import argparse
import math
import os
import time
from pathlib import Path

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv

import drone_formation
from drone_formation.pilots.trained import TrainedPilot


class Swarm(ParallelPettingZooEnv):
    """Every drone is an agent."""

    def __init__(self, config: EnvContext) -> None:
        super().__init__(drone_formation.parallel_env("DroneFlag-v0", **config))
        self.worker = config.worker_index

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        # RLlib gives swarm i of worker k the seed s + k + i: the same worlds, over and over.
        if seed is not None:
            seed += 1000 * self.worker
        return super().reset(seed=seed, options=options)

    def step(self, action_dict: dict) -> tuple[dict, dict, dict, dict, dict]:
        observations, rewards, terminated, truncated, infos = super().step(action_dict)
        # An episode in which every drone is truncated RLlib takes for terminated, and learns that
        # nothing comes after the horizon.  Told of the swarm's truncation only, it bootstraps.
        return observations, rewards, terminated, {"__all__": truncated["__all__"]}, infos


class Network(DefaultPPOTorchRLModule):
    """RLlib's own, but a beginner hovers and tries little: its noise of 1 would be a tumble."""

    def setup(self) -> None:
        super().setup()
        with torch.no_grad():
            self.pi.log_std.fill_(-1.0)
            linear_layers(self.pi)[-1].weight.mul_(0.01)


def linear_layers(module: torch.nn.Module) -> list[torch.nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def count_steps(env_runner: EnvRunner, samples: list, **_: object) -> None:
    steps = sum(episode.agent_steps() for episode in samples)
    env_runner.steps_flown = getattr(env_runner, "steps_flown", 0) + steps


def tell_steps(env_runner: EnvRunner) -> tuple[int, str, int]:
    node = ray.get_runtime_context().get_node_id()
    return os.getpid(), node[:8], env_runner.steps_flown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=float, default=6e6, help="drone-steps in all")
    parser.add_argument("--workers", type=int, default=2, help="processes that fly")
    parser.add_argument("--swarms", type=int, default=4, help="swarms side by side in each of them")
    parser.add_argument("--address", help="of a running cluster (default: one on this machine)")
    parser.add_argument("--num-drones", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32_768, help="drone-steps between updates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("flag_rllib.npz"), help="policy's file")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    args = parser.parse_args()
    args.out = args.out.with_suffix(".npz")

    if args.out.exists() and not args.force:
        parser.error(f"{args.out} exists: choose another --out, or --force")
    torch.set_num_threads(1)  # the networks are too small for more
    if args.address:
        ray.init(args.address)
    else:  # one processor for each worker and one for this process, as if there were that many
        ray.init(num_cpus=args.workers + 1)

    config = (
        PPOConfig()
        .environment(Swarm, env_config={"num_drones": args.num_drones, "max_steps": 512})
        .env_runners(
            num_env_runners=args.workers,
            num_envs_per_env_runner=args.swarms,
            sample_timeout_s=600,  # what comes later than this is thrown away
        )
        # One policy for all agents.  By default RLlib counts batches in steps of the swarm but
        # minibatches in steps of drones, and then refuses what would fit.
        .multi_agent(
            policies={"drone"},
            policy_mapping_fn=lambda *_, **__: "drone",
            count_steps_by="agent_steps",
        )
        .training(
            train_batch_size_per_learner=args.batch,
            minibatch_size=min(4096, args.batch),
            num_epochs=3,
            lr=[[0, 1.5e-3], [args.timesteps / args.num_drones, 5e-5]],  # over steps of the swarm
            gamma=0.99,
            lambda_=0.95,
            clip_param=0.2,
            use_kl_loss=False,
            vf_loss_coeff=0.5,
            vf_clip_param=math.inf,
            grad_clip=0.5,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=Network,
                model_config=DefaultModelConfig(
                    fcnet_hiddens=[64, 64],
                    fcnet_activation="tanh",
                    free_log_std=True,
                    vf_share_layers=False,
                ),
            )
        )
        .callbacks(on_sample_end=count_steps)
        .debugging(seed=args.seed)
    )
    algorithm = config.build_algo()

    steps, began = 0, time.perf_counter()
    while steps < args.timesteps:
        result = algorithm.train()
        flown, learnt = result["env_runners"], result["learners"]["drone"]
        steps = int(flown["num_module_steps_sampled_lifetime"]["drone"])
        line = f"{steps:>10,} drone-steps, {steps / (time.perf_counter() - began):,.0f}/s"
        line += f", policy loss {learnt['policy_loss']:.4f}, value loss {learnt['vf_loss']:.4f}"
        returned = flown.get("module_episode_returns_mean", {}).get("drone", math.nan)
        if math.isfinite(returned):  # not before an episode has ended; RLlib sums the drones'
            line += f", return {returned / args.num_drones:.2f}"
        print(line, flush=True)

    flown_by = algorithm.env_runner_group.foreach_env_runner(tell_steps, local_env_runner=False)
    for process, node, share in flown_by:
        print(f"process {process} on node {node} flew {share:,} drone-steps")

    module = algorithm.get_module("drone")
    arrays = {"log_sigma": module.pi.log_std.detach().numpy()}
    layers = linear_layers(module.encoder.actor_encoder) + linear_layers(module.pi)
    for k, layer in enumerate(layers):
        arrays[f"policy_weight_{k}"] = layer.weight.detach().numpy().T
        arrays[f"policy_bias_{k}"] = layer.bias.detach().numpy()
    about = {"task": "flag", "seed": args.seed, "steps": steps}
    path = TrainedPilot(arrays, metadata=about).save(args.out, force=args.force)
    print(f"saved; measure it with: drone-formation evaluate DroneFlag-v0 --model {path}")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
