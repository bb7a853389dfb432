"""A melody: notes, and how surprising each of them is given those before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.series import FeatureSeries

KINDS = ("pitch", "timing", "both")


@dataclass(frozen=True, eq=False)
class Melody:
    """Notes in order, with their surprisal in bits.

    Parameters
    ----------
    pitches : array_like of int, shape (n_notes,)
        MIDI numbers (60 is middle C).
    onsets : array_like of float, shape (n_notes,)
        Seconds from the start of the piece, strictly increasing.
    durations : array_like of float, shape (n_notes,)
        Seconds for which each note is held.
    velocities : array_like of int, shape (n_notes,)
        How hard each note is played, 1 to 127.
    pitch_surprisal, timing_surprisal : array_like of float, shape (n_notes,)
        Bits: minus the binary logarithm of the probability that the note has this pitch, and comes at this time,
        given all earlier notes.
    duration : float
        Length of the piece in seconds.
    tonic : int
        MIDI number of the key note.
    bar : float
        Length of a bar in seconds; the first bar starts with the piece.

    Examples
    --------
    >>> tune = Melody([60, 67], [0, 0.5], [0.4, 0.4], [80, 80], [2.0, 3.5], [0.0, 1.5], duration=1.0, tonic=60, bar=2.0)
    >>> tune
    Melody(2 notes in 1.0 s, 2.75 + 0.75 bits per note for pitch and timing)
    >>> tune.surprisal("both").values[:, 0]
    array([2., 5.])
    """

    pitches: np.ndarray
    onsets: np.ndarray
    durations: np.ndarray
    velocities: np.ndarray
    pitch_surprisal: np.ndarray
    timing_surprisal: np.ndarray
    duration: float
    tonic: int
    bar: float

    def __post_init__(self) -> None:
        fields = ("pitches", "onsets", "durations", "velocities", "pitch_surprisal", "timing_surprisal")
        arrays = {name: _checks.real_array(name, getattr(self, name), 1, axes="(n_notes,)") for name in fields}
        duration = _checks.positive("duration", self.duration, "seconds")
        _check_notes(arrays, duration)
        arrays["pitches"] = _whole_numbers("pitches", arrays["pitches"], 0)
        arrays["velocities"] = _whole_numbers("velocities", arrays["velocities"], 1)
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "duration", duration)
        object.__setattr__(self, "tonic", _checks.count("tonic", self.tonic, minimum=0))
        object.__setattr__(self, "bar", _checks.positive("bar", self.bar, "seconds"))

    @property
    def n_notes(self) -> int:
        """Number of notes."""
        return len(self.pitches)

    def __repr__(self) -> str:
        """Size and mean surprisal."""
        return (
            f"Melody({self.n_notes} notes in {self.duration:.1f} s, {self.pitch_surprisal.mean():.2f} + "
            f"{self.timing_surprisal.mean():.2f} bits per note for pitch and timing)"
        )

    def surprisal(self, kind: str = "both") -> FeatureSeries:
        """Return the surprisal of each note at its onset.

        Parameters
        ----------
        kind : {"pitch", "timing", "both"}
            Of what the note is, of when it comes, or of the note as a whole: the sum of the two.

        Returns
        -------
        FeatureSeries
            One value per note, in bits, named ``pitch surprisal``, ``timing surprisal`` or ``surprisal``. Bring it onto
            a clock with ``resample(sfreq, duration=melody.duration, kind="impulse")``.
        """
        _checks.one_of("kind", kind, KINDS)
        if kind == "both":
            return FeatureSeries(self.pitch_surprisal + self.timing_surprisal, self.onsets, "surprisal")
        return FeatureSeries(getattr(self, f"{kind}_surprisal"), self.onsets, f"{kind} surprisal")


def _check_notes(arrays: dict[str, np.ndarray], duration: float) -> None:
    n_notes = len(arrays["pitches"])
    if not n_notes:
        raise ValueError("pitches: expected at least one note, got none.")
    for name, array in arrays.items():
        if len(array) != n_notes:
            raise ValueError(f"{name}: expected one value per note ({n_notes}), got {len(array)}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, got {array[~np.isfinite(array)][0]}.")
    onsets = arrays["onsets"]
    if onsets[0] < 0 or onsets[-1] >= duration or (np.diff(onsets) <= 0).any():
        raise ValueError(
            f"onsets: expected strictly increasing seconds within 0 to {duration:g}, got {onsets.min():g} to "
            f"{onsets.max():g}. Sort the notes by onset, and give the `duration` of the whole piece."
        )
    if (arrays["durations"] <= 0).any():
        raise ValueError(f"durations: expected positive seconds, got {arrays['durations'].min():g}.")


def _whole_numbers(name: str, array: np.ndarray, lowest: int) -> np.ndarray:
    wrong = (array != np.round(array)) | (array < lowest) | (array > 127)
    if wrong.any():
        raise ValueError(f"{name}: expected whole MIDI numbers from {lowest} to 127, got {array[wrong][0]:g}.")
    return array.astype(np.int64)
