"""What a second thread gains: ``python benchmarks/threads.py``.

Prints how long a step takes on one thread and on several, by turns: each takes a stretch of steps,
then the other, so that what the machine is like at the time hits both alike.  The fastest turn
counts, as whatever else runs can only slow it down.  Hovering drones step fastest, so that what
sharing costs weighs most there; drones flown at random crash and are put back.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from drone_formation import Swarms

STRETCH = 0.02  # s, about, that one turn takes


def actions_of(flight: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Actions to be taken in turn."""
    if flight == "hovering":
        return [np.zeros(shape, np.float32)]
    noise = np.random.default_rng(0).uniform(-1, 1, (16, *shape))
    return list(noise.astype(np.float32))


def measure(
    num_swarms: int, num_drones: int, flight: str, threads: tuple[int, ...], turns: int
) -> list[float]:
    """s per step, for each number of threads."""
    simulators = []
    for count in threads:
        swarms = Swarms("flag", num_swarms, num_drones, seed=0, max_steps=10**9, num_threads=count)
        swarms.reset()
        simulators.append(swarms)
    actions = actions_of(flight, (num_swarms, num_drones, 4))

    def stretch(swarms: Swarms, steps: int) -> float:
        begun = time.perf_counter()
        for step in range(steps):
            swarms.step(actions[step % len(actions)])
        return (time.perf_counter() - begun) / steps

    steps = 16 * max(1, round(STRETCH / stretch(simulators[0], 64) / 16))
    for swarms in simulators:
        stretch(swarms, steps)
    taken: list[list[float]] = [[] for _ in threads]
    for _ in range(turns):
        for swarms, times in zip(simulators, taken, strict=True):
            times.append(stretch(swarms, steps))
    return [min(times) for times in taken]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=150)
    arguments = parser.parse_args()
    threads = (1, arguments.threads)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{os.cpu_count()} cores; load {load} (others at work make threads look worse)")
    print(f"{'':<28}{'1 thread':>12}{f'{threads[1]} threads':>12}{'faster':>9}")
    for num_swarms in (64, 16):
        for flight in ("hovering", "flown at random"):
            one, more = measure(num_swarms, 64, flight, threads, arguments.turns)
            title = f"{num_swarms} x 64, {flight}"
            print(
                f"{title:<28}{1e6 * one:>9.0f} µs{1e6 * more:>9.0f} µs{one / more:>9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
