"""What was noted is what happened, and the table holds it without loss."""

import math
from itertools import pairwise

import numpy as np
import pytest
from line import Line, config

from eegic import training
from eegic.history import History, Row

ROWS = (
    Row(0, math.nan, math.nan, 0.0, 1 / 3),
    Row(10, 0.1 + 0.2, 1e-4, 2.5),
    Row(20, 1e-300, 1e-6, 5.0, 0.25, {"si-sdr, dB": -1.5, "nan": math.nan}),
)


def noted(**changes):
    """Losses of a training, one per step, as they went by, and its history."""
    losses = []

    class Watched(Line):
        def forward(self, batch, draws, progress):
            loss = super().forward(batch, draws, progress)
            if progress < 1:
                losses.append(loss.item())
            return loss

    return losses, Watched(), config(**changes)


def test_a_row_holds_the_mean_loss_since_the_row_before(tmp_path):
    losses, objective, how = noted(steps=410, validate_every=100, save_every=410)
    history = training.train(objective, how, tmp_path, settings={}, device="cpu")
    steps = history.column("step").astype(int)
    assert steps.tolist() == list(range(0, 411, 2)), "a row every 410 // 200 steps, and where validation falls"
    means = [np.mean(losses[a:b]) for a, b in pairwise(steps)]
    np.testing.assert_allclose(history.column("loss")[1:], means, rtol=1e-12)
    validated = ~np.isnan(history.column("validation"))
    assert steps[validated].tolist() == [0, 100, 200, 300, 400, 410]
    assert (np.diff(history.column("seconds")) > 0).all()


def test_the_file_is_the_history(tmp_path):
    _, objective, how = noted()
    history = training.train(objective, how, tmp_path, settings={}, device="cpu")
    read = History.read(tmp_path / "history.csv")
    assert read.lines() == history.lines()
    assert len(read.rows) == 41


def test_what_is_written_is_read(tmp_path):
    history = History(ROWS)
    history.write(tmp_path / "a.csv")
    read = History.read(tmp_path / "a.csv")
    assert read.metrics == ("si-sdr, dB", "nan")
    for name in ("step", "loss", "learning_rate", "seconds", "validation", *read.metrics):
        np.testing.assert_array_equal(read.column(name), history.column(name))
    assert "nan" in read.rows[2].metrics
    assert not read.rows[1].metrics


def test_a_history_is_shown_on_one_line():
    assert repr(History(ROWS)) == "History(3 rows, last step 20, last validation 0.25)"
    assert repr(History(ROWS[:2])) == "History(2 rows, last step 10, last validation 0.3333)"
    assert repr(History(ROWS[1:2])) == "History(1 row, last step 10)"
    assert repr(History()) == "History(no rows)"


def test_unknown_columns_are_named():
    with pytest.raises(ValueError, match="name: expected one of .* got 'los'. Did you mean 'loss'"):
        History(ROWS).column("los")


def test_what_is_no_history_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(FileNotFoundError, match="a.csv: no such file"):
        History.read(path)
    path.write_text("time,value\n1,2\n")
    with pytest.raises(ValueError, match="a.csv: expected the columns step, loss, .* got time, value"):
        History.read(path)
    path.write_text("")
    with pytest.raises(ValueError, match="expected the columns step, loss, .* got none"):
        History.read(path)
    History(ROWS).write(path)
    for damaged in ("10,0.3", "ten,0,0,0,0,,"):
        lines = path.read_text().splitlines()
        path.with_name("b.csv").write_text("\n".join([*lines[:2], damaged]))
        with pytest.raises(ValueError, match="b.csv: line 3 is no row of a history"):
            History.read(path.with_name("b.csv"))


@pytest.mark.parametrize("name", ["loss", "", "two\nlines", 3])
def test_a_metric_needs_a_name_of_its_own(tmp_path, monkeypatch, name):
    monkeypatch.setattr(Line, "metrics", lambda self: {name: 1.0})
    with pytest.raises(ValueError, match=r"metrics\(\): .* is no name for a column"):
        training.train(Line(), config(), tmp_path, settings={}, device="cpu")
