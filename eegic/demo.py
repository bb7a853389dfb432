"""The whole line on a simulated study: sound, features, EEG, models, scores, figure."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eegic import __version__, _files, datasets, stats, viz
from eegic.codec import load_codec
from eegic.recipes.assessment import of_notes
from eegic.results import Tracking
from eegic.series import FeatureSeries
from eegic.surprisal import information_content, rank_correlation
from eegic.tracking import cortical_tracking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eegic.eeg import Participant

SFREQ = 64.0
MODEL = {"tmin": 0.0, "tmax": 0.4, "alphas": tuple(float(a) for a in np.logspace(-3, 3, 7)), "n_folds": 4}
N_NULL = 199
NOISE = 0.5  # level at which the sound is listened to
HEARD = "sound's IC"  # the feature that comes from the sound alone
_SHOWN = 8.0  # seconds of music in the figure


@dataclass(frozen=True, eq=False)
class Together:
    """What a feature adds, participants averaged; surrogate k exchanges the same melodies for all: nulls average too.

    Attributes
    ----------
    gain : ndarray, shape (n_channels,)
        Raw gain in r.
    null : ndarray, shape (n_null, n_channels)
        The same under each surrogate.
    """

    gain: np.ndarray
    null: np.ndarray

    @classmethod
    def of(cls, results: dict[str, Tracking], model: str = "surprisal") -> Together:
        """Average over participants."""
        row = list(next(iter(results.values())).models).index(model)
        gains, nulls = ([getattr(one, what)[row] for one in results.values()] for what in ("gain", "null"))
        return cls(np.mean(gains, axis=0), np.mean(nulls, axis=0))

    @property
    def corrected(self) -> np.ndarray:
        """Gain beyond the mean of its null, shape (n_channels,)."""
        return np.asarray(self.gain - self.null.mean(axis=0))

    @property
    def p_maxt(self) -> np.ndarray:
        """p-values corrected for all channels, shape (n_channels,)."""
        return stats.max_statistic(self.gain, self.null)

    @property
    def p_mean(self) -> float:
        """p-value of the mean over channels."""
        return float(stats.p_value(self.gain.mean(), self.null.mean(axis=1)))


def run(
    out: Path, *, n_participants: int, duration: float, effect: float, seed: int, say: Callable[[str], None]
) -> dict[str, Tracking]:
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
    dict of str to Tracking
        By participant.
    """
    import pandas as pd
    from tqdm import tqdm

    replaces = _open(out)
    say("1. Eight melodies from a tonal grammar, their sound, and EEG of simulated listeners")
    study = datasets.simulate_study(
        n_participants, duration=duration, rhythm="free", surprisal_effect=effect, n_channels=32, sfreq=SFREQ, rng=seed
    )
    say("2. Features: envelope, note onsets, true surprisal of every note, and information content (IC) of the sound")
    heard = _heard(study, seed)
    features = {name: _features(study, heard, name) for name in study.stimuli}
    for name, series in features.items():
        study.audio[name].write(out / "sounds" / f"{name}.wav")
        series.save(out / "features" / f"{name}.npz")
    say(f"3. Temporal response functions with and without each of the two, and {N_NULL} surrogates that exchange it")
    people = tqdm(study.participants, desc="Fitting", unit="participant", disable=None)
    results = {person.name: track(person, study, heard, seed) for person in people}
    for name, result in results.items():
        result.save(out / "results" / f"{name}.npz")
    for name, by in (("scores.tsv", "trial"), ("gains.tsv", "channel")):
        with _files.replacing(out / name) as draft:
            pd.concat([one.to_frame(by) for one in results.values()]).to_csv(draft, sep="\t", index=False)
    with _files.replacing(out / "demo.png") as draft:
        figure(study, features, results).savefig(draft, dpi=150)
    settings = {"effect": effect, "seed": seed, "duration": duration, "participants": n_participants, "noise": NOISE}
    with _files.replacing(out / "settings.json") as draft:
        draft.write_text(json.dumps({**settings, "eegic": __version__}, indent=2) + "\n", encoding="utf-8")
    _report(results, _agreement(study, heard), effect, out, say)
    if replaces:
        say(f"An earlier demo in {out} was replaced.")
    return results


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


def _heard(study: datasets.Study, seed: int) -> dict[str, FeatureSeries]:
    """Information content of each note in nats, from the sound alone, less the mean of all notes."""
    codec = load_codec("mini")
    series = information_content(study.audio, "mini", NOISE, codec=codec, rng=seed)
    notes = {name: of_notes(series[name], melody, codec) for name, melody in study.melodies.items()}
    usual = np.nanmean(np.concatenate([one.values for one in notes.values()]))
    # what is not known, before the first latent that has a past, is as surprising as usual
    return {name: FeatureSeries(np.nan_to_num(one.values - usual), one.times, HEARD) for name, one in notes.items()}


def _impulses(study: datasets.Study, heard: dict[str, FeatureSeries], name: str) -> FeatureSeries:
    return heard[name].resample(SFREQ, duration=study.audio[name].duration, kind="impulse")


def _features(study: datasets.Study, heard: dict[str, FeatureSeries], name: str) -> FeatureSeries:
    return study.envelopes[name].stack(study.onsets[name], study.surprisal[name], _impulses(study, heard, name))


def _agreement(study: datasets.Study, heard: dict[str, FeatureSeries]) -> float:
    """Spearman correlation of the two kinds of surprisal over all notes."""
    found, true = (
        np.concatenate([one.values[:, 0] for one in kind])
        for kind in (heard.values(), [melody.surprisal() for melody in study.melodies.values()])
    )
    return float(rank_correlation(found, true))


