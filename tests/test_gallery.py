"""The script behind the README's pictures runs, and the pictures are there and small."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pygame")
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).parents[1]
SMALL = ["--pilot", "classical", "--drones", "9", "--steps", "16", "--size", "160", "90"]


def make(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["make_gallery.py", *arguments])
    runpy.run_path(str(ROOT / "examples/make_gallery.py"), run_name="__main__")


def test_the_gallery_is_made(monkeypatch, tmp_path, capsys):
    arguments = [*SMALL, "--film-width", "80", "--out", str(tmp_path)]
    make(monkeypatch, *arguments)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["conga.png", "cube.png", "flag.png", "flag.webp", "sphere.png"]
    assert capsys.readouterr().out.count("flown by classical") == 4
    with Image.open(tmp_path / "flag.webp") as film:
        assert 6 <= film.n_frames <= 8  # the encoder merges frames that are equal
    with pytest.raises(FileExistsError):
        make(monkeypatch, *arguments)
    make(monkeypatch, *arguments, "--force")


def test_the_readme_has_its_pictures():
    folder = ROOT / "docs/images"
    if not folder.is_dir():
        pytest.skip("not in this copy of the source")
    files = list(folder.iterdir())
    assert {"flag.png", "sphere.png", "cube.png", "conga.png", "flag.webp"} <= {
        file.name for file in files
    }
    assert sum(file.stat().st_size for file in files) < 3e6


def test_the_flag_in_the_readme_is_the_right_way_round():
    path = ROOT / "docs/images/flag.png"
    if not path.exists():
        pytest.skip("not in this copy of the source")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
    lit = pixels.max(axis=2) > 120
    # A star is one pixel, a drone is many.
    rows, columns = np.flatnonzero(lit.sum(axis=1) > 20), np.flatnonzero(lit.sum(axis=0) > 20)
    middle = (rows[0] + rows[-1]) // 2, (columns[0] + columns[-1]) // 2
    canton = pixels[: middle[0], : middle[1]][lit[: middle[0], : middle[1]]].mean(axis=0)
    assert canton[2] > 1.3 * canton[0]  # blue at the top left
    first = pixels[rows[0] : rows[0] + len(rows) // 8, middle[1] :]
    stripe = first[first.max(axis=2) > 120].mean(axis=0)
    assert stripe[0] > 1.3 * stripe[2]  # and a red stripe beside it
