"""Plots of flights and of training.

Every function draws plain arrays on matplotlib axes that it is given, so that they can be
combined anew; nothing opens a window or touches pyplot's state.  A :class:`FlightLog` collects the
arrays while any pilot flies::

    log = FlightLog(pilot)
    evaluate(log, "flag", episodes=16)
    save(overview(log, "DroneFlag-v0"), "flag.png")
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .airframe import CONTROL_STEP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .pilots import Pilot
    from .swarms import Swarms

#: Kinds of files that are written.
SUFFIXES = (".png", ".pdf", ".svg")
#: A longer way between two control steps is a respawn, which no line joins, m.
JUMP = 3.0
#: About this many instants of an episode are kept for the curves over time.
INSTANTS = 400

_NIGHT, _TARGET = "#0b1122", "#7f8ba8"
_BAND, _MEDIAN, _EXTREME = "#9ec1ea", "#1f5fa8", "#d6453d"


# ---- what is plotted -------------------------------------------------------------------------


class FlightLog:
    """A pilot that records what happens while another one flies.

    Attributes:
        time: (T,), s; the same for all episodes.
        distance, nearest: (T, M) for the M drones of all episodes: the distance to the target and
            to the nearest other drone, m; NaN for a drone that is gone.
        paths: (steps, N, 3), m, of the first episode's drones.
        colours, targets: (N, 3) of the first episode; ``targets`` are the last ones.
        arena: (3,) half extents, m.  ``collision_distance``: m.
    """

    def __init__(self, pilot: Pilot) -> None:
        self.pilot = pilot
        self.name = getattr(pilot, "name", type(pilot).__name__)
        self._distance: list[list[np.ndarray]] = []  # per batch of swarms, per instant
        self._nearest: list[list[np.ndarray]] = []
        self._paths: list[np.ndarray] = []

    def act(self, swarms: Swarms) -> np.ndarray:
        """What the pilot does."""
        if swarms.steps[0] == 0:
            self._distance.append([])
            self._nearest.append([])
        gone = ~swarms.active
        position = swarms.position
        if len(self._distance) == 1:
            self._paths.append(np.where(gone[0][:, None], np.nan, position[0]))
            self.targets = swarms.target_position[0]
            self.colours = swarms.colours[0].copy()
            self.arena, self.collision_distance = swarms.arena, swarms.collision_distance
        self._every = max(1, swarms.max_steps // INSTANTS)
        if swarms.steps[0] % self._every == 0:
            nearest = np.stack([_nearest(p, ~g) for p, g in zip(position, gone, strict=True)])
            self._distance[-1].append(np.where(gone, np.nan, swarms.distance).ravel())
            self._nearest[-1].append(nearest.ravel())
        return self.pilot.act(swarms)

    @property
    def distance(self) -> np.ndarray:
        return np.concatenate([np.stack(part) for part in self._distance], axis=1)

    @property
    def nearest(self) -> np.ndarray:
        return np.concatenate([np.stack(part) for part in self._nearest], axis=1)

    @property
    def paths(self) -> np.ndarray:
        return np.stack(self._paths)

    @property
    def time(self) -> np.ndarray:
        return np.arange(len(self._distance[0])) * self._every * CONTROL_STEP


def _nearest(points: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Distance of each point (N, 3) to the nearest other; NaN where not ``there`` or alone."""
    from scipy.spatial import cKDTree

    nearest = np.full(len(points), np.nan)
    if np.count_nonzero(there) > 1:
        nearest[there] = cKDTree(points[there]).query(points[there], k=2)[0][:, 1]
    return nearest


# ---- panels ----------------------------------------------------------------------------------


