"""Text over the picture: the head-up display, and the window's help."""

from __future__ import annotations

from collections.abc import Sequence

import pygame

from .snapshot import Snapshot

BRIGHT = (232, 240, 255)
DIM = (140, 158, 195)

HELP = (
    ("drag", "orbit"),
    ("wheel", "zoom"),
    ("right drag", "pan"),
    ("click a drone, Tab", "follow it, the next one"),
    ("A  F  T  C", "view: auto, front, top, cinematic"),
    ("1 to 9", "fly the task of that number"),
    ("Space", "pause"),
    ("N", "a single step"),
    ("+  -", "faster, slower"),
    ("X  G  L  U", "trails, targets, labels, status"),
    ("P", "picture to a file"),
    ("R", "record, start and stop"),
    ("H", "this help"),
    ("Esc, Q", "close"),
)


class Text:
    """Rendered lines of text, kept. Uses pygame's built-in font, the same on every machine.

    A font object that outlives pygame.quit() can crash the process, and loading one takes a
    millisecond. So only pictures are kept: of lines, and of the letters that new lines are put
    together from.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple, pygame.Surface] = {}
        self._letters: dict[tuple, pygame.Surface] = {}

    def image(self, text: str, size: int, colour: tuple[int, int, int]) -> pygame.Surface:
        """`text` on a transparent ground; `size` is the height of the font in pixels."""
        key = (text, size, colour)
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) > 2000:
                self._lines.clear()
            line = self._lines[key] = self._compose(text, size, colour)
        return line

    def _compose(self, text: str, size: int, colour: tuple[int, int, int]) -> pygame.Surface:
        missing = {letter for letter in text or " " if (letter, size, colour) not in self._letters}
        if missing:
            if not pygame.font.get_init():
                pygame.font.init()
            font = pygame.font.Font(None, size)
            for letter in missing:
                self._letters[letter, size, colour] = font.render(letter, True, colour)
        letters = [self._letters[letter, size, colour] for letter in text or " "]
        width = sum(letter.get_width() for letter in letters)
        line = pygame.Surface((width, letters[0].get_height()), pygame.SRCALPHA, 32)
        x = 0
        for image in letters:
            line.blit(image, (x, 0))
            x += image.get_width()
        return line

    def clear(self) -> None:
        """Forget every line."""
        self._lines.clear()
        self._letters.clear()


def draw_hud(surface: pygame.Surface, text: Text, snapshot: Snapshot) -> None:
    """Task and time at the top left, the lines of `snapshot.hud` below; sized by the picture."""
    scale = min(max(surface.get_height() / 720, 0.6), 3.0)
    large, medium, small, gap = (round(scale * n) for n in (34, 22, 20, 4))
    x, y = round(22 * scale), round(18 * scale)
    if snapshot.task:
        y += put(surface, text, snapshot.task, (x, y), large, BRIGHT) + gap // 2
    y += put(surface, text, f"{snapshot.time:.1f} s", (x, y), medium, DIM) + 2 * gap
    names = [text.image(name, small, DIM) for name in snapshot.hud]
    indent = max((image.get_width() for image in names), default=0) + 3 * gap
    for name, value in zip(names, snapshot.hud.values(), strict=True):
        line = f"{value:.4g}" if isinstance(value, float) else str(value)
        surface.blit(name, (x, y))
        y += put(surface, text, line, (x + indent, y), small, BRIGHT) + gap


def draw_help(surface: pygame.Surface, text: Text, tasks: Sequence[str]) -> None:
    """A panel in the middle: what keys and mouse do, and the tasks that digits ask for."""
    numbered = [(str(i), task) for i, task in enumerate(tasks[:9], 1)]
    rows = [*HELP, *([("", ""), *numbered] if numbered else [])]
    wide, high = 470, 24 * len(rows) + 40
    panel = pygame.Surface((wide, high), pygame.SRCALPHA, 32)
    pygame.draw.rect(panel, (8, 13, 30, 225), panel.get_rect(), border_radius=14)
    pygame.draw.rect(panel, (80, 115, 180, 160), panel.get_rect(), width=1, border_radius=14)
    left = max((surface.get_width() - wide) // 2, 0)
    top = max((surface.get_height() - high) // 2, 0)
    surface.blit(panel, (left, top))
    for i, (key, meaning) in enumerate(rows):
        y = top + 22 + 24 * i
        put(surface, text, key, (left + 26, y), 21, BRIGHT)
        put(surface, text, meaning, (left + 200, y), 21, DIM)


def put(
    surface: pygame.Surface,
    text: Text,
    line: str,
    at: tuple[int, int],
    size: int,
    colour: tuple[int, int, int],
) -> int:
    """Write a line with a soft shadow, its top left corner at `at`; returns its height, pixels."""
    surface.blit(text.image(line, size, (4, 7, 16)), (at[0] + 1, at[1] + 1))
    image = text.image(line, size, colour)
    surface.blit(image, at)
    return image.get_height()
