"""The whole line on a simulated study: sound, features, EEG, models, scores, claims, figures, report."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eegic import __version__, _files, datasets, viz
from eegic.codec import load_codec
from eegic.group import group_test, mixed_model
from eegic.recipes.assessment import of_notes
from eegic.reports import report_group
from eegic.results import GroupResult, Tracking
from eegic.series import FeatureSeries
from eegic.surprisal import SurprisalModel, information_content, load_surprisal, rank_correlation
from eegic.tracking import cortical_tracking

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from eegic.eeg import Participant

SFREQ = 64.0
MODEL = {"tmin": 0.0, "tmax": 0.4, "alphas": tuple(float(a) for a in np.logspace(-3, 3, 7)), "n_folds": 4}
N_NULL = 199
NOISE = (0.0, 0.3, 0.5)  # levels at which the sound is listened to
LISTENERS = ("mini", "untrained")  # to the sound alone; a feature is called by one of them and the level
_MADE = ("results/*.npz", "report.html", "group.*", "*.png")  # that a smaller demo may not write
_ABOUT = """Everything here is simulated: melodies of a tonal grammar, their sound, and EEG of listeners that answers to
the envelope, to note onsets and to the true surprisal of the notes, with kernels that are known.

Models: surprisal is the truth. mini is the information content that the model which comes with eegic computes from the
sound, at several noise levels (0: all detail of the sound counts). untrained is the same from a network of that form
which has learned nothing: what it adds is acoustics that the baseline lacks, and no expectation. It is the control that
a gain of mini has to be held against."""
_SHOWN = 8.0  # seconds of music in the figure


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
    for name in _MADE:  # an earlier demo may have had more participants
        for path in out.glob(name):
            path.unlink()
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
    say(f"3. Temporal response functions with and without each of them, and {N_NULL} surrogates that exchange it")
    people = tqdm(study.participants, desc="Fitting", unit="participant", disable=None)
    results = {person.name: track(person, study, heard, seed) for person in people}
    for name, result in results.items():
        result.save(out / "results" / f"{name}.npz")
    for name, by in (("scores.tsv", "trial"), ("gains.tsv", "channel")):
        _write_table(pd.concat([one.to_frame(by) for one in results.values()]), out / name)
    group = group_test(results.values(), rng=seed) if n_participants > 1 else None
    figures = {"demo.png": figure(study, features, results, group)}
    if group is not None:
        say("4. The group: what can be said of other listeners, and of other melodies")
        group.save(out / "group.npz")
        _write_table(group.to_frame("region"), out / "group.tsv")
        figures |= {"bars.png": viz.plot_delta_r(group), "maps.png": viz.plot_topography(group)}
        both = mixed_model(group, "corrected ~ 0 + model")
        people = results.values()
        report_group(group, out / "report.html", about=_ABOUT, mixed=both, participants=people, progress=False)
    for name, drawn in figures.items():
        with _files.replacing(out / name) as draft:
            drawn.savefig(draft, dpi=150)
    settings = {"effect": effect, "seed": seed, "duration": duration, "participants": n_participants, "noise": NOISE}
    with _files.replacing(out / "settings.json") as draft:
        draft.write_text(json.dumps({**settings, "eegic": __version__}, indent=2) + "\n", encoding="utf-8")
    _account(results, group, _agreement(study, heard), effect, say)
    _contents(out, group is not None, say)
    if replaces:
        say(f"An earlier demo in {out} was replaced.")
    return results


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    with _files.replacing(path) as draft:
        frame.to_csv(draft, sep="\t", index=False)


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
    """Information content of each note in nats, from the sound alone, less the mean of all notes; by model and level.

    The untrained network has the form of the trained one: what it tells comes from the form, not from experience.
    """
    codec, trained = load_codec("mini"), load_surprisal("mini")
    found: dict[str, list[FeatureSeries]] = {name: [] for name in study.stimuli}
    for who, model in zip(LISTENERS, (trained, SurprisalModel.untrained(trained.config)), strict=True):
        series = information_content(study.audio, model, NOISE, codec=codec, rng=seed)
        notes = {name: of_notes(series[name], melody, codec) for name, melody in study.melodies.items()}
        usual = np.nanmean(np.concatenate([one.values for one in notes.values()]), axis=0)
        names = [f"{who} {level:g}" for level in NOISE]
        for name, one in notes.items():
            # what is not known, before the first latent that has a past, is as surprising as usual
            found[name].append(FeatureSeries(np.nan_to_num(one.values - usual), one.times, names))
    return {name: first.stack(*others) for name, (first, *others) in found.items()}


def _impulses(study: datasets.Study, heard: dict[str, FeatureSeries], name: str) -> FeatureSeries:
    return heard[name].resample(SFREQ, duration=study.audio[name].duration, kind="impulse")


def _features(study: datasets.Study, heard: dict[str, FeatureSeries], name: str) -> FeatureSeries:
    return study.envelopes[name].stack(study.onsets[name], study.surprisal[name], _impulses(study, heard, name))


def _agreement(study: datasets.Study, heard: dict[str, FeatureSeries]) -> dict[str, float]:
    """Spearman correlation of each information content with the true surprisal over all notes."""
    found = np.concatenate([one.values for one in heard.values()])
    true = np.concatenate([melody.surprisal().values[:, 0] for melody in study.melodies.values()])
    names = next(iter(heard.values())).names
    return {name: float(rank_correlation(column, true)) for name, column in zip(names, found.T, strict=True)}


def track(person: Participant, study: datasets.Study, heard: dict[str, FeatureSeries], seed: int) -> Tracking:
    """Measure what each kind of surprisal adds to envelope and onsets for one participant."""
    baseline = {name: [study.envelopes[name], study.onsets[name]] for name in study.stimuli}
    added = {name: [study.surprisal[name], _impulses(study, heard, name)] for name in study.stimuli}
    with warnings.catch_warnings():
        # scores hardly change at weak penalties, so the weakest is as good a choice as its neighbours
        warnings.filterwarnings("ignore", "The chosen alpha sits at the edge")
        return cortical_tracking(person, baseline, added, **MODEL, n_null=N_NULL, n_jobs=-1, rng=seed, progress=False)


def figure(
    study: datasets.Study,
    features: dict[str, FeatureSeries],
    results: dict[str, Tracking],
    group: GroupResult | None,
) -> Figure:
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
    shown = ("envelope", "onset", "surprisal", f"{LISTENERS[0]} {NOISE[-1]:g}")
    viz.plot_features(features[study.stimuli[0]].select(shown), tmax=_SHOWN, axes=heard)
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
    corrected = np.mean([one.corrected[0] for one in results.values()], axis=0)
    mask = (next(iter(results.values())).p_maxt if group is None else group.p_pieces_maxt)[0] < 0.05
    title = "What surprisal adds (o: p < .05)"
    viz.plot_topography(corrected, info, label="corrected Δr", mask=mask, axes=gain, title=title)
    return panels


def _account(
    results: dict[str, Tracking],
    group: GroupResult | None,
    agreement: dict[str, float],
    effect: float,
    say: Callable[[str], None],
) -> None:
    """What came out, and how to read it."""
    say("")
    say(f"{'surprisal':<12} {'r reduced':>10} {'raw Δr':>10} {'corrected Δr':>14} {'p':>8}   (mean over channels)")
    for name, one in results.items():
        r, raw, corrected = one.r_reduced.mean(), one.gain[0].mean(), one.corrected[0].mean()
        say(f"{name:<12} {r:>10.4f} {raw:>+10.4f} {corrected:>+14.4f} {one.p_mean[0]:>8.3f}")
    say("")
    say("Reduced: envelope and onsets. Δr: what surprisal adds. A useless feature lowers held-out r, so raw Δr is")
    say("biased below zero; the null, in which melodies exchange what the baseline does not explain of surprisal, says")
    say(f"by how much. The smallest p that {N_NULL} surrogates allow is {1 / (N_NULL + 1):g}.")
    if group is None:
        say("One participant is no group: for a report, and what can be said of others, take --participants 2 or more.")
    else:
        _account_of_group(group, agreement, say)
    say(f"Here the truth is known: the response to surprisal has {effect:g} times the SD of that to the envelope.")


def _account_of_group(group: GroupResult, agreement: dict[str, float], say: Callable[[str], None]) -> None:
    table = group.to_frame("region").query("region == 'all'")
    say("")
    say(
        f"{'together':<14} {'corrected Δr':>13} {'SE':>8} {'p listeners':>12} {'p pieces':>9} {'ranks r':>8}   (median)"
    )
    for row in table.itertuples():
        ranks = f"{agreement[row.model]:>8.2f}" if row.model in agreement else f"{'':>8}"
        numbers = f"{row.corrected:>+13.4f} {row.se:>8.4f} {row.p_listeners:>12.3f} {row.p_pieces:>9.3f}"
        say(f"{row.model:<14} {numbers} {ranks}".rstrip())
    say("")
    smallest = group.p_min["listeners"]
    say(f"Listeners: would others show it with these melodies? Sign flips; the smallest p is {smallest:.3g}.")
    say("Pieces: would these listeners show it with others? Surrogates, which exchange the same melodies for all.")
    say(
        "mini, untrained: IC of the sound alone at three noise levels, by the bundled model and by an untrained network"
    )
    say("of its form; ranks r is its rank correlation with the true surprisal of the notes. What an untrained network")
    say("adds is acoustics that the baseline lacks, not expectation: look at it before you believe a trained one.")


def _contents(out: Path, grouped: bool, say: Callable[[str], None]) -> None:
    """What was written, and where to go from here."""
    say("")
    for what, where, remark in (
        ("Report", "report.html", "of the group: what was done, which claims it supports, figures, tables"),
        ("Figures", "bars.png, maps.png", "Δr of every model, and where on the scalp"),
        ("Group", "group.npz, group.tsv", "eegic.GroupResult.load reads it; its tests"),
        ("Figure", "demo.png", "what was heard, how the EEG follows it, what surprisal adds"),
        ("Scores", "scores.tsv", "held-out r: one row per participant, model, trial and channel"),
        ("Gains", "gains.tsv", "Δr, its null and p-values: one row per participant, model and channel"),
        ("Results", "results/", "everything about each participant; eegic.Tracking.load reads them"),
        ("Settings", "settings.json", "what was asked, and the version of eegic"),
        ("Features", "features/", "one FeatureSeries per melody; FeatureSeries.load reads them"),
        ("Sounds", "sounds/", ""),
    )[0 if grouped else 3 :]:
        say(f"{what:<9} {f'{out}/{where}':<36} {remark}".rstrip())
    say("")
    say("Next: `eegic demo --effect 0` is the same study with nothing to find; the tutorials go on from here.")