def band(axes: Axes, x: np.ndarray, values: np.ndarray) -> None:
    """The median over columns of ``values`` (T, M), and where the middle 50 % and 90 % lie."""
    there = ~np.isnan(values).all(axis=1)
    low, lower, middle, upper, high = np.nanquantile(
        values[there], [0.05, 0.25, 0.5, 0.75, 0.95], axis=1
    )
    x = x[there]
    axes.fill_between(x, low, high, color=_BAND, alpha=0.45, linewidth=0, label="5 to 95 %")
    axes.fill_between(x, lower, upper, color=_BAND, linewidth=0, label="25 to 75 %")
    axes.plot(x, middle, color=_MEDIAN, label="median drone")


def plot_distance(axes: Axes, time: np.ndarray, distance: np.ndarray) -> None:
    """Distance to the target over time, (T,) s and (T, M) m, on a logarithmic scale from 1 mm."""
    band(axes, time, np.maximum(distance, 1e-3))
    axes.axhline(0.10, color=_TARGET, linestyle="--", linewidth=1, label="on target (0.10 m)")
    axes.set(yscale="log", xlabel="time, s", ylabel="distance to target, m")
    _finish(axes, time)


def plot_separation(
    axes: Axes, time: np.ndarray, nearest: np.ndarray, collision_distance: float
) -> None:
    """Distance to the nearest other drone over time, (T,) s and (T, M) m."""
    axes.set(xlabel="time, s", ylabel="distance to the nearest drone, m")
    there = ~np.isnan(nearest).all(axis=1)
    if not there.any():
        axes.text(0.5, 0.5, "one drone alone", ha="center", transform=axes.transAxes)
        return
    band(axes, time, nearest)
    least = np.nanmin(nearest[there], axis=1)
    axes.plot(time[there], least, color=_EXTREME, linewidth=1, label="nearest pair of all")
    label = f"collision ({collision_distance:g} m)"
    axes.axhline(collision_distance, color=_TARGET, linestyle="--", linewidth=1, label=label)
    axes.set_ylim(bottom=0)
    _finish(axes, time)


def _finish(axes: Axes, time: np.ndarray) -> None:
    axes.set_xlim(0, max(float(time[-1]), CONTROL_STEP))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small")


def plot_paths(
    axes: Axes,
    paths: np.ndarray,
    colours: np.ndarray,
    targets: np.ndarray,
    arena: np.ndarray,
) -> None:
    """Paths (steps, N, 3) from above, as the viewer's top camera sees them: +x is down."""
    from matplotlib.collections import LineCollection

    paths = paths.copy()
    with np.errstate(invalid="ignore"):
        hops = np.linalg.norm(np.diff(paths, axis=0), axis=2)
    paths[1:][hops > JUMP] = np.nan
    rgb = colours / 255
    flat = np.swapaxes(paths[:, :, [1, 0]], 0, 1)
    thin = 1.0 if len(flat) <= 128 else 0.5
    axes.add_collection(LineCollection(list(flat), colors=rgb, linewidths=thin, alpha=0.6))
    size = 22 if len(flat) <= 128 else 5
    slots, ends = targets[:, [1, 0]].T, paths[-1][:, [1, 0]].T
    rim: dict[str, Any] = {"facecolors": "none", "edgecolors": _TARGET, "lw": 0.6}
    axes.scatter(slots[0], slots[1], s=3 * size, **rim)
    axes.scatter(ends[0], ends[1], s=size, c=rgb, zorder=3)
    x, y = arena[:2]
    axes.plot([-y, y, y, -y, -y], [-x, -x, x, x, -x], color=_TARGET, linewidth=1)
    axes.set_facecolor(_NIGHT)
    axes.set(xlabel="y, m", ylabel="x, m", aspect="equal")
    axes.set(xlim=(-1.04 * y, 1.04 * y), ylim=(1.04 * x, -1.04 * x))


# ---- pictures --------------------------------------------------------------------------------


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure, inches, with no window behind it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title)
    return figure


def flight_pictures(log: FlightLog) -> dict[str, Figure]:
    """One picture each: ``distance``, ``separation`` and ``paths``."""
    pictures = {name: new_figure(7, 4.5) for name in ("distance", "separation")}
    pictures["paths"] = new_figure(7, 7)
    _draw(log, *(figure.subplots() for figure in pictures.values()))
    return pictures