def track(person: Participant, study: datasets.Study, heard: dict[str, FeatureSeries], seed: int) -> Tracking:
    """Measure what each of the two kinds of surprisal adds to envelope and onsets for one participant."""
    baseline = {name: [study.envelopes[name], study.onsets[name]] for name in study.stimuli}
    added = {name: [study.surprisal[name], _impulses(study, heard, name)] for name in study.stimuli}
    with warnings.catch_warnings():
        # scores hardly change at weak penalties, so the weakest is as good a choice as its neighbours
        warnings.filterwarnings("ignore", "The chosen alpha sits at the edge")
        return cortical_tracking(person, baseline, added, **MODEL, n_null=N_NULL, n_jobs=-1, rng=seed, progress=False)


def figure(study: datasets.Study, features: dict[str, FeatureSeries], results: dict[str, Tracking]) -> Figure:
    """What was heard, how the EEG follows it, and where surprisal adds to the prediction."""
    import matplotlib.pyplot as plt

    info = study.participants[0].info
    channel = int(np.argmax(study.truth.topographies.mean(axis=0)))
    kernels = np.stack([one.kernels["surprisal"][:, :, channel] for one in results.values()])
    sd = np.concatenate([features[name].values for name in study.stimuli]).std(axis=0)
    true = np.mean([kernel[:, :, channel] for kernel in study.truth.kernels.values()], axis=0)
    panels = plt.figure(figsize=(11, 6), layout="constrained")
    grid = panels.add_gridspec(2, 3, height_ratios=[1, 1.25])
    heard, course, before, gain = (
        panels.add_subplot(grid[at]) for at in (np.s_[0, :], np.s_[1, 0], np.s_[1, 1], np.s_[1, 2])
    )
    viz.plot_features(features[study.stimuli[0]], tmax=_SHOWN, axes=heard)
    heard.set_title(f"What was heard: the first {_SHOWN:g} s of {study.stimuli[0]}", loc="left")
    viz.plot_trf(
        next(iter(results.values())).lags,
        {"envelope": kernels[:, 0], "surprisal": kernels[:, 2]},
        truth={"envelope": true[0] * sd[0], "surprisal": true[1] * sd[2]},
        unit="µV per SD",
        axes=course,
    )
    course.set_title(f"How the EEG follows ({info['ch_names'][channel]})", loc="left")
    r = np.mean([one.r_reduced.mean(axis=0) for one in results.values()], axis=0)
    viz.plot_topography(r, info, label="held-out r", axes=before, title="Envelope and onsets")
    group = Together.of(results)
    title = "What surprisal adds (o: p < .05)"
    viz.plot_topography(group.corrected, info, label="corrected Δr", mask=group.p_maxt < 0.05, axes=gain, title=title)
    return panels


def _report(
    results: dict[str, Tracking], agreement: float, effect: float, out: Path, say: Callable[[str], None]
) -> None:
    group = Together.of(results)
    rows = {name: (one.r_reduced, one.gain[0], one.corrected[0], one.p_mean[0]) for name, one in results.items()}
    reduced = np.array([row[0].mean() for row in rows.values()])
    rows["together"] = (reduced, group.gain, group.corrected, group.p_mean)
    heard = Together.of(results, HEARD)
    rows["from sound"] = (reduced, heard.gain, heard.corrected, heard.p_mean)
    say("")
    say(f"{'':<12} {'r reduced':>10} {'raw Δr':>10} {'corrected Δr':>14} {'p':>8}   (mean over channels)")
    for name, (r, raw, corrected, p) in rows.items():
        say(f"{name:<12} {r.mean():>10.4f} {raw.mean():>+10.4f} {corrected.mean():>+14.4f} {p:>8.3f}")
    found = int((group.p_maxt < 0.05).sum())
    say("")
    say("Reduced: envelope and onsets. Δr: what surprisal adds. A useless feature lowers held-out r, so raw Δr is")
    say("biased below zero; the null, in which melodies exchange what the baseline does not explain of surprisal, says")
    say(f"by how much. Together, {found} of {len(group.gain)} channels have p < .05, corrected for all channels. The")
    say(
        f"smallest p that {N_NULL} surrogates allow is {1 / (N_NULL + 1):g}. It speaks of these melodies and listeners."
    )
    say(f"Here the truth is known: the response to surprisal has {effect:g} times the SD of that to the envelope.")
    say("From sound: all participants again, with information content that the bundled model 'mini' computed from the")
    say(f"sound, instead of the true surprisal, with which its ranks correlate {agreement:.2f}.")
    say("")
    for what, where, remark in (
        ("Figure", "demo.png", ""),
        ("Scores", "scores.tsv", "held-out r: one row per participant, model, trial and channel"),
        ("Gains", "gains.tsv", "Δr, its null and p-values: one row per participant, model and channel"),
        ("Results", "results/", "everything about each participant; eegic.Tracking.load reads them"),
        ("Settings", "settings.json", "what was asked, and the version of eegic"),
        ("Features", "features/", "one FeatureSeries per melody; FeatureSeries.load reads them"),
        ("Sounds", "sounds/", ""),
    ):
        say(f"{what:<9} {f'{out}/{where}':<32} {remark}".rstrip())
    say("")
    say("Next: `eegic demo --effect 0` is the same study with nothing to find; the tutorials go on from here.")
