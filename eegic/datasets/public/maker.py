"""Manifests of data sets at hand: of a folder of files, or of a clone whose large files git-annex left out."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from eegic import _files, _toml
from eegic.audio import SUFFIXES
from eegic.datasets.public import tables
from eegic.datasets.public.annex import AnnexKey, annex_key, read_key
from eegic.datasets.public.manifest import DATASET, File, Manifest, load_manifest
from eegic.datasets.public.places import SCORES
from eegic.datasets.public.tables import Row

_DESCRIPTION = "dataset_description.json"
_RECORDINGS = {".vhdr", ".vmrk", ".eeg", ".set", ".fdt", ".edf", ".bdf", ".fif"}
_SOUNDS = {*SUFFIXES, *SCORES}
_SUBJECT = re.compile(r"sub-([A-Za-z0-9]+)(?=[_.]|$)")
_CND = re.compile(r"(?:pre_)?data(Sub|Stim)(\d*)\.mat")
_SPDX = {"CC0": "CC0-1.0", "PDDL": "PDDL-1.0", "CC BY 4.0": "CC-BY-4.0"}


def manifest_from_tree(
    root: str | os.PathLike[str] | Mapping[str, str],
    id: str,  # noqa: A002 -- what dataset.toml calls it
    *,
    to: str | os.PathLike[str],
    about: Mapping[str, Any] | None = None,
    known: Manifest | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Make the manifest of a data set that is at hand.

    Parameters
    ----------
    root : path, or dict of str to str
        Folder of the data set; or a listing of it without the files: paths, and for each the key of git-annex or the
        target of its link (``git ls-tree`` and ``git cat-file`` tell them).
    id : str
        Name of the manifest.
    to : path
        Folder of manifests; the manifest becomes a folder `id` in it.
    about : dict, optional
        What is known besides, as in ``dataset.toml``: ``{"licence": "CC0-1.0", "eeg": {"line_freq": 50.0}}``. It
        counts before what was found.
    known : Manifest, optional
        An earlier one of the data set, whose list of files is not complete. What else it tells is taken over.
    overwrite : bool
        Whether a manifest of that name is replaced.

    Returns
    -------
    Manifest

    Notes
    -----
    Each file is listed with its size and SHA-256. Where git-annex left a link or a pointer instead of the content, both
    come from its key (for some keys MD5, or the size alone): a plain clone of an OpenNeuro repository is enough.
    Hidden files and folders are left out, and links to folders are not followed. So are folders of what was computed:
    those with a ``published.json``, as a study leaves it, or a ``dataset_description.json`` that says "derivative".

    What is under ``stimuli``, sounds, MIDI files and ``dataStim.mat`` count as stimuli, recordings with their
    companions and ``dataSub1.mat`` as EEG, all else as meta. Participants are those of ``participants.tsv``, otherwise
    those by whom files are named. Title, licence and DOI come from ``dataset_description.json``. Nothing else is
    guessed.
    """
    if isinstance(root, Mapping):
        files, found = list(_listed(root)), {}
        people: tuple[Row, ...] = ()
    else:
        folder = Path(root).expanduser()
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder}: expected the folder of a data set. Is the path right?")
        files, found = list(_at_hand(folder)), _description(folder)
        people = _participants(folder)
    named = dict.fromkeys(file.participant for file in files if file.participant != "*")
    people = people or (known.participants if known else ()) or tuple({"participant_id": one} for one in named)
    sizes = [file.bytes for file in files if file.bytes is not None]
    told = {} if known is None else {key: value for key, value in known.about().items() if value != tables.UNKNOWN}
    told.pop("id", None)  # a copy may have another
    made = {
        "id": id,
        "title": id,
        **found,
        "format": _format(files),
        **told,
        "size": sum(sizes) if len(sizes) == len(files) else "unknown",
        "n_files": len(files),
        "files_complete": True,
        "verified": False,
        **({"n_participants": len(people)} if people else {}),
    }
    rows = {name: getattr(known, name) for name in ("stimuli", "trials", "channels")} if known else {}
    made = _toml.merged(made, about or {})
    return write_manifest(to, made, files=files, participants=people, overwrite=overwrite, **rows)


def write_manifest(
    to: str | os.PathLike[str],
    about: Mapping[str, Any],
    *,
    files: Iterable[File] = (),
    participants: Iterable[Row] = (),
    stimuli: Iterable[Row] = (),
    trials: Iterable[Row] = (),
    channels: Iterable[Row] = (),
    overwrite: bool = False,
) -> Manifest:
    """Write a manifest, and load it: what cannot be read is not written.

    Parameters
    ----------
    to : path
        Folder of manifests; the manifest becomes a folder in it, named by its id.
    about : dict
        What stands in ``dataset.toml``; `Manifest.about` gives it.
    files : iterable of File
    participants, stimuli, trials, channels : iterable of dict of str to str
        Rows of the tables; a table without rows is not written. Files and participants are sorted, the rest stays in
        its order, which tells something.
    overwrite : bool
        Whether a manifest of that name is replaced.

    Returns
    -------
    Manifest
    """
    rows = {
        "files": sorted((file.row() for file in files), key=lambda row: row["path"]),
        "participants": sorted(participants, key=lambda row: _counted(row.get("participant_id", ""))),
        "stimuli": list(stimuli),
        "trials": list(trials),
        "channels": list(channels),
    }
    name = str(about.get("id", ""))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"id: expected letters, digits, '-', '_' and '.', got {name!r}. It names a folder.")
    folder = Path(to).expanduser() / name
    if (folder / DATASET).exists() and not overwrite:
        raise FileExistsError(f"{folder}: there is a manifest of that name. Pass overwrite=True to replace it.")
    with tempfile.TemporaryDirectory() as draft:
        _write(Path(draft) / name, about, rows)
        try:
            _check(load_manifest(Path(draft) / name))
        except ValueError as error:
            raise ValueError(str(error).replace(str(Path(draft) / name), str(folder))) from None
    _write(folder, about, rows)
    return load_manifest(folder)


