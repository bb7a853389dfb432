"""EEG brought onto the clock of its sound, and refused while it is not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, overload

import numpy as np

from eegic import _checks
from eegic.eeg.clock import Clock
from eegic.eeg.interpolation import reflected, touched, values_at, weight_blocks
from eegic.eeg.participant import Participant, Trial

if TYPE_CHECKING:
    import mne

_WARN = 0.005  # seconds
_MARK = "clock corrected: "


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
        from the sound's time 0 on: cut it where that clock says that sounds start.
    clock : Clock
    offset : float, or sequence of float of shape (n_trials,), optional
        Participants only, and needed when ``clock.offset`` is not 0. Seconds of EEG in each trial before its sound
        starts: ``clock.offset`` if the times of the clock count from the starts of the trials; 0 if trials were cut at
        ``clock.recording(onsets)``. Negative if the sound was there first.

    Returns
    -------
    Participant, or mne.io.RawArray
        At the same nominal rate. Samples that a trial lacks at the start of its sound are NaN and masked, and it ends
        where its EEG ends: cut trials somewhat longer than their sounds. `history` says what was done; of a continuous
        recording ``info["description"]`` does, which FIF files keep and `read_participant` copies to `history`.

    Notes
    -----
    Values between samples come from 64 neighbours through a Kaiser-windowed sinc (beta 8): up to 0.45 times the
    sampling rate the error is below -75 dB, but for the last few samples of a trial, which is continued by its point
    reflection. A value is masked if a masked sample enters with more than a twentieth of its weight. Stim channels take
    the nearest sample: find triggers before, and move them with ``clock.sound``.

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
        return _corrected_recording(recording, clock)
    offsets = _starts(recording, clock, offset)
    if _is_corrected(recording.history, clock):
        raise ValueError(f"{recording.name}: corrected by this clock already. Start from it as it was recorded.")
    _warn_if_vague(recording, clock)
    history, trials = [*recording.history, _record(clock, offsets)], []
    good = ~np.isin(recording.ch_names, recording.bads)
    for number, (trial, start) in enumerate(zip(recording.trials, offsets, strict=True)):
        where = f"trial {number} ({trial.stimulus})"
        before = start * recording.sfreq
        corrected, lacking = _corrected_trial(trial, clock, before, good, f"{recording.name}, {where}")
        trials.append(corrected)
        changes = [f"{before:.2f} samples cut off before the sound"] if start > 0 else []
        changes += [f"{lacking} samples lack at the start of the sound"] if lacking else []
        if changes or corrected.n_times != trial.n_times:
            changes += [f"{corrected.n_times} of {trial.n_times} left"]
            history.append(f"{where}: {', '.join(changes)}")
    return replace(recording, trials=tuple(trials), history=tuple(history))


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
        As in `correct_clock`.
    sfreq : float, optional
        Rate of the analysis in hertz; by default that of the EEG.

    Returns
    -------
    float
        Largest distance between sound and EEG in any trial, in seconds; 0 if the participant was corrected.

    Examples
    --------
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((3840, 2))
    >>> person = Participant.from_arrays([eeg], ["bach"], 64.0, name="sub-01")
    >>> round(1000 * check_clock(person, Clock(rate=20e-6)), 3)
    1.2
    """
    _check("participant", participant, clock, Participant)
    if _is_corrected(participant.history, clock):
        return 0.0
    offsets = _starts(participant, clock, offset)
    sfreq = participant.sfreq if sfreq is None else _checks.positive("sfreq", sfreq, "hertz")
    seconds = np.array([trial.n_times for trial in participant.trials]) / participant.sfreq
    apart = np.maximum(np.abs(offsets), np.abs(offsets + clock.rate * seconds))
    worst = int(np.argmax(apart))
    text = (
        f"{participant.name}, trial {worst} ({participant.stimuli[worst]}): sound and EEG come apart by "
        f"{1000 * apart[worst]:.1f} ms: {1000 * offsets[worst]:.1f} ms at the start, and a drift of "
        f"{1000 * clock.drift(seconds[worst]):.1f} ms over {seconds[worst]:.1f} s ({clock.ppm:+.1f} ppm)"
    )
    call = f"correct_clock(participant, clock{', offset=...' if offsets.any() else ''})"
    if apart[worst] > 0.5 / sfreq:
        raise ValueError(f"{text}. Half a sample at {sfreq:g} Hz is {500 / sfreq:.1f} ms. Call {call}.")
    if apart[worst] > _WARN:
        warnings.warn(f"{text}. {call} mends it.", stacklevel=2)
    return float(apart[worst])


