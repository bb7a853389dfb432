"""A small additive synthesiser: from a melody to its sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic import _checks
from eegic.audio import Audio
from eegic.datasets.melody import Melody

LOUDNESS = 0.1  # root mean square of the sound while notes are held, in units of full scale
PEAK = 0.95  # no sample is larger
_FADE = 0.01  # seconds; the piece ends without a click, whatever still rings
_BASS = (-12, -17)  # the accompaniment, in semitones from the tonic: an octave below it, and the fifth below that
_BASS_VELOCITY = 60


@dataclass(frozen=True)
class Timbre:
    """How an instrument sounds.

    Attributes
    ----------
    partials : tuple of float
        Amplitude of the partials; number k has k times the frequency of the note.
    attack, release : float
        Seconds in which a note rises, and in which it fades after it is let go.
    decay : float
        Seconds in which the first partial falls to 1/e while held; ``inf`` for sustained sounds.
    damping : float
        Partial k decays ``k ** damping`` times as fast as the first.
    """

    partials: tuple[float, ...]
    attack: float
    release: float
    decay: float = float("inf")
    damping: float = 0.0


TIMBRES = {
    "piano": Timbre(tuple(k**-1.3 for k in range(1, 13)), attack=0.005, release=0.06, decay=0.7, damping=0.6),
    "guitar": Timbre(  # a string plucked at a fifth of its length has no fifth partial
        tuple(abs(float(np.sin(np.pi * k / 5))) / k**1.2 for k in range(1, 13)), 0.003, 0.05, decay=0.35, damping=0.5
    ),
    "organ": Timbre((1.0, 0.8, 0.5, 0.5, 0.0, 0.3, 0.0, 0.25), attack=0.02, release=0.05),
    "flute": Timbre((1.0, 0.35, 0.12, 0.05), attack=0.05, release=0.06),
    "strings": Timbre(tuple(1 / k for k in range(1, 15)), attack=0.07, release=0.09),
}


def synthesise(
    melody: Melody, *, timbre: str = "piano", sfreq: float = 22050.0, second_voice: bool = False, name: str = "melody"
) -> Audio:
    """Play a melody.

    Parameters
    ----------
    melody : Melody
        The notes. Amplitude is proportional to velocity.
    timbre : {"piano", "guitar", "organ", "flute", "strings"}
        The instrument.
    sfreq : float
        Sampling rate in hertz. Partials at or above half of it are left out, so nothing aliases.
    second_voice : bool
        True adds a bass that sounds one low note per bar, on tonic and fifth in turn.
    name : str
        Name of the sound.

    Returns
    -------
    Audio
        One channel, as long as the melody. Every sound has the same root mean square (0.1 of full scale) over the time
        in which notes are held, unless its peak would pass 0.95, to which it is then lowered.

    Notes
    -----
    A note starts on the sample nearest to its onset, with a rise of some milliseconds; let go, it fades in less than
    0.1 s. What still rings at the end of the piece is faded out over its last 10 ms.

    Examples
    --------
    >>> from eegic.datasets import MelodyGrammar
    >>> synthesise(MelodyGrammar().sample(duration=10, rng=0), timbre="flute", name="tune")
    Audio(tune: 10.00 s, 1 channel at 22050 Hz)
    """
    if not isinstance(melody, Melody):
        raise TypeError(f"melody: expected a Melody, got {type(melody).__name__}. MelodyGrammar().sample writes one.")
    sfreq = _checks.positive("sfreq", sfreq, "hertz")
    _checks.one_of("timbre", timbre, TIMBRES)
    notes = np.stack([melody.pitches, melody.onsets, melody.durations, melody.velocities], axis=1)
    notes = np.concatenate([notes, _bass(melody)]) if second_voice else notes
    _check_rate(notes[:, 0].max(), sfreq)
    samples = _play(notes, TIMBRES[timbre], sfreq, round(melody.duration * sfreq))
    return Audio(levelled(samples, held_samples(notes, sfreq, len(samples))), sfreq, name)


def _bass(melody: Melody) -> np.ndarray:
    """Pitch, onset, duration and velocity of the notes of the accompaniment, shape (n_bars, 4)."""
    onsets = np.arange(0, melody.duration, melody.bar)
    pitches = np.resize(melody.tonic + np.array(_BASS), len(onsets))
    durations = np.minimum(melody.bar, melody.duration - onsets)
    return np.stack([pitches, onsets, durations, np.full(len(onsets), _BASS_VELOCITY)], axis=1)


def _check_rate(highest: float, sfreq: float) -> None:
    if frequency_of(highest) >= sfreq / 2:
        raise ValueError(
            f"sfreq: {sfreq:g} Hz cannot hold the highest note, {frequency_of(highest):.0f} Hz. "
            "Expected more than twice that; 22050 Hz suits most uses."
        )


def _play(notes: np.ndarray, timbre: Timbre, sfreq: float, n_samples: int) -> np.ndarray:
    """Sum of all notes, shape (n_samples,)."""
    tail = ramp(timbre.release, sfreq)[::-1]
    longest = round(notes[:, 2].max() * sfreq) + len(tail)
    # a note is the beginning of the tone of its pitch, so each pitch is computed once
    tones = {pitch: _tone(pitch, timbre, sfreq, longest) for pitch in np.unique(notes[:, 0])}
    samples = np.zeros(n_samples + longest)
    for pitch, onset, duration, velocity in notes:
        start, held = round(onset * sfreq), round(duration * sfreq)
        sound = velocity / 127 * tones[pitch][: held + len(tail)]
        sound[held:] *= tail
        samples[start : start + len(sound)] += sound
    samples = samples[:n_samples]
    fade = ramp(_FADE, sfreq)[::-1][-n_samples:]
    samples[n_samples - len(fade) :] *= fade
    return samples


def _tone(pitch: float, timbre: Timbre, sfreq: float, n_samples: int) -> np.ndarray:
    """One pitch, struck at full velocity and never let go, shape (n_samples,)."""
    number = np.arange(1, len(timbre.partials) + 1)
    audible = number * frequency_of(pitch) < sfreq / 2
    number, amplitude = number[audible], np.array(timbre.partials)[audible]
    time = np.arange(n_samples) / sfreq
    decay = np.exp(-time * number[:, None] ** timbre.damping / timbre.decay)
    partials = decay * np.sin(2 * np.pi * frequency_of(pitch) * time * number[:, None])
    tone: np.ndarray = amplitude @ partials
    rise = ramp(timbre.attack, sfreq)[:n_samples]
    tone[: len(rise)] *= rise
    return tone


def frequency_of(pitch: float) -> float:
    """Frequency of a MIDI pitch in Hz: 440 of 69."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def ramp(seconds: float, sfreq: float) -> np.ndarray:
    """Half a cosine, from just above 0 to just below 1."""
    n = max(1, round(seconds * sfreq))
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)


def held_samples(notes: np.ndarray, sfreq: float, n_samples: int) -> np.ndarray:
    """Mark the samples at which a note is held, shape (n_samples,)."""
    held = np.zeros(n_samples, bool)
    for onset, duration in notes[:, 1:3]:
        held[round(onset * sfreq) : round((onset + duration) * sfreq)] = True
    return held


def levelled(samples: np.ndarray, held: np.ndarray) -> np.ndarray:
    """As loud as LOUDNESS where notes are held, unless its peak would pass PEAK, shape (n_samples,)."""
    rms = np.sqrt(np.mean(samples[held] ** 2))
    return np.asarray(samples * min(LOUDNESS / rms, PEAK / np.abs(samples).max()))
