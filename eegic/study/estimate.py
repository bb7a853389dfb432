"""What a run would take: memory, room on the disk and time, by what headers tell."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from eegic.study.events import read
from eegic.study.ground import Ground
from eegic.study.recorded import Person
from eegic.study.rows import Row
from eegic.study.settings import InformationContent, Shipped, Spectrogram

_SECONDS = {"sounds": 0.1, "features": 1.0, "eeg": 5.0, "tracking": 20.0, "group": 10.0, "report": 8.0}  # each, roughly
_IC_PER_SECOND = 0.06  # of sound and noise level, by mini on one processor; published models take a GPU
_COPIES = 6  # of a participant's EEG and features that are in memory at once while models are fitted
_BASE = 0.6  # GiB of a process that has loaded its packages
_KEPT = 4  # of surrogates: in the store and among the results, of participants and of the group
_PAGE = 3e6  # bytes of a report and of what lies beside it


def memory(ground: Ground, sounds: Mapping[str, float], people: Mapping[str, Person], n_jobs: int) -> float:
    """GiB, by the largest participant: the EEG and the lagged features' moments, in a few copies each."""
    at_once = 0.0
    for one in people.values():
        recorded = len(one.ch_names) * one.sfreq * one.seconds * 8
        at_once = max(at_once, 2 * recorded + _COPIES * _analysed(ground, one, sounds))
    n_channels = max((len(one.ch_names) for one in people.values()), default=64)
    null = ground.study.settings.null.n * _n_models(ground) * n_channels * 8 * _COPIES
    return n_jobs * (_BASE + (at_once + null) / 2**30)


def _analysed(ground: Ground, one: Person, sounds: Mapping[str, float]) -> float:
    """Bytes of the EEG of a participant at the rate of the analysis."""
    seconds = one.seconds or sum(sounds.values())
    return len(one.ch_names) * ground.study.settings.preprocessing.sfreq * seconds * 8


def _n_models(ground: Ground) -> int:
    used = ground.study.settings.used.values()
    return sum(len(feature.noise) if isinstance(feature, InformationContent) else 1 for feature in used)


def disk(
    ground: Ground, rows: Sequence[Row], sounds: Mapping[str, float], people: Mapping[str, Person], problems: list[str]
) -> str:
    """Room that what is left to do takes, and what there is; a problem if there is too little."""
    needed = sum(_share(rows, stage) * size for stage, size in _stored(ground, sounds, people).items())
    folder = nearest(ground.study.store)
    total, _, free = shutil.disk_usage(folder)
    if needed > free and total:  # else nothing can be written there at all, which is told
        problems.append(
            f"output: about {size_of(needed)} are needed at {folder}, but {size_of(free)} are free. Make room, or name "
            "a folder on another disk in output.folder, or in output.store."
        )
    return f"needs about {size_of(needed)}, {size_of(free)} free at {folder}"


def _stored(ground: Ground, sounds: Mapping[str, float], people: Mapping[str, Person]) -> dict[str, float]:
    """Bytes of everything by stage, once it is there."""
    settings, unknown = ground.study.settings, Person(None, 0)
    channels = [len(people.get(who, unknown).ch_names) or 64 for who in ground.people]
    columns = sum(_n_columns(feature) for feature in settings.used.values())
    surrogates = (settings.null.n + 1) * _n_models(ground) * sum(channels) * 8
    pages = 1 + len(ground.people) * settings.report.participants
    return {
        "features": sum(sounds.values()) * settings.preprocessing.sfreq * columns * 8,
        "eeg": sum(_analysed(ground, one, sounds) if one.ch_names else one.n_bytes for one in people.values()),
        "tracking": _KEPT / 2 * surrogates,
        "group": _KEPT / 2 * surrogates,
        "report": pages * _PAGE,
    }


def _n_columns(feature: object) -> int:
    if isinstance(feature, Spectrogram):
        return feature.n_bands
    if isinstance(feature, InformationContent):
        return 2 * len(feature.noise)  # with standard errors
    return len(feature.columns) if isinstance(feature, Shipped) else 1


def _share(rows: Sequence[Row], stage: str) -> float:
    """How much of a stage is left to do."""
    own = [row.status != "cached" for row in rows if row.stage == stage]
    return sum(own) / len(own) if own else 0.0


def nearest(path: Path) -> Path:
    """The folder, or what there is on the way to it."""
    return next(one for one in (path, *path.parents) if one.exists())


def time(ground: Ground, rows: Sequence[Row], sounds: Mapping[str, float], n_jobs: int) -> str:
    """How long it takes: as the units of earlier runs, or a rough guess."""
    known, typical = _log(ground.study.out / "logs" / "events.jsonl"), sum(sounds.values()) / max(len(sounds), 1)
    total, guessed = 0.0, set()
    for row in rows:
        if row.status == "cached":
            continue
        if row.stage in known:
            total += known[row.stage]
            continue
        guessed.add(row.stage)
        levels = any(isinstance(one, InformationContent) for one in ground.study.settings.used.values())
        total += _SECONDS[row.stage] + (_IC_PER_SECOND * typical if row.stage == "features" and levels else 0.0)
    if not total:
        return "nothing to do: everything is there"
    rough = f" (a rough guess for {', '.join(sorted(guessed))})" if guessed else " (as units took so far)"
    return f"about {_duration(total / n_jobs)}, {n_jobs} at a time{rough}"


def _log(path: Path) -> dict[str, float]:
    """Mean seconds of computed units by stage."""
    if not path.is_file():
        return {}
    spent: dict[str, list[float]] = {}
    for event in read(path):
        if event["event"] == "unit_finished" and event.get("status") == "ok":
            spent.setdefault(str(event["stage"]), []).append(float(event["seconds"]))
    return {stage: sum(own) / len(own) for stage, own in spent.items()}


def size_of(n_bytes: float) -> str:
    """Bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
