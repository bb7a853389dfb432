"""The folder of the results: what entries have to show, put where people look for it, and the account of the run."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from eegic import _files
from eegic.study import provenance
from eegic.study.events import as_json
from eegic.study.ground import STAGES, Ground
from eegic.study.store import Entry

_PACKAGES = ("eegic", "numpy", "scipy", "mne", "torch", "pandas", "statsmodels", "soundfile", "soxr")
_LIST = "published.json"
_TOPS = ("group", "figures", "reports", "sub-*")  # folders of the results, which hold what entries show


@cache
def versions() -> dict[str, str]:
    """Of the packages that numbers depend on: what is computed keeps by which it was."""
    return {name: metadata.version(name) for name in _PACKAGES}


def check_folder(ground: Ground) -> None:
    """Refuse a folder that holds something else, before anything is computed."""
    study, out = ground.study, ground.study.out
    own = {study.folder: "the study itself", ground.root: "the data"}
    own |= {path.parent: "sounds" for path in ground.sounds.values()}
    own |= {path.parent: "recordings" for path in ground.recordings}
    for place, what in own.items():
        if place.is_relative_to(out):
            raise ValueError(
                f"{study.file}: output.folder: {out} holds {what}, and results would be put between. Name a folder of "
                "its own, such as results."
            )
    there = [name for name in ("study.toml", "participants.tsv", "dataset_description.json") if (out / name).exists()]
    if there and not (out / _LIST).exists():
        raise FileExistsError(
            f"{out}: holds {there[0]}, which no run has put there. Name another folder in output.folder, or move the "
            "file away."
        )


def publish(ground: Ground, faults: Mapping[tuple[str, str], str], record: Mapping[str, Any], **outcome: Any) -> None:
    """Put what entries have to show into the folder of the results, and beside it who, by what, and from what.

    Parameters
    ----------
    ground : Ground
        With all entries that there are.
    faults : mapping of (str, str) to str
        Units that are not there, by stage and label, and why.
    record : mapping
        As `provenance.collect` gives it.
    **outcome
        What else to note about this run.
    """
    out = ground.study.out
    shown = {name: path for entry in ground.entries.values() for name, path in _shown(entry.path, entry.files)}
    settings, people = (
        provenance.anonymous(ground.study.toml()),
        ("participant_id", "state", "reason", "n_trials", "minutes"),
    )
    texts = {
        "study.toml": f"# All settings of {ground.study.file}, as used. Paths are seen from its folder.\n{settings}",
        "participants.tsv": _table(people, _people(ground, faults)),
        "failures.tsv": _table(("stage", "unit", "reason"), [(*unit, why) for unit, why in faults.items()]),
        "warnings.tsv": _table(("stage", "unit", "warning"), _warnings(ground)),
        "provenance.json": as_json(provenance.reproducible(record), indent=2).decode() + "\n",
    }
    names, before = sorted({*shown, *texts}), _listed(out)
    _write(out / _LIST, json.dumps({**before, **dict.fromkeys(names, "")}, indent=1) + "\n")  # should this be cut off
    _forget(out, set(before) - set(names))
    for name, path in shown.items():
        _copy(path, out / name)
    for name, text in texts.items():
        _write(out / name, text)
    provenance.describe_dataset(out, f"eegic: {ground.study.settings.name}", ground.root)
    _write(out / _LIST, json.dumps({name: _digest(out / name) for name in names}, indent=1) + "\n")
    _write(out / "logs" / "run.json", as_json(provenance.times(record, **outcome), indent=2).decode() + "\n")


def last_failures(out: Path) -> dict[tuple[str, str], str]:
    """Why units were not there after the last run, by stage and label."""
    path = out / "failures.tsv"
    if not path.is_file():
        return {}
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]]
    return {(row[0], row[1]): row[2] for row in rows if len(row) == 3}


def sweep(out: Path) -> list[Path]:
    """Remove drafts that a killed run left among the results."""
    below = [path for top in _TOPS for folder in out.glob(top) for path in folder.rglob(".*")]
    drafts = [path for path in (*out.glob(".*"), *below) if _files.DRAFT.fullmatch(path.name) and path.is_file()]
    for path in drafts:
        path.unlink(missing_ok=True)
    return drafts


def _shown(folder: Path, files: Iterable[str]) -> list[tuple[str, Path]]:
    """What of an entry goes into the results: its name there, and where it is."""
    return [(name.removeprefix("out/"), folder / name) for name in files if name.startswith("out/")]


def _people(ground: Ground, faults: Mapping[tuple[str, str], str]) -> list[Sequence[object]]:
    """A row for everybody, also for those who are left out."""
    rows: list[Sequence[object]] = []
    for who in ground.people:
        label = f"sub-{who}"
        why = next((faults[stage, label] for stage in STAGES if (stage, label) in faults), "")
        entry = ground.entries.get(("eeg", label))
        size = ("n/a", "n/a") if entry is None else (entry.about["n_trials"], f"{entry.about['seconds'] / 60:.2f}")
        there = ("tracking", label) in ground.entries
        rows.append((label, "analysed" if there else "failed" if why else "not computed", why or "n/a", *size))
    return [*rows, *((f"sub-{who}", "excluded", why, "n/a", "n/a") for who, why in ground.excluded.items())]


def _warnings(ground: Ground) -> list[Sequence[object]]:
    order = {stage: number for number, stage in enumerate(STAGES)}
    entries = sorted(ground.entries.values(), key=lambda entry: (order[entry.stage], entry.label))
    rows = [(entry.stage, entry.label, text) for entry in entries for text in entry.about.get("warnings", ())]
    return [*_mixed(entries), *rows]


def _mixed(entries: Sequence[Entry]) -> list[Sequence[object]]:
    """Where entries of one stage were computed with different versions of a package."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for package, version in entry.about.get("versions", {}).items():
            found.setdefault((entry.stage, package), set()).add(version)
    said = "computed in part with {} {}; --force computes all with one"
    return [
        (stage, "all", said.format(package, " and ".join(sorted(several))))
        for (stage, package), several in found.items()
        if len(several) > 1
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows separated by tabs; what would part them is a space. They do not say whose home folder things lie in."""
    cells = [[re.sub(r"\s+", " ", provenance.anonymous(str(cell))) for cell in row] for row in (header, *rows)]
    return "".join("\t".join(row) + "\n" for row in cells)


def _listed(out: Path) -> dict[str, str]:
    """What an earlier run published."""
    try:
        before = json.loads((out / _LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in before.items()} if isinstance(before, dict) else {}


def _forget(out: Path, names: set[str]) -> None:
    """Remove what this run does not publish: results of other settings must not stand beside its own."""
    for name in names:
        path = out / name
        if path.is_relative_to(out) and ".." not in Path(name).parts and path.is_file():
            path.unlink()
            for folder in path.parents:
                if folder == out or any(folder.iterdir()):
                    break
                folder.rmdir()


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and target.stat().st_size == source.stat().st_size and _digest(target) == _digest(source):
        return
    with _files.replacing(target) as draft:
        shutil.copyfile(source, draft)


def _write(target: Path, text: str) -> None:
    content = text.encode("utf-8", "backslashreplace")
    if target.is_file() and target.read_bytes() == content:
        return
    with _files.replacing(target) as draft:
        draft.write_bytes(content)


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
