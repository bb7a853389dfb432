"""
Would other listeners show it, and would other music?
=====================================================

Each participant has a gain: what surprisal adds to the prediction of their EEG, less what it adds by chance. A paper
claims more than that: that listeners who were not invited would show it too, or that other pieces would. These are two
claims, with two tests, and neither follows from the other.

Six simulated listeners hear eight melodies. Two models estimate the surprisal of the notes at four noise levels: the
estimates of one stay good as noise rises, those of the other do not. It runs in some seconds.
"""

# %%
# Six listeners, two models, four noise levels
# --------------------------------------------
# The estimates are made here, with errors of a known size, so that we know what should come out. A name that ends in a
# number, as those of `information_content` do, is understood as family and noise level. One alpha saves time here.

import numpy as np
import pandas as pd

import eegic as ei

study = ei.datasets.simulate_study(6, 8, 14, surprisal_effect=1.3, snr=0.15, n_channels=32, progress=False, rng=3)
levels, errors = (0.0, 0.2, 0.4, 0.6), {"robust": (2.0, 1.2, 0.6, 0.8), "plain": (2.0, 1.6, 2.4, 5.0)}
rng = np.random.default_rng(0)

estimates, agreement = {}, {family: np.zeros(4) for family in errors}
for name, melody in study.melodies.items():
    true, estimates[name] = melody.surprisal(), []
    for family, sizes in errors.items():
        for k, (level, size) in enumerate(zip(levels, sizes, strict=True)):
            noisy = true.values[:, 0] + size * rng.standard_normal(true.n_times)
            series = ei.FeatureSeries(noisy - noisy.mean(), true.times, f"{family} {level:g}")
            estimates[name].append(series.resample(64.0, duration=melody.duration, kind="impulse"))
            agreement[family][k] += ei.rank_correlation(noisy, true.values[:, 0]) / len(study.melodies)

baseline = {name: [study.envelopes[name], study.onsets[name]] for name in study.stimuli}
results = [
    ei.cortical_tracking(
        person,
        baseline,
        estimates,
        tmax=0.3,
        alphas=[3.0],
        n_folds=4,
        n_null=99,
        rng=0,
        progress=False,
    )
    for person in study.participants
]
group = ei.group_test(results)
print(group)

# %%
# Two claims
# ----------
# *New listeners*: the corrected gains of whole participants are flipped in sign; with six there are 64 ways, so no p is
# below 1/64. *New pieces*: the gain averaged over participants is held against surrogates in which melodies
# exchange the feature, the same ones for everybody. Surrogates can be averaged because all participants were given the
# same ``rng``. Raw Δr and its null stand in the figure, too: zero is not what raw Δr is when nothing is there.

figure = ei.plot_delta_r(group)
columns = [
    "model",
    "corrected",
    "se",
    "p_listeners",
    "p_listeners_maxt",
    "p_pieces",
    "d",
    "d_low",
    "d_high",
    "significant",
]
table = group.to_frame("region")[columns]
print({claim: f"p >= {least:.3g}" for claim, least in group.p_min.items()})
table.round(4)

# %%
# Where on the scalp
# ------------------
# A topography of significant channels needs p-values that hold for every single channel: by the largest t over all
# channels and models, for new listeners, or by the largest gain, for new pieces. Six listeners are few for 256 values;
# the melodies tell more. Clusters would not do, since their p-values speak of the cluster as a whole; threshold-free
# enhancement lets neighbours help each other, and gives each channel its own.

figure = ei.plot_topography(group, which="pieces")
row = group.row("robust 0.4")
found = {
    "listeners, largest t": group.listeners.p_maxt[row],
    "listeners, threshold-free, this model only": ei.cluster_test(group, "robust 0.4")["p"],
    "pieces, largest gain": group.p_pieces_maxt[row],
}
for test, p in found.items():
    print(f"{test}: {(p < 0.05).sum()} of {len(group.ch_names)} channels")

# %%
# Is there a best noise level?
# ----------------------------
# The level that looks best was chosen by looking, so its p-value is worth little. A parabola over all levels uses every
# one of them, and says where it is highest, with an interval, if that lies within the levels that were measured.
# Participants and sounds are both random here, so this is also the test for new listeners *and* new music. Effects are
# in units of Δr, and so are the standard deviations by which each effect differs between participants and sounds.

figure = ei.plot_noise_profile(group, agreement=agreement)
fit = ei.mixed_model(group)
for family, (at, low, high) in fit.peaks.items():
    print(
        f"{family}: highest at noise {at:.2f} [{low:.2f}, {high:.2f}]"
        if np.isfinite(at)
        else f"{family}: nowhere within"
    )
fit.table.round(4)

# %%
# One model against another, and one kind of listener against another
# --------------------------------------------------------------------
# Both differences are tested as differences. That one model has p < .05 and the other has not is no evidence that they
# differ. The labels of training below were drawn at random, so there is nothing to find.

print(ei.compare_models(group, "robust 0.6", "plain 0.6").round(4).to_string(index=False))
training = pd.DataFrame({"training": rng.permutation(["musician", "other"] * 3)}, index=group.participants)
print(ei.group_regression(group, training, "training", model="robust 0.4", by="region").round(4).to_string(index=False))

# %%
# In how many listeners?
# ----------------------
# A mean above zero can come from a few. Each participant was tested alone, at a level that 99 surrogates can reach; the
# share of listeners in whom this test would find something, with as much data, has an interval of its own.

print(group.prevalence("robust 0.4"))

# %%
# What the figures do not prove
# -----------------------------
# That the robust model wins was built into its errors; with real models, one that is better at the acoustics which the
# baseline leaves out would win in the same way. Eight melodies by one grammar stand for "other music" of that grammar
# only. Sign flips take the errors of participants to be symmetric; look at the skewness in the table. And a p-value for
# new listeners is no statement about any one of them.
