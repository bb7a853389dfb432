"""A small simulated data set on disk, and a study that fits it: to see a batch run before it meets data."""

from __future__ import annotations

from pathlib import Path

from eegic import _checks

FORMS = ("files", "bids", "cnd")
_DATA = {
    "files": 'recordings = "raw/sub-{participant}_eeg.fif"\ntrials = "raw/sub-{participant}_events.tsv"\n',
    "bids": "",
    "cnd": 'unit = "uV"\n',
}
_TEXT = """# A study of simulated listeners, whose EEG answers to envelope, note onsets and surprisal.
name = "simulated"

[data]
format = "{form}"
folder = "."
{data}
[sounds]
folder = "stimuli"

[features.envelope]
kind = "envelope"

[features.onset]  # of the notes
kind = "files"
files = "features/onset/{{stimulus}}.npz"

[features.surprisal]  # of the notes: the truth
kind = "files"
files = "features/surprisal/{{stimulus}}.npz"

[features.mini]  # what a small model of sound makes of it
kind = "ic"
model = "mini"
noise = [0.3, 0.5]

[preprocessing]
bad_channels = "keep"

[trf]
baseline = ["envelope", "onset"]
added = ["surprisal", "mini"]
tmax = 0.4
n_folds = 4

[null]
n = 199

[report]
about = "Simulated listeners. surprisal is the truth that their EEG answers to; mini is the information content that \
a small model finds in the sound."
"""


def example(
    folder: Path,
    form: str = "files",
    *,
    n_participants: int = 6,
    n_stimuli: int = 8,
    duration: float = 20.0,
    n_channels: int = 32,
    effect: float = 1.0,
    rng: int = 0,
) -> str:
    """Write a simulated data set, and return the study.toml that fits it.

    Parameters
    ----------
    folder : path
        Empty, or not there yet.
    form : {"files", "bids", "cnd"}
        Layout of the data set.
    n_participants, n_stimuli, duration, n_channels, rng
        As in `simulate_study`.
    effect : float
        Response to surprisal relative to that to the envelope; 0 for none.

    Returns
    -------
    str

    Raises
    ------
    FileExistsError
        If something is in the folder already; then nothing is simulated.
    """
    from eegic.datasets import simulate_study, write_study

    _checks.one_of("form", form, FORMS)
    _check_empty(Path(folder).expanduser())
    study = simulate_study(
        n_participants,
        n_stimuli,
        duration,
        rhythm="free",
        surprisal_effect=effect,
        n_channels=n_channels,
        rng=rng,
        progress=False,
    )
    write_study(study, folder, format=form)
    return _TEXT.format(form=form, data=_DATA[form])


def _check_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder to write into, got a file. Name another folder.")
    there = min((path.name for path in folder.iterdir()), default=None) if folder.exists() else None
    if there is not None:
        raise FileExistsError(
            f"{folder}: expected an empty folder, got one that holds {there!r}. Nothing in it is replaced: choose "
            "another one."
        )
