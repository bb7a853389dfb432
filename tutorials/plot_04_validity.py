"""
Is my null valid on my data, and how much data do I need?
=========================================================

A test that rejects at 5 % promises to be wrong five times in a hundred when nothing is there. Whether it keeps that
promise depends on the data: on how the added feature goes along with the baseline, how unlike the sounds are, how the
EEG drifts. And when nothing is found, was there nothing, or too little data? Both questions can be put to your own EEG,
before you look at the answer you care about.

It runs in some seconds on simulated data.
"""

# %%
# A feature that certainly has no effect
# --------------------------------------
# EEG of one listener, eight sounds of 15 s. The feature to be tested resembles the envelope (correlation 0.9). A
# *pseudo-feature* resembles it as much: it keeps the part of the real feature that the lagged envelope explains. The
# rest is turned in time, far enough that it no longer belongs to the EEG. Whatever the brain does with the real
# feature, it cannot have answered to this one.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from eegic import trf
from eegic.trf.validity import false_positives, power

SFREQ = 32.0
rng = np.random.default_rng(4)
lags = np.arange(13) / SFREQ
kernel = np.exp(-0.5 * ((lags - 0.1) / 0.03) ** 2) - np.exp(-0.5 * ((lags - 0.2) / 0.04) ** 2)


def noise(n_times, n_series=1):
    """Series with a 1/f spectrum from 0.5 to 15 Hz and variance 1, (n_times, n_series)."""
    f = np.fft.rfftfreq(n_times, 1 / SFREQ)
    shape = np.where((f > 0.5) & (f < 15), 1 / np.sqrt(np.maximum(f, 0.5)), 0)
    spectrum = rng.standard_normal((len(f), n_series)) + 1j * rng.standard_normal((len(f), n_series))
    series = np.fft.irfft(spectrum * shape[:, None], n_times, axis=0)
    return series / series.std(axis=0)


envelopes = [noise(480) for _ in range(8)]
features = [0.9 * envelope + np.sqrt(1 - 0.9**2) * np.repeat(noise(160), 3, axis=0) for envelope in envelopes]
eeg = [0.1 * np.convolve(envelope[:, 0], kernel)[:480, None] + noise(480, 8) for envelope in envelopes]

kept = trf.fit(envelopes, features, SFREQ, tmin=-0.4, tmax=0.4, alpha=1e-6).predict(envelopes)
turned = np.roll(features[0] - kept[0], 200, axis=0)

figure, axes = plt.subplots(3, 1, sharex=True, figsize=(7, 4.6), layout="constrained")
times = np.arange(480) / SFREQ
rows = (("Feature", features[0], "k"), ("Pseudo-feature", kept[0] + turned, "C0"))
for axis, (name, series, colour) in zip(axes, rows, strict=False):
    axis.plot(times, series, color=colour, label=name)
    axis.plot(times, kept[0], color="0.6", linewidth=0.8, label="what the envelope explains of it")
    axis.set(ylabel="SD")
    axis.legend(frameon=False, fontsize="small", ncols=2, loc="lower right")
axes[2].plot(times, features[0] - kept[0], color="k", label="rest")
axes[2].plot(times, turned, color="C0", label=f"rest, turned by {200 / SFREQ:.2f} s")
axes[2].set(xlabel="Time in the sound (s)", ylabel="SD")
axes[2].legend(frameon=False, fontsize="small", ncols=2, loc="lower right")
for axis in axes:
    axis.set_ylim(-4.2, 2.8)

# %%
# Does the null hold?
# -------------------
# Test many pseudo-features instead of the real one, with the options of the analysis itself, and count how many come
# out significant. By default `delta_r` exchanges between sounds only what the baseline does not explain;
# `conditional=False` exchanges the whole feature, as is often done. Forty checks are for this page: take a hundred or
# more.

