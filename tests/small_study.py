"""Small studies on disk, to check, run and export."""

from functools import cache
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from eegic.cli import app
from eegic.datasets import simulate_study, write_study
from eegic.study import Study, read_study

NAMES = ("melody-01", "melody-02", "melody-03", "melody-04")
DATA = {
    "files": 'recordings = "raw/sub-{participant}_eeg.fif"\ntrials = "raw/sub-{participant}_events.tsv"\n',
    "bids": "",
    "cnd": "",
    "manifest": 'manifest = "dilibach"\n',
}
TEXT = """name = "small"

[data]
format = "{form}"
{data}
[features.envelope]
kind = "envelope"

[features.onset]
kind = "files"
files = "features/onset/{{stimulus}}.npz"

[preprocessing]
bad_channels = "keep"

[trf]
baseline = ["envelope"]
added = ["onset"]
tmax = 0.2
alphas = [1e-2, 1.0, 1e2]

[null]
n = 9

[group]
mixed = "none"

[report]
participants = false
"""


@cache
def simulated(n_participants: int):
    """Some people who hear four melodies."""
    return simulate_study(n_participants, len(NAMES), 6.0, n_channels=4, rng=0, progress=False)


def written(folder: Path, form: str = "files", n_participants: int = 3) -> Path:
    """Write data of such a study, and its file; return the file."""
    write_study(simulated(n_participants), folder, format=form)
    return written_again(folder, form)


def written_again(folder: Path, form: str = "files", data: str = "") -> Path:
    """Write the file of a study only, with further settings of the data."""
    file = folder / "study.toml"
    file.write_text(TEXT.format(form=form, data=DATA[form] + data), encoding="utf-8")
    return file


@cache
def finished(base: Path) -> tuple[Path, Any]:
    """Run such a study once, from the command line; give its folder, to look at only, and what came of it."""
    file = written(base / "finished study")
    return file.parent, CliRunner().invoke(app, ["run", str(file)])


def read(file: Path, *changes: str) -> Study:
    """Read a study, with some settings changed."""
    return read_study(file, changes)
