"""Settings that each may stand, but do not fit what is there: channels, rates, folds, features, formulas, devices.

What they allow at best stands here, too: how small a p-value can get.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eegic import _checks
from eegic.study.ground import Ground
from eegic.study.recorded import Person, Sound
from eegic.study.settings import Envelope, Feature, InformationContent, Shipped, Stored
from eegic.study.sources import CndFolder
from eegic.study.stages import features

_SAME = 1e-3  # share by which rates may differ that are meant to be one
_LONGER = 1.0, 0.02  # seconds, and share, by which a feature may outlast its sound
_MANY = 10**6  # exchanges, or samples of a second: no more need be counted, or computed
_ENDLESS = 10**9  # samples of a sound of which nothing is known


def misfits(ground: Ground, people: Mapping[str, Person], sounds: Mapping[str, Sound]) -> Iterator[str]:
    """What is wrong, in words."""
    yield from _positions(ground)
    yield from _rates(ground, people)
    yield from _reference(ground, people)
    yield from _folds(ground, people)
    yield from _lengths(ground, people, sounds)
    yield from _exchange(ground, people)
    yield from _regions(ground, people)
    yield from _formula(ground)
    yield from _device(ground)
    for name, feature in ground.study.settings.used.items():
        if isinstance(feature, Stored):
            yield from _brought(ground, name, feature, sounds)
        elif not isinstance(feature, (Shipped, InformationContent)):
            yield from _acoustic(ground, name, feature, sounds)
    yield from _channel(ground, sounds)
    yield from _shipped(ground)


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
    from eegic.trf.crossval import DEFAULT_ALPHAS
    from eegic.trf.ridge import check_alphas

    trf = ground.study.settings.trf
    chosen = len(check_alphas(DEFAULT_ALPHAS if trf.alphas is None else trf.alphas)) > 1
    least = 3 if chosen else 2  # one to hold out, and of the others again one, to choose by
    why = "choosing alpha needs at least 3 folds" if chosen else "expected at least 2 folds"
    if trf.n_folds == 1:
        yield "trf.n_folds: expected at least 2, got 1: what is held out is predicted from the rest. Raise it."
    elif trf.n_folds is not None and trf.n_folds < least:
        yield f"trf.n_folds: {why}, got {trf.n_folds}. Raise it, or give a single alpha in trf.alphas."
    elif trf.gap is None:
        n = _n_sounds(ground, people)
        few = [who for who in n if n[who] < (trf.n_folds or least)]
        if few:
            wanted = why if trf.n_folds is None else f"{trf.n_folds} folds"
            instead = "Cut time instead, with trf.n_folds and trf.gap."
            yield (
                f"trf.n_folds: {wanted}, but {_who(few)} heard {n[few[0]]} different sounds at most, and whole sounds "
                f"are held out. {instead if trf.n_folds is None else f'Lower it. {instead}'}"
            )


def _n_sounds(ground: Ground, people: Mapping[str, Person]) -> dict[str, int]:
    """How many different sounds somebody heard at most, of those of whom it can be known."""
    needs = any(not isinstance(feature, Shipped) for feature in ground.study.settings.used.values())
    most = len(features.stimuli(ground)) if needs else 0
    n = {who: most if one.stimuli is None else len(one.stimuli) for who, one in people.items()}
    return {who: sounds for who, sounds in n.items() if sounds}


def _lengths(ground: Ground, people: Mapping[str, Person], sounds: Mapping[str, Sound]) -> Iterator[str]:
    """The shortest sound outlasts the kernel, and the gaps; the longest, where it is not known what was heard."""
    from eegic.trf import design, folds

    trf, sfreq = ground.study.settings.trf, ground.study.settings.preprocessing.sfreq
    lasts = {name: one.seconds for name, one in sounds.items()}
    heard = [name for one in people.values() for name in one.stimuli or () if name in lasts]
    limit = min(heard, key=lasts.__getitem__) if heard else max(lasts, key=lasts.__getitem__, default=None)
    layout = design.build(1, sfreq, trf.tmin, trf.tmax)
    n_times = _ENDLESS if limit is None else round(lasts[limit] * sfreq)
    if n_times < len(layout.lags):
        yield (
            f"trf.tmax: {limit} lasts {n_times / sfreq:.2f} s, shorter than the kernel of "
            f"{len(layout.lags) / sfreq:.2f} s. tmin and tmax are seconds: narrow them, or leave the sound out."
        )
    elif trf.gap is not None and trf.n_folds != 1:
        try:
            folds.split([n_times], layout, n_folds=trf.n_folds, gap=trf.gap)
        except ValueError as error:
            yield f"trf.{str(error).replace('trial 0', str(limit), 1)}"


def _exchange(ground: Ground, people: Mapping[str, Person]) -> Iterator[str]:
    """Surrogates need something to exchange."""
    null, n = ground.study.settings.null, _n_sounds(ground, people)
    if null.n < 2:
        yield f"null.n: expected at least 2 surrogates, got {null.n}. Raise it."
    alone = [who for who in n if n[who] == 1]
    if null.kind == "repair" and alone:
        yield (
            f"null.kind: {_who(alone)} heard one sound, so nothing can be exchanged between sounds. Use pseudo, with "
            "sounds that nobody heard, or shift, or, for impulses at notes, events; and hold out time, with "
            "trf.n_folds and trf.gap."
        )
    known = {who: len(one.stimuli) for who, one in people.items() if one.stimuli is not None}
    most = max(known.values(), default=0)
    if null.kind == "pseudo" and len(null.unheard) < most:
        yield (
            f"null.unheard: expected at least as many unheard sounds as heard ones ({most}), got {len(null.unheard)}: "
            "each surrogate gives every heard sound a donor of its own."
        )


def bounds(ground: Ground, people: Mapping[str, Person]) -> Iterator[str]:
    """Why no p-value of a participant can be significant, where that is so, in words."""
    from eegic import stats

    null, level, n = ground.study.settings.null, ground.study.settings.group.level, _n_sounds(ground, people)
    for n_sounds in sorted(set(n.values()) - {1}):
        possible = min(_n_exchanges(null.kind, n_sounds, len(null.unheard)), _MANY)
        if possible > 1 and not stats.attainable(level, round(possible) - 1):
            yield (
                f"{_who([who for who in n if n[who] == n_sounds])}: {n_sounds} different sounds can be exchanged in "
                f"{possible:.0f} ways, so no p-value of theirs can be below {1 / possible:.3f}. Use more sounds."
            )
    if null.n > 1 and not stats.attainable(level, null.n):
        yield f"with {null.n} surrogates (null.n) no p-value can be below {1 / (null.n + 1):.3f}. Raise it."


def _n_exchanges(kind: str, n_heard: int, n_unheard: int) -> float:
    """How many exchanges there are, as it is known where they are drawn, for sounds that are made up."""
    from eegic.trf.surrogates import Music, draw

    made_up = [np.zeros((1, 1))] * (n_heard + n_unheard)
    music = Music(tuple(range(n_heard)), np.arange(n_heard), made_up[:n_heard], made_up, np.zeros(1), ("added",))
    return draw(kind, 1, music, 0).n_possible


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


def _channel(ground: Ground, sounds: Mapping[str, Sound]) -> Iterator[str]:
    wanted = ground.study.settings.sounds.channel
    if wanted != "mean":
        without = [name for name, one in sounds.items() if one.n_channels and one.n_channels <= wanted]
        if without:
            n, others = sounds[without[0]].n_channels, f" and {len(without) - 1} more" if len(without) > 1 else ""
            yield (
                f"sounds.channel: {wanted}, counted from 0, but {without[0]}{others}: {n} channel{'s' * (n > 1)}. "
                "Name another."
            )


def _acoustic(ground: Ground, name: str, feature: Feature, sounds: Mapping[str, Sound]) -> Iterator[str]:
    """Compute a feature of noise at the rate of the sounds, the lowest first; what fails there fails of them."""
    from eegic import features as known
    from eegic.audio import Audio

    options = {"kind": feature.method} if isinstance(feature, Envelope) else feature.given("kind")
    for rate in sorted({one.sfreq for one in sounds.values() if one.sfreq}):
        first, *more = [stimulus for stimulus, one in sounds.items() if one.sfreq == rate]
        samples = 0.1 * np.random.default_rng(0).standard_normal(min(round(rate), _MANY))
        noise = Audio(samples, rate, f"{first} and {len(more)} more" if more else first)
        try:
            getattr(known, feature.kind)(noise, ground.study.settings.preprocessing.sfreq, **options)
        except ValueError as error:
            yield f"features.{name}.{error}"
            return


def _shipped(ground: Ground) -> Iterator[str]:
    """What is asked of a CND folder by name, and its first file of stimuli; recordings would have to be loaded."""
    from eegic.eeg import matlab
    from eegic.eeg.cnd_stimuli import Notes, sounds_of

    source = ground.source
    wanted = {name: one.columns for name, one in ground.study.settings.used.items() if isinstance(one, Shipped)}
    if not isinstance(source, CndFolder) or not (wanted or source.data.conditions):
        return
    file = next((path for path in ground.recordings if path.name.lower().startswith("datastim")), None)
    if file is None:
        return  # recordings hold their stimuli themselves
    try:
        stim = matlab.read_mat(file, ("stim",))["stim"]
        heard = sounds_of(stim, file, [np.zeros((1, 1))] * _n_trials(stim), None, Notes([], []))
    except Exception as error:  # of whatever stands in the file
        yield f"eeg: {error}"
        return
    series = next(iter(heard.values())).series
    for name, columns in wanted.items():
        try:
            series.select(list(columns))
        except ValueError as error:
            yield f"features.{name}.columns: {str(error).removeprefix('select: ')}"
    conditions = dict.fromkeys(one.condition for one in heard.values() if one.condition)
    unknown = [one for one in source.data.conditions if one not in conditions]
    if unknown:
        there = _checks.listed(conditions, 12)
        yield f"data.conditions: expected some of {there} ({file.name}), got {unknown[0]!r}."


def _n_trials(stim: Any) -> int:
    """How many trials a file of stimuli is for: as its numbers say, or the columns of its table of features."""
    from eegic.eeg import matlab

    if not isinstance(stim, dict) or "data" not in stim:
        return 0
    n_rows, n_columns = matlab.as_cells(stim["data"]).shape
    turned = len(matlab.as_texts(stim.get("names"))) == n_columns != n_rows
    return len(matlab.as_whole(stim.get("stimIdxs"))) or (n_rows if turned else n_columns)


def _brought(ground: Ground, name: str, feature: Stored, sounds: Mapping[str, Sound]) -> Iterator[str]:
    """Files of a feature are read, which are small, and looked at; the first that is wrong is told."""
    wrong: dict[str, str] = {}
    for stimulus in features.stimuli(ground):
        path = ground.study.path(feature.files.replace("{stimulus}", stimulus))
        if path.is_file():  # else it is told that it is not
            seconds = sounds[stimulus].seconds if stimulus in sounds else None
            fault = _fault(path, feature, ground.study.settings.preprocessing.sfreq, seconds)
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
