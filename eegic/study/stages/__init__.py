"""The stages of a study, in order: each says what there is to compute (`units`), and how (`compute`).

sounds
    Every sound is opened: does it sound, how long?
features
    Every feature of every sound; information content for each noise level on its own.
eeg
    Every participant is read, cut at the starts of sounds, and preprocessed.
tracking
    What the added features tell of the EEG of each participant.
group
    Participants together.
report
    Pages to read.

What lies in the folder ``out`` of an entry goes, as it is, into the folder of the results.
"""

from types import ModuleType

from eegic.study.ground import STAGES
from eegic.study.stages import eeg, features, group, report, sounds, tracking

MODULES: dict[str, ModuleType] = dict(
    zip(STAGES, (sounds, features, eeg, tracking, group, report), strict=True)
)  # in the order in which they are gone through
