"""What third-party trainers cost per drone-step: ``python benchmarks/trainers.py``.

For every trainer that is installed, microseconds per drone-step of what it steps as its environment
(hovering; the best of many short rounds, taking turns), and of training as a whole, by an example's
own settings, from its first report to its last: processor time of all its processes, and wall time.
Processor time is the figure to compare where other programs keep the machine busy.  Linux only.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

import drone_formation

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SWARMS, DRONES = 16, 64
OPTIONS = {"num_drones": DRONES, "max_steps": 10**9}
ROWS = np.zeros((SWARMS * DRONES, 4), np.float32)

#: Stable-Baselines3 with the settings of the other examples, on the view made for it.
NATIVE = """
import argparse
from stable_baselines3 import PPO
from drone_formation import DroneVecEnv
parser = argparse.ArgumentParser()
parser.add_argument("--timesteps", type=float)
parser.add_argument("--out")
arguments = parser.parse_args()
env = DroneVecEnv("flag", 16, seed=0, stagger=True, max_steps=512)
model = PPO("MlpPolicy", env, device="cpu", verbose=1, n_steps=32, batch_size=4096, n_epochs=3,
            policy_kwargs={"net_arch": [64, 64], "log_std_init": -1.0})
model.learn(int(arguments.timesteps))
"""


# ---- what each trainer steps: the drones of one call, and the call -----------------------------


def vector() -> tuple[int, Callable[[], object]]:
    env = drone_formation.VectorEnv("flag", SWARMS, **OPTIONS)
    env.reset(seed=0)
    actions = ROWS.reshape(SWARMS, DRONES, 4)
    return SWARMS * DRONES, lambda: env.step(actions)


def native() -> tuple[int, Callable[[], object]]:
    env = drone_formation.DroneVecEnv("flag", SWARMS, seed=0, **OPTIONS)
    env.reset()
    return SWARMS * DRONES, lambda: env.step(ROWS)


def supersuit() -> tuple[int, Callable[[], object]]:
    import supersuit

    env = supersuit.pettingzoo_env_to_vec_env_v1(drone_formation.parallel_env("flag", **OPTIONS))
    env = supersuit.concat_vec_envs_v1(env, SWARMS, base_class="stable_baselines3")
    env.reset()
    return SWARMS * DRONES, lambda: env.step(ROWS)


def rllib() -> tuple[int, Callable[[], object]]:
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv

    env = ParallelPettingZooEnv(drone_formation.parallel_env("flag", **OPTIONS))
    env.reset(seed=0)
    actions = dict(zip(env.par_env.agents, ROWS, strict=False))
    return DRONES, lambda: env.step(actions)


def torchrl() -> tuple[int, Callable[[], object]]:
    import torch
    from torchrl.envs import PettingZooWrapper

    env = PettingZooWrapper(drone_formation.parallel_env("flag", **OPTIONS))
    env.set_seed(0)
    state = env.reset()
    state["drone", "action"] = torch.zeros(DRONES, 4)
    return DRONES, lambda: env.step(state)


#: Each trainer's package, environment, and command.
TRAINERS: dict[str, tuple[str, Callable, list[str]]] = {
    "single-file PPO": ("torch", vector, [str(EXAMPLES / "train_cleanrl.py")]),
    "SB3, native rows": ("stable-baselines3", native, ["-c", NATIVE]),
    "SB3 through SuperSuit": ("supersuit", supersuit, [str(EXAMPLES / "train_supersuit.py")]),
    "RLlib, 2 workers": ("ray", rllib, [str(EXAMPLES / "train_rllib.py")]),
    "TorchRL": ("torchrl", torchrl, [str(EXAMPLES / "train_torchrl.py")]),
}


def environments(rounds: int) -> dict[str, float]:
    """Seconds of processor time per drone-step, of those that are installed."""
    warnings.simplefilter("ignore")  # the trainers' own
    calls, best = {}, {}
    for name, (_, build, _) in TRAINERS.items():
        try:
            calls[name] = build()
        except ImportError as error:
            print(f"{name}: {error}: left out", file=sys.stderr)
    for _ in range(rounds):
        for name, (drones, call) in calls.items():
            count, begin = 0, time.process_time()
            while (elapsed := time.process_time() - begin) < 0.02:
                call()
                count += 1
            best[name] = min(best.get(name, np.inf), elapsed / (count * drones))
    return best


# ---- training as a whole -----------------------------------------------------------------------


def processor_time(root: int) -> float:
    """Seconds that a process and its living descendants have computed."""
    parents, seconds = {}, {}
    tick = os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has just ended
            continue
        process = int(folder.name)
        parents[process] = int(fields[1])
        seconds[process] = (int(fields[11]) + int(fields[12])) / tick
    family, grown = {root}, True
    while grown:
        born = {child for child, parent in parents.items() if parent in family} - family
        family |= born
        grown = bool(born)
    return sum(seconds.get(process, 0.0) for process in family)


def training(command: list[str], timesteps: float) -> tuple[float, float]:
    """Seconds of processor time and of wall time per drone-step."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "policy.npz")
        process = subprocess.Popen(
            [sys.executable, *command, "--timesteps", str(timesteps), "--out", out],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"^ *([\d,]+) drone-steps|total_timesteps +\| +(\d+)", line)
            if found:
                steps = int((found[1] or found[2]).replace(",", ""))
                reports.append((steps, processor_time(process.pid), time.perf_counter()))
        if process.wait() or len(reports) < 2:
            raise RuntimeError(f"{command[0]} failed, or reported less than twice")
    (first, *begin), (last, *end) = reports[0], reports[-1]
    busy, wall = ((b - a) / (last - first) for a, b in zip(begin, end, strict=True))
    return busy, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--timesteps", type=float, default=7e5, help="of each training")
    parser.add_argument("--only", help="part of a trainer's name")
    arguments = parser.parse_args()
    if arguments.only:
        for name in [name for name in TRAINERS if arguments.only.lower() not in name.lower()]:
            del TRAINERS[name]

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors; "
          f"{DRONES} drones per swarm; microseconds per drone-step")  # fmt: skip
    print(f"{'trainer':24}{'version':>10}{'environment':>13}{'training':>10}{'wall':>8}")
    for name, environment in environments(arguments.rounds).items():
        package, _, command = TRAINERS[name]
        busy, wall = training(command, arguments.timesteps)
        print(
            f"{name:24}{version(package):>10}{environment * 1e6:13.2f}{busy * 1e6:10.1f}"
            f"{wall * 1e6:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
