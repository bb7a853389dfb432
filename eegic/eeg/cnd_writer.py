"""Participants and features into a CND folder, so that `read_cnd` gives them back."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.eeg import matlab
from eegic.eeg.cnd import Cnd, files_by_key
from eegic.eeg.cnd_stimuli import key_of
from eegic.eeg.participant import VOLTS, Participant
from eegic.series import TIME_TOLERANCE, FeatureSeries

if TYPE_CHECKING:
    pass


def write_cnd(
    folder: str | os.PathLike[str],
    participants: Participant | Cnd | Iterable[Participant | Cnd],
    features: Mapping[str, FeatureSeries | Sequence[FeatureSeries]],
    *,
    unit: str = "uV",
    subjects: Sequence[int | str] | None = None,
    version: str = "auto",
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write participants and the features of what they heard as a CND data set, which `read_cnd` reads back.

    Parameters
    ----------
    folder : path
        Where the files go; MATLAB's tools expect ``<data set>/dataCND``.
    participants : Participant, Cnd, or several
        Of a `Cnd`, conditions and external channels are written too.
    features : dict of str to FeatureSeries, or to several
        Features by stimulus, sampled regularly from 0 s on at one rate. Give every call for one folder the same.
    unit : {"V", "mV", "uV", "µV", "nV"}
        Unit of the EEG in the files, which do not store it.
    subjects : sequence of int or str, optional
        N of each ``dataSubN.mat``; by default the number at the end of the participant's name, otherwise 1, 2, ...
    version : {"auto", "5", "7.3"}
        Of the .mat files; by default 7.3 for what is too large for 5 (2 GB) only. 7.3 needs h5py.
    overwrite : bool
        True replaces files that exist.

    Returns
    -------
    tuple of Path
        The files written.

    Notes
    -----
    Trials stand in the order of the stimuli, so that participants who heard the same share ``dataStim.mat``; the order
    of presentation is ``origTrialPosition``. Where one ``dataStim.mat`` does not fit all, also not one that is there
    from before, each participant gets a ``dataStimN.mat``. Beyond the format, the fields ``participant``, ``bads``,
    ``usableSamples`` and ``stimNames`` keep what it has no place for; standard errors of features are not kept.
    """
    _checks.one_of("unit", unit, VOLTS)
    version = _checks.one_of("version", str(version), ("auto", "5", "7.3"))
    people = [_as_cnd(one) for one in (participants if isinstance(participants, Iterable) else [participants])]
    if not people:
        raise ValueError("participants: expected at least one, got none.")
    series = _writable(features, people)
    keys = _subject_keys(people, subjects)
    orders = [_stimulus_order(cnd, list(series)) for cnd in people]
    stims = [_stim_struct(cnd, order, series) for cnd, order in zip(people, orders, strict=True)]
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder to write into, got a file.")
    recordings, stimuli = files_by_key(folder, "dataSub"), files_by_key(folder, "dataStim")
    files = [recordings.get(key, folder / f"dataSub{key}.mat") for key in keys]
    common = stimuli.get("", folder / "dataStim.mat")
    shared = all(_equal(stims[0], stim) for stim in stims[1:]) and (
        not common.exists() or _equal(matlab.read_mat(common, ("stim",))["stim"], stims[0])
    )
    targets = {
        stimuli.get(key, folder / f"dataStim{key}.mat"): stim
        for key, stim in zip(keys, stims, strict=True)
        if not shared or key in stimuli  # a file of one's own is read first
    }
    exist = [path.name for path in (*targets, *files) if path.exists()]
    if exist and not overwrite:
        raise FileExistsError(
            f"{folder}: {matlab.listing(exist)} exists. Choose another folder, or pass overwrite=True."
        )
    if shared and not common.exists():
        targets[common] = stims[0]
    for path, stim in targets.items():
        matlab.write_mat(path, {"stim": stim}, version)
    for path, cnd, order in zip(files, people, orders, strict=True):
        matlab.write_mat(path, {"eeg": _eeg_struct(cnd, order, VOLTS[unit])}, version)
    return (*targets, *files)


def _as_cnd(one: object) -> Cnd:
    if isinstance(one, Cnd):
        return one
    if not isinstance(one, Participant):
        raise TypeError(f"participants: expected Participant or Cnd, got {type(one).__name__}.")
    order = tuple(range(len(one.trials)))
    return Cnd(one, {}, ("",) * len(order), {}, order, order)


