"""BIDS out: the result of a participant in the folder of derivatives, with tables that need no eegic to be read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import eegic
from eegic import _files
from eegic.results import Tracking

if TYPE_CHECKING:
    import pandas as pd

_BIDS_VERSION = "1.9.0"
_TABLES = {"scores": "channel", "trials": "trial"}  # by what a row is, see `Tracking.to_frame`
_LONGEST = 230  # characters of the names of files before their suffix: 255 bytes are allowed in all
_REMEDIES = {
    "sub": "`dataclasses.replace(result, participant='sub-01')`",
    "ses": "`session='01'`",
    "task": "`task='listening'`",
    "desc": "`desc='surprisal'`",
}
_R = "Pearson correlation of predicted and recorded EEG in held-out data"
_COLUMNS = {
    "participant": "Label of the participant, as in participants.tsv.",
    "model": "Name of the full model: the baseline with the added features that the key Models lists.",
    "trial": "Number of the trial, in the order of presentation, from 0.",
    "stimulus": "What was presented, by name.",
    "sound": "What was presented, by content: stimuli with the same features are one sound.",
    "start": "Start of the scored stretch, from the start of the trial.",
    "stop": "End of the scored stretch, from the start of the trial.",
    "used": "Time of the scored stretch that was used: what is neither masked nor unknown.",
    "channel": "EEG channel. Bad channels have n/a throughout.",
    "r_reduced": f"{_R}, of the reduced model: the baseline features alone.",
    "r_full": f"{_R}, of the full model.",
    "delta_r": "r_full minus r_reduced. Biased below zero: a useless feature lowers held-out r.",
    "null_mean": "Mean over surrogates of delta_r, when the added features do not belong to their sounds.",
    "corrected": "delta_r minus null_mean: zero on average when the added features tell nothing.",
    "corrected_se": "Standard error of corrected, when the added features tell nothing.",
    "p": "One-sided p-value of delta_r, from the surrogates, of this channel and model.",
    "p_maxt": "The same, corrected for all channels and models by the largest studentised delta_r.",
    "ceiling": "Noise ceiling: the correlation that a perfect model could reach.",
    "share": "Share of the ceiling that corrected makes up.",
}


def to_bids_derivative(
    result: Tracking,
    root: str | os.PathLike[str],
    *,
    task: str | None = None,
    session: str | None = None,
    desc: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a result into the derivatives of a BIDS folder.

    Parameters
    ----------
    result : Tracking
        Its participant gives the label: ``"sub-01"`` and ``"01"`` both go to ``sub-01``.
    root : path
        The BIDS folder; files go to ``derivatives/eegic`` in it.
    task, session : str, optional
        Labels for the names of the files.
    desc : str, optional
        Label of the analysis, of letters and digits; by default the name of the model without other characters, or
        ``"tracking"`` if there are several models.
    overwrite : bool
        Replace files of an earlier result.

    Returns
    -------
    Path
        The ``_trf.npz``: everything, for `Tracking.load`. It is written last.

    Notes
    -----
    Beside it stand ``_scores.tsv`` (a row per model and channel) and ``_trials.tsv`` (a row per model, trial and
    channel), each with a JSON text that explains its columns and states the models, settings and versions. BIDS has no
    suffixes for such results: ``trf``, ``scores`` and ``trials`` are ours.

    Examples
    --------
    >>> import eegic as ei
    >>> from tempfile import TemporaryDirectory
    >>> study = ei.datasets.simulate_study(1, 4, duration=8, n_channels=8, progress=False, rng=0)
    >>> result = ei.cortical_tracking(study.participants[0], study.envelopes, study.surprisal, tmax=0.3,
    ...                               alphas=[0.1], n_null=23, rng=0)
    >>> with TemporaryDirectory() as root:
    ...     written = to_bids_derivative(result, root, task="listening")
    ...     print(written.relative_to(root).as_posix())
    derivatives/eegic/sub-01/eeg/sub-01_task-listening_desc-surprisal_trf.npz
    """
    if not isinstance(result, Tracking):
        raise TypeError(f"result: expected a Tracking, got {type(result).__name__}.")
    root = Path(root).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: expected the folder of a BIDS data set. Create it first.")
    top = root / "derivatives" / "eegic"
    target, stem = _place(result, top, task, session, desc)
    there = [file.name for file in _files_of(target, stem) if file.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{target.parent}: {there[0]} exists. Pass overwrite=True to replace it, or another `desc` to keep both."
        )
    _describe(top, root)
    write_result(result, top, task=task, session=session, desc=desc)
    return target


