"""``drone-formation bench``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..registration import task_name
from .options import add_command


def add_to(commands: Any) -> None:
    sub = add_command(commands, "bench", run, "measure the speed of the simulator")
    sub.add_argument("tasks", nargs="*", metavar="task", help="flag, follow and race if not given")
    sub.add_argument(
        "--num-drones", type=int, nargs="+", default=[64, 256, 1024, 4096], help="per swarm"
    )
    sub.add_argument("--neighbours", type=int, nargs="+", default=[1, 4], help="observed")
    sub.add_argument("--repeats", type=int, default=5, help="the median of these is reported")
    sub.add_argument("--steps", type=int, default=200, help="control steps per repeat")
    sub.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> None:
    names = [task_name(task) for task in arguments.tasks]
    from .. import bench

    found = bench.measure(
        names or bench.TASKS, arguments.num_drones, arguments.neighbours, arguments.steps,
        arguments.repeats,
    )  # fmt: skip
    print(json.dumps(found, indent=2) if arguments.json else bench.as_text(found))
