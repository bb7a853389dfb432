"""What the added features tell of the EEG of each participant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic.study.ground import Ground, Unit
from eegic.study.settings import Shipped, columns
from eegic.study.stages import eeg, features
from eegic.study.store import Entry

if TYPE_CHECKING:
    from eegic.series import FeatureSeries

    Series = dict[str, dict[str, list[FeatureSeries]]]  # by feature, then by stimulus

RESULT = "result.npz"
DESC = "tracking"  # in the names of files


def units(ground: Ground) -> list[Unit]:
    """One per participant."""
    return [_unit(ground, f"sub-{who}") for who in ground.people]


def _unit(ground: Ground, label: str) -> Unit:
    settings = ground.study.settings
    person = ground.entries.get(("eeg", label))
    if person is None:
        return Unit("tracking", label, fault=ground.lacking([("eeg", label)]))
    stimuli = [*person.about["stimuli"], *settings.null.unheard]
    needed = {
        (name, stimulus, column): ("features", features.label(stimulus, column))
        for name, feature in settings.used.items()
        if not isinstance(feature, Shipped)
        for stimulus in stimuli
        for column in columns(name, feature)
    }
    fault = ground.lacking(needed.values())
    heard_too = sorted(set(person.about["stimuli"]) & set(settings.null.unheard))
    if heard_too:
        fault = f"null.unheard: {', '.join(heard_too)} was heard. Name sounds that nobody heard."
    if fault:
        return Unit("tracking", label, fault=fault)
    entries = {place: ground.entries[one] for place, one in needed.items()}
    told = {
        "trf": settings.trf.model_dump(mode="json"),
        "models": list(settings.trf.models),  # in their order, which results keep
        "null": settings.null.model_dump(mode="json"),
        "seed": settings.run.seed,
        "centre": {name: getattr(feature, "centre", False) for name, feature in settings.used.items()},
        "tolerance": settings.data.tolerance,
        "task": getattr(settings.data, "task", None),
    }
    inputs = {"eeg": person.key, "features": {" / ".join(place): entry.key for place, entry in entries.items()}}
    given = {
        **told,
        "trf": settings.trf,
        "null": settings.null,
        "eeg": person.path,
        "stimuli": person.about["stimuli"],
        "files": _files(settings.used, list(eeg.shipped(ground)), person, stimuli, entries),
    }
    return ground.unit("tracking", label, told, inputs, given)


def _files(
    used: Mapping[str, Any],
    shipped: list[str],
    person: Entry,
    stimuli: list[str],
    entries: Mapping[tuple[str, str, str], Entry],
) -> dict[str, dict[str, list[Path]]]:
    """Where the series of each feature and stimulus lie."""
    found: dict[str, dict[str, list[Path]]] = {}
    for name, feature in used.items():
        if isinstance(feature, Shipped):
            place, heard = shipped.index(name), enumerate(person.about["stimuli"])
            found[name] = {one: [person.file(f"{eeg.SHIPPED}/{place}-{number}.npz")] for number, one in heard}
            continue
        found[name] = {
            stimulus: [entries[name, stimulus, column].file(features.SERIES) for column in columns(name, feature)]
            for stimulus in stimuli
        }
    return found


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """Analyse one participant."""
    from eegic.derivatives import write_result
    from eegic.eeg import Participant
    from eegic.series import FeatureSeries
    from eegic.tracking import cortical_tracking

    trf, null = given["trf"], given["null"]
    person = Participant.load(given["eeg"] / eeg.PARTICIPANT)
    series = {
        name: {stimulus: [FeatureSeries.load(path) for path in paths] for stimulus, paths in of.items()}
        for name, of in given["files"].items()
    }
    for name, centre in given["centre"].items():
        if centre:
            series[name] = _centred(series[name], given["stimuli"])
    baseline, added = (
        {one: [s for name in names for s in series[name][one]] for one in given["stimuli"]}
        for names in (trf.baseline, trf.added)
    )
    pseudo = [
        ([s for n in trf.baseline for s in series[n][one]], [s for n in trf.added for s in series[n][one]])
        for one in null.unheard
    ]
    options = trf.given("baseline", "added", "models", "alphas")
    if trf.alphas is not None:
        options["alphas"] = trf.alphas
    result = cortical_tracking(
        person,
        baseline,
        added,
        models=dict(trf.models) or None,
        **options,
        null=null.kind,
        conditional=null.conditional,
        n_null=null.n,
        refit_alpha=null.refit_alpha,
        pseudo=pseudo or None,
        tolerance=given["tolerance"],
        rng=given["seed"],
        progress=False,
    )
    result.save(draft / RESULT)
    write_result(result, draft / "out", task=given["task"], desc=DESC)
    return {"models": list(result.models), "notes": list(result.notes)}


def _centred(of: dict[str, list[FeatureSeries]], heard: list[str]) -> dict[str, list[FeatureSeries]]:
    """The same less the mean over the sounds that the participant heard, each heard once."""
    import numpy as np

    means = [
        np.nanmean(np.concatenate([of[stimulus][i].values for stimulus in heard]), axis=0)
        for i in range(len(of[heard[0]]))
    ]
    return {
        stimulus: [one.centred(mean) for one, mean in zip(several, means, strict=True)]
        for stimulus, several in of.items()
    }
