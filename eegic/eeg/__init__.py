"""EEG in: participants, their trials, and the features that go with them."""

from eegic.eeg.pairing import Pairs, pair_features
from eegic.eeg.participant import Participant, Trial

__all__ = ["Pairs", "Participant", "Trial", "pair_features"]
