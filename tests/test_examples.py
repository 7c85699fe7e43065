"""Every example runs."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, monkeypatch, *arguments: str) -> dict:
    """Run an example as a script, and return what it defined."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


# SuperSuit's environments do not say how they render; nobody asks.
@pytest.mark.filterwarnings("ignore:The `render_mode` attribute is not defined")
def test_training_through_supersuit_is_reproducible(tmp_path, monkeypatch, capsys):
    pytest.importorskip("supersuit")
    import torch

    from drone_formation.pilots.trained import load_pilot

    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)  # several would wait for each other on a busy machine
    weights = []
    for seed in ("0", "0", "1"):
        arguments = ("--timesteps", "4096", "--swarms", "1", "--out", "flag.zip", "--seed", seed)
        run("train_supersuit.py", monkeypatch, *arguments)
        assert "--model flag.zip" in capsys.readouterr().out
        weights.append(load_pilot("flag.zip").arrays["policy_weight_0"])
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_formation_of_your_own(monkeypatch, capsys):
    pytest.importorskip("scipy")
    run("own_formation.py", monkeypatch, "--drones", "16")
    assert "100% of the drones are on target" in capsys.readouterr().out