def write_result(
    result: Tracking, top: Path, *, task: str | None = None, session: str | None = None, desc: str | None = None
) -> Path:
    """Write the files of a result into a folder of derivatives, replacing those of an earlier one."""
    target, stem = _place(result, top, task, session, desc)
    about = {
        "Baseline": list(result.baseline),
        "Models": {name: list(own) for name, own in result.models.items()},
        "Surrogates": result.null.shape[1],
        "Settings": result.settings,
        "Notes": list(result.notes),
        "Versions": result.versions,
    }
    for table, by in _TABLES.items():
        frame = result.to_frame(by)
        with _files.replacing(target.parent / f"{stem}_{table}.tsv") as draft:
            frame.to_csv(draft, sep="\t", index=False, na_rep="n/a")
        _write_json(target.parent / f"{stem}_{table}.json", {**_columns(frame), **about})
    result.save(target)
    return target


def _place(result: Tracking, top: Path, task: str | None, session: str | None, desc: str | None) -> tuple[Path, str]:
    """Where the result goes, and how the names of its files begin."""
    if desc is None:
        only = next(iter(result.models)) if len(result.models) == 1 else "tracking"
        desc = re.sub(r"[^A-Za-z0-9]", "", only) or "tracking"
    labels = {"sub": result.participant, "ses": session, "task": task, "desc": desc}
    parts = [f"{entity}-{_label(entity, label)}" for entity, label in labels.items() if label is not None]
    folder = top.joinpath(*(part for part in parts if part.startswith(("sub-", "ses-"))), "eeg")
    stem = "_".join(parts)
    if len(stem) > _LONGEST:
        longest = max(labels, key=lambda entity: len(labels[entity] or ""))
        raise ValueError(
            f"{longest}-: the names of the files would start with {len(stem)} characters, of which file systems take "
            f"about {_LONGEST}. Shorten the label of {len(labels[longest] or '')} characters: {_REMEDIES[longest]}."
        )
    return folder / f"{stem}_trf.npz", stem


def _files_of(target: Path, stem: str) -> list[Path]:
    return [target, *(target.with_name(f"{stem}_{table}.{suffix}") for table in _TABLES for suffix in ("tsv", "json"))]


def _label(entity: str, value: object) -> str:
    """A label as BIDS allows it; nothing is taken out, since two participants could become one."""
    label = value.removeprefix(f"{entity}-") if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9]+", label):
        raise ValueError(
            f"{entity}-: BIDS expects a label of letters and digits, got {value!r}. Write {_REMEDIES[entity]}."
        )
    return label


def _columns(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    columns = {str(name): {"Description": _COLUMNS[str(name)]} for name in frame}
    for name, column in columns.items():
        if frame[name].dtype.kind == "f":
            column["Units"] = "s" if name in ("start", "stop", "used") else "dimensionless"
    return columns


def describe(
    folder: Path, name: str, sources: Sequence[Mapping[str, str]] = (), *, bids_version: str = _BIDS_VERSION
) -> None:
    """Write dataset_description.json of a derivative, or add this version of eegic to the one that is there.

    Parameters
    ----------
    folder : Path
        The derivative.
    name : str
        Of the derivative.
    sources : sequence of dict
        What it was made from, each as ``{"URL": ..., "DOI": ...}``, as far as known.
    bids_version : str
        Of BIDS, that the derivative follows.
    """
    path = folder / "dataset_description.json"
    own = {"Name": "eegic", "Version": eegic.__version__, **_code_url()}
    fresh: dict[str, Any] = {"Name": name, "BIDSVersion": bids_version, "DatasetType": "derivative"}
    description = _read_json(path) or (fresh | ({"SourceDatasets": [*map(dict, sources)]} if sources else {}))
    before = json.dumps(description) if path.is_file() else ""
    description["Name"] = name
    if own not in description.setdefault("GeneratedBy", []):
        description["GeneratedBy"].append(own)
    if json.dumps(description) != before:
        _write_json(path, description)


def described(root: Path) -> dict[str, Any]:
    """What a BIDS folder says about itself; nothing if it says nothing."""
    return _read_json(root / "dataset_description.json")


def _describe(top: Path, root: Path) -> None:
    source = described(root)
    link = {"DOI": source["DatasetDOI"]} if "DatasetDOI" in source else {}
    name, bids_version = source.get("Name", root.resolve().name), source.get("BIDSVersion", _BIDS_VERSION)
    describe(top, f"eegic: {name}", [{"URL": "../..", **link}], bids_version=bids_version)


def _code_url() -> dict[str, str]:
    """Where the code is, if the package says so."""
    from importlib import metadata

    urls = dict(url.split(", ", 1) for url in metadata.metadata("eegic").get_all("Project-URL") or [])
    known = [urls[name] for name in ("Source", "Repository", "Homepage") if name in urls]
    return {"CodeURL": known[0]} if known else {}


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error}). Correct it, or move it away.") from error


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with _files.replacing(path) as draft:
        draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