model = {"tmin": 0.0, "tmax": 0.4, "alphas": (0.01, 0.1, 1.0), "n_folds": 4, "n_null": 19}
warnings.filterwarnings("ignore", message="The chosen alpha sits at the edge")  # a coarse grid is enough here
warnings.filterwarnings("ignore", message="conditional=False")  # it says what is about to be seen
data = envelopes, features, eeg, SFREQ
checks = {
    "only the rest is exchanged (default)": false_positives(*data, **model, n_checks=40, rng=0),
    "the whole feature is exchanged": false_positives(*data, **model, n_checks=40, rng=0, conditional=False),
}

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", width_ratios=(3, 2))
for k, (name, check) in enumerate(checks.items()):
    p = np.sort(check.p)
    axes[0].step([0, *p, 1], [0, *np.arange(1, len(p) + 1) / len(p), 1], f"C{k}", where="post", label=name)
    low, high = 100 * check.interval
    rate = 100 * check.rate
    axes[1].errorbar(k, rate, [[rate - low], [high - rate]], fmt="o", color=f"C{k}", capsize=4)
    verdict = check.verdict.replace(" not", "\nnot").replace(" with", "\nwith")
    axes[1].annotate(verdict, (k, high + 3), ha="center", fontsize="small")
    print(f"{name}: {check}")
axes[0].plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="as it should be")
axes[0].set(xlabel="p", ylabel="Share of checks with such a p or less", title="40 features without an effect")
axes[0].legend(frameon=False, fontsize="small", loc="lower right")
axes[1].axhline(5, color="k", linewidth=0.8)
axes[1].set(xlim=(-0.6, 1.6), ylim=(0, 100), xticks=[0, 1], xticklabels=["rest", "whole"])
axes[1].set(xlabel="What is exchanged", ylabel="Called significant (%)", title="Rate and 95 % interval; line: 5 %")

# %%
# How small an effect would be found?
# -----------------------------------
# Now give the EEG an answer to the pseudo-feature, of known size, and count how often the test finds it: with all
# sounds, and with half of them. Sizes are shares of the variance of a channel; answers to music often explain less than
# one per cent. The share that would be found in four of five cases is read off a curve through all points, and is not
# given where it lies beyond what was tried.

shares = (0.0003, 0.001, 0.003, 0.01)
found = power(*data, **{**model, "n_null": 39}, shares=shares, n_checks=20, rng=0)
smallest, fine = found.detectable(0.8), np.geomspace(shares[0], shares[-1], 50)

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for k, n in enumerate(found.n_trials):
    place = 100 * found.shares * (0.97, 1.03)[k]  # side by side
    error = abs(found.interval[:, k] - found.power[k])
    axis.errorbar(place, found.power[k], error, fmt="o", color=f"C{k}", capsize=3, label=f"{n} trials of 15 s")
    axis.plot(100 * fine, found.curve(fine)[k], f"C{k}")
    axis.plot([100 * smallest[k]] * 2, [0, 0.8], f"C{k}:")
    print(f"{n} trials: power {found.power[k]}; 80 % from {100 * smallest[k]:.2g} % of the variance")
axis.axhline(0.8, color="0.7", linewidth=0.8)
axis.axhline(found.level, color="k", linewidth=0.8)
axis.set(xscale="log", ylim=(0, 1.04), xticks=[100 * s for s in shares], xticklabels=[f"{100 * s:g}" for s in shares])
axis.set(xlabel="Added variance (% of each channel)", ylabel="Share found", title="Dotted: found in 80 %; black: level")
axis.minorticks_off()
axis.legend(frameon=False, fontsize="small", loc="upper left")

# %%
# What the figures do not prove
# -----------------------------
# That the default null is consistent here means that the interval holds 5 %, and with forty checks it would hold
# 15 % as well. The check sees what is wrong with an exchange of features, not what is missing from the model: where EEG
# answers to something that neither feature describes, the real feature may go along with it, and pseudo-features do
# not. The power is that for an effect of one shape, alike in all channels and sounds, in this EEG; a real effect is
# less regular. And it says nothing about more data than there are, or about other listeners.
