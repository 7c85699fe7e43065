"""How fast the simulator is: what ``drone-formation bench`` measures.

Every part takes turns: each round measures every case once, the first round only warms up, and the
median over the others counts.  What else the machine does then disturbs all cases alike.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from .pilots.library import load_pilot
from .swarms import Swarms

TASKS = ("flag", "follow", "race")
SIZES = (64, 256, 1024, 4096)
NEIGHBOURS = (1, 4)
#: Drones stepped by one call where swarms are smaller than that.
BATCH = 1024
#: What the drones do while the rates are measured.
FLIGHTS = ("random", "flown", "hover")

Case = Callable[[], float]  # measures once: seconds per drone-step


def measure(
    tasks: Sequence[str] = TASKS,
    sizes: Sequence[int] = SIZES,
    neighbours: Sequence[int] = NEIGHBOURS,
    steps: int = 200,
    repeats: int = 5,
) -> dict[str, Any]:
    """The figures: about the machine, and ``rates``, a row for each case.

    Rates are those in flight, from the start of an episode on, on one thread.  ``random``: actions
    are noise, so drones tumble about, crash and are put back.  ``flown``: they are those of the
    policy that comes with the package.  ``hover``: all stay where they start.

    Args:
        tasks, sizes, neighbours: the cases; sizes are drones per swarm.
        steps: control steps per case and round.
        repeats: rounds that count.

    Raises:
        ValueError: steps or repeats are less than 1.
    """
    if min(repeats, steps) < 1:
        raise ValueError(f"repeats and steps must be 1 or more, got {repeats} and {steps}")
    found: dict[str, Any] = {**about(), "steps": steps, "repeats": repeats}
    rows, cases = [], []
    for task, size in product(tasks, sizes):
        flown = _policy(task, size, steps)
        for observed in neighbours:
            swarms = batch(task, size, neighbours=observed)
            row = {"task": task, "num_drones": size, "num_swarms": swarms.num_swarms}
            rows.append({**row, "neighbours": observed})
            for actions in (noise(swarms), flown, hovering(swarms)):
                cases.append(episode_case(swarms, actions, steps))
    times = iter(take_turns(cases, repeats))
    for row in rows:
        row.update({f"{flight}_ns": nanoseconds(next(times)) for flight in FLIGHTS})
    return {**found, "rates": rows}


def about() -> dict[str, Any]:
    """The machine's name, what the figures depend on, and how busy it was before."""
    import numba

    return {
        "processor": processor(),
        "processors": processors(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "numba": numba.__version__,
    }


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---- swarms to measure -------------------------------------------------------------------------


def batch(task: str, num_drones: int, num_swarms: int | None = None, **options: Any) -> Swarms:
    """Swarms whose episodes do not end; at least ``BATCH`` drones unless their number is given."""
    if num_swarms is None:
        num_swarms = max(BATCH // max(num_drones, 1), 1)
    swarms = Swarms(task, num_swarms, num_drones, seed=0, max_steps=10**6, **options)
    swarms.reset()
    return swarms


def noise(swarms: Swarms) -> np.ndarray:
    shape = (16, swarms.num_swarms, swarms.num_drones, 4)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _policy(task: str, num_drones: int, steps: int) -> np.ndarray:
    """What the trained policy does from the start of an episode on, (steps, S, N, 4)."""
    pilot = load_pilot(task)
    swarms = batch(task, num_drones, **pilot.options)
    actions = np.empty((steps, swarms.num_swarms, num_drones, 4), np.float32)
    for k in range(steps):
        actions[k] = pilot.act(swarms)
        swarms.step(actions[k])
    return actions


def hovering(swarms: Swarms) -> np.ndarray:
    return np.zeros((1, swarms.num_swarms, swarms.num_drones, 4), np.float32)


# ---- measuring ---------------------------------------------------------------------------------


def take_turns(cases: Sequence[Case], repeats: int) -> list[list[float]]:
    """For each case, its measurements in all rounds but the first."""
    rounds = [[case() for case in cases] for _ in range(repeats + 1)]
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def steps_case(swarms: Swarms, actions: np.ndarray, steps: int) -> Case:
    """Time some steps, going on from where the swarms are."""
    drone_steps = steps * swarms.num_swarms * swarms.num_drones

    def seconds() -> float:
        begin = time.perf_counter()
        for k in range(steps):
            swarms.step(actions[k % len(actions)])
        return (time.perf_counter() - begin) / drone_steps

    return seconds


def episode_case(swarms: Swarms, actions: np.ndarray, steps: int) -> Case:
    """Time the same steps in every round: those after a reset."""
    go_on = steps_case(swarms, actions, steps)

    def seconds() -> float:
        swarms.reset(seed=0)
        return go_on()

    return seconds


def nanoseconds(times: Sequence[float]) -> float:
    return round(1e9 * statistics.median(times), 2)


# ---- printing ----------------------------------------------------------------------------------


def as_text(found: dict[str, Any]) -> str:
    """The figures of :func:`measure` as a table."""
    lines = [heading(found), f"{found['steps']} steps each", "", *_rates_table(found["rates"])]
    return "\n".join(lines)


def heading(found: dict[str, Any]) -> str:
    """The machine and how often was measured, in one line."""
    busy = "" if found["load"] is None else f", load {found['load']}"
    return (
        f"{found['processor']}, {found['processors']} processors{busy}; medians of "
        f"{found['repeats']} rounds"
    )


def _rates_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "million drone-steps per second (ns per drone-step), one thread"
    flights = "".join(f"{flight:>18}" for flight in FLIGHTS)
    yield f"{'task':<10}{'drones':>7}{'swarms':>7}{'observed':>9}{flights}"
    for row in rows:
        size = f"{row['task']:<10}{row['num_drones']:>7}{row['num_swarms']:>7}"
        speeds = "".join(_rate(row[f"{flight}_ns"]) for flight in FLIGHTS)
        yield f"{size}{row['neighbours']:>9}{speeds}"


def _rate(nanoseconds: float) -> str:
    return f"{1e3 / nanoseconds:>9.2f} {f'({nanoseconds:.1f})':>8}"
