"""Seconds from the start of Python to the first step's end: ``python benchmarks/startup.py``.

Cold: nothing is compiled yet, as right after an installation (an empty NUMBA_CACHE_DIR).  Warm:
what the first process has compiled is read from the cache; the best of several starts.  The aims
are 12 s and 4 s.  ``--num-drones``: more than 128 are searched another way, which takes longer to
compile.  ``--profile`` adds which functions a cold start spends its time on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

COLD, WARM = 12.0, 4.0  # s, the aims
#: What a user's program does first, and when each part was done.
PROGRAM = """
import json, sys, time
import numpy as np
times = {"python and NumPy": time.time()}
import drone_formation
times["import drone_formation"] = time.time()
import numba
times["import numba"] = time.time()
drones = int(sys.argv[1])
swarms = drone_formation.Swarms("flag", 1, drones, seed=0)
times["Swarms()"] = time.time()
swarms.reset()
times["reset()"] = time.time()
swarms.step(np.zeros((1, drones, 4), np.float32))
times["step()"] = time.time()
print(json.dumps(times))
"""


def start(cache: str, drones: int) -> dict[str, float]:
    """Seconds of each part of a start, in order, and of all, with numba's cache in a folder."""
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(drones)],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    parts, before = {}, begun
    for name, now in json.loads(done.stdout).items():
        parts[name], before = now - before, now
    return {**parts, "all": before - begun}


def profile(drones: int) -> None:
    """Compile the simulator in this process, and print where the time goes."""
    from numba.core import event

    open_, own, count = [], defaultdict(float), defaultdict(int)

    class Watch(event.Listener):
        def on_start(self, event: event.Event) -> None:
            open_.append([time.perf_counter(), 0.0])

        def on_end(self, event: event.Event) -> None:
            begun, within = open_.pop()
            name, elapsed = event.data["dispatcher"].py_func.__name__, time.perf_counter() - begun
            own[name] += elapsed - within
            count[name] += 1
            if open_:
                open_[-1][1] += elapsed

    event.register("numba:compile", Watch())
    import numpy as np

    from drone_formation import Swarms

    swarms = Swarms("flag", 1, drones, seed=0)
    swarms.reset()
    swarms.step(np.zeros((1, drones, 4), np.float32))
    print(
        f"{sum(count.values())} compilations of {len(count)} functions, {sum(own.values()):.1f} s"
    )
    print("without those that they call, but with optimising these again where they are linked in:")
    for name in sorted(own, key=own.__getitem__, reverse=True)[:20]:
        times = f", {count[name]} times" if count[name] > 1 else ""
        print(f"{own[name]:8.2f} s  {name}{times}")


def main() -> int:
    """Measure, and print the figures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-drones", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5, help="warm starts")
    parser.add_argument("--profile", action="store_true", help="of compilation")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        cold = start(cache, arguments.num_drones)
        starts = [start(cache, arguments.num_drones) for _ in range(arguments.repeats)]
        warm = min(starts, key=lambda parts: parts["all"])
    print(f"{'seconds':26}{'cold':>8}{'warm':>8}")
    for name in cold:
        print(f"{name:26}{cold[name]:8.2f}{warm[name]:8.2f}")
    print(f"{'aim':26}{COLD:8.2f}{WARM:8.2f}")
    if arguments.profile:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["NUMBA_CACHE_DIR"] = cache  # before numba is imported
            profile(arguments.num_drones)
    return not (cold["all"] <= COLD and warm["all"] <= WARM)


if __name__ == "__main__":
    sys.exit(main())
