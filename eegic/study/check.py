"""What a run would find and what it would take: everything is looked up, nothing is computed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eegic import _checks
from eegic.study import results
from eegic.study.estimate import disk, memory, nearest, size_of, time
from eegic.study.ground import LACKS, STAGES, Ground
from eegic.study.misfits import bounds, misfits
from eegic.study.reading import Study
from eegic.study.recorded import Person, copies, people_of, sounds_of
from eegic.study.rows import Row
from eegic.study.running import looked
from eegic.study.settings import InformationContent
from eegic.study.sources import Known

if TYPE_CHECKING:
    from eegic.surprisal import SurprisalModel


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes
    ----------
    found : tuple of (str, str)
        What is there and what is to be known, by topic.
    problems : tuple of str
        What will fail, or cannot be meant.
    rows : tuple of Row
        What there is to do.
    """

    found: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        """Lines for a terminal."""
        width = max(len(topic) for topic, _ in self.found)
        lines = [f"{topic:<{width}}  {text}" for topic, text in self.found]
        faults = [f"problem: {text}" for text in self.problems] or ["No problem was found."]
        return "\n".join([*lines, *faults])


def check_study(study: Study, *, n_jobs: int = 1) -> Check:
    """Look at everything a study needs, and compute nothing.

    Parameters
    ----------
    study : Study
    n_jobs : int
        For the estimates of memory and time.

    Returns
    -------
    Check

    Notes
    -----
    Files are opened and their headers and tables read; sounds are not decoded, save those whose header and content
    disagree, and recordings not loaded (those of CND can be known no other way, so they are listed only). Models of
    sound are loaded, and so are features in files. When sounds start and end is compared with the length of each
    recording, and settings with what is there. Time is that of units of the same stage in the log of earlier runs;
    where there are none it is a rough guess, and so is the room on the disk.
    """
    n_jobs = (os.cpu_count() or 1) if n_jobs == -1 else _checks.count("n_jobs", n_jobs)
    ground = Ground(study)
    rows = tuple(looked(ground))
    problems = _faults(rows)
    heads = dict(sounds_of(ground, problems))
    sounds = {name: one.seconds for name, one in heads.items()}
    people = dict(people_of(ground, sounds, problems))
    problems += [*copies(ground), *misfits(ground, people, heads)]
    _unheard(ground, people, problems)
    _apart(ground, problems)
    _writable("folder", study.out, problems)
    _writable("store", study.store, problems)
    found = [
        ("study", f"{study.settings.name}, {study.file} -> {study.out}"),
        ("participants", _said(ground, people)),
        ("sounds", _heard(ground, sounds, people)),
        *(("model", text) for text in _models(ground, problems)),
        *(("data licence", text) for text in _licence(ground)),
        *(("p-values", text) for text in bounds(ground, people)),
        ("to do", _to_do(rows)),
        ("memory", f"about {memory(ground, sounds, people, n_jobs):.1f} GiB for {n_jobs} at a time"),
        ("disk", disk(ground, rows, sounds, people, problems)),
        ("time", time(ground, rows, sounds, n_jobs)),
    ]
    return Check(tuple(found), tuple(dict.fromkeys(problems)), rows)


def _faults(rows: Sequence[Row]) -> list[str]:
    """What units cannot be computed by a fault of their own; the same fault of many once."""
    told: dict[str, list[str]] = {}
    for row in rows:
        if row.error and LACKS not in row.error:
            told.setdefault(row.error, []).append(f"{row.stage} {row.label}")
    return [f"{_first(units)}: {fault}" for fault, units in told.items()]


def _first(units: Sequence[str]) -> str:
    return f"{units[0]} and {len(units) - 1} more" if len(units) > 1 else units[0]


