"""What a run stands on: the study, who and what is in it, the store, and what of it is there."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import eegic
from eegic import _checks
from eegic.audio import SUFFIXES
from eegic.study.digests import Digests, content_of, digest_of, state_of
from eegic.study.reading import Study
from eegic.study.sources import Known, Source, Surveyed, declared, sound_folder, source_of
from eegic.study.store import Entry, Store

LACKS = "not there"  # how the reason begins why a unit waits for others


@dataclass(frozen=True)
class Unit:
    """Something to compute, or why it cannot be.

    Attributes
    ----------
    stage, label : str
        What it is, for people.
    key : str
        Digest of all that it follows from; empty where it cannot be computed.
    given : dict
        What the stage needs to compute it; picklable, and small.
    fault : str
        Why it cannot be computed; empty otherwise.
    files : dict of Path to (tuple, str)
        Inputs that it reads: their state when their digests were taken, and these.
    """

    stage: str
    label: str
    key: str = ""
    given: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fault: str = ""
    files: Mapping[Path, tuple[tuple[int, ...], str]] = field(default_factory=dict, hash=False)

    def check_files(self) -> None:
        """Raise if an input is not as it was: what was computed from it does not belong to its key."""
        for path, (state, digest) in self.files.items():
            if state_of(str(path)) != state and content_of(path) != digest:
                raise OSError(f"{path}: changed while it was used. Wait until it is written, then run again.")


class Ground:
    """What a run stands on.

    Attributes
    ----------
    study : Study
    source : Source
        Where the EEG comes from.
    people : list of str
        Ids of those in the study.
    excluded : dict of str to str
        Ids of those who are not, and why.
    lost : list of str
        Those who were in the last run, and are neither here now nor excluded: a group should not lose members in
        silence.
    sounds : dict of str to Path
        Files of the sounds by name.
    store : Store
    digests : Digests
    entries : dict of (str, str) to Entry
        What is there of the stages that were gone through, by stage and label.
    inputs : dict of str to str
        Digests of the files that were used, by name.
    faults : dict of (str, str) to str
        Why units of the run at work are not there, by stage and label.
    """

    def __init__(self, study: Study) -> None:
        if not isinstance(study, Study):
            raise TypeError(f"study: expected a Study, got {type(study).__name__}. Pass read_study(path).")
        self.study = study
        self.source: Source = source_of(study)
        before = _before(study)
        self.people, self.excluded = declared(study, self.source, before)
        everyone = study.settings.data.participants == "all"
        were = {who for who, state in before.items() if everyone and state != "excluded"}
        self.lost = sorted(were - {*self.people, *self.excluded})
        self.people = sorted({*self.people, *self.lost})
        self.sounds = _sounds(study, self.source)
        self.store = Store(study.store)
        self.digests = Digests(study.out / "logs" / "digests.json")
        self.entries: dict[tuple[str, str], Entry] = {}
        self._surveys: dict[str, Surveyed | Exception] = {}
        self.inputs: dict[str, str] = {}
        self.faults: dict[tuple[str, str], str] = {}

    @cached_property
    def device(self) -> str:
        """Of the models of sound: what "auto" is here is part of what their values follow from."""
        asked = self.study.settings.run.device
        if asked != "auto":
            return asked
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def root(self) -> Path:
        """Folder of the data set."""
        return self.source.root

    @property
    def manifest(self) -> str:
        """Folder of the manifest of the data set, whose sounds may be read in a way of their own; empty for none."""
        return str(self.source.manifest.folder) if isinstance(self.source, Known) else ""

    @cached_property
    def manifest_digests(self) -> dict[str, str]:
        """Digests of what a manifest says about reading."""
        names = ("dataset.toml", "stimuli.tsv", "trials.tsv", "channels.tsv") if self.manifest else ()
        there = [path for name in names if (path := Path(self.manifest, name)).is_file()]
        return {path.name: self.digest(path, f"manifest/{path.name}") for path in there}

    @property
    def models(self) -> bool:
        """Whether there are models of sound to run."""
        return any(feature.kind == "ic" for feature in self.study.settings.used.values())

    def survey(self, who: str) -> Surveyed:
        """What a participant may have heard, if that is known, and their files; looked up once."""
        if who not in self._surveys:
            try:
                if who in self.lost:
                    raise FileNotFoundError(
                        f"sub-{who}: was in the study when it ran last, and has no recording now. Restore it, or say "
                        "in data.exclude why it is left out."
                    )
                self._surveys[who] = self.source.survey(who)
            except Exception as error:  # of many kinds: tables and headers of others are read
                self._surveys[who] = error
        found = self._surveys[who]
        if isinstance(found, Exception):
            raise ValueError(str(found)) from found
        return found

    @property
    def recordings(self) -> list[Path]:
        """Files of all participants, as far as they can be found."""
        found: list[Path] = []
        for who in self.people:
            with suppress(ValueError):
                found += self.survey(who)[1].values()
        return found

    @cached_property
    def used_sounds(self) -> list[str]:
        """Sounds that somebody may have heard, and those that are to be unheard."""
        heard: set[str] = set(self.study.settings.null.unheard)
        for who in self.people:
            try:
                stimuli, _ = self.survey(who)
            except ValueError:
                continue  # told in its own stage
            if stimuli is None:
                return list(self.sounds)
            heard.update(stimuli)
        return [name for name in self.sounds if name in heard]

    @property
    def uses_gpu(self) -> bool:
        """Whether models of sound take a GPU, which processes should not share."""
        return self.models and self.device.startswith("cuda")

    @property
    def packages(self) -> tuple[str, ...]:
        """What processes that compute have to load."""
        common = ("mne", "pandas", "scipy.signal", "eegic.tracking")
        return (*common, "eegic.surprisal", "eegic.codec") if self.models else common

    def digest(self, path: Path, name: str) -> str:
        """Digest of an input, which the account of the run then lists under this name."""
        found = self.digests.of(path)
        self.inputs.setdefault(name, found)  # what was used, if it has changed since
        return found

    def unit(
        self,
        stage: str,
        label: str,
        settings: Mapping[str, Any],
        inputs: Any,
        given: Mapping[str, Any],
        files: Iterable[Path] = (),
    ) -> Unit:
        """A unit whose key follows from settings, inputs and the code of its stage; the files are those it reads."""
        key = digest_of({"stage": stage, "settings": settings, "inputs": inputs, "code": code(stage)})
        states = {path: (self.digests.state(path), self.digests.of(path)) for path in files}
        return Unit(stage, label, key, given, files=states)

    def lacking(self, needed: Iterable[tuple[str, str]]) -> str:
        """What of all that is needed is not there, in words; empty if nothing lacks."""
        missing = [f"{label} ({stage})" for stage, label in needed if (stage, label) not in self.entries]
        return f"{LACKS}: {_checks.listed(missing, 4)}" if missing else ""


_SCORES = ("datasets/public", "datasets/scores", "datasets/synthesis.py", "datasets/seeds.py", "datasets/melody.py")
_ROOMS = {  # where the numbers of a stage come from, besides its own module
    "sounds": ("audio.py", *_SCORES),
    "features": (
        *("audio.py", "series.py", "features.py", "codec", "flow", "surprisal", "weights"),
        *("study/stages/sounds.py", *_SCORES),
    ),
    "eeg": ("series.py", "eeg", "datasets/public", "study/sources.py"),
    "tracking": ("series.py", "eeg", "trf", "stats", "results", "tracking.py", "derivatives.py"),
    "group": ("stats", "results", "group"),
    "report": ("stats", "results", "group", "viz", "reports"),
}
STAGES = tuple(_ROOMS)


@cache
def code(stage: str) -> str:
    """Digest of the version, and of the source files that the numbers of a stage come from."""
    top = Path(__file__).resolve().parents[1]
    found = hashlib.sha256(eegic.__version__.encode())
    for room in (*_ROOMS[stage], f"study/stages/{stage}.py"):
        files = sorted((top / room).rglob("*.py")) if (top / room).is_dir() else [top / room]
        for file in files:
            found.update(file.relative_to(top).as_posix().encode() + file.read_bytes())
    return found.hexdigest()


def _before(study: Study) -> dict[str, str]:
    """Who was in the last run, and in which state."""
    rows = rows_of(study.out / "participants.tsv")
    return {row[0].removeprefix("sub-"): row[1] for row in rows if len(row) > 1}


def rows_of(path: Path) -> list[list[str]]:
    """Cells of a table that an earlier run published, without its header; none if it is not there."""
    if not path.is_file():
        return []
    return [line.split("\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]]


def _sounds(study: Study, source: Source) -> dict[str, Path]:
    """Files of the sounds, by name: as the manifest has it, or the path from their folder without suffix."""
    wanted = study.settings.sounds
    folder = sound_folder(study)
    found: dict[str, Path] = source.sounds() if folder is None and isinstance(source, Known) else {}
    twice: list[str] = []
    for path in () if folder is None else _files_in(folder):
        name = unicodedata.normalize("NFC", path.relative_to(folder or path.parent).with_suffix("").as_posix())
        if name in found:
            twice.append(name)
        found.setdefault(name, path)
    found |= {name: study.path(file) for name, file in wanted.files.items()}
    for name in wanted.only if found else ():  # features may come without sounds
        _checks.one_of(f"{study.file}: sounds.only", name, found)
    used = {name: path for name, path in found.items() if not wanted.only or name in wanted.only}
    clash = sorted(set(twice) & set(used) - set(wanted.files))
    if clash:
        raise ValueError(
            f"{study.file}: sounds: several files in {folder} go by the name {clash[0]!r}. Say which in sounds.files, "
            "or move the others away."
        )
    return used


def _files_in(folder: Path) -> Iterable[Path]:
    for at, inner, names in os.walk(folder):
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(at, name)
