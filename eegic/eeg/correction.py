"""EEG brought onto the clock of its sound, and refused while it is not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, overload

import numpy as np

from eegic import _checks
from eegic.eeg.clock import Clock
from eegic.eeg.cutting import bad_samples
from eegic.eeg.filtering import bridge
from eegic.eeg.interpolation import reflected, touched, values_at, weight_blocks
from eegic.eeg.participant import Participant, Trial

if TYPE_CHECKING:
    import mne

_WARN = 0.005  # seconds
_AROUND = 2048  # samples beside those that values are made of, in which a line over what is lost finds its end
_MARK = "clock corrected: "
_NUMBERS = re.compile(_MARK + r"(\S+) ppm, offset (\S+) ms")
_RECORDING = re.compile(r": \S+ s at \S+ Hz, \d+ EEG channels")  # what `read_participant` says of each


@overload
def correct_clock(
    recording: Participant, clock: Clock, *, offset: float | Sequence[float] | None = None
) -> Participant: ...
@overload
def correct_clock(recording: mne.io.BaseRaw, clock: Clock, *, offset: None = None) -> mne.io.BaseRaw: ...
def correct_clock(
    recording: Participant | mne.io.BaseRaw, clock: Clock, *, offset: float | Sequence[float] | None = None
) -> Participant | mne.io.BaseRaw:
    """Bring EEG onto the clock of the sound.

    Parameters
    ----------
    recording : Participant, or mne.io.BaseRaw
        A continuous recording is best, for nothing is lost at the edges of trials. It comes back on the sound's clock,
        from the sound's time 0 on: cut it where that clock says that sounds start. Of several, each has its own clock:
        correct them one by one, and read them together. What was corrected before is refused.
    clock : Clock
    offset : float, or sequence of float of shape (n_trials,), optional
        Participants only, and needed when ``clock.offset`` is not 0. Seconds of EEG in each trial before its sound
        starts: ``clock.offset`` if the times of the clock count from the starts of the trials; 0 if trials were cut at
        ``clock.recording(onsets)``. Cutting rounds to a sample, so that up to half a sample stays in with 0; pass what
        is left to be exact: ``at - np.round(sfreq * at) / sfreq`` with ``at = clock.recording(onsets)``. Negative if
        the sound was there first.

    Returns
    -------
    Participant, or mne.io.RawArray
        At the same nominal rate. Samples that a trial lacks at the start of its sound are NaN and masked, and it ends
        where its EEG ends: cut trials somewhat longer than their sounds. `history` says what was done; of a continuous
        recording ``info["description"]`` does, which FIF files keep and `read_participant` copies to `history`.

    Notes
    -----
    Values between samples come from 64 neighbours through a Kaiser-windowed sinc (beta 8): up to 0.45 times the
    sampling rate the error is below -75 dB, but for some samples beside what is masked and at the end of a trial, which
    is continued by its point reflection. So that artefacts do not spread, straight lines first replace what is masked,
    annotated ``BAD_...`` or NaN, as in `preprocess`; NaN is NaN again afterwards. Values that such a sample enters with
    more than a twentieth of its weight are masked, or, in a continuous recording, annotated ``BAD_interpolated``.

    Stim channels take the nearest sample: find triggers before, and move them with ``clock.sound``. Channels of type
    misc, such as recorded sound, keep what is annotated.

    Examples
    --------
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((6400, 2))
    >>> person = Participant.from_arrays([eeg], ["bach"], 64.0)
    >>> for line in correct_clock(person, Clock(rate=200e-6, offset=0.037), offset=0.037).history:
    ...     print(line)
    clock corrected: +200.00 ppm, offset 37.00 ms
    trial 0 (bach): 2.37 samples cut off before the sound, 6396 of 6400 left
    """
    import mne

    _check("recording", recording, clock, Participant, mne.io.BaseRaw)
    if isinstance(recording, mne.io.BaseRaw):
        if offset is not None:
            raise ValueError("offset: a continuous recording is moved by the clock's own. Leave it out.")
        corrected = _corrected_recording(recording, clock)
        seconds = recording.n_times / recording.info["sfreq"]
        at = f"at the ends of a recording of {seconds:.1f} s"
        _warn_if_vague("The recording", clock, 0.5 * seconds, at, recording.info["sfreq"])
        return corrected
    person = _corrected_participant(recording, clock, offset)
    longest = max(trial.n_times for trial in recording.trials) / recording.sfreq
    _warn_if_vague(recording.name, clock, longest, f"over a trial of {longest:.1f} s", recording.sfreq)
    return person


def check_clock(
    participant: Participant,
    clock: Clock,
    *,
    offset: float | Sequence[float] | None = None,
    sfreq: float | None = None,
) -> float:
    """Refuse trials in which sound and EEG come apart by more than half a sample, and warn above 5 ms.

    Parameters
    ----------
    participant : Participant
    clock : Clock
    offset : float, or sequence of float of shape (n_trials,), optional
        As in `correct_clock`. Not needed for a participant who was corrected.
    sfreq : float, optional
        Rate of the analysis in hertz; by default that of the EEG.

    Returns
    -------
    float
        Largest distance between sound and EEG in any trial, in seconds; 0 if the participant, or every recording of
        theirs, was corrected by this clock (its rate to 0.01 ppm and its offset to 0.01 ms).

    Notes
    -----
    If it was another clock, what is left counts: the difference of the offsets, and that of the rates over a trial. How
    far these two clocks come apart before a trial starts is not known here.

    Examples
    --------
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((3840, 2))
    >>> person = Participant.from_arrays([eeg], ["bach"], 64.0, name="sub-01")
    >>> round(1000 * check_clock(person, Clock(rate=20e-6)), 3)
    1.2
    """
    _check("participant", participant, clock, Participant)
    done = _corrected_by(participant)
    if done is None:
        offsets, left, remedy = _starts(participant, clock, offset), clock, ""
    elif _digits(done) == _digits(clock):
        return 0.0
    else:
        left = Clock((1 + clock.rate) / (1 + done.rate) - 1, (clock.offset - done.offset) / (1 + done.rate))
        offsets = np.full(len(participant.trials), left.offset)
        remedy = f"It was corrected by another clock ({_record(done)[len(_MARK) :]}). Start from the recording as made."
    sfreq = participant.sfreq if sfreq is None else _checks.positive("sfreq", sfreq, "hertz")
    seconds = np.array([trial.n_times for trial in participant.trials]) / participant.sfreq
    apart = np.maximum(np.abs(offsets), np.abs(offsets + left.rate * seconds))
    worst = int(np.argmax(apart))
    text = (
        f"{participant.name}, trial {worst} ({participant.stimuli[worst]}): sound and EEG come apart by "
        f"{1000 * apart[worst]:.1f} ms: {1000 * offsets[worst]:.1f} ms at the start, and a drift of "
        f"{1000 * left.drift(seconds[worst]):.1f} ms over {seconds[worst]:.1f} s ({left.ppm:+.1f} ppm)"
    )
    call = f"correct_clock(participant, clock{', offset=...' if offsets.any() else ''})"
    if apart[worst] > 0.5 / sfreq:
        half = f"Half a sample at {sfreq:g} Hz is {500 / sfreq:.1f} ms"
        raise ValueError(f"{text}. {half}. {remedy or f'Call {call}.'}")
    if apart[worst] > _WARN:
        warnings.warn(f"{text}. {remedy or f'{call} mends it.'}", stacklevel=2)
    return float(apart[worst])


def _corrected_participant(
    participant: Participant, clock: Clock, offset: float | Sequence[float] | None
) -> Participant:
    _refuse_twice(participant.name, [line for line in _done_to(participant) if line])
    offsets = _starts(participant, clock, offset)
    for number, trial in enumerate(participant.trials):
        seconds = trial.n_times / participant.sfreq
        if abs(offsets[number]) > 0.5 * seconds:
            raise ValueError(
                f"{participant.name}, trial {number} ({trial.stimulus}): an offset of {offsets[number]:g} s is more "
                f"than half of its {seconds:.1f} s. It counts seconds (not milliseconds) from the start of the trial "
                "to that of its sound, and is 0 if trials were cut at clock.recording(onsets)."
            )
    history, trials = [*participant.history, _record(clock, offsets)], []
    good = ~np.isin(participant.ch_names, participant.bads)
    for number, (trial, start) in enumerate(zip(participant.trials, offsets, strict=True)):
        where = f"trial {number} ({trial.stimulus})"
        before = start * participant.sfreq
        corrected, lacking = _corrected_trial(trial, clock, before, good)
        trials.append(corrected)
        changes = [f"{before:.2f} samples cut off before the sound"] if start > 0 else []
        changes += [f"{lacking} samples lack at the start of the sound"] if lacking else []
        if changes or corrected.n_times != trial.n_times:
            changes += [f"{corrected.n_times} of {trial.n_times} left"]
            history.append(f"{where}: {', '.join(changes)}")
    return replace(participant, trials=tuple(trials), history=tuple(history))


def _corrected_trial(trial: Trial, clock: Clock, before: float, good: np.ndarray) -> tuple[Trial, int]:
    """Trial on the clock of its sound, which starts `before` samples into it, and how many lack at its start."""
    step, last = 1 + clock.rate, trial.n_times - 1
    lacking = max(0, int(np.ceil(-before / step - 1e-6)))
    stop = int(np.floor((last - before) / step + 1e-6)) + 1
    positions = np.clip(before + step * np.arange(lacking, stop), 0, last)
    unknown = np.isnan(trial.eeg)
    masked = ~trial.mask if trial.mask.any() else np.zeros(trial.n_times, bool)
    values = values_at(_bridged(trial.eeg, unknown, masked[:, None]), positions)
    values[touched(unknown, positions)] = np.nan
    usable = ~touched(~trial.mask[:, None], positions)[:, 0] & np.isfinite(values[:, good]).all(axis=1)
    eeg = np.concatenate([np.full((lacking, values.shape[1]), np.nan), values])
    mask = np.concatenate([np.zeros(lacking, bool), usable])
    eeg.setflags(write=False)
    mask.setflags(write=False)
    return Trial(eeg, trial.stimulus, mask), lacking


def _bridged(eeg: np.ndarray, unknown: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """EEG with straight lines over what is lost, so that it does not spread; channels unknown throughout stay so."""
    lost = unknown | masked
    lost = np.where(lost.all(axis=0), unknown, lost)
    gaps = np.flatnonzero(lost.any(axis=0) & ~unknown.all(axis=0))
    eeg = eeg.copy() if len(gaps) else eeg
    for c in gaps:
        bridge(eeg[:, c], lost[:, c])
    return eeg


def _corrected_recording(raw: mne.io.BaseRaw, clock: Clock) -> mne.io.BaseRaw:
    import mne

    sfreq, last = float(raw.info["sfreq"]), raw.n_times - 1
    _refuse_twice("The recording", corrections(raw.info))
    n_times = int(np.floor((last - clock.offset * sfreq) / (1 + clock.rate) + 1e-6)) + 1
    if clock.offset * sfreq < -0.5 or n_times < 1:
        raise ValueError(
            f"The recording of {raw.n_times / sfreq:.3f} s does not contain the zero of the sound's time, which lies "
            f"at {clock.offset:.3f} s. Count from a moment t of the sound inside: clock.since(t), and onsets - t."
        )
    positions = np.clip(clock.offset * sfreq + (1 + clock.rate) * np.arange(n_times), 0, last)
    bad = bad_samples(raw, 0, raw.n_times)
    corrected = mne.io.RawArray(_moved(raw, positions, bad), raw.info.copy(), verbose="error")
    described = [raw.info["description"]] if raw.info["description"] else []
    corrected.info["description"] = "; ".join([*described, _record(clock)])
    corrected.filenames = [file for file in raw.filenames if file and file.exists()][:1] or [None]  # names the listener
    notes = raw.annotations
    begins = notes.onset - raw.first_time  # with or without orig_time
    onsets, ends = clock.sound(begins), clock.sound(begins + notes.duration)
    kept = ends > -0.5 / sfreq  # the trigger of a sound that starts at 0 may stand a little before
    if not kept.all():
        warnings.warn(
            f"The recording: {(~kept).sum()} annotations end before the zero of the sound's time, at "
            f"{clock.offset:.3f} s, and are left out: {_checks.listed(dict.fromkeys(notes.description[~kept]))}. If "
            "they are needed, count from an earlier moment t: clock.since(t), and onsets - t.",
            stacklevel=3,
        )
    moved = notes[kept]
    moved.onset, ends = np.maximum((onsets[kept], ends[kept]), 0)
    moved.duration = ends - moved.onset
    corrected.set_annotations(moved, verbose="error")
    beside = touched(bad[:, None], positions)[:, 0] & ~bad_samples(corrected, 0, n_times)
    edges = np.flatnonzero(np.diff(beside, prepend=False, append=False))
    for first, stop in edges.reshape(-1, 2):
        corrected.annotations.append(first / sfreq, (stop - 1 - first) / sfreq, "BAD_interpolated")
    return corrected


def _moved(raw: mne.io.BaseRaw, positions: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Values of a recording between its samples, shape (n_channels, n_positions), read piece by piece."""
    kinds = np.array(raw.get_channel_types())
    codes, bridged = kinds == "stim", ~np.isin(kinds, ("stim", "misc"))
    data = np.empty((len(kinds), len(positions)))
    for rows, samples, beyond, weights in weight_blocks(raw.n_times, positions):
        first, stop = max(0, samples.start - _AROUND), min(raw.n_times, samples.stop + _AROUND)
        recorded = raw.get_data(start=first, stop=stop).T
        unknown = np.isnan(recorded)
        whole = _bridged(recorded, unknown, bad[first:stop, None] & bridged)
        data[:, rows] = (weights @ reflected(whole[samples.start - first : samples.stop - first], beyond)).T
        data[:, rows][touched(unknown, positions[rows] - first).T] = np.nan
        data[codes, rows] = recorded[np.round(positions[rows]).astype(int) - first][:, codes].T
    return data


