"""BIDS: the recordings of one subject, cut where their sounds start."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks
from eegic.audio import Audio
from eegic.eeg.cutting import cut, differences, interruptions
from eegic.eeg.epochs import marks_bad
from eegic.eeg.heard import Events, Heard, Library, Sounds, find_heard, read_table, sound_lengths
from eegic.eeg.participant import Participant, Trial, electrode_positions
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import mne
    from mne_bids import BIDSPath

_SUFFIXES = (".vhdr", ".set", ".edf", ".bdf", ".fif")
_ENTITIES = {"subject": "sub", "task": "task", "session": "ses", "run": "run", "acquisition": "acq"}
_INHERITED = re.compile(r"_(channels|events|electrodes)\.tsv$|_(events|eeg|coordsystem|channels|electrodes)\.json$")
# what mne_bids says about things that do not touch the EEG, or that are looked after here
_HARMLESS = re.compile(
    r"participants\.tsv|scans\.tsv|Unable to map|HED annot|any events\.tsv|any eeg\.json|stim_type|Line frequency|"
    r"(Omitted|Limited) \d+ annotation|\block\b|no task entity|"
    r"channels without locations|Not setting position|DigMontage is only a subset"
)


@dataclass(frozen=True)
class _Recording:
    path: BIDSPath
    events: Events

    @property
    def file(self) -> Path:
        return Path(self.path.fpath)


def read_bids(
    root: str | os.PathLike[str],
    subject: str,
    *,
    task: str | None = None,
    session: str | None = None,
    run: str | int | None = None,
    acquisition: str | None = None,
    sounds: Sounds | None = None,
    stimulus_column: str = "stim_file",
    stimuli: str | os.PathLike[str] | None = None,
    trials: str | os.PathLike[str] | None = None,
    durations: Mapping[str, float | Audio | FeatureSeries] | None = None,
    montage: str | mne.channels.DigMontage | None = None,
    tolerance: float | None = None,
    on_nan: str = "raise",
    only: Collection[str] | None = None,
) -> Participant:
    """Read the EEG of one subject from a BIDS folder, cut where its sounds start.

    Parameters
    ----------
    root : path
        The folder that holds ``sub-01`` and the like.
    subject : str
        ``"01"`` or ``"sub-01"``.
    task, session, run, acquisition : str, optional
        Which recordings; by default every session and run of the only task, one after the other. Their rates and
        channels must agree; other references, filters and positions are warned of.
    sounds : dict or callable, optional
        What was heard, where the files do not say. A dictionary from what stands in `stimulus_column`, ``trial_type``
        or ``value`` of an event to the name of the sound that it started, or to None for no trial; events that it does
        not name are read as without it. Or a function of the event, which is a dictionary of texts: its row of
        ``events.tsv``, with ``session``, ``task``, ``run`` and ``row`` (counted from 0) besides; it returns a name, or
        None for no trial. A recording without ``events.tsv`` is one event at its first sample, and a dictionary
        names it by its run, session or task.
    stimulus_column : str
        Column of ``events.tsv`` that names the sound file; events where it is ``n/a`` are no trials.
    stimuli : path, optional
        Folder of the sound files; by default ``stimuli`` in `root`.
    trials : path, optional
        A table (``trials.tsv`` of a manifest) with columns ``participant`` (``*`` for everyone), ``ses``, ``run``,
        ``stim_id`` and ``onset_s``, for recordings whose events name no sound.
    durations : dict of str to float, Audio or FeatureSeries, optional
        How long sounds last, in seconds. By default as long as the sound file, and without one as ``events.tsv`` says.
    montage : str or mne.channels.DigMontage, optional
        Electrode positions, instead of those of ``electrodes.tsv``.
    tolerance : float, optional
        Seconds by which a sound may outlast its recording, or reach into the next sound; by default one sample. The
        EEG that two trials hold is masked in the later one.
    on_nan : {"raise", "mask"}
        As in `Participant.from_arrays`.
    only : collection of str, optional
        Cut the trials of these sounds only; how long others last need not be known.

    Returns
    -------
    Participant
        Volts; trials in the order of presentation. `history` tells what was read, left out and masked.

    Notes
    -----
    The sound file of an event is looked for in `stimuli`, then from `root`, then, by its bare name, in the whole
    tree without hidden folders, where there may be only one. The stimulus is named by its path from `stimuli` (or else
    from `root`) without suffix: ``stim_file`` ``click/click000.wav`` becomes ``"click/click000"``. Names given in
    `sounds` and `trials` stay as they are, and need no file where `durations` or ``events.tsv`` know the length.

    Types and bad channels come from ``channels.tsv``; stretches whose ``trial_type`` starts with BAD become masks, and
    so do those that only the recording itself annotates. A sound in which the recording was interrupted (``boundary``,
    ``EDGE`` or ``New Segment``, in either place) is refused. A channel that is bad in one run is bad in all. Nothing is
    filtered, and nothing re-referenced.
    """
    name, recordings, heard, history = surveyed(
        Path(root).expanduser(),
        subject,
        {"task": task, "session": session, "run": run, "acquisition": acquisition},
        sounds=sounds,
        column=stimulus_column,
        stimuli=stimuli,
        trials=trials,
        only=only,
    )
    lengths = sound_lengths(name, [one for here in heard for one in here], durations, history)
    tolerance = None if tolerance is None else _checks.positive("tolerance", tolerance, "seconds")
    parts: list[Participant] = []
    infos: list[mne.Info] = []
    for recording, here in zip(recordings, heard, strict=True):
        file, label = recording.file.name, recording.events.label
        if not here:
            history.append(f"{file}: left out, no event starts a sound" + ("" if only is None else " that is wanted"))
            continue
        raw, remarks = _read(recording, montage)
        for remark in remarks:
            warnings.warn(f"{label}: {remark}", stacklevel=2)
        unit = _unit(recording, raw)
        if unit != "V":
            history.append(f"{file}: {unit} by channels.tsv, as the file names no unit")
        _check_trials(raw, here, lengths, 1.5 / raw.info["sfreq"] if tolerance is None else tolerance, label)
        options: dict[str, Any] = {"tolerance": tolerance, "unit": unit, "on_nan": on_nan, "name": label}
        part = cut(raw, [one.onset for one in here], [one.stimulus for one in here], lengths, **options)
        infos.append(raw.info)
        parts.append(part)
        _check_alike(parts[0], part, infos[0], infos[-1])
        history.append(f"{file}: {_contents(raw, part, here)}")
        history += [f"{file}: {note}" for note in (*remarks, *part.history)]
    return _joined(name, parts, history)


def survey_bids(
    root: str | os.PathLike[str],
    subject: str,
    *,
    task: str | None = None,
    session: str | None = None,
    run: str | int | None = None,
    acquisition: str | None = None,
    sounds: Sounds | None = None,
    stimulus_column: str = "stim_file",
    stimuli: str | os.PathLike[str] | None = None,
    trials: str | os.PathLike[str] | None = None,
    only: Collection[str] | None = None,
) -> tuple[tuple[str, ...], list[Path], list[Path]]:
    """What `read_bids` would read, found without reading any EEG.

    Returns
    -------
    stimuli : tuple of str
        What the subject heard.
    files : list of Path
        All that the result depends on: recordings, with what lies beside them, and inherited tables.
    sounds : list of Path
        Files of the sounds, which tell how long trials last where `durations` do not.
    """
    root = Path(root).expanduser()
    chosen = {"task": task, "session": session, "run": run, "acquisition": acquisition}
    _, recordings, heard, _ = surveyed(
        root, subject, chosen, sounds=sounds, column=stimulus_column, stimuli=stimuli, trials=trials, only=only
    )
    beside = {path for one in recordings for path in one.file.parent.rglob("*") if _belongs(path, one.path)}
    above = {
        path
        for one in recordings
        for folder in one.file.parents
        if folder != one.file.parent and folder.is_relative_to(root)
        for path in folder.glob("*_*")
        if _INHERITED.search(path.name)
    }
    files = {path for path in beside | above if path.is_file()} | ({Path(trials)} if trials is not None else set())
    events = [one for here in heard for one in here]
    played = {path for one in events for path in one.files if path.is_file()}
    return tuple(dict.fromkeys(one.stimulus for one in events)), sorted(files), sorted(played)


def _belongs(path: Path, recording: BIDSPath) -> bool:
    """Whether a file beside recordings is of this task, or of none."""
    return recording.task is None or f"_task-{recording.task}_" in path.name or "_task-" not in path.name


def surveyed(
    root: Path,
    subject: str,
    chosen: Mapping[str, str | int | None],
    *,
    sounds: Sounds | None,
    column: str,
    stimuli: str | os.PathLike[str] | None,
    trials: str | os.PathLike[str] | None,
    only: Collection[str] | None = None,
) -> tuple[str, list[_Recording], list[list[Heard]], list[str]]:
    """Name, recordings, what was heard in each, and what is to be noted."""
    name = f"sub-{_label('subject', subject)}"
    recordings = _recordings(root, name, {entity: _label(entity, x) for entity, x in chosen.items() if x is not None})
    if stimuli is not None and not Path(stimuli).expanduser().is_dir():
        raise NotADirectoryError(f"stimuli: {stimuli} is no folder. Name the one that holds the sound files.")
    history: list[str] = []
    heard = find_heard(
        name,
        [recording.events for recording in recordings],
        Library(root, root / "stimuli" if stimuli is None else Path(stimuli).expanduser()),
        sounds=sounds,
        column=column,
        manifest=() if trials is None else read_table(Path(trials)),
        history=history,
    )
    if only is not None:
        sounds_heard = dict.fromkeys(one.stimulus for here in heard for one in here)
        n_heard = sum(map(len, heard))
        heard = [[one for one in here if one.stimulus in only] for here in heard]
        n_kept = sum(map(len, heard))
        if not n_kept:
            raise ValueError(f"{name}: heard none of {_checks.listed(only, 4)}, but {_checks.listed(sounds_heard, 4)}.")
        history += [f"{n_heard - n_kept} of {n_heard} trials left out: other sounds"] if n_kept < n_heard else []
    return name, recordings, heard, history


def _contents(raw: mne.io.BaseRaw, part: Participant, heard: Sequence[Heard]) -> str:
    rules = " and ".join(dict.fromkeys(one.by for one in heard))
    nowhere = sum(not np.isfinite(channel["loc"][:3]).all() for channel in part.info["chs"])
    return (
        f"{len(heard)} trials by {rules}; {len(part.ch_names)} EEG channels at {part.sfreq:g} Hz, {nowhere} without "
        f"position; {len(raw.ch_names) - len(part.ch_names)} others left out; mne_bids {version('mne_bids')}"
    )


def _label(entity: str, value: object) -> str:
    """The label of an entity, with or without its prefix."""
    text = f"{value:02d}" if entity == "run" and isinstance(value, int) else value
    label = text.removeprefix(f"{_ENTITIES[entity]}-") if isinstance(text, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9+]+", label):
        raise ValueError(f"{entity}: expected a label of letters and digits, such as '01', got {value!r}.")
    return label


def _recordings(root: Path, name: str, chosen: Mapping[str, str]) -> list[_Recording]:
    """The recordings of a subject that were asked for, in order."""
    paths = _paths(root, name)
    for entity in ("task", "session", "run", "acquisition"):
        labels = sorted({label for path in paths if (label := path.entities[entity])}, key=_in_order)
        if entity in chosen:
            wanted = _in_order(chosen[entity])  # run 1 is run-01
            paths = [path for path in paths if _in_order(path.entities[entity]) == wanted]
            if not paths:
                there = f"one of {', '.join(map(repr, labels))}" if labels else "none, the files name none"
                raise ValueError(f"{name}: {entity}: expected {there}, got {chosen[entity]!r}.")
        elif entity == "task" and len(labels) > 1:
            raise ValueError(f"{name}: recordings of several tasks. Choose one: task={' or '.join(map(repr, labels))}.")
    paths.sort(key=_place)
    twice = [one.fpath.name for one in paths if sum(_place(one) == _place(other) for other in paths) > 1]
    if twice:
        raise ValueError(
            f"{name}: {', '.join(twice)} may be versions of one recording, which must not count twice. Choose with "
            "`acquisition`, or move the others out of the tree."
        )
    return [_recording(name, path, len(paths) > 1) for path in paths]


def _paths(root: Path, name: str) -> list[BIDSPath]:
    """All EEG of a subject."""
    try:
        import mne_bids
    except ImportError as error:
        raise ImportError("BIDS needs mne_bids. Install it with `pip install 'eegic[io]'`.") from error

    folder = root / name
    if not folder.is_dir():
        subjects = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
        there = ", ".join(subjects[:8]) or "no folder of a subject"
        raise FileNotFoundError(f"{root}: expected the folder {name}, got {there}. Is this the root of the BIDS tree?")
    paths = []
    for file in folder.glob("**/eeg/*_eeg.*"):
        if file.suffix.lower() in _SUFFIXES:
            path = mne_bids.get_bids_path_from_fname(file, check=False, verbose="error").update(root=root)
            if path.fpath != file:
                raise ValueError(f"{file}: its name does not fit its folder; by its name it would be {path.fpath}.")
            if path.split in (None, "01", "1"):  # the first part of a file in parts opens the others
                paths.append(path)
    if not paths:
        raise FileNotFoundError(f"{folder}: no EEG in it ({', '.join(f'*_eeg{suffix}' for suffix in _SUFFIXES)}).")
    return paths


def _place(path: BIDSPath) -> tuple[tuple[int, str], ...]:
    return _in_order(path.session), _in_order(path.run)


def _in_order(label: str | None) -> tuple[int, str]:
    """Labels sorted as people count; '01' and '1' are one."""
    return (int(label), "") if label and label.isdigit() else (-1, label or "")


def _recording(name: str, path: BIDSPath, several: bool) -> _Recording:
    try:
        table = path.find_matching_sidecar(suffix="events", extension=".tsv", on_error="raise")
    except RuntimeError as error:
        if not str(error).startswith("Did not find any"):
            raise ValueError(f"{path.fpath}: more than one events.tsv may be meant. {error}") from error
        table = None
    entities = {entity: label for entity, label in path.entities.items() if label is not None}
    place = [f"{_ENTITIES[entity]}-{entities[entity]}" for entity in ("session", "run") if entity in entities]
    label = ", ".join([name, *place]) if several else name
    rows = None if table is None else read_table(Path(table))
    if rows and not {"onset", "duration"} <= rows[0].keys():
        raise ValueError(
            f"{table}: BIDS has columns onset and duration, got {', '.join(rows[0])}. Add them (n/a will do)."
        )
    return _Recording(path, Events(label, entities, rows))


def _read(recording: _Recording, montage: str | mne.channels.DigMontage | None) -> tuple[mne.io.BaseRaw, list[str]]:
    """A recording, and what mne_bids said about it that matters."""
    import mne
    import mne_bids

    if not recording.file.exists():
        raise FileNotFoundError(f"{recording.file}: a link to a file that is not here. Fetch it (e.g. `datalad get`).")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:  # columns of the file are matched with channels.tsv by name
            raw = mne_bids.read_raw_bids(recording.path, on_ch_mismatch="reorder", verbose="warning")
            own = mne.io.read_raw(recording.file, verbose="error") if recording.events.rows is not None else raw
        except Exception as error:  # of many kinds, few of which name the file
            raise ValueError(f"{recording.events.label}: {recording.file} cannot be read: {error!r}") from error
    _keep_marks(raw, own)
    said = [str(one.message) for one in caught if issubclass(one.category, (UserWarning, RuntimeWarning))]
    remarks = list(dict.fromkeys(text.split("\n\n")[0] for text in said if not _HARMLESS.search(text)))
    tables = sorted(path.name for path in recording.file.parent.glob("*_electrodes.tsv"))
    if montage is not None:
        raw.set_montage(electrode_positions(montage), on_missing="ignore", verbose="error")
    elif tables and raw.get_montage() is None:
        remarks.append(f"no electrode position could be had from {' or '.join(tables)}. `montage` gives them.")
    return raw, remarks


def _keep_marks(raw: mne.io.BaseRaw, own: mne.io.BaseRaw) -> None:
    """Bring back what the file itself marks as interrupted or bad: mne_bids puts events.tsv in place of that."""
    if own is raw:
        return
    marks = [(gap, 0.0, "boundary") for gap in interruptions(own)]
    for mark in own.annotations:
        if marks_bad(mark["description"]):
            marks.append((mark["onset"] - own.first_time, mark["duration"], mark["description"]))
    for onset, duration, kind in marks:
        raw.annotations.append(onset + raw.first_time, duration, kind)


def _unit(recording: _Recording, raw: mne.io.BaseRaw) -> str:
    """The unit by channels.tsv of the EEG in an EDF file that names none: MNE takes its numbers for volts."""
    table = recording.path.find_matching_sidecar(suffix="channels", extension=".tsv", on_error="ignore")
    if table is None or recording.file.suffix.lower() not in (".edf", ".bdf"):
        return "V"
    stated = {row.get("name", ""): row.get("units", "").replace("μ", "µ") for row in read_table(Path(table))}
    eeg = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "eeg"]
    units = {stated.get(name, "") for name in eeg}
    unnamed = all(raw._orig_units.get(name) in ("", "n/a") for name in eeg)
    return units.pop() if unnamed and len(units) == 1 and units <= {"mV", "uV", "µV", "nV"} else "V"


def _check_trials(
    raw: mne.io.BaseRaw, heard: Sequence[Heard], lengths: Mapping[str, float], slack: float, label: str
) -> None:
    """No sound reaches into the next one, and no gap of the recording into a sound."""
    for one, after in pairwise(heard):
        end = one.onset + lengths[one.stimulus]
        if after.onset < end - slack:
            raise ValueError(
                f"{label}: {after.stimulus} starts at {after.onset:.3f} s, before {one.stimulus} ends ({end:.3f} s), "
                "and no EEG may stand in two trials. If events mark ends too, pick those that start a sound with "
                "`sounds`; if sounds were broken off, shorten them in `durations`; if all is well, pass tolerance=."
            )
    for gap in interruptions(raw):
        for one in heard:
            if one.onset + slack < gap < one.onset + lengths[one.stimulus] - slack:
                raise ValueError(
                    f"{label}: the recording is interrupted at {gap:.3f} s, within {one.stimulus}, which starts at "
                    f"{one.onset:.3f} s: sound and EEG part there. Leave the trial out with `sounds`, or shorten it in "
                    "`durations`."
                )


def _check_alike(first: Participant, other: Participant, info: mne.Info, other_info: mne.Info) -> None:
    """Say if a recording differs from the first: rates and channels must agree."""
    if other.sfreq != first.sfreq:
        raise ValueError(
            f"{other.name} has {other.sfreq:g} Hz, {first.name} {first.sfreq:g} Hz. Read them apart, with `session` or "
            "`run`, and resample."
        )
    unlike = sorted(set(first.ch_names) ^ set(other.ch_names))
    if unlike:
        raise ValueError(
            f"{other.name} and {first.name} have different EEG channels: {', '.join(unlike)} in one of them only. Read "
            "them apart, with `session` or `run`, or correct the types in channels.tsv."
        )
    unlike = differences(info, other_info)
    if unlike:
        warnings.warn(
            f"{first.name} and {other.name} differ: {'; '.join(unlike)}. One model is fitted to both: read them apart, "
            "with `session` or `run`, and bring them to the same.",
            stacklevel=3,
        )


def _joined(name: str, parts: Sequence[Participant], history: list[str]) -> Participant:
    """One participant of several with the same channels, in whatever order."""
    first = parts[0]
    trials = []
    for part in parts:
        order = [part.ch_names.index(channel) for channel in first.ch_names]
        for trial in part.trials:
            eeg = trial.eeg if part.ch_names == first.ch_names else trial.eeg[:, order]
            eeg.setflags(write=False)
            trials.append(Trial(eeg, trial.stimulus, trial.mask))
    bads = [channel for channel in first.ch_names if any(channel in part.bads for part in parts)]
    partly = [channel for channel in bads if not all(channel in part.bads for part in parts)]
    if partly:
        history.append(f"bad in some recordings, so marked as bad in all: {', '.join(partly)}")
    info = first.info.copy()
    info["bads"] = bads
    return Participant(name, tuple(trials), info, tuple(history))
