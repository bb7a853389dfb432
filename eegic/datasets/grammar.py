"""A tonal grammar of variable order that knows the exact surprisal of every note it writes.

Pitch and timing are two independent Markov chains with finitely many states and no zero probabilities. Their
stationary distributions are therefore known, and with them the probability of a note after *any* past, however short:
a piece is a window onto an endless stationary one, and nothing about its first notes is approximate. Where phrases may
return, every phrase is drawn from a mixture of that chain and of the phrases before, whose weights Bayes' rule gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eegic import _checks
from eegic.datasets.melody import KINDS, Melody
from eegic.datasets.style import (
    ACCENTS,
    BAR,
    INTERVALS,
    N_PITCHES,
    SCALES,
    conditional,
    next_position,
    pitch_order,
    pitch_weights,
    softmax,
    stationary,
    timing_weights,
)

ORDER = 3  # at most this many earlier pitches matter
RHYTHMS = ("isochronous", "free")
PHRASE = 4  # notes
RETURNS = (PHRASE, 2 * PHRASE)  # how many notes back a phrase that is played again was heard
MAX_PREDICTABILITY = 4.0  # beyond it the rarest notes approach the smallest floating-point numbers

_ROUNDING = 1e-9  # beats; 30 s at 150 beats per minute hold 75 beats, whatever the division says
_LEGATO = 0.95  # fraction of the time to the next onset for which a note is held


@dataclass(frozen=True)
class MelodyGrammar:
    """Rules by which melodies are written, as probabilities of the next note given its past.

    Parameters
    ----------
    mode : {"major", "minor"}
        Scale of the melodies (minor is the harmonic one).
    tonic : int
        MIDI number of the lowest pitch, a tonic; pitches cover two octaves from there.
    rhythm : {"isochronous", "free"}
        One note on every beat, whose timing surprisal is exactly 0, or intervals of half a beat to two beats.
    tempo : float
        Beats per minute; a bar has four beats.
    predictability : float
        Factor on the logarithms of all weights, from 0 (every pitch, and every interval, equally likely) to 4.
    style : int
        Seed of the style: habits of single contexts that follow from no rule. Melodies of one style share them.
    repetition : float
        Probability that the pitches of a phrase of four notes are those of the phrase before, or of the one before
        that (either is equally likely), from 0 to less than 1.

    Notes
    -----
    How much of the past counts depends on the past. The next *pitch* depends on the last pitch alone (order 1: key,
    proximity, register, leading tones rise), unless the last interval was a leap (order 2: gaps are filled by a step
    back) or the last two intervals were steps in one direction (order 3: the line goes on). The next *interval*
    depends on the position in the bar and on the last interval, and, if the last two intervals differed, on both
    (the pattern repeats). Each of these contexts has its own habits, so surprisal is not a matter of interval size.

    With ``past`` the earlier notes and ``p`` what `probabilities` returns, the surprisal of a note is
    ``-log2(p(pitch | past)) - log2(p(onset | past))``; the two chains are independent, so the terms add. Pieces start
    in the stationary state: the first pitch has its long-run frequency, and the first onset falls anywhere in the first
    bar, with the long-run frequency of that position.

    With `repetition`, phrases are counted from the first note. That a phrase returns is not announced: each of its
    notes that agrees with the earlier one makes it likelier, and so the notes of a returning phrase cost ever less.

    Examples
    --------
    >>> grammar = MelodyGrammar(mode="minor", rhythm="free")
    >>> grammar.sample(duration=30, rng=1)
    Melody(78 notes in 30.0 s, 2.45 + 1.29 bits per note for pitch and timing)
    >>> round(grammar.entropy("pitch"), 2), round(grammar.entropy("timing"), 2)
    (2.53, 1.42)
    """

    mode: str = "major"
    tonic: int = 60
    rhythm: str = "isochronous"
    tempo: float = 150.0
    predictability: float = 1.0
    style: int = 0
    repetition: float = 0.0

    def __post_init__(self) -> None:
        _checks.one_of("mode", self.mode, SCALES)
        _checks.one_of("rhythm", self.rhythm, RHYTHMS)
        _checks.positive("tempo", self.tempo, "beats per minute")
        _checks.count("style", self.style, minimum=0)
        if _checks.count("tonic", self.tonic, minimum=21) > 103:
            raise ValueError(f"tonic: two octaves above {self.tonic} lie beyond MIDI pitch 127. Give 21 to 103.")
        if not 0 <= _checks.finite("predictability", self.predictability, "0 to 4") <= MAX_PREDICTABILITY:
            raise ValueError(
                f"predictability: expected 0 (all pitches equally likely) to {MAX_PREDICTABILITY:g}, "
                f"got {self.predictability:g}."
            )
        if not 0 <= _checks.finite("repetition", self.repetition, "0 to less than 1") < 1:
            raise ValueError(f"repetition: expected a probability from 0 to less than 1, got {self.repetition:g}.")

    @property
    def pitches(self) -> np.ndarray:
        """MIDI numbers of the pitches in use, ascending, shape (n_pitches,)."""
        octave, degree = np.divmod(np.arange(N_PITCHES), 7)
        return np.asarray(self.tonic + 12 * octave + np.array(SCALES[self.mode])[degree])

    @property
    def beat(self) -> float:
        """Length of a beat in seconds."""
        return 60 / self.tempo

    def context(self, past: Sequence[int]) -> tuple[int, ...]:
        """Return the part of a past of at least three pitches on which the next pitch depends: its last 1, 2 or 3."""
        if len(past) < ORDER:
            raise ValueError(f"past: expected at least {ORDER} pitches, got {len(past)}. A shorter past matters whole.")
        recent = self._degrees(past)[-ORDER:]
        return tuple(int(pitch) for pitch in past[-int(pitch_order()[recent]) :])

    def probabilities(self, past: Sequence[float], kind: str = "pitch") -> dict[float, float]:
        """Return the distribution of the next pitch, or of the next onset, after any past.

        Parameters
        ----------
        past : sequence of float
            For pitch: the MIDI numbers of all earlier notes. For timing: their onsets in beats from the first bar line.
            It may be empty.
        kind : {"pitch", "timing"}
            What to predict.

        Returns
        -------
        dict of float to float
            Probability of each possible next pitch (MIDI number) or onset (beats from the first bar line).

        Examples
        --------
        >>> after_a_leap_up = MelodyGrammar().probabilities([60, 62, 72])
        >>> round(after_a_leap_up[71], 2), round(sum(after_a_leap_up.values()), 12)
        (0.38, 1.0)
        >>> MelodyGrammar(rhythm="isochronous").probabilities([0, 1, 2], "timing")
        {3.0: 1.0}
        """
        _checks.one_of("kind", kind, KINDS[:2])
        if kind == "pitch":
            row = self._pitch_row(self._degrees(past))
            return dict(zip(self.pitches.tolist(), row.tolist(), strict=True))
        if self.rhythm == "isochronous":
            _check_beats(past)
            return {float(len(past)): 1.0}
        onsets = _half_beats(past)
        row = _timing_row(self._timing_tables, onsets)
        following = onsets[-1] + INTERVALS if onsets else np.arange(BAR)
        return dict(zip((following / 2).tolist(), row.tolist(), strict=True))

    def entropy(self, kind: str = "both") -> float:
        """Return the exact entropy rate: expected surprisal of a note given its whole past, in bits per note.

        Parameters
        ----------
        kind : {"pitch", "timing", "both"}
            Of what the notes are, of when they come, or of both.
        """
        _checks.one_of("kind", kind, KINDS)
        if self.repetition and kind != "timing":
            raise ValueError(
                f"entropy: not known in closed form where phrases return (repetition={self.repetition:g}). "
                "Average the pitch_surprisal of a long sample."
            )
        if kind == "both":
            return self.entropy("pitch") + self.entropy("timing")
        if kind == "timing" and self.rhythm == "isochronous":
            return 0.0
        joint = self._pitch_joint if kind == "pitch" else self._timing_joint
        return float(-np.sum(joint * np.log2(joint / joint.sum(axis=-1, keepdims=True))))

    def sample(
        self,
        *,
        duration: float | None = None,
        n_notes: int | None = None,
        rng: int | np.random.Generator | None = None,
    ) -> Melody:
        """Write a melody.

        Parameters
        ----------
        duration : float, optional
            Length of the piece in seconds, at least a bar; notes that would start later are left out.
        n_notes : int, optional
            Number of notes; the piece ends with the last one. Give either this or `duration`.
        rng : int, Generator or None
            Pitch, timing and velocity have their own streams: the same seed gives the same pitches in any rhythm.

        Returns
        -------
        Melody
        """
        if (duration is None) == (n_notes is None):
            raise ValueError(
                f"sample: expected duration or n_notes, got duration={duration}, n_notes={n_notes}. Give one."
            )
        limit = np.inf if duration is None else self._n_beats(duration)
        most = int(2 * limit) + 1 if n_notes is None else _checks.count("n_notes", n_notes)
        pitch_rng, timing_rng, velocity_rng = np.random.default_rng(rng).spawn(3)
        beats, timing_surprisal = self._timing(timing_rng, limit, most)
        onsets = beats * self.beat
        length = float(onsets[-1] if duration is None else duration)
        degrees, pitch_surprisal = self._pitch(pitch_rng, len(onsets) - 1)
        return Melody(
            pitches=self.pitches[degrees],
            onsets=onsets[:-1],
            durations=np.minimum(_LEGATO * np.diff(onsets), length - onsets[:-1]),
            velocities=_velocities(velocity_rng, beats[:-1]),
            pitch_surprisal=pitch_surprisal,
            timing_surprisal=timing_surprisal[:-1],
            duration=length,
            tonic=self.tonic,
            bar=4 * self.beat,
        )

    def _n_beats(self, duration: float) -> float:
        n_beats = _checks.positive("duration", duration, "seconds") / self.beat
        if n_beats < 4:
            raise ValueError(f"duration: expected at least a bar ({4 * self.beat:g} s), got {duration:g} s.")
        return n_beats

    def _pitch(self, rng: np.random.Generator, n_notes: int) -> tuple[np.ndarray, np.ndarray]:
        """Degrees and their surprisal in bits, each of shape (n_notes,)."""
        degrees: list[int] = []
        surprisal = []
        for uniform in rng.random(n_notes):
            row = self._pitch_row(degrees)
            degrees.append(_draw(row, uniform))
            surprisal.append(-np.log2(row[degrees[-1]]))
        return np.array(degrees), np.array(surprisal)

    def _pitch_row(self, past: Sequence[int]) -> np.ndarray:
        """Probability of the next degree given all earlier ones."""
        new = self._chain_row(past)
        phrase = len(past) // PHRASE * PHRASE  # where the present one began
        lags = [lag for lag in RETURNS if lag <= phrase]
        if not self.repetition or not lags:
            return new
        weights = np.array([1 - self.repetition, *[self.repetition / len(lags)] * len(lags)])
        for i in range(phrase, len(past)):
            weights[0] *= self._chain_row(past[:i])[past[i]]
            weights[1:] *= [past[i] == past[i - lag] for lag in lags]
        weights /= weights.sum()
        row: np.ndarray = weights[0] * new
        for lag, weight in zip(lags, weights[1:], strict=True):
            row[past[len(past) - lag]] += weight
        return row

    def _chain_row(self, past: Sequence[int]) -> np.ndarray:
        """Probability of the next degree where no phrase returns."""
        recent = tuple(past[-ORDER:])
        return np.asarray(self._pitch_tables[len(recent)][recent])

    def _timing(self, rng: np.random.Generator, limit: float, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Onsets in beats and their surprisal in bits, up to the first one that no longer belongs to the piece."""
        if self.rhythm == "isochronous":
            beats = np.arange(min(most, np.ceil(limit - _ROUNDING)) + 1)
            return beats, np.zeros(len(beats))
        onsets: list[int] = []
        surprisal = []
        for uniform in rng.random(most + 1):
            row = _timing_row(self._timing_tables, onsets)
            k = _draw(row, uniform)
            onsets.append(onsets[-1] + int(INTERVALS[k]) if onsets else k)
            surprisal.append(-np.log2(row[k]))
            if onsets[-1] / 2 >= limit - _ROUNDING:
                break
        return np.array(onsets) / 2, np.array(surprisal)

    def _degrees(self, past: Sequence[float]) -> tuple[int, ...]:
        """Return the steps above the lowest pitch."""
        degree = {int(pitch): i for i, pitch in enumerate(self.pitches)}
        foreign = [pitch for pitch in past if pitch not in degree]
        if foreign:
            raise ValueError(
                f"past: {foreign[0]!r} is not a pitch of this grammar. Expected MIDI numbers among {list(degree)}."
            )
        return tuple(degree[int(pitch)] for pitch in past)

    @cached_property
    def _pitch_joint(self) -> np.ndarray:
        """Stationary probability of four successive degrees, shape (n_pitches,) * 4."""
        weights = pitch_weights(self.mode, np.random.default_rng([self.style, 0]))
        transition = softmax(self.predictability * weights)
        return stationary(transition, lambda joint: joint.sum(axis=0))

    @cached_property
    def _pitch_tables(self) -> tuple[np.ndarray, ...]:
        """Probability of the next degree after 0, 1, 2 and 3 known ones; the next one is the last axis."""
        return tuple(conditional(self._pitch_joint.sum(axis=tuple(range(ORDER - k)))) for k in range(ORDER + 1))

    @cached_property
    def _timing_joint(self) -> np.ndarray:
        """Stationary probability of interval before last, last interval, position and next interval."""
        transition = softmax(self.predictability * timing_weights(np.random.default_rng([self.style, 1])))
        return stationary(transition, next_position)

    @cached_property
    def _timing_tables(self) -> tuple[np.ndarray, ...]:
        """Probability of the first position, and of the next interval after 0, 1 and 2 known ones."""
        joint = self._timing_joint
        return (joint.sum(axis=(0, 1, 3)), *(conditional(joint.sum(axis=tuple(range(2 - k)))) for k in range(3)))


