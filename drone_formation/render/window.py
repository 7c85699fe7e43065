"""The interactive window: looks at a swarm from everywhere, and passes on what the viewer asks for.

A window knows no environment. Its owner shows it a snapshot per step, and acts on the `Controls`
that come back::

    window = Window(tasks=("sphere", "flag"))
    while not (controls := window.show(snapshot)).closed:
        if controls.task_request:
            ...  # send the swarm there
        if controls.advance:
            ...  # simulate one step
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pygame

from .camera import Camera, Size, View
from .overlay import BRIGHT, DIM, draw_help, put
from .recorder import Recorder
from .scene import Renderer
from .snapshot import Snapshot, interpolate
from .video import Video

_VIEW_KEYS = {pygame.K_a: "auto", pygame.K_f: "front", pygame.K_t: "top", pygame.K_c: "cinematic"}
_SPEEDS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_LONGEST_STEP = 0.25  # s of simulated time that are played; a longer gap is shown at once
_TRAILS = 2.0  # s, when trails are switched on
_NOTICE = 3.0  # s for which a message stays


@dataclass(frozen=True)
class Controls:
    """What the viewer wants, as of the end of one `Window.show`."""

    closed: bool = False  # the window is gone, or about to go: stop
    paused: bool = False
    step_once: bool = False  # one step is wanted although paused; reported once
    speed: float = 1.0  # times real time; the window already waits accordingly
    task_request: str | None = None  # name of a task to switch to; reported once

    @property
    def advance(self) -> bool:
        """Whether the simulation should go on by a step."""
        return not self.closed and (self.step_once or not self.paused)


class Window:
    """A window that shows snapshots as they come, smoothly and in real time.

    There can be one window per process, because pygame has one display. The window opens at the
    first `show`.
    """

    # Arguments: each is a setting of its own, given by name
    def __init__(
        self,
        size: Size = (1280, 720),
        camera: Camera | str | View | None = None,
        *,
        tasks: Sequence[str] = (),
        title: str = "drone_formation",
        trails: float = 0.0,
        show_targets: bool = True,
        labels: bool = False,
        fps: float = 60.0,
        realtime: bool = True,
        folder: str | Path = ".",
    ) -> None:
        """`tasks`: what keys 1 to 9 ask for. `fps`: how often the screen is drawn.

        `realtime=False` draws every snapshot once and does not wait. Pictures and recordings go to
        `folder`, under names that are still free.
        """
        if not 1 <= fps <= 1000:
            raise ValueError(f"fps={fps!r} must lie between 1 and 1000")
        self.renderer = Renderer(
            size, camera, trails=trails, show_targets=show_targets, labels=labels
        )
        self._trails = self.renderer.trails or _TRAILS  # what X switches on
        self.tasks = tuple(tasks)
        self.title = title
        self.fps = float(fps)
        self.realtime = realtime
        self.closed = False
        self.paused = False
        self.speed = 1.0
        self.help = False
        self.following: int | None = None  # index of the drone in the middle of the picture

        self._recorder = Recorder(folder, self._say)
        self._screen: pygame.Surface | None = None
        self._task_request: str | None = None
        self._step_once = False
        self._snapshot: Snapshot | None = None  # the latest one shown
        self._pressed: tuple[int, int] | None = None  # where the left button went down
        self._notice = ("H for help", time.monotonic() + _NOTICE)
        self._drawn_at: deque[float] = deque(maxlen=30)
        self._step = 0.05  # s between the last two snapshots
        self._spare = 0.0  # s of playing time too short to be drawn, carried on

    @property
    def recording(self) -> Video | None:
        """The recording under way."""
        return self._recorder.video

    # The loop

    def show(self, snapshot: Snapshot, *, hold: bool = False) -> Controls:
        """Play the time from the last snapshot to this one, and report what the viewer wants.

        Motion between the two is interpolated, so that 20 steps/s look smooth; the picture is thus
        one step behind. While paused, a call draws one picture and returns; with `hold` it returns
        only when the simulation may go on (`Controls.advance`) or the window is closed, which is
        what a loop that cannot stop by itself needs.
        """
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"show needs a Snapshot, not {type(snapshot).__name__}")
        if self.closed:
            return self._report()
        self._open()
        before, self._snapshot = self._snapshot, snapshot
        if before is snapshot:
            self._tick(snapshot)
        else:
            self._play(before, snapshot)
            moved = before is None or snapshot.time != before.time
            if self.recording is not None and moved:  # closing ends the recording
                self._recorder.add(self.renderer.frame(snapshot))
        while hold and self.paused and not (self._step_once or self.closed or self._task_request):
            self._tick(snapshot)
        return self._report()

    def close(self) -> None:
        """Finish a recording and close the window. Can be called again."""
        self._recorder.stop()
        self.closed = True
        self.renderer.close()
        if self._screen is not None:
            self._screen = None
            pygame.display.quit()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        if self._screen is not None:
            return
        if pygame.display.get_init() and pygame.display.get_surface() is not None:
            raise RuntimeError("pygame already shows a window, and has only one: close it first")
        try:
            pygame.display.init()
            self._screen = pygame.display.set_mode(self.renderer.size, pygame.RESIZABLE)
        except pygame.error as error:
            pygame.display.quit()
            raise RuntimeError(f"no window can be opened: {error}") from error
        # Where there is no screen, SDL may silently draw to nowhere.
        if pygame.display.get_driver() == "offscreen" and not os.environ.get("SDL_VIDEODRIVER"):
            self.close()
            raise RuntimeError("no display to open a window on; a Renderer draws without one")
        pygame.display.set_caption(self.title)

    def _report(self) -> Controls:
        report = Controls(self.closed, self.paused, self._step_once, self.speed, self._task_request)
        self._step_once, self._task_request = False, None
        return report

    def _play(self, before: Snapshot | None, snapshot: Snapshot) -> None:
        """Draw the way from one snapshot to the next for as long as it lasts."""
        step = 0.0 if before is None else snapshot.time - before.time
        if step > 0:
            self._step = step
        if before is None or not self.realtime or not 0 < step <= _LONGEST_STEP:
            self._tick(snapshot, wait=self.realtime)
            return
        length = step / self.speed + self._spare
        start = now = time.perf_counter()
        if length < 0.5 / self.fps:
            self._spare = length  # too fast to be seen: draw a later one
            self._events(snapshot)
            return
        while now - start < length and not self.closed:
            self._tick(interpolate(before, snapshot, (now - start) / length))
            now = time.perf_counter()
        # Overshoot is taken off the next step, but no more than a frame: no rush after a pause.
        self._spare = max(length - (now - start), -1.0 / self.fps)

    def _tick(self, snapshot: Snapshot, wait: bool = True) -> None:
        """Handle what the viewer did, draw once, and wait for the screen's next turn."""
        started = time.perf_counter()
        self._events(snapshot)
        if self._screen is None:  # the viewer closed it
            return
        self._draw(self._screen, snapshot)
        if wait:
            time.sleep(max(0.0, 1 / self.fps - (time.perf_counter() - started)))

    # What is on the screen

    def _draw(self, screen: pygame.Surface, snapshot: Snapshot) -> None:
        screen.blit(self.renderer.draw(snapshot), (0, 0))
        self._drawn_at.append(time.perf_counter())
        text = self.renderer.text
        width, height = screen.get_size()
        if self.renderer.hud:
            x = 22
            for line in self._status():
                put(screen, text, line, (x, height - 34), 20, DIM)
                x += text.image(line, 20, DIM).get_width() + 22
        if self.recording is not None:
            put(screen, text, "REC", (width - 60, 20), 22, (255, 80, 70))
        notice, until = self._notice
        if time.monotonic() < until:
            wide = text.image(notice, 22, BRIGHT).get_width()
            put(screen, text, notice, ((width - wide) // 2, height - 70), 22, BRIGHT)
        if self.help:
            draw_help(screen, text, self.tasks)
        pygame.display.flip()

    def _status(self) -> list[str]:
        times = self._drawn_at
        lines = []
        if len(times) > 1 and times[-1] > times[0]:
            lines.append(f"{(len(times) - 1) / (times[-1] - times[0]):.0f} frames/s")
        if self.speed != 1:
            lines.append(f"speed x {self.speed:g}")
        if self.following is not None:
            lines.append(f"following drone {self.following}")
        if self.paused:
            lines.append("paused")
        return lines

    # What the viewer does

    def _events(self, snapshot: Snapshot) -> None:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.close()
            elif event.type == pygame.VIDEORESIZE:
                self._recorder.stop()  # a video has one size
                self.renderer.size = (max(event.w, 16), max(event.h, 16))
            elif event.type == pygame.KEYDOWN:
                self._key(event.key, event.mod, getattr(event, "unicode", ""), snapshot)
            elif event.type == pygame.MOUSEWHEEL:
                self._steer(self._camera(snapshot).zoom(1.12**event.y), snapshot)
            elif event.type == pygame.MOUSEMOTION:
                self._drag(event.rel, event.buttons, snapshot)
            elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
                self._pressed = event.pos
            elif event.type == pygame.MOUSEBUTTONUP and event.button == 1:
                self._release(event.pos, snapshot)
            if self.closed:
                return

    def _key(self, key: int, mod: int, typed: str, snapshot: Snapshot) -> None:
        renderer = self.renderer
        if key in (pygame.K_ESCAPE, pygame.K_q):
            self.close()
        elif key == pygame.K_h:
            self.help = not self.help
        elif key == pygame.K_SPACE:
            self.paused = not self.paused
        elif key == pygame.K_n:
            self.paused = self._step_once = True
        elif typed in ("+", "=") or key in (pygame.K_PLUS, pygame.K_KP_PLUS, pygame.K_EQUALS):
            self._change_speed(+1)
        elif typed == "-" or key in (pygame.K_MINUS, pygame.K_KP_MINUS):
            self._change_speed(-1)
        elif key in _VIEW_KEYS:
            self.following = None
            renderer.camera = _VIEW_KEYS[key]
            self._say(f"{_VIEW_KEYS[key]} view")
        elif key == pygame.K_TAB:
            self._follow_next(-1 if mod & pygame.KMOD_SHIFT else +1, snapshot)
        elif key == pygame.K_x:
            renderer.trails = 0.0 if renderer.trails else self._trails
        elif key == pygame.K_g:
            renderer.show_targets = not renderer.show_targets
        elif key == pygame.K_l:
            renderer.labels = not renderer.labels
        elif key == pygame.K_u:
            renderer.hud = not renderer.hud
        elif key == pygame.K_p:
            self._recorder.picture(renderer.draw(snapshot))
        elif key == pygame.K_r:
            self._toggle_recording()
        else:
            # On some keyboards a digit is typed with shift: what was typed counts first.
            digit = int(typed) if typed in "123456789" and typed else key - pygame.K_0
            if 1 <= digit <= min(len(self.tasks), 9):
                self._task_request = self.tasks[digit - 1]
                self._say(f"to {self._task_request}")

    def _say(self, notice: str) -> None:
        self._notice = (notice, time.monotonic() + _NOTICE)

    def _change_speed(self, by: int) -> None:
        at = min(range(len(_SPEEDS)), key=lambda i: abs(_SPEEDS[i] - self.speed))
        self.speed = _SPEEDS[min(max(at + by, 0), len(_SPEEDS) - 1)]
        self._say(f"speed x {self.speed:g}")

    # The camera

    def _camera(self, snapshot: Snapshot) -> Camera:
        """The camera as it stands now."""
        return self.renderer.camera(snapshot, self.renderer.size)

    def _steer(self, camera: Camera, snapshot: Snapshot) -> None:
        """Take the camera over from whatever view had it; a followed drone stays in the middle."""
        floor = 0.3 - snapshot.arena[2]
        # The eye stays above the ground.
        if camera.eye[2] < floor and camera.target[2] > floor:
            sine = max((floor - camera.target[2]) / camera.distance, -1.0)
            camera = replace(camera, elevation=float(np.arcsin(sine)))
        drone = self.following
        self.renderer.camera = camera if drone is None else _following(camera, drone)

    def _drag(self, rel: tuple[int, int], buttons: tuple[int, ...], snapshot: Snapshot) -> None:
        camera = self._camera(snapshot)
        if buttons[0]:
            self._steer(camera.orbit(-0.006 * rel[0], 0.006 * rel[1]), snapshot)
        elif buttons[1] or buttons[2]:
            self.following = None  # panned away
            metres = camera.distance / camera.focal(self.renderer.size)
            self._steer(camera.pan(-rel[0] * metres, rel[1] * metres), snapshot)

    def _release(self, at: tuple[int, int], snapshot: Snapshot) -> None:
        """The left button went up: where it went down, that was a click, not a drag."""
        start, self._pressed = self._pressed, None
        if start is not None and np.hypot(at[0] - start[0], at[1] - start[1]) < 4:
            drone = self._drone_at(at, snapshot)
            if drone is not None:
                self._follow(drone, snapshot)

    def _drone_at(self, at: tuple[int, int], snapshot: Snapshot) -> int | None:
        """The nearest drone under the mouse, or None."""
        camera, size = self._camera(snapshot), self.renderer.size
        pixels, depth = camera.project(snapshot.positions, size)
        radius = camera.focal(size) * 0.5 * snapshot.collision_distance / np.maximum(depth, 1e-3)
        gap = np.linalg.norm(pixels - np.array(at), axis=1)
        under = (gap < np.maximum(radius, 12)) & (depth > 0) & snapshot.active
        return int(np.where(under, depth, np.inf).argmin()) if under.any() else None

    def _follow(self, drone: int, snapshot: Snapshot) -> None:
        """Keep a drone in the middle of the picture, coming near at first."""
        first = self.following is None
        camera = self._camera(snapshot)
        self.following = drone
        if first:
            camera = replace(camera, distance=min(camera.distance, 14.0))
        self._steer(camera, snapshot)
        self._say(f"following drone {drone}")

    def _follow_next(self, by: int, snapshot: Snapshot) -> None:
        """The next drone, by number, that is still there."""
        there = np.flatnonzero(snapshot.active)
        if len(there) == 0:
            return
        if self.following is None:
            drone = there[0 if by > 0 else -1]
        else:
            at = int(np.searchsorted(there, self.following + (by > 0))) - (by < 0)
            drone = there[at % len(there)]
        self._follow(int(drone), snapshot)

    # Files

    def _toggle_recording(self) -> None:
        if self.recording is None:
            # One frame per snapshot, so that the film runs in real time whatever the speed.
            self._recorder.start(fps=1 / self._step)
        else:
            self._recorder.stop()


def _following(camera: Camera, drone: int) -> View:
    """A view with a drone in the middle; when the drone is gone, with its last place."""

    def view(snapshot: Snapshot, size: Size) -> Camera:
        nonlocal camera
        number = min(drone, len(snapshot) - 1)
        if snapshot.active[number]:
            camera = camera.look_at(snapshot.positions[number])
        return camera

    return view
