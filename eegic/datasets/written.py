"""A simulated study on disk, as a laboratory would have it: to try a whole analysis on."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.datasets.truth import Study
from eegic.eeg.cnd_writer import write_cnd
from eegic.eeg.participant import Participant

if TYPE_CHECKING:
    import mne

_GAP = 1.0  # seconds before each trial, and after the last
_TASK = "listening"
_HEADING = "A simulated study: nobody was recorded."
_DRAFT = ".draft-"
# what a folder of such a study consists of; whatever else lies in it stays
_OWN = (
    *("raw", "dataCND", "sub-*", "stimuli", "features", ".bidsignore"),
    *("dataset_description.json", "participants.tsv", "participants.json"),
)


def write_study(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    format: str = "files",  # noqa: A002
    overwrite: bool = False,
) -> Path:
    """Write a simulated study to disk, as a data set to try a whole analysis on.

    Parameters
    ----------
    study : Study
        From `simulate_study`.
    folder : path
        Where to; it is made, or must be empty.
    format : {"files", "bids", "cnd"}
        Of the EEG:

        - ``files``: ``raw/sub-01_eeg.fif``, and ``raw/sub-01_events.tsv`` with the columns ``onset`` and ``stimulus``,
          for `read_participant`. Double precision.
        - ``bids``: a BIDS tree with BrainVision files, for `read_bids`. Single precision; needs mne_bids and pybv.
        - ``cnd``: ``dataCND/dataSub1.mat`` and so on, with envelope, onsets and surprisal in ``dataStim.mat``, for
          `read_cnd`. Double precision.
    overwrite : bool
        True replaces a study that was written here before; other files in the folder stay. A folder that holds no
        simulated study is never written into, unless it is empty.

    Returns
    -------
    Path
        The folder. Whatever the format, it holds the sounds as ``stimuli/NAME.wav`` (24 bits), what the EEG answers
        to as ``features/surprisal/NAME.npz`` and ``features/onset/NAME.npz`` (for `FeatureSeries.load`; impulses at
        note onsets, at the rate of the EEG), and ``README.txt``.

    Notes
    -----
    A recording of ``files`` and ``bids`` is continuous: the trials in order of presentation, with a second before each
    and after the last. That second fades from the mirrored end of one trial to the mirrored start of the next, so that
    filters find neither steps nor silence in it.

    The same study gives the same bytes, with the same versions of the packages that write them, except that .mat files
    hold the time of writing, and FIF files the number of the computer.

    Examples
    --------
    >>> import tempfile
    >>> from eegic import read_participant
    >>> from eegic.datasets import simulate_study
    >>> study = simulate_study(2, 3, duration=6, n_channels=4, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     raw = write_study(study, folder) / "raw"
    ...     read_participant(raw / "sub-01_eeg.fif", raw / "sub-01_events.tsv", study.audio)
    Participant(sub-01: 3 trials of 3 sounds, 18 s, 4 channels at 64 Hz)
    """
    if not isinstance(study, Study):
        raise TypeError(f"study: expected a Study, got {type(study).__name__}. simulate_study(...) makes one.")
    write_eeg = _FORMATS[_checks.one_of("format", format, _FORMATS)]
    folder = Path(folder).expanduser()
    _check_folder(folder, _checks.flag("overwrite", overwrite))
    with _replacing(folder) as draft:
        for name in study.stimuli:
            study.audio[name].write(draft / "stimuli" / f"{name}.wav")
            study.surprisal[name].save(draft / "features" / "surprisal" / f"{name}.npz")
            study.onsets[name].save(draft / "features" / "onset" / f"{name}.npz")
        layout = write_eeg(study, draft)
        _write_text(draft / "README.txt", _readme(study, layout))
    return folder


def _check_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder to write into, got a file.")
    if not folder.exists() or not any(not path.name.startswith(_DRAFT) for path in folder.iterdir()):
        return
    readme = folder / "README.txt"
    if not readme.is_file() or not readme.read_text(encoding="utf-8", errors="replace").startswith(_HEADING):
        raise FileExistsError(
            f"{folder}: expected an empty folder, got one that holds no simulated study. Nothing in it is replaced: "
            "choose another one."
        )
    if not overwrite:
        raise FileExistsError(f"{folder}: holds a simulated study. Choose another folder, or pass overwrite=True.")


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Give a folder to write in; once the block has ended well, its content takes the place of an earlier study."""
    draft = folder / f"{_DRAFT}{secrets.token_hex(8)}"
    try:
        draft.mkdir(parents=True)
    except OSError as error:  # it names the draft, which nobody asked for
        raise type(error)(f"{folder}: cannot be written ({error.strerror}). Choose a folder that can be.") from error
    try:
        yield draft
        (folder / "README.txt").unlink(missing_ok=True)  # without it a folder that is neither old nor new is refused
        for old in [path for pattern in _OWN for path in folder.glob(pattern)]:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        for new in sorted(draft.iterdir(), key=lambda path: path.name == "README.txt"):
            new.replace(folder / new.name)
    finally:
        shutil.rmtree(draft)


def _write_files(study: Study, folder: Path) -> str:
    (folder / "raw").mkdir()
    for person in study.participants:
        raw, onsets = _recording(person)
        raw.save(folder / "raw" / f"{person.name}_eeg.fif", fmt="double", verbose="error")
        rows = [f"{onset!r}\t{stimulus}\n" for onset, stimulus in zip(onsets, person.stimuli, strict=True)]
        _write_text(folder / "raw" / f"{person.name}_events.tsv", "".join(["onset\tstimulus\n", *rows]))
    return (
        "raw/sub-NN_eeg.fif           EEG of a participant, continuous, in volts\n"
        "raw/sub-NN_events.tsv        when which sound started in it: seconds, and NAME"
    )


def _write_bids(study: Study, folder: Path) -> str:
    import mne

    try:
        import mne_bids
    except ImportError as error:
        raise ImportError("BIDS needs mne_bids. Install it with `pip install 'eegic[io]'`.") from error

    mne_bids.make_dataset_description(
        path=folder,
        name=_HEADING,
        authors=["eegic"],
        generated_by=[{"Name": "eegic", "Version": version("eegic")}],
        verbose="error",
    )
    for person in study.participants:
        raw, onsets = _recording(person)
        seconds = [trial.n_times / person.sfreq for trial in person.trials]
        extras = [{"stim_file": f"{stimulus}.wav"} for stimulus in person.stimuli]
        raw.set_annotations(mne.Annotations(onsets, seconds, "sound", extras=extras))
        path = mne_bids.BIDSPath(root=folder, subject=person.name.removeprefix("sub-"), task=_TASK, datatype="eeg")
        mne_bids.write_raw_bids(raw, path, format="BrainVision", allow_preload=True, verbose="error")
        about = {"Manufacturer": "none: simulated by eegic", "TaskDescription": "Listening to melodies."}
        mne_bids.update_sidecar_json(path.copy().update(suffix="eeg", extension=".json"), about, verbose="error")
    _write_text(folder / ".bidsignore", "features/\n")
    references = (folder / "README").read_text(encoding="utf-8")  # BIDS allows one file of that name
    (folder / "README").unlink()
    return (
        f"sub-NN/eeg/                  EEG of a participant, continuous, as BIDS has it (task {_TASK})\n"
        "                             with stim_file in events.tsv: which sound started when\n\n"
        f"{references.strip()}"
    )


def _write_cnd(study: Study, folder: Path) -> str:
    heard = {name: [study.envelopes[name], study.onsets[name], study.surprisal[name]] for name in study.stimuli}
    write_cnd(folder / "dataCND", study.participants, heard)
    return (
        "dataCND/dataSubN.mat         EEG of a participant, in microvolts, cut into trials as CND has it\n"
        "dataCND/dataStim.mat         envelope, onsets and surprisal of what was heard"
    )


_FORMATS = {"files": _write_files, "bids": _write_bids, "cnd": _write_cnd}


def _recording(person: Participant) -> tuple[mne.io.RawArray, list[float]]:
    """One continuous recording, and the seconds at which its sounds start."""
    import mne

    if not all(mask.all() for mask in person.masks):
        raise ValueError(f"{person.name}: parts are masked, which this format has no place for. Use format='cnd'.")
    gap = round(_GAP * person.sfreq)
    starts = np.cumsum([gap, *(trial.n_times + gap for trial in person.trials)])
    eeg = np.zeros((starts[-1], len(person.ch_names)))
    rise = (np.arange(gap) + 0.5)[:, None] / gap
    for first, trial in zip(starts, person.trials, strict=False):
        stop = first + trial.n_times
        before, here, after = np.split(np.pad(trial.eeg, ((gap, gap), (0, 0)), "symmetric"), [gap, gap + trial.n_times])
        eeg[first - gap : first] += rise * before
        eeg[first:stop] = here
        eeg[stop : stop + gap] += rise[::-1] * after
    return mne.io.RawArray(eeg.T, person.info, verbose="error"), (starts[:-1] / person.sfreq).tolist()


def _readme(study: Study, layout: str) -> str:
    truth, first = study.truth, study.participants[0]
    seconds = next(iter(study.audio.values())).duration
    return f"""{_HEADING}

{len(study.participants)} participants and {len(study.stimuli)} melodies of {seconds:g} s, each heard {_times(study)};
{len(first.ch_names)} channels at {first.sfreq:g} Hz. All is drawn with the seed {truth.seed}:
eegic.datasets.simulate_study(..., rng={truth.seed}) of eegic {version("eegic")}.

The EEG is a response to the envelope of the sound ({truth.snr:g} of the variance of the background), a response to
surprisal ({truth.surprisal_effect:g} of its SD; 0 means that there is none), and noise.

stimuli/NAME.wav             the sounds: {study.stimuli[0]} to {study.stimuli[-1]}
features/surprisal/NAME.npz  {", ".join(study.surprisal[study.stimuli[0]].names)} in bits, as impulses at note onsets
features/onset/NAME.npz      1 at the same samples (both at the rate of the EEG; eegic.FeatureSeries.load)
{layout}
"""


def _times(study: Study) -> str:
    times = len(study.participants[0].trials) / len(study.stimuli)
    return "once" if times == 1 else f"{times:g} times"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
