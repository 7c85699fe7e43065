"""The renderer: a snapshot in, a picture out. It never opens a window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import pygame

from .backdrop import HORIZON, Backdrop
from .camera import NEAR, Camera, Size, View, as_view
from .overlay import Text, draw_hud
from .snapshot import JUMP, Snapshot
from .sprites import Sprite, Sprites, attitude_steps, pack, radius_of, step_of

ADD = pygame.BLEND_RGB_ADD

REACH = 0.45  # a drone's radius, rotors included, as a share of the collision distance
COLLISION = np.array([255.0, 70.0, 30.0])
ENTRY = np.array([60.0, 235.0, 170.0])  # the side of a race ring to fly into
EXIT = np.array([235.0, 80.0, 120.0])
LABEL = (200, 212, 235)

_MAX_TRAIL_PIECES = 4000  # lines per frame; longer trails are drawn with fewer, longer pieces


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
        self._past: deque[tuple[float, np.ndarray]] = deque()
        self._backdrop = Backdrop()
        self._surface: pygame.Surface | None = None
        self._layer: pygame.Surface | None = None
        self.size = size
        self.camera = camera  # type: ignore[assignment]
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
        self._surface = self._layer = None

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
        surface = self._blank(camera, snapshot)
        self._remember(snapshot)
        _Frame(self, surface, snapshot, camera).draw()
        if self.hud:
            draw_hud(surface, self.text, snapshot)
        return surface

    def frame(self, snapshot: Snapshot) -> np.ndarray:
        """The picture, as a fresh array (height, width, 3) uint8, red first."""
        surface = self.draw(snapshot)
        out = np.empty((*self._size[::-1], 3), np.uint8)
        # Let pygame write into the array's memory: ten times faster than its surfarray copies.
        pygame.image.frombuffer(out, self._size, "RGB").blit(surface, (0, 0))
        return out

    def forget(self) -> None:
        """Drop the trails, as at the start of an episode."""
        self._past.clear()

    def close(self) -> None:
        """Free the memory held. Drawing again simply fills it again."""
        self.forget()
        self._sprites.clear()
        self.text.clear()
        self._surface = self._layer = None
        self._backdrop = Backdrop()

    def _blank(self, camera: Camera, snapshot: Snapshot) -> pygame.Surface:
        """The surface to draw on, with the backdrop on it; an unmoved camera reuses the last."""
        if self._surface is None:
            self._surface = pygame.Surface(self._size, 0, 32)
            self._layer = pygame.Surface(self._size, 0, 32)
        self._surface.blit(self._backdrop.at(camera, self._size, snapshot.arena), (0, 0))
        return self._surface

    def _remember(self, snapshot: Snapshot) -> None:
        """Add the positions to the trails' memory, once per time; a step back in time clears it."""
        past = self._past
        if past and (snapshot.time < past[-1][0] or len(past[-1][1]) != len(snapshot)):
            past.clear()
        if self._trails == 0:
            past.clear()
        elif not past or snapshot.time > past[-1][0]:
            gone = ~snapshot.active[:, None]
            past.append((snapshot.time, np.where(gone, np.nan, snapshot.positions)))
            while past[0][0] < snapshot.time - self._trails:
                past.popleft()


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

    def draw(self) -> None:
        snapshot = self.snapshot
        if self.camera.eye[2] > -snapshot.arena[2]:
            self.ground()
        # In a race the rings are the targets, and a crowd shares each of them.
        if self.renderer.show_targets and snapshot.targets is not None and snapshot.rings is None:
            self.targets()
        if self.renderer.trails:
            self.trails()
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

    def paste(
        self, make: Callable[..., Sprite], pixels: np.ndarray, *keys: np.ndarray, flags: int = ADD
    ) -> None:
        """Blit ``make(*keys[i])`` with its middle at pixels[i], for every i, in order."""
        places = np.rint(pixels).astype(int).tolist()
        blits = []
        for (x, y), *key in zip(places, *(k.tolist() for k in keys), strict=True):
            sprite, dx, dy = make(*key)
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
        self.paste(self.sprites.shadow, pixels[i], *shapes, level[i], flags=0)

        mirrored = points.copy()
        mirrored[:, 2] = 2 * floor - points[:, 2]
        pixels, depth = self.camera.project(mirrored, self.size)
        size = np.minimum(self.focal * 1.8 * self.reach / np.maximum(depth, NEAR), 100)
        light = 0.34 * np.exp(-height / 10) * self.clear(depth)
        packed = pack(snapshot.colours[snapshot.active] * light[:, None])
        i = self.on_screen(pixels, depth, 2 * size)
        i = i[packed[i] > 0]
        # A floor that is not quite smooth draws the lights out.
        wide, high = step_of(size[i]), step_of(1.6 * size[i])
        self.paste(self.sprites.pool, pixels[i], wide, high, packed[i])

    def targets(self) -> None:
        """A faint ring per target, half the collision distance in radius: rings never overlap.

        It nearly vanishes when its drone is there, so that what stands out is what is missing.
        """
        snapshot = self.snapshot
        points = snapshot.targets[snapshot.active]
        pixels, depth = self.camera.project(points, self.size)
        radius = self.focal * 0.5 * snapshot.collision_distance / np.maximum(depth, NEAR)
        gap = np.linalg.norm(points - snapshot.positions[snapshot.active], axis=1)
        empty = np.minimum(gap / snapshot.collision_distance, 1.0)
        light = (0.09 + 0.25 * empty) * self.clear(depth)
        packed = pack((0.75 * snapshot.colours[snapshot.active] + 64) * light[:, None])
        i = self.on_screen(pixels, depth, radius)
        i = i[packed[i] > 0]
        steps = step_of(np.clip(radius[i], 2.0, 300.0))
        self.paste(self.sprites.ring, pixels[i], steps, np.full(len(i), 5), packed[i])

    def trails(self) -> None:
        """Where the drones have been: lines that fade with age, added to what is behind."""
        past = [positions[self.index] for _, positions in reversed(self.renderer._past)]
        if len(past) < 2 or len(self.index) == 0:
            return
        stride = -(-len(past) * len(self.index) // _MAX_TRAIL_PIECES)
        points = np.stack(past)  # (T, n, 3), newest first; NaN where a drone was gone
        hops = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=2)
        jumps = np.cumsum(~(hops < JUMP), axis=0)[::stride]
        points = points[::stride]
        pixels, depth = self.camera.project(points.reshape(-1, 3), self.size)
        pixels = pixels.reshape(*points.shape[:2], 2)
        depth = depth.reshape(points.shape[:2])
        whole = (jumps[:-1] == jumps[1:]) & (depth[:-1] > NEAR) & (depth[1:] > NEAR)
        age = np.linspace(0, 1, len(points))[:-1]
        light = (0.55 * (1 - age) ** 1.5)[:, None] * self.clear(self.depth)
        colours = self.snapshot.colours[self.index].astype(float)
        layer = self.renderer._layer
        layer.fill(0)
        shades = np.rint(light[..., None] * (0.8 * colours + 30)).astype(int).tolist()
        dots = pixels.tolist()
        for t in reversed(range(len(points) - 1)):  # oldest first, so that bright covers dim
            here, there, shade = dots[t], dots[t + 1], shades[t]
            for i in np.flatnonzero(whole[t]).tolist():
                pygame.draw.aaline(layer, shade[i], there[i], here[i])
        self.surface.blit(layer, (0, 0), special_flags=ADD)

    def drones(self) -> None:
        """Drones and race rings, farthest first."""
        snapshot = self.snapshot
        colours = snapshot.colours[self.index].astype(float)
        clear = self.clear(self.depth)[:, None]
        tints = colours * (0.35 + 0.5 * clear) + (1 - clear) * HORIZON * 0.4 + 24
        tints = np.minimum(np.rint(tints), 255).astype(int).tolist()
        steps = step_of(np.minimum(self.radius, 220.0))
        rows = zip(
            np.rint(self.pixels).astype(int).tolist(),
            self.depth.tolist(),
            steps.tolist(),
            pack(colours * clear).tolist(),
            tints,
            *self.matrices(steps),
            (self.radius > 1.5).tolist(),
            snapshot.colliding[self.index].tolist(),
            strict=True,
        )
        rings = _ring_pieces(self)
        blits: list[tuple] = []
        for (x, y), depth, step, packed, tint, matrix, nose, framed, hit in rows:
            while rings and rings[-1][0] > depth:
                self.surface.blits(blits, False)
                blits = []
                self.ring_piece(rings.pop())
            if framed:
                grey, dx, dy = self.sprites.drone(step, matrix, nose)
                sprite = grey.copy()
                sprite.fill(tint, None, pygame.BLEND_RGB_MULT)
                blits.append((sprite, (x - dx, y - dy)))
            sprite, dx, dy = self.sprites.glow(step, packed)
            blits.append((sprite, (x - dx, y - dy), None, ADD))
            if hit:
                blits.extend(self.collision(x, y, step))
        self.surface.blits(blits, False)
        while rings:
            self.ring_piece(rings.pop())

    def matrices(self, steps: np.ndarray) -> tuple[list[tuple[int, int, int, int]], list[bool]]:
        """How each drone's plan is to be drawn, in whole steps: see `Sprites.drone`."""
        body = _rotations(self.snapshot.attitudes[self.index])[:, :, :2]  # (n, 3, 2) x and y axes
        local = self.camera.axes @ body  # in the axes of the picture
        # Perspective, to first order: what is nearer moves away from the middle of the picture.
        centre = (self.pixels - np.array(self.size) / 2) / self.focal * (1, -1)
        images = local[:, :2] - centre[:, :, None] * local[:, 2:]  # (n, 2 right/up, 2 x/y)
        a, b = images[..., 0], images[..., 1]
        # Small drones have no visible nose and look the same turned by 90 degrees: fewer sprites.
        nose = self.radius > 14
        turns = np.stack([a, b, -a, -b], axis=1)  # (n, 4, 2)
        first = np.where(nose, 0, turns[:, :, 0].argmax(axis=1))
        rows = np.arange(len(first))
        pair = np.concatenate([turns[rows, first], turns[rows, (first + 1) % 4]], axis=1)
        keys = np.rint(pair * attitude_steps(steps)[:, None]).astype(int)
        return list(map(tuple, keys.tolist())), nose.tolist()

    def collision(self, x: int, y: int, step: int) -> list[tuple]:
        """A red ring and flash on a drone that is too near another."""
        size = int(step_of(max(radius_of(step) / REACH * 0.62, 9.0)))
        flash = self.sprites.pool(size, size, int(pack(0.45 * COLLISION)))
        ring = self.sprites.ring(size, 10, int(pack(COLLISION)))
        return [(sprite, (x - dx, y - dy), None, ADD) for sprite, dx, dy in (flash, ring)]

    def ring_piece(self, piece: tuple) -> None:
        """Paint one piece of a race ring: a glow, or a line or polygon in a colour."""
        _, corners, paint = piece
        if isinstance(paint, tuple):
            sprite, dx, dy = paint
            place = (round(corners[0]) - dx, round(corners[1]) - dy)
            self.surface.blit(sprite, place, special_flags=ADD)
        elif len(corners) == 2:
            pygame.draw.aaline(self.surface, paint, *corners)
        else:
            pygame.draw.polygon(self.surface, paint, corners)
            pygame.draw.aalines(self.surface, paint, True, corners)

    def labels(self) -> None:
        """The number of each drone, beside it."""
        away = 0.75 * self.radius[:, None] * (1, -1) + (2, 0)
        for i, (x, y) in zip(self.index.tolist(), (self.pixels + away).tolist(), strict=True):
            image = self.renderer.text.image(str(i), 16, LABEL)
            self.surface.blit(image, (x, y - image.get_height()))


