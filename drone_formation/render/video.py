"""Writing frames to a file: a video, an animated GIF, or numbered pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import numpy as np
import pygame

from .camera import Size

ALLOWED = ".mp4, .gif, .webp, a name with a number such as frame_%04d.png, or a folder"

# Even a dark gradient survives 256 colours when they are chosen over the whole film; an ordered
# dither stands still, so that what does not move costs nothing.
_PALETTE = (
    "split[a][b];[a]palettegen=stats_mode=full[p];"
    "[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
)
_EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"  # the pixel formats that play everywhere need even sizes

# suffix -> codec, pixel format, filter, further options of ffmpeg
_ENCODERS = {
    ".mp4": ("libx264", "yuv420p", _EVEN, ["-crf", "17", "-movflags", "+faststart"]),
    ".gif": ("gif", "pal8", _PALETTE, ["-loop", "0"]),
    ".webp": ("libwebp_anim", "yuv420p", _EVEN, ["-q:v", "70", "-loop", "0"]),
}


class Video:
    """Collects frames into `path`; use it in a ``with`` statement.

    What is written depends on the path: an ``.mp4`` (H.264), ``.gif`` or animated ``.webp`` file
    (a tenth of the size of a GIF, in all colours); or numbered ``.png`` pictures, for a pattern
    with a number (``frame_%04d.png``) or a folder (``frame_00000.png`` and on are put there).
    Nothing appears under the final name before the end, and nothing at all when an exception ends
    the ``with`` block.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        size: Size | None = None,
        *,
        force: bool = False,
    ) -> None:
        """`fps`: frames per second. `size`: (width, height) of the result; None: the frames' own.

        An existing file is replaced only with `force`.
        """
        if not isinstance(fps, (int, float, np.number)) or isinstance(fps, bool):
            raise TypeError(f"fps={fps!r} is not a number")
        if not 0 < fps <= 240:
            raise ValueError(f"fps={fps!r} must lie above 0 and be at most 240")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"size={size!r} must be (width, height), pixels")
        self.path = Path(path)
        self.fps = float(fps)
        self.size = size
        self.frames = 0  # so far
        self._force = force
        self._sink: Generator[None, np.ndarray, None] | None = None
        self._parts: list[tuple[Path, Path]] = []  # (temporary, final) names
        self._closed = False

        self._pattern: Path | None = None  # of the pictures' names; None: one file
        suffix = self.path.suffix.lower()
        if suffix == ".png" and re.search(r"%0?\d*d", self.path.name):
            self._pattern = self.path
        elif suffix == "" or self.path.is_dir():
            self._pattern = self.path / "frame_%05d.png"
        elif suffix in _ENCODERS:
            _ffmpeg()  # fails now, not after an hour of flight
        else:
            raise ValueError(f"cannot write {str(path)!r}; allowed: {ALLOWED}")
        self._refuse(self._name(0))

    def add(self, frame: np.ndarray) -> None:
        """Append a frame (height, width, 3) uint8; all frames have the shape of the first."""
        if self._closed:
            raise ValueError(f"{self.path} is closed; no frame can be added")
        if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3:
            shape = getattr(frame, "shape", type(frame).__name__)
            raise ValueError(f"frame is {shape}; allowed: an array (height, width, 3)")
        if frame.dtype != np.uint8:
            raise ValueError(f"frame has dtype {frame.dtype}; allowed: uint8")
        if self.frames == 0:
            self._shape = frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"frame has shape {frame.shape}, the first one had {self._shape}")
        if self._sink is None:
            self._sink = self._encoder() if self._pattern is None else self._pictures()
            next(self._sink)
        self._sink.send(np.ascontiguousarray(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file and give it its name. Without a frame, nothing is written."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._sink is not None:
                self._sink.close()  # waits for the encoder
            for temporary, final in self._parts:
                self._refuse(final)  # it may have been made in the meantime
                os.replace(temporary, final)
        finally:
            self._remove()

    def discard(self) -> None:
        """Stop and leave nothing behind."""
        self._closed = True
        if self._sink is not None:
            self._sink.close()
        self._remove()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _name(self, frame: int) -> Path:
        """The final name of the file that holds a frame."""
        if self._pattern is None:
            return self.path
        return self._pattern.with_name(self._pattern.name % frame)

    def _refuse(self, final: Path) -> None:
        if final.exists() and not self._force:
            raise FileExistsError(f"{final} exists; choose another name or force its replacement")

    def _temporary(self, final: Path) -> Path:
        """Reserve a hidden name beside the final one, on the same disk so that renaming works."""
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.stem}.{os.getpid()}.part{final.suffix}")
        self._parts.append((temporary, final))
        return temporary

    def _remove(self) -> None:
        for temporary, _ in self._parts:
            temporary.unlink(missing_ok=True)

    def _encoder(self) -> Generator[None, np.ndarray, None]:
        """Takes frames and pipes them to ffmpeg until it is closed."""
        height, width, _ = self._shape
        codec, pixels, filters, options = _ENCODERS[self.path.suffix.lower()]
        if self.size is not None:
            filters = f"scale={self.size[0]}:{self.size[1]}:flags=lanczos,{filters}"
        writer = _ffmpeg().write_frames(
            str(self._temporary(self.path)),
            (width, height),
            fps=self.fps,
            codec=codec,
            pix_fmt_out=pixels,
            quality=None,
            macro_block_size=1,
            ffmpeg_log_level="error",
            output_params=["-filter_complex", filters, *options],
        )
        writer.send(None)
        try:
            while True:
                writer.send((yield))
        finally:
            writer.close()

    def _pictures(self) -> Generator[None, np.ndarray, None]:
        """Takes frames and writes one picture each until it is closed."""
        while True:
            frame = yield
            final = self._name(self.frames)
            self._refuse(final)
            picture = pygame.image.frombuffer(frame.data, frame.shape[1::-1], "RGB")
            if self.size is not None:
                picture = pygame.transform.smoothscale(picture, self.size)
            pygame.image.save(picture, str(self._temporary(final)))


def save_picture(
    frame: np.ndarray, path: str | os.PathLike[str], *, colours: int = 256, force: bool = False
) -> None:
    """Write one frame (height, width, 3) uint8 as a small ``.png``, in a palette chosen for it.

    The palette gives as much to the few bright pixels as to the many of the night around them.

    Raises:
        FileExistsError: the file exists, and ``force`` is not given.
    """
    from PIL import Image

    path = Path(path)
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; choose another name or force its replacement")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = frame.reshape(-1, 3)
    bright = pixels[np.ptp(pixels, axis=1) + pixels.max(axis=1) > 110]
    shares = [pixels[:: max(1, len(pixels) // 40_000)], bright[:: max(1, len(bright) // 80_000)]]
    sample = Image.fromarray(np.concatenate(shares)[None])
    palette = sample.quantize(colours, Image.Quantize.MEDIANCUT, kmeans=2)
    picture = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        picture.save(partial, format="PNG", optimize=True)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def free_name(folder: str | os.PathLike[str], stem: str, suffix: str) -> Path:
    """The first of stem_001, stem_002, ... in `folder` that no file has yet."""
    number = 1
    while (path := Path(folder) / f"{stem}_{number:03d}{suffix}").exists():
        number += 1
    return path


def _ffmpeg() -> ModuleType:
    """The encoder's module, or an error that says how to install it."""
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            "writing .mp4 and .gif needs an encoder; install it with: "
            'pip install "drone-formation[render]"'
        ) from error
    return imageio_ffmpeg
