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
from pathlib import Path
from typing import Any

import numpy as np

from . import observation
from .pilots.trained import load_pilot
from .sim import layout
from .swarms import Swarms

#: What can be measured; the first is what is measured unless another is asked for.
PARTS = ("rates", "growth", "threads", "roofline")
TASKS = ("flag", "follow", "race")
SIZES = (64, 256, 1024, 4096)
NEIGHBOURS = (1, 2)
#: Drones stepped by one call where swarms are smaller than that.
BATCH = 1024
#: Where the drones stand whose cost is compared over swarm sizes: the keys of ``growth``.
ARRANGEMENTS = {
    "formation": "each drone on its target in the flag",
    "start": "where an episode starts",
    "clump": "all drones in one ball, 0.3 m apart on average",
}
CLUMP_SPACING = 0.3  # m
#: What the drones do while the rates are measured.
FLIGHTS = ("random", "flown", "hover")
#: Swarms and drones per swarm that threads share.
SHARED = ((16, 64), (64, 64), (4, 1024))
#: Swarms of 64 drones: so few that a core's own cache holds them, the shared one, and neither.
BATCHES = (16, 128, 2048)

Case = Callable[[], float]  # measures once: seconds per drone-step


def measure(
    parts: Sequence[str] = PARTS[:1],
    tasks: Sequence[str] = TASKS,
    sizes: Sequence[int] = SIZES,
    neighbours: Sequence[int] = NEIGHBOURS,
    steps: int = 200,
    repeats: int = 5,
) -> dict[str, Any]:
    """The figures: about the machine, and a list of rows for each part.

    Args:
        parts: of ``PARTS``.
        tasks, sizes, neighbours: of the rates; ``sizes`` is also how far the growth is followed.
        steps: control steps per case and round.
        repeats: rounds that count.
    """
    if min(repeats, steps) < 1:
        raise ValueError(f"repeats and steps must be 1 or more, got {repeats} and {steps}")
    found: dict[str, Any] = {**about(), "steps": steps, "repeats": repeats}
    if "rates" in parts:
        found["rates"] = rates(tasks, sizes, neighbours, steps, repeats)
    if "growth" in parts:
        found["growth"] = growth(sizes, steps, repeats)
    if "threads" in parts:
        found["threads"] = threads(SHARED, steps, repeats)
    if "roofline" in parts:
        found["roofline"] = roofline(BATCHES, repeats)
    return found


# ---- about the machine -------------------------------------------------------------------------


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


# ---- parts -------------------------------------------------------------------------------------


def rates(
    tasks: Sequence[str],
    sizes: Sequence[int],
    neighbours: Sequence[int],
    steps: int,
    repeats: int,
) -> list[dict[str, Any]]:
    """Speed in flight, from the start of an episode on, on one thread.

    ``random``: actions are noise, so drones tumble about, crash and are put back.  ``flown``: they
    are those of the policy that comes with the package.  ``hover``: all stay where they start.
    """
    rows, cases = [], []
    for task in tasks:
        for size in sizes:
            flown = _policy(task, size, steps)
            for observed in neighbours:
                swarms = _batch(task, size, neighbours=observed)
                rows.append(
                    {
                        "task": task,
                        "num_drones": size,
                        "num_swarms": swarms.num_swarms,
                        "neighbours": observed,
                    }
                )
                for actions in (_noise(swarms), flown, _hover(swarms)):
                    cases.append(_episode(swarms, actions, steps))
    times = iter(_take_turns(cases, repeats))
    for row in rows:
        for flight in FLIGHTS:
            row[f"{flight}_ns"] = _nanoseconds(next(times))
    return rows


def growth(sizes: Sequence[int], steps: int, repeats: int) -> list[dict[str, Any]]:
    """What a drone-step costs in larger swarms, relative to the smallest, on one thread.

    The drones hover, so that each arrangement (see ``ARRANGEMENTS``) lasts.
    """
    sizes = sorted(set(sizes))
    rows, cases = [], []
    for arrangement in ARRANGEMENTS:
        for size in sizes:
            swarms = arranged(arrangement, size)
            rows.append({"arrangement": arrangement, "num_drones": size})
            cases.append(_steps(swarms, _hover(swarms), steps))
    times = _take_turns(cases, repeats)
    for k, row in enumerate(rows):
        smallest = times[k - k % len(sizes)]
        ratios = [mine / other for mine, other in zip(times[k], smallest, strict=True)]
        row["ns"] = _nanoseconds(times[k])
        row["ratio"] = round(statistics.median(ratios), 2)
    return rows


