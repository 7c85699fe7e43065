"""The command line: what it prints, what it refuses, and that it refuses in one line."""

import argparse
import csv
import io
import json
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from drone_formation import (
    Airframe,
    Randomization,
    RewardWeights,
    TrainConfig,
    __version__,
    training,
)
from drone_formation.cli import listing, main
from drone_formation.cli.program import parser
from drone_formation.tasks import TASKS
from drone_formation.training.values import as_toml


def refused(capsys, *argv: str) -> str:
    """Run a command that must fail, and return the one line it says."""
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("drone-formation")
    return captured.err


def test_list_shows_every_id(capsys):
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    for task in TASKS.values():
        assert task.id in output
        assert task.summary in output


def test_list_and_help_import_nothing_heavy():
    code = (
        "import sys; from drone_formation.cli import main; "
        "status = main(['list']) or main(['train', '--help']); "
        "print(sorted({'numba', 'torch', 'pygame', 'matplotlib'} & set(sys.modules))); "
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "drone_formation", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"drone-formation {__version__}"


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    output = capsys.readouterr().out
    for command in ("list", "train", "evaluate", "fly", "record", "bench"):
        assert command in output
        assert main([command, "--help"]) == 0


def test_every_option_states_one_default():
    commands = next(a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert set(commands.choices) == {"list", "train", "evaluate", "fly", "record", "bench"}
    for name, command in commands.choices.items():
        formatter = command._get_formatter()
        for action in command._actions:
            if not action.option_strings or isinstance(action, argparse._HelpAction):
                continue
            stated = formatter._expand_help(action).count("default")
            switch = action.nargs == 0  # is off unless it is typed, or says otherwise
            allowed = {0, 1} if switch else {0 if action.required else 1}
            assert stated in allowed, (name, action.option_strings, action.help)


def test_every_field_of_the_configuration_is_an_option(capsys):
    assert main(["train", "--help"]) == 0
    output = capsys.readouterr().out
    for config in (TrainConfig, Airframe, RewardWeights, Randomization):
        for field in fields(config):
            if field.name not in ("reward", "airframe", "randomization"):  # have inner ones
                assert field.name.replace("_", "-") + " " in output.replace(",", " "), field.name


@pytest.mark.parametrize(
    "argv",
    [
        ["train", "flog"],
        ["evaluate", "DroneFlog-v0"],
        ["fly", "flog"],
        ["record", "flog", "--out", "x.mp4"],
        ["bench", "flog"],
    ],
)
def test_an_unknown_task_is_answered_with_a_list(argv, capsys):
    message = refused(capsys, *argv)
    assert all(task.id in message for task in TASKS.values())


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "required"),
        (["dance"], "dance"),
        (["train"], "task"),
        (["train", "flag", "--timesteps", "many"], "many"),
        (["train", "flag", "--timesteps", "1.5"], "1.5"),
        (["train", "flag", "--num-drones", "0"], "num_drones"),
        (["train", "flag", "--seed", "0", "0"], "seeds must be different"),
        (["train", "flag", "--seed", "0", "cube"], "invalid int value: 'cube'"),
        (["train", "--seed", "cube"], "invalid int value: 'cube'"),
        (["train", "flag", "--gamma", "2"], "gamma must be from 0 to 1"),
        (["train", "flag", "--hidden", "0"], "hidden"),
        (["train", "flag", "--reward.aproach", "1"], "--reward.aproach"),
        (["train", "flag", "--reward.approach", "-1"], "approach must be from 0"),
        (["train", "flag", "--reward-of", "cube.conflict=1"], "'flag'; got 'cube'"),
        (["train", "flag", "--reward-of", "conflict"], "follow.conflict=1.4"),
        (["train", "flag", "--airframe.mass", "9"], "cannot hover"),
        (["train", "flag", "--config", "nowhere.toml"], "nowhere.toml"),
        (["train", "flag", "--callback", "Mine"], "must be module:Name, got 'Mine'"),
        (["train", "flag", "--callback", "nowhere:Mine"], "there is no module 'nowhere'"),
        (["train", "flag", "--callback", "json:Mine"], "json has no 'Mine'"),
        (["train", "flag", "--callback", "json:JSONDecoder"], "callback must be a BaseCallback"),
        (["train", "flag", "--quiet", "--verbose"], "not allowed"),
        (["train", "--resume", "nowhere", "--seed", "0", "1"], "when a run begins"),
        (["train", "--resume", "nowhere", "--dump-config"], "when a run begins"),
        (["train", "--resume", "nowhere"], "nowhere"),
        (["train", "--resume", "nowhere", "--assignment", "optimal"], "when a run begins"),
        (["train", "--resume", "nowhere", "--randomize"], "when a run begins"),
        (["evaluate", "flag", "--model", "nowhere.npz"], "nowhere.npz"),
        (["evaluate", "flag", "--pilot", "nobody"], "nobody"),
        (["evaluate", "flag", "--pilot", "hover", "--episodes", "0"], "episodes"),
        (["evaluate", "flag", "--json", "--csv"], "not allowed"),
        (["record", "flag"], "--out"),
        (["record", "flag", "--out", "x.docx", "--pilot", "hover"], ".mp4"),
        (["record", "flag", "--out", "x.mp4", "--size", "big"], "big"),
        (["record", "flag", "--out", "x.mp4", "--steps", "0", "--pilot", "hover"], "steps"),
        (["record", "flag", "--out", "x.mp4", "--camera", "behind", "--pilot", "hover"], "behind"),
        (["bench", "flag", "--num-drones", "0"], "num_drones"),
        (["bench", "flag", "--repeats", "0"], "repeats"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(argv, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(capsys, *argv)
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(capsys, monkeypatch, tmp_path):
    for name in [n for n in sys.modules if n.startswith("drone_formation.render")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pygame", None)
    argv = ["record", "flag", "--pilot", "hover", "--out", str(tmp_path / "x.mp4")]
    assert "drone-formation[render]" in refused(capsys, *argv)
    monkeypatch.delattr(training, "train", raising=False)
    monkeypatch.delitem(sys.modules, "drone_formation.training.run", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "drone-formation[train]" in refused(capsys, "train", "flag")


def test_debug_shows_where_an_error_comes_from(monkeypatch):
    with pytest.raises(ValueError, match="DroneFlag-v0"):
        main(["bench", "flog", "--debug"])


def test_an_interrupted_command_says_so(capsys, monkeypatch):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "show", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_train_then_evaluate(capsys, monkeypatch, tmp_path):
    pytest.importorskip("stable_baselines3")
    from drone_formation.training import metrics

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(metrics, "EVALUATION_STEPS", 20)
    size = ["--num-drones", "4"]
    argv = ["train", "DroneFlag-v0", "--timesteps", "1e3", "--num-swarms", "2", "--threads", "1"]
    assert main([*argv, *size]) == 0
    output = capsys.readouterr().out
    assert "drone-steps in" in output
    assert "environment" in output
    assert "on_target" in output
    assert (tmp_path / "runs/flag-1/policy.npz").is_file()
    assert "exists" in refused(capsys, *argv, *size, "--out", "runs/flag-1")

    evaluate = ["evaluate", "flag", "--episodes", "2", "--max-steps", "20", *size]
    for model in ("runs/flag-1", "runs/flag-1/policy.npz", "runs/flag-1/model.zip"):
        assert main([*evaluate, "--model", model]) == 0
        assert "formation_error" in capsys.readouterr().out
    assert main([*evaluate, "--model", "runs/flag-1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"task", "episodes", "seed", "pilot", "perf", "on_target"} <= set(figures)
    assert figures["task"] == "flag"
    assert figures["episodes"] == 2
    assert main([*evaluate, "--model", "runs/flag-1", "--csv"]) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))


# ---- the configuration of a training run -------------------------------------------------------

TINY = ["--num-drones", "4", "--num-swarms", "2", "--timesteps", "256", "--n-steps", "16"]


def dumped(capsys, *argv: str) -> dict:
    assert main(["train", *argv, "--dump-config"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def test_the_configuration_comes_by_flag_or_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(
        "timesteps = 2e6\ngamma = 0.98\nhidden = [32]\n[reward]\napproach = 0.7\nring = 2\n"
        "[airframe]\nmass = 1.1\n"
    )
    flags = ["--gamma", "0.97", "--reward.approach", "0.6", "--airframe.mass", "1.2", "--no-paced"]
    found = dumped(
        capsys, "flag", "--config", "my.toml", *flags, "--randomization.size", ".1", ".3"
    )
    assert found["timesteps"] == 2_000_000
    assert found["gamma"] == 0.97  # flags come before the file
    assert found["hidden"] == [32]
    assert found["paced"] is False
    assert (found["reward"]["approach"], found["reward"]["ring"]) == (0.6, 2)
    assert found["reward"]["collision"] == TASKS["flag"].reward.collision  # the task's
    assert found["airframe"]["mass"] == 1.2
    assert found["randomization"]["size"] == [0.1, 0.3]
    assert "neighbours" not in found  # left to the task
    of = ["--reward-of", "follow.conflict=1.4", "--reward-of", "follow.crash=2"]
    follow = dumped(capsys, "mixed", *of)["reward_of"]["follow"]
    assert (follow["conflict"], follow["crash"]) == (1.4, 2)
    assert not [path for path in tmp_path.iterdir() if path.name != "my.toml"]


@pytest.mark.parametrize("task", ["flag", "mixed"])
def test_a_configuration_that_was_printed_can_be_read(task, capsys, tmp_path):
    flags = ["--hidden", "8", "8", "--reward.spin", "0", "--assignment", "optimal", "--randomize"]
    first = dumped(capsys, task, *flags)
    (tmp_path / "my.toml").write_text(as_toml(first))
    assert dumped(capsys, task, "--config", str(tmp_path / "my.toml")) == first


def test_a_run_can_be_repeated_from_its_own_record(capsys, tmp_path, monkeypatch):
    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drone_formation.training.metrics.EVALUATION_STEPS", 20)
    flags = ["--reward.approach", "0.6", "--neighbours", "3", "--out", "first", "--quiet"]
    assert main(["train", "flag", *TINY, *flags]) == 0
    assert capsys.readouterr().out == ""
    size = TINY[:4]
    assert main(["train", "flag", *size, "--config", "first/run.json", "--out", "second"]) == 0
    first, second = (json.loads(Path(f"{run}/run.json").read_text()) for run in ("first", "second"))
    assert first["config"] == second["config"]
    assert first["timesteps"] == second["timesteps"] == 256


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gama = 1", "gama is unknown; known are timesteps"),
        ("[reward]\naproach = 1", "reward.aproach is unknown; known are reward.progress"),
        ("[airframe]\nwings = 1", "airframe.wings is unknown"),
        ("gamma = = 1", "my.toml cannot be read"),
    ],
)
def test_a_misspelt_key_is_named(text, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(text)
    assert expected in refused(capsys, "train", "flag", "--config", "my.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["my.toml"]


def test_several_seeds_and_a_callback_of_ones_own(capsys, tmp_path, monkeypatch):
    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drone_formation.training.metrics.EVALUATION_STEPS", 20)
    Path("of_ones_own.py").write_text(
        "from stable_baselines3.common.callbacks import BaseCallback\n"
        "class Telling(BaseCallback):\n"
        "    def _on_step(self):\n        return True\n"
        "    def _on_training_end(self):\n        print('told')\n"
    )
    argv = [*TINY, "--callback", "of_ones_own:Telling", "--out", "runs", "--seed", "0", "7", "flag"]
    assert main(["train", *argv]) == 0  # the task may come last
    said = capsys.readouterr().out
    assert said.count("told") == 2
    assert [line.split()[0] for line in said.splitlines()[-3:]] == ["seed", "0", "7"]
    for seed in (0, 7):
        assert json.loads(Path(f"runs/seed-{seed}/run.json").read_text())["seed"] == seed
    assert "seed-0 exists" in refused(capsys, "train", *argv)


@pytest.mark.parametrize("pilot", ["hover", "random", "classical"])
def test_pilots_that_need_no_training(pilot, capsys):
    argv = ["evaluate", "sphere", "--pilot", pilot, "--episodes", "1", "--max-steps", "10"]
    assert main([*argv, "--num-drones", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pilot"] == pilot


def test_every_drone_may_have_an_airframe_of_its_own(capsys, monkeypatch, tmp_path):
    argv = ["evaluate", "flag", "--episodes", "1", "--max-steps", "10", "--num-drones", "3"]
    perfs = []
    for more in ([], ["--randomize"]):
        assert main([*argv, "--pilot", "random", "--seed", "7", "--json", *more]) == 0
        perfs.append(json.loads(capsys.readouterr().out)["perf"])
    assert perfs[0] != perfs[1]

    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    argv = ["train", "flag", "--timesteps", "1", "--num-swarms", "1", "--num-drones", "2"]
    assert main([*argv, "--randomize"]) == 0
    config = json.loads((tmp_path / "runs/flag-1/run.json").read_text())["config"]
    assert config["randomization"] == {"size": [0.1, 0.4], "spread": 0.1, "gravity_spread": 0.01}
    assert config["symmetries"] == 1


@pytest.mark.parametrize("name", ["flight.mp4", "flight.gif", "pictures"])
def test_record(name, capsys, tmp_path, monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.chdir(tmp_path)
    argv = ["record", "flag", "--pilot", "hover", "--num-drones", "3", "--size", "160x96"]
    argv += ["--steps", "8", "--fps", "10", "--out", name]
    assert main(argv) == 0
    assert "5 frames" in capsys.readouterr().out
    made = tmp_path / name
    assert made.exists()
    if made.is_dir():
        assert len(list(made.glob("*.png"))) == 5
    else:
        assert made.stat().st_size > 500
    assert "exists" in refused(capsys, *argv)
    assert main([*argv, "--force"]) == 0


def test_fly_passes_on_what_the_viewer_asks_for(monkeypatch):
    render = pytest.importorskip("drone_formation.render")
    shown = []

    class Viewer:
        """Watches 3 steps, asks for the cube, watches 3 more, pauses, closes."""

        def __init__(self, size, camera, tasks, trails):
            assert "cube" in tasks

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def show(self, snapshot):
            shown.append(snapshot)
            n = len(shown)
            request = "cube" if n == 4 else None
            return render.Controls(paused=n == 8, task_request=request, closed=n == 10)

    monkeypatch.setattr(render, "Window", Viewer)
    assert main(["fly", "flag", "--pilot", "hover", "--num-drones", "5"]) == 0
    assert [s.task for s in shown] == ["flag"] * 4 + ["cube"] * 6
    # Drones fly on from where they were, and wait while the viewer pauses.
    assert abs(shown[4].positions - shown[3].positions).max() < 0.5
    assert abs(shown[8].positions - shown[7].positions).max() == 0
    assert "on target" in shown[0].hud


def test_fly_without_a_display(capsys, monkeypatch):
    render = pytest.importorskip("drone_formation.render")

    def show(self, snapshot):
        raise RuntimeError("no window can be opened: no display")

    monkeypatch.setattr(render.Window, "show", show)
    assert "record" in refused(capsys, "fly", "flag", "--pilot", "hover", "--num-drones", "5")
