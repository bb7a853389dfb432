"""Data to work with: simulated studies whose truth is known."""

from eegic.datasets.corpus import MelodyCorpus
from eegic.datasets.grammar import MelodyGrammar
from eegic.datasets.melody import Melody
from eegic.datasets.simulate import simulate_study
from eegic.datasets.synthesis import TIMBRES, Timbre, synthesise
from eegic.datasets.truth import Study, Truth

__all__ = [
    "TIMBRES",
    "Melody",
    "MelodyCorpus",
    "MelodyGrammar",
    "Study",
    "Timbre",
    "Truth",
    "simulate_study",
    "synthesise",
]
