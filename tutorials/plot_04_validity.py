"""
Is my null valid on my data, and how much data do I need?
=========================================================

A null that holds on simulated studies need not hold on your recording: EEG drifts, pieces differ, features follow one
another. And a result that is not significant says little until you know what would have been. Both questions have an
answer you can compute from the EEG you have, before or after the analysis, without touching its result.

It runs in some seconds on simulated data; put your own participant in its place.
"""

# %%
# A recording, and the features of what was heard
# -----------------------------------------------
# `pair_features` brings features to the trials; the checks take the arrays it gives. Surprisal stands at note onsets,
# so a baseline with the onsets explains much of it: that is where a careless null goes wrong.

import warnings

import matplotlib.pyplot as plt
import numpy as np

import eegic as ei
from eegic import trf

warnings.filterwarnings("ignore", message="The chosen alpha sits at the edge")  # a coarse grid is enough here
study = ei.datasets.simulate_study(1, 8, duration=20, rhythm="free", sfreq=32, n_channels=8, progress=False, rng=3)
baseline = {name: [study.envelopes[name], study.onsets[name]] for name in study.stimuli}
pairs = ei.pair_features(study.participants[0], baseline, study.surprisal)
data = (list(pairs.baseline), list(pairs.added), list(pairs.eeg), pairs.sfreq)
options = {
    "tmin": 0.0,
    "tmax": 0.3,
    "alphas": (0.01, 1.0),
    "n_folds": 4,
    "n_null": 19,
    "groups": pairs.sounds,
    "rng": 0,
}
print(pairs)

# %%
# How often does a feature without effect come out significant?
# --------------------------------------------------------------
# `trf.false_positives` asks the test about features that certainly have no effect on this EEG, and yet could have
# come with these sounds: they keep what the baseline explains of surprisal, and the rest is turned in time. A valid
# test calls one in twenty of them significant. The default, which exchanges what the baseline does *not* explain,
# does. Exchanging the whole feature breaks its correlation with the onsets, and should not be trusted here.

checks = {"residual exchanged (default)": trf.false_positives(*data, **options, n_checks=50)}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of what this figure shows
    checks["whole feature exchanged"] = trf.false_positives(*data, **options, n_checks=50, conditional=False)

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
for k, (name, check) in enumerate(checks.items()):
    print(f"{name}: {check}")
    p = np.sort(check.p)
    axes[0].step(p, np.arange(1, len(p) + 1) / len(p), f"C{k}" + "-:"[k], where="post", label=name, linewidth=2)
    low, high = 100 * check.interval
    axes[1].errorbar(
        100 * check.rate,
        -k,
        xerr=[[100 * check.rate - low], [high - 100 * check.rate]],
        fmt="os"[k],
        color=f"C{k}",
        capsize=4,
    )
axes[0].plot([0, 1], [0, 1], color="0.6", linewidth=0.8, label="as it should be")
axes[0].set(xlabel="p", ylabel="Share of features with such a p or less", title="50 features without effect")
axes[0].legend(frameon=False, fontsize="small")
axes[1].axvline(5, color="0.6", linewidth=0.8)
axes[1].set(
    yticks=[0, -1],
    yticklabels=[name.split(" (")[0] for name in checks],
    ylim=(-1.6, 0.6),
    xlabel="False positives at p ≤ .05 (%), with 95 % interval",
    title="One in twenty is right",
)

# %%
# What would have been found?
# ---------------------------
# `trf.power` adds to the EEG a response of known size to such a feature, and asks whether the test finds it: with all
# of the trials, and with half of them. Sizes are shares of the variance of each channel; the response to surprisal in
# EEG is a few thousandths at best. Where no size reaches 80 %, more of the same data are needed.

options["n_null"] = 39  # all 23 exchanges of four sounds; fewer, drawn at random, often hold the real order
found = trf.power(*data, **options, shares=(0.0003, 0.001, 0.003, 0.01), n_checks=8)
figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for k, (n, power, low, high) in enumerate(zip(found.n_trials, found.power, *found.interval, strict=True)):
    error = [100 * (power - low), 100 * (high - power)]
    axis.errorbar(
        100 * found.shares * 1.03**k,
        100 * power,
        error,
        fmt="-o:s"[2 * k : 2 * k + 2],
        color=f"C{k}",
        capsize=3,
        label=f"{n} trials of 20 s",
    )
axis.axhline(80, color="0.6", linewidth=0.8)
axis.axhline(5, color="0.6", linewidth=0.8, linestyle="--")
axis.set(xscale="log", xlabel="Added variance (% of the channel)", ylabel="Effects found (%)", ylim=(0, 105))
axis.set_xticks(100 * found.shares, [f"{100 * share:g}" for share in found.shares])
axis.minorticks_off()
axis.set_title("8 effects of each size, with 95 % intervals")
axis.legend(frameon=False, fontsize="small")
for n, share in zip(found.n_trials, found.detectable(), strict=True):
    size = "at no size that was tried" if np.isinf(share) else f"from {100 * share:.2g} % of the variance"
    print(f"{n} trials: found four times out of five {size}")

# %%
# What the figures do not prove
# -----------------------------
# Fifty features tell 5 % from 20 %, not from 10 %; take four hundred for your own data, and surrogates as many as in
# the analysis. The features without effect are made from yours: if EEG answers to something that goes along with
# surprisal and stands in neither feature, no exchange shows it. The injected response is the same on every channel
# and from sound to sound, with one shape; effects in few channels are harder to find. And power for data that you do
# not have yet, from other people and other music, is an extrapolation that these curves do not make.
