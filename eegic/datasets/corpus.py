"""The simulator as a corpus: melodies without end, each of them new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from eegic import _checks
from eegic.audio import Audio
from eegic.corpus import amplified, check_request, decibel_range
from eegic.datasets import seeds
from eegic.datasets.grammar import RHYTHMS, MelodyGrammar
from eegic.datasets.melody import Melody
from eegic.datasets.synthesis import TIMBRES, synthesise

_GRAMMAR = [one.name for one in fields(MelodyGrammar) if one.name != "rhythm"]
_BARS = 2  # at least so long is a melody from which a stretch is cut


@dataclass(frozen=True)
class MelodyCorpus:
    """Melodies of one style by several instruments; those for training and for validation never meet.

    Parameters
    ----------
    timbres : str or sequence of str
        Instruments of `synthesise`, drawn for each melody.
    rhythms : str or sequence of str
        Rhythms of `MelodyGrammar`, drawn for each melody.
    grammar : dict
        What else `MelodyGrammar` takes; by default its defaults, in which `simulate_study` writes, too.
    gain : tuple of float
        Range in decibels from which a gain is drawn for each stretch, and applied as far as the peak allows.
    beginnings : bool
        True takes stretches from the first note of the melody on, so that all lie alike on the beat; False, from
        anywhere.
    seed : int
        Gives other melodies.

    Examples
    --------
    >>> music = MelodyCorpus(timbres=["flute"])
    >>> music.stretch("train", 7, 8192, 11025).shape
    (8192,)
    >>> melody, sound = music.piece("validation", 0, duration=10)
    >>> sound
    Audio(validation-0: 10.00 s, 1 channel at 22050 Hz)
    """

    timbres: str | Sequence[str] = tuple(TIMBRES)
    rhythms: str | Sequence[str] = RHYTHMS
    grammar: dict[str, Any] = field(default_factory=dict)
    gain: tuple[float, float] = (-12.0, 6.0)
    beginnings: bool = False
    seed: int = 0
    _grammars: dict[str, MelodyGrammar] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, known in (("timbres", TIMBRES), ("rhythms", RHYTHMS)):
            given = getattr(self, name)
            given = tuple(_checks.one_of(name, one, known) for one in ([given] if isinstance(given, str) else given))
            if not given:
                raise ValueError(f"{name}: expected one or more of {', '.join(known)}, got none.")
            object.__setattr__(self, name, given)
        object.__setattr__(self, "gain", decibel_range(self.gain))
        object.__setattr__(self, "beginnings", _checks.flag("beginnings", self.beginnings))
        _checks.count("seed", self.seed, minimum=0)
        for name in self.grammar:
            _checks.one_of("grammar", name, _GRAMMAR)
        grammars = {rhythm: MelodyGrammar(rhythm=rhythm, **self.grammar) for rhythm in self.rhythms}
        object.__setattr__(self, "_grammars", grammars)

    def piece(self, part: str, index: int, *, duration: float, sfreq: float = 22050.0) -> tuple[Melody, Audio]:
        """Return melody `index` of a part, with its true surprisal, and its sound.

        Parameters
        ----------
        part : str
            "train", "validation", or any other name, whose melodies are others again.
        index : int
            Number of the melody.
        duration : float
            Its length in seconds.
        sfreq : float
            Rate of the sound in hertz.

        Returns
        -------
        Melody, Audio
        """
        rng = seeds.generator(self.seed, "corpus", part, index)
        rhythm, timbre = (str(rng.choice(list(names))) for names in (self.rhythms, self.timbres))
        melody = self._grammars[rhythm].sample(duration=duration, rng=rng)
        return melody, synthesise(melody, timbre=timbre, sfreq=sfreq, name=f"{part}-{index}")

    def stretch(self, part: str, index: int, n_samples: int, sfreq: float) -> np.ndarray:
        """Return a stretch of melody `index` of a part, float32, shape (n_samples,), within -1 to 1."""
        check_request(part, index, n_samples, sfreq)
        bar = 4 * self._grammars[self.rhythms[0]].beat
        duration = max(n_samples / sfreq + 0.5, _BARS * bar)
        _, sound = self.piece(part, index, duration=duration, sfreq=sfreq)
        rng = seeds.generator(self.seed, "stretch", part, index)
        start = 0 if self.beginnings else int(rng.integers(len(sound.samples) - n_samples + 1))
        return amplified(sound.samples[start : start + n_samples, 0], rng.uniform(*self.gain))

    def settings(self) -> dict[str, Any]:
        """What the melodies depend on."""
        return {
            "corpus": "melodies",
            "timbres": list(self.timbres),
            "rhythms": list(self.rhythms),
            "grammar": dict(self.grammar),
            "gain": list(self.gain),
            "beginnings": self.beginnings,
            "seed": self.seed,
        }
