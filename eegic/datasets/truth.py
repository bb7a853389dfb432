"""The nouns of a simulated study: what was recorded, and what is true about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eegic.audio import Audio
from eegic.datasets.grammar import MelodyGrammar
from eegic.datasets.melody import Melody
from eegic.eeg.participant import Participant
from eegic.series import FeatureSeries


@dataclass(frozen=True, eq=False)
class Truth:
    """What was put into the EEG of a `Study`.

    Attributes
    ----------
    features : tuple of str
        Names of the two features that drive the EEG: the envelope, then surprisal.
    lags : ndarray, shape (n_lags,)
        Seconds by which the EEG follows the sound: those of a model with ``tmin=0.0, tmax=0.4``.
    kernels : dict of str to ndarray, each of shape (n_features, n_lags, n_channels)
        Per participant, in volts per unit of the feature (full scale of the envelope, bits of surprisal).
    topographies : ndarray, shape (n_features, n_channels)
        The same for all participants; 1 is the centre of the response.
    noise_sd : dict of str to float
        Expected SD of the background of each participant in volts (root mean square over channels).
    snr, surprisal_effect : float
        As asked.
    seed : int
        Gives the same study again: ``simulate_study(..., rng=seed)``.
    """

    features: tuple[str, ...]
    lags: np.ndarray
    kernels: dict[str, np.ndarray]
    topographies: np.ndarray
    noise_sd: dict[str, float]
    snr: float
    surprisal_effect: float
    seed: int


@dataclass(frozen=True, eq=False)
class Study:
    """Simulated listeners, what they heard, and the truth about their EEG.

    Attributes
    ----------
    participants : tuple of Participant
        Named ``sub-01``, ``sub-02``, ...
    grammar : MelodyGrammar
        The one that wrote all melodies. Sample it again for music that nobody heard.
    melodies : dict of str to Melody
        Per stimulus: ``melody-01``, ``melody-02``, ...
    audio : dict of str to Audio
        Their sound.
    envelopes : dict of str to FeatureSeries
        Their envelopes at the rate of the EEG.
    surprisal : dict of str to FeatureSeries
        Surprisal in bits at note onsets, as impulses at the rate of the EEG.
    onsets : dict of str to FeatureSeries
        Impulses of size 1 at the same samples: what a response to notes, whatever their surprisal, answers to.
    truth : Truth
        How the EEG was made from envelopes and surprisal.
    """

    participants: tuple[Participant, ...]
    grammar: MelodyGrammar
    melodies: dict[str, Melody]
    audio: dict[str, Audio]
    envelopes: dict[str, FeatureSeries]
    surprisal: dict[str, FeatureSeries]
    onsets: dict[str, FeatureSeries]
    truth: Truth

    @property
    def stimuli(self) -> tuple[str, ...]:
        """Names of the stimuli."""
        return tuple(self.melodies)

    def __repr__(self) -> str:
        """Size and what was asked."""
        first = self.participants[0]
        return (
            f"Study({len(self.participants)} participants x {len(first.trials)} trials of {len(self.melodies)} "
            f"melodies, {len(first.ch_names)} channels at {first.sfreq:g} Hz, snr {self.truth.snr:g}, "
            f"surprisal effect {self.truth.surprisal_effect:g}, seed {self.truth.seed})"
        )
