"""A run that was killed, and goes on, is the run that was never killed; a run of something else does not go on."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from line import KILLED, Line, Slow, config, weights_of
from safetensors.torch import load_file

from eegic import _files, training
from eegic.training.checkpoint import Checkpoints

SETTINGS = {"model": {"width": 64, "levels": (1, 2)}, "data": "abc"}


class Cut(Line):
    """The power goes at some step."""

    def __init__(self, at, **kwargs):
        super().__init__(**kwargs)
        self.at = at

    def batch(self, part, index):
        if (part, index) == ("train", self.at):
            raise RuntimeError("power cut")
        return super().batch(part, index)


def run(out, objective, *, settings=SETTINGS, resume=False, **changes):
    return training.train(objective, config(**changes), out, settings=settings, resume=resume, device="cpu")


def cut(out, at=25, **changes):
    with pytest.raises(RuntimeError, match="power cut"):
        run(out, Cut(at, dropout=0.2, jitter=0.1), **changes)


def files(out):
    return sorted(path.name for path in (out / "checkpoints").iterdir() if path.name != ".lock")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights and history of a run that nothing interrupted, and its last checkpoint."""
    out, objective = tmp_path_factory.mktemp("whole"), Line(dropout=0.2, jitter=0.1)
    history = run(out, objective)
    return weights_of(objective), history, load_file(out / "checkpoints" / "step-000040.safetensors")


def goes_on(out, whole, **changes):
    """Resume, and compare all that is kept with the run that nothing interrupted, bit for bit."""
    objective = Line(dropout=0.2, jitter=0.1)
    history = run(out, objective, resume=True, **changes)
    assert torch.equal(weights_of(objective), whole[0])
    stored = load_file(out / "checkpoints" / "step-000040.safetensors")
    assert stored.keys() == whole[2].keys()
    assert all(torch.equal(tensor, whole[2][name]) for name, tensor in stored.items())
    return history


class TestGoingOn:
    @pytest.mark.parametrize("at", [*np.random.default_rng(5).integers(1, 40, 4).tolist(), 39])
    def test_equals_never_stopping(self, tmp_path, whole, at):
        cut(tmp_path, at)
        history = goes_on(tmp_path, whole)
        for name in ("step", "loss", "learning_rate", "validation"):
            np.testing.assert_array_equal(history.column(name), whole[1].column(name))
        assert (np.diff(history.column("seconds")) >= 0).all()

    def test_between_two_rows_keeps_the_losses_since_the_first(self, tmp_path):
        how = {"steps": 402, "validate_every": 402, "save_every": 45}  # a row every second step
        with pytest.raises(RuntimeError, match="power cut"):
            run(tmp_path / "a", Cut(60), **how)
        expected = run(tmp_path / "b", Line(), **{**how, "save_every": 402})
        history = run(tmp_path / "a", Line(), resume=True, **how)
        np.testing.assert_array_equal(history.column("loss"), expected.column("loss"))

    def test_after_real_kills_at_random_moments(self, tmp_path):
        if sys.platform == "win32":
            pytest.skip("Windows has no fork")
        script = Path(__file__).with_name("line.py")
        done = subprocess.run(
            [sys.executable, script, str(tmp_path / "a"), "7"], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr[-2000:]
        told = json.loads(done.stdout)
        assert told["status"] == 0
        assert told["kills"] >= 2, "nothing was killed, so nothing was shown"
        objective = Slow(dropout=0.2, jitter=0.1)
        run(tmp_path / "b", objective, settings={}, **{**KILLED, "save_every": 60})
        killed, spared = (load_file(tmp_path / run / "checkpoints" / "step-000120.safetensors") for run in "ab")
        assert killed.keys() == spared.keys()
        assert all(torch.equal(tensor, spared[name]) for name, tensor in killed.items())
        assert files(tmp_path / "a") == [f"step-000{n}.{kind}" for n in (116, 120) for kind in ("json", "safetensors")]

    def test_begins_if_there_is_nothing(self, tmp_path, whole):
        goes_on(tmp_path / "new", whole)

    def test_of_a_finished_run_changes_nothing(self, tmp_path, whole):
        first = goes_on(tmp_path, whole)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
        assert goes_on(tmp_path, whole).rows[-1] == first.rows[-1]
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before

    def test_keeps_the_last_two_and_sweeps_drafts(self, tmp_path, whole):
        cut(tmp_path, 35)
        assert files(tmp_path) == [f"step-0000{n}.{kind}" for n in (20, 30) for kind in ("json", "safetensors")]
        (tmp_path / "checkpoints" / ".step-000030-0123456789abcdef.safetensors").write_bytes(b"half")
        (tmp_path / ".history-0123456789abcdef.csv").write_text("half")
        (tmp_path / "checkpoints" / "step-000034.safetensors").write_bytes(b"its .json was never written")
        goes_on(tmp_path, whole)
        assert files(tmp_path) == [f"step-0000{n}.{kind}" for n in (30, 40) for kind in ("json", "safetensors")]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "history.csv"]

    def test_may_change_what_does_not_change_the_weights(self, tmp_path, whole):
        cut(tmp_path)
        goes_on(tmp_path, whole, save_every=7, validate_every=3, n_validation=1)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 4  # in a tensor: only the digest tells
    path.write_bytes(content)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class TestDamage:
    @pytest.mark.parametrize("damage", [flip, halve, lambda path: path.unlink()])
    @pytest.mark.parametrize("suffix", ["safetensors", "json"])
    def test_the_one_before_is_taken(self, tmp_path, whole, damage, suffix):
        cut(tmp_path)
        damage(tmp_path / "checkpoints" / f"step-000020.{suffix}")
        if suffix == "json" and not (tmp_path / "checkpoints" / "step-000020.json").exists():
            goes_on(tmp_path, whole)  # that one was never finished: no reason to warn
            return
        if suffix == "json" and damage is flip:
            (tmp_path / "checkpoints" / "step-000020.json").write_text('{"schema": "eegic.training/0"}')
        with pytest.warns(UserWarning, match=r"step-000020.safetensors: damaged \(.*\). The one before is taken"):
            goes_on(tmp_path, whole)
        assert files(tmp_path) == [f"step-0000{n}.{kind}" for n in (30, 40) for kind in ("json", "safetensors")]

    @pytest.mark.filterwarnings("ignore:.*damaged")
    def test_of_all_is_an_error(self, tmp_path):
        cut(tmp_path)
        for path in (tmp_path / "checkpoints").glob("*.safetensors"):
            flip(path)
        with pytest.raises(ValueError, match=r"checkpoints: every checkpoint is damaged. Begin anew in another folder"):
            run(tmp_path, Line(), resume=True)

    def test_a_full_disk_leaves_the_ones_before(self, tmp_path, whole, monkeypatch):
        replacing = _files.replacing

        def full(path):
            if Path(path).name == "step-000030.safetensors":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return replacing(path)

        monkeypatch.setattr(_files, "replacing", full)
        with pytest.raises(OSError, match=r"000030.safetensors: \d+ bytes could not be written \(No space left on dev"):
            run(tmp_path, Line(dropout=0.2, jitter=0.1))
        assert files(tmp_path) == [f"step-0000{n}.{kind}" for n in (10, 20) for kind in ("json", "safetensors")]
        monkeypatch.undo()
        goes_on(tmp_path, whole)


