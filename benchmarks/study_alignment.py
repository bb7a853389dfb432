"""Do latents that were trained with noise make surprisal more like a listener's? On music whose truth is known.

    python benchmarks/study_alignment.py [--out study-alignment] [--codecs small-none small-both] [--jobs 2] [--quick]

Six codecs (latents as they are; noised for the decoder alone; noised for decoder and encoder; each with a layer norm
and with a tanh bottleneck), a surprisal model on the latents of each, and on held-out simulated melodies, over noise
levels: what comes back of the sound, how the information content of notes goes with the grammar's true surprisal and
with a symbolic model, and what it adds to the prediction of simulated EEG that answers to the true surprisal.

Codecs and models are kept in the folder; what is there is not trained again. From nothing it takes about an hour on two
cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib import pyplot as plt

import eegic as ei
from eegic import datasets, perceptual, recipes
from eegic.codec import Codec
from eegic.recipes.assessment import SKIPPED, of_notes

CODECS = ("small-none", "small-decoder", "small-both", "small-tanh-none", "small-tanh-decoder", "small-tanh-both")
FLOW = "small-surprisal"
LEVELS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)
COLOURS = {"none": "#0072B2", "decoder": "#E69F00", "both": "#009E73"}
MELODIES, SECONDS_EACH = 30, 20.0
LISTENERS = {  # with much less noise than real EEG has
    "n_participants": 8,
    "n_stimuli": 8,
    "duration": 30.0,
    "rhythm": "free",
    "snr": 0.2,
    "n_channels": 32,
}
N_NULL = 99
TRUTH = "true surprisal"  # of simulated melodies


def train_codec(name: str, out: Path, changes: Sequence[str]) -> Path:
    """Train a codec unless it is there."""
    return _trained(name, out / name, changes)


def train(name: str, out: Path, changes: Sequence[str]) -> None:
    """Train a codec and its surprisal model unless they are there."""
    codec = train_codec(name, out, changes)
    _trained(FLOW, out / f"{name}-flow", (f"codec={codec}", *changes))


def _trained(preset: str, folder: Path, changes: Sequence[str]) -> Path:
    """Follow a recipe in a process of its own, on one core; return the file of the model."""
    model = folder / f"{preset}.safetensors"
    if not model.is_file():
        command = [sys.executable, "-m", "eegic", "train", "--preset", preset, "--out", str(folder), "--resume"]
        for change in changes:
            command += ["--set", change]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return model


def options(about: str | None, codecs: Sequence[str]) -> tuple[argparse.Namespace, Sequence[str]]:
    """What a study was asked on the command line, and what `--quick` changes in its recipes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("study-alignment"), help="folder for models, tables, figures")
    parser.add_argument("--codecs", nargs="+", default=list(codecs), help="recipes to compare")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, each on one core")
    parser.add_argument("--quick", action="store_true", help="a few steps and melodies: to see that it runs")
    asked = parser.parse_args()
    return asked, ("loop.steps=60", "loop.warmup=10") if asked.quick else ()


def decoded(codec: Codec, sounds: Sequence[ei.Audio], level: float) -> tuple[float, float]:
    """SI-SDR and STFT distance of sounds whose latents were noised: z becomes (1 - level) z + level e."""
    rng = np.random.default_rng(0)
    found = []
    for sound in sounds:
        z = codec.encode(sound)
        back = codec.decode((1 - level) * z + level * rng.standard_normal(z.shape), rng=0).samples[:, 0]
        edge = codec.config.overhang  # where decoding fades
        whole = sound.samples[: len(back), 0][edge : len(back) - edge]
        came = back[edge : len(back) - edge]
        found.append((perceptual.si_sdr(whole, came), perceptual.multires_stft(whole, came)))
    si_sdr, distance = np.mean(found, axis=0)
    return float(si_sdr), float(distance)