def _said(ground: Ground, people: dict[str, Person]) -> str:
    n_bytes = sum(one.n_bytes for one in people.values())
    rates = sorted({f"{len(one.ch_names)} channels at {one.sfreq:g} Hz" for one in people.values() if one.sfreq})
    parts = [f"{len(ground.people)}: {_checks.listed(ground.people, 24)}", f"{size_of(n_bytes)} in files", *rates]
    minutes = sum(one.seconds for one in people.values()) / 60
    parts += [f"{minutes:.0f} minutes"] if minutes else []
    parts += [f"excluded: {_checks.listed(ground.excluded, 12)}"] if ground.excluded else []
    return "; ".join(parts)


def _heard(ground: Ground, sounds: Mapping[str, float], people: Mapping[str, Person]) -> str:
    if not ground.sounds:
        return "none; features come with the EEG or from files"
    longest = max(sounds.values(), default=0.0)
    text = f"{len(sounds)}, {sum(sounds.values()) / 60:.1f} minutes, the longest {longest:.1f} s"
    everybody = len(people) == len(ground.people)  # else those of whom nothing is known may have heard it
    idle = sorted(set(ground.sounds) - set(ground.used_sounds)) if everybody else []
    return f"{text}; nobody heard {_checks.listed(idle, 6)}: left out" if idle else text


def _unheard(ground: Ground, people: dict[str, Person], problems: list[str]) -> None:
    """Donors of a null must be there, and not have been heard."""
    heard = {name for one in people.values() for name in one.stimuli or ()}
    for name in ground.study.settings.null.unheard:
        if name in heard:
            problems.append(f"null.unheard: {name!r} was heard. Name sounds that nobody heard.")
        elif ground.sounds and name not in ground.sounds:
            problems.append(f"null.unheard: there is no sound {name!r}")


def _models(ground: Ground, problems: list[str]) -> Iterator[str]:
    for name, feature in ground.study.settings.used.items():
        if isinstance(feature, InformationContent):
            try:
                model = _loaded(ground, feature)
            except Exception as error:  # of whatever stands in the file
                problems.append(f"features.{name}: {error}")
                continue
            levels = ", ".join(f"{level:g}" for level in feature.noise)
            caution = "; knows simulated melodies, not music" if feature.model == "mini" else ""
            how = f"{feature.model}, noise {levels}, {feature.mode}, on {ground.device}"
            yield f"{name}: {how}; licence {model.licence}{caution}"


def _loaded(ground: Ground, feature: InformationContent) -> SurprisalModel:
    """A model that can be read, and whose codec can be."""
    from eegic.codec import load_codec
    from eegic.surprisal import load_surprisal
    from eegic.surprisal.ic import codec_of

    here = {name: ground.study.path(name) for name in (feature.model, feature.codec) if name is not None}
    paths = {name: str(path) if path.is_file() else name for name, path in here.items()}
    model = load_surprisal(paths[feature.model], device="cpu")
    if feature.codec is None:
        codec_of(model, "cpu")
    else:
        load_codec(paths[feature.codec], device="cpu")
    return model


def _licence(ground: Ground) -> Iterator[str]:
    if isinstance(ground.source, Known):
        manifest = ground.source.manifest
        yield f"{manifest.title}: {manifest.licence} (sounds: {manifest.stimuli_licence})"


def _to_do(rows: Sequence[Row]) -> str:
    told = []
    for stage in STAGES:
        own = [row for row in rows if row.stage == stage]
        left = sum(row.status != "cached" for row in own)
        told.append(f"{stage} {left} of {len(own)}")
    return ", ".join(told)


def _apart(ground: Ground, problems: list[str]) -> None:
    """Results are not put between what they come from."""
    try:
        results.check_folder(ground)
    except (ValueError, OSError) as error:
        problems.append(str(error).removeprefix(f"{ground.study.file}: "))


def _writable(setting: str, out: Path, problems: list[str]) -> None:
    folder = nearest(out)
    if not folder.is_dir():
        problems.append(f"output.{setting}: {folder} is a file. Name another folder.")
    elif not os.access(folder, os.W_OK) or not shutil.disk_usage(folder).total:  # /proc lets root write, and holds none
        problems.append(f"output.{setting}: {folder} cannot be written to. Name another folder.")
