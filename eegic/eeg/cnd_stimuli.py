"""What trials of a CND folder presented: names, features and conditions, from the stimulus file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eegic import _checks
from eegic.eeg import matlab
from eegic.series import FeatureSeries


class Sound(NamedTuple):
    """What a trial presented."""

    stimulus: str
    series: FeatureSeries
    seconds: float
    condition: str


class Notes(NamedTuple):
    """What was done to the recording, and what the user should doubt."""

    said: list[str]
    doubted: list[str]


def key_of(name: str, stem: str) -> str:
    """N of <stem>N, or of N itself, without leading zeros."""
    found = re.search(rf"(?:{stem}|^sub)[-_ ]?(\w*)", name, flags=re.IGNORECASE)
    key = found[1] if found else name
    return key.lstrip("0") or key


def sounds_of(
    stim: Any, source: Path, eeg: Sequence[np.ndarray], chosen: str | Sequence[str] | None, notes: Notes
) -> dict[int, Sound]:
    """What each trial presented, of trials that have both EEG and features."""
    if not isinstance(stim, dict) or "data" not in stim:
        raise ValueError(f"{source}: stim: expected a struct with a field data, got {matlab.kind_of(stim)}.")
    sfreq = rate_of(stim, source)
    series = _features(stim, source, sfreq, chosen, notes)
    numbers = matlab.as_whole(stim.get("stimIdxs"))
    columns = list(range(len(eeg)))
    if len(series) != len(eeg):
        columns = [number - 1 for number in numbers]
        if len(columns) != len(eeg) or not 0 <= min(columns) <= max(columns) < len(series):
            raise ValueError(
                f"{source}: expected features of {len(eeg)} trials, as the EEG has, got {len(series)} columns and "
                f"{len(numbers)} stimIdxs. Does it belong to this participant? Name another: stimuli=."
            )
        notes.said.append(f"{source.name} has one column per stimulus: stimIdxs says which each trial presented")
    if len(numbers) != len(eeg):
        notes.said.append("no stimIdxs for each trial: trials with the same features present one stimulus")
        numbers = []
    conditions = _conditions(stim, columns, len(series))
    heard = {i: one for i, column in enumerate(columns) if eeg[i].size and (one := series[column]) is not None}
    if not heard:
        raise ValueError(f"{source}: no trial has both EEG and features. Does it belong to this participant?")
    for i in sorted(set(range(len(eeg))) - set(heard)):
        notes.doubted.append(f"trial {i} of the file has no {'features' if eeg[i].size else 'EEG'}: left out")
    shared = key_of(source.stem, "dataStim") == ""
    names = _stimulus_names(heard, numbers, matlab.as_texts(stim.get("stimNames")), shared, notes)
    return {i: Sound(names[i], one, one.n_times / sfreq, conditions[i]) for i, one in heard.items()}


def _features(
    stim: Mapping[str, Any], source: Path, sfreq: float, chosen: str | Sequence[str] | None, notes: Notes
) -> list[FeatureSeries | None]:
    """Features of each column of ``stim.data``, None where there are none."""
    cells, names = _feature_table(stim, source, notes)
    rows: Sequence[int] = range(len(names))
    if chosen is not None:
        wanted = [_checks.one_of(f"{source}: features", one, names) for one in dict.fromkeys(as_list(chosen))]
        rows = [names.index(one) for one in wanted]
    columns = []
    for i in range(cells.shape[1]):
        place = {row: f"{source}: stim.data{{{row + 1},{i + 1}}} ({names[row]})" for row in rows}
        columns.append({names[row]: _samples(cells[row, i], place[row]) for row in rows})
    widths = {names[row]: {x.shape[1] for one in columns if (x := one[names[row]]).size} for row in rows}
    for name, found in widths.items():
        if len(found) > 1:
            raise ValueError(f"{source}: {name} has {sorted(found)} columns in different trials. {_LEAVE_OUT}")
    width = {name: max(found, default=1) for name, found in widths.items()}
    return [_together(one, width, sfreq, f"{source}: column {i}", notes) for i, one in enumerate(columns)]


_LEAVE_OUT = "Name the features to read, without this one: features=."


def _feature_table(stim: Mapping[str, Any], source: Path, notes: Notes) -> tuple[np.ndarray, list[str]]:
    """``stim.data`` as cells, features × columns, and a name for each feature."""
    cells, names = matlab.as_cells(stim["data"]), matlab.as_texts(stim.get("names"))
    if len(names) != len(cells) and len(names) == cells.shape[1]:
        cells = cells.T
        notes.said.append(f"{source.name}: data is trials × features, turned round")
    if not cells.size:
        raise ValueError(f"{source}: stim.data is empty. Compute features and write them: `write_cnd`.")
    if len(names) != len(cells):
        notes.doubted.append(f"{source.name} names {len(names)} features and holds {len(cells)}: check their names")
    names = [name or f"feature {i}" for i, name in enumerate([*names, *[""] * len(cells)][: len(cells)], 1)]
    return cells, [name if name not in names[:i] else f"{name} (row {i + 1})" for i, name in enumerate(names)]


def _samples(cell: Any, where: str) -> np.ndarray:
    """One feature of one trial, (n_times, n_columns)."""
    array = matlab.as_array(cell)
    if array is None or array.ndim > 2 or np.isinf(array).any():
        raise ValueError(
            f"{where}: expected finite numbers, samples × dimensions, got {matlab.kind_of(cell)}. {_LEAVE_OUT}"
        )
    return np.atleast_2d(array).T if array.ndim < 2 or len(array) == 1 else array


def _together(
    parts: Mapping[str, np.ndarray], width: Mapping[str, int], sfreq: float, where: str, notes: Notes
) -> FeatureSeries | None:
    lengths = {name: len(part) for name, part in parts.items() if part.size}
    if not lengths:
        return None
    n_times = max(lengths.values())
    if n_times - min(lengths.values()) > max(sfreq, 0.02 * n_times):
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"{where}: features of one sound should be as long, got samples: {listed}. {_LEAVE_OUT}")
    values = np.full((n_times, sum(width.values())), np.nan)
    labels: list[str] = []
    for name, part in parts.items():
        if part.size:
            values[: len(part), len(labels) : len(labels) + width[name]] = part
        if len(part) < n_times:
            notes.said.append(f"{where}: {name} has {len(part)} of {n_times} samples, NaN after them")
        labels += numbered(name, width[name]) if width[name] > 1 else [name]
    return FeatureSeries(values, np.arange(n_times) / sfreq, labels)


def _stimulus_names(
    heard: Mapping[int, FeatureSeries], numbers: Sequence[int], labels: Sequence[str], shared: bool, notes: Notes
) -> dict[int, str]:
    """Name of what each trial presented: by its number, or by its content."""
    contents = {i: hashlib.sha256(series.values.tobytes()).hexdigest() for i, series in heard.items()}
    first = list(dict.fromkeys(contents.values()))
    versions: dict[str, list[str]] = {}
    names = {}
    for i, content in contents.items():
        if numbers:
            known = 1 <= numbers[i] <= len(labels)
            name = labels[numbers[i] - 1] if known else f"stimulus-{numbers[i]:02d}"
        else:  # in a file of one participant, the first sound need not be the first of another's
            name = f"stimulus-{first.index(content) + 1:02d}" if shared else f"stimulus-{content[:6]}"
        own = versions.setdefault(name, [])
        own += [] if content in own else [content]
        names[i] = name if own[0] == content else f"{name} ({own.index(content) + 1})"
    several = [name for name, own in versions.items() if len(own) > 1]
    if several:
        listed = ", ".join(several)
        notes.doubted.append(f"trials of {listed} differ in their features: taken for different sounds")
    return names


def _conditions(stim: Mapping[str, Any], columns: Sequence[int], n_columns: int) -> list[str]:
    """Condition of each trial; empty texts where there are none."""
    labels, given = matlab.as_texts(stim.get("condNames")), stim.get("condIdxs")
    numbers = matlab.as_whole(given)
    named = [labels[k - 1] if 1 <= k <= len(labels) else f"condition-{k:02d}" for k in numbers] or matlab.as_texts(
        given
    )
    if len(named) == len(columns):
        return named
    return [named[column] for column in columns] if len(named) == n_columns else [""] * len(columns)


def rate_of(struct: Mapping[str, Any], path: Path) -> float:
    """Samples per second of a struct with a field ``fs``."""
    fs = matlab.as_array(struct.get("fs"))
    if fs is None or fs.size != 1:
        raise ValueError(f"{path}: fs: expected one sampling rate in hertz, got {matlab.kind_of(struct.get('fs'))}.")
    return _checks.positive(f"{path}: fs", float(fs.ravel()[0]), "hertz")


def as_list(values: str | Sequence[str]) -> list[str]:
    """One name, or several, as a list."""
    return [values] if isinstance(values, str) else list(values)


def numbered(name: str, count: int) -> list[str]:
    """Names of several columns of one thing."""
    return [f"{name} {i}" for i in range(1, count + 1)]
