"""Pictures and recordings that the viewer of a window asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pygame

from .video import Video, free_name


class Recorder:
    """Writes files into a folder, under names that are still free, and says what became of them.

    Args:
        folder: made when it is needed.
        say: takes each message, of a line. No file that cannot be written ends the flight.
    """

    def __init__(self, folder: str | Path, say: Callable[[str], None]) -> None:
        self.folder = Path(folder)
        self.say = say
        self.video: Video | None = None  # the recording under way

    def picture(self, surface: pygame.Surface) -> None:
        """Save a picture."""
        path = free_name(self.folder, "drone_formation", ".png")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            pygame.image.save(surface, str(path))
        except (OSError, pygame.error) as error:
            self.say(f"no picture: {error}")
        else:
            self.say(f"saved {path}")

    def start(self, fps: float) -> None:
        """Begin a recording of this many frames per second."""
        path = free_name(self.folder, "drone_formation", ".mp4")
        try:
            self.video = Video(path, fps=min(max(fps, 1.0), 240.0))
        except (OSError, ImportError) as error:
            self.say(f"no recording: {error}")
        else:
            self.say(f"recording to {path}")

    def add(self, frame: np.ndarray) -> None:
        """Append a frame (H, W, 3) uint8 to the recording under way."""
        if self.video is None:
            return
        try:
            self.video.add(frame)
        except OSError as error:
            self.video.discard()
            self.video = None
            self.say(f"recording failed: {error}")

    def stop(self) -> None:
        """Finish the recording, if one is under way."""
        video, self.video = self.video, None
        if video is None:
            return
        try:
            video.close()
        except OSError as error:
            self.say(f"recording failed: {error}")
        else:
            self.say(f"saved {video.path}, {video.frames} frames" if video.frames else "no frames")
