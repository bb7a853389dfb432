"""What was computed, in folders named by what it was computed from: an entry is whole, or it is not there."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eegic import _checks
from eegic.study import folders
from eegic.study.digests import canonical

SCHEMA = "eegic.study.entry/1"
_STAGE = re.compile(r"[a-z][a-z0-9_]*")
_KEY = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[^.].*-([0-9a-f]{16})")
_LEFTOVER = re.compile(r"\.(draft|old)-[0-9a-f]{16}")  # drafts of entries, and what made room for them


@dataclass(frozen=True)
class Entry:
    """What the store holds under a key.

    Parameters
    ----------
    path : Path
        Its folder.
    stage, label, key : str
        As asked for.
    about : dict
        What its maker wanted to keep beside the files.
    files : dict of str to dict
        ``sha256`` and ``bytes`` of each file, by its name in the folder (with forward slashes).
    """

    path: Path
    stage: str
    label: str
    key: str
    about: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / _checks.one_of("name", name, self.files)


class Store:
    """Results in folders, ``root/stage/label-key``, each written in one go and checked whenever it is read.

    Parameters
    ----------
    root : Path
        Folder of the store; made by the first entry.

    Notes
    -----
    The key of an entry is the digest of all that it follows from (`eegic.study.digests.digest_of`): settings of its
    stage, digests of its inputs, versions. So an entry never goes out of date, and whatever may differ between two
    results has to stand in the key. The label is there for people who look into the folder; it is not compared.

    An entry is written beside its place, flushed to disk and moved there at the end. Where folders are renamed at
    once, as on the disks of one machine and on NFS, a kill or a power cut leaves the whole entry or none. Folders that
    are mirrored between machines while they are written (cloud drives) promise nothing like that.

    Examples
    --------
    >>> import tempfile
    >>> from eegic.study.digests import digest_of
    >>> store, key = Store(tempfile.mkdtemp()), digest_of({"sound": "Für Elise", "sfreq": 64})
    >>> with store.write("features", "Für Elise", key, about={"sfreq": 64}) as folder:
    ...     _ = (folder / "envelope.txt").write_text("0.1 0.4 0.2")
    >>> entry = store.find("features", "Für Elise", key)
    >>> entry.path.name, entry.about, entry.file("envelope.txt").read_text()
    ('Fur-Elise-7f135b4c21b3a74e', {'sfreq': 64}, '0.1 0.4 0.2')
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def path(self, stage: str, label: str, key: str) -> Path:
        """Return the folder of an entry, which need not be there.

        Parameters
        ----------
        stage : str
            Small letters, digits and underscores.
        label : str
            Any text; of it, what is safe in the name of a folder is kept, 40 characters at most.
        key : str
            64 hexadecimal digits, the first 16 of which tell folders apart.
        """
        for name, text in (("stage", stage), ("label", label), ("key", key)):
            if not isinstance(text, str):
                raise TypeError(f"{name}: expected a string, got {text!r} ({type(text).__name__}).")
        if not _STAGE.fullmatch(stage):
            raise ValueError(f"stage: expected small letters, digits and underscores, got {stage!r}. Rename it.")
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"key: expected 64 hexadecimal digits, got {key!r}. Take `digest_of` of what determines it."
            )
        return self.root / stage / f"{readable(label)}-{key[:16]}"

    def find(self, stage: str, label: str, key: str, *, content: bool = True) -> Entry | None:
        """Return an entry whose files are all there, as they were written; None if there is none.

        Without `content` only their names and sizes are compared, which is enough to say what there is to do.

        Warns
        -----
        UserWarning
            If there is one but it is damaged: where, and in what way. It counts as not there.
        """
        path = self.path(stage, label, key)
        if not os.path.lexists(path):
            return None
        try:
            told = folders.verified(path, SCHEMA, content=content)
            if (told["stage"], told["key"]) != (stage, key):
                raise ValueError(f"it is {told['stage']} of the key {told['key']}")
        except (OSError, ValueError) as error:
            warnings.warn(f"{path}: damaged ({error}); it is computed again.", stacklevel=2)
            return None
        return Entry(path, stage, label, key, told["about"], told["files"])

    @contextmanager
    def write(self, stage: str, label: str, key: str, about: Mapping[str, object] | None = None) -> Iterator[Path]:
        """Give an empty folder to write files in; once the block has ended well it is the entry.

        Parameters
        ----------
        stage, label, key : str
            As for `path`.
        about : mapping, optional
            Plain values to keep beside the files. It is read when the block ends, so what is found out in it can still
            be added. No dates and no durations: the same computation gives the same bytes.

        Yields
        ------
        Path
            Files and folders of any names may be made in it, but no links and no ``entry.json``.

        Notes
        -----
        An entry that is there already stays until the new one is whole. If the block raises, nothing has changed. Of
        two that write the same entry at once, the last one's stays. A kill leaves the old entry or the new one; between
        the two renames at the end, neither, and then it is computed again.
        """
        target = self.path(stage, label, key)
        about = {} if about is None else about
        if not isinstance(about, Mapping):
            raise TypeError(f"about: expected a dict of plain values, got {type(about).__name__}.")
        canonical(dict(about), "about")  # before hours of work, not after
        draft = folders.new_draft(target)
        try:
            yield draft
            folders.seal(draft, {"schema": SCHEMA, "stage": stage, "label": label, "key": key, "about": dict(about)})
            folders.publish(draft, target)
        except Exception as error:
            reason = folders.lack_of_room(error)
            if reason is None:
                raise
            raise OSError(
                f"{target}: {stage} of {label!r} could not be written ({reason}). {folders.size(draft)} bytes of it "
                f"were, and {shutil.disk_usage(target.parent).free} bytes are free. Make room, then run again."
            ) from error
        finally:
            folders.remove(draft)

    def sweep(self) -> list[Path]:
        """Remove what killed runs left half written, and return what it was.

        Call it while no other process writes here: what another is writing looks the same.
        """
        drafts = [path for path in self._in_stages() if _LEFTOVER.fullmatch(path.name)]
        for path in drafts:
            folders.remove(path)
        return [path for path in drafts if not os.path.lexists(path)]

    def unused(self, keys: Iterable[tuple[str, str]]) -> list[Path]:
        """Return the folders of entries whose stage and key are not among these pairs."""
        used = {(stage, key[:16]) for stage, key in keys}
        entries = [(path, _FOLDER.fullmatch(path.name)) for path in self._in_stages()]
        idle = [path for path, match in entries if match and (path.parent.name, match[1]) not in used]
        return [path for path in idle if (path / folders.SEAL).is_file()]  # what has no seal is not of the store

    @staticmethod
    def size(path: Path) -> int:
        """Return how many bytes the files in a folder have."""
        return folders.size(path)

    def _in_stages(self) -> list[Path]:
        stages = [path for path in _listed(self.root) if _STAGE.fullmatch(path.name)]
        return [path for stage in stages for path in _listed(stage)]


def readable(label: str) -> str:
    """What of a text may stand in the name of a folder everywhere; the key makes up for what is lost."""
    letters = unicodedata.normalize("NFKD", label[:400]).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^A-Za-z0-9_]+", "-", letters).strip("-")[:40].rstrip("-") or "unnamed"


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing if there is none."""
    return sorted(folder.iterdir()) if folder.is_dir() else []
