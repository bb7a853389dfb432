"""
How much should a TRF be regularised, and do the tools agree?
=============================================================

A temporal response function (TRF) says how the EEG follows a feature of the sound at each lag. It is a regression on
lagged copies of the feature, and since neighbouring copies are nearly the same, the regression needs a penalty. This
tutorial shows what the penalty does, how to choose it without fooling oneself, and that eegic, mTRFpy and MNE give the
same numbers once their conventions are brought together.

It runs in a few seconds on simulated data.
"""

# %%
# One participant, one feature
# ----------------------------
# Four melodies of 20 s; the EEG answers to the envelope, with a peak near 100 ms and a trough near 200 ms. **Positive
# lags mean that the EEG follows the sound.** A window from -125 to 375 ms includes lags at which nothing can be, since
# the EEG does not answer before the sound: what is found there is error.

import warnings

import matplotlib.pyplot as plt
import mne
import mtrf
import numpy as np
from scipy.signal import lfilter

import eegic as ei
from eegic import trf
from eegic.datasets import simulate_study

study = simulate_study(1, 4, duration=20, rhythm="free", surprisal_effect=0.0, snr=0.01, n_channels=16, rng=3)
person = study.participants[0]
x = [study.envelopes[stimulus].values for stimulus in person.stimuli]
y = [1e6 * eeg for eeg in person.eeg]  # microvolts
channel = int(np.argmax(study.truth.topographies[0]))
window = {"tmin": -0.125, "tmax": 0.375}

# %%
# Too little, enough, too much
# ----------------------------
# In the units used by default, alpha is relative to the variance of the features and the number of samples, so the same
# value means the same whatever the recording. With little the kernel is ragged; with too much it is flat. Scores of
# held-out trials change far less: over many decades they hardly move. A good prediction is no proof of a good kernel.

alphas = np.logspace(-6, 3, 19)
path = trf.crossval_path(x, y, person.sfreq, **window, alphas=alphas)
scores = path.score("r").mean(axis=0)  # mean over held-out trials, (n_alphas, n_channels)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
axes[0].semilogx(alphas, scores, color="0.8", linewidth=0.8)
axes[0].semilogx(alphas, scores[:, channel], color="C0", linewidth=2, label=person.ch_names[channel])
axes[0].set(xlabel="alpha (relative)", ylabel="held-out r", title="Every alpha, every channel, one pass")
axes[0].legend(frameon=False)
kernels = {
    f"alpha {alpha:g}": trf.fit(x, y, person.sfreq, **window, alpha=alpha).weights[0, :, channel]
    for alpha in (1e-4, 1e-1, 1e1)
}
times = np.asarray(trf.lag_range(-0.125, 0.375, person.sfreq)) / person.sfreq
true = np.zeros(len(times))
true[times >= 0] = 1e6 * study.truth.kernels[person.name][0, : (times >= 0).sum(), channel]
ei.plot_trf(times, kernels, truth={"alpha 0.0001": true}, unit="EEG in µV, full scale of sound", axes=axes[1])
axes[1].set_title("The kernel at three of them")

# %%
# Choosing without fooling oneself
# --------------------------------
# The best score of that curve was chosen with the very trials it scores. Nested cross-validation chooses alpha inside
# each training set and scores trials that had no part in it. In short, slow noise without any response the difference
# is plain: the best score of the path lies above zero on average, the nested one does not.


def slow_noise():
    """Four trials of noise whose neighbouring samples are alike."""
    return [lfilter([1], [1, -0.9], rng.standard_normal((300, 1)), axis=0) for _ in range(4)]


# in noise the strongest penalty is often the best, and a warning would say so every time
warnings.filterwarnings("ignore", message="The chosen alpha sits at the edge")
rng = np.random.default_rng(0)
best, nested = [], []
for _ in range(200):
    sound, noise = slow_noise(), slow_noise()
    settings = {"tmin": 0.0, "tmax": 0.3, "alphas": np.logspace(-4, 4, 9)}
    best.append(trf.crossval_path(sound, noise, 64.0, **settings).score("r").mean(axis=0).max())
    nested.append(trf.nested_crossval(sound, noise, 64.0, **settings).r.mean())

figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
axis.axhline(0, color="0.7", linewidth=0.8)
axis.errorbar(
    [0, 1], [np.mean(best), np.mean(nested)], 2 * np.std([best, nested], axis=1) / 200**0.5, fmt="o", color="k"
)
axis.set(xticks=[0, 1], xticklabels=["best of the path", "nested"], xlim=(-0.4, 1.4), ylabel="held-out r of pure noise")
axis.set_title("200 data sets without any response\n(mean and two standard errors)")
print(f"mean r of noise: best of the path {np.mean(best):+.3f}, nested {np.mean(nested):+.3f}")

# %%
# The same numbers as mTRFpy
# --------------------------
# mTRFpy averages moments over trials, so its alpha is ours times the rate and the number of trials;
# `alpha_units="mtrf"` does the conversion. Its weights are per second, ours per sample. `to_mtrf` and `from_mtrf`
# exchange models.

ours = trf.fit(x, y, person.sfreq, **window, alpha=0.01, alpha_units="mtrf")
theirs = mtrf.TRF()
theirs.train(list(x), list(y), int(person.sfreq), -0.125, 0.375, 0.01)
difference = abs(ours.weights * person.sfreq - theirs.weights).max() / abs(theirs.weights).max()
print(f"mTRFpy: largest difference of weights {difference:.0e} of the largest weight")

# %%
# The same numbers as MNE
# -----------------------
# MNE's `TimeDelayingRidge` without intercept equals ours on data whose lagged features and channels have mean zero:
# here, noise with silent edges. (With its intercept it subtracts the mean *before* padding with zeros, which is another
# model when features are not zero on average, as envelopes are.)

n = 2000
feature, eeg = rng.standard_normal((n, 1)), rng.standard_normal((n, 3))
feature[:30] = feature[-30:] = 0
feature[30:-30] -= feature[30:-30].mean()
eeg -= eeg.mean(axis=0)
theirs = mne.decoding.TimeDelayingRidge(-0.125, 0.375, 64.0, alpha=50.0, reg_type="ridge", fit_intercept=False)
with mne.use_log_level("error"):
    theirs.fit(feature[:, None], eeg[:, None])
ours = trf.fit(feature, eeg, 64.0, **window, alpha=50.0, alpha_units="absolute")
difference = abs(ours.weights[0] - theirs.coef_[:, 0].T).max() / abs(theirs.coef_).max()
print(f"MNE: largest difference of weights {difference:.0e} of the largest weight")

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.plot(1000 * ours.times, ours.weights[0, :, 0], color="C0", linewidth=4, alpha=0.4, label="eegic")
axis.plot(1000 * ours.times, theirs.coef_[0, 0], "k:", label="MNE")
axis.set(xlabel="Lag: EEG after sound (ms)", ylabel="Weight", title="Two tools, one kernel (of noise)")
axis.legend(frameon=False)

# %%
# What the figures do not prove
# -----------------------------
# Agreement between tools shows that they solve the same equations, not that the equations suit the brain: a TRF is
# linear and the same throughout a piece. The alpha that predicts best is not the one whose kernel is nearest to the
# truth, and a kernel's lags are those of this feature; a correlated feature that is left out would appear in it.
