"""What each view costs over the bare simulator: ``python benchmarks/views.py``.

Prints nanoseconds per drone-step with actions of zero (hover), the best of many short rounds, the
views taking turns, so that what else the machine does disturbs all alike and the best least.  Every
view returns arrays of the caller's own, which are held until the next step, as a program would;
but for ``copy=False``.  Rows are compared with the simulator of as many swarms, and so is
``make_vec``; what shows a single swarm, with that.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import gymnasium
import numpy as np

import drone_formation
from drone_formation.bench import about

Call = Callable[[], object]
#: What each view should reach at least: nanoseconds over the simulator, times its cost, million/s.
AIMS = {
    "make_vec(copy=False)": ("ratio", 1.1),
    "make_vec": ("ratio", 1.1),
    "DroneVecEnv (SB3 rows)": ("over", 100.0),
    "ParallelEnv (dicts)": ("rate", 1.0),
}


def views(swarms: int, drones: int) -> dict[str, tuple[int, Call]]:
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
        gymnasium.make_vec("DroneFlag-v0", swarms, copy=copy, **options) for copy in (True, False)
    ]
    for vector in vectors:
        vector.reset(seed=0)
    table = drone_formation.DroneVecEnv("flag", swarms, seed=0, **options)
    table.reset()
    found: dict[str, tuple[int, Call]] = {
        f"simulator, {swarms} swarms": (many, lambda: simulator.step(batch)),
        "make_vec(copy=False)": (many, lambda: vectors[1].step(batch)),
        "make_vec": (many, lambda: vectors[0].step(batch)),
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


def supersuit(swarms: int, options: dict, rows: np.ndarray) -> Call:
    """The conventional way to rows: PettingZoo dictionaries, stacked by SuperSuit."""
    warnings.simplefilter("ignore")  # SuperSuit's own
    import supersuit

    env = supersuit.pettingzoo_env_to_vec_env_v1(drone_formation.parallel_env("flag", **options))
    env = supersuit.concat_vec_envs_v1(env, swarms, base_class="stable_baselines3")
    env.reset()
    return lambda: env.step(rows)


def best(call: Call, seconds: float) -> float:
    """Seconds of one call, averaged over as many as fit."""
    calls, begin, held = 0, time.perf_counter(), None
    while (elapsed := time.perf_counter() - begin) < seconds:
        held = call()  # freed only when the next result is there
        calls += 1
    del held
    return elapsed / calls


def verdict(name: str, nanoseconds: float, reference: float) -> str:
    """Whether a view reaches its aim, in words; nothing where there is none."""
    if name not in AIMS:
        return ""
    figure, aim = AIMS[name]
    if figure == "over":
        return f"{'' if nanoseconds - reference <= aim else 'NOT '}within +{aim:.0f} ns"
    if figure == "ratio":
        return f"{'' if nanoseconds / reference <= aim else 'NOT '}within {aim:.2f}"
    return f"{'' if 1e3 / nanoseconds >= aim else 'NOT '}{aim:.0f} million/s"


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
            times[name] = min(times[name], 1e9 * best(call, arguments.seconds) / drones)

    machine = about()
    print(
        f"{machine['processor']}, load {machine['load']}; "
        f"{arguments.drones} drones x {arguments.swarms} swarms, one thread"
    )
    print(
        f"{'view':26}{'ns/drone-step':>14}{'million/s':>11}{'over simulator':>16}{'ratio':>8}  aim"
    )
    reference = 0.0
    for name, value in times.items():
        if name.startswith("simulator"):
            reference = value
        if "rows" in name:
            reference = times[f"simulator, {arguments.swarms} swarms"]
        print(
            f"{name:26}{value:14.1f}{1e3 / value:11.2f}{value - reference:+16.1f}"
            f"{value / reference:8.2f}  {verdict(name, value, reference)}"
        )


if __name__ == "__main__":
    main()