def reconstruction(name: str, codec: Codec, sounds: Sequence[ei.Audio]) -> pd.DataFrame:
    """Quality of decoding over levels of noise on the latents."""
    rows = [(name, level, *decoded(codec, sounds, level)) for level in LEVELS]
    return pd.DataFrame(rows, columns=["codec", "level", "si_sdr", "multires_stft"])


def symbolic(notes: recipes.Notes) -> np.ndarray:
    """Surprisal of the notes by a variable-order Markov model of pitch and of timing that knows 200 melodies."""
    corpus = datasets.MelodyCorpus()
    known = [corpus.piece("train", i, duration=SECONDS_EACH, sfreq=8000.0)[0] for i in range(200)]
    pitch = ei.MelodyModel().fit([melody.pitches for melody in known])
    timing = ei.MelodyModel().fit([_intervals(melody) for melody in known])
    found = [
        pitch.information_content(melody.pitches).ic + timing.information_content(_intervals(melody)).ic
        for melody, _ in notes.pieces
    ]
    return np.concatenate([one[SKIPPED:] for one in found])


def _intervals(melody: datasets.Melody) -> np.ndarray:
    """Time since the note before in half beats; the first note counts from the start of the piece."""
    half_beat = melody.bar / 8
    return np.rint(np.diff(melody.onsets, prepend=0.0) / half_beat).astype(int)


def surprisal(name: str, model: ei.SurprisalModel, codec: Codec, notes: recipes.Notes, ppm: np.ndarray) -> pd.DataFrame:
    """How the information content of notes goes with the truth, and with the symbolic model, over levels."""
    values = notes.pooled(model, codec, LEVELS, progress=False)
    rows = []
    for level, column in zip(LEVELS, values.T, strict=True):
        with_ppm = ei.rank_correlation(column, ppm)
        rows.append({"codec": name, "level": level, **notes.agreement(column, 0), "ppm": with_ppm})
    return pd.DataFrame(rows)


def heard(name: str, model: ei.SurprisalModel, codec: Codec, study: datasets.Study) -> dict[str, ei.FeatureSeries]:
    """Information content of the notes at every level, less its mean, as impulses on the clock of the EEG."""
    series = ei.information_content(study.audio, model, LEVELS, codec=codec, progress=False)
    features = {}
    for stimulus, melody in study.melodies.items():
        pooled = of_notes(series[stimulus], melody, codec)
        values = np.nan_to_num(pooled.values - np.nanmean(pooled.values, axis=0))  # unknown: as surprising as usual
        notes = ei.FeatureSeries(values, pooled.times, [f"{name} {level:g}" for level in LEVELS])
        sfreq = study.participants[0].sfreq
        features[stimulus] = notes.resample(sfreq, duration=study.audio[stimulus].duration, kind="impulse")
    return features


def grouped(study: datasets.Study, features: Sequence[dict[str, ei.FeatureSeries]]) -> ei.GroupResult:
    """What each model adds to envelope and onsets at each level, and what the true surprisal adds, in all listeners."""
    baseline = {name: [study.envelopes[name], study.onsets[name]] for name in study.stimuli}
    added = {name: [study.surprisal[name], *(one[name] for one in features)] for name in study.stimuli}
    options = {"tmin": 0.0, "tmax": 0.4, "n_folds": 4, "n_null": N_NULL, "n_jobs": -1, "rng": 0, "progress": False}
    results = [ei.cortical_tracking(person, baseline, added, **options) for person in study.participants]
    return ei.group_test(results, conditions={"surprisal": (TRUTH, np.nan)})


