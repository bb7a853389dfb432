"""Results for other programs."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eegic import _checks, _files
from eegic.study.ground import Ground
from eegic.study.reading import Study
from eegic.study.results import shown_otherwise
from eegic.study.running import looked
from eegic.study.settings import Shipped, columns
from eegic.study.stages import eeg, features, group, tracking

if TYPE_CHECKING:
    from eegic.series import FeatureSeries

FORMS = ("tables", "cnd", "bids")
_WITHOUT = {  # sections of the settings that do not matter to a form
    "tables": ("report",),
    "cnd": ("null", "group", "report"),
    "bids": ("group", "report"),
}


def export_study(study: Study, to: Path, form: str = "tables", *, overwrite: bool = False) -> list[Path]:
    """Write what a study has computed for other programs.

    Parameters
    ----------
    study : Study
    to : path
        Folder; for ``bids`` that of the data set, which gets ``derivatives/eegic``.
    form : {"tables", "cnd", "bids"}
        ``tables``: scores and trials of everybody in one table each, and those of the group. ``cnd``: the preprocessed
        EEG and the features on its clock, for MATLAB. ``bids``: one result per participant.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ValueError
        If the folder of the results shows those of other settings: what is written should be what was looked at.
    """
    _checks.one_of("form", form, FORMS)
    otherwise = shown_otherwise(study, _WITHOUT[form])
    if otherwise:
        raise ValueError(f"{otherwise} For what this asks for, run the study first: `eegic run`.")
    ground = Ground(study)
    for _ in looked(ground, content=True):
        pass
    everyone = [f"sub-{who}" for who in ground.people]
    people = [who for who in everyone if ("tracking", who) in ground.entries]
    if not people:
        raise FileNotFoundError(f"{study.out}: nobody is analysed like this yet. Run the study first: `eegic run`.")
    if len(people) < len(everyone):
        left = _checks.listed([who for who in everyone if who not in people])
        warnings.warn(f"not analysed yet, and left out: {left}.", stacklevel=2)
    write = {"tables": _tables, "cnd": _cnd, "bids": _bids}[form]
    return list(write(ground, people, Path(to).expanduser(), overwrite))


def _tables(ground: Ground, people: list[str], to: Path, overwrite: bool) -> Iterator[Path]:
    import pandas as pd

    from eegic.results import Tracking

    results = [Tracking.load(ground.entries["tracking", who].file(tracking.RESULT)) for who in people]
    tables = {
        to / f"{name}.tsv": pd.concat([one.to_frame(by) for one in results])
        for name, by in (("scores", "channel"), ("trials", "trial"))
    }
    entry = ground.entries.get(("group", group.LABEL))
    inner = [] if entry is None else [name for name in entry.files if re.fullmatch(r"out/group/\w+\.tsv", name)]
    copies = {to / f"group_{Path(name).name}": ground.entries["group", group.LABEL].file(name) for name in inner}
    there = [path for path in (*tables, *copies) if path.exists()]
    if there and not overwrite:
        raise FileExistsError(f"{there[0]}: is there already. Pass overwrite=True to replace it, or another folder.")
    for path, frame in tables.items():
        with _files.replacing(path) as draft:
            frame.to_csv(draft, sep="\t", index=False, na_rep="n/a")
    for path, source in copies.items():
        with _files.replacing(path) as draft:
            shutil.copyfile(source, draft)
    yield from (*tables, *copies)


def _bids(ground: Ground, people: list[str], to: Path, overwrite: bool) -> Iterator[Path]:
    from eegic.derivatives import to_bids_derivative
    from eegic.results import Tracking

    settings = ground.study.settings
    if not (to / "dataset_description.json").is_file():
        raise ValueError(f"--to: expected the BIDS folder of the study, which gets derivatives/eegic, got {to}.")
    for who in people:
        result = Tracking.load(ground.entries["tracking", who].file(tracking.RESULT))
        task = getattr(settings.data, "task", None)
        yield to_bids_derivative(result, to, task=task, desc=tracking.DESC, overwrite=overwrite)


def _cnd(ground: Ground, people: list[str], to: Path, overwrite: bool) -> Iterator[Path]:
    from eegic.eeg import Participant, write_cnd
    from eegic.series import FeatureSeries

    persons = [Participant.load(ground.entries["eeg", who].file(eeg.PARTICIPANT)) for who in people]
    series = {}
    for stimulus in dict.fromkeys(one for person in persons for one in person.stimuli):
        i = next(i for i, person in enumerate(persons) if stimulus in person.stimuli)
        duration = next(len(trial.eeg) for trial in persons[i].trials if trial.stimulus == stimulus) / persons[i].sfreq
        found = (FeatureSeries.load(path) for path in _series(ground, people[i], stimulus))
        series[stimulus] = [_on_clock(one, persons[i].sfreq, duration) for one in found]
    yield from write_cnd(to, persons, series, overwrite=overwrite)


def _series(ground: Ground, who: str, stimulus: str) -> Iterator[Path]:
    """Files of the features of a stimulus, which came with the EEG of those who heard it, or were computed."""
    person, shipped = ground.entries["eeg", who], list(eeg.shipped(ground))
    for name, feature in ground.study.settings.used.items():
        if isinstance(feature, Shipped):
            number = person.about["stimuli"].index(stimulus)
            yield person.file(f"{eeg.SHIPPED}/{shipped.index(name)}-{number}.npz")
            continue
        for column in columns(name, feature):
            yield ground.entries["features", features.label(stimulus, column)].file(features.SERIES)


def _on_clock(series: FeatureSeries, sfreq: float, duration: float) -> FeatureSeries:
    """At the rate of the EEG; frames of a model are held until the next."""
    if abs(series.step * sfreq - 1) < 1e-6:
        return series
    return series.resample(sfreq, duration=duration)