def overview(log: FlightLog, title: str = "") -> Figure:
    """All three in one picture."""
    figure = new_figure(17, 5.2, title)
    _draw(log, *figure.subplots(1, 3))
    return figure


def _draw(log: FlightLog, distance: Axes, separation: Axes, paths: Axes) -> None:
    plot_distance(distance, log.time, log.distance)
    plot_separation(separation, log.time, log.nearest, log.collision_distance)
    plot_paths(paths, log.paths, log.colours, log.targets, log.arena)
    distance.set_title("distance to target, all episodes")
    separation.set_title("separation, all episodes")
    paths.set_title("paths from above, first episode")


def learning_curve(
    steps: np.ndarray, curves: Mapping[str, np.ndarray], title: str = "", log: Iterable[str] = ()
) -> Figure:
    """Up to four curves over drone-steps, two by two.

    Args:
        steps: (T,), drone-steps.
        curves: label -> values (T,).
        log: labels of the curves on a logarithmic scale, where anything in them is positive.
    """
    figure = new_figure(9, 6, title)
    panels = iter(figure.subplots(2, 2).flat)
    for label, values in curves.items():
        axes = next(panels)
        values = np.asarray(values, float)
        axes.plot(np.asarray(steps) / 1e6, values, color=_MEDIAN)
        if label in log and (values > 0).any():
            axes.set_yscale("log")
        axes.set(xlabel="million drone-steps", ylabel=label)
        axes.grid(alpha=0.3)
    for axes in panels:  # those left over
        axes.remove()
    return figure


#: What a training run's curves show: column of the file -> label, and whether it is logarithmic.
_TRAINING = {
    "on_target": ("on target (0.10 m), share", False),
    "formation_error": ("formation error, m", True),
    "collisions": ("collisions per drone-minute", False),
    "episode_return": ("return per episode", False),
}


def training_curve(path: str | os.PathLike[str], name: str) -> Figure | None:
    """The learning curve in the ``learning_curve.csv`` of a run; None where it has no row yet.

    ``name`` says what was trained.
    """
    with open(path, newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    if not rows:
        return None
    return learning_curve(
        np.array([row["steps"] for row in rows]),
        {label: np.array([row[key] for row in rows]) for key, (label, _) in _TRAINING.items()},
        f"{name}: {rows[-1]['seconds']:.0f} s of training",
        log=[label for label, logarithmic in _TRAINING.values() if logarithmic],
    )


# ---- files -----------------------------------------------------------------------------------


def files_for(target: str | os.PathLike[str], *, force: bool = False) -> dict[str, Path]:
    """Which files ``--plot target`` makes: name of the picture -> path.

    A name that ends in one of ``SUFFIXES`` is one picture of everything, any other name a folder
    with a picture each.

    Raises:
        FileExistsError: one of them exists, and ``force`` is not given.
        ValueError: the name has another ending.
    """
    path = Path(target)
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        files = {"overview": path}
    elif path.suffix and not path.is_dir():
        raise ValueError(f"cannot plot to {str(path)!r}; allowed: {', '.join(SUFFIXES)}, a folder")
    else:
        names = ("distance", "separation", "paths")
        files = {name: path / f"{name}.png" for name in names}
    for file in files.values():
        _refuse(file, force)
    return files


def save(figure: Figure, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a figure; an existing file is replaced only with ``force``.

    Raises:
        FileExistsError: the file exists.
    """
    path = Path(path)
    _refuse(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        figure.savefig(partial, dpi=110)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; choose another name or force its replacement")


def save_flight(log: FlightLog, files: Mapping[str, Path], title: str, **options: Any) -> None:
    """Draw and write what :func:`files_for` announced."""
    if "overview" in files:
        save(overview(log, title), files["overview"], **options)
        return
    pictures = flight_pictures(log)
    for name, path in files.items():
        save(pictures[name], path, **options)
