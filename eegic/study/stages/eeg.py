"""Every participant is read, cut at the starts of sounds, and preprocessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eegic import _checks
from eegic.study.ground import Ground, Unit
from eegic.study.settings import Preprocessing
from eegic.study.sources import Recordings, sound_folder

PARTICIPANT, SHIPPED = "participant.npz", "shipped"
_WHOM = ("participants", "exclude", "folder")  # settings that do not bear on how somebody is read


def units(ground: Ground) -> list[Unit]:
    """One per participant."""
    return [_unit(ground, who) for who in ground.people]


def _unit(ground: Ground, who: str) -> Unit:
    label = f"sub-{who}"
    try:
        may_hear, files = ground.survey(who)
        inputs = {name: ground.digest(path, f"eeg/{name}") for name, path in files.items()}
    except (ValueError, OSError) as error:
        return Unit("eeg", label, fault=str(error))
    lost = [name for name in may_hear or () if name not in ground.sounds]
    if lost and isinstance(ground.source, Recordings):
        folder = sound_folder(ground.study)
        where = "" if folder is None else f"put it into {folder}, or "
        return Unit(
            "eeg",
            label,
            fault=f"heard {_checks.listed(lost, 4)}, of which there is no sound: {where}name the file in sounds.files.",
        )
    known = {name for stage, name in ground.entries if stage == "sounds"}
    heard = [name for name in (known if may_hear is None else may_hear) if name in ground.sounds]
    fault = ground.lacking([("sounds", name) for name in heard])
    if fault:
        return Unit("eeg", label, fault=fault)
    durations = {} if may_hear is None else {name: ground.entries["sounds", name].about["duration"] for name in heard}
    settings = ground.study.settings
    wanted = shipped(ground)
    given = {
        "who": who,
        "source": ground.source,
        "durations": durations,
        "preprocessing": settings.preprocessing,
        "shipped": wanted,
    }
    told = {
        "data": settings.data.model_dump(mode="json", exclude=set(_WHOM)),
        "preprocessing": settings.preprocessing.model_dump(mode="json"),
        "shipped": wanted,
        "manifest": ground.manifest_digests,
        "only": settings.sounds.only,
    }
    found = {"files": inputs, "durations": durations}
    return ground.unit("eeg", label, told, found, given, files.values())


def shipped(ground: Ground) -> dict[str, tuple[str, ...]]:
    """Features that come with the EEG: their columns, by name."""
    used = ground.study.settings.used
    return {name: feature.columns for name, feature in used.items() if feature.kind == "data"}


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """Read and preprocess one participant."""
    from eegic.eeg import preprocess

    person, features = given["source"].read(given["who"], given["durations"])
    person = replace(person, name=f"sub-{given['who']}")
    wanted: Preprocessing = given["preprocessing"]
    if not wanted.skip:
        options = wanted.given("skip", "bridge")
        options["on_nan"] = "bridge" if wanted.bridge else "raise"
        person = preprocess(person, **options, progress=False)
    elif person.sfreq != wanted.sfreq:
        raise ValueError(
            f"{person.name}: has {person.sfreq:g} Hz, but preprocessing.sfreq is {wanted.sfreq:g} and it is skipped. "
            "Write the rate of the recordings there."
        )
    person.save(draft / PARTICIPANT)
    heard = list(dict.fromkeys(person.stimuli))
    for place, columns in enumerate(given["shipped"].values()):  # names may be anything, numbers are safe in paths
        for number, stimulus in enumerate(heard):
            features[stimulus].select(list(columns)).save(draft / SHIPPED / f"{place}-{number}.npz")
    return {
        "stimuli": heard,
        "n_trials": len(person.trials),
        "seconds": sum(trial.n_times for trial in person.trials) / person.sfreq,
        "masked": 1 - sum(int(trial.mask.sum()) for trial in person.trials) / sum(t.n_times for t in person.trials),
        "sfreq": person.sfreq,
        "n_channels": len(person.ch_names),
        "bads": list(person.bads),
        "history": list(person.history),
    }
