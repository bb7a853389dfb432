"""EEG in: participants, their trials, and the features that go with them."""

from eegic.eeg.bids import read_bids
from eegic.eeg.pairing import Pairs, pair_features
from eegic.eeg.participant import Participant, Trial
from eegic.eeg.read import read_participant
from eegic.eeg.triggers import Onsets, find_onsets

__all__ = [
    "Onsets",
    "Pairs",
    "Participant",
    "Trial",
    "find_onsets",
    "pair_features",
    "read_bids",
    "read_participant",
]
