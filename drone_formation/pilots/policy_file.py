"""Policy files: arrays, where they come from, and the slices of the observation that they read.

A file is an ``.npz`` of float32 arrays, a JSON text, and a SHA-256 of both.  Nothing in it is
executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import observation
from ..files import replace_atomically
from ..observation import MAX_NEIGHBOURS, Slice, numbered, observation_table

FORMAT = "drone_formation policy 1"
#: What the observation is squashed with, in the order of a file's scales; the first has three.
SCALES = ("OFFSET_SCALES", "VELOCITY_SCALE", "RATE_SCALE", "NEIGHBOUR_SCALE")


def scales() -> dict[str, list[float]]:
    """The present values of these."""
    return {name: np.atleast_1d(getattr(observation, name)).tolist() for name in SCALES}


def layout_of(slices: Sequence[Slice]) -> dict[str, Any]:
    """What a policy must agree on with the observation, as plain values."""
    return {
        "slices": [[row.name, row.size, row.kind] for row in slices],
        "scales": [scale for values in scales().values() for scale in values],
    }


def slices_of(layout: Mapping[str, Any]) -> tuple[Slice, ...]:
    """The slices that :func:`layout_of` wrote, or an earlier version, which left out the kinds.

    Slices that the package does not know are taken for a user's own.

    Raises:
        ValueError: slices that the package knows, or the scales, are not those of this version.
    """
    known = {row.name: row for row in observation_table(MAX_NEIGHBOURS)}
    rows, differing = [], []
    for name, size, *kind in layout["slices"]:
        ours = known.get(name)
        kind = kind or ([ours.kind] if ours else [])
        if not kind or (ours and (size, *kind) != (ours.size, ours.kind)):
            differing.append(name)
        else:
            rows.append((name, size, kind[0], ours.meaning if ours else ""))
    theirs = list(layout["scales"])
    for name, values in scales().items():
        found, theirs = theirs[: len(values)], theirs[len(values) :]
        if found != values:
            differing.append(f"{name} (there {_listed(found)}, here {_listed(values)})")
    if theirs:
        differing.append(f"further scales ({_listed(theirs)})")
    if differing:
        raise ValueError(
            f"trained on another observation, which differs in {', '.join(differing)}: train it "
            "again with this version"
        )
    return numbered(rows)


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "none"


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
    force: bool,
) -> Path:
    """Write a policy file; the name gets ``.npz`` when it has no such ending.

    Raises:
        FileExistsError: the file exists and ``force`` is not given.
    """
    path = Path(path)
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    text = json.dumps(about, sort_keys=True)
    with replace_atomically(path, force) as partial:
        np.savez_compressed(
            partial,
            format=np.array(FORMAT),
            metadata=np.array(text),
            sha256=np.array(_checksum(arrays, text)),
            **arrays,  # type: ignore[arg-type]
        )
    return path


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a policy file, and what is written about them.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        kind = str(arrays.pop("format"))
        text = str(arrays.pop("metadata"))
        checksum = str(arrays.pop("sha256"))
    # What NumPy raises on foreign bytes depends on where they stop making sense.
    except (ValueError, KeyError, AttributeError, EOFError, OSError, NotImplementedError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        raise ValueError(f"{path} is not a policy file, or is damaged: {error}") from None
    if kind != FORMAT:
        raise ValueError(f"{path} has the format {kind!r}; this version reads {FORMAT!r}")
    if checksum != _checksum(arrays, text):
        raise ValueError(f"{path} is damaged: its checksum does not match")
    return arrays, json.loads(text)


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
