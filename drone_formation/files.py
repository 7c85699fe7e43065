"""Writing files so that no reader ever finds half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_atomically(path: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Write beside ``path``, then replace it: the name appears when the whole is there.

    ::

        with replace_atomically("policy.npz") as partial:
            partial.write_bytes(data)

    Args:
        path: the file or folder to be made.
        force: replace the file that is there.  A folder is never replaced.

    Yields:
        A path in the same folder, with the same suffix, at which to make the file or folder.  When
        the block fails, what it has made there is removed, and ``path`` is as it was.

    Raises:
        FileExistsError: ``path`` exists, and ``force`` is not given or it is a folder.
    """
    path = Path(path)
    if path.exists() and not (force and path.is_file()):
        raise FileExistsError(f"{path} exists; choose another name or force its replacement")
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    _remove(partial)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
