"""
The encoder hears the future: how do negative lags show it?
===========================================================

A feature from a neural network comes with time stamps, and a temporal response function (TRF) takes them at their word:
positive lags mean that the EEG follows the sound. But the encoder of an audio codec looks both ways. Its output at one
moment already holds what comes next, and everything built on it, information content included, inherits this. This
tutorial measures how far an encoder hears, shows what that does to lags in a simulated study, and uses lags at which
nothing causal can be as a control.

It runs in some seconds on simulated data, with a codec of random weights.
"""

# %%
# How far does an encoder hear?
# -----------------------------
# Change 20 ms of a sound, encode it again, and see which latents move. This codec is small and untrained, but its
# layers reach as far in time as those of the public one: 104 frames of the spectrogram, or 1.2 s, to either side. With
# these weights most of the change lies within 0.3 s, on *both* sides. And there is a floor that never ends:
# normalisations take mean and variance over all that is encoded at once, up to a minute, so everything depends on
# everything. It is low for a change of 20 ms, and high when the second half of the sound gets three times as loud: the
# first half moves as well. Codecs of one's own need not be so: with ``causal=True`` the convolutions keep to the frames
# of a latent, and the windows of a latent end where the next one starts. What is left before the change is the floor.

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import eegic as ei
from eegic import trf

torch.set_num_threads(1)
rng = np.random.default_rng(0)
codec = ei.Codec.untrained(
    ei.CodecConfig(
        11025, 512, 128, channels=(8, 8, 16, 16, 16), attention=(), bottleneck_channels=32, dim=16, embedding=8
    )
)
causal = ei.Codec.untrained(replace(codec.config, causal=True))
RATE, MIDDLE = 11025, 5.0  # hertz; seconds, where the sound is changed


def noise(seconds):
    """White noise, (n_samples,)."""
    return 0.1 * rng.standard_normal(int(seconds * RATE))


def moved(before, after, codec=codec):
    """Distance that each latent moves, relative to how much latents vary, (n_frames,)."""
    z, changed = (codec.encode(ei.Audio(samples, RATE, "noise")) for samples in (before, after))
    return np.linalg.norm(changed - z, axis=1) / np.linalg.norm(z - z.mean(axis=0), axis=1).mean()


middle = int(MIDDLE * RATE)
short, loud, not_early = [], [], []
for _ in range(8):
    sound = noise(2 * MIDDLE)
    other, louder = sound.copy(), sound.copy()
    other[middle : middle + int(0.02 * RATE)] = noise(0.02)
    louder[middle:] *= 3
    short.append(moved(sound, other))
    loud.append(moved(sound, louder))
    not_early.append(moved(sound, other, causal))
after_change = codec.frame_times(len(short[0])) - MIDDLE  # onset of each latent

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for axis, changes, title in (
    (axes[0], short, "20 ms replaced at time 0"),
    (axes[1], loud, "three times louder from 0"),
):
    axis.axvspan(-1.2, 1.2, color="0.93", zorder=0)
    axis.semilogy(after_change, np.transpose(changes), color="0.6", linewidth=0.7)
    axis.semilogy(after_change, np.mean(changes, axis=0), "C0", linewidth=2, label="mean of 8 sounds")
    axis.axvline(0, color="k", linewidth=0.8)
    axis.set(xlim=(-4, 4), xlabel="Onset of the latent after the change (s)", title=title)
axes[0].semilogy(
    causal.frame_times(len(not_early[0])) - MIDDLE,
    np.mean(not_early, axis=0),
    "C1",
    linewidth=1.5,
    label="causal codec",
)
axes[0].legend(frameon=False, fontsize="small", loc="upper left")
axes[0].text(
    0.05, 2e-3, "reach of the\nconvolutions", fontsize="small", ha="center", va="center", backgroundcolor="0.93"
)
axes[0].set(ylabel="change / variation of latents", ylim=(1e-3, 4))
axes[1].legend(frameon=False, fontsize="small", loc="lower right")
profile = np.mean(short, axis=0)
early = (profile**2)[after_change < 0].sum() / (profile**2).sum()
print(f"{early:.0%} of the squared change is in latents that start before what changed")