def corrections(info: mne.Info) -> list[str]:
    """What `correct_clock` wrote into the description of a recording."""
    return re.findall(rf"{_MARK}[^;]*", info["description"] or "")


def _digits(clock: Clock) -> tuple[float, float]:
    """Rate in ppm and offset in ms as they are written down, by which a clock is known again; no -0.0."""
    return round(clock.ppm, 2) + 0.0, round(1000 * clock.offset, 2) + 0.0


def _record(clock: Clock, offsets: np.ndarray | None = None) -> str:
    record = "{}{:+.2f} ppm, offset {:.2f} ms".format(_MARK, *_digits(clock))
    if offsets is None or np.allclose(offsets, clock.offset, rtol=0, atol=5e-6):
        return record
    first, last = (f"{1000 * offset:.2f}" for offset in (offsets.min(), offsets.max()))
    return f"{record} (of trials {first if first == last else f'{first} to {last}'} ms)"


def _done_to(participant: Participant) -> list[str]:
    """What a participant was corrected by, or each of their recordings; empty texts where they were not."""
    trials = [line for line in participant.history if line.startswith(_MARK)]
    rest = dropwhile(lambda line: not _RECORDING.search(line), participant.history)
    recordings = list(takewhile(_RECORDING.search, rest))  # one after the other, before what was done to them
    return trials or [line[line.index(_MARK) :] if _MARK in line else "" for line in recordings]


