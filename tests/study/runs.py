"""Small studies on disk."""

import hashlib
import shutil
from pathlib import Path

from eegic.study import example, read_study

SMALL = (
    'trf.added=["surprisal"]',
    "trf.tmax=0.2",
    "trf.alphas=[0.1, 10.0]",
    "trf.n_folds=3",
    "null.n=9",
    "group.n_flips=16",
    "report.participants=false",
)
FAST = ("sounds", "features", "eeg", "tracking", "group")  # pages take as long as all that
TIMES = ("logs/events.jsonl", "logs/run.json", "logs/digests.json")  # the files of results that hold times


def written(folder, form="files", *, n=3, n_stimuli=5, duration=6.0, n_channels=4, rng=0):
    """Write a data set and its study.toml; return the folder."""
    size = {"n_participants": n, "n_stimuli": n_stimuli, "duration": duration, "n_channels": n_channels}
    text = example(folder, form, **size, rng=rng)
    (Path(folder) / "study.toml").write_text(text, encoding="utf-8")
    return Path(folder)


def small(folder, *changes):
    """The study in a folder, with few surrogates and short kernels."""
    return read_study(folder, [*SMALL, *changes])


def copied(source, folder):
    """A copy to spoil, dates of files included."""
    return Path(shutil.copytree(source, folder))


def tree(folder, but=TIMES):
    """Content of all files below a folder, as digests, by name."""
    files = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name not in but}


def states(outcome):
    """Status of every unit, by stage and label."""
    return {(row.stage, row.label): row.status for row in outcome.rows}


def with_status(outcome, *wanted):
    """Units of these states."""
    return {place for place, status in states(outcome).items() if status in wanted}
