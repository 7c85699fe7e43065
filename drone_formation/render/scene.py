"""The renderer: a snapshot in, a picture out. It never opens a window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pygame

from ..sim._jit import telling_of_compilation
from .backdrop import HORIZON, Backdrop
from .camera import NEAR, Camera, Size, View, as_view
from .overlay import Text, draw_hud
from .raster import canvas, draw_drones, floats, paint, paint_rows
from .rings import RingPart, ring_parts
from .snapshot import Snapshot
from .sprites import Sprites, pack, step_of
from .trails import Trails

ADD = pygame.BLEND_RGB_ADD

REACH = 0.45  # a drone's radius, rotors included, as a share of the collision distance
COLLISION = np.array([255.0, 70.0, 30.0])
LABEL = (200, 212, 235)
_CROWD = 24  # px; over about this distance crowded lights dim each other


class Renderer:
    """Draws snapshots off screen.

    The same snapshots and settings give the same pixels. Only trails look back: they join the
    positions of the snapshots drawn before. `camera` is a `Camera`, the name of a preset, a
    function ``(snapshot, size) -> Camera``, or None for "auto"; it may be assigned at any time, as
    may `size` and the public settings.
    """

    def __init__(
        self,
        size: Size = (1280, 720),
        camera: Camera | str | View | None = None,
        *,
        trails: float = 0.0,
        show_targets: bool = True,
        labels: bool = False,
        hud: bool = True,
    ) -> None:
        """`trails`: how far back they reach, s (0: none). `hud`: write task, time and status."""
        self._sprites = Sprites()
        self.text = Text()
        self._trail = Trails()
        self._backdrop = Backdrop()
        self._surfaces: tuple[pygame.Surface, pygame.Surface] | None = None  # picture, trails
        self.size = size
        self.camera = camera
        self.trails = trails
        self.show_targets = bool(show_targets)
        self.labels = bool(labels)
        self.hud = bool(hud)

    @property
    def size(self) -> Size:
        """Width and height of the picture, pixels."""
        return self._size

    @size.setter
    def size(self, size: Size) -> None:
        try:
            width, height = (int(n) for n in size)
            whole = (width, height) == tuple(size)
        except (TypeError, ValueError):
            raise TypeError(f"size={size!r} must be two whole numbers (width, height)") from None
        if not whole or not (16 <= width <= 8192 and 16 <= height <= 8192):
            raise ValueError(f"size={size!r}: width and height must be whole, 16 to 8192 pixels")
        self._size = (width, height)
        self._surfaces = None

    @property
    def camera(self) -> View:
        """The view in use, a function ``(snapshot, size) -> Camera``."""
        return self._view

    @camera.setter
    def camera(self, camera: Camera | str | View | None) -> None:
        self._view = as_view(camera)

    @property
    def trails(self) -> float:
        """How far back the trails reach, s of the snapshots' time."""
        return self._trails

    @trails.setter
    def trails(self, trails: float) -> None:
        if not 0 <= trails < np.inf:
            raise ValueError(f"trails={trails!r} must be a number of seconds, 0 or more")
        self._trails = float(trails)

    def draw(self, snapshot: Snapshot) -> pygame.Surface:
        """The picture, as a surface that belongs to the renderer and is reused by the next call."""
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"draw needs a Snapshot, not {type(snapshot).__name__}")
        camera = self._view(snapshot, self._size)
        self._trail.remember(snapshot, self._trails)
        with _compilation_notice():
            if self._surfaces is None:
                self._surfaces = canvas(self._size), canvas(self._size)
            surface, layer = self._surfaces
            self._backdrop.draw(surface, camera, snapshot.arena)
            _Frame(self, surface, snapshot, camera).draw(layer)
        if self.hud:
            draw_hud(surface, self.text, snapshot)
        return surface

    def frame(self, snapshot: Snapshot) -> np.ndarray:
        """The picture, as a fresh array (height, width, 3) uint8, red first."""
        surface = self.draw(snapshot)
        out = np.empty((*self._size[::-1], 3), np.uint8)
        # Let pygame write into the array's memory: ten times faster than its surfarray copies.
        pygame.image.frombuffer(out.data, self._size, "RGB").blit(surface, (0, 0))
        return out

    def forget(self) -> None:
        """Drop the trails, as at the start of an episode."""
        self._trail.clear()

    def close(self) -> None:
        """Free the memory held. Drawing again simply fills it again."""
        self.forget()
        self._sprites.clear()
        self.text.clear()
        self._surfaces = None
        self._backdrop = Backdrop()


