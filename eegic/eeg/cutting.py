"""A continuous recording becomes trials that start when their sounds start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg.participant import Participant

if TYPE_CHECKING:
    import mne


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
        EEG channels are taken, bad ones included, others left. Stretches annotated ``BAD_...`` become masks. Nothing
        more than a trial at a time is read, so `raw` need not be loaded.
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
    history, spans, masks = list(history), [], []
    for number, (onset, stimulus) in enumerate(zip(onsets, stimuli, strict=True)):
        where = f"{name}, trial {number} ({stimulus})"
        if stimulus not in durations:
            raise ValueError(f"{where}: no duration is given for this sound. Add it to `durations`.")
        wanted = round(_checks.positive(f"durations[{stimulus!r}]", durations[stimulus], "seconds") * sfreq)
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
        if first + wanted > stop:
            history.append(f"trial {number} ({stimulus}): {first + wanted - stop} samples short of its sound")
        spans.append((first, stop))
        masks.append(~bad_samples(raw, first, stop))
        if not masks[-1].all():
            lost = (~masks[-1]).mean()
            history.append(f"trial {number} ({stimulus}): {lost:.1%} masked by BAD_ annotations")
    shown = tqdm(spans, desc=f"Reading {name}", unit="trial", leave=False, delay=2, disable=None)
    return Participant.from_arrays(
        (raw.get_data(picks, first, stop, verbose="error").T for first, stop in shown),
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


def bad_samples(raw: mne.io.BaseRaw, first: int, stop: int) -> np.ndarray:
    """Samples in or beside (half a sample) an annotation that starts with BAD, shape (stop - first,)."""
    sfreq = float(raw.info["sfreq"])
    bad = np.zeros(stop - first, bool)
    for note in raw.annotations:
        if note["description"].upper().startswith("BAD"):
            start = (note["onset"] - raw.first_time) * sfreq - first  # with or without orig_time
            end = start + note["duration"] * sfreq
            bad[max(0, int(np.floor(start - 0.5)) + 1) : max(0, int(np.ceil(end + 0.5)))] = True
    return bad
