"""What `mne.Epochs` say of themselves, and which annotations mark what is bad."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mne

_BAD = re.compile(r"(comment/)?bad", re.IGNORECASE)  # MNE puts "Comment/" before what BrainVision files hold
_A_FEW = 16  # samples that are compared before all are


def marks_bad(description: str) -> bool:
    """Whether an annotation marks a stretch to leave out: ``BAD_...``, or in BrainVision files ``Comment/BAD_...``."""
    return _BAD.match(description) is not None


def annotated_bad(epochs: mne.Epochs) -> np.ndarray:
    """Samples of each epoch in or beside (half a sample) an annotation starting with BAD, shape (n_epochs, n_times)."""
    bad = np.zeros((len(epochs), len(epochs.times)), bool)
    half = 0.5 / epochs.info["sfreq"]
    for row, stretches in zip(bad, epochs.get_annotations_per_epoch(), strict=True):
        for onset, duration, description in stretches:
            if marks_bad(description):
                row |= (epochs.times > onset - half) & (epochs.times < onset + duration + half)
    return bad


def before_cutting(epochs: mne.Epochs) -> list[str]:
    """What was done to epochs, as far as they know."""
    info, notes = epochs.info, [f"epochs from {epochs.tmin:g} to {epochs.tmax:g} s"]
    if epochs.baseline is not None:
        notes.append("baseline of {:g} to {:g} s subtracted".format(*epochs.baseline))
    if info["highpass"]:
        notes.append(f"high-pass {info['highpass']:g} Hz")
    if info["lowpass"] and info["lowpass"] < 0.5 * info["sfreq"]:
        notes.append(f"low-pass {info['lowpass']:g} Hz")
    projected = [str(projection["desc"]) for projection in info["projs"] if projection["active"]]
    if projected:
        notes.append(f"projections: {', '.join(projected)}")
    reasons = Counter(reason for why in epochs.drop_log if "IGNORED" not in why for reason in dict.fromkeys(why))
    dropped = sum(bool(why) and "IGNORED" not in why for why in epochs.drop_log)
    if dropped:
        listed = ", ".join(f"{reason} ({n})" for reason, n in reasons.items())
        notes.append(f"{dropped} of {dropped + len(epochs)} dropped before: {listed}")
    return ["; ".join(notes)]


def held_twice(trials: Sequence[np.ndarray], onsets: np.ndarray) -> Iterator[tuple[int, int, slice]]:
    """A trial, an earlier one, and the samples that both hold.

    Onsets of epochs alone do not tell: those of epochs made of arrays may be 0, 1, 2. So what overlaps must be the
    same, but for a baseline. Not found in epochs that were resampled, whose onsets count samples of the recording.
    """
    for number, other in permutations(range(len(trials)), 2):
        begin = int(onsets[number] - onsets[other])
        if begin > 0 or (begin == 0 and other < number):
            one, before = trials[number], trials[other][begin:]
            n = min(len(one), len(before))
            if n > 1 and all(_parallel(one[:m], before[:m]) for m in (min(n, _A_FEW), n)):
                yield number, other, slice(0, n)


def _parallel(x: np.ndarray, y: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        steps = np.diff(x, axis=0), np.diff(y, axis=0)
    size = np.nan_to_num(np.abs(steps[0]), posinf=0).max()
    return bool(size > 0 and np.allclose(*steps, rtol=0, atol=1e-6 * size, equal_nan=True))
