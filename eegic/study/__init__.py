"""A study in one file: what is computed, from what, and what is there already.

reading, settings
    `read_study`: the file and everything that can stand in it.
sources, ground
    Where EEG and sounds lie, who is in the study, what of it is there.
stages
    What there is to compute, and how: sounds, features, eeg, tracking, group, report.
running, workers, rows
    `run_study`: unit by unit, on one processor, many, or a cluster; what became of each.
store, folders, digests, lock
    Entries named by what they follow from, whole or not there; one run per folder.
results, provenance
    What is put where people look for it, and what it was made from.
progress, work, terminal, events
    What is running and how long it will take, for people and in the log.
check, recorded, misfits, estimate
    `check_study`: headers and onsets, settings that do not fit, memory, disk and time.
stock, export, example
    What is there; results for other programs; a simulated study on disk.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
