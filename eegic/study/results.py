"""The folder of the results: what entries have to show, put where people look for it, and the account of the run."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from eegic import _files, _toml
from eegic.study import provenance
from eegic.study.events import as_json
from eegic.study.ground import STAGES, Ground, rows_of
from eegic.study.reading import Study, read_study
from eegic.study.store import Entry, readable

_PACKAGES = ("eegic", "numpy", "scipy", "mne", "torch", "pandas", "statsmodels", "soundfile", "soxr")
_LIST = "published.json"
_SETTINGS = "study.toml"
_HEAD = "# All settings of {}, as used. Paths are seen from its folder.\n"
_ASIDE = ("output", "report", "run.device")  # settings that decide where things go and what is told of them
_MOST = 4  # settings that fit into a line
_TOPS = ("group", "figures", "reports", "logs", "sub-*")  # folders of the results


@cache
def versions() -> dict[str, str]:
    """Of the packages that numbers depend on: what is computed keeps by which it was."""
    return {name: metadata.version(name) for name in _PACKAGES}


def check_folder(ground: Ground) -> None:
    """Refuse a folder that holds something else, before anything is computed."""
    study, out = ground.study, ground.study.out
    other = _other(study)
    if other is not None:
        raise ValueError(
            f"{study.file}: output.folder: {out} holds the results of another study, {other}, which would be lost. "
            f"Name another folder, such as results-{Path(study.file).stem}."
        )
    own = {study.folder: "the study itself", ground.root: "the data"}
    own |= {path.parent: "sounds" for path in ground.sounds.values()}
    own |= {path.parent: "recordings" for path in ground.recordings}
    for setting, folder, example in (("folder", out, "results"), ("store", study.store, "store")):
        for place, what in own.items():
            if place.is_relative_to(folder):
                raise ValueError(
                    f"{study.file}: output.{setting}: {folder} holds {what}, and results would be put between. Name a "
                    f"folder of its own, such as {example}."
                )
    there = [name for name in (_SETTINGS, "participants.tsv", "dataset_description.json") if (out / name).exists()]
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
    settings = provenance.anonymous(ground.study.toml())
    people = ("participant_id", "state", "reason", "n_trials", "minutes")
    texts = {
        _SETTINGS: f"{_HEAD.format(ground.study.file)}{settings}",
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
    _forget_tracebacks(out, faults)
    provenance.describe_dataset(out, f"eegic: {ground.study.settings.name}", ground.root)
    _write(out / _LIST, json.dumps({name: _digest(out / name) for name in names}, indent=1) + "\n")
    _write(out / "logs" / "run.json", as_json(provenance.times(record, **outcome), indent=2).decode() + "\n")


def last_failures(out: Path) -> dict[tuple[str, str], str]:
    """Why units were not there after the last run, by stage and label."""
    return {(row[0], row[1]): row[2] for row in rows_of(out / "failures.tsv") if len(row) == 3}


def warned(out: Path) -> str:
    """How many warnings there are in the results, and the first of them, in a line; empty for none."""
    rows = [row for row in rows_of(out / "warnings.tsv") if len(row) == 3]
    if not rows:
        return ""
    units = {unit for _, unit, _ in rows}
    people = sum(unit.startswith("sub-") for unit in units)
    about = [_counted(people, "participant")] if people else []
    about += [_counted(len(units) - people, "other unit" if people else "unit")] if len(units) > people else []
    first = f"{rows[0][1]}: {textwrap.shorten(rows[0][2], 100, placeholder=' ...')}"
    eg = ", e.g." if len(rows) > 1 else ":"
    end = "" if first.endswith((".", "!", "?")) else "."
    return (
        f"{_counted(len(rows), 'warning')} about {' and '.join(about)}{eg} {first}{end} All in {out.name}/warnings.tsv."
    )


def shown_otherwise(study: Study, aside: Sequence[str] = ()) -> str:
    """Which settings the results that are in the folder were made with and are not asked for, in a line.

    Empty if there are none. Settings of these sections are passed over, and those that change no number.
    """
    path, folder = study.out / _SETTINGS, f"{study.settings.output.folder.rstrip('/')}/"
    if not path.is_file() or not (study.out / _LIST).is_file():
        return ""
    try:
        before = read_study(path)
    except ValueError as error:
        why = str(error).splitlines()[0]
        return f"What {folder} shows cannot be told ({why}). `eegic run` writes it anew."
    shown, asked = _flat(before, before.settings.used), _flat(study, study.settings.features)
    aside = (*_ASIDE, *aside)
    if not (shown["group.allow_missing"] and _somebody_is_missing(study.out)):
        aside = (*aside, "group.allow_missing")
    other = {
        place: value
        for place, value in shown.items()
        if asked.get(place) != value and not f"{place}.".startswith(tuple(f"{one}." for one in aside))
    }
    if not other:
        return ""
    there = [f"{place} = {_toml.text(value)}" for place, value in other.items()]
    here = [f"{place} = {_toml.text(asked[place])}" if place in asked else f"no {place}" for place in other]
    if len(other) > _MOST:
        more = f"and {len(other) - _MOST} more as in {folder}{_SETTINGS}"
        return f"{folder} shows {', '.join(there[:_MOST])}, {more}; this asks for {', '.join(here[:_MOST])}, and so on."
    options = " ".join(f"--set {shlex.quote(f'{place}={_toml.text(value)}')}" for place, value in other.items())
    return f"{folder} shows {', '.join(there)}; this asks for {', '.join(here)}. Pass {options} for what is shown."


def sweep(out: Path) -> list[Path]:
    """Remove drafts that a killed run left among the results."""
    below = [path for top in _TOPS for folder in out.glob(top) for path in folder.rglob(".*")]
    drafts = [path for path in (*out.glob(".*"), *below) if _files.DRAFT.fullmatch(path.name) and path.is_file()]
    for path in drafts:
        path.unlink(missing_ok=True)
    return drafts


def _other(study: Study) -> str | None:
    """Another study, still there, whose results the folder holds; None if it is this one's, also by a former name."""
    path, own = study.out / _SETTINGS, study.folder / study.file
    try:
        text = path.read_text(encoding="utf-8")
        name = _toml.parsed(str(path), text.encode()).get("name")
    except (OSError, ValueError):
        return None
    told = re.match(_HEAD.format("(.+)"), text)
    if told is None or name == study.settings.name:
        return None
    files = [folder / told[1] for folder in (study.folder, study.out.parent)]
    others = [file for file in files if file.is_file() and not (own.is_file() and file.samefile(own))]
    return f"{name!r} ({others[0]})" if others else None


