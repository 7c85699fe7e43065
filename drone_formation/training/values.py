"""Configurations as plain values: nested dictionaries, and the files that hold them."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def updated(base: T, changes: Mapping[str, Any], where: str = "") -> T:
    """A dataclass with some fields changed, those of dataclasses in it by nested dictionaries.

    Args:
        base: an instance of a dataclass.
        changes: plain values by names of fields.  Lists become tuples, and 2e7 an integer.
        where: what messages put before a field's name.

    Raises:
        ValueError: a name is unknown; the message lists those that are known.
        TypeError: a value is not a dictionary where one is needed.
    """
    kinds = get_type_hints(type(base))
    if not isinstance(changes, Mapping):
        example = where + next(iter(kinds))
        raise TypeError(f"{where[:-1]} must name its values, as {example}: {changes!r}")
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in kinds:
            known = ", ".join(where + kind for kind in kinds)
            raise ValueError(f"{where}{name} is unknown; known are {known}")
        values[name] = _converted(where + name, kinds[name], getattr(base, name), value)
    return replace(base, **values)  # type: ignore[type-var]


def _nested(kind: Any) -> Any:
    """The dataclass in a field's type, such as ``RewardWeights | None``, or None."""
    return next((part for part in (kind, *get_args(kind)) if is_dataclass(part)), None)


def _converted(name: str, kind: Any, present: Any, value: Any) -> Any:
    """A plain value as a field of this type holds it."""
    inner = _nested(kind)
    if value is None:
        return None
    if get_origin(kind) is Mapping:
        return {
            key: updated(present.get(key) or inner(), item, f"{name}.{key}.")
            for key, item in value.items()
        }
    if inner:
        return updated(present or inner(), value, f"{name}.")
    if isinstance(value, list):
        return tuple(value)
    whole = int in (kind, *get_args(kind)) and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested dictionaries in one; where both have a value, that of ``over``."""
    both = {**under, **over}
    for name in under.keys() & over.keys():
        if isinstance(under[name], Mapping) and isinstance(over[name], Mapping):
            both[name] = merged(under[name], over[name])
    return both


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration in a TOML file, or in the ``run.json`` of a training run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not what its suffix says, or has another one.
    """
    path = Path(path)
    if path.suffix not in (".toml", ".json"):
        raise ValueError(f"{path} must be a .toml file, or the run.json of a training run")
    text = path.read_text()
    try:
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as a configuration: {error}") from None
    # JSON has a word for what is left open; a file of changes just does not name it.
    return {name: value for name, value in found.items() if value is not None}


def as_toml(values: Mapping[str, Any], where: str = "") -> str:
    """Nested dictionaries of numbers, texts, lists and None, which is left out, as TOML."""
    plain = {n: v for n, v in values.items() if v is not None and not isinstance(v, Mapping)}
    # JSON's numbers, texts, lists and truth values are TOML's.
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    text = "".join(line + "\n" for line in lines)
    for name, inner in values.items():
        if isinstance(inner, Mapping) and inner:
            inside = as_toml(inner, f"{where}{name}.")
            header = f"\n[{where}{name}]\n" if not inside.startswith("\n[") else ""
            text += header + inside
    return text
