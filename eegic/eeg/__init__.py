"""EEG in: participants and their trials."""

from eegic.eeg.participant import Participant, Trial

__all__ = ["Participant", "Trial"]
