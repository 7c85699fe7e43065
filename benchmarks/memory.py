"""Whether the simulator leaves garbage behind: ``python benchmarks/memory.py``.

Prints by how much resident memory grows over a million steps of a small swarm, on one thread and on
two, and how much Python and NumPy allocate within one step of many swarms.  The exit status is 1
when memory grows by 1 MiB or more, or when a step allocates an array.

What a step does allocate are a few small Python objects that die with it: the result's tuple, the
argument tuples of two calls, and headers of arrays that share the simulator's memory.
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from drone_formation import Swarms

MEBIBYTE = 2**20
Step = Callable[[], object]


def resident() -> int:
    """Bytes of memory this process holds now; the most so far where the present is not told."""
    try:
        with open("/proc/self/statm") as line:
            pages = int(line.read().split()[1])
    except OSError:
        pass
    else:
        import resource

        return pages * resource.getpagesize()
    try:
        import resource
    except ImportError as error:  # Windows
        raise NotImplementedError("this system does not tell how much memory is held") from error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if platform.system() == "Darwin" else 1024)


def flight(num_swarms: int, num_drones: int, num_threads: int = 1) -> Step:
    """A step of swarms in the midst of random flight, crashes included."""
    swarms = Swarms(
        "flag", num_swarms, num_drones, seed=0, max_steps=10**9, num_threads=num_threads
    )
    swarms.reset()
    noise = np.random.default_rng(0).uniform(-1, 1, (16, num_swarms, num_drones, 4))
    actions = list(noise.astype(np.float32))
    turn = 0

    def step() -> object:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        return swarms.step(actions[turn])

    return step


def growth(step: Step, steps: int) -> int:
    """By how many bytes resident memory grows over some steps, once it has settled."""
    for _ in range(2000):
        step()
    gc.collect()
    before = resident()
    for _ in range(steps):
        step()
    return resident() - before


def allocated(step: Step, steps: int = 100) -> tuple[int, int]:
    """The most bytes that are allocated at a time within a step, and NumPy's that stay after many.

    Of both Python's and NumPy's allocators; the step is taken many times, and the most counts.
    """
    arrays = [tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]

    def held() -> int:
        traces = tracemalloc.take_snapshot().filter_traces(arrays).traces
        return sum(trace.size for trace in traces)

    for _ in range(steps):
        step()
    tracemalloc.start()
    try:
        before, most = held(), 0
        for _ in range(steps):
            gc.collect(0)
            tracemalloc.reset_peak()
            now, _ = tracemalloc.get_traced_memory()
            step()
            most = max(most, tracemalloc.get_traced_memory()[1] - now)
        return most, held() - before
    finally:
        tracemalloc.stop()


def main() -> int:
    """Measure, and print the figures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=float, default=1e6)
    parser.add_argument("--swarms", type=int, default=2)
    parser.add_argument("--drones", type=int, default=4)
    arguments = parser.parse_args()
    steps, sound = int(arguments.steps), True
    for num_threads in (1, 2):
        begun = time.perf_counter()
        grown = growth(flight(arguments.swarms, arguments.drones, num_threads), steps)
        sound = sound and grown < MEBIBYTE
        print(
            f"{steps:,} steps of {arguments.swarms} x {arguments.drones} drones, threads: "
            f"{num_threads}; memory {grown / 1024:+,.0f} KiB "
            f"in {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
    # At this number an array of one byte for each swarm is larger than all the small objects.
    swarms = 4096
    most, left = allocated(flight(swarms, 1))
    sound = sound and most < swarms and left == 0
    print(f"within a step of {swarms:,} swarms: {most:,} bytes at a time, {left} of arrays stay")
    print("sound" if sound else "NOT SOUND")
    return not sound


if __name__ == "__main__":
    sys.exit(main())
