"""EEG in: participants, their trials, and the features that go with them."""

from eegic.eeg.bids import read_bids
from eegic.eeg.channels import same_channels
from eegic.eeg.cnd import Cnd, read_cnd
from eegic.eeg.cnd_writer import write_cnd
from eegic.eeg.pairing import Pairs, pair_features
from eegic.eeg.participant import Participant, Trial
from eegic.eeg.preprocessing import find_bad_channels, preprocess
from eegic.eeg.read import read_participant
from eegic.eeg.triggers import Onsets, find_onsets

__all__ = [
    "Cnd",
    "Onsets",
    "Pairs",
    "Participant",
    "Trial",
    "find_bad_channels",
    "find_onsets",
    "pair_features",
    "preprocess",
    "read_bids",
    "read_cnd",
    "read_participant",
    "same_channels",
    "write_cnd",
]
