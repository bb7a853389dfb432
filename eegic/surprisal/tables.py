"""Information content as a table in a text file, in our layout or in that of the published program."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable

import numpy as np

from eegic import _files
from eegic.series import FeatureSeries


def write_csv(series: FeatureSeries, path: str | os.PathLike[str]) -> None:
    """Write one row per time, atomically.

    Parameters
    ----------
    series : FeatureSeries
        As `information_content` gives it.
    path : str or Path
        The file.

    Notes
    -----
    Columns are ``time (s)``, then the features with their unit, ``ic 0.3 (nats)``, then the standard error of each,
    ``se of ic 0.3 (nats)``. Information content in nats with the stamps of the published program is written in its
    layout: ``Time,IC_0.3``. Unknown values are ``nan``.
    """
    unit, columns = series.info.get("unit"), series.values
    levels = [re.fullmatch(r"ic ([0-9.e-]+)", name) for name in series.names]
    if series.info.get("stamp") == "reference" and unit == "nats" and all(levels):
        header = ["Time", *(f"IC_{float(level[1])}" for level in levels if level)]
    else:
        suffix = f" ({unit})" if unit else ""
        header = ["time (s)", *(f"{name}{suffix}" for name in series.names)]
        if series.se is not None:
            header += [f"se of {name}{suffix}" for name in series.names]
            columns = np.hstack([columns, series.se])
    with _files.replacing(path) as draft, open(draft, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(header)
        for time, row in zip(series.times, columns, strict=True):
            rows.writerow([repr(float(time)), *_written(row)])


def _written(row: Iterable[float]) -> list[str]:
    return [f"{value:.7g}" for value in row]
