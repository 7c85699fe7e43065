"""What each view costs over the bare simulator: ``python benchmarks/views.py``.

Prints nanoseconds per drone-step with actions of zero (hover), the best of many short rounds, the
views taking turns, so that what else the machine does disturbs all alike and the best least.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable

import numpy as np

import drone_formation


def processor() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def views(swarms: int, drones: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """For each view, the drones that one call steps, and the call."""
    options = {"num_drones": drones, "max_steps": 10**9}
    batch = np.zeros((swarms, drones, 4), np.float32)
    rows = batch.reshape(-1, 4)
    many = swarms * drones

    simulator = drone_formation.Swarms("flag", swarms, seed=0, **options)
    simulator.reset()
    alone = drone_formation.Swarms("flag", 1, seed=0, **options)
    alone.reset()
    parallel = drone_formation.parallel_env("flag", **options)
    parallel.reset(seed=0)
    actions = dict(zip(parallel.agents, rows.copy(), strict=False))
    joint = drone_formation.JointEnv("flag", **options)
    joint.reset(seed=0)
    vectors = [
        drone_formation.VectorEnv("flag", swarms, copy=copy, **options) for copy in (True, False)
    ]
    for vector in vectors:
        vector.reset(seed=0)
    table = drone_formation.DroneVecEnv("flag", swarms, seed=0, **options)
    table.reset()
    found: dict[str, tuple[int, Callable[[], object]]] = {
        f"simulator, {swarms} swarms": (many, lambda: simulator.step(batch)),
        "VectorEnv(copy=False)": (many, lambda: vectors[1].step(batch)),
        "VectorEnv": (many, lambda: vectors[0].step(batch)),
        "DroneVecEnv (SB3 rows)": (many, lambda: table.step(rows)),
        "simulator, 1 swarm": (drones, lambda: alone.step(batch[:1])),
        "JointEnv": (drones, lambda: joint.step(batch[0])),
        "ParallelEnv (dicts)": (drones, lambda: parallel.step(actions)),
    }
    try:
        found["SuperSuit rows"] = (many, supersuit(swarms, options, rows))
    except ImportError:
        print("SuperSuit is not installed: left out")
    return found


def supersuit(swarms: int, options: dict, rows: np.ndarray) -> Callable[[], object]:
    """The conventional way to rows: PettingZoo dictionaries, stacked by SuperSuit."""
    warnings.simplefilter("ignore")  # SuperSuit's own
    import supersuit

    env = supersuit.pettingzoo_env_to_vec_env_v1(drone_formation.parallel_env("flag", **options))
    env = supersuit.concat_vec_envs_v1(env, swarms, base_class="stable_baselines3")
    env.reset()
    return lambda: env.step(rows)


def best(call: Callable[[], object], seconds: float) -> float:
    """Seconds of one call, averaged over as many as fit."""
    calls, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        call()
        calls += 1
    return elapsed / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swarms", type=int, default=16)
    parser.add_argument("--drones", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.01, help="per view and round")
    arguments = parser.parse_args()

    table = views(arguments.swarms, arguments.drones)
    times = {name: float("inf") for name in table}
    for _ in range(arguments.rounds + 1):
        for name, (drones, call) in table.items():
            times[name] = min(times[name], best(call, arguments.seconds) / drones)

    print(f"{processor()}; {arguments.drones} drones x {arguments.swarms} swarms, one thread")
    print(f"{'view':28}{'ns/drone-step':>14}{'million/s':>11}{'over simulator':>16}{'ratio':>8}")
    base = 0.0
    for name, value in times.items():
        if name.startswith("simulator"):
            base = value
        reference = times[f"simulator, {arguments.swarms} swarms"] if "rows" in name else base
        print(
            f"{name:28}{value * 1e9:14.1f}{1e-6 / value:11.2f}{(value - reference) * 1e9:+16.1f}"
            f"{value / reference:8.2f}"
        )


if __name__ == "__main__":
    main()
