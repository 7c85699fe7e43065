"""How good the policies are that come with the package: every table of theirs in the documents.

python benchmarks/policies.py                        # minutes; --episodes 4 for a glance
python benchmarks/policies.py --generalist runs/recipe/fine_1 --randomized runs/recipe/randomized
python benchmarks/policies.py --flag runs/flag       # beside them, one of the flag alone
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from drone_formation import Randomization, Swarms, load_pilot
from drone_formation.evaluation import evaluate
from drone_formation.pilots.classical import ClassicalPilot

#: Tasks by what the tables call them.
FORMING = {
    name: name for name in ("hover", "flag", "sphere", "cube", "orbit", "follow", "conga", "idle")
} | {"random clouds": "formation"}
#: 5 by 7 dots, read from the top: what the letters look like.
LETTERS = {"R": "11110 10001 10001 11110 10100 10010 10001", "L": "10000 " * 6 + "11111"}


def helix() -> np.ndarray:
    """A spiral staircase of 64 drones, radius 6 m."""
    step = np.arange(64)
    angle = step * (2 * np.pi / 16)
    return np.stack([6 * np.cos(angle), 6 * np.sin(angle), 0.2 * (step - 31.5)], axis=1)


def letters() -> np.ndarray:
    """The letters RL in dots 2.2 m apart, facing the front camera."""
    dots = [
        (12.0 * place + 2.2 * column, -2.2 * row)
        for place, letter in enumerate(LETTERS.values())
        for row, line in enumerate(letter.split())
        for column, dot in enumerate(line)
        if dot == "1"
    ]
    across, up = np.array(dots, float).T
    return np.stack([across - across.mean(), 0 * up, up - (up.min() + up.max()) / 2], axis=1)


def larger_cube() -> np.ndarray:
    """The cube of 64 drones at 1.4 times its scale, as large as the arena allows."""
    swarms = Swarms("cube", 1, 64, seed=0)
    swarms.reset()
    return 1.4 * swarms.target_position[0].astype(float)


def row(label: str, pilot: Any, task: str, episodes: int, **options: Any) -> str:
    """One line of a table."""
    options = {**getattr(pilot, "options", {}), **options}
    found = evaluate(pilot, task, episodes, **options).as_dict()
    ratio = "n/a" if found.get("perf_ratio") is None else f"{found['perf_ratio']:.4f}"
    formed = found["time_to_form"]
    cells = (
        label, f"{found['perf']:.4f}", ratio, f"{1000 * found['formation_error']:.1f}",
        f"{found['on_target']:.4f}", "never" if formed is None else f"{formed:.1f}",
        f"{found['collisions']:.4f}", f"{1000 * found['crashes']:.2f}", str(episodes),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(title: str) -> None:
    print(f"\n{title}\n")
    print(
        "| | perf | perf / bound | error, mm | on target | time to form, s | collisions per "
        "drone-minute | crashes per 1,000 drone-episodes | episodes |"
    )
    print("|---" * 9 + "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--generalist", default="generalist", help="policy of all tasks (default: %(default)s)"
    )
    parser.add_argument("--flag", help="another policy to fly the flag")
    parser.add_argument(
        "--randomized",
        default="randomized",
        help="policy for airframes that differ (default: %(default)s)",
    )
    parser.add_argument("--episodes", type=int, default=200)
    arguments = parser.parse_args()
    generalist, randomized = map(load_pilot, (arguments.generalist, arguments.randomized))
    flag = load_pilot(arguments.flag) if arguments.flag else None
    episodes, began = arguments.episodes, time.perf_counter()
    half, fewer = max(episodes // 2, 1), max(episodes // 8, 1)

    for assignment in ("fixed", "optimal"):
        table(f'assignment="{assignment}"')
        for label, task in FORMING.items():
            print(row(label, generalist, task, episodes, assignment=assignment), flush=True)
        if flag is not None:
            print(row(arguments.flag, flag, "flag", episodes, assignment=assignment), flush=True)

    table("`generalist` on what it was not trained for, fixed assignment")
    for name, points in (
        ("helix", helix()),
        ("letters RL", letters()),
        ("larger cube", larger_cube()),
    ):
        label = f"{name}, {len(points)} drones"
        print(row(label, generalist, "formation", fewer, points=points), flush=True)
    for task, count, flights in (
        ("flag", 1, episodes), ("flag", 8, episodes), ("flag", 256, max(episodes // 16, 1)),
        ("flag", 1024, max(episodes // 25, 1)), ("sphere", 1024, max(episodes // 25, 1)),
    ):  # fmt: skip
        label = f"{task}, {count:,} drone{'s' if count > 1 else ''}"
        at_once = max(1024 // count, 1) if count > 64 else 16
        options = {"num_drones": count, "num_swarms_at_once": at_once}
        print(row(label, generalist, task, flights, **options), flush=True)

    table("Every drone with an airframe of its own, fixed assignment, flown by `randomized`")
    varied = {"randomization": Randomization()}
    for label, task in FORMING.items():
        print(row(label, randomized, task, half, **varied), flush=True)
    for name, pilot in (("`generalist`", generalist), ("the classical pilot", ClassicalPilot())):
        print(row(f"flag, by {name}", pilot, "flag", fewer, **varied), flush=True)
    print(row("flag, all alike, by `randomized`", randomized, "flag", half), flush=True)

    print("\n| race | rings per minute | collisions | crashes per 1,000 drone-episodes |")
    print("|---" * 4 + "|")
    for name, pilot in (("`generalist`", generalist), ("classical", ClassicalPilot())):
        found = evaluate(pilot, "race", episodes, **getattr(pilot, "options", {})).as_dict()
        print(
            f"| {name} | {found['rings_per_minute']:.1f} | {found['collisions']:.4f} "
            f"| {1000 * found['crashes']:.2f} |",
            flush=True,
        )
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
