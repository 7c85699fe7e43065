"""Long flights, looking for what only shows after a while: ``python benchmarks/soak.py``.

Half of the drone-steps are flown with random actions and half by a trained pilot.  Every
observation and reward is checked to be finite and within bounds, every quaternion to be of unit
length, and memory not to grow.  The exit status is 1 when one of them is not so.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import sys
import time
from typing import Any

import numpy as np

from drone_formation import Swarms, load_pilot
from drone_formation.pilots.classical import ClassicalPilot
from drone_formation.tasks import TASKS

#: Growth of memory that is still called flat, MiB, and the error allowed in a quaternion's length.
FLAT, UNIT = 16.0, 1e-6
#: Random actions are drawn once, and then dealt out at random.
BATCHES = 64


def memory() -> float:
    """Memory this process holds now, MiB; its greatest so far where the present is not told."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if platform.system() == "Darwin" else 1024)


def soak(
    pilot: str, drone_steps: int, *, num_swarms: int = 16, num_drones: int = 64,
    max_steps: int = 1024, task: str = "mixed",
) -> dict[str, Any]:  # fmt: skip
    """Fly until ``drone_steps`` are done; figures.

    Args:
        pilot: "random", "classical", or what ``load_pilot`` takes.
        drone_steps: how many, at least.
        num_swarms, num_drones, max_steps, task: as in ``Swarms``.
    """
    flier = None
    options: dict[str, Any] = {}
    if pilot == "classical":
        flier = ClassicalPilot()
    elif pilot != "random":
        flier = load_pilot(pilot)
        options["neighbours"] = flier.neighbours
    swarms = Swarms(task, num_swarms, num_drones, seed=0, max_steps=max_steps, **options)
    swarms.reset()
    rng = np.random.default_rng(0)
    shape = (num_swarms, num_drones, 4)
    noise = rng.uniform(-1, 1, (BATCHES, *shape)).astype(np.float32) if flier is None else None
    per_step = num_swarms * num_drones
    steps = -(-drone_steps // per_step)
    found = {"pilot": pilot, "drone-steps": steps * per_step, "episodes": 0, "crashes": 0,
             "blow-ups": 0, "not finite": 0, "out of bounds": 0, "quaternion": 0.0}  # fmt: skip
    # Episodes are all drawn from one generator per swarm; staggered, some begin at any time.
    warm, before = max(1, min(2 * max_steps, steps // 4)), memory()
    begun = time.perf_counter()
    for step in range(steps):
        actions = flier.act(swarms) if noise is None else noise[rng.integers(BATCHES)]
        observations, rewards, crashed, truncated = swarms.step(actions)
        greatest = np.abs(observations).max()
        if not greatest <= 1:  # NaN included
            found["out of bounds"] += 1
        if not (np.isfinite(greatest) and np.isfinite(rewards).all()):
            found["not finite"] += 1
        found["crashes"] += int(np.count_nonzero(crashed))
        if step % 8 == 0 or step == steps - 1:
            norm = np.linalg.norm(swarms.attitude.astype(np.float64), axis=-1)
            found["quaternion"] = max(found["quaternion"], float(np.abs(norm - 1).max()))
            for name in ("position", "velocity", "body_rates", "rotor_speeds"):
                found["not finite"] += int(not np.isfinite(getattr(swarms, name)).all())
        if truncated.any():
            over = np.flatnonzero(truncated)
            found["episodes"] += len(over)
            found["blow-ups"] += int(swarms.faults[over].sum())
            swarms.reset(which=over)
        if step == warm:
            before = memory()
    found["blow-ups"] += int(swarms.faults.sum())
    found["seconds"] = time.perf_counter() - begun
    found["memory"], found["growth"] = memory(), memory() - before
    return found


def main() -> int:
    """Soak, and print the figures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drone-steps", type=float, default=1e9, help="in all")
    parser.add_argument(
        "--pilot", default="generalist", help="a policy, or classical (slow: it plans)"
    )
    parser.add_argument("--task", default="mixed", choices=tuple(TASKS))
    parser.add_argument("--num-swarms", type=int, default=16)
    parser.add_argument("--num-drones", type=int, default=64)
    arguments = parser.parse_args()
    sound = True
    for pilot in itertools.chain(["random"], [arguments.pilot]):
        result = soak(
            pilot, int(arguments.drone_steps / 2), task=arguments.task,
            num_swarms=arguments.num_swarms, num_drones=arguments.num_drones,
        )  # fmt: skip
        print(
            "{pilot}: {drone-steps:,} drone-steps, {episodes:,} episodes in {seconds:.0f} s; "
            "{crashes:,} crashes; {not finite} not finite, {out of bounds} out of bounds, "
            "{blow-ups} blow-ups; quaternion length within {quaternion:.1e} of 1; "
            "memory {memory:.0f} MiB, {growth:+.1f} MiB since the second episode".format(**result),
            flush=True,
        )
        faults = result["not finite"] + result["out of bounds"] + result["blow-ups"]
        flat = not result["growth"] > FLAT  # NaN: not known
        sound = sound and not faults and result["quaternion"] <= UNIT and flat
    print("sound" if sound else "NOT SOUND")
    return not sound


if __name__ == "__main__":
    sys.exit(main())
