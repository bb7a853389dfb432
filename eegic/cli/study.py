"""`eegic init`, `check`, `run`, `status`, `group`, `report`, `export`: a study in one file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eegic.study import Study

_File = Annotated[Path, typer.Argument(help="The study: a .toml file, or the folder that holds study.toml.")]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Another value than in the file, for this command: trf.tmax=0.5. Repeatable. data.exclude.P3=slept adds "
        "to a table, 'data.exclude={P3=\"slept\"}' replaces the whole.",
    ),
]
_Jobs = Annotated[int, typer.Option("--n-jobs", help="Units at a time, one processor each; -1 for every core.")]
_Backend = Annotated[
    str, typer.Option(help="auto, serial (in this process), loky (on this machine) or dask (in a cluster).")
]
_Dask = Annotated[
    str | None,
    typer.Option("--dask-address", help="Of a Dask scheduler, tcp://host:8786; see the page on clusters."),
]
_Force = Annotated[bool, typer.Option("--force", help="Compute anew what is there.")]
_Missing = Annotated[
    bool, typer.Option("--allow-missing", help="Let the group go on with those who are there; it says how many.")
]


def init(
    file: Annotated[Path, typer.Argument(help="The .toml file to write, or the folder to write study.toml in.")] = Path(
        "study.toml"
    ),
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="Where the EEG comes from: bids (the default), cnd, files (that of --simulate), manifest."
        ),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Write a small simulated data set too, with a study that fits it.")
    ] = False,
) -> None:
    """Write a study.toml to start from: every setting, its default and what it is for."""
    from eegic import _files
    from eegic.study import example, template

    target = file if file.suffix == ".toml" and not file.is_dir() else file / "study.toml"
    if target.exists():
        raise FileExistsError(f"{target}: is there already. Name another file, or move it away.")
    text = example(target.parent, form or "files") if simulate else template(form or "bids")
    with _files.replacing(target) as draft:
        draft.write_text(text, encoding="utf-8")
    typer.echo(f"-> {target}\nNext: {shlex.join(['eegic', 'check', str(target)])}")


def check(
    file: _File,
    change: _Set = None,
    n_jobs: _Jobs = 1,
) -> None:
    """Look at everything a study needs (files, triggers, sounds, models, licences, memory, time); compute nothing.

    Exit code 1 if something will fail.
    """
    from eegic.study import check_study, read_study

    found = check_study(read_study(file, change or ()), n_jobs=n_jobs)
    typer.echo(found)
    if found.problems:
        raise typer.Exit(1)


def run(
    file: _File,
    change: _Set = None,
    participant: Annotated[
        list[str] | None, typer.Option(help="Only this one, by id; the group waits. Repeatable.")
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(help="Only this one: sounds, features, eeg, tracking, group, report. Repeatable."),
    ] = None,
    n_jobs: _Jobs = 1,
    backend: _Backend = "auto",
    dask_address: _Dask = None,
    force: _Force = False,
    allow_missing: _Missing = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be computed; compute nothing.")] = False,
) -> None:
    """Compute what is not there yet of a study, and put its results together.

    Stopped or killed, it goes on where it was. A unit that fails is recorded, the others are finished, and the exit
    code is 1.
    """
    if participant and "group" in (stage or ()):
        raise ValueError("the group takes everybody: leave out --participant.")
    _run(
        file,
        change=change,
        participants=participant,
        stages=stage,
        n_jobs=n_jobs,
        backend=backend,
        dask_address=dask_address,
        force=force,
        allow_missing=allow_missing,
        dry_run=dry_run,
    )


def group(file: _File, change: _Set = None, force: _Force = False, allow_missing: _Missing = False) -> None:
    """Put the participants that are there together: tests, tables."""
    _run(file, change=change, stages=["group"], backend="serial", force=force, allow_missing=allow_missing)


def report(
    file: _File, change: _Set = None, n_jobs: _Jobs = 1, force: _Force = False, allow_missing: _Missing = False
) -> None:
    """Write the pages of participants and group from what is there."""
    stages = ["group", "report"]
    _run(file, change=change, stages=stages, n_jobs=n_jobs, force=force, allow_missing=allow_missing)


def status(
    file: _File,
    change: _Set = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what was computed with other settings, or from other files.")
    ] = False,
) -> None:
    """Say what of a study is there, what is to be computed, and what failed last."""
    from eegic.study import read_study
    from eegic.study.stock import prune as removed
    from eegic.study.stock import stock

    study = read_study(file, change or ())
    typer.echo(stock(study))
    _say_what_is_shown(study)
    if prune:
        with _alone():
            n, size = removed(study)
        typer.echo(f"{n} entries of other settings were deleted, {size / 1e6:.1f} MB.")


def export(
    file: _File,
    to: Annotated[Path, typer.Option("--to", help="Folder to write to.")],
    form: Annotated[
        str,
        typer.Option("--format", help="tables (one of each kind, for everybody), cnd (EEG and features), bids."),
    ] = "tables",
    change: _Set = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Hand results on: tables for a statistics program, CND for MATLAB, or derivatives for a BIDS folder."""
    from eegic.study import read_study
    from eegic.study.export import export_study

    study = read_study(file, change or ())
    try:
        paths = export_study(study, to, form, overwrite=overwrite)
    except (ValueError, FileNotFoundError) as error:
        first = shlex.join(["eegic", "run", str(file), *(word for one in change or () for word in ("--set", one))])
        raise ValueError(str(error).replace("`eegic run`", f"`{first}`")) from error
    for path in paths:
        typer.echo(f"-> {path}")


def _run(
    file: Path,
    *,
    change: list[str] | None = None,
    participants: list[str] | None = None,
    stages: list[str] | None = None,
    n_jobs: int = 1,
    backend: str = "auto",
    dask_address: str | None = None,
    force: bool = False,
    allow_missing: bool = False,
    dry_run: bool = False,
) -> None:
    from eegic.study import read_study, run_study
    from eegic.study.results import warned

    changes = [*(change or ()), *(["group.allow_missing=true"] if allow_missing else [])]
    study = read_study(file, changes)
    if stages and not dry_run:
        _say_what_is_shown(study)
    try:
        with _alone():
            outcome = run_study(
                study,
                participants=participants or None,
                stages=stages or None,
                n_jobs=n_jobs,
                backend=backend,
                dask_address=dask_address,
                force=force,
                dry_run=dry_run,
            )
    except KeyboardInterrupt:
        again = f"`{shlex.join(['eegic', *sys.argv[1:]])}` {'begins anew' if force else 'goes on'}"
        typer.echo(f"eegic: stopped. Nothing is lost but what was under way; {again}.", err=True)
        raise typer.Exit(130) from None
    typer.echo(outcome)
    if dry_run:
        return
    told = warned(outcome.folder)
    if told:
        typer.echo(f"eegic: {told}", err=True)
    typer.echo(f"-> {outcome.folder}")
    if outcome.failed:
        typer.echo(
            f"eegic: {len(outcome.failed)} of {len(outcome.rows)} units are missing; see failures.tsv.", err=True
        )
        raise typer.Exit(1)


def _say_what_is_shown(study: Study) -> None:
    """Say in a line if the folder of the results shows those of other settings."""
    from eegic.study.results import shown_otherwise

    told = shown_otherwise(study)
    if told:
        typer.echo(f"eegic: {told}", err=True)


@contextmanager
def _alone() -> Iterator[None]:
    """End with a line if another run is at work in the folder."""
    from eegic.study.lock import Locked

    try:
        yield
    except Locked as error:
        typer.echo(f"eegic: {error}", err=True)
        raise typer.Exit(2) from None
