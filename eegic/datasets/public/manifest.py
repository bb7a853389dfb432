"""Manifests: what is known about a public data set, where its files are, and what was heard when.

A manifest is a folder: ``dataset.toml`` for people, and tables for machines (``files.tsv``, ``participants.tsv``,
``stimuli.tsv``, ``trials.tsv``, ``channels.tsv``). What is not known is the word ``unknown``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eegic import _toml
from eegic.datasets.public import tables
from eegic.datasets.public.errors import complaints, line_of
from eegic.datasets.public.models import Eeg, File, Loader, Manifest, Source
from eegic.datasets.public.tables import Row

__all__ = [
    "DATASET",
    "Eeg",
    "File",
    "Loader",
    "Manifest",
    "Source",
    "data_home",
    "iter_trials",
    "load_manifest",
    "manifest_folders",
    "manifests",
]

DATASET = "dataset.toml"


def load_manifest(name: str | os.PathLike[str]) -> Manifest:
    """Load the manifest of a data set.

    Parameters
    ----------
    name : str or path
        A name that `manifests` lists, or the folder of a manifest.

    Returns
    -------
    Manifest
        Its tables are read, and checked, when they are first asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such manifest. The message says where it was looked for.
    ValueError
        If the manifest says what cannot be. The message names the file and the line.

    Examples
    --------
    >>> from eegic.datasets import load_manifest
    >>> manifest = load_manifest("ds004408")
    >>> manifest.licence, manifest.n_participants, manifest.eeg.n_channels
    ('CC0-1.0', 19, 128)
    """
    folder = _folder(name)
    path = folder / DATASET
    content = path.read_bytes()
    about = _toml.parsed(str(path), content)
    text = content.decode("utf-8-sig")
    if "folder" in about:
        raise ValueError(f"{path}, line {line_of(text, ('folder',))}: 'folder' is no setting here. Take it out.")
    try:
        manifest = Manifest.model_validate({**_tuples(about), "folder": folder})
    except ValidationError as error:
        raise ValueError("\n".join(complaints(error, _tuples(about), path, text))) from None
    if manifest.id != folder.resolve().name:
        raise ValueError(
            f"{path}, line {line_of(text, ('id',))}: expected the name of the folder, {folder.resolve().name!r}, got "
            f"{manifest.id!r}. Rename one of them."
        )
    return manifest


def manifests() -> dict[str, Manifest]:
    """All manifests that are found, by name; of two with one name, the first in the order of `manifest_folders`."""
    found: dict[str, Manifest] = {}
    for folder in manifest_folders():
        for path in sorted(folder.glob(f"*/{DATASET}")):
            if path.parent.name not in found:
                found[path.parent.name] = load_manifest(path.parent)
    return dict(sorted(found.items()))


def manifest_folders() -> list[Path]:
    """Folders in which manifests are looked for, in order.

    Those of the environment variable EEGIC_MANIFESTS, then ``manifests`` in the folder of the data (`data_home`), then
    those that come with eegic.
    """
    own = [Path(text).expanduser() for text in os.environ.get("EEGIC_MANIFESTS", "").split(os.pathsep) if text.strip()]
    for folder in own:
        if not folder.is_dir():
            raise NotADirectoryError(f"EEGIC_MANIFESTS: {folder} is no folder. Correct the variable, or unset it.")
    package = Path(str(resources.files("eegic")))
    shipped = (package / "data_manifests", package.parent / "data_manifests")  # of a wheel, of a source tree
    return own + [one for one in (data_home() / "manifests", *shipped) if one.is_dir()]


def data_home() -> Path:
    """The folder in which data sets are kept: EEGIC_DATA, otherwise ``eegic`` in MNE_DATA, otherwise ~/eegic-data."""
    if own := os.environ.get("EEGIC_DATA"):
        return Path(own).expanduser()
    if theirs := os.environ.get("MNE_DATA"):
        return Path(theirs).expanduser() / "eegic"
    return Path.home() / "eegic-data"


def iter_trials(manifest: Manifest, participant: str | None = None) -> Iterator[Row]:
    """Trials of one participant, or of all, in the order of the table.

    Parameters
    ----------
    manifest : Manifest
    participant : str, optional
        ``"01"`` or ``"sub-01"``. By default everybody, one after the other.

    Yields
    ------
    dict of str to str
        A row of ``trials.tsv``. Rows for everybody come with the participant in place of "*"; they stay as they are
        where nobody is named and the ids of the participants are not known.

    Examples
    --------
    >>> from eegic.datasets import iter_trials, load_manifest
    >>> next(iter_trials(load_manifest("ds004408"), "sub-001"))["stim_id"]
    'audio01'
    """
    if participant is None:
        people = manifest.participant_ids or tuple(dict.fromkeys(row["participant"] for row in manifest.trials))
    else:
        people = (tables.label(participant),)
        if manifest.participant_ids and people[0] not in manifest.participant_ids:
            ids = manifest.participant_ids
            raise ValueError(f"{manifest.id}: no participant {participant!r}. {tables.meant(people[0], ids)}")
    for one in people:
        for row in manifest.trials:
            if row["participant"] in (one, "*"):
                yield {**row, "participant": one}


def _folder(name: str | os.PathLike[str]) -> Path:
    """The folder of a manifest: by name, or as named."""
    folders = manifest_folders()
    text = os.fspath(name)
    if isinstance(name, str) and not re.search(r"[/\\]", text) and text not in ("", ".", ".."):
        for folder in folders:
            if (folder / text / DATASET).is_file():
                return folder / text
    path = Path(text).expanduser()
    path = path.parent if path.name == DATASET else path
    if text and (path / DATASET).is_file():
        return path
    known = sorted({one.parent.name for folder in folders for one in folder.glob(f"*/{DATASET}")})
    raise FileNotFoundError(
        f"{text}: no folder with a {DATASET}, and no manifest of that name. {tables.meant(text, known)} Searched in "
        f"{', '.join(map(str, folders))}."
    )


def _tuples(value: Any) -> Any:
    """Lists as tuples, at all depths but that of a reader's options."""
    if isinstance(value, dict):
        return {key: inner if key == "options" else _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