def _timing_row(tables: tuple[np.ndarray, ...], onsets: Sequence[int]) -> np.ndarray:
    """Distribution of the first position, or of the interval that follows `onsets` (half beats)."""
    if not onsets:
        return tables[0]
    known = np.diff(onsets[-3:]) - 1  # index of each interval
    return np.asarray(tables[1 + len(known)][(*known, onsets[-1] % BAR)])


def _draw(row: np.ndarray, uniform: float) -> int:
    # the cumulative sum may end a rounding error below 1
    return min(int(np.searchsorted(np.cumsum(row), uniform, side="right")), len(row) - 1)


def _velocities(rng: np.random.Generator, beats: np.ndarray) -> np.ndarray:
    """MIDI velocities: louder on strong beats, with the unevenness of a hand, shape (n_notes,)."""
    accent = 10 * ACCENTS[np.round(2 * beats).astype(int) % BAR]
    uneven: np.ndarray = np.round(75 + accent + rng.normal(0, 6, len(beats)))
    return np.asarray(np.clip(uneven, 40, 120), dtype=int)


def _check_beats(past: Sequence[float]) -> None:
    if not np.array_equal(past, np.arange(len(past))):
        raise ValueError(f"past: isochronous notes come on beats 0, 1, 2, ..., got {list(past)}.")


def _half_beats(past: Sequence[float]) -> list[int]:
    onsets = [round(2 * onset) for onset in past]
    off_grid = any(half / 2 != onset for half, onset in zip(onsets, past, strict=True))
    if off_grid or (onsets and not 0 <= onsets[0] < BAR) or not set(np.diff(onsets)) <= set(INTERVALS):
        raise ValueError(
            f"past: expected onsets in beats, the first from 0 to 3.5 and others 0.5, 1, 1.5 or 2 beats after the one "
            f"before, got {list(past)}. For onsets in seconds, divide by `grammar.beat`."
        )
    return onsets