def _ring_pieces(frame: _Frame) -> list[tuple]:
    """The race rings, cut into pieces (depth, corners or middle, paint), nearest first.

    Seen from the side to fly into, a ring is green, from behind it is red; an arrow through its
    middle shows the way from every side.
    """
    snapshot, camera = frame.snapshot, frame.camera
    if snapshot.rings is None:
        return []
    pieces: list[tuple] = []
    count = 48
    angles = np.linspace(0, 2 * np.pi, count + 1)
    for k, ring in enumerate(snapshot.rings):
        centre, normal, radius = ring[:3], ring[3:6], ring[6]
        across = np.cross(normal, (0.0, 0.0, 1.0) if abs(normal[2]) < 0.9 else (1.0, 0.0, 0.0))
        across /= np.linalg.norm(across)
        spokes = np.outer(np.cos(angles), across)
        spokes += np.outer(np.sin(angles), np.cross(normal, across))
        base = ENTRY if np.dot(camera.eye - centre, normal) < 0 else EXIT
        thick = 0.07 * radius
        if snapshot.next_ring is not None:
            base = base * (1.0 if snapshot.next_ring == k else 0.6)
        inner, near = camera.project(centre + radius * spokes, frame.size)
        outer, far = camera.project(centre + (radius + thick) * spokes, frame.size)
        depth = np.minimum(near, far)
        light = frame.clear(np.maximum(depth, 0)) ** 0.5
        for j in np.flatnonzero((depth[:-1] > NEAR) & (depth[1:] > NEAR)).tolist():
            lit = base * light[j] * (0.9 + 0.1 * spokes[j, 2])
            corners = [inner[j], inner[j + 1], outer[j + 1], outer[j]]
            pieces.append((depth[j], [c.tolist() for c in corners], lit.astype(int).tolist()))
            size = 5 * thick * frame.focal / depth[j]
            if size < 160:
                step = int(step_of(size))
                glow = frame.sprites.pool(step, step, int(pack(0.17 * lit)))
                # A little farther off, so that it lies behind its neighbours' bands.
                pieces.append((depth[j] + radius, (inner[j] + outer[j]) / 2, glow))
        side = np.cross(normal, camera.eye - centre)
        side *= 0.16 * radius / max(np.linalg.norm(side), 1e-6)
        tip = centre + 0.5 * radius * normal
        barbs = [tip - 0.22 * radius * normal + sign * side for sign in (-1, 1)]
        for start in (centre - 0.5 * radius * normal, *barbs):
            ends, depth = camera.project(np.stack([start, tip]), frame.size)
            if depth.min() > NEAR:
                pieces.append((depth.mean(), ends.tolist(), (0.8 * base).astype(int).tolist()))
    pieces.sort(key=lambda piece: piece[0])
    return pieces


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