def _corrected_by(participant: Participant) -> Clock | None:
    """The clock that a participant was corrected by; there must not be several."""
    done = _done_to(participant)
    if not any(done):
        return None
    numbers = [_NUMBERS.match(line) for line in done]
    clocks = [Clock(1e-6 * float(found[1]), 1e-3 * float(found[2])) for found in numbers if found]
    if len(clocks) < len(done) or len(set(map(_digits, clocks))) > 1:
        parts = "; ".join(f"recording {i}: {line[len(_MARK) :] or 'as made'}" for i, line in enumerate(done))
        raise ValueError(
            f"{participant.name}: the recordings were not corrected by one clock ({parts}). Each has its own: correct "
            "them one by one, and check each by its own clock, read alone."
        )
    return clocks[0]


def _refuse_twice(name: str, done: Sequence[str]) -> None:
    if done:
        by = "; ".join(line[len(_MARK) :] for line in dict.fromkeys(done))
        raise ValueError(f"{name}: corrected already, by {by}. Start from the recording as made.")


def _check(what: str, recording: object, clock: object, *kinds: type) -> None:
    import mne

    if not isinstance(recording, kinds):
        remedy = "`read_participant` makes a Participant."
        if isinstance(recording, mne.BaseEpochs):
            remedy = "Correct the continuous recording before it is cut into epochs."
        elif isinstance(recording, (list, tuple)):
            remedy = "Correct recordings one by one, each with its own clock, then read them together."
        raise TypeError(
            f"{what}: expected {' or '.join(kind.__name__ for kind in kinds)}, got {type(recording).__name__}. {remedy}"
        )
    if not isinstance(clock, Clock):
        raise TypeError(f"clock: expected a Clock, got {type(clock).__name__}. `clock_from_triggers` makes one.")


