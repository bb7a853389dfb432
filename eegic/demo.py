"""The whole line on a simulated study: sound, features, EEG, models, scores, figure."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eegic import __version__, _files, datasets, trf, viz
from eegic.series import FeatureSeries

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from eegic.eeg import Participant

SFREQ = 64.0
WINDOW = {"tmin": 0.0, "tmax": 0.4}
_SHOWN = 8.0  # seconds of music in the figure


@dataclass(frozen=True, eq=False)
class Fitted:
    """One participant's models.

    Attributes
    ----------
    reduced, full : CrossVal
        Envelope and onsets, and with them surprisal.
    sd : ndarray, shape (3,)
        Standard deviation of envelope, onsets and surprisal over all trials; kernels times it are volts per SD.
    """

    reduced: trf.CrossVal
    full: trf.CrossVal
    sd: np.ndarray

    @property
    def delta_r(self) -> np.ndarray:
        """Raw gain in r, mean over trials, shape (n_channels,)."""
        return np.asarray((self.full.r - self.reduced.r).mean(axis=0))

    @property
    def kernels(self) -> np.ndarray:
        """Kernels of the full model, mean over folds, in volts per SD, shape (3, n_lags, n_channels)."""
        return np.asarray(self.full.weights.mean(axis=0) * self.sd[:, None, None])


def run(
    out: Path, *, n_participants: int, duration: float, effect: float, seed: int, say: Callable[[str], None]
) -> dict[str, Fitted]:
    """Simulate a study, analyse it and write everything to the folder `out`.

    Parameters
    ----------
    out : Path
        Made if needed; files of an earlier demo are replaced.
    n_participants : int
    duration : float
        Seconds per melody; every participant hears eight.
    effect : float
        Strength of the response to surprisal relative to that to the envelope; 0 for none.
    seed : int
    say : callable
        Receives each line of the account.

    Returns
    -------
    dict of str to Fitted
        By participant.
    """
    from tqdm import tqdm

    replaces = _open(out)
    say("1. Eight melodies from a tonal grammar, their sound, and EEG of simulated listeners")
    study = datasets.simulate_study(
        n_participants, duration=duration, rhythm="free", surprisal_effect=effect, n_channels=32, sfreq=SFREQ, rng=seed
    )
    say("2. Features: envelope of the sound, note onsets, and the true surprisal of every note")
    features = {name: _features(study, name) for name in study.stimuli}
    for name, series in features.items():
        study.audio[name].write(out / "sounds" / f"{name}.wav")
        series.save(out / "features" / f"{name}.npz")
    say("3. Cross-validated temporal response functions, with and without surprisal")
    people = tqdm(study.participants, desc="Fitting", unit="participant", disable=None)
    fitted = {person.name: fit(person, features) for person in people}
    scores = tidy(study, fitted)
    with _files.replacing(out / "scores.tsv") as draft:
        scores.to_csv(draft, sep="\t", index=False)
    with _files.replacing(out / "demo.png") as draft:
        figure(study, features, fitted).savefig(draft, dpi=150)
    settings = {"effect": effect, "seed": seed, "duration": duration, "participants": n_participants}
    with _files.replacing(out / "settings.json") as draft:
        draft.write_text(json.dumps({**settings, "eegic": __version__}, indent=2) + "\n", encoding="utf-8")
    _report(fitted, effect, out, say)
    if replaces:
        say(f"An earlier demo in {out} was replaced.")
    return fitted


def _open(out: Path) -> bool:
    """Make the folder, or say now rather than after the simulation why not; tell whether it holds an earlier demo."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out}: expected a folder to write to, got a file. Name another with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise type(error)(f"{out}: cannot be written to ({error.strerror}). Name another folder with --out.") from error
    return (out / "scores.tsv").exists()


def _features(study: datasets.Study, name: str) -> FeatureSeries:
    return study.envelopes[name].stack(study.onsets[name], study.surprisal[name])


def fit(person: Participant, features: dict[str, FeatureSeries]) -> Fitted:
    """Fit the reduced and the full model to one participant; melodies are held out one at a time."""
    x = [features[stimulus].values for stimulus in person.stimuli]
    options = {**WINDOW, "groups": person.stimuli, "masks": person.masks}
    full = trf.nested_crossval(x, person.eeg, person.sfreq, **options)
    reduced = trf.nested_crossval(x, person.eeg, person.sfreq, features=[0, 1], **options)
    return Fitted(reduced, full, np.concatenate(x).std(axis=0))


