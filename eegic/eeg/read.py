"""From recordings in files to a `Participant`, through MNE."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from eegic import _checks
from eegic._checks import listed
from eegic.audio import Audio
from eegic.eeg.correction import corrections
from eegic.eeg.cutting import cut, differences, interruptions
from eegic.eeg.labelling import Channels, eeg_channels
from eegic.eeg.participant import Participant
from eegic.eeg.tables import onsets_from, seconds_of
from eegic.eeg.triggers import Onsets, find_onsets
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import mne
    import pandas as pd

    Recording: TypeAlias = str | os.PathLike[str] | mne.io.BaseRaw
    Table: TypeAlias = pd.DataFrame | str | os.PathLike[str] | Sequence[tuple[float, str]]
    Trials: TypeAlias = Onsets | Mapping[str, str] | Mapping[int, str] | int | Table | Sequence[str] | Sequence[Onsets]
    Durations: TypeAlias = Mapping[str, float | Audio | FeatureSeries] | float

_HEADERS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}


def read_participant(
    source: Recording | mne.BaseEpochs | Sequence[Recording],
    trials: Trials | None = None,
    durations: Durations | None = None,
    *,
    name: str | None = None,
    log: Iterable[str] | Iterable[Iterable[str]] | None = None,
    stim_channel: str | None = None,
    bits: int | None = None,
    duplicates: str = "raise",
    missing: str = "raise",
    rename: Mapping[str, str] | None = None,
    channel_types: Mapping[str, str] | None = None,
    montage: str | mne.channels.DigMontage | None = None,
    bads: str | Sequence[str] = (),
    unit: str = "V",
    tolerance: float | None = None,
    on_nan: str = "raise",
    only: Collection[str] | None = None,
) -> Participant:
    """Read the recording of one participant and cut it at the starts of its sounds.

    Parameters
    ----------
    source : path, mne.io.Raw, sequence of these, or mne.Epochs
        Whatever `mne.io.read_raw` opens: FIF, EDF, BDF, BrainVision, EEGLAB, CNT, MFF and others; or several such
        recordings in order. Files are read trial by trial.
    trials : dict, int, str, Onsets, table, or sequence
        Where the sounds start. For one recording:

        - triggers: ``{"S  1": "bach"}`` for annotations, ``{1: "bach"}`` for a stim channel; or a single code, with the
          sounds in `log`. `find_onsets` has more choices; its result is welcome here.
        - a table with the columns ``onset`` (seconds from the first sample) and ``stimulus``: a pandas.DataFrame, the
          path of a .tsv or .csv file, or a sequence of ``(onset, stimulus)``.

        For several recordings: triggers, which are looked for in each; or a sequence with one entry per recording: the
        name of a sound that starts with it, ``(onset, stimulus)``, or `Onsets`. For epochs: the sound of each in
        order, or a dictionary from the names or codes of their events; by default the name of its event.
    durations : dict of str to float, Audio or FeatureSeries; or float
        Seconds that each sound lasts, or one number for all. Epochs may go without, and are then kept to their end.
    name : str, optional
        Identity of the participant; by default ``sub-01`` for a file called ``sub-01_...``, else the name of the file
        without its suffix, else the ``his_id`` of the subject.
    log : iterable of str, or one such per recording, optional
        With triggers: the sounds in the order of presentation, against which they are checked.
    stim_channel, bits, duplicates, missing
        With triggers: see `find_onsets`.
    rename : dict of str to str, optional
        New names of channels; the other arguments use the new ones. Names are never matched by resemblance.
    channel_types : dict of str to str, optional
        MNE's types for channels that the file does not tell apart, e.g. ``{"EXG1": "eog", "M1": "misc"}``.
    montage : str or mne.channels.DigMontage, optional
        Electrode positions, or the name of a standard montage; by default those in the file. Channels without position
        are kept.
    bads : str or sequence of str
        Channels to mark as bad besides those marked in the file.
    unit : {"V", "mV", "uV", "µV", "nV"}
        Unit of the numbers that MNE takes for volts, for files that do not name theirs.
    tolerance : float, optional
        Seconds by which a sound may outlast its recording, or reach into the next sound; by default one sample. What
        lies beyond an interruption of the recording is masked, and so is, in the later of two trials, the EEG that
        both hold.
    on_nan : {"raise", "mask"}
        As in `Participant.from_arrays`.
    only : collection of str, optional
        Cut the trials of these sounds only; of others nothing needs to be known.

    Returns
    -------
    Participant
        With the EEG channels. Stretches annotated ``BAD_...`` are masked, projections that wait are applied. `history`
        says what was read, changed and left out.

    Examples
    --------
    >>> import mne
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((3, 6400))
    >>> raw = mne.io.RawArray(eeg, mne.create_info(["Fz", "Cz", "Pz"], 64.0, "eeg"), verbose="error")
    >>> raw = raw.set_annotations(mne.Annotations([5, 40.5], 0, ["S  1", "S  2"]))
    >>> read_participant(raw, {"S  1": "bach", "S  2": "holst"}, {"bach": 30.0, "holst": 25.0}, name="sub-01")
    Participant(sub-01: 2 trials of 2 sounds, 55 s, 3 channels at 64 Hz)
    >>> read_participant(raw, [(5, "bach"), (40.5, "holst")], 25.0, montage="biosemi64").history
    ('RawArray: 100.000 s at 64 Hz, 3 EEG channels', 'positions: biosemi64', 'onsets from a table')
    """
    import mne

    _checks.one_of("missing", missing, ("raise", "drop"))
    recordings = (str, os.PathLike, mne.io.BaseRaw, mne.BaseEpochs)
    one = isinstance(source, recordings)
    sources: list[Any] = [source] if one or not isinstance(source, Iterable) else list(source)
    strange = [type(each).__name__ for each in sources if not isinstance(each, recordings)]
    if strange or not sources:
        raise TypeError(
            "source: expected the path of a recording, mne.io.Raw or mne.Epochs, got "
            f"{strange[0] if strange else 'none'}. For arrays there is Participant.from_arrays."
        )
    labels = _labels(sources)
    name = _name(sources) if name is None else name
    names = [name] if one else [f"{name}, {label}" for label in labels]
    by_triggers = isinstance(trials, (Mapping, int, np.integer)) or (isinstance(trials, str) and log is not None)
    if one and isinstance(source, mne.BaseEpochs):
        given_options = {"log": log, "stim_channel": stim_channel, "bits": bits}
        useless = [option for option, value in given_options.items() if value is not None]
        useless += [f for f, value in (("duplicates", duplicates), ("missing", missing)) if value != "raise"]
        if useless:
            raise TypeError(
                f"{name}: {', '.join(useless)}: look for triggers in a recording, but source is {type(source).__name__}"
                ", whose events are known. Leave them out, or pass the recording."
            )
    elif not by_triggers and any(option is not None for option in (log, stim_channel, bits)):
        raise ValueError(
            f"{name}: log, stim_channel and bits go with triggers, but trials is {type(trials).__name__}. Leave them "
            "out, or give codes such as {1: 'bach'}."
        )

    for what, given in (("rename", rename), ("channel_types", channel_types)):
        if not isinstance(given, Mapping | None):
            raise TypeError(f"{name}: {what}: expected a dictionary by channel, got {type(given).__name__}.")
    channels = Channels(rename or {}, channel_types or {}, montage, [bads] if isinstance(bads, str) else list(bads))
    raws = []
    for each, where in zip(sources, names, strict=True):
        held = isinstance(each, (mne.io.BaseRaw, mne.BaseEpochs))
        raws.append(channels.changed(each if held else _open(Path(each).expanduser()), where, copy=held))
    channels.warn_of_names(raws[0], name)
    history = [_contents(raw, label) for raw, label in zip(raws, labels, strict=True)] + channels.changes(raws[0])
    if any(isinstance(raw, mne.BaseEpochs) for raw in raws):
        if not one or unit != "V" or tolerance is not None:
            raise ValueError(f"{name}: expected one mne.Epochs in volts, without tolerance. Prepare them with MNE.")
        person = _from_epochs(raws[0], trials, durations, on_nan, name, history)
        return person if only is None else person.only([sound for sound in only if sound in person.stimuli])
    _check_alike(raws, labels, name)

    if by_triggers:
        options: dict[str, Any] = {"stim_channel": stim_channel, "bits": bits, "duplicates": duplicates}
        logs = [log] * len(raws) if one or log is None else list(log)
        starts = _from_triggers(raws, trials, logs, missing, options, names)
        history.append("onsets from triggers" + ("" if log is None else ", checked against the log"))
    else:
        starts = [onsets_from(trials, name)] if one else _one_each(trials, names)
        history.append(f"onsets from {Path(trials).name if isinstance(trials, (str, os.PathLike)) else 'a table'}")
    if only is not None:
        heard = dict.fromkeys(sound for onsets in starts for sound in onsets.stimuli)
        starts = [onsets.only(only) for onsets in starts]
        if not any(onsets.stimuli for onsets in starts):
            raise ValueError(f"{name}: heard none of {_checks.listed(only, 4)}, but {_checks.listed(heard, 4)}.")
    seconds = seconds_of(durations, [sound for onsets in starts for sound in onsets.stimuli], name, history)
    if unit != "V":
        history.append(f"numbers taken as {unit}")
    parts = []
    for raw, onsets, label, where in zip(raws, starts, labels, names, strict=True):
        if only is not None and not onsets.stimuli:
            history.append(f"{label}: left out, it holds other sounds")
            continue
        _check_trials(raw, onsets, seconds, tolerance, where)
        options = {"tolerance": tolerance, "unit": unit, "on_nan": on_nan, "name": where}
        parts.append(cut(_in_order(raw, raws[0]), onsets.seconds, onsets.stimuli, seconds, **options))
        notes = (*onsets.notes, *parts[-1].history)
        history += notes if one else [f"{label}: {note}" for note in (*notes, *_around(raw, onsets, seconds))]
    info = parts[0].info.copy()
    info["bads"] = [channel for channel in info["ch_names"] if any(channel in part.bads for part in parts)]
    return Participant(name, tuple(trial for part in parts for trial in part.trials), info, tuple(history))


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    suffix = _HEADERS.get(path.suffix.lower())
    if suffix and path.with_suffix(suffix).exists():
        raise ValueError(f"{path}: holds no channel names. Read its header, {path.with_suffix(suffix).name}.")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Channel names are not unique", RuntimeWarning)
        try:
            return mne.io.read_raw(path, verbose="warning")
        except Warning as warning:
            if "not unique" not in str(warning):
                raise
            raise ValueError(
                f"{path}: two channels have one name. {warning} Read it with MNE, name them, and pass the Raw."
            ) from warning
        except (ImportError, MemoryError, OSError):
            raise
        except Exception as error:  # a broken file can raise anything
            raise ValueError(
                f"{path}: MNE cannot read it as a recording ({type(error).__name__}: {error}). Is it whole, and is its "
                "suffix right? Epochs are read with `mne.read_epochs` or `mne.read_epochs_eeglab`."
            ) from error


def _labels(sources: Sequence[Any]) -> list[str]:
    """Names of the files without their folders, or of the types."""
    labels = []
    for source in sources:
        if isinstance(source, (str, os.PathLike)):
            labels.append(Path(source).name)
        else:
            files = [file for file in (*getattr(source, "filenames", ()), getattr(source, "filename", None)) if file]
            labels.append(Path(files[0]).name if files else type(source).__name__)
    return labels if len(set(labels)) == len(labels) else [f"{label} ({i})" for i, label in enumerate(labels)]


def _name(sources: Sequence[Any]) -> str:
    names = set()
    for source in sources:
        [label] = _labels([source])
        stem = Path(label.removesuffix(".gz")).stem
        if label == type(source).__name__:  # no file
            stem = str((source.info["subject_info"] or {}).get("his_id") or "participant")
        bids = re.match(r"(sub-[0-9A-Za-z]+)_", stem)
        names.add(bids[1] if bids else stem)
    if len(names) > 1:
        raise ValueError(f"name: which participant is it? The files suggest {listed(sorted(names))}. Pass name=.")
    return names.pop()


def _contents(raw: Any, label: str) -> str:
    kinds = Counter(raw.get_channel_types())
    n_eeg = kinds.pop("eeg", 0)
    left_out = f"; left out: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}" if kinds else ""
    projected = [str(projection["desc"]) for projection in raw.info["projs"]]
    projections = f"; projections: {', '.join(projected)}" if projected else ""
    seconds = len(raw.times) / raw.info["sfreq"]
    contents = f"{seconds:.3f} s at {raw.info['sfreq']:g} Hz, {n_eeg} EEG channels{left_out}{projections}"
    return f"{label}: {'; '.join([contents, *corrections(raw.info)])}"


def _check_alike(raws: Sequence[mne.io.BaseRaw], labels: Sequence[str], name: str) -> None:
    """Say if recordings differ from the first: rates and channels must agree."""
    for raw, label in zip(raws[1:], labels[1:], strict=True):
        rates = [float(each.info["sfreq"]) for each in (raws[0], raw)]
        if rates[0] != rates[1]:
            raise ValueError(
                f"{name}: {labels[0]} has {rates[0]:g} Hz and {label} {rates[1]:g} Hz. Resample one of them with MNE "
                "and pass the Raw, or read them as two participants."
            )
        first, other = set(eeg_channels(raws[0])), set(eeg_channels(raw))
        if first != other:
            raise ValueError(
                f"{name}: EEG channels of {labels[0]} only: {listed(sorted(first - other))}; of {label} only: "
                f"{listed(sorted(other - first))}. Rename them, give their types, or pass Raws of the common ones."
            )
        unlike = differences(raws[0].info, raw.info)
        if unlike:
            warnings.warn(
                f"{name}: {labels[0]} and {label} differ: {'; '.join(unlike)}. One model is fitted to both: bring them "
                "to the same with MNE and pass the Raws, or read them as two participants.",
                stacklevel=3,
            )


def _in_order(raw: mne.io.BaseRaw, first: mne.io.BaseRaw) -> mne.io.BaseRaw:
    return raw if eeg_channels(raw) == eeg_channels(first) else raw.copy().reorder_channels(eeg_channels(first))


def _from_triggers(
    raws: Sequence[mne.io.BaseRaw],
    codes: Any,
    logs: Sequence[Any],
    missing: str,
    options: Mapping[str, Any],
    names: Sequence[str],
) -> list[Onsets]:
    if len(logs) != len(raws) or (len(raws) > 1 and any(isinstance(log, str) for log in logs)):
        raise ValueError(
            f"{names[0]}: log: expected a list of sounds for each of the {len(raws)} recordings, [[...], [...]], got "
            f"{listed(logs)}."
        )
    together = len(raws) > 1 and logs[0] is None  # what has no trigger in one recording may have it in another
    found = [
        find_onsets(raw, codes, log=log, missing="drop" if together else missing, name=name, **options)
        for raw, log, name in zip(raws, logs, names, strict=True)
    ]
    if together and missing == "raise":
        absent = sorted(set(codes.values()) - {sound for onsets in found for sound in onsets.stimuli})
        if absent:
            raise ValueError(
                f"{names[0]} and the others: no trigger starts {listed(absent)}. Take what was not presented out of "
                "`trials`, or pass missing='drop'."
            )
    return found


def _one_each(trials: Any, names: Sequence[str]) -> list[Onsets]:
    """Onsets from one entry per recording."""
    if isinstance(trials, (str, os.PathLike)) or not isinstance(trials, Iterable) or hasattr(trials, "columns"):
        raise TypeError(
            f"{names[0]}: trials: expected one entry per recording, or codes, got {type(trials).__name__}. Write "
            "['bach', 'holst'] for sounds that start with their recordings."
        )
    entries = list(trials)
    if len(entries) != len(names):
        raise ValueError(f"{names[0]}: trials: expected one entry per recording ({len(names)}), got {len(entries)}.")
    pairs = [(0.0, entry) if isinstance(entry, str) else entry for entry in entries]
    return [onsets_from(pair if isinstance(pair, Onsets) else [pair], n) for pair, n in zip(pairs, names, strict=True)]


def _check_trials(
    raw: mne.io.BaseRaw, onsets: Onsets, durations: Mapping[str, float], tolerance: float | None, where: str
) -> None:
    """Say if a sound reaches into the next one, or a gap in the recording into a sound."""
    step = 1 / float(raw.info["sfreq"])
    slack = step if tolerance is None else _checks.positive("tolerance", tolerance, "seconds")
    gaps = interruptions(raw)
    previous, until = "", -np.inf
    for i, (start, sound) in enumerate(zip(onsets.seconds, onsets.stimuli, strict=True)):
        trial = f"trial {i} ({sound})"
        if until - start > slack + 0.5 * step:
            raise ValueError(
                f"{where}: {trial} starts at {start:.3f} s, {until - start:.3f} s before {previous} ends. Is a trigger "
                "one too many, or a duration too long? If all is well, pass tolerance=."
            )
        previous, until = trial, start + durations[sound]
        for gap in gaps:
            if start + step < gap < until - slack:
                raise ValueError(
                    f"{where}: the recording was interrupted at {gap:.3f} s, within {trial}, which runs from "
                    f"{start:.3f} to {until:.3f} s: there EEG and sound part. Leave the trial out, or shorten it."
                )


def _around(raw: mne.io.BaseRaw, onsets: Onsets, durations: Mapping[str, float]) -> list[str]:
    """What is left out around the only sound of a recording."""
    if len(onsets.seconds) > 1:
        return []
    before = onsets.seconds[0]
    after = max(0.0, len(raw.times) / raw.info["sfreq"] - before - durations[onsets.stimuli[0]])
    return [f"{before:.3f} s before and {after:.3f} s after {onsets.stimuli[0]} left out"]


def _from_epochs(
    epochs: mne.BaseEpochs, trials: Any, durations: Any, on_nan: str, name: str, history: list[str]
) -> Participant:
    epochs = epochs.copy().drop_bad(verbose="error")
    stimuli = _of_events(epochs, trials, name, history)
    seconds = None if durations is None else seconds_of(durations, stimuli, name, history)
    person = Participant.from_epochs(epochs, stimuli, durations=seconds, on_nan=on_nan, name=name)
    return replace(person, history=(*history, *person.history))


def _of_events(epochs: mne.BaseEpochs, trials: Any, name: str, history: list[str]) -> list[str]:
    """Sound of each epoch."""
    label = {code: event for event, code in epochs.event_id.items()}
    codes = [int(code) for code in epochs.events[:, 2]]
    if trials is None:
        return [label[code] for code in codes]
    if not isinstance(trials, Mapping):
        several = isinstance(trials, Iterable) and not isinstance(trials, (str, os.PathLike))
        stimuli: list[Any] = list(trials) if several and not hasattr(trials, "columns") else [None]
        wrong = [sound for sound in stimuli if not isinstance(sound, str)]
        if wrong:
            got = type(trials).__name__ + (f" with {wrong[0]!r}" if several and wrong[0] is not None else "")
            raise TypeError(
                f"{name}: trials: expected the sound of each epoch in order, or a dictionary from events to sounds, "
                f"got {got}. Write ['bach', 'holst'] or {{{next(iter(label.values()), 1)!r}: 'bach'}}; epochs are cut "
                "already, so onsets have no place."
            )
        return stimuli
    sounds: dict[int, str] = {}
    for event, sound in trials.items():
        code = epochs.event_id.get(event) if isinstance(event, str) else int(event) if event in label else None
        if not isinstance(sound, str) or not sound:
            raise TypeError(f"{name}: trials[{event!r}]: expected the name of a sound, got {sound!r}.")
        if code not in codes:
            history.append(f"no epoch is of event {event!r} ({sound})")
        elif sounds.setdefault(code, sound) != sound:
            raise ValueError(f"{name}: trials: event {event!r} is given two sounds, {sounds[code]!r} and {sound!r}.")
    without = [label[code] for code in dict.fromkeys(codes) if code not in sounds]
    if without:
        raise ValueError(
            f"{name}: trials: expected a sound for every event, got none for {listed(without)}. Add them, or select "
            "the epochs: `epochs[['bach', 'holst']]`."
        )
    return [sounds[code] for code in codes]