class TestAnotherRun:
    def test_is_not_written_over(self, tmp_path):
        cut(tmp_path)
        with pytest.raises(FileExistsError, match="with a checkpoint of step 20. Pass resume=True to go on"):
            run(tmp_path, Line())

    def test_at_the_same_time_is_kept_out(self, tmp_path):
        with Checkpoints(tmp_path, {}).held():
            for resume in (False, True):
                with pytest.raises(FileExistsError, match="another training is at work there. Wait until it ends"):
                    run(tmp_path, Line(), resume=resume)
        assert not files(tmp_path)
        run(tmp_path, Line(), steps=2)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"steps": 50}, "config.steps: 40 then, 50 now"),
            (
                {"learning_rate": 0.01, "seed": 3},
                "config.learning_rate: 0.05 then, 0.01 now; config.seed: 0 then, 3 now",
            ),
            ({"clip": None}, "config.clip: 1.0 then, None now"),
            (
                {"settings": {"model": {"width": 32, "levels": [1, 2]}, "data": "abc", "rate": 1}},
                "settings.model.width: 64 then, 32 now; settings.rate: 'nothing' then, 1 now",
            ),
        ],
    )
    def test_does_not_go_on_and_says_what_differs(self, tmp_path, changes, message):
        cut(tmp_path)
        before = files(tmp_path)
        with pytest.raises(ValueError, match=f"step-000020.safetensors: comes from another run. {message}. Go on with"):
            run(tmp_path, Line(), resume=True, **changes)
        assert files(tmp_path) == before

    def test_of_another_network_is_named(self, tmp_path):
        cut(tmp_path)
        other = Line()
        other.layers[1] = torch.nn.Linear(3, 2)
        with pytest.raises(ValueError, match=r"000020\S*: 1.weight should be of shape \(2, 3\), but is \(1, 3\)"):
            run(tmp_path, other, resume=True)

    @pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
    def test_settings_are_plain(self, tmp_path, value):
        with pytest.raises(TypeError, match="settings: expected numbers, strings, lists and dicts of them"):
            run(tmp_path / "a", Line(), settings={"data": value})
        assert not (tmp_path / "a").exists()
