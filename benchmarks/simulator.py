"""What larger swarms cost, and how far the simulator is from merely moving its bytes.

python benchmarks/simulator.py            # both; --growth or --roofline for one of them
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drone_formation import Swarms, observation
from drone_formation.bench import (
    Case,
    about,
    batch,
    heading,
    hovering,
    nanoseconds,
    steps_case,
    take_turns,
)  # fmt: skip
from drone_formation.sim import layout

#: Where the drones stand whose cost is compared over swarm sizes.
ARRANGEMENTS = {
    "formation": "each drone on its target in the flag",
    "start": "where an episode starts",
    "clump": "all drones in one ball, 0.3 m apart on average",
}
CLUMP_SPACING = 0.3  # m
#: Swarms of 64 drones: so few that a core's own cache holds them, the shared one, and neither.
BATCHES = (16, 128, 2048)


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
            cases.append(steps_case(swarms, hovering(swarms), steps))
    times = take_turns(cases, repeats)
    for k, row in enumerate(rows):
        smallest = times[k - k % len(sizes)]
        ratios = [mine / other for mine, other in zip(times[k], smallest, strict=True)]
        row["ns"] = nanoseconds(times[k])
        row["ratio"] = round(statistics.median(ratios), 2)
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
        rows.append(
            {
                "fits": fits(held),
                "num_drones": drones,
                "neighbours": swarms.neighbours,
                "MiB": round(held / 2**20, 2),
            }
        )
        steps = max(1, 200_000 // drones)
        cases += [steps_case(swarms, hovering(swarms), steps), _copies(held, max(1, 2**28 // held))]
    times = take_turns(cases, repeats)
    for k, row in enumerate(rows):
        per_byte = statistics.median(times[2 * k + 1])
        least = sum(least_bytes(row["neighbours"]).values())
        row["ns"] = nanoseconds(times[2 * k])
        row["bytes"] = least
        row["copy_GB_per_s"] = round(1e-9 / per_byte, 1)
        row["limit_ns"] = nanoseconds([per_byte * least])
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


def arranged(arrangement: str, num_drones: int, num_swarms: int | None = None) -> Swarms:
    """Swarms at rest in one of the ``ARRANGEMENTS``."""
    swarms = batch("hover" if arrangement == "start" else "flag", num_drones, num_swarms)
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
    return swarms._batch.blocks.nbytes + swarms.observations.nbytes + drones * (16 + 4 + 1)


def fits(size: int) -> str:
    """The nearest memory that holds that many bytes, as far as the system tells."""
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


def growth_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    sizes = sorted({row["num_drones"] for row in rows})
    yield f"ns per drone-step, hovering, one thread (times that with {sizes[0]})"
    yield f"{'drones':<12}" + "".join(f"{size:>15}" for size in sizes)
    for arrangement, meaning in ARRANGEMENTS.items():
        cells = {row["num_drones"]: row for row in rows if row["arrangement"] == arrangement}
        figures = [f"{cells[size]['ns']:.1f} ({cells[size]['ratio']:.2f})" for size in sizes]
        yield f"{arrangement:<12}{''.join(f' {figure:>14}' for figure in figures)}   {meaning}"


def roofline_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    least = least_bytes(rows[0]["neighbours"])
    parts = ", ".join(f"{name} {size}" for name, size in least.items())
    yield f"the limit: {rows[0]['bytes']} bytes per drone-step must move ({parts})"
    yield "fits     drones     MiB  copy GB/s  limit ns      ns  ratio"
    for row in rows:
        size = f"{row['fits']:<7} {row['num_drones']:>7} {row['MiB']:>7.1f}"
        limit = f"{row['copy_GB_per_s']:>10.1f} {row['limit_ns']:>9.1f}"
        yield f"{size} {limit} {row['ns']:>7.1f} {row['ratio']:>6.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--growth", action="store_true", help="what larger swarms cost")
    parser.add_argument("--roofline", action="store_true", help="the distance to the limit")
    parser.add_argument("--num-drones", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--steps", type=int, default=200, help="control steps per round")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count")
    arguments = parser.parse_args()
    every = arguments.growth == arguments.roofline
    print(heading({**about(), "repeats": arguments.repeats}))
    if arguments.growth or every:
        rows = growth(arguments.num_drones, arguments.steps, arguments.repeats)
        print("", *growth_table(rows), sep="\n")
    if arguments.roofline or every:
        print("", *roofline_table(roofline(BATCHES, arguments.repeats)), sep="\n")


if __name__ == "__main__":
    main()
