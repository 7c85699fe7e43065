"""Plots: what is drawn is what happened, and no file is lost."""

import sys

import matplotlib
import numpy as np
import pytest

from drone_formation import Swarms, plots
from drone_formation.cli import main
from drone_formation.evaluation import evaluate
from drone_formation.pilots import HoverPilot

ARENA = np.array([30.0, 30.0, 10.0])


@pytest.fixture
def axes():
    return plots.new_figure(4, 3).subplots()


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.get_lines()}


@pytest.fixture
def log():
    """Two batches of hovering episodes."""
    log = plots.FlightLog(HoverPilot())
    found = evaluate(log, "sphere", 5, 6, max_steps=30, num_swarms_at_once=3)
    assert found.pilot == "hover"
    return log


def test_a_log_holds_every_drone_of_every_episode(log):
    assert log.distance.shape == log.nearest.shape == (30, 5 * 6)
    assert log.paths.shape == (30, 6, 3)
    np.testing.assert_allclose(log.time, 0.05 * np.arange(30))
    swarms = Swarms("sphere", 1, 6, seed=1_000_004, max_steps=30)  # the last episode
    swarms.reset()
    np.testing.assert_allclose(log.distance[0, -6:], swarms.distance[0])
    gaps = np.linalg.norm(swarms.position[0][:, None] - swarms.position[0], axis=2)
    np.fill_diagonal(gaps, np.inf)
    np.testing.assert_allclose(log.nearest[0, -6:], gaps.min(axis=1), rtol=1e-5)


def test_logging_changes_nothing():
    plain = evaluate(HoverPilot(), "sphere", 2, 6, max_steps=20)
    logged = evaluate(plots.FlightLog(HoverPilot()), "sphere", 2, 6, max_steps=20)
    assert plain.as_json() == logged.as_json()


def test_drones_that_are_gone_leave_gaps(tmp_path):
    """Nothing is drawn beyond the arena, wherever the simulator says that they are."""

    class Climb:
        name = "climb"

        def act(self, swarms):
            actions = np.zeros((swarms.num_swarms, swarms.num_drones, 4), np.float32)
            actions[:, 0] = 1
            return actions

    log = plots.FlightLog(Climb())
    evaluate(log, "flag", 2, 4, max_steps=120, crash="terminate")
    gone = np.isnan(log.distance)
    assert gone[-1].tolist() == [True, False, False, False] * 2
    np.testing.assert_array_equal(np.isnan(log.nearest), gone)
    assert np.isnan(log.paths[-1, 0]).all()
    assert np.nanmax(np.abs(log.paths) / log.arena) < 1.01
    for name, figure in plots.flight_pictures(log).items():
        plots.save(figure, tmp_path / f"{name}.png")


def test_long_episodes_are_thinned():
    log = plots.FlightLog(HoverPilot())
    evaluate(log, "flag", 1, 2, max_steps=3 * plots.INSTANTS)
    assert log.distance.shape == (plots.INSTANTS, 2)
    assert log.time[-1] == pytest.approx(0.05 * 3 * (plots.INSTANTS - 1))
    assert len(log.paths) == 3 * plots.INSTANTS


def test_gone_drones_are_no_numbers():
    log = plots.FlightLog(_Falling())
    evaluate(log, "flag", 1, 3, max_steps=120, crash="terminate")
    assert np.isfinite(log.distance[0]).all()
    assert np.isnan(log.distance[-1]).all()
    assert np.isnan(log.paths[-1]).all()
    plots.overview(log)  # draws what there is


class _Falling:
    name = "falling"

    def act(self, swarms):
        return np.full((swarms.num_swarms, swarms.num_drones, 4), -1, np.float32)


def test_medians_and_extremes(axes):
    time = np.arange(4.0)
    values = np.array([4.0, 3.0, 2.0, 1.0])[:, None] * np.array([0.5, 1.0, 9.0])
    plots.plot_separation(axes, time, values, 1.25)
    drawn = lines(axes)
    np.testing.assert_allclose(drawn["median drone"], [4, 3, 2, 1])
    np.testing.assert_allclose(drawn["nearest pair of all"], [2, 1.5, 1, 0.5])
    np.testing.assert_allclose(drawn["collision (1.25 m)"], 1.25)


def test_distance_is_logarithmic_and_bears_zeros(axes):
    plots.plot_distance(axes, np.arange(3.0), np.array([[1.0, 2], [0, 0], [np.nan, 3]]))
    assert axes.get_yscale() == "log"
    assert (lines(axes)["median drone"] > 0).all()


def test_one_drone_has_no_separation(axes):
    plots.plot_separation(axes, np.arange(3.0), np.full((3, 1), np.nan), 1.0)
    assert [text.get_text() for text in axes.texts] == ["one drone alone"]


