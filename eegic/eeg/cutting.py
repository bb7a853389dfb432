"""A continuous recording becomes trials that start when their sounds start."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg.epochs import marks_bad
from eegic.eeg.participant import Participant, as_recorded

if TYPE_CHECKING:
    import mne

_INTERRUPTED = re.compile(r"boundary|^edge|^new segment", re.IGNORECASE)


def cut(
    raw: mne.io.BaseRaw,
    onsets: Sequence[float] | np.ndarray,
    stimuli: Sequence[str],
    durations: Mapping[str, float],
    *,
    tolerance: float | None = None,
    unit: str = "V",
    on_nan: str = "raise",
    name: str = "participant",
    history: Sequence[str] = (),
) -> Participant:
    """Cut a recording at the starts of its sounds.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        EEG channels are taken, bad ones included, others left. Stretches annotated ``BAD_...`` become masks, and so
        does what lies beyond an interruption (two recordings joined, a boundary) within a trial, and what an earlier
        trial holds already: no EEG may be trained on in one trial and tested in another. Nothing more than a trial at
        a time is read, so `raw` need not be loaded.
    onsets : sequence of float, shape (n_trials,)
        When each sound starts, in seconds from the first sample of the recording (as ``raw.times``; annotation onsets
        and event samples of MNE count from an earlier zero where ``raw.first_samp`` is not 0).
    stimuli : sequence of str, shape (n_trials,)
        Which sound started.
    durations : dict of str to float
        Seconds that each sound lasts.
    tolerance : float, optional
        Seconds of its sound that a trial may lack at the end of the recording; by default one sample.
    unit : {"V", "mV", "uV", "µV", "nV"}
        Unit of the numbers in `raw`, if it is not the volts of MNE.
    on_nan : {"raise", "mask"}
        As in `Participant.from_arrays`.
    name : str
        Identity of the participant.
    history : sequence of str
        What was done to the recording before.

    Returns
    -------
    Participant
        `history` says what trials lack and what is masked.
    """
    import mne
    from tqdm import tqdm

    sfreq = float(raw.info["sfreq"])
    picks = mne.pick_types(raw.info, meg=False, eeg=True, exclude=())
    if not len(picks):
        kinds = ", ".join(raw.get_channel_types(unique=True))
        raise ValueError(
            f"{name}: expected EEG channels, got channels of type {kinds}. Say which hold EEG: "
            "`raw.set_channel_types({name: 'eeg'})`."
        )
    onsets = _checks.real_array(f"{name}: onsets", onsets, 1, axes="(n_trials,)")
    if len(onsets) != len(stimuli) or not len(onsets):
        raise ValueError(
            f"{name}: expected one onset per stimulus and at least one, got {len(onsets)} onsets and {len(stimuli)} "
            "stimuli."
        )
    slack = 1 if tolerance is None else round(_checks.positive("tolerance", tolerance, "seconds") * sfreq)
    spans: list[tuple[int, int]] = []
    history, masks, gaps = list(history), [], interruptions(raw)
    for number, (onset, stimulus) in enumerate(zip(onsets, stimuli, strict=True)):
        where = f"{name}, trial {number} ({stimulus})"
        if stimulus not in durations:
            raise ValueError(f"{where}: no duration is given for this sound. Add it to `durations`.")
        wanted = round(_checks.positive(f"durations[{stimulus!r}]", durations[stimulus], "seconds") * sfreq)
        first, stop = _span(raw, onset, wanted, slack, where)
        short = wanted - (stop - first)
        notes = [f"{short} samples short of its sound"] if short else []
        later = [int(gap * sfreq + 1e-6) for gap in gaps if onset + 1 / sfreq < gap]
        mask, lost = _mask(raw, (first, stop), later, spans)
        history += [f"trial {number} ({stimulus}): {note}" for note in notes + lost]
        masks.append(mask)
        spans.append((first, stop))
    shown = tqdm(spans, desc=f"Reading {name}", unit="trial", leave=False, delay=2, disable=None)
    person = Participant.from_arrays(
        (
            _read(raw, picks, span, f"{name}, trial {number} ({stimulus})")
            for number, (span, stimulus) in enumerate(zip(shown, stimuli, strict=True))
        ),
        stimuli,
        sfreq,
        ch_names=[raw.ch_names[pick] for pick in picks],
        montage=mne.pick_info(raw.info, picks).get_montage(),
        masks=masks,
        unit=unit,
        bads=[bad for bad in raw.info["bads"] if raw.ch_names.index(bad) in picks],
        on_nan=on_nan,
        name=name,
        history=history,
    )
    for number, trial in enumerate(person.trials):
        if not trial.mask.any():
            warnings.warn(
                f"{name}, trial {number} ({trial.stimulus}): no sample is usable, all are masked. Leave it out: "
                "`dataclasses.replace(person, trials=[trial for trial in person.trials if trial.mask.any()])`.",
                stacklevel=3,
            )
    return replace(person, info=as_recorded(person.info, raw.info))


def _span(raw: mne.io.BaseRaw, onset: float, wanted: int, slack: int, where: str) -> tuple[int, int]:
    """First and stop sample of a trial, which may lack `slack` of the `wanted` samples at the end of the recording."""
    sfreq = float(raw.info["sfreq"])
    first = round(onset * sfreq) if np.isfinite(onset) else -1
    stop = min(first + wanted, raw.n_times)
    if not 0 <= first < raw.n_times:
        raise ValueError(
            f"{where}: starts at {onset:.3f} s, outside the recording of {raw.n_times / sfreq:.3f} s. Onsets are "
            "seconds from its first sample: subtract `raw.first_time` from those of annotations and events."
        )
    if first + wanted - stop > slack:
        raise ValueError(
            f"{where}: starts at {onset:.3f} s and lasts {wanted / sfreq:.3f} s, but the recording ends "
            f"{(first + wanted - stop) / sfreq:.3f} s before it does. Leave the trial out, or pass tolerance=."
        )
    return first, stop


def _mask(
    raw: mne.io.BaseRaw, span: tuple[int, int], gaps: Sequence[int], earlier: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, list[str]]:
    """Usable samples of a trial, and what is not: bad ones, those after a gap, and those of an earlier trial."""
    (first, stop), sfreq, notes = span, float(raw.info["sfreq"]), []
    mask = ~bad_samples(raw, first, stop)
    if not mask.all():
        notes.append(f"{(~mask).mean():.1%} masked by BAD_ annotations")
    gap = min(gaps, default=stop)
    if gap < stop:
        mask[gap - first :] = False
        notes.append(f"the last {(stop - gap) / sfreq:.3f} s masked, after an interruption")
    for other, (begin, end) in enumerate(earlier):
        shared = slice(max(first, begin) - first, max(0, min(stop, end) - first))
        lost = int(mask[shared].sum())
        mask[shared] = False
        if lost:
            notes.append(f"{lost / sfreq:.3f} s masked, which trial {other} holds")
    return mask, notes


def _read(raw: mne.io.BaseRaw, picks: np.ndarray, span: tuple[int, int], where: str) -> np.ndarray:
    try:
        return np.asarray(raw.get_data(picks, *span, verbose="error").T)
    except (ImportError, MemoryError, OSError):
        raise
    except Exception as error:  # a broken file can raise anything
        sfreq = float(raw.info["sfreq"])
        raise ValueError(
            f"{where}: the recording cannot be read from {span[0] / sfreq:.3f} to {span[1] / sfreq:.3f} s "
            f"({type(error).__name__}: {error}). The file is damaged or cut short: copy it again from its source, or "
            "leave the trial out."
        ) from error


def differences(info: mne.Info, other: mne.Info) -> list[str]:
    """In what else two recordings of the same EEG channels differ."""
    words = []
    for what, both in (
        ("reference", [_reference(each) for each in (info, other)]),
        ("high-pass", [f"{each['highpass'] or 0:g} Hz" for each in (info, other)]),
        ("low-pass", [f"{each['lowpass'] or 0:g} Hz" for each in (info, other)]),
    ):
        if both[0] != both[1]:
            words.append(f"{what} {both[0]} and {both[1]}")
    places = [{channel["ch_name"]: channel["loc"][:3] for channel in each["chs"]} for each in (info, other)]
    both_have = [name for name in places[0] if name in places[1]]  # others are no EEG
    moved = [name for name in both_have if not np.allclose(places[0][name], places[1][name], atol=0.01, equal_nan=True)]
    return [*words, f"positions of {', '.join(moved)}"] if moved else words


def _reference(info: mne.Info) -> str:
    applied = [str(projection["desc"]) for projection in info["projs"] if projection["active"]]
    return ", ".join([*(["changed"] if info["custom_ref_applied"] else []), *applied]) or "as recorded"


def interruptions(raw: mne.io.BaseRaw) -> list[float]:
    """Where recordings were joined or paused, in seconds from the first sample."""
    return [float(a["onset"] - raw.first_time) for a in raw.annotations if _INTERRUPTED.search(a["description"])]


def bad_samples(raw: mne.io.BaseRaw, first: int, stop: int) -> np.ndarray:
    """Samples in or beside (half a sample) an annotation that starts with BAD, shape (stop - first,)."""
    sfreq = float(raw.info["sfreq"])
    bad = np.zeros(stop - first, bool)
    for note in raw.annotations:
        if marks_bad(note["description"]):
            start = (note["onset"] - raw.first_time) * sfreq - first  # with or without orig_time
            end = start + note["duration"] * sfreq
            bad[max(0, int(np.floor(start - 0.5)) + 1) : max(0, int(np.ceil(end + 0.5)))] = True
    return bad
