"""What a training noted: one row per interval, in memory and as a table."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eegic import _checks, _files

COLUMNS = ("step", "loss", "learning_rate", "seconds", "validation")
_NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One moment of a training.

    Parameters
    ----------
    step : int
        Steps done; 0 is the untrained network.
    loss : float
        Mean loss of the steps since the row before, over all processes; NaN at step 0.
    learning_rate : float
        Of the last step; NaN at step 0.
    seconds : float
        Since the training began, pauses left out.
    validation : float
        Mean loss of the averaged weights over the validation batches; NaN where there was no validation.
    metrics : dict of str to float
        What the objective noted besides.
    """

    step: int
    loss: float
    learning_rate: float
    seconds: float
    validation: float = _NAN
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """Rows of a training, in order.

    Parameters
    ----------
    rows : tuple of Row
        The oldest first.

    Examples
    --------
    >>> history = History((Row(0, float("nan"), float("nan"), 0.0, 1.5), Row(10, 1.0, 1e-4, 2.0, 0.5, {"snr": 3.0})))
    >>> history
    History(2 rows, last step 10, last validation 0.5)
    >>> history.column("validation"), history.column("snr")
    (array([1.5, 0.5]), array([nan,  3.]))
    """

    rows: tuple[Row, ...] = ()

    def __repr__(self) -> str:
        """How much there is, and how it ended."""
        if not self.rows:
            return "History(no rows)"
        known = [row.validation for row in self.rows if not math.isnan(row.validation)]
        ended = f", last validation {known[-1]:.4g}" if known else ""
        return f"History({len(self.rows)} row{'s' * (len(self.rows) > 1)}, last step {self.rows[-1].step}{ended})"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.metrics))

    def column(self, name: str) -> np.ndarray:
        """Return a column, (n_rows,) of float; NaN where a row does not have it."""
        _checks.one_of("name", name, (*COLUMNS, *self.metrics))
        if name in COLUMNS:
            return np.array([getattr(row, name) for row in self.rows], dtype=np.float64)
        return np.array([row.metrics.get(name, _NAN) for row in self.rows], dtype=np.float64)

    def lines(self) -> list[str]:
        """Return the lines of a table, its head first; every number as exact as it is."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow((*COLUMNS, *self.metrics))
        for row in self.rows:
            extra = [repr(row.metrics[name]) if name in row.metrics else "" for name in self.metrics]
            table.writerow([row.step, *(repr(getattr(row, name)) for name in COLUMNS[1:]), *extra])
        return text.getvalue().splitlines()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table as .csv."""
        with _files.replacing(path) as draft:
            draft.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> History:
        """Read what `write` wrote."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file. A training writes it as history.csv.")
        return cls.parse(str(path), path.read_text(encoding="utf-8-sig").splitlines())

    @classmethod
    def parse(cls, name: str, lines: Iterable[str]) -> History:
        """Turn lines into rows; `name` starts the message if they are none."""
        head, *body = list(csv.reader(lines)) or [[]]
        if tuple(head[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(f"{name}: expected the columns {', '.join(COLUMNS)}, got {', '.join(head) or 'none'}.")
        rows = []
        for number, fields in enumerate(body, start=2):
            try:
                loss, rate, seconds, validation = map(float, fields[1 : len(COLUMNS)])
                extra = zip(head[len(COLUMNS) :], fields[len(COLUMNS) :], strict=True)
                metrics = {key: float(value) for key, value in extra if value}
                rows.append(Row(int(fields[0]), loss, rate, seconds, validation, metrics))
            except (ValueError, IndexError) as error:
                raise ValueError(f"{name}: line {number} is no row of a history ({error}). Was it edited?") from error
        return cls(tuple(rows))


class Recorder:
    """Gathers losses into rows.

    Parameters
    ----------
    history : History
        What was noted before.
    losses : iterable of float
        Those since its last row.
    """

    def __init__(self, history: History | None = None, losses: Iterable[float] = (), seconds: float = 0.0) -> None:
        self.history = History() if history is None else history
        self.losses = list(losses)
        self._start = time.perf_counter() - seconds

    @property
    def seconds(self) -> float:
        """Time spent, pauses left out."""
        return time.perf_counter() - self._start

    def row(self, step: int, learning_rate: float, validation: float, metrics: Mapping[str, float]) -> Row:
        """Close a row."""
        loss = math.fsum(self.losses) / len(self.losses) if self.losses else _NAN
        row = Row(step, loss, learning_rate, self.seconds, validation, check_metrics(metrics))
        self.history = History((*self.history.rows, row))
        self.losses.clear()
        return row


def check_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics as plain numbers, or say which of them cannot stand in a table."""
    for name in metrics:
        if not isinstance(name, str) or not name.isprintable() or name in ("", *COLUMNS):
            raise ValueError(f"metrics(): {name!r} is no name for a column: expected other text than {COLUMNS}.")
    return {name: float(value) for name, value in metrics.items()}