def _starts(participant: Participant, clock: Clock, offset: float | Sequence[float] | None) -> np.ndarray:
    """Seconds from the start of each trial to its sound, shape (n_trials,)."""
    if offset is None and clock.offset != 0:
        raise ValueError(
            f"{participant.name}: the clock has an offset of {1000 * clock.offset:.1f} ms. Say whether trials have it, "
            "too: offset=clock.offset if its times count from the starts of trials, offset=0 if trials were cut at "
            "clock.recording(onsets)."
        )
    n_trials = len(participant.trials)
    if offset is not None and _checks.array("offset", offset, axes="(n_trials,)").dtype.kind == "b":
        raise TypeError(f"{participant.name}: offset: expected seconds, got {offset!r}. Write offset=clock.offset.")
    given = [0.0 if offset is None else offset] * n_trials if offset is None or np.ndim(offset) == 0 else offset
    offsets = _checks.real_array(f"{participant.name}: offset", given, 1, axes="(n_trials,)")
    if len(offsets) != n_trials or not np.isfinite(offsets).all():
        raise ValueError(f"{participant.name}: offset: expected one number of seconds, or {n_trials}, got {offset!r}.")
    return offsets


def _warn_if_vague(name: str, clock: Clock, reach: float, over: str, sfreq: float) -> None:
    """Warn if, `reach` seconds away, the interval of the rate leaves more than half a sample, or if there is none."""
    low, high = clock.interval_ppm
    vague = 0.5e-6 * (high - low) * reach
    if clock.n == 2:
        known, leaves = "rests on two pairs of times, which do not tell how well it is known", ""
    elif vague > max(0.5 / sfreq, _WARN):
        known = f"is known to {low:+.0f} to {high:+.0f} ppm"
        leaves = f", which leaves ±{1000 * vague:.1f} ms {over}"
    else:
        return
    warnings.warn(
        f"{name}: the rate {known}{leaves}. Estimate it over a longer stretch, with more pairs.", stacklevel=3
    )
