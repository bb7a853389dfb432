"""
What is in a simulated study, and can it be found again?
========================================================

Before an analysis is let loose on real recordings it should find what is there, and only that, in data whose truth is
known. :func:`eegic.datasets.simulate_study` makes such data: melodies with known surprisal, their sound, and the EEG of
people who hear them. This tutorial looks at each part, then recovers the responses that were put in.

It runs in a few seconds and needs no files.
"""

# %%
# Melodies that know how surprising they are
# ------------------------------------------
# A tonal grammar writes the melodies. The next pitch depends on one, two or three pitches before it; the next onset on
# the position in the bar and the last intervals. Since the grammar knows the probability of every note given its past,
# it knows the surprisal, −log₂ p, in bits.

import matplotlib.pyplot as plt
import numpy as np

import eegic as ei
from eegic import trf
from eegic.datasets import MelodyGrammar, simulate_study

grammar = MelodyGrammar(rhythm="free")
melody = grammar.sample(duration=12, rng=4)
print(f"{melody}; in the long run {grammar.entropy('pitch'):.2f} + {grammar.entropy('timing'):.2f} bits per note")

figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
bits = melody.surprisal("both").values[:, 0]
axes.hlines(melody.pitches, melody.onsets, melody.onsets + melody.durations, color="0.8", linewidth=5)
dots = axes.scatter(melody.onsets, melody.pitches, c=bits, cmap="viridis", s=45, zorder=3)
figure.colorbar(dots, label="Surprisal (bits)")
axes.set(xlabel="Time (s)", ylabel="Pitch (MIDI number)", title="The rarer a note after its past, the more surprising")

# %%
# Sound, and features of it
# -------------------------
# A small synthesiser plays the melodies. From the sound comes the envelope; surprisal sits at the onsets as impulses.
# Surprisal is never negative, so its impulses also say *that* there is a note: the onsets alone are the fair baseline.

study = simulate_study(4, 6, duration=30, rhythm="free", surprisal_effect=1.0, n_channels=32, rng=0)
print(study)
name = study.stimuli[0]
ei.plot_features(study.envelopes[name], study.onsets[name], study.surprisal[name], tmax=8)

# %%
# EEG that answers to both
# ------------------------
# Each listener's EEG is the envelope and the surprisal, each convolved with a kernel of its own, plus a background with
# a 1/f spectrum and an alpha rhythm. Participants differ in latency, in gain and in how much background they have.
# The responses are small: their variance is a few percent of the background's.

person = study.participants[0]
print(person)
kernels = study.truth.kernels[person.name]
center = int(np.argmax(study.truth.topographies.mean(axis=0)))
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", width_ratios=[1.4, 1, 1])
sd = [np.concatenate([one.values for one in series.values()]).std() for series in (study.envelopes, study.surprisal)]
true = {name: kernels[f, :, center] * sd[f] for f, name in enumerate(study.truth.features)}
ei.plot_trf(study.truth.lags, true, unit="µV per SD", axes=axes[0])
axes[0].set_title(f"The kernels at {person.ch_names[center]}")
for f, feature in enumerate(study.truth.features):
    title = f"Where {feature} is answered"
    ei.plot_topography(study.truth.topographies[f], person.info, label="strength", title=title, axes=axes[1 + f])

# %%
# Found again
# -----------
# A temporal response function (TRF) regresses the EEG on the lagged features. Melodies are held out one at a time, and
# the strength of the ridge penalty is chosen inside each training set. Ridge pulls weak responses towards zero, so with
# realistic background the estimates (with a band of one standard error over participants) are smaller and smoother than
# the truth, and some of the response to the envelope leaks into features that go along with it.


def estimated(study):
    """Kernels of envelope and surprisal at one channel, (n_participants, 2, n_lags), in volts per SD."""
    kernels = []
    for person in study.participants:
        series = [study.envelopes[s].stack(study.onsets[s], study.surprisal[s]) for s in person.stimuli]
        x, options = [one.values for one in series], {"groups": person.stimuli, "masks": person.masks}
        cv = trf.nested_crossval(x, person.eeg, person.sfreq, tmin=0.0, tmax=0.4, **options)
        kernels.append(cv.weights.mean(axis=0)[[0, 2], :, center] * np.array(sd)[:, None])
    return np.array(kernels)


silent = simulate_study(4, 6, duration=30, rhythm="free", surprisal_effect=0.0, n_channels=32, rng=0)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
for axis, one, title in ((axes[0], study, "An effect of surprisal"), (axes[1], silent, "None: same study, effect 0")):
    found = estimated(one)
    mean = np.mean([kernel[:, :, center] for kernel in one.truth.kernels.values()], axis=0)
    ei.plot_trf(
        one.truth.lags,
        {"envelope": found[:, 0], "surprisal": found[:, 1]},
        truth={"envelope": mean[0] * sd[0], "surprisal": mean[1] * sd[1]},
        unit="µV per SD",
        axes=axis,
    )
    axis.set_title(title)

# %%
# What the figure does not prove
# ------------------------------
# Four participants and one channel are a look, not a test. A kernel that differs from zero at some lag says nothing
# about whether surprisal predicts EEG that was held out, nor how often a useless feature would look as good. And a
# simulation in which the analysis makes the same assumptions as the simulator (linear, additive, stationary) can only
# show that the method works when it should; it cannot show that brains are like that.
