"""`eegic data`: what is known of data sets, and how they come here."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eegic.cli.words import table

if TYPE_CHECKING:  # these modules take their time, which the help of a command need not
    from eegic.datasets.public.fetch import Count, Status
    from eegic.datasets.public.manifest import Manifest

app = typer.Typer(
    help="Data sets: what is known of them, and how they come here. Only fetch opens a connection.",
    no_args_is_help=True,
)

_Name = Annotated[str, typer.Argument(help="A name of `eegic data list`, or the folder of a manifest.")]
_People = Annotated[
    list[str] | None,
    typer.Option("--participant", help="Only what this participant needs: 01. Repeatable. By default everybody."),
]
_Roles = Annotated[
    str, typer.Option("--include", help="What of it, separated by commas: recordings, what was heard, descriptions.")
]
_Place = Annotated[Path | None, typer.Option("--in", help="Folder of the data set; by default where `fetch` puts it.")]
_ALL = "eeg,stim,meta"


@app.command("list")
def list_() -> None:
    """List the data sets that eegic knows of. Those of your own are found by EEGIC_MANIFESTS, a list of folders."""
    from eegic.datasets.public.manifest import manifests

    head = ("name", "people", "channels", "sound", "size", "licence", "verified")
    typer.echo(table([head, *map(_line, manifests().values())]))


def _line(manifest: Manifest) -> tuple[str, ...]:
    return (
        manifest.id,
        str(manifest.n_participants),
        str(manifest.eeg.n_channels),
        _word(manifest.stimuli_audio_included),
        _amount(manifest.size),
        manifest.licence,
        _word(manifest.verified),
    )


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _amount(n_bytes: int | str) -> str:
    from eegic.datasets.public.download import amount

    return n_bytes if isinstance(n_bytes, str) else amount(n_bytes)


@app.command()
def info(name: _Name) -> None:
    """Print all that is known of a data set; what is not known says so."""
    from eegic.datasets.public.manifest import load_manifest

    manifest = load_manifest(name)
    typer.echo(f"{manifest.id}: {manifest.title}")
    typer.echo(table([*_facts(manifest), *_tables(manifest)]))
    if manifest.files and not manifest.files_complete:
        typer.echo("Files listed, and no others:")
        for line in _some([file.path for file in manifest.files]):
            typer.echo(f"  - {line}")
    for title, lines in (
        ("Known problems", manifest.loader.known_problems),
        ("Please cite", [f"https://doi.org/{doi}" if doi.startswith("10.") else doi for doi in manifest.citations]),
    ):
        typer.echo(f"{title}:")
        for line in lines or ["unknown"]:
            typer.echo(f"  - {line}")


def _some(names: Sequence[str], most: int = 12) -> list[str]:
    return [*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])]


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What stands in dataset.toml, by the names that it has there."""
    apart = {"id", "title", "citations", "source", "loader"}
    for key, value in manifest.about().items():
        if key == "eeg":
            yield from ((f"eeg.{name}", str(one)) for name, one in value.items())
        elif key not in apart:
            yield key, _amount(value) if key == "size" else _word(value)
    yield "loader.reader", manifest.loader.reader
    for source in manifest.sources:
        yield "source", f"{source.base} ({source.name}{', for people' if source.kind == 'page' else ''})"


