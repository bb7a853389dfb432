"""Scores: the notes of a piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.datasets.melody import Melody
from eegic.series import TIME_TOLERANCE, FeatureSeries

PERCUSSION = 10  # the channel on which pitches are drums, counted from 1
KINDS = ("onset", "pitch", "velocity")
MOST_TRACKS = 32767  # the header of a MIDI file counts no further


@dataclass(frozen=True, eq=False)
class Score:
    """The notes of a piece, of one voice or of many.

    Parameters
    ----------
    onsets : array_like of float, shape (n_notes,)
        Seconds from the start of the piece. Notes are put in order of onset, then of pitch.
    durations : array_like of float, shape (n_notes,)
        Seconds for which each note is held, by the key or by the pedal; 0 for a hit.
    pitches : array_like of int, shape (n_notes,)
        MIDI numbers (60 is middle C); on channel 10 the number of a drum.
    velocities : int or array_like of int, shape (n_notes,)
        How hard each note is played, 1 to 127.
    channels : int or array_like of int, shape (n_notes,)
        1 to 16; 10 is percussion.
    programs : int or array_like of int, shape (n_notes,)
        The instrument, 0 to 127 as in files; 0 is a grand piano.
    tracks : int or array_like of int, shape (n_notes,)
        Track of the file, from 0; often one per hand or player.
    name : str
        Which piece this is.
    duration : float, optional
        Length of the piece in seconds, by default until the last note is let go.

    Examples
    --------
    >>> score = Score([0.0, 0.5, 0.5], [0.5, 1.0, 1.0], [60, 64, 67], name="chord")
    >>> score
    Score(chord: 3 notes in 1.5 s, pitches 60 to 67)
    >>> score.impulses("pitch").values[:, 0]
    array([60., 67.])
    """

    onsets: np.ndarray
    durations: np.ndarray
    pitches: np.ndarray
    velocities: np.ndarray
    channels: np.ndarray
    programs: np.ndarray
    tracks: np.ndarray
    name: str
    duration: float

    def __init__(
        self,
        onsets: object,
        durations: object,
        pitches: object,
        velocities: object = 80,
        *,
        channels: object = 1,
        programs: object = 0,
        tracks: object = 0,
        name: str = "score",
        duration: float | None = None,
    ) -> None:
        start = _seconds("onsets", onsets, None)
        n_notes = len(start)
        arrays = {
            "onsets": start,
            "durations": _seconds("durations", durations, n_notes),
            "pitches": _whole("pitches", pitches, n_notes, 0, 127),
            "velocities": _whole("velocities", velocities, n_notes, 1, 127),
            "channels": _whole("channels", channels, n_notes, 1, 16),
            "programs": _whole("programs", programs, n_notes, 0, 127),
            "tracks": _whole("tracks", tracks, n_notes, 0, MOST_TRACKS - 1),
        }
        order = np.lexsort((arrays["pitches"], start))
        for key, array in arrays.items():
            array = array[order]
            array.setflags(write=False)
            object.__setattr__(self, key, array)
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "duration", _length(self.onsets + self.durations, duration))

    @classmethod
    def from_melody(cls, melody: Melody, *, name: str = "melody") -> Score:
        """Return the notes of a melody, on channel 1."""
        if not isinstance(melody, Melody):
            raise TypeError(f"melody: expected a Melody, got {type(melody).__name__}.")
        end = max(melody.duration, float((melody.onsets + melody.durations).max()))
        return cls(melody.onsets, melody.durations, melody.pitches, melody.velocities, name=name, duration=end)

    @property
    def n_notes(self) -> int:
        """Number of notes."""
        return len(self.onsets)

    @property
    def percussion(self) -> np.ndarray:
        """Which notes are drums, shape (n_notes,)."""
        return np.asarray(self.channels == PERCUSSION)

    def __repr__(self) -> str:
        """Name, size and range."""
        drums, pitches = int(self.percussion.sum()), self.pitches[~self.percussion]
        span = f", pitches {pitches.min()} to {pitches.max()}" if len(pitches) else ""
        hits = f", {drums} of them percussion" if drums else ""
        notes = f"{self.n_notes} note{'s' * (self.n_notes > 1)}{hits}"
        return f"Score({self.name}: {notes} in {self.duration:.1f} s{span})"

    def impulses(self, kind: str = "onset") -> FeatureSeries:
        """Return a value at every onset.

        Parameters
        ----------
        kind : {"onset", "pitch", "velocity"}
            1, the MIDI number (drums have none and are left out), or the velocity. Of a chord the largest counts.

        Returns
        -------
        FeatureSeries
            One row per onset, named ``note onset``, ``pitch`` or ``velocity``. Bring it onto a clock with
            ``resample(sfreq, duration=score.duration, kind="impulse")``.
        """
        _checks.one_of("kind", kind, KINDS)
        kept = ~self.percussion if kind == "pitch" else np.ones(self.n_notes, bool)
        if not kept.any():
            raise ValueError(f"{self.name}: all notes are percussion, which has no pitch. Use kind='onset'.")
        value = {"onset": np.ones(self.n_notes), "pitch": self.pitches, "velocity": self.velocities}[kind][kept]
        onsets = self.onsets[kept]
        first = np.flatnonzero(np.diff(onsets, prepend=-np.inf) > TIME_TOLERANCE)
        name = "note onset" if kind == "onset" else kind
        return FeatureSeries(np.maximum.reduceat(value.astype(float), first), onsets[first], name)


def _seconds(name: str, value: object, n_notes: int | None) -> np.ndarray:
    array = _checks.real_array(name, value, 1, axes="(n_notes,)")
    if not len(array) or (n_notes is not None and len(array) != n_notes):
        expected = "at least one note" if n_notes is None else f"one value per note ({n_notes})"
        raise ValueError(f"{name}: expected {expected}, got {len(array)}.")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        raise ValueError(f"{name}: expected finite seconds, 0 or more, got {array[wrong][0]:g}.")
    return array


def _whole(name: str, value: object, n_notes: int, lowest: int, highest: int) -> np.ndarray:
    given = np.ndim(_checks.array(name, value, axes="(n_notes,)"))
    array = _checks.real_array(name, value, 1 if given else 0, axes="(n_notes,)")
    if given and len(array) != n_notes:
        raise ValueError(f"{name}: expected one value per note ({n_notes}), got {len(array)}.")
    array = np.broadcast_to(array, n_notes)
    wrong = (array != np.round(array)) | ~((array >= lowest) & (array <= highest))
    if wrong.any():
        raise ValueError(f"{name}: expected whole numbers from {lowest} to {highest}, got {array[wrong][0]:g}.")
    return array.astype(np.int64)


def _length(ends: np.ndarray, duration: float | None) -> float:
    last = float(ends.max())
    length = _checks.positive("duration", last if duration is None else duration, "seconds")
    if length < last - TIME_TOLERANCE:
        raise ValueError(f"duration: the last note ends at {last:g} s, after {length:g} s. Give the whole length.")
    return length