# %%
# What that does to lags
# ----------------------
# Now a listener whose EEG answers to how surprising each pitch is, with a peak 200 ms and a trough 290 ms after the
# onset, and never before. The causal feature is surprisal at the onsets. The feature *heard around* is the same, spread
# evenly over 0.3 s to either side; another one is spread as measured above. Narrow windows of lags, one after the
# other, show where each of them predicts held-out EEG. (Surprisal minus its mean: notes come on a beat, so onsets
# predict onsets, and thereby EEG at negative lags.)

SFREQ = 32.0
REACH = 38  # samples, 1.2 s
made = {
    "rhythm": "free",
    "surprisal": "pitch",
    "snr": 0.3,
    "n_channels": 16,
    "sfreq": SFREQ,
    "progress": False,
    "rng": 1,
}
answering, deaf = (ei.datasets.simulate_study(1, 8, 24, surprisal_effect=effect, **made) for effect in (1.0, 0.0))
grid = np.arange(-REACH, REACH + 1) / SFREQ
floor = np.median(profile[np.abs(after_change) > 1.2])
MEASURED = np.clip(np.interp(grid, after_change, profile) - floor, 0, None)
EVEN = (np.abs(grid) <= 0.3).astype(float)


def heard_around(series, kernel=EVEN):
    """A feature as an encoder hears it: spread over past and future."""
    values = np.convolve(series.values[:, 0], kernel / kernel.sum())[REACH:-REACH]
    return ei.FeatureSeries(values, series.times, f"{series.names[0]}, heard around")


def centred(name):
    """Surprisal minus its mean over notes, at the notes."""
    surprisal, onsets = answering.surprisal[name], answering.onsets[name]
    mean = surprisal.values.sum() / onsets.values.sum()
    return ei.FeatureSeries(surprisal.values - mean * onsets.values, surprisal.times, "surprisal")


# coarse grids are enough here, and in windows where nothing is the strongest penalty is best
warnings.filterwarnings("ignore", message="The chosen alpha sits at the edge")
person = answering.participants[0]
centres = np.arange(-1.2, 1.21, 3 / SFREQ)
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
axis.axvspan(-1250, 0, color="0.93", zorder=0)
for label, seen, style in (
    ("causal", lambda one: one, "C0o-"),
    ("heard around", heard_around, "C1s--"),
    ("heard around, as measured", lambda one: heard_around(one, MEASURED), "C2^:"),
):
    x = [seen(centred(name)).values for name in person.stimuli]
    scores = [
        trf.nested_crossval(
            x, list(person.eeg), SFREQ, tmin=lag - 1 / SFREQ, tmax=lag + 1 / SFREQ, alphas=(0.01, 0.1, 1.0), n_folds=4
        ).r.mean(axis=1)
        for lag in centres
    ]
    error = np.std(scores, axis=1, ddof=1) / len(scores[0]) ** 0.5
    axis.errorbar(1000 * centres, np.mean(scores, axis=1), error, fmt=style, markersize=3, label=label)
axis.axhline(0, color="k", linewidth=0.8)
axis.set_ylim(top=1.2 * axis.get_ylim()[1])
axis.text(-1200, axis.get_ylim()[1] * 0.9, "EEG before the sound", fontsize="small", va="top")
axis.set(xlabel="Lag: EEG after sound (ms)", ylabel="held-out r, mean ± SE of 8 trials", xlim=(-1250, 1250))
axis.set_title("One response, three features")
axis.legend(frameon=False, fontsize="small")

# %%
# The causal feature predicts where the response is. The one heard around predicts where its *edges* meet the response:
# 300 ms too early, partly before the sound, and 300 ms too late; where the response is it knows nothing. A smooth smear
# has no edges; it blurs the response and loses part of it. Which of these a trained encoder resembles is not known
# beforehand. From here on it is the even one.
#
# Negative lags as a control
# --------------------------
# So run the whole analysis twice: once with the lags of a response, 0 to 400 ms, and once with lags before the sound,
# -400 to -31 ms, where a causal feature has nothing to say. The question is the usual one, what surprisal adds to
# envelope and onsets, and the answer is held against its surrogates (grey). There are two listeners: one answers to
# surprisal, the other to the envelope alone.

WINDOWS = {"lags of a response (0 to 400 ms)": (0.0, 0.4), "before the sound (-400 to -31 ms)": (-0.4, -1 / SFREQ)}
LISTENERS = {"EEG answers to surprisal": answering, "EEG does not": deaf}