def threads(shared: Sequence[tuple[int, int]], steps: int, repeats: int) -> list[dict[str, Any]]:
    """Two threads against one, with actions of noise, and whether their results are the same bits.

    Args:
        shared: how many swarms, of how many drones, the threads share.
        steps, repeats: as in ``measure``.
    """
    rows: list[dict[str, Any]] = []
    cases = []
    for num_swarms, num_drones in shared:
        one, two = (
            Swarms("flag", num_swarms, num_drones, seed=0, num_threads=count) for count in (1, 2)
        )
        same = all(_same_flight(one, two, min(steps, 100)))
        rows.append({"num_swarms": num_swarms, "num_drones": num_drones, "same": same})
        cases += [_episode(swarms, _noise(swarms), steps) for swarms in (one, two)]
    times = iter(_take_turns(cases, repeats))
    for row in rows:
        alone, shared_out = next(times), next(times)
        row["one_ns"], row["two_ns"] = _nanoseconds(alone), _nanoseconds(shared_out)
        speedups = [mine / other for mine, other in zip(alone, shared_out, strict=True)]
        row["speedup"] = round(statistics.median(speedups), 2)
    return rows


def roofline(batches: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """How far a step is from merely moving its bytes, on one thread: the limit of any simulator.

    The bytes that must move (see ``least_bytes``) over the bandwidth of ``np.copyto``, measured
    between two arrays that together are as large as all that the simulator holds: what fits a cache
    is limited by that cache, what does not by memory.

    Args:
        batches: numbers of swarms of 64 drones.
        repeats: as in ``measure``.
    """
    rows, cases = [], []
    for num_swarms in batches:
        swarms = arranged("start", 64, num_swarms)
        drones, held = num_swarms * 64, footprint(swarms)
        rows.append({"fits": fits(held), "num_drones": drones, "MiB": round(held / 2**20, 2)})
        steps = max(1, 200_000 // drones)
        cases += [_steps(swarms, _hover(swarms), steps), _copies(held, max(1, 2**28 // held))]
    times = _take_turns(cases, repeats)
    for k, row in enumerate(rows):
        per_byte = statistics.median(times[2 * k + 1])
        least = sum(least_bytes(2).values())
        row["ns"] = _nanoseconds(times[2 * k])
        row["bytes"] = least
        row["copy_GB_per_s"] = round(1e-9 / per_byte, 1)
        row["limit_ns"] = _nanoseconds([per_byte * least])
        row["ratio"] = round(statistics.median(times[2 * k]) / (per_byte * least), 1)
    return rows


def least_bytes(neighbours: int) -> dict[str, int]:
    """The bytes that any simulator of this interface moves for a drone-step, in float32."""
    number = np.dtype(np.float32).itemsize
    return {
        "actions read": 4 * number,
        "state read": layout.STATE_ROWS * number,
        "state written": layout.STATE_ROWS * number,
        "observations written": observation.observation_size(neighbours) * number,
        "rewards written": number,
        "flags written": np.dtype(np.bool_).itemsize,
    }


# ---- swarms to measure -------------------------------------------------------------------------


def _batch(task: str, num_drones: int, num_swarms: int | None = None, **options: Any) -> Swarms:
    """Swarms that are long in flight; at least ``BATCH`` drones unless said how many swarms."""
    if num_swarms is None:
        num_swarms = max(BATCH // max(num_drones, 1), 1)
    swarms = Swarms(task, num_swarms, num_drones, seed=0, max_steps=10**6, **options)
    swarms.reset()
    return swarms


def arranged(arrangement: str, num_drones: int, num_swarms: int | None = None) -> Swarms:
    """Swarms at rest in one of the ``ARRANGEMENTS``."""
    swarms = _batch("hover" if arrangement == "start" else "flag", num_drones, num_swarms)
    if arrangement == "formation":
        swarms.place(swarms.target_position)
    elif arrangement == "clump":
        swarms.place(_ball(swarms.num_swarms, num_drones))
    return swarms


def _ball(num_swarms: int, num_drones: int) -> np.ndarray:
    """Uniformly random positions (S, N, 3) in a ball, ``CLUMP_SPACING`` apart on average."""
    rng = np.random.default_rng(0)
    radius = CLUMP_SPACING * (3 * num_drones / (4 * np.pi)) ** (1 / 3)
    directions = rng.normal(size=(num_swarms, num_drones, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    return radius * directions * np.cbrt(rng.random((num_swarms, num_drones, 1)))


def footprint(swarms: Swarms) -> int:
    """Bytes that a step touches: drones, actions and results."""
    drones = swarms.num_swarms * swarms.num_drones
    return swarms._blocks.nbytes + swarms.observations.nbytes + drones * (16 + 4 + 1)


def fits(size: int) -> str:
    """The nearest memory that holds so many bytes, as far as the system tells."""
    caches = {}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, kind, held = (
            (folder / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction" and held.endswith("K"):
            caches[f"L{level}"] = int(held[:-1]) * 1024
    if not caches:
        return "unknown"
    return next((level for level in sorted(caches) if caches[level] >= size), "memory")


def _noise(swarms: Swarms) -> np.ndarray:
    shape = (16, swarms.num_swarms, swarms.num_drones, 4)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _policy(task: str, num_drones: int, steps: int) -> np.ndarray:
    """What the trained policy does from the start of an episode on, (steps, S, N, 4)."""
    pilot = load_pilot(task)
    swarms = _batch(task, num_drones, **pilot.options)
    actions = np.empty((steps, swarms.num_swarms, num_drones, 4), np.float32)
    for k in range(steps):
        actions[k] = pilot.act(swarms)
        swarms.step(actions[k])
    return actions


def _hover(swarms: Swarms) -> np.ndarray:
    return np.zeros((1, swarms.num_swarms, swarms.num_drones, 4), np.float32)


# ---- measuring ---------------------------------------------------------------------------------


def _take_turns(cases: Sequence[Case], repeats: int) -> list[list[float]]:
    """For each case, its measurements in all rounds but the first."""
    rounds = [[case() for case in cases] for _ in range(repeats + 1)]
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def _steps(swarms: Swarms, actions: np.ndarray, steps: int) -> Case:
    """Time some steps, going on from where the swarms are."""
    drone_steps = steps * swarms.num_swarms * swarms.num_drones

    def seconds() -> float:
        begin = time.perf_counter()
        for k in range(steps):
            swarms.step(actions[k % len(actions)])
        return (time.perf_counter() - begin) / drone_steps

    return seconds


def _episode(swarms: Swarms, actions: np.ndarray, steps: int) -> Case:
    """Time the same steps in every round: those after a reset."""
    go_on = _steps(swarms, actions, steps)

    def seconds() -> float:
        swarms.reset(seed=0)
        return go_on()

    return seconds


def _copies(held: int, times: int) -> Case:
    """Time copies between two arrays of ``held`` bytes in all: seconds per byte that moves.

    A byte copied is read and written: it moves twice.
    """
    source, target = np.ones(held // 2, np.uint8), np.zeros(held // 2, np.uint8)

    def seconds() -> float:
        begin = time.perf_counter()
        for _ in range(times):
            np.copyto(target, source)
        return (time.perf_counter() - begin) / (times * 2 * len(source))

    return seconds


def _same_flight(one: Swarms, other: Swarms, steps: int) -> Iterator[bool]:
    """Step by step, whether two simulators give the same bits."""
    actions = _noise(one)
    yield np.array_equal(one.reset(seed=0), other.reset(seed=0))
    for k in range(steps):
        results = one.step(actions[k % 16]), other.step(actions[k % 16])
        yield all(mine.tobytes() == yours.tobytes() for mine, yours in zip(*results, strict=True))
    yield one._blocks.tobytes() == other._blocks.tobytes()


def _nanoseconds(times: Sequence[float]) -> float:
    return round(1e9 * statistics.median(times), 2)


# ---- printing ----------------------------------------------------------------------------------


def as_text(found: dict[str, Any]) -> str:
    """The figures of ``measure`` as tables."""
    busy = "" if found["load"] is None else f", load {found['load']}"
    lines = [
        f"{found['processor']}, {found['processors']} processors{busy}",
        f"medians of {found['repeats']} rounds; {found['steps']} steps each but for the limit",
    ]
    for part, table in _TABLES.items():
        if part in found:
            lines += ["", *table(found[part])]
    return "\n".join(lines)


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


def _growth_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    sizes = sorted({row["num_drones"] for row in rows})
    yield f"ns per drone-step, hovering, one thread (times that with {sizes[0]})"
    yield f"{'drones':<12}" + "".join(f"{size:>15}" for size in sizes)
    for arrangement, meaning in ARRANGEMENTS.items():
        cells = {row["num_drones"]: row for row in rows if row["arrangement"] == arrangement}
        figures = [f"{cells[size]['ns']:.1f} ({cells[size]['ratio']:.2f})" for size in sizes]
        yield f"{arrangement:<12}{''.join(f' {figure:>14}' for figure in figures)}   {meaning}"


def _threads_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "two threads against one, random actions, ns per drone-step"
    yield f"{'drones':<14}{'one':>8} {'two':>8} {'faster':>7}   same bits"
    for row in rows:
        size = f"{row['num_swarms']} x {row['num_drones']}"
        times = f"{row['one_ns']:>8.1f} {row['two_ns']:>8.1f} {row['speedup']:>7.2f}"
        yield f"{size:<14}{times}   {'yes' if row['same'] else 'NO'}"


def _roofline_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    parts = ", ".join(f"{name} {size}" for name, size in least_bytes(2).items())
    yield f"the limit: {rows[0]['bytes']} bytes per drone-step must move ({parts})"
    yield "fits     drones     MiB  copy GB/s  limit ns      ns  ratio"
    for row in rows:
        size = f"{row['fits']:<7} {row['num_drones']:>7} {row['MiB']:>7.1f}"
        limit = f"{row['copy_GB_per_s']:>10.1f} {row['limit_ns']:>9.1f}"
        yield f"{size} {limit} {row['ns']:>7.1f} {row['ratio']:>6.1f}"


_TABLES: dict[str, Callable[[list[dict[str, Any]]], Iterator[str]]] = {
    "rates": _rates_table,
    "growth": _growth_table,
    "threads": _threads_table,
    "roofline": _roofline_table,
}
