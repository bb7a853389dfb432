"""EEG in: participants, their trials, and the features that go with them.

What an analysis takes
    `participant` (and `epochs`), `channels`, `pairing` with features
From recordings
    `read`, with `labelling`, `tables`, `triggers` and `cutting`; `bids` and `heard`;
    `cnd`, `cnd_stimuli`, `cnd_writer` and `matlab`
One clock
    `clock`, `matching` with recorded sound, `correction` (and `interpolation`), `offsets`
In one file, exactly
    `stored` (results too), `stored_participant`
Cleaning
    `preprocessing`, `quality`, `filtering`
"""

from eegic.eeg.bids import read_bids
from eegic.eeg.channels import same_channels
from eegic.eeg.clock import Clock, clock_from_rates, clock_from_triggers
from eegic.eeg.cnd import Cnd, read_cnd
from eegic.eeg.cnd_writer import write_cnd
from eegic.eeg.correction import check_clock, correct_clock
from eegic.eeg.matching import clock_from_audio
from eegic.eeg.offsets import Offsets, offset_profile
from eegic.eeg.pairing import Pairs, pair_features
from eegic.eeg.participant import Participant, Trial
from eegic.eeg.preprocessing import preprocess
from eegic.eeg.quality import find_bad_channels
from eegic.eeg.read import read_participant
from eegic.eeg.triggers import Onsets, find_onsets

__all__ = [
    "Clock",
    "Cnd",
    "Offsets",
    "Onsets",
    "Pairs",
    "Participant",
    "Trial",
    "check_clock",
    "clock_from_audio",
    "clock_from_rates",
    "clock_from_triggers",
    "correct_clock",
    "find_bad_channels",
    "find_onsets",
    "offset_profile",
    "pair_features",
    "preprocess",
    "read_bids",
    "read_cnd",
    "read_participant",
    "same_channels",
    "write_cnd",
]