def _corrected_trial(trial: Trial, clock: Clock, before: float, good: np.ndarray, where: str) -> tuple[Trial, int]:
    """Trial on the clock of its sound, which starts `before` samples into it, and how many lack at its start."""
    step, last = 1 + clock.rate, trial.n_times - 1
    lacking = max(0, int(np.ceil(-before / step - 1e-6)))
    stop = int(np.floor((last - before) / step + 1e-6)) + 1
    if stop <= lacking:
        raise ValueError(
            f"{where}: none of its {trial.n_times} samples is left with an offset of {before:.1f} samples. "
            "It counts seconds from the start of the trial, and is 0 if trials were cut at clock.recording(onsets)."
        )
    positions = np.clip(before + step * np.arange(lacking, stop), 0, last)
    unknown = np.isnan(trial.eeg)
    values = values_at(_bridged(trial.eeg, unknown), positions)
    values[touched(unknown, positions)] = np.nan
    usable = ~touched(~trial.mask[:, None], positions)[:, 0] & np.isfinite(values[:, good]).all(axis=1)
    eeg = np.concatenate([np.full((lacking, values.shape[1]), np.nan), values])
    mask = np.concatenate([np.zeros(lacking, bool), usable])
    eeg.setflags(write=False)
    mask.setflags(write=False)
    return Trial(eeg, trial.stimulus, mask), lacking


def _bridged(eeg: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """EEG with straight lines over gaps, so that they do not spread; channels unknown throughout stay so."""
    gaps = np.flatnonzero(unknown.any(axis=0) & ~unknown.all(axis=0))
    eeg = eeg.copy() if len(gaps) else eeg
    for c in gaps:
        known = np.flatnonzero(~unknown[:, c])
        eeg[:, c] = np.interp(np.arange(len(eeg)), known, eeg[known, c])
    return eeg


def _corrected_recording(raw: mne.io.BaseRaw, clock: Clock) -> mne.io.BaseRaw:
    import mne

    sfreq, last = float(raw.info["sfreq"]), raw.n_times - 1
    if _is_corrected(corrections(raw.info), clock):
        raise ValueError("The recording was corrected by this clock already. Start from it as it was recorded.")
    n_times = int(np.floor((last - clock.offset * sfreq) / (1 + clock.rate) + 1e-6)) + 1
    if clock.offset < 0 or n_times < 1:
        raise ValueError(
            f"The recording of {raw.n_times / sfreq:.3f} s does not contain the zero of the sound's time, which lies "
            f"at {clock.offset:.3f} s. Count from a moment t of the sound inside: clock.since(t), and onsets - t."
        )
    positions = np.clip(clock.offset * sfreq + (1 + clock.rate) * np.arange(n_times), 0, last)
    codes = np.array(raw.get_channel_types()) == "stim"
    data = np.empty((len(raw.ch_names), n_times))
    for rows, samples, beyond, weights in weight_blocks(raw.n_times, positions):
        recorded = raw.get_data(start=samples.start, stop=samples.stop).T
        data[:, rows] = (weights @ reflected(recorded, beyond)).T
        data[codes, rows] = recorded[np.round(positions[rows]).astype(int) - samples.start][:, codes].T
    corrected = mne.io.RawArray(data, raw.info.copy(), verbose="error")
    described = [raw.info["description"]] if raw.info["description"] else []
    corrected.info["description"] = "; ".join([*described, _record(clock, np.array([clock.offset]))])
    notes = raw.annotations
    begins = notes.onset - raw.first_time  # with or without orig_time
    onsets, ends = clock.sound(begins), clock.sound(begins + notes.duration)
    kept = ends > -0.5 / sfreq  # the trigger of a sound that starts at 0 may stand a little before
    onsets, ends = np.maximum((onsets[kept], ends[kept]), 0)
    moved = mne.Annotations(onsets, ends - onsets, notes.description[kept], ch_names=notes.ch_names[kept])
    return corrected.set_annotations(moved, verbose="error")


def corrections(info: mne.Info) -> list[str]:
    """What `correct_clock` wrote into the description of a recording."""
    return re.findall(rf"{_MARK}[^;]*", info["description"] or "")


def _record(clock: Clock, offsets: np.ndarray) -> str:
    first, last = (f"{1000 * offset:.2f}" for offset in (offsets.min(), offsets.max()))
    return f"{_MARK}{clock.ppm:+.2f} ppm, offset {first if first == last else f'{first} to {last}'} ms"


def _is_corrected(history: Iterable[str], clock: Clock) -> bool:
    return any(f"{_MARK}{clock.ppm:+.2f} ppm" in line for line in history)


def _check(what: str, recording: object, clock: object, *kinds: type) -> None:
    if not isinstance(recording, kinds):
        raise TypeError(
            f"{what}: expected {' or '.join(kind.__name__ for kind in kinds)}, got {type(recording).__name__}. "
            "`read_participant` makes a Participant."
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
    given = [0.0 if offset is None else offset] * n_trials if offset is None or np.ndim(offset) == 0 else offset
    offsets = _checks.real_array(f"{participant.name}: offset", given, 1, axes="(n_trials,)")
    if len(offsets) != n_trials or not np.isfinite(offsets).all():
        raise ValueError(f"{participant.name}: offset: expected one number of seconds, or {n_trials}, got {offset!r}.")
    return offsets


def _warn_if_vague(participant: Participant, clock: Clock) -> None:
    longest = max(trial.n_times for trial in participant.trials) / participant.sfreq
    low, high = clock.interval_ppm
    vague = 0.5e-6 * (high - low) * longest
    if vague > 0.5 / participant.sfreq:
        warnings.warn(
            f"{participant.name}: the rate is known to {low:+.0f} to {high:+.0f} ppm, which leaves "
            f"±{1000 * vague:.1f} ms over a trial of {longest:.1f} s. Estimate it over a longer stretch.",
            stacklevel=3,
        )