def draw(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw one panel per question and bottleneck."""
    questions = (
        ("sound", "multires_stft", "multi-resolution STFT distance"),
        ("notes", "rho", "Spearman with true surprisal"),
        ("notes", "ppm", "Spearman with symbolic surprisal"),
    )
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained", sharex=True, sharey="col")
    for row, bottleneck in enumerate(("layer norm", "tanh")):
        for panel, (table, column, label) in zip(axes[row], questions, strict=True):
            for name, part in tables[table].groupby("codec", sort=False):
                if ("tanh" in name) != (bottleneck == "tanh"):
                    continue
                kind = name.rsplit("-", 1)[1]
                style = {"none": "o-", "decoder": "s--", "both": "D-."}[kind]
                panel.plot(part["level"], part[column], style, color=COLOURS[kind], label=kind)
            panel.set_ylabel(f"{label}\n({bottleneck})")
            panel.spines[["top", "right"]].set_visible(False)
        if axes[row, 0].get_legend_handles_labels()[0]:
            axes[row, 0].legend(title="noised latents for", frameon=False, fontsize="small")
    for panel in axes[1]:
        panel.set_xlabel("noise level")
    figure.savefig(path, dpi=150)


def draw_group(group: ei.GroupResult, notes: pd.DataFrame, out: Path) -> None:
    """Draw the gains in EEG: bars, maps of the channels that show them, and the profile over levels."""
    agreement = notes.rename(columns={"codec": "what", "level": "noise"})
    figures = {
        "bars": ei.plot_delta_r(group),
        "maps": ei.plot_topography(group, models=list(group.models)[1:], which="pieces", show="significant"),
        "profile": ei.plot_noise_profile(group, agreement=agreement),
    }
    for name, figure in figures.items():
        figure.savefig(out / f"study_alignment_{name}.png", dpi=150)


def main() -> None:
    """Train what is missing, evaluate, print, draw."""
    asked, changes = options(__doc__, CODECS)
    Parallel(asked.jobs, backend="threading")(delayed(train)(name, asked.out, changes) for name in asked.codecs)

    corpus = datasets.MelodyCorpus()
    n = 4 if asked.quick else MELODIES
    notes = recipes.Notes.of(corpus.piece("test", i, duration=SECONDS_EACH) for i in range(n))
    ppm = symbolic(notes)
    study = datasets.simulate_study(
        **{**LISTENERS, **({"n_participants": 2} if asked.quick else {})}, progress=False, rng=0
    )
    tables: dict[str, list[pd.DataFrame]] = {"sound": [], "notes": []}
    features = []
    for name in asked.codecs:
        model = ei.load_surprisal(asked.out / f"{name}-flow" / f"{FLOW}.safetensors")
        codec = ei.load_codec(asked.out / name / f"{name}.safetensors")
        sounds = [ei.Audio(s.mono(), s.sfreq, s.name).resample(codec.config.sfreq) for _, s in notes.pieces[:8]]
        tables["sound"].append(reconstruction(name, codec, sounds))
        tables["notes"].append(surprisal(name, model, codec, notes, ppm))
        features.append(heard(name, model, codec, study))
    whole = {key: pd.concat(parts, ignore_index=True) for key, parts in tables.items()}
    group = grouped(study, features)
    group.save(asked.out / "group.npz")
    whole["eeg"] = group.to_frame("region")
    for key, table in whole.items():
        table.to_csv(asked.out / f"{key}.csv", index=False)
    table = whole["sound"].merge(whole["notes"], on=["codec", "level"])
    print(table.round(3).to_string(index=False))
    columns = ["model", "corrected", "se", "p_listeners", "p_listeners_maxt", "p_pieces", "d"]
    print(f"\nin simulated EEG, median over channels\n{whole['eeg'][columns].round(4).to_string(index=False)}")
    agreement = notes.agreement(ppm, 0)
    print(f"\nsymbolic model with the truth: Spearman {agreement['rho']:.3f}; spectral flux with the truth: ", end="")
    print(f"{notes.agreement(notes.flux, 0)['rho']:.3f}")
    draw(whole, asked.out / "study_alignment.png")
    draw_group(group, whole["notes"], asked.out)
    print(f"-> {asked.out}: study_alignment.png, and with _bars, _maps, _profile the gains in EEG")


if __name__ == "__main__":
    main()
