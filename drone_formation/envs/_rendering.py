"""Drawing a swarm: snapshots of the simulator, handed to ``drone_formation.render``."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from .. import validation
from ..swarms import Swarms
from ._common import RENDER_MODES


def snapshot(swarms: Swarms, swarm: int = 0) -> Any:
    """The present instant of one swarm, as a ``drone_formation.render.Snapshot``."""
    from ..render import snapshot_of  # not before something is drawn: it imports pygame

    return snapshot_of(swarms, swarm)


class Painter:
    """Draws swarms in one render mode; opens nothing before the first picture.

    Args:
        mode: "human" (a window), "rgb_array" (pictures), or None (nothing).
    """

    def __init__(self, mode: str | None) -> None:
        self.mode = validation.choice("render_mode", mode, (None, *RENDER_MODES))
        self._canvases: dict[int, Any] = {}

    def draw(self, swarms: Swarms, swarm: int = 0) -> np.ndarray | None:
        """A picture (H, W, 3) uint8 in "rgb_array"; None otherwise."""
        if self.mode is None:
            gymnasium.logger.warn(
                "render() draws nothing without a render mode: "
                'make the environment with render_mode="rgb_array" or "human"'
            )
            return None
        if swarms.steps[swarm] == 0 and not swarms.active[swarm].any():  # no drone was placed yet
            raise RuntimeError("call reset() before render()")
        canvas = self._canvases.get(swarm)
        if canvas is None:  # one per swarm: a canvas remembers its drones' trails
            canvas = self._canvases[swarm] = self._open()
        if self.mode == "human":
            canvas.show(snapshot(swarms, swarm), hold=True)  # the viewer can pause the simulation
            return None
        return canvas.frame(snapshot(swarms, swarm))

    def _open(self) -> Any:
        if self.mode == "human":
            from ..render import Window

            return Window()
        from ..render import Renderer

        return Renderer()

    def close(self) -> None:
        """Close the window, if one is open."""
        for canvas in self._canvases.values():
            canvas.close()
        self._canvases.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_canvases": {}}  # windows stay with their owner
