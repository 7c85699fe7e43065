"""``drone-formation list``."""

from __future__ import annotations

import argparse
from typing import Any

from ..registration import discover_tasks
from ..tasks import TASKS
from .options import add_command


def add_to(commands: Any) -> None:
    add_command(commands, "list", show, "list the tasks and the trained policies that come along")


def show(arguments: argparse.Namespace) -> None:
    from ..pilots.library import shipped_policies

    discover_tasks()  # those of other distributions, too
    width = max(len(task.id) for task in TASKS.values())
    for task in TASKS.values():
        print(f"{task.id:{width}}  {task.summary}")
    print("policies that come along: " + (", ".join(shipped_policies()) or "none"))
