"""Words of the command line: what functions say of their arguments, in those of a shell; tables of words."""

from __future__ import annotations

from collections.abc import Sequence

_SAID = {
    "resume=True": "--resume",
    "folder with out.": "folder with --out.",
    "Pass codec=PATH.": "Pass --codec PATH.",
    "accept_licence=True": "--accept-licence",
    "accept_unknown_licence=True": "--accept-unknown-licence",
    "Pass overwrite=True": "Pass --overwrite",
    "pass incomplete=True": "pass --incomplete",
    "backend='dask'": "--backend dask",
}
_OPTIONS = {  # what an error begins with, if it is about an argument
    "form": "--format",
    "participants": "--participant",
    "stages": "--stage",
    "n_jobs": "--n-jobs",
    "backend": "--backend",
    "dask_address": "--dask-address",
}


def in_a_shell(message: object) -> str:
    """What an error or a warning says, in words of the command line."""
    told = str(message)
    for of_python, of_shell in _SAID.items():
        told = told.replace(of_python, of_shell)
    name, colon, rest = told.partition(": ")
    return _OPTIONS.get(name, name) + colon + rest


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many cells each, below each other; the widest cell gives the width of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
