"""What the commands' options have in common."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

PROGRAM = "drone-formation"
TASK = "DroneFlag-v0, or just flag"
RANDOMIZE = "an airframe of its own for every drone, drawn anew in every episode"


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


class Formatter(argparse.HelpFormatter):
    """States the default of every option that takes a value, once."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if not action.option_strings or action.nargs == 0 or action.required or "(default" in text:
            return text
        return f"{text} (default: {shown(action.default)})".lstrip()


def shown(value: Any) -> str:
    """A default as one would type it, for argparse's help."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(shown, value))
    return f"{value:_}" if isinstance(value, int) else str(value).replace("%", "%%")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int | None], summary: str
) -> argparse.ArgumentParser:
    """A command that runs a function, with the options that all commands have."""
    sub: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=Formatter,
    )
    sub.add_argument("--debug", action="store_true", help="show where an error comes from")
    sub.set_defaults(run=run)
    return sub


def count(text: str) -> int:
    """An integer, written 20000000, 20_000_000 or 20e6."""
    value = float(text)
    if value != int(value):
        raise ValueError(text)
    return int(value)


count.__name__ = "whole number"  # argparse's messages name it


def described(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of its attributes, one line each."""
    _, _, text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    found = re.findall(
        r"^    (\w+): (.*(?:\n        .*)*)", text.partition("\n\n")[0], re.MULTILINE
    )
    return {name: " ".join(about.replace("``", "").rstrip(".").split()) for name, about in found}


def imported(option: str, name: str) -> Any:
    """What ``module:Name`` names.

    Raises:
        ValueError: there is no such module, or no such name in it.
    """
    module_name, _, attribute = name.partition(":")
    if not (module_name and attribute):
        raise ValueError(f"{option} must be module:Name, got {name!r}")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(f"{option} {name}: there is no module {error.name!r}") from None
        raise  # the module is there, and lacks something itself
    if not hasattr(module, attribute):
        raise ValueError(f"{option} {name}: {module_name} has no {attribute!r}")
    return getattr(module, attribute)
