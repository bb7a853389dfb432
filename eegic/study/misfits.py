"""Settings that each may stand, but do not fit what is there: channels, rates, folds, features, formulas, devices."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from eegic import _checks
from eegic.study.ground import Ground
from eegic.study.recorded import Person
from eegic.study.settings import Shipped, Stored
from eegic.study.stages import features

_SAME = 1e-3  # share by which rates may differ that are meant to be one
_LONGER = 1.0, 0.02  # seconds, and share, by which a feature may outlast its sound


def misfits(ground: Ground, people: Mapping[str, Person], sounds: Mapping[str, float]) -> Iterator[str]:
    """What is wrong, in words."""
    yield from _positions(ground)
    yield from _rates(ground, people)
    yield from _reference(ground, people)
    yield from _folds(ground, people)
    yield from _regions(ground, people)
    yield from _formula(ground)
    yield from _device(ground)
    for name, feature in ground.study.settings.used.items():
        if isinstance(feature, Stored):
            yield from _brought(ground, name, feature, sounds)


def _positions(ground: Ground) -> Iterator[str]:
    from eegic.eeg.participant import electrode_positions

    montage = ground.study.settings.data.montage
    if montage is not None:
        try:
            electrode_positions(montage)
        except ValueError as error:
            yield f"data.{error}"


def _rates(ground: Ground, people: Mapping[str, Person]) -> Iterator[str]:
    """Recordings have at least the rate of the analysis, or just that where they are taken as they are."""
    wanted = ground.study.settings.preprocessing
    known = {who: one.sfreq for who, one in people.items() if one.sfreq}
    if wanted.skip:
        other = [who for who, rate in known.items() if rate != wanted.sfreq]
        advice = "Preprocessing is skipped: write the rate of the recordings there."
    else:
        other = [who for who, rate in known.items() if rate < (1 - _SAME) * wanted.sfreq]
        advice = "No more is to be had from them: lower it."
    if other:
        yield f"preprocessing.sfreq: {wanted.sfreq:g} Hz, but {_who(other)}: {known[other[0]]:g} Hz. {advice}"


def _who(people: list[str]) -> str:
    return f"sub-{people[0]} and {len(people) - 1} more" if len(people) > 1 else f"sub-{people[0]}"


def _reference(ground: Ground, people: Mapping[str, Person]) -> Iterator[str]:
    wanted = ground.study.settings.preprocessing
    for name in (
        () if wanted.skip or wanted.reference is None or isinstance(wanted.reference, str) else wanted.reference
    ):
        without = [who for who, one in people.items() if one.ch_names and name not in one.ch_names]
        if without:
            there = _checks.listed(people[without[0]].ch_names, 12)
            yield f"preprocessing.reference: {name!r} is no EEG channel of {_who(without)}. Expected some of {there}."


def _folds(ground: Ground, people: Mapping[str, Person]) -> Iterator[str]:
    """Sounds are held out, so there are no more folds than sounds; time is held out where a gap is given."""
    trf = ground.study.settings.trf
    if trf.n_folds is None or trf.gap is not None:
        return
    needs = any(not isinstance(feature, Shipped) for feature in ground.study.settings.used.values())
    most = len(features.stimuli(ground)) if needs else None
    n = {who: most if one.stimuli is None else len(one.stimuli) for who, one in people.items()}
    few = [who for who, sounds in n.items() if sounds is not None and sounds < trf.n_folds]
    if few:
        yield (
            f"trf.n_folds: {trf.n_folds} folds, but {_who(few)} heard {n[few[0]]} different sounds at most, and whole "
            "sounds are held out. Lower it, or cut time instead with trf.gap."
        )


def _regions(ground: Ground, people: Mapping[str, Person]) -> Iterator[str]:
    from eegic.group.layout import regions_of

    regions = ground.study.settings.group.regions
    known = all(who in people and people[who].ch_names for who in ground.people)
    if regions and known:
        names = dict.fromkeys(name for one in people.values() for name in one.ch_names)
        for region, channels in regions.items():
            try:
                regions_of({region: channels}, list(names))
            except ValueError as error:
                yield f"group.{error}"


def _formula(ground: Ground) -> Iterator[str]:
    """Read the formula for made-up models, of every kind that a study may have."""
    formula = ground.study.settings.group.mixed
    if not formula or len(ground.people) < 2:
        return
    import pandas as pd

    from eegic.group import mixed

    levels = np.linspace(0, 0.9, 10)
    made_up = pd.DataFrame(
        {
            "family": pd.Categorical(np.repeat(["a", "b"], len(levels))),
            "model": pd.Categorical([f"{family} {level:g}" for family in "ab" for level in levels]),
            "noise": np.tile(levels, 2),
            "corrected": 0.0,
        }
    )
    try:
        mixed.design_of(mixed.checked(formula), made_up)
    except ValueError as error:
        yield f"group.mixed: {str(error).removeprefix('formula: ')}"


def _device(ground: Ground) -> Iterator[str]:
    if ground.models:
        from eegic import _devices

        try:
            _devices.resolve(ground.study.settings.run.device)
        except ValueError as error:
            yield f"run.{error}"


def _brought(ground: Ground, name: str, feature: Stored, sounds: Mapping[str, float]) -> Iterator[str]:
    """Files of a feature are read, which are small, and looked at; the first that is wrong is told."""
    wrong: dict[str, str] = {}
    for stimulus in features.stimuli(ground):
        path = ground.study.path(feature.files.replace("{stimulus}", stimulus))
        if path.is_file():  # else it is told that it is not
            fault = _fault(path, feature, ground.study.settings.preprocessing.sfreq, sounds.get(stimulus))
            wrong |= {stimulus: fault} if fault else {}
    if wrong:
        first, *more = wrong
        others = f" and {len(more)} more" if more else ""
        yield f"features {features.label(first, name)}{others}: {wrong[first]}"


def _fault(path: Path, feature: Stored, sfreq: float, seconds: float | None) -> str:
    """What is wrong with a file of a feature; nothing if it will do."""
    from eegic.series import FeatureSeries

    given = {**feature.given("files", "centre"), "path": path, "sfreq": sfreq, "duration": seconds}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = FeatureSeries.load(path) if path.suffix.lower() == ".npz" else features.read_table(path)
            if own.times[-1] < 0:
                return f"{path}: ends at {own.times[-1]:g} s, before the sound starts. Times count from its start."
            if seconds is not None and own.times[-1] - seconds > max(_LONGER[0], _LONGER[1] * seconds):
                return (
                    f"{path}: goes to {own.times[-1]:.3f} s, but the sound lasts {seconds:.3f} s. Are times in seconds?"
                )
            features.read(given)
    except Exception as error:  # of whatever stands in the file
        return str(error) if str(path) in str(error) else f"{path}: {error}"
    return ""
