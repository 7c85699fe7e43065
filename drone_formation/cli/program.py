"""``main``: reads a command line, runs the command, and tells in one line what cannot be done."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .. import __version__
from . import bench, flight, listing, train
from .options import PROGRAM, Parser

#: Which extra brings a module that is missing.
EXTRAS = {
    "pygame": "render", "imageio_ffmpeg": "render", "PIL": "render",
    "torch": "train", "stable_baselines3": "train", "tensorboard": "train", "tqdm": "render",
    "scipy": "assignment", "matplotlib": "plots", "supersuit": "train",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 when what was asked for cannot be done (said in one line on stderr);
        130 when interrupted.
    """
    if "" not in sys.path:  # module:Name may be of a module in the present folder
        sys.path.append("")
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:  # --help, or arguments that make no sense
        return int(stop.code or 0)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError) as error:
        if arguments.debug:
            raise
        print(f"{PROGRAM} {arguments.command}: {_plainly(error)}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """All that can be typed."""
    whole = Parser(
        prog=PROGRAM, description="Swarms of quadrotors that learn to fly into formations."
    )
    whole.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")
    for group in (listing, train, flight, bench):
        group.add_to(commands)
    return whole


def _plainly(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = EXTRAS.get(error.name.partition(".")[0])
        if extra:
            return (
                f'{error.name} is missing; install it with: pip install "drone-formation[{extra}]"'
            )
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