def gains(baseline):
    """Tracking of both features, by window and listener; `baseline` gives the features to be beaten."""
    return {
        (window, listener): ei.cortical_tracking(
            study.participants[0],
            {name: baseline(study, name) for name in study.stimuli},
            {name: [study.surprisal[name], heard_around(study.surprisal[name])] for name in study.stimuli},
            tmin=WINDOWS[window][0],
            tmax=WINDOWS[window][1],
            alphas=(0.001, 0.01, 0.1, 1.0),
            n_folds=4,
            n_null=39,
            rng=0,
            progress=False,
        )
        for window in WINDOWS
        for listener, study in LISTENERS.items()
    }


def draw(results):
    """Gains over their surrogates, one panel for each window."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, window in zip(axes, WINDOWS, strict=True):
        for column, (listener, row) in enumerate((one, row) for one in LISTENERS for row in range(2)):
            found = results[window, listener]
            by_chance = found.null[row].mean(axis=1)
            scatter = column + np.linspace(-0.15, 0.15, len(by_chance))
            axis.plot(scatter, by_chance, ".", color="0.7", markersize=4, zorder=1)
            axis.plot(column, found.gain[row].mean(), "D", color=f"C{row}", zorder=2)
            axis.annotate(
                f"p {found.p_mean[row]:.3f}", (column, 1.02), xycoords=("data", "axes fraction"), ha="center", size=8
            )
        axis.axhline(0, color="k", linewidth=0.8)
        axis.axvline(1.5, color="0.8", linewidth=0.8)
        axis.set(xticks=range(4), xticklabels=["causal", "heard\naround"] * 2, xlim=(-0.5, 3.5), ylabel="raw Δr")
        axis.set_title(window, pad=20, fontsize="medium")
        for column, listener in zip((0.5, 2.5), LISTENERS, strict=True):
            axis.annotate(listener, (column, -0.26), xycoords=("data", "axes fraction"), ha="center")
    return figure


causal_only = gains(lambda study, name: [study.envelopes[name], study.onsets[name]])
figure = draw(causal_only)

# %%
# At the lags of a response the causal feature gains, and the one heard around a tenth of that. Before the sound it is
# the other way round: there the feature heard around passes its test. Who looks at it alone, with a window that
# includes negative lags, finds an effect of surprisal, and may call it anticipation.
#
# Look at the listener without surprisal, too. There as well raw Δr is large before the sound: the feature brings along
# the notes that were, which negative lags leave out of the baseline, and the response to *those*. The surrogates bring
# them too, so the null takes this away. Raw Δr alone would have been a discovery.
#
# What to do about it
# -------------------
# Give the baseline the same ears: envelope and onsets as they are, and heard around. Gains that belonged to the notes
# as such then vanish before any null has to take them away. What is left, where there is surprisal to be found, is
# surprisal, but at a lag that says nothing of *when*: the peak of such a kernel is no latency.

same_ears = gains(
    lambda study, name: [
        feature for one in (study.envelopes[name], study.onsets[name]) for feature in (one, heard_around(one))
    ]
)
figure = draw(same_ears)
for (window, listener), found in same_ears.items():
    before, now = causal_only[window, listener].corrected[1].mean(), found.corrected[1].mean()
    print(f"{window}, {listener}: corrected Δr heard around {before:+.4f}, with the same ears {now:+.4f}")

# %%
# In a study with latents, or with information content computed from them:
#
# 1. Report the same analysis for both windows, with the same null. If negative lags predict as well as positive ones,
#    the feature may still be right, but latencies and kernels mean nothing, and neither do "causal" or "predictive".
# 2. Put smeared versions of envelope and onsets into the baseline, with the smear measured on the encoder at hand.
# 3. Compare with a feature whose times are certain: surprisal of notes, at their onsets.
# 4. Write down what the time stamps mean (onset or end of the frame), how far the encoder reaches, and how the sound
#    was cut into chunks. Latents of the public codec are stamped at their onset and hear 1.2 s beyond it.
#
# What the figures do not prove
# -----------------------------
# Random weights show where a network *can* look; training decides how much it does. The smear here is linear, the same
# for all notes, and sharper at its edges than the measured one, which gains little at negative lags: silence there is
# no proof of causality. An encoder that hears less of the future than the latency of the brain passes this control, and
# shifts latencies all the same. And music repeats itself, so that even a causal feature may predict EEG before the
# sound; that is why the control is a gain beyond the baseline, held against surrogates, and not r. These are two
# listeners and 39 surrogates: p cannot fall below .025, and one of .05 among so many, where nothing is, is no finding.
