"""Drawing swarms: snapshots in; pictures, a window, or a video out.

Nothing here knows an environment, so a recorded trajectory is drawn just as well as a live one::

    from drone_formation.render import Renderer, Snapshot

    picture = Renderer(size=(1280, 720)).frame(Snapshot(positions))  # (720, 1280, 3) uint8
"""

try:
    import pygame  # noqa: F401
except ImportError as error:
    raise ImportError(
        'drawing needs pygame; install it with: pip install "drone-formation[render]"'
    ) from error

from .camera import PRESETS, Camera, View
from .scene import Renderer
from .snapshot import Snapshot, interpolate, snapshot_of
from .video import Video
from .window import Controls, Window

__all__ = [
    "PRESETS",
    "Camera",
    "Controls",
    "Renderer",
    "Snapshot",
    "Video",
    "View",
    "Window",
    "interpolate",
    "snapshot_of",
]
