"""
Which estimate of surprisal does the EEG follow, and how near is it to what could be?
=====================================================================================

Surprisal is not measured but estimated, by models that differ: in how noisy their estimates are, and in what they hear.
Here one listener hears melodies whose surprisal is known, and four estimates of it compete for the same EEG. They are
compared in one call, which gives all of them the same samples, folds and surrogates; then their gains are set beside
what any model could reach, and divided among features that tell the same.

It runs in some seconds on simulated data.
"""

# %%
# Four estimates of one thing
# ---------------------------
# A feature is a `FeatureSeries`: values, their times, a name, and standard errors where an estimator has them. This is
# also how you bring surprisal of your own: one value per note becomes an impulse at its onset, at the rate of the EEG.
# *fine* and *coarse* are the true surprisal with a little and with much noise of estimation, *pitch* leaves out when a
# note comes, and *shuffled* has the right values at the wrong notes.

import matplotlib.pyplot as plt
import numpy as np

import eegic as ei
from eegic import trf
from eegic.eeg import pair_features

study = ei.datasets.simulate_study(
    1, 8, 24, n_presentations=2, rhythm="free", surprisal_effect=1.0, snr=0.08, n_channels=32, progress=False, rng=2
)
person, rng = study.participants[0], np.random.default_rng(0)


def impulses(values, times, name, duration, se=0.0):
    """One value per note, at its onset."""
    series = ei.FeatureSeries(values, times, name, se=np.full(len(values), se))
    return series.resample(person.sfreq, duration=duration, kind="impulse")


baseline, estimates, kinds = {}, {}, {}
for name, melody in study.melodies.items():
    whole, pitch, timing = (melody.surprisal(kind).values[:, 0] for kind in ("both", "pitch", "timing"))
    onsets, duration = melody.surprisal("both").times, study.audio[name].duration
    noise = rng.standard_normal(len(whole))
    baseline[name] = [study.envelopes[name], study.onsets[name]]
    estimates[name] = [
        impulses(whole + 0.3 * noise, onsets, "fine", duration, se=0.3),
        impulses(whole + 2.0 * noise, onsets, "coarse", duration, se=2.0),
        impulses(pitch, onsets, "pitch", duration),
        impulses(rng.permutation(whole), onsets, "shuffled", duration),
    ]
    kinds[name] = [impulses(pitch, onsets, "pitch", duration), impulses(timing, onsets, "timing", duration)]

# %%
# One call, one reduced model, one set of surrogates
# --------------------------------------------------
# Each added feature is a model of its own beside the baseline of envelope and note onsets, unless `models=` says
# otherwise. ``p_maxt`` is corrected for channels and models together; ``p_mean``, on the mean over channels, is not
# corrected. ``reliability`` is the share of a feature, beyond the baseline, that is not noise of its estimator: a noisy
# regressor has about that share of the gain an exact one would have.

result = ei.cortical_tracking(person, baseline, estimates, tmax=0.4, n_folds=4, n_null=99, rng=0, progress=False)
for row, name in enumerate(result.models):
    found = int((result.p_maxt[row] < 0.05).sum())
    print(
        f"{name:9} corrected Δr {result.corrected[row].mean():+.4f}, p {result.p_mean[row]:.3f}, {found:2} channels; "
        f"{result.explained[row]:.0%} explained by the baseline, reliability {result.reliability[row]:.2f}"
    )

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", width_ratios=[1, 1.2])
for row in range(len(result.models)):
    by_chance = result.null[row].mean(axis=1)
    axes[0].plot(np.full(len(by_chance), row), by_chance, ".", color="0.75", markersize=3, zorder=1)
    axes[0].plot(row, result.gain[row].mean(), "D", color="C0", zorder=2)
axes[0].axhline(0, color="k", linewidth=0.8)
axes[0].set(
    xticks=range(4), xticklabels=result.models, ylabel="raw Δr, mean over channels", title="Gains and their nulls"
)
order = np.argsort(result.corrected[0])
for row, style in ((0, "C0-"), (1, "C1--"), (2, "C2-."), (3, "k:")):
    axes[1].plot(result.corrected[row][order], style, label=list(result.models)[row])
axes[1].set(xlabel="channel, ordered by Δr of fine", ylabel="corrected Δr", title="The same, channel by channel")
axes[1].legend(frameon=False, fontsize="small")

# %%
# What could be reached
# ---------------------
# Every melody was heard twice. What the EEG of the two presentations shares is what a model of the sound could predict
# at best; its square root bounds held-out r. The bound is for *all* of the response, and belongs beside r, not beside
# the gain alone. Channels whose ceiling cannot be told from zero have none: there the ratio would explode.

ceiling = result.ceiling
print(ceiling)
r = {"reduced": result.r_reduced.mean(axis=0), "with fine": result.r_full[0].mean(axis=0)}
for name, values in r.items():
    print(f"{name}: median {np.nanmedian(ceiling.share(values)):.0%} of the ceiling")

figure, axis = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
known = ceiling.defined
for (name, values), marker in zip(r.items(), "ox", strict=True):
    axis.plot(ceiling.r[known], values[known], marker, label=name, fillstyle="none")
axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8, label="ceiling")
axis.set(xlabel="ceiling of r, from repeats", ylabel="held-out r", title=f"{known.sum()} channels with a ceiling")
axis.legend(frameon=False, fontsize="small")

# %%
# Who tells what
# --------------
# Surprisal of pitch and surprisal of timing both predict the EEG; how much of that is each feature's own? The partition
# tests each beyond the baseline *and the other*, and gives shares of the variance of the EEG, since squares of
# correlations add up where correlations do not.

pairs = pair_features(person, baseline, kinds)
parts = trf.partition(
    list(pairs.baseline),
    {kind: [added[:, [k]] for added in pairs.added] for k, kind in enumerate(pairs.added_names)},
    list(pairs.eeg),
    pairs.sfreq,
    tmin=0.0,
    tmax=0.4,
    groups=pairs.sounds,
    masks=pairs.masks,
    n_folds=4,
    n_null=99,
    rng=0,
)
shares = {**{f"{name} alone": share for name, share in parts.unique_variance.items()}, "shared": parts.shared_variance}
for name, share in shares.items():
    print(f"{name}: {share.mean():+.2%} of the variance of the EEG, mean over channels")
print({name: f"p {part.p_mean:.3f}" for name, part in parts.unique.items()})

figure, axis = plt.subplots(figsize=(5.4, 3.2), layout="constrained")
axis.boxplot([100 * share for share in shares.values()], tick_labels=list(shares), widths=0.5)
axis.axhline(0, color="k", linewidth=0.8)
axis.set(ylabel="variance of the EEG (%)", title=f"Beyond envelope and onsets, {len(person.ch_names)} channels")

# %%
# What the figures do not prove
# -----------------------------
# That *fine* wins over *coarse* does not show that a brain computes the one rather than the other: less noise of
# estimation is enough. The two share surrogates but no test of their difference was made; that needs several listeners.
# A ceiling from repeats counts everything that is locked to the sound, wanted or not, and misses what adapts from the
# first to the second hearing. And a partition knows the features it was given: what both share may belong to a third.
