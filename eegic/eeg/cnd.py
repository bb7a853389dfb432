"""CND, the MATLAB format of the CNSP workshop: EEG and the features of what was heard, trial by trial."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.eeg import matlab
from eegic.eeg.cnd_stimuli import Notes, Sound, as_list, key_of, numbered, rate_of, sounds_of
from eegic.eeg.participant import VOLTS, Participant, electrode_positions
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import mne

_NEURAL = ("eeg", "neural")  # what the struct is called in older and in newer files
_HEAD = 0.095  # metres from the origin to the electrodes, where the file has no known unit
_BEYOND = 0.2  # of its sound by which the EEG of a trial may go on
_HEADS = (0.05, 0.15)  # metres: the radius of a head lies in between, or the unit is another


@dataclass(frozen=True, eq=False)
class Cnd:
    """A participant of a CND data set, with the features of what was heard.

    Attributes
    ----------
    participant : Participant
        Trials in the order of presentation where the file tells it, otherwise in the order of the file.
    features : dict of str to FeatureSeries
        All features of each stimulus, at their own rate.
    conditions : tuple of str
        Condition of each trial; empty where the file names none.
    external : dict of str to tuple of ndarray, each (n_times, n_external)
        Groups of external channels such as mastoids, by their description: volts, one array per trial.
    positions : tuple of int, or None
        When each trial was presented, counted from 0; None where the file does not tell.
    numbers : tuple of int
        Where each trial stands in the file, counted from 0.
    """

    participant: Participant
    features: dict[str, FeatureSeries]
    conditions: tuple[str, ...]
    external: dict[str, tuple[np.ndarray, ...]]
    positions: tuple[int, ...] | None
    numbers: tuple[int, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, which all stimuli share."""
        return next(iter(self.features.values())).names

    def __repr__(self) -> str:
        """Participant, features, external channels and conditions."""
        step = next(iter(self.features.values())).step
        columns = Counter(re.sub(r" \d+$", "", name) for name in self.feature_names)
        features = ", ".join(name if n == 1 else f"{name} ({n} columns)" for name, n in columns.items())
        external = "".join(f"; {name} ({trials[0].shape[1]} channels)" for name, trials in self.external.items())
        conditions = ", ".join(dict.fromkeys(filter(None, self.conditions)))
        heard = f"; conditions: {conditions}" if conditions else ""
        return f"Cnd({self.participant!r}; {1 / step:g} Hz: {features}{external}{heard})"

    def select(self, names: str | Sequence[str]) -> dict[str, FeatureSeries]:
        """Return the named features of every stimulus, ready for `cortical_tracking`.

        A feature of several columns, such as a spectrogram, is named with or without the number of the column.
        """
        chosen: list[str] = []
        for name in as_list(names):
            columns = [own for own in self.feature_names if re.fullmatch(re.escape(str(name)) + r" \d+", own)]
            chosen += columns if columns and name not in self.feature_names else [name]
        return {stimulus: series.select(chosen) for stimulus, series in self.features.items()}

    def in_condition(self, conditions: str | Sequence[str]) -> Cnd:
        """Return the trials of these conditions only."""
        known = dict.fromkeys(filter(None, self.conditions))
        if not known or not conditions:
            raise ValueError(
                f"{self.participant.name}: expected conditions to choose from and at least one of them, got "
                f"{len(known)} and {conditions!r}. `numbers` tells trials apart where a file names no conditions."
            )
        wanted = [_checks.one_of("in_condition", condition, known) for condition in as_list(conditions)]
        keep = [i for i, condition in enumerate(self.conditions) if condition in wanted]
        note = f"{len(keep)} of {len(self.conditions)} trials kept: {', '.join(wanted)}"
        return self._pick(keep, (*self.participant.history, note))

    def _pick(self, keep: Sequence[int], history: Sequence[str]) -> Cnd:
        person = self.participant
        return replace(
            self,
            participant=replace(person, trials=tuple(person.trials[i] for i in keep), history=tuple(history)),
            conditions=tuple(self.conditions[i] for i in keep),
            external={name: tuple(trials[i] for i in keep) for name, trials in self.external.items()},
            positions=None if self.positions is None else tuple(self.positions[i] for i in keep),
            numbers=tuple(self.numbers[i] for i in keep),
        )