def _write(folder: Path, about: Mapping[str, Any], rows: Mapping[str, list[Row]]) -> None:
    for table, some in rows.items():
        if some:
            tables.write_rows(folder / f"{table}.tsv", tables.TABLES[table], some)
        else:
            (folder / f"{table}.tsv").unlink(missing_ok=True)
    with _files.replacing(folder / DATASET) as draft:
        draft.write_text(_dataset(about), encoding="utf-8", newline="\n")


def _check(manifest: Manifest) -> None:
    for table in tables.TABLES:
        getattr(manifest, table)


def _dataset(about: Mapping[str, Any], within: str = "") -> str:
    """What stands in ``dataset.toml``: values first, then sections, and one [[source]] for each."""
    values, sections = [], []
    for key, value in about.items():
        name = _toml.name(key)
        if isinstance(value, Mapping):
            sections.append(f"\n[{within}{name}]\n{_dataset(value, f'{within}{name}.')}")
        elif isinstance(value, (list, tuple)) and value and all(isinstance(one, Mapping) for one in value):
            sections += [f"\n[[{within}{name}]]\n{_dataset(one, f'{within}{name}.')}" for one in value]
        else:
            values.append(f"{name} = {_toml.text(value)}\n")
    return "".join(values + sections)


def _listed(listing: Mapping[str, str]) -> Iterator[File]:
    """Files of a listing of keys."""
    for path, target in listing.items():
        key = annex_key(target)
        if key is None:
            raise ValueError(f"{path}: expected a key of git-annex, such as SHA256E-s7--9f86....wav, got {target!r}.")
        yield _file(path, key)


def _at_hand(root: Path) -> Iterator[File]:
    """Files of a folder, with what is in them or what git-annex says of them."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(one for one in inner if not one.startswith(".") and not _is_computed(Path(folder, one)))
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            yield _file(path.relative_to(root).as_posix(), read_key(path))


def _is_computed(folder: Path) -> bool:
    """Whether a folder holds results rather than data."""
    if (folder / "published.json").is_file():
        return True
    try:
        told = json.loads((folder / _DESCRIPTION).read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError):  # none, one that git-annex left out, or one of somebody else's making
        return False
    return isinstance(told, dict) and told.get("DatasetType") == "derivative"


def _file(path: str, key: AnnexKey) -> File:
    algo: Any = key.algo
    return File(
        path=tables.inside(path),
        bytes=key.bytes,
        algo=algo,
        digest=key.digest,
        role=_role(path),
        participant=_participant(path),
    )


def _role(path: str) -> Any:
    """What a file is, by its place and its suffix."""
    place = PurePosixPath(path)
    suffix, cnd = place.suffix.lower(), _CND.fullmatch(place.name)
    if cnd:
        return "eeg" if cnd[1] == "Sub" else "stim"
    if place.parts[0] in ("stimuli", "rawSoundStimuli") and len(place.parts) > 1:
        return "stim"
    if suffix in _RECORDINGS:
        return "eeg"
    return "stim" if suffix in _SOUNDS else "meta"


def _participant(path: str) -> str:
    """Whose file it is, by the names of the file and its folders; "*" for everybody's."""
    for part in path.split("/"):
        if subject := _SUBJECT.match(part):
            return subject[1]
    cnd = _CND.fullmatch(PurePosixPath(path).name)
    return (cnd[2] if cnd else "") or "*"


def _format(files: Iterable[File]) -> str:
    paths = [PurePosixPath(file.path) for file in files]
    if any(str(path) == _DESCRIPTION for path in paths):
        return "bids"
    if any(_CND.fullmatch(path.name) for path in paths):
        return "cnd"
    return "fif" if any(path.suffix == ".fif" for path in paths) else "unknown"


def _description(root: Path) -> dict[str, Any]:
    """What a BIDS data set says of itself."""
    path = root / _DESCRIPTION
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_bytes().decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error}). Mend the file.") from error
    said = {key: value.strip() for key, value in told.items() if isinstance(value, str) and value.strip()}
    found = {"title": said.get("Name"), "licence": _SPDX.get(said.get("License", ""))}
    if found["licence"]:
        found["licence_source"] = path.name
    if "DatasetDOI" in said:
        found["doi"] = re.sub(r"^(doi:|https?://(dx\.)?doi\.org/)", "", said["DatasetDOI"])
    return {key: value for key, value in found.items() if value}


def _participants(root: Path) -> tuple[Row, ...]:
    """Rows of ``participants.tsv`` of a BIDS data set, with ids as a manifest has them: without ``sub-``."""
    from eegic.eeg.heard import read_table

    path = root / "participants.tsv"
    rows = read_table(path) if path.is_file() else ()
    for row in rows:
        if "participant_id" in row:
            row["participant_id"] = row["participant_id"].removeprefix("sub-")
    return rows


def _counted(label: str) -> list[tuple[int, str]]:
    """Labels sorted as people count: P2 before P10."""
    parts = re.split(r"(\d+)", label)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]