def test_paths_break_where_a_drone_was_put_back(axes):
    paths = np.zeros((4, 2, 3))
    paths[:, 0, 0] = [0, 1, 9, 10]  # jumps
    paths[:, 1, 1] = [0, 1, 2, 3]
    colours = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    plots.plot_paths(axes, paths, colours, paths[-1], ARENA)
    jumping, steady = (path.vertices for path in axes.collections[0].get_paths())
    assert np.isnan(jumping).any()
    np.testing.assert_allclose(steady, [[0, 0], [1, 0], [2, 0], [3, 0]])  # y to the right
    low, high = axes.get_ylim()
    assert low > high  # x downwards


def test_a_learning_curve():
    figure = plots.learning_curve(
        np.array([1e6, 2e6]), {"return": [1, 2], "error, m": [1.0, 0.1]}, "flag", log=["error, m"]
    )
    one, other = figure.axes
    np.testing.assert_allclose(one.get_lines()[0].get_xdata(), [1, 2])
    assert (one.get_yscale(), other.get_yscale()) == ("linear", "log")


def test_pyplot_stays_out_of_it(log):
    plots.overview(log, "title")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    assert matplotlib.__version__


ARGV = ["evaluate", "flag", "--pilot", "hover", "--num-drones", "3", "--episodes", "2"]
ARGV += ["--max-steps", "20"]


@pytest.mark.parametrize("name", ["flight.png", "deep/flight.pdf", "flight.svg"])
def test_evaluate_draws_one_picture(name, tmp_path, capsys):
    assert main([*ARGV, "--json", "--plot", str(tmp_path / name)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("{")  # nothing but the figures
    assert "saved" in captured.err
    made = tmp_path / name
    assert made.read_bytes()[:4] in (b"\x89PNG", b"%PDF", b"<?xm")
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_evaluate_draws_a_folder_and_never_overwrites(tmp_path, capsys):
    folder = tmp_path / "plots"
    assert main([*ARGV, "--plot", str(folder)]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["distance.png", "paths.png", "separation.png"]
    (folder / "paths.png").write_bytes(b"precious")
    capsys.readouterr()
    assert main([*ARGV, "--plot", str(folder)]) == 2
    assert "exists" in capsys.readouterr().err
    assert (folder / "paths.png").read_bytes() == b"precious"
    assert main([*ARGV, "--plot", str(folder), "--force"]) == 0
    assert (folder / "paths.png").read_bytes() != b"precious"


def test_other_endings_are_refused_before_anything_flies(tmp_path, capsys):
    assert main([*ARGV, "--plot", str(tmp_path / "plot.docx")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ".png" in captured.err
    assert not list(tmp_path.iterdir())


COLUMNS = "steps,seconds,on_target,formation_error,collisions,episode_return"


def test_the_curve_of_a_run(tmp_path):
    table = tmp_path / "learning_curve.csv"
    table.write_text(f"{COLUMNS}\n1e6,20,0.1,nan,3,-5\n2e6,41.4,0.9,0.02,1,50\n")
    figure = plots.training_curve(table, "DroneFlag-v0")
    assert figure.get_suptitle() == "DroneFlag-v0: 41 s of training"
    drawn = {axes.get_ylabel(): axes for axes in figure.axes}
    returns = drawn["return per episode"].get_lines()[0]
    np.testing.assert_allclose(returns.get_xdata(), [1, 2])
    np.testing.assert_allclose(returns.get_ydata(), [-5, 50])
    scales = {label: axes.get_yscale() for label, axes in drawn.items()}
    assert [label for label, scale in scales.items() if scale == "log"] == ["formation error, m"]
    plots.save(figure, tmp_path / "curve.png")


def test_a_run_without_a_row_has_no_curve(tmp_path):
    table = tmp_path / "learning_curve.csv"
    table.write_text(f"{COLUMNS}\n")
    assert plots.training_curve(table, "DroneFlag-v0") is None


def test_training_needs_no_matplotlib(tmp_path, monkeypatch):
    metrics = pytest.importorskip("drone_formation.training.metrics")
    table = tmp_path / "learning_curve.csv"
    metrics.draw_curve(tmp_path, "flag")  # nothing to draw yet
    table.write_text(f"{COLUMNS}\n1e6,20,0.1,0.3,3,-5\n")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        patch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
        metrics.draw_curve(tmp_path, "flag")
    assert [path.name for path in tmp_path.iterdir()] == [table.name]
    for _ in range(2):  # a run that goes on replaces its own picture
        metrics.draw_curve(tmp_path, "flag")
    assert (tmp_path / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"