def _flat(study: Study, features: Iterable[str]) -> dict[str, Any]:
    """Settings by the names that --set has for them, in words that tell nobody's home folder; only these features."""
    table = _toml.parsed(study.file, provenance.anonymous(study.toml()).encode())
    sections = {section: inner for section, inner in table.items() if isinstance(inner, dict)}
    own = {f"features.{_toml.name(name)}": sections["features"][name] for name in features}
    sections = {**{section: inner for section, inner in sections.items() if section != "features"}, **own}
    return {f"{section}.{key}": value for section, inner in sections.items() for key, value in inner.items()}


def _somebody_is_missing(out: Path) -> bool:
    return any(row[1] in ("failed", "not computed") for row in rows_of(out / "participants.tsv") if len(row) > 1)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


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
    """Where entries of one stage were computed with different versions of a package, or with another than is here."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for package, version in entry.about.get("versions", {}).items():
            found.setdefault((entry.stage, package), set()).add(version)
    rows: list[Sequence[object]] = []
    for (stage, package), several in found.items():
        told, here = " and ".join(sorted(several)), versions().get(package, "none")
        if len(several) > 1:
            rows.append((stage, "all", f"computed in part with {package} {told}; --force computes all with one"))
        elif told != here:
            rows.append((stage, "all", f"computed with {package} {told}, but here is {here}; --force takes that"))
    return rows


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


def _forget_tracebacks(out: Path, faults: Iterable[tuple[str, str]]) -> None:
    """Remove tracebacks of failures that are mended."""
    kept = {(stage, readable(label)) for stage, label in faults}
    for path in (out / "logs").glob("*/*.txt"):
        if (path.parent.name, path.stem.rpartition("-")[0]) not in kept:
            path.unlink(missing_ok=True)


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
