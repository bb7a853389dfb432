"""
Why does Δr sit below zero when nothing is there, and what is a valid null?
===========================================================================

How much does a feature add to the prediction of EEG? Fit a model with it and one without it, score both on held-out
trials, and take the difference: Δr. The obvious question, whether Δr is above zero, is the wrong one. This tutorial
shows why, what to compare Δr with instead, and how a plausible null goes wrong.

It runs in some seconds on simulated data.
"""

# %%
# A feature that does nothing lowers the score
# --------------------------------------------
# Noise in the weights of a useless feature adds noise to the prediction, and held-out correlation falls. Here EEG
# answers to the envelope of the sound and to nothing else. The added feature resembles the envelope (correlation 0.9),
# as surprisal of loud and busy music may, but has no effect of its own.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from eegic import trf

SFREQ = 32.0
lags = np.arange(13) / SFREQ
kernel = np.exp(-0.5 * ((lags - 0.1) / 0.03) ** 2) - np.exp(-0.5 * ((lags - 0.2) / 0.04) ** 2)


def noise(rng, n_times, n_series=1):
    """Series with a 1/f spectrum from 0.5 to 15 Hz and variance 1, (n_times, n_series)."""
    f = np.fft.rfftfreq(n_times, 1 / SFREQ)
    shape = np.where((f > 0.5) & (f < 15), 1 / np.sqrt(np.maximum(f, 0.5)), 0)
    spectrum = rng.standard_normal((len(f), n_series)) + 1j * rng.standard_normal((len(f), n_series))
    series = np.fft.irfft(spectrum * shape[:, None], n_times, axis=0)
    return series / series.std(axis=0)


def study(seed, effect=0.0, rho=0.9):
    """Envelope, feature and EEG of eight sounds of 30 s."""
    rng = np.random.default_rng(seed)
    envelopes, features, eeg = [], [], []
    for _ in range(8):
        envelope = noise(rng, 960)
        feature = rho * envelope + np.sqrt(1 - rho**2) * np.repeat(noise(rng, 320), 3, axis=0)
        answer = np.convolve((envelope + effect * feature)[:, 0], kernel)[:960]
        envelopes.append(envelope)
        features.append(feature)
        eeg.append(0.25 * answer[:, None] + noise(rng, 960, 4))
    return envelopes, features, eeg


model = {"tmin": 0.0, "tmax": 0.4, "alphas": (0.01, 0.1, 1.0), "n_folds": 4, "n_null": 19}
warnings.filterwarnings("ignore", message="The chosen alpha sits at the edge")  # a coarse grid is enough here
useless = [trf.delta_r(*study(seed), SFREQ, **model, rng=seed) for seed in range(30)]
real = [trf.delta_r(*study(100 + seed, effect=0.4), SFREQ, **model, rng=seed) for seed in range(12)]

figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
bins = np.linspace(-0.006, 0.012, 37)
axis.hist([d.gain.mean() for d in useless], bins, color="0.7", label="useless feature (30 studies)")
axis.hist(
    [d.gain.mean() for d in real], bins, histtype="step", color="C0", linewidth=2, label="real effect (12 studies)"
)
axis.axvline(0, color="k", linewidth=0.8)
axis.set(xlabel="raw Δr, mean over channels", ylabel="Studies", title="Zero is not where nothing is")
axis.legend(frameon=False, fontsize="small")
print(f"useless: raw Δr {np.mean([d.gain.mean() for d in useless]):+.4f} on average")

# %%
# What Δr would be by chance
# --------------------------
# A surrogate exchanges the added feature between sounds and leaves everything else as it is: envelope and EEG stay
# together, and the whole analysis is repeated, with its search for alpha. The mean over surrogates says how low Δr lies
# when the feature does not belong to its sound. Subtract it, and studies without an effect lie around zero.

one = real[0]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
axes[0].hist(one.null.mean(axis=1), 15, color="0.7", label=f"{len(one.null)} surrogates")
axes[0].axvline(one.gain.mean(), color="C0", linewidth=2, label=f"this study (p = {one.p_mean:.3f})")
axes[0].set(xlabel="Δr, mean over channels", ylabel="Surrogates", title="One study with an effect")
axes[0].legend(frameon=False, fontsize="small", loc="upper center")
for x, studies, colour in ((0, useless, "0.4"), (1, real, "C0")):
    raw, corrected = (np.array([getattr(d, kind).mean() for d in studies]) for kind in ("gain", "corrected"))
    for offset, values, marker in ((-0.15, raw, "x"), (0.15, corrected, "o")):
        axes[1].plot(np.full(len(values), x + offset), values, marker, color=colour, markersize=3, alpha=0.5)
        axes[1].errorbar(x + offset, values.mean(), values.std() / len(values) ** 0.5, fmt=marker, color="k", zorder=3)
axes[1].axhline(0, color="k", linewidth=0.8)
axes[1].set(xticks=[0, 1], xticklabels=["useless", "real"], ylabel="Δr", title="raw (x) and corrected (o), with SE")

# %%
# How a plausible null goes wrong
# -------------------------------
# Exchanging the *whole* feature breaks its correlation with the envelope. The surrogates then have one more independent
# regressor than the real data, overfit more, and lie too low: a useless feature looks significant. By default only what
# the lagged baseline does *not* explain of the feature moves. `conditional=False` shows the difference.

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that this is not to be trusted, which is what we are here to see
    plain = [trf.delta_r(*study(seed), SFREQ, **model, rng=seed, conditional=False) for seed in range(30)]

figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
for studies, name, style in (
    (useless, "residual exchanged (default)", "C0-"),
    (plain, "whole feature exchanged", "C1--"),
):
    p = np.sort([d.p_mean for d in studies])
    axis.step(p, np.arange(1, len(p) + 1) / len(p), style, where="post", label=name)
    print(f"{name}: {np.mean(p <= 0.05):.0%} of studies without an effect have p <= .05")
axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="as it should be")
axis.set(xlabel="p", ylabel="Share of studies with such a p or less", title="A useless feature, 30 studies")
axis.legend(frameon=False, fontsize="small")

# %%
# What the figures do not prove
# -----------------------------
# Thirty studies cannot tell a false-positive rate of 5 % from one of 10 %; the tests of the package run four hundred.
# The simulation is linear and stationary: where EEG answers to the envelope in a way the model misses, a feature that
# goes along with the envelope can stand in for it, and no exchange of features will show that. And a small p says that
# the feature matters for these sounds; how far that reaches to other listeners and other music is another test.
