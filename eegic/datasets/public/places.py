"""A data set on this disk: its manifest, its folder and its options; and errors that say what was searched."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic import _checks
from eegic.audio import SUFFIXES
from eegic.eeg.heard import Library

if TYPE_CHECKING:
    from eegic.datasets.public.manifest import Manifest
    from eegic.eeg import Cnd, Participant

SCORES = (".mid", ".midi")
_NOTHING = ("", "n/a", "unknown")


@dataclass(frozen=True)
class Place:
    """A data set and the folder that holds its files.

    Attributes
    ----------
    manifest : Manifest
    root : Path
    given : dict
        Options of the caller, which come before those of the manifest.
    """

    manifest: Manifest
    root: Path
    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        manifest: Manifest | str,
        root: str | os.PathLike[str] | None,
        given: Mapping[str, Any] | None = None,
    ) -> Place:
        """The place of a data set; by default where downloads go."""
        manifest = as_manifest(manifest)
        if root is None:
            from eegic.datasets.public.fetch import data_root

            root = data_root(manifest)
        folder = Path(root).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{manifest.id}: expected the folder of its files, got {folder}, which is not there. Fetch them "
                f"(`eegic data fetch {manifest.id}`), or name the folder that holds them: root=."
            )
        return cls(manifest, folder, given or {})

    @property
    def id(self) -> str:
        """Name of the data set."""
        return self.manifest.id

    @cached_property
    def options(self) -> dict[str, Any]:
        """Options of the manifest and of the caller."""
        return {**self.manifest.loader.options, **self.given}

    def for_reader(self, own: Sequence[str]) -> dict[str, Any]:
        """Options without those that the reader of the EEG does not know."""
        return {option: value for option, value in self.options.items() if option not in (*own, "channel")}

    def path_of(self, option: str) -> Path:
        """The path in an option: the caller's as it is, the manifest's from the root; by default of the option's name.

        That default is the folder ``stimuli``.
        """
        path = Path(self.options.get(option) or option).expanduser()
        return path if self.given.get(option) else self.root / path


@dataclass(frozen=True)
class Layout:
    """How the files of a data set lie, and who reads them.

    Attributes
    ----------
    participants : callable
        Where the EEG of each participant is, of those who are there.
    load : callable
        Reads one, by name and by that path.
    files : callable
        All that `load` reads for it.
    stimuli : callable
        Sounds or scores by stimulus, of all or of one participant.
    options : tuple of str
        What `load` can be told.
    """

    participants: Callable[[Place], dict[str, Path]]
    load: Callable[[Place, str, Path], Participant | Cnd]
    files: Callable[[Place, str, Path], list[Path]]
    stimuli: Callable[[Place, str | None], dict[str, Path]]
    options: tuple[str, ...]


def as_manifest(manifest: Manifest | str) -> Manifest:
    """The manifest itself, or by its name."""
    if not isinstance(manifest, str):
        return manifest
    from eegic.datasets.public.manifest import load_manifest

    return load_manifest(manifest)


def named(place: Place, asked: str, there: Mapping[str, Path]) -> tuple[str, Path]:
    """The participant that is meant, and where it lies; 'sub-01', '01' and '1' are one."""
    alike = [asked] if asked in there else [name for name in there if _bare(name) == _bare(asked)]
    if len(alike) == 1:
        return alike[0], there[alike[0]]
    names: list[str] = sorted(there, key=natural)
    raise ValueError(
        f"{place.id}: participant: expected one of {_checks.listed(names, 40)}, whose EEG is in {place.root}, got "
        f"{asked!r}. Fetch others: `eegic data fetch {place.id}`."
    )


def _bare(name: str) -> str:
    """A name without what people leave out: 1 for sub-01 and S01."""
    bare = re.sub(r"^(sub-|[SP](?=\d))", "", name)
    return bare.lstrip("0") or bare


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts names as people count: S2 before S10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name))


def is_sound(path: Path) -> bool:
    """Whether a file, or a link to one that was not fetched, is a sound by its name; hidden ones are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def listed_stimuli(place: Place, folder: Path) -> dict[str, Path]:
    """Files by the stimuli of the manifest's table; what was not fetched is left out."""
    library = Library(place.root, folder)
    found: dict[str, Path] = {}
    searched: list[str] = []
    links = False
    for row in place.manifest.stimuli:
        stimulus, text = row["stim_id"], next((row[c] for c in ("path", "score") if row.get(c, "") not in _NOTHING), "")
        if not text:
            continue
        files = library.find(text)
        if len(files) > 1:
            both = " or ".join(map(str, files))
            raise ValueError(f"{place.id}: {stimulus} ({text}) may be {both}. Give its path in stimuli.tsv.")
        searched.append(text)
        links = links or bool(files)
        if files and files[0].exists():
            found[stimulus] = files[0]
    if not found:
        raise missing(place, "sound or score", searched or ["nothing, as stimuli.tsv names no file"], links=links)
    return found


def missing(place: Place, what: str, searched: Sequence[str], *, links: bool = False) -> FileNotFoundError:
    """The error of files that are not there, or only as links to what was not fetched."""
    got = "only links to files that were not fetched" if links else "none"
    return FileNotFoundError(
        f"{place.id}: expected at least one {what} in {place.root}, got {got}. Searched: {', '.join(searched)}. Fetch "
        f"it (`eegic data fetch {place.id}`), or name the folder that holds it: root=."
    )
