"""Train one policy for all drones the conventional way: PettingZoo, SuperSuit, Stable-Baselines3.

``drone-formation train DroneFlag-v0`` learns the same, faster: it skips the dictionaries.  Where
other programs keep the processors busy, start it with ``OMP_WAIT_POLICY=PASSIVE`` in the
environment, or torch's threads spend their time spinning.
"""

import argparse

import supersuit
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecMonitor

import drone_formation


def learning_rate(remaining: float) -> float:
    return 5e-5 + (1.5e-3 - 5e-5) * remaining  # falls as training goes on


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--timesteps", type=float, default=8e6, help="drone-steps in all")
parser.add_argument("--swarms", type=int, default=16, help="swarms of 64 drones, side by side")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", default="flag_supersuit.zip", help="file for the trained model")
args = parser.parse_args()

# 64 drones are 64 agents; SuperSuit shows each of them to PPO as an environment of its own.
env = drone_formation.parallel_env("DroneFlag-v0")
vec = supersuit.pettingzoo_env_to_vec_env_v1(env)
# Processes would only be slower: a step is cheap, and sending it is not.
vec = supersuit.concat_vec_envs_v1(vec, args.swarms, num_cpus=0, base_class="stable_baselines3")

# Episodes of different lengths soon end at different times.  If all swarms took off together, and
# landed together, PPO would forget the one while it learns the other.
for k, swarm in enumerate(vec.venv.vec_envs):
    swarm.par_env.max_cycles = 256 + 512 * (k + 1) // args.swarms

# PPO(seed=...) would fail, because SuperSuit's environments cannot pass a seed on, and without any
# no run could be repeated.  So seed the networks here, and the swarms by a reset of their own:
# swarm k gets seed + k, and PPO's own reset goes on from there.
set_random_seed(args.seed)
vec.venv.reset(seed=1000 * args.seed)

model = PPO(
    "MlpPolicy", VecMonitor(vec), device="cpu", verbose=1,
    learning_rate=learning_rate, n_steps=32, batch_size=256 * args.swarms, n_epochs=3,
    policy_kwargs={"net_arch": [64, 64], "log_std_init": -1.0},
)  # fmt: skip
model.learn(int(args.timesteps))
model.save(args.out)
print(f"saved; measure it with: drone-formation evaluate DroneFlag-v0 --model {args.out}")
