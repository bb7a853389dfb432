"""From a score to its sound: the synthesiser of this package, or fluidsynth."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from eegic import _checks
from eegic.audio import Audio, read_audio
from eegic.datasets.scores.midi import read_midi, write_midi
from eegic.datasets.scores.score import Score
from eegic.datasets.seeds import generator
from eegic.datasets.synthesis import TIMBRES, Timbre, frequency_of, held_samples, levelled, ramp

SYNTHESISERS = ("auto", "builtin", "fluidsynth")

_SHORTEST = 0.03  # seconds for which a key is down at least
_HIT = 0.2  # seconds in which a drum falls silent
_DRUM = 0.04  # seconds in which a drum falls to 1/e
_SILENT = 1e-5  # of the amplitude at the start, below which a decaying partial is left
_FADE = 0.01  # seconds; the piece ends without a click, whatever still rings
_FLUID_RATE = 44100  # hertz


def render_midi(
    score: Score | str | os.PathLike[str],
    *,
    sfreq: float = 22050.0,
    timbre: str = "piano",
    synthesiser: str = "auto",
    soundfont: str | os.PathLike[str] | None = None,
) -> Audio:
    """Play a score.

    Parameters
    ----------
    score : Score, str or Path
        The notes, or a MIDI file (see `read_midi`).
    sfreq : float
        Sampling rate of the sound in hertz. Partials at or above half of it are left out, so nothing aliases.
    timbre : {"piano", "guitar", "organ", "flute", "strings"}
        The instrument of the built-in synthesiser, for all notes but percussion, whatever their programs.
    synthesiser : {"auto", "builtin", "fluidsynth"}
        ``fluidsynth`` is an external program that plays the programs of the score from recordings, without reverb and
        chorus. ``auto`` takes it if both the program and a soundfont are there; `find_synthesiser` says which it is.
    soundfont : path, optional
        Recordings for fluidsynth (.sf2 or .sf3); by default the file that the environment variable ``EEGIC_SOUNDFONT``
        names.

    Returns
    -------
    Audio
        One channel, as long as the score and with its name. The root mean square is 0.1 of full scale over the time in
        which notes are held, unless the peak would pass 0.95, to which it is then lowered.

    Notes
    -----
    Built in, the amplitude of a note is proportional to its velocity and drums are short bursts of noise, the same in
    every run. Pedal is in the durations of a `Score`; volume, pan, pitch bend and other controllers are not played.

    Examples
    --------
    >>> render_midi(Score([0.0, 0.5], [0.4, 1.5], [60, 67], name="tune"), synthesiser="builtin")
    Audio(tune: 2.00 s, 1 channel at 22050 Hz)
    """
    _checks.one_of("timbre", timbre, TIMBRES)
    _checks.one_of("synthesiser", synthesiser, SYNTHESISERS)
    sfreq = _checks.positive("sfreq", sfreq, "hertz")
    if not isinstance(score, Score):
        if not isinstance(score, (str, os.PathLike)):
            raise TypeError(
                f"score: expected a Score or the path of a MIDI file, got {type(score).__name__}. "
                "`Score.from_melody` makes one of a melody."
            )
        score = read_midi(score)
    if synthesiser == "auto":
        synthesiser = find_synthesiser(soundfont)
    if synthesiser == "fluidsynth":
        samples = _fluidsynth(score, sfreq, _soundfont(soundfont))
    else:
        samples = _play(score, TIMBRES[timbre], sfreq)
    n_samples = max(1, round(score.duration * sfreq))
    samples = np.pad(samples, (0, max(0, n_samples - len(samples))))[:n_samples]
    if not samples.any():
        raise ValueError(
            f"{score.name}: nothing sounds in {score.duration:g} s at {sfreq:g} Hz. 22050 Hz suit most scores."
        )
    fade = ramp(_FADE, sfreq)[::-1][-n_samples:]
    samples[n_samples - len(fade) :] *= fade
    return Audio(levelled(samples, held_samples(_rows(score), sfreq, n_samples)), sfreq, score.name)


def find_synthesiser(soundfont: str | os.PathLike[str] | None = None) -> str:
    """Return what ``synthesiser="auto"`` means on this machine: ``"builtin"`` or ``"fluidsynth"``."""
    return "fluidsynth" if _soundfont(soundfont) and shutil.which("fluidsynth") else "builtin"


def _soundfont(soundfont: str | os.PathLike[str] | None) -> Path | None:
    named = soundfont if soundfont is not None else os.environ.get("EEGIC_SOUNDFONT")
    if not named:
        return None
    if not Path(named).is_file():
        where = "soundfont" if soundfont is not None else "EEGIC_SOUNDFONT"
        raise FileNotFoundError(f"{where}: no such file, {named}. Name a .sf2 or .sf3 file.")
    with open(named, "rb") as stream:
        start = stream.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"sfbk":  # fluidsynth would play another one, if it finds any
        raise ValueError(
            f"{named}: expected a soundfont, got a file that begins with {start!r}. Name a .sf2 or .sf3 file."
        )
    return Path(named).absolute()


def _fluidsynth(score: Score, sfreq: float, font: Path | None) -> np.ndarray:
    """What fluidsynth makes of the notes, shape (n_samples,)."""
    program = shutil.which("fluidsynth")
    if program is None or font is None:
        lacks = "the program is not installed" if program is None else "no soundfont is named"
        raise RuntimeError(
            f"fluidsynth: {lacks}. It needs the program `fluidsynth` and a soundfont (soundfont= or EEGIC_SOUNDFONT); "
            "synthesiser='builtin' needs neither."
        )
    with tempfile.TemporaryDirectory() as folder:
        notes, sound = Path(folder) / "score.mid", Path(folder) / "score.wav"
        write_midi(score, notes)
        options = ["-n", "-i", "-q", "-R", "0", "-C", "0", "-O", "float", "-r", str(_FLUID_RATE), "-F", str(sound)]
        try:
            done = subprocess.run(
                [program, *options, str(font), str(notes)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=60 + score.duration,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(
                f"fluidsynth: did not play {score.name} ({error}). Use synthesiser='builtin'."
            ) from error
        said = done.stderr.strip()[-500:]
        if done.returncode or not sound.is_file():
            raise RuntimeError(
                f"fluidsynth: did not play {score.name} with {font} (status {done.returncode}: {said}). "
                "synthesiser='builtin' needs neither."
            )
        samples = read_audio(sound).resample(sfreq).mono()
    if not samples.any():
        raise RuntimeError(f"fluidsynth: {font} is silent on {score.name} ({said}). Choose another soundfont.")
    return samples


def _play(score: Score, timbre: Timbre, sfreq: float) -> np.ndarray:
    """Sum of all notes, shape (n_samples,)."""
    rows, percussion = _rows(score), score.percussion
    samples = np.zeros(round((rows[:, 1] + rows[:, 2]).max() * sfreq) + round(sfreq))
    tail = ramp(timbre.release, sfreq)[::-1]
    for drums, pitch in sorted(set(zip(percussion.tolist(), rows[:, 0].tolist(), strict=True))):
        chosen = rows[(percussion == drums) & (rows[:, 0] == pitch)]
        # a note is the beginning of the tone of its pitch, so each pitch is computed once
        longest = round(chosen[:, 2].max() * sfreq) + len(tail)
        tone = _drum(int(pitch), sfreq) if drums else _tone(pitch, timbre, sfreq, longest)
        for _, onset, duration, velocity in chosen:
            start, held = round(onset * sfreq), round(duration * sfreq)
            sound = velocity / 127 * (tone if drums else tone[: held + len(tail)])
            if not drums:
                sound[held:] *= tail[: max(0, len(sound) - held)]
            samples[start : start + len(sound)] += sound
    return samples


def _rows(score: Score) -> np.ndarray:
    """Pitch, onset, seconds held, and velocity of the notes, shape (n_notes, 4)."""
    held = np.maximum(score.durations, _SHORTEST)
    held = np.where(score.percussion, _HIT, held)
    return np.stack([score.pitches, score.onsets, held, score.velocities], axis=1).astype(float)


def _tone(pitch: float, timbre: Timbre, sfreq: float, n_samples: int) -> np.ndarray:
    """One pitch, struck at full velocity and held until it is silent; shape (n_samples,) or shorter."""
    audible = -np.log(_SILENT) * timbre.decay * sfreq
    time = np.arange(int(min(n_samples, audible))) / sfreq
    tone = np.zeros(len(time))
    for number, amplitude in enumerate(timbre.partials, 1):
        frequency = number * frequency_of(pitch)
        if amplitude and frequency < sfreq / 2:
            decay = np.exp(-time * number**timbre.damping / timbre.decay)
            tone += amplitude * decay * np.sin(2 * np.pi * frequency * time)
    rise = ramp(timbre.attack, sfreq)[: len(tone)]
    tone[: len(rise)] *= rise
    return tone


def _drum(pitch: int, sfreq: float) -> np.ndarray:
    """A burst of noise, always the same for one drum, shape (n_samples,)."""
    n = max(1, round(_HIT * sfreq))
    burst = 0.3 * generator(0, "drum", pitch).standard_normal(n) * np.exp(-np.arange(n) / (_DRUM * sfreq))
    rise, end = ramp(0.002, sfreq)[:n], ramp(_FADE, sfreq)[::-1][-n:]
    burst[: len(rise)] *= rise
    burst[n - len(end) :] *= end
    return np.asarray(burst)