class _Frame:
    """One picture in the making: what the steps of drawing share."""

    def __init__(
        self, renderer: Renderer, surface: pygame.Surface, snapshot: Snapshot, camera: Camera
    ) -> None:
        self.renderer = renderer
        self.sprites = renderer._sprites
        self.surface = surface
        self.snapshot = snapshot
        self.camera = camera
        self.size = renderer.size
        self.focal = camera.focal(self.size)
        self.reach = REACH * snapshot.collision_distance
        self.fog = 3.5 * float(snapshot.arena.max())  # m; depth at which 1/e of the light is left

        shown = np.flatnonzero(snapshot.active)
        pixels, depth = camera.project(snapshot.positions[shown], self.size)
        radius = self.focal * self.reach / np.maximum(depth, NEAR)
        margin = 3 * radius[:, None] + 4
        inside = ((pixels > -margin) & (pixels < np.array(self.size) + margin)).all(axis=1)
        seen = (depth > NEAR) & inside
        order = np.argsort(-depth[seen], kind="stable")  # farthest first
        self.index = shown[seen][order]  # the drones in the picture
        self.pixels = pixels[seen][order]
        self.depth = depth[seen][order]
        self.radius = radius[seen][order]

    def draw(self, layer: pygame.Surface) -> None:
        """Draw everything; `layer` is a black canvas for the trails, black again afterwards."""
        snapshot = self.snapshot
        if self.camera.eye[2] > -snapshot.arena[2]:
            self.ground()
        # In a race the rings are the targets, and a crowd shares each of them.
        if self.renderer.show_targets and snapshot.targets is not None and snapshot.rings is None:
            self.targets(snapshot.targets)
        if self.renderer.trails:
            self.trails(layer)
        self.drones()
        if self.renderer.labels:
            self.labels()

    def clear(self, depth: np.ndarray) -> np.ndarray:
        """(N,): the share of light that the haze leaves at these depths, m."""
        return np.exp(-depth / self.fog)

    def on_screen(self, pixels: np.ndarray, depth: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """Indices of the discs that touch the picture; all in pixels, depth in m."""
        margin = radius[:, None]
        inside = ((pixels > -margin) & (pixels < np.array(self.size) + margin)).all(axis=1)
        return np.flatnonzero(inside & (depth > NEAR))

    def paste(self, kind: str, pixels: np.ndarray, *keys: np.ndarray, flags: int = ADD) -> None:
        """Blit the sprites of a kind under keys[i] with their middles at pixels[i], in order."""
        kept, make = self.sprites.kept[kind], getattr(self.sprites, kind)
        places = np.rint(pixels).astype(int).tolist()
        blits: list[tuple] = []
        for (x, y), key in zip(places, zip(*(k.tolist() for k in keys), strict=True), strict=True):
            sprite, dx, dy = kept.get(key) or make(*key)
            blits.append((sprite, (x - dx, y - dy), None, flags))
        self.surface.blits(blits, False)

    def ground(self) -> None:
        """Shadows straight below the drones, and their lights mirrored in the dark floor."""
        snapshot = self.snapshot
        floor = -snapshot.arena[2]
        points = snapshot.positions[snapshot.active]
        height = np.maximum(points[:, 2] - floor, 0.0)

        below = points.copy()
        below[:, 2] = floor
        pixels, depth = self.camera.project(below, self.size)
        away = np.linalg.norm(below - self.camera.eye, axis=1)
        squash = (self.camera.eye[2] - floor) / np.maximum(away, NEAR)
        size = self.focal * (self.reach + 0.035 * height) * 1.25 / np.maximum(depth, NEAR)
        size = np.minimum(size, 150)
        level = np.rint(13 * np.exp(-height / 18) * self.clear(depth)).astype(int)
        i = self.on_screen(pixels, depth, size)
        i = i[level[i] > 0]
        shapes = step_of(size[i]), step_of(size[i] * squash[i])
        self.paste("shadow", pixels[i], *shapes, level[i], flags=0)

        mirrored = points.copy()
        mirrored[:, 2] = 2 * floor - points[:, 2]
        pixels, depth = self.camera.project(mirrored, self.size)
        size = np.minimum(self.focal * 1.8 * self.reach / np.maximum(depth, NEAR), 100)
        light = 0.34 * np.exp(-height / 10) * self.clear(depth)
        light *= _exposure(pixels, 5 * light * size**2, self.size)
        packed = pack(snapshot.colours[snapshot.active] * light[:, None])
        i = self.on_screen(pixels, depth, 2 * size)
        i = i[packed[i] > 0]
        # A floor that is not quite smooth draws the lights out.
        wide, high = step_of(size[i]), step_of(1.6 * size[i])
        self.paste("pool", pixels[i], wide, high, packed[i])

    def targets(self, targets: np.ndarray) -> None:
        """A faint ring per target, half the collision distance in radius: rings never overlap.

        It nearly vanishes when its drone is there, so that what stands out is what is missing.
        """
        snapshot = self.snapshot
        points = targets[snapshot.active]
        pixels, depth = self.camera.project(points, self.size)
        radius = self.focal * 0.5 * snapshot.collision_distance / np.maximum(depth, NEAR)
        gap = np.linalg.norm(points - snapshot.positions[snapshot.active], axis=1)
        empty = np.minimum(gap / snapshot.collision_distance, 1.0)
        light = (0.09 + 0.25 * empty) * self.clear(depth)
        packed = pack((0.75 * snapshot.colours[snapshot.active] + 64) * light[:, None])
        i = self.on_screen(pixels, depth, radius)
        i = i[packed[i] > 0]
        steps = step_of(np.clip(radius[i], 2.0, 300.0))
        self.paste("ring", pixels[i], steps, np.full(len(i), 5), packed[i])

    def trails(self, layer: pygame.Surface) -> None:
        """Where the drones have been: lines that fade with age, added to what is behind."""
        colours = 0.75 * (0.8 * self.snapshot.colours[self.index] + 30)
        colours = colours * self.clear(self.depth)[:, None]
        part = self.renderer._trail.draw(layer, self.camera, self.index, colours)
        self.surface.blit(layer, part, part, ADD)
        layer.fill(0, part)

    def drones(self) -> None:
        """Halos of light, and in them drones and race rings, farthest first."""
        snapshot = self.snapshot
        colours = snapshot.colours[self.index].astype(float)
        clear = self.clear(self.depth)[:, None]
        tints = colours * (0.35 + 0.5 * clear) + (1 - clear) * HORIZON * 0.4 + 24
        crowd = 2.5 * np.pi * (0.42 * self.radius + 1.2) ** 2
        light = colours * clear * _exposure(self.pixels, crowd, self.size)[:, None]
        self.paste("glow", self.pixels, step_of(np.minimum(self.radius, 220.0)), pack(light))
        # The drone shines in its own light, white in the middle; but a pure red keeps its hue.
        tints += 0.4 * light
        light = light + 0.15 * light.min(axis=1, keepdims=True) + 60
        arrays = floats(self.pixels, self.axes(), self.radius, np.minimum(tints, 255), light)
        painted = 0
        for part in [*reversed(self.rings()), None]:
            behind = len(self.index)
            if part is not None:
                behind = int(np.searchsorted(-self.depth, -part.depth))
            if behind > painted:
                paint(draw_drones, self.surface, *(array[painted:behind] for array in arrays))
                painted = behind
            if part is not None:
                part.paint(self.surface)
        self.collisions()

    def rings(self) -> list[RingPart]:
        """The parts of the race rings, nearest first."""
        rings = self.snapshot.rings
        if rings is None:
            return []
        return ring_parts(
            rings, self.snapshot.next_ring, self.camera, self.size, self.fog, self.sprites
        )

    def axes(self) -> np.ndarray:
        """(n, 2, 2): the pictures (right, down) of each drone's x and y axes."""
        body = _rotations(self.snapshot.attitudes[self.index])[:, :, :2]  # (n, 3, 2) x and y axes
        local = self.camera.axes @ body  # in the axes of the picture
        # Perspective, to first order: what is nearer moves away from the middle of the picture.
        middle = (self.pixels - np.array(self.size) / 2) / self.focal * (1, -1)
        images = local[:, :2] - middle[:, :, None] * local[:, 2:]  # (n, 2 right/up, 2 x/y)
        return np.swapaxes(images * np.array([[1.0], [-1.0]]), 1, 2)

    def collisions(self) -> None:
        """A red ring and flash on every drone that is too near another.

        They lift what is darker instead of adding up: a crowd of them stays red.
        """
        hit = np.flatnonzero(self.snapshot.colliding[self.index])
        radius = np.maximum(0.62 / REACH * self.radius[hit], 6.0)
        size, thick = step_of(radius), np.minimum(radius, 10).astype(int)
        flash, ring = (np.full(len(hit), pack(share * COLLISION)) for share in (0.45, 1.0))
        self.paste("pool", self.pixels[hit], size, size, flash, flags=pygame.BLEND_RGB_MAX)
        self.paste("ring", self.pixels[hit], size, thick, ring, flags=pygame.BLEND_RGB_MAX)

    def labels(self) -> None:
        """The number of each drone, beside it."""
        away = 0.75 * self.radius[:, None] * (1, -1) + (2, 0)
        for i, (x, y) in zip(self.index.tolist(), (self.pixels + away).tolist(), strict=True):
            image = self.renderer.text.image(str(i), 16, LABEL)
            self.surface.blit(image, (x, y - image.get_height()))


@contextmanager
def _compilation_notice() -> Iterator[None]:
    """Tell a user who waits for the first picture, unless its code comes from numba's cache."""
    if getattr(paint_rows, "signatures", True):  # compiled already, or not compiled at all
        yield
        return
    with telling_of_compilation("renderer"):
        yield


def _exposure(pixels: np.ndarray, lights: np.ndarray, size: Size) -> np.ndarray:
    """(N,): by how much to dim lights that overlap, so that a crowd keeps its colours.

    Added up, a thousand lights are white. `pixels` (N, 2): their middles; `lights` (N,): pixels
    that each would light up fully. Each one is shared out to the four nearest knots of a grid.
    """
    limit = np.array(size) // _CROWD + 2
    at = np.clip(pixels / _CROWD + 1, 0, limit - 1e-3)
    corner = at.astype(int)
    part = at - corner
    knots, shares = [], []
    for x in (0, 1):
        for y in (0, 1):
            knots.append((corner[:, 0] + x) * (limit[1] + 2) + corner[:, 1] + y)
            shares.append(np.abs(1 - x - part[:, 0]) * np.abs(1 - y - part[:, 1]))
    knot, share = np.stack(knots), np.stack(shares)  # (4, N)
    lights = np.minimum(lights / _CROWD**2, 4.0)
    field = np.bincount(knot.ravel(), (share * lights).ravel())
    others = (field[knot] * share).sum(axis=0) - lights * (share**2).sum(axis=0)
    return 1 / (1 + np.maximum(others - 0.5, 0))


def _rotations(quaternions: np.ndarray) -> np.ndarray:
    """(N, 4) unit quaternions w x y z -> (N, 3, 3) rotation matrices, body -> world."""
    w, x, y, z = quaternions.T
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        1,
    )