def tidy(study: datasets.Study, fitted: dict[str, Fitted]) -> pd.DataFrame:
    """One row per participant, trial and channel."""
    import pandas as pd

    rows = []
    for person in study.participants:
        models = fitted[person.name]
        index = pd.MultiIndex.from_product([range(len(person.trials)), person.ch_names], names=["trial", "channel"])
        frame = pd.DataFrame(
            {"r_reduced": models.reduced.r.ravel(), "r_full": models.full.r.ravel()}, index=index
        ).reset_index()
        frame["delta_r_raw"] = frame["r_full"] - frame["r_reduced"]
        frame.insert(0, "participant", person.name)
        frame.insert(2, "stimulus", np.asarray(person.stimuli)[frame["trial"]])
        rows.append(frame)
    return pd.concat(rows, ignore_index=True)


def figure(study: datasets.Study, features: dict[str, FeatureSeries], fitted: dict[str, Fitted]) -> Figure:
    """What was heard, how the EEG follows it, and where surprisal adds to the prediction."""
    import matplotlib.pyplot as plt

    info = study.participants[0].info
    channel = int(np.argmax(study.truth.topographies.mean(axis=0)))
    kernels = np.stack([models.kernels[:, :, channel] for models in fitted.values()])
    sd = np.mean([models.sd for models in fitted.values()], axis=0)
    true = np.mean([kernel[:, :, channel] for kernel in study.truth.kernels.values()], axis=0)
    panels = plt.figure(figsize=(11, 6), layout="constrained")
    grid = panels.add_gridspec(2, 3, height_ratios=[1, 1.25])
    heard, course, before, gain = (
        panels.add_subplot(grid[at]) for at in (np.s_[0, :], np.s_[1, 0], np.s_[1, 1], np.s_[1, 2])
    )
    viz.plot_features(features[study.stimuli[0]], tmax=_SHOWN, axes=heard)
    heard.set_title(f"What was heard: the first {_SHOWN:g} s of {study.stimuli[0]}", loc="left")
    viz.plot_trf(
        fitted[study.participants[0].name].full.times,
        {"envelope": kernels[:, 0], "surprisal": kernels[:, 2]},
        truth={"envelope": true[0] * sd[0], "surprisal": true[1] * sd[2]},
        unit="µV per SD",
        axes=course,
    )
    course.set_title(f"How the EEG follows ({info['ch_names'][channel]})", loc="left")
    r = np.mean([models.reduced.r.mean(axis=0) for models in fitted.values()], axis=0)
    viz.plot_topography(r, info, label="held-out r", axes=before, title="Envelope and onsets")
    delta = np.mean([models.delta_r for models in fitted.values()], axis=0)
    viz.plot_topography(delta, info, label="raw Δr, not tested", axes=gain, title="What surprisal adds")
    return panels


def _report(fitted: dict[str, Fitted], effect: float, out: Path, say: Callable[[str], None]) -> None:
    say("")
    say(f"{'participant':<12} {'r reduced':>10} {'r full':>10} {'raw Δr':>10}   (mean over trials and channels)")
    for name, models in fitted.items():
        r = models.reduced.r.mean(), models.full.r.mean()
        say(f"{name:<12} {r[0]:>10.4f} {r[1]:>10.4f} {r[1] - r[0]:>+10.4f}")
    say("")
    say("Reduced: envelope and onsets. Full: with surprisal. A useless feature lowers held-out r, so raw Δr is biased")
    say("below zero and zero is not its null value; a test needs surrogates of the added feature.")
    say(f"Here the truth is known: the response to surprisal has {effect:g} times the SD of that to the envelope.")
    say("")
    for what, where, remark in (
        ("Figure", "demo.png", ""),
        ("Scores", "scores.tsv", "one row per participant, trial and channel"),
        ("Settings", "settings.json", "what was asked, and the version of eegic"),
        ("Features", "features/", "one FeatureSeries per melody; FeatureSeries.load reads them"),
        ("Sounds", "sounds/", ""),
    ):
        say(f"{what:<9} {f'{out}/{where}':<32} {remark}".rstrip())
    say("")
    say("Next: `eegic demo --effect 0` is the same study with nothing to find; the tutorials go on from here.")