def read_cnd(
    folder: str | os.PathLike[str],
    subject: int | str | None = None,
    *,
    unit: str = "uV",
    features: str | Sequence[str] | None = None,
    external: str | Sequence[str] = (),
    montage: str | mne.channels.DigMontage | None = None,
    bads: Sequence[str] = (),
    tolerance: float | None = None,
    on_nan: str = "raise",
    stimuli: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> Cnd:
    """Read a participant of a CND data set, and the features of what was heard.

    Parameters
    ----------
    folder : path
        The data set, its folder ``dataCND``, or the file of the participant.
    subject : int or str, optional
        N of ``dataSubN.mat``; may be left out where there is one.
    unit : {"V", "mV", "uV", "µV", "nV"}
        Unit of the EEG. CND does not store it; microvolts are usual. A warning tells of EEG too large or too small.
    features : str or sequence of str, optional
        Which features to read, by the names in the file; by default all.
    external : str or sequence of str
        Groups of external channels, by description, to append to the EEG as channels, say for a new reference:
        ``"Mastoids"`` becomes ``Mastoids 1``, ``Mastoids 2``.
    montage : str or mne.channels.DigMontage, optional
        Electrode positions instead of those in the file.
    bads : sequence of str
        Channels to mark as bad.
    tolerance : float, optional
        Seconds by which the EEG of a trial may end before its sound does; by default one sample.
    on_nan : {"raise", "mask"}
        As in `Participant.from_arrays`.
    stimuli : path, optional
        File of the stimuli. By default ``dataStimN.mat``, otherwise ``dataStim.mat``, beside the participant's or one
        folder above.
    name : str, optional
        Identity of the participant; by default what `write_cnd` stored, otherwise ``"sub-N"``.

    Returns
    -------
    Cnd

    Notes
    -----
    - The sound starts at sample ``paddingStartSample + 1``, counted from 1, of the EEG. What comes before it and what
      follows the sound is left out. Every cut stands in the history of the participant.
    - Stimuli are told apart by ``stimIdxs``, otherwise by the features that are read: trials with the same present one
      stimulus. Names are ``stimulus-01`` and so on, or those that `write_cnd` stored.
    - Features of a trial that end early, by up to 1 s or 2 %, are NaN from there.
    - Channel positions are EEGLAB's (x to the nose, y to the left ear). Metres, centimetres and millimetres are
      recognised by the size of the head; any other scale, such as a unit sphere, is brought to a radius of 95 mm.
    - A trial without EEG or without features is left out, with a warning.

    Version 7.3 files need h5py (``pip install 'eegic[io]'``).

    Examples
    --------
    >>> from eegic.eeg import write_cnd
    >>> import tempfile
    >>> from eegic import datasets
    >>> study = datasets.simulate_study(1, 4, duration=8, n_channels=8, progress=False, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_cnd(folder, study.participants[0], study.envelopes)
    ...     cnd = read_cnd(folder, 1)
    >>> cnd.participant
    Participant(sub-01: 4 trials of 4 sounds, 32 s, 8 channels at 64 Hz)
    >>> cnd.select("envelope")["melody-01"]
    FeatureSeries(envelope: 512 values, 0.000 to 7.984 s, median step 15.62 ms)
    """
    _checks.one_of("unit", unit, VOLTS)
    path = _subject_file(Path(folder), subject)
    stored = matlab.read_mat(path, (*_NEURAL, "stim"))
    neural = _neural(stored, path)
    source = path if "stim" in stored and stimuli is None else stimulus_file(path, stimuli)
    stim = stored["stim"] if source == path else matlab.read_mat(source, ("stim",))["stim"]
    name = name or matlab.as_text(neural.get("participant")) or f"sub-{key_of(path.stem, 'dataSub').zfill(2)}"
    notes = Notes(matlab.as_texts(neural.get("processingPipeline")), [])
    known = [text for key in ("dataType", "deviceName", "reRef") if (text := matlab.as_text(neural.get(key)))]
    notes.said.append(", ".join([f"read from {path.name} and {source.name} (CND) as {unit}", *known]))

    eeg = _trials(neural["data"], path)
    sfreq = rate_of(neural, path)
    sounds = sounds_of(stim, source, eeg, features, notes)
    spans = _spans(neural, eeg, sounds, sfreq, tolerance, path, notes)
    groups = {
        group: [trials[i][span] for i, span in spans.items()]
        for group, trials in _external(neural, eeg, sounds, notes).items()
    }
    appended = [_checks.one_of(f"{path}: external", group, groups) for group in dict.fromkeys(as_list(external))]
    ch_names, positions = _channels(neural, eeg[next(iter(spans))].shape[1], montage, notes)
    ch_names += [one for group in appended for one in numbered(group, groups[group][0].shape[1])]
    order = _positions(neural, len(eeg), notes)
    masks = _trials(neural["usableSamples"], path) if "usableSamples" in neural else None
    for doubt in notes.doubted:
        warnings.warn(f"{name}: {doubt}.", stacklevel=2)

    recorded = [eeg[i][span] for i, span in spans.items()]
    if appended:
        recorded = [np.hstack(parts) for parts in zip(recorded, *(groups[group] for group in appended), strict=True)]
    participant = Participant.from_arrays(
        recorded,
        [sounds[i].stimulus for i in spans],
        sfreq,
        ch_names=ch_names,
        montage=positions,
        masks=None if masks is None else [masks[i][span, 0].astype(bool) for i, span in spans.items()],
        bads=list(dict.fromkeys([*matlab.as_texts(neural.get("bads")), *as_list(bads)])),
        unit=unit,
        on_nan=on_nan,
        name=name,
    )
    cnd = Cnd(
        participant,
        {sound.stimulus: sound.series for sound in sounds.values()},
        tuple(sound.condition for sound in sounds.values()),
        {group: tuple(VOLTS[unit] * trial for trial in trials) for group, trials in groups.items()},
        None if order is None else tuple(order[i] for i in spans),
        tuple(spans),
    )
    presented = range(len(spans)) if order is None else np.argsort([order[i] for i in spans]).tolist()
    return cnd._pick(presented, (*notes.said, *notes.doubted))


def files_by_key(folder: Path, stem: str) -> dict[str, Path]:
    """Files of one kind, by what follows the stem of their name."""
    named = re.compile(rf"{stem}[-_ ]?\w*\.mat", re.IGNORECASE)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {key_of(path.stem, stem): path for path in files if named.fullmatch(path.name)}


def _subject_file(folder: Path, subject: int | str | None) -> Path:
    if subject is not None and (isinstance(subject, bool) or not isinstance(subject, (int, str, np.integer))):
        raise TypeError(f"subject: expected the N of dataSubN.mat, got {subject!r} ({type(subject).__name__}).")
    key = None if subject is None else key_of(str(subject), "dataSub")
    if folder.is_file() and key in (None, key_of(folder.stem, "dataSub")):
        return folder
    if not folder.is_dir():
        what = f"a file, not that of subject {subject}" if folder.is_file() else "nothing by that name"
        raise FileNotFoundError(f"{folder}: expected the folder of a CND data set, got {what}.")
    there = files_by_key(folder, "dataSub") or files_by_key(folder / "dataCND", "dataSub")
    if key in there or (key is None and len(there) == 1):
        return next(iter(there.values())) if key is None else there[key]
    names = [path.name for path in there.values()] or sorted(path.name for path in folder.iterdir())
    asked = "no subject was named" if subject is None else f"there is no dataSub{key}.mat"
    raise FileNotFoundError(f"{folder}: {asked}, but {matlab.listing(names)}. Name a subject, or the file itself.")


def stimulus_file(path: Path, given: str | os.PathLike[str] | None) -> Path:
    """The file that says what the participant of a file heard."""
    if given is not None:
        return Path(given)
    key = key_of(path.stem, "dataSub")
    for there in (files_by_key(folder, "dataStim") for folder in (path.parent, path.parent.parent)):
        if key in there or "" in there:
            return there.get(key) or there[""]
    names = sorted(one.name for one in path.parent.glob("*.mat"))
    raise FileNotFoundError(
        f"{path}: expected dataStim{key}.mat or dataStim.mat beside it, got {matlab.listing(names)}. Name the file: "
        "stimuli=."
    )


def _neural(stored: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    for name in _NEURAL:
        struct = stored.get(name)
        if isinstance(struct, dict) and {"data", "fs"} <= struct.keys():
            return struct
    found = "; ".join(f"{k}: {', '.join(v) if isinstance(v, dict) else matlab.kind_of(v)}" for k, v in stored.items())
    raise ValueError(
        f"{path}: expected a struct 'eeg' or 'neural' with fields data and fs, got {found}. Is it the file of a "
        "participant?"
    )


def _trials(value: Any, where: object) -> list[np.ndarray]:
    """One array (n_times, n_channels) per trial."""
    trials = []
    for i, cell in enumerate(matlab.as_cells(value).ravel()):
        array = matlab.as_array(cell)
        if array is None or array.ndim != 2:
            raise ValueError(f"{where}: trial {i}: expected numbers, samples × channels, got {matlab.kind_of(cell)}.")
        trials.append(array)
    return trials


def _spans(
    neural: Mapping[str, Any],
    eeg: Sequence[np.ndarray],
    sounds: Mapping[int, Sound],
    sfreq: float,
    tolerance: float | None,
    path: Path,
    notes: Notes,
) -> dict[int, slice]:
    """Samples of each trial during which its sound played."""
    slack = 1 if tolerance is None else round(_checks.positive("tolerance", tolerance, "seconds") * sfreq)
    given = neural.get("paddingStartSample", np.empty(0))
    padding = matlab.as_whole(given) if np.size(given) else [0]
    if len(padding) not in (1, len(eeg)) or min(padding) < 0:
        raise ValueError(
            f"{path}: paddingStartSample: expected one whole number, 0 or more, got {matlab.kind_of(given)}."
        )
    spans, beyond = {}, []
    for i, sound in sounds.items():
        start, wanted = padding[i % len(padding)], round(sound.seconds * sfreq)
        after = len(eeg[i]) - start - wanted
        where = f"trial {i} of the file ({sound.stimulus})"
        if after < -slack or start >= len(eeg[i]):
            raise ValueError(
                f"{path}: {where}: the sound lasts {sound.seconds:.3f} s, but the EEG ends {-after / sfreq:.3f} s "
                f"before it does ({len(eeg[i])} samples at {sfreq:g} Hz, the first {start} of them before the sound). "
                f"Do both belong together? If so, pass tolerance={np.ceil(-100 * after / sfreq) / 100:g}."
            )
        cuts = [f"{n} samples {side} the sound left out" for n, side in ((start, "before"), (after, "after")) if n > 0]
        cuts += [f"{-after} samples short of its sound"] if after < 0 else []
        if cuts:
            notes.said.append(f"{where}: {', '.join(cuts)}")
        spans[i] = slice(start, start + wanted)
        beyond.append(after / wanted)
    if min(beyond) > _BEYOND:
        rate = 1 / next(iter(sounds.values())).series.step
        notes.doubted.append(
            f"the EEG of every trial goes on after its sound, for {min(beyond):.0%} of the sound or more: is fs right? "
            f"It says {sfreq:g} Hz for the EEG and {rate:g} Hz for the stimuli"
        )
    return spans


def _positions(neural: Mapping[str, Any], n_trials: int, notes: Notes) -> list[int] | None:
    """When each trial was presented, from 0."""
    order = matlab.as_whole(neural.get("origTrialPosition"))
    if len(order) == n_trials == len(set(order)) and min(order) >= 1:
        return [position - 1 for position in order]
    notes.said.append("no valid origTrialPosition: trials stand in the order of the file")
    return None


def _external(
    neural: Mapping[str, Any], eeg: Sequence[np.ndarray], keep: Iterable[int], notes: Notes
) -> dict[str, list[np.ndarray]]:
    """Groups of external channels by description, one array per trial of the file."""
    groups: dict[str, list[np.ndarray]] = {}
    for number, struct in enumerate(matlab.as_structs(neural.get("extChan")), 1):
        name = matlab.as_text(struct.get("description")) or "external"
        name = f"{name} ({number})" if name in groups else name
        cells = [matlab.as_array(cell) for cell in matlab.as_cells(struct.get("data")).ravel()]
        trials = [np.empty((0, 0)) if cell is None else cell for cell in cells]
        alike = len(trials) == len(eeg) and all(len(trials[i]) == len(eeg[i]) for i in keep)
        if alike and len({trials[i].shape[1:] for i in keep}) == 1:
            groups[name] = trials
        else:
            notes.doubted.append(f"the external channels {name!r} do not match the EEG: left out")
    return groups


def _channels(
    neural: Mapping[str, Any], n_channels: int, montage: str | mne.channels.DigMontage | None, notes: Notes
) -> tuple[list[str], mne.channels.DigMontage | None]:
    """Names of the channels, and their positions if any."""
    import mne

    located = matlab.as_structs(neural.get("chanlocs"))
    if located and len(located) != n_channels:
        notes.doubted.append(f"chanlocs has {len(located)} channels, the EEG {n_channels}: names and places unknown")
        located = []
    names = [matlab.as_text(one.get("labels")).strip() for one in located] or [""] * n_channels
    positions = None if montage is None else electrode_positions(montage)
    if positions is not None and not any(names) and len(positions.ch_names) == n_channels:
        names = list(positions.ch_names)
    names = [name or f"EEG{i:03d}" for i, name in enumerate(names, 1)]
    places = {name: [_coordinate(one.get(axis)) for axis in "XYZ"] for name, one in zip(names, located, strict=False)}
    radius = {name: r for name, place in places.items() if (r := float(np.linalg.norm(place))) > 0}
    if positions is not None or not radius:
        return names, positions
    typical = float(np.median(list(radius.values())))
    metres = next((m for m in (1, 0.01, 0.001) if _HEADS[0] <= m * typical <= _HEADS[1]), _HEAD / typical)
    found = {name: metres * np.array([-places[name][1], places[name][0], places[name][2]]) for name in radius}
    return names, mne.channels.make_dig_montage(found, coord_frame="head")


def _coordinate(value: Any) -> float:
    number = np.ravel(value)
    return float(number[0]) if number.size == 1 and number.dtype.kind in "fiu" else np.nan
