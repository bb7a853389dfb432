"""The command line. Each module holds the commands of one room; what they share stands here and in `words`.

- `trying`: `eegic demo`, `eegic sysinfo`
- `sound`: `eegic ic`
- `training`: `eegic train`, `eegic convert`, `eegic weights`
- `study`: `eegic init`, `check`, `run`, `status`, `group`, `report`, `export`
- `data`: `eegic data list`, `info`, `fetch`, `verify`, `status`, `add`
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

import eegic
from eegic.cli import data, sound, study, training, trying
from eegic.cli.words import in_a_shell

app = typer.Typer(
    name="eegic",
    help="Does the brain track how surprising music is? Try the whole line on a study whose truth is known.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"eegic {eegic.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options of every command."""


for _command in (
    *(trying.demo, sound.ic),
    *(study.init, study.check, study.run, study.status, study.group, study.report, study.export),
    *(training.train, training.convert, training.weights, trying.sysinfo),
):
    app.command()(_command)
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point: bad input ends with one line and exit code 2; warnings are a line each."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            app()
        except (ValueError, OSError, ImportError) as error:
            typer.echo(f"eegic: {in_a_shell(error)}", err=True)
            sys.exit(2)


def _show_warning(message: Warning | str, *where: object) -> None:
    """Say what a warning says; not from which line of Python."""
    typer.echo(f"Warning: {in_a_shell(message)}", err=True)