def _tables(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What the tables hold."""
    roles = Counter(file.role for file in manifest.files)
    listed = ", ".join(f"{n} {role}" for role, n in sorted(roles.items()))
    of = "" if manifest.files_complete else f" of {manifest.n_files}"
    yield "files listed", f"{len(manifest.files)}{of} ({listed})" if roles else "none"
    people = manifest.participant_ids
    yield "participants", ", ".join(people) or "unknown"
    yield "stimuli listed", str(len(manifest.stimuli) or "none")
    yield "trials listed", str(len(manifest.trials) or "none")
    yield "manifest", str(manifest.folder)


@app.command()
def fetch(
    name: _Name,
    participant: _People = None,
    include: _Roles = _ALL,
    to: Annotated[
        Path | None, typer.Option(help="Folder of the data set; by default NAME in EEGIC_DATA or ~/eegic-data.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licences that `info` names, and accept them.")
    ] = False,
    accept_unknown_licence: Annotated[
        bool,
        typer.Option("--accept-unknown-licence", help="You have found out yourself what may be done with the data."),
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Fetch what is listed, though the manifest does not list all files.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come, and leave.")] = False,
) -> None:
    """Fetch a data set, or what some participants need. Once stopped, the same command goes on.

    What is there and right is not fetched again.
    """
    from eegic.datasets.public import fetch as fetching
    from eegic.datasets.public.fetch_job import check_complete

    manifest, found = _looked(name, to, participant, include)
    check_complete(manifest, incomplete)
    typer.echo(f"{manifest.id}: {manifest.title}\n-> {found.root}")
    licences = [(f"licence of the {of}", licence) for of, licence in found.licences.items()]
    typer.echo(table([("wanted", _wanted(found.total)), ("there", _there(found.total)), *licences]))
    if dry_run:
        return
    if found.total.files < found.total.all_files and sys.stdin.isatty():
        accept_licence, accept_unknown_licence = _accepted(
            found.licences.values(), accept_licence, accept_unknown_licence
        )
    try:
        done = fetching.fetch(
            manifest, to, participants=participant, include=_roles(include), accept_licence=accept_licence,
            accept_unknown_licence=accept_unknown_licence, incomplete=incomplete,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("eegic: stopped; the same command goes on.", err=True)
        raise typer.Exit(130) from None
    came = len(done.files) - done.already
    typer.echo(f"{_files(came, done.bytes)} fetched; {done.already} there before." if came else "All was there.")


def _roles(include: str) -> list[str]:
    return [role.strip() for role in include.split(",")]


def _looked(name: str, folder: Path | None, participant: list[str] | None, include: str) -> tuple[Manifest, Status]:
    """The data set, and how much is there of what was asked for: at least one file, so that no typo passes for done."""
    from eegic.datasets.public import fetch as fetching
    from eegic.datasets.public.fetch_job import check_listed
    from eegic.datasets.public.manifest import load_manifest

    manifest = load_manifest(name)
    check_listed(manifest)
    found = fetching.status(manifest, folder, participants=participant, include=_roles(include))
    if not found.total.all_files:
        raise ValueError(f"--include: expected some of what {manifest.id} lists (`eegic data info`), got {include!r}.")
    return manifest, found


def _wanted(count: Count) -> str:
    if count.unsized == 0:
        return _files(count.all_files, count.all_bytes)
    at_least = f"above {_amount(count.all_bytes)}" if count.all_bytes else "unknown size"
    return _files(count.all_files, at_least)


def _there(count: Count) -> str:
    if count.files == 0:
        return "none"
    return _files(count.files, count.bytes if count.bytes or not count.unsized else "unknown size")


def _files(n: int, n_bytes: int | str) -> str:
    return f"{n} file{'s' if n != 1 else ''}, {_amount(n_bytes)}"


def _accepted(licences: Collection[str], known: bool, unknown: bool) -> tuple[bool, bool]:
    """Ask for what was not accepted by a flag; no is an answer, too."""
    if not known and any(licence != "unknown" for licence in licences):
        known = typer.confirm("Have you read what the licence asks of you, and do you accept it?", abort=True)
    if not unknown and "unknown" in licences:
        unknown = typer.confirm("A licence is unknown. Have you found out that you may use the data?", abort=True)
    return known, unknown


@app.command()
def verify(name: _Name, participant: _People = None, include: _Roles = _ALL, folder: _Place = None) -> None:
    """Read every file and compare it with its digest. The exit code is 1 if something is missing or wrong."""
    from eegic.datasets.public import fetch as fetching

    manifest, found = _looked(name, folder, participant, include)
    typer.echo(f"{manifest.id} in {found.root}: {_there(found.total)}")
    verdicts = fetching.verify(manifest, folder, participants=participant, include=_roles(include))
    for verdict in verdicts:
        if verdict.state != "ok":
            note = f" ({verdict.note})" if verdict.note else ""
            typer.echo(f"{verdict.state}: {verdict.path}{note}")
    counts = Counter(verdict.state for verdict in verdicts)
    typer.echo(", ".join(f"{n} {state}" for state, n in counts.items()))
    _say_if_incomplete(manifest)
    if set(counts) - {"ok", "unverified"}:
        raise typer.Exit(1)


@app.command()
def status(name: _Name, participant: _People = None, include: _Roles = _ALL, folder: _Place = None) -> None:
    """Say how much of a data set is there, by size alone. The exit code is 1 if something is missing."""
    manifest, found = _looked(name, folder, participant, include)
    typer.echo(f"{manifest.id} in {found.root}")
    rows = [("what", "there", "wanted")]
    rows += [(role, _there(count), _wanted(count)) for role, count in found.roles.items() if count.all_files]
    for one, count in found.participants.items():
        rows.append(("shared" if one == "*" else one, _there(count), _wanted(count)))
    rows.append(("all", _there(found.total), _wanted(found.total)))
    typer.echo(table(rows))
    for path, n_bytes in found.parts.items():
        typer.echo(f"On its way: {path}, {_amount(n_bytes)} so far. `eegic data fetch` goes on.")
    _say_if_incomplete(manifest)
    if found.total.files < found.total.all_files:
        raise typer.Exit(1)


def _say_if_incomplete(manifest: Manifest) -> None:
    from eegic.datasets.public.fetch_job import n_listed

    if not manifest.files_complete:
        typer.echo(f"The manifest lists {n_listed(manifest)} of the data set; `eegic data info` says which.")


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(help="A data set on this disk; a clone without its large files will do.")],
    name: Annotated[str, typer.Option("--id", help="Name of the data set, of letters, digits, '-', '_' and '.'.")],
    to: Annotated[Path, typer.Option(help="Folder of manifests; NAME in it is written.")] = Path("data_manifests"),
    change: Annotated[
        list[str] | None, typer.Option("--set", help="What is known besides: licence=CC0-1.0. Repeatable.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a manifest of that name.")] = False,
) -> None:
    """Make the manifest of a data set at hand: its files, their sizes and digests, and who took part.

    What cannot be read off the files stays unknown, and is named; results and other derivatives are left out. Where
    eegic knows a manifest of that name that does not list all files, its list is completed and the rest taken over.
    """
    from eegic.datasets.public.maker import manifest_from_tree
    from eegic.datasets.public.manifest import manifests

    known = manifests().get(name)
    known = None if known is None or known.files_complete else known
    manifest = manifest_from_tree(folder, name, to=to, about=_settings(change or ()), known=known, overwrite=overwrite)
    if known is not None:
        typer.echo(f"All but the list of files is taken over from {known.folder}.")
    typer.echo(f"{manifest.id}: {_files(len(manifest.files), manifest.size)} -> {manifest.folder}")
    unknown = [what for what, value in _facts(manifest) if value == "unknown"]
    if unknown:
        typer.echo(f"Unknown: {', '.join(unknown)}.\nFill in what you know: {manifest.folder / 'dataset.toml'}")
    typer.echo(f"EEGIC_MANIFESTS={to} lets eegic find it by its name.")


def _settings(changes: Sequence[str]) -> dict[str, Any]:
    """What --set says, as a table."""
    from eegic import _toml
    from eegic.datasets.public.manifest import Eeg, Manifest

    words = {name for name, field in Manifest.model_fields.items() if field.annotation is str}
    words |= {f"eeg.{name}" for name, field in Eeg.model_fields.items() if field.annotation is str}
    table: dict[str, Any] = {}
    for change in changes:
        keys, value = _toml.change(change, "eeg.line_freq=50", lambda name: name in words)
        table = _toml.merged(table, _toml.nested(table, keys, value))
    return table
