import builtins

import numpy as np
import pytest

from drone_formation.render import Renderer, Video
from drone_formation.render.video import free_name

from .conftest import flying, read_film

SIZE = (160, 90)
pytestmark = pytest.mark.usefixtures("headless")


@pytest.fixture(scope="module")
def frames():
    renderer = Renderer(SIZE)
    return [renderer.frame(flying(0.1 * k)) for k in range(8)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["film.mp4", "film.gif"])
def test_round_trip(tmp_path, frames, name):
    with Video(tmp_path / name, fps=20) as video:
        for frame in frames:
            video.add(frame)
    assert names(tmp_path) == [name]
    read = read_film(tmp_path / name, SIZE)
    assert read.shape == (8, 90, 160, 3)
    assert np.abs(read.astype(int) - np.stack(frames)).mean() < 6


def test_webp(tmp_path, frames):
    """The encoder's own reader does not know animations, so another one counts."""
    image = pytest.importorskip("PIL.Image")
    with Video(tmp_path / "film.webp", fps=20, size=(80, 44)) as video:
        for frame in frames:
            video.add(frame)
    with image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == 8
        assert film.size == (80, 44)


def test_odd_sizes_and_scaling(tmp_path, frames):
    with Video(tmp_path / "odd.mp4", fps=20) as video:
        video.add(np.ascontiguousarray(frames[0][:89, :159]))
    with Video(tmp_path / "small.gif", fps=10, size=(80, 45)) as video:
        video.add(frames[0])
        video.add(frames[1])
    assert len(read_film(tmp_path / "odd.mp4", (160, 90))) == 1  # padded to even
    assert len(read_film(tmp_path / "small.gif", (80, 45))) == 2


@pytest.mark.parametrize("target", ["shots", "shots/drone_%03d.png"])
def test_pictures(tmp_path, frames, target):
    with Video(tmp_path / target, fps=20) as video:
        for frame in frames[:3]:
            video.add(frame)
    files = names(tmp_path / "shots")
    assert len(files) == 3
    np.testing.assert_array_equal(read_film(tmp_path / "shots" / files[2], SIZE)[0], frames[2])


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "film.webp", "shots"])
def test_never_overwrites_without_force(tmp_path, frames, name):
    for _ in range(2):
        with Video(tmp_path / name, fps=20, force=True) as video:
            video.add(frames[0])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=name):
        Video(tmp_path / name, fps=20)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "shots/%d.png"])
def test_an_exception_leaves_nothing_behind(tmp_path, frames, name):
    def crash():
        with Video(tmp_path / name, fps=20) as video:
            video.add(frames[0])
            raise RuntimeError("the flight ended badly")

    with pytest.raises(RuntimeError, match="badly"):
        crash()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_frames_no_file(tmp_path):
    with Video(tmp_path / "film.mp4", fps=20):
        pass
    assert names(tmp_path) == []


def test_bad_input_is_named(tmp_path, frames):
    with pytest.raises(ValueError, match=r"film\.avi.*\.mp4, \.gif"):
        Video(tmp_path / "film.avi", fps=20)
    with pytest.raises(ValueError, match=r"one\.png"):
        Video(tmp_path / "one.png", fps=20)
    for fps in (0, -1, 1000, float("nan")):
        with pytest.raises(ValueError, match="fps"):
            Video(tmp_path / "film.mp4", fps=fps)
    with pytest.raises(TypeError, match="fps"):
        Video(tmp_path / "film.mp4", fps="fast")
    with pytest.raises(ValueError, match="size"):
        Video(tmp_path / "film.mp4", fps=20, size=(0, 10))
    video = Video(tmp_path / "film.mp4", fps=20)
    with pytest.raises(ValueError, match="frame"):
        video.add(frames[0][..., 0])
    with pytest.raises(ValueError, match="uint8"):
        video.add(frames[0].astype(float))
    video.add(frames[0])
    with pytest.raises(ValueError, match="shape"):
        video.add(frames[0][:50])
    video.discard()
    with pytest.raises(ValueError, match="closed"):
        video.add(frames[0])
    assert names(tmp_path) == []


def test_a_missing_encoder_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "imageio_ffmpeg":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"drone-formation\[render\]"):
        Video(tmp_path / "film.mp4", fps=20)


def test_free_name(tmp_path):
    assert free_name(tmp_path, "shot", ".png").name == "shot_001.png"
    (tmp_path / "shot_001.png").touch()
    assert free_name(tmp_path, "shot", ".png").name == "shot_002.png"
