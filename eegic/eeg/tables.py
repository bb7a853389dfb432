"""When sounds start and how long they last, as the user's tables say it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic._checks import listed
from eegic.audio import Audio
from eegic.eeg.triggers import Onsets
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import pandas as pd


def onsets_from(trials: Any, name: str) -> Onsets:
    """Onsets from a table, a file of one, or pairs."""
    if isinstance(trials, Onsets):
        return trials
    if isinstance(trials, (str, os.PathLike)):
        path = Path(trials).expanduser()
        name, trials, unit, first = f"{name}, {path.name}", _read_table(path, name), "line", 2
    else:
        unit, first = "trial", 0
    if hasattr(trials, "columns"):
        if not {"onset", "stimulus"} <= set(trials.columns):
            raise ValueError(
                f"{name}: trials: expected the columns onset and stimulus, got {listed(map(str, trials.columns))}. "
                "Tables are separated by tabs (.tsv) or commas (.csv)."
            )
        trials = zip(trials["onset"], trials["stimulus"], strict=True)
    seconds, stimuli = [], []
    for i, row in enumerate(_rows(trials, name)):
        if unit == "line" and row == ("", ""):
            continue
        if not np.isfinite(onset := _number(row[0])):
            hint = "Write a decimal point." if "," in str(row[0]) else "Leave out what starts no sound."
            raise ValueError(f"{name}, {unit} {first + i}: onset: expected seconds, got {row[0]!r}. {hint}")
        if not isinstance(row[1], str) or row[1].strip() in ("", "n/a"):
            raise ValueError(
                f"{name}, {unit} {first + i}: stimulus: expected the name of a sound, got {row[1]!r}. Leave out what "
                "starts no sound."
            )
        seconds.append(onset)
        stimuli.append(unicodedata.normalize("NFC", row[1].strip()))  # as names of sounds, whatever system wrote them
    if not seconds:
        raise ValueError(f"{name}: trials: expected at least one onset, got none.")
    order = np.argsort(seconds, kind="stable")
    notes = ("onsets sorted by time",) if (np.diff(order) < 0).any() else ()
    return Onsets(np.array(seconds)[order], tuple(stimuli[i] for i in order), notes)


def _rows(trials: Any, name: str) -> list[Any]:
    rows = list(trials) if isinstance(trials, Iterable) else []
    wrong = [row for row in rows if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 2]
    if wrong or not isinstance(trials, Iterable):
        raise TypeError(
            f"{name}: trials: where do the sounds start? Give triggers ({{1: 'bach'}}), a table with the columns onset "
            f"and stimulus, or (onset, stimulus) pairs; got {wrong[0] if wrong else trials!r}. (Names alone do for "
            "several recordings, each of which starts with its sound.)"
        )
    return rows


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _read_table(path: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    separator = {".tsv": "\t", ".csv": ","}.get(path.suffix.lower())
    if separator is None:
        raise ValueError(
            f"{name}: trials: {str(path)!r} is not a table (.tsv, .csv). If it is a trigger that starts every sound, "
            "give the sounds in `log`."
        )
    options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "index_col": False, "skip_blank_lines": False}
    try:
        table: pd.DataFrame = pd.read_csv(path, sep=separator, **options)
    except ValueError as error:  # that of pandas for tables, and of Python for encodings
        raise ValueError(f"{path}: not a table in UTF-8 ({error}).") from error
    return table


def seconds_of(durations: Any, sounds: Sequence[str], name: str, history: list[str]) -> dict[str, float]:
    """Seconds that each of the sounds lasts."""
    heard = dict.fromkeys(sounds)
    if durations is None:
        raise ValueError(f"{name}: durations: how long does each sound last? Write {{{next(iter(heard))!r}: 30.0}}.")
    if not isinstance(durations, Mapping):
        return dict.fromkeys(heard, _checks.positive("durations", durations, "seconds, or a dictionary by sound"))
    without = [sound for sound in heard if sound not in durations]
    unheard = [str(sound) for sound in durations if sound not in heard]
    if without:
        raise ValueError(
            f"{name}: no duration is given for {listed(without)}, and no trial presents {listed(unheard)}. Complete "
            "`durations`, or leave those trials out."
        )
    if unheard:
        history.append(f"not presented: {', '.join(unheard)}")
    return {sound: _duration(durations[sound], f"durations[{sound!r}]") for sound in heard}


def _duration(sound: Any, what: str) -> float:
    if isinstance(sound, Audio):
        return sound.duration
    if not isinstance(sound, FeatureSeries):
        return _checks.positive(what, sound, "seconds")
    steps = np.diff(sound.times)
    if not len(steps) or np.ptp(steps) > 1e-3 * sound.step:
        raise ValueError(
            f"{what}: {sound.names[0]} has irregular times, which do not tell when the sound ends. Give seconds."
        )
    return float(sound.times[-1] + sound.step)