def _writable(features: Any, people: Sequence[Cnd]) -> dict[str, FeatureSeries]:
    """One series per stimulus, all with the same features on one regular grid."""
    if not isinstance(features, Mapping):
        raise TypeError(
            f"features: expected a dictionary from stimulus to FeatureSeries, got {type(features).__name__}. "
            "Write {'bach': series}."
        )
    for cnd in people:
        missing = [stimulus for stimulus in dict.fromkeys(cnd.participant.stimuli) if stimulus not in features]
        if missing:
            raise ValueError(
                f"features: {cnd.participant.name} heard {', '.join(map(repr, missing[:5]))}, of which there are none; "
                f"there are of {', '.join(map(repr, list(features)[:5]))}. CND needs features of every trial."
            )
    series = {}
    for stimulus, given in features.items():
        several = [given] if isinstance(given, FeatureSeries) else list(given)
        if not several or not all(isinstance(one, FeatureSeries) for one in several):
            kind = type(given).__name__
            raise TypeError(f"features[{stimulus!r}]: expected a FeatureSeries or several, got {kind}.")
        series[stimulus] = several[0].stack(*several[1:])
    first = next(iter(series.values()))
    for stimulus, one in series.items():
        grid = np.arange(one.n_times) * first.step
        if one.n_times < 2 or not np.allclose(one.times, grid, rtol=0, atol=1e3 * TIME_TOLERANCE):
            raise ValueError(
                f"features[{stimulus!r}]: expected a sample every {first.step:g} s from 0 s on, as CND has no times. "
                "Bring it to the rate of the EEG: `series.resample(participant.sfreq, kind=...)`."
            )
        if one.names != first.names:
            raise ValueError(
                f"features[{stimulus!r}]: expected {', '.join(first.names)}, as the other stimuli have, got "
                f"{', '.join(one.names)}."
            )
    if any(one.se is not None for one in series.values()):
        warnings.warn("The standard errors of the features have no place in CND: left out.", stacklevel=3)
    return series


def _subject_keys(people: Sequence[Cnd], subjects: Sequence[int | str] | None) -> list[str]:
    if subjects is None:
        ends = [re.search(r"\d+$", cnd.participant.name) for cnd in people]
        keys = [end[0].lstrip("0") or "0" for end in ends if end]
        return keys if len(set(keys)) == len(people) else [str(i) for i in range(1, len(people) + 1)]
    keys = [key_of(str(subject), "dataSub") for subject in subjects]
    _checks.unique_names("subjects", keys, len(people), "participant")
    wrong = [key for key in keys if not re.fullmatch(r"\w+", key)]
    if wrong:
        raise ValueError(f"subjects: expected numbers, or names of letters and digits, got {wrong[0]!r}.")
    return keys


def _stimulus_order(cnd: Cnd, stimuli: Sequence[str]) -> list[int]:
    """Trials sorted by stimulus, condition and time: an order that participants share."""
    heard = cnd.participant.stimuli
    return sorted(range(len(heard)), key=lambda i: (stimuli.index(heard[i]), cnd.conditions[i], i))


def _stim_struct(cnd: Cnd, order: Sequence[int], series: Mapping[str, FeatureSeries]) -> dict[str, Any]:
    stimuli, first = list(series), next(iter(series.values()))
    heard = [cnd.participant.stimuli[i] for i in order]
    data = np.empty((first.n_features, len(heard)), dtype=object)
    for column, stimulus in enumerate(heard):
        for row in range(first.n_features):
            data[row, column] = series[stimulus].values[:, row : row + 1]
    stim = {
        "names": matlab.cell_row(first.names),
        "data": data,
        "fs": matlab.row_of([1 / first.times[1]]),
        "stimIdxs": matlab.row_of([stimuli.index(stimulus) + 1 for stimulus in heard]),
        "stimNames": matlab.cell_row(stimuli),
    }
    if any(cnd.conditions):
        labels = sorted(set(cnd.conditions))
        stim["condIdxs"] = matlab.row_of([labels.index(cnd.conditions[i]) + 1 for i in order])
        stim["condNames"] = matlab.cell_row(labels)
    return stim


def _eeg_struct(cnd: Cnd, order: Sequence[int], volts: float) -> dict[str, Any]:
    person = cnd.participant
    eeg = {
        "dataType": "EEG",
        "fs": matlab.row_of([person.sfreq]),
        "data": matlab.cell_row([person.trials[i].eeg / volts for i in order]),
        "chanlocs": [_chanloc(channel) for channel in person.info["chs"]],
        "participant": person.name,
    }
    if cnd.positions is not None:
        eeg["origTrialPosition"] = matlab.row_of([cnd.positions[i] + 1 for i in order])
    if person.history:
        eeg["processingPipeline"] = matlab.cell_row(person.history)
    if person.bads:
        eeg["bads"] = matlab.cell_row(person.bads)
    if not all(trial.mask.all() for trial in person.trials):
        eeg["usableSamples"] = matlab.cell_row([person.trials[i].mask[:, None] for i in order])
    if cnd.external:
        eeg["extChan"] = matlab.cell_row(
            [
                {"description": name, "data": matlab.cell_row([trials[i] / volts for i in order])}
                for name, trials in cnd.external.items()
            ]
        )
    return eeg


def _chanloc(channel: Mapping[str, Any]) -> dict[str, Any]:
    """A channel as EEGLAB has it: millimetres, x to the nose, y to the left ear; empty where unknown."""
    right, front, up = 1000 * np.asarray(channel["loc"][:3], dtype=float)
    radius = np.linalg.norm([right, front, up])
    loc = {"labels": channel["ch_name"], **{key: np.empty((0, 0)) for key in ("theta", "radius", *"XYZ")}}
    if radius > 0:  # neither NaN nor the origin, MNE's words for unknown
        elevation = np.degrees(np.arcsin(up / radius))
        places = {"theta": np.degrees(np.arctan2(right, front)), "radius": 0.5 - elevation / 180}
        loc |= {key: matlab.row_of([value]) for key, value in {**places, "X": front, "Y": -right, "Z": up}.items()}
    return loc


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape == b.shape:
        if object in (a.dtype, b.dtype):
            return all(_equal(x, y) for x, y in zip(a.flat, b.flat, strict=True))
        return bool(np.array_equal(a, b, equal_nan=True))
    return isinstance(a, str) and a == b
