"""
What is information content, and what do noise levels make it listen to?
========================================================================

A model that has heard the past expects something of the next moment. The information content (IC) of that moment says
how far it falls from what was expected. Models of sound give IC at *noise levels*, and studies find that the level
matters for EEG. This tutorial shows what IC is, what changes with the level, what an estimate of it is worth, and why
levels cannot be compared as they come.

Nothing is learnt here. The piece is made up, with expectations that are exactly known, and so is its IC: what a trained
model can only estimate can be held against the truth. It runs in some seconds.
"""

# %%
# A piece whose expectations are known
# ------------------------------------
# A codec turns sound into *latents*: a few dozen numbers per frame, here 64. What follows is a Gaussian process: every
# frame is expected at 0.6 times the one before, and falls off that by a random jump. Three kinds of things live in it.
# Loudness takes 2 numbers that jump far, the melody 8 that jump less, and detail (the noise of the room, the grain of
# the instrument) 54 that hardly move. The numbers are mixed, as in a real codec, where none of them *is* the melody.
#
# The melody comes from a grammar that knows the surprisal of each of its notes. An improbable note makes a large jump:
# ranks of surprisal are ranks of jumps, whose lengths are those of a Gaussian. For simplicity each note is one frame.
# The first has no past, and is left out.

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import chi2, rankdata, spearmanr, zscore

import eegic as ei
from eegic import flow

torch.set_num_threads(1)
rng = np.random.default_rng(0)
melody = ei.datasets.MelodyGrammar().sample(n_notes=300, rng=0)
surprisal = melody.pitch_surprisal

KINDS = {"loudness": (2, 0.8), "melody": (8, 0.2), "detail": (54, 0.01)}  # how many numbers, variance of their jumps
COLOURS = {"loudness": "C1", "melody": "C0", "detail": "0.5"}
kind = np.repeat(list(KINDS), [size for size, _ in KINDS.values()])
variance = np.concatenate([np.full(size, jump) for size, jump in KINDS.values()])

jumps = rng.standard_normal((melody.n_notes, 64)) * np.sqrt(variance)
direction = rng.standard_normal((melody.n_notes, 8))
length = np.sqrt(0.2 * chi2.ppf((rankdata(surprisal) - 0.5) / melody.n_notes, 8))
jumps[:, kind == "melody"] = direction * (length / np.linalg.norm(direction, axis=1))[:, None]
latents = jumps.copy()
for j in range(1, len(jumps)):
    latents[j] += 0.6 * latents[j - 1]
expected = 0.6 * latents[:-1]  # of each frame, given those before
latents, jumps, surprisal, onsets = latents[1:], jumps[1:], surprisal[1:], melody.onsets[1:]

one, sd = 2, np.sqrt(0.2)  # a number of the melody
cost = 0.5 * ((latents - expected)[:, one] / sd) ** 2 + np.log(sd * np.sqrt(2 * np.pi))  # minus its log-density
shown = np.arange(40)
figure, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained", height_ratios=[1.6, 1])
axes[0].errorbar(
    shown, expected[shown, one], 2 * sd, fmt="_", color="0.7", markersize=8, label="expected, given the past (± 2 SD)"
)
axes[0].plot(shown, latents[shown, one], "o", color="C0", markersize=4, label="what came")
axes[0].set(ylabel="one latent number", title="Information content grows with the distance from what was expected")
axes[0].legend(frameon=False, fontsize="small", ncols=2, loc="upper left", bbox_to_anchor=(0, 1.03))
axes[0].set_ylim(-2.2, 2.6)
axes[1].stem(shown, cost[shown], basefmt=" ", linefmt="C0-", markerfmt="C0.")
axes[1].axhline(0, color="k", linewidth=0.8)
axes[1].set(xlabel="Frame (note)", ylabel="its IC (nats)")

# %%
# IC of a frame
# -------------
# IC is minus the logarithm of the probability *density* of what came, given the past, summed over all 64 numbers; with
# the natural logarithm its unit is the nat (1.44 bits). A density may exceed 1, so IC may be negative: its zero means
# nothing, its differences do. A rectified flow describes the density as a stream that carries pure noise, at time 0, to
# latents, at time 1. Here it is `GaussianFlow`, given the expectation of each frame; for real sound it is a trained
# network: ``ei.information_content(audio, model=..., noise=(0.0, 0.3))``.
#
# A *noise level* L asks about a blurred version: latents times 1 - L, in a world where noise of SD L lies on top. At
# level 0 the frames of this piece are surprising for their detail, and IC says little about the notes. At 0.2 it
# follows them. (Both are standardised for the figure; the last but one section says why.)

mix = np.linalg.qr(rng.standard_normal((64, 64)))[0]
z = torch.from_numpy(latents @ mix.T)
piece = flow.GaussianFlow(torch.from_numpy(expected @ mix.T), torch.from_numpy(mix * variance @ mix.T))


def true_ic(level):
    """IC of every frame in closed form, in nats."""
    t = torch.tensor(1 - level, dtype=torch.float64)
    return -piece.log_density(t * z, t).numpy()


sound = ei.datasets.synthesise(melody)
end = 16.0
notes = onsets < end
excerpt = ei.Audio(sound.samples[: int(end * sound.sfreq)], sound.sfreq, "the first 40 notes")
series = ei.FeatureSeries(
    np.column_stack([zscore(true_ic(level))[notes] for level in (0.0, 0.2)]),
    onsets[notes],
    ["noise level 0", "noise level 0.2"],
)
figure, axes = plt.subplots(3, 1, figsize=(8, 6.4), sharex=True, layout="constrained")
ei.plot_information_content(excerpt, series, axes=axes[:2])
axes[0].tick_params(labelbottom=False)
axes[1].set(ylabel="IC (SD)", xlabel="", ylim=(-3, 4.5))
axes[1].legend(frameon=False, fontsize="small", ncols=2, loc="upper right")
axes[2].stem(onsets[notes], surprisal[notes], basefmt=" ", linefmt="k-", markerfmt="k.")
axes[2].set(xlabel="Time (s)", ylabel="note surprisal (bits)", ylim=(0, None))
axes[2].spines[["top", "right"]].set_visible(False)
for level in (0.0, 0.2):
    print(f"level {level}: rank correlation with note surprisal {spearmanr(true_ic(level), surprisal)[0]:.2f}")

# %%
# What noise levels make IC listen to
# -----------------------------------
# Noise covers what is smaller than itself. At level L a number that jumps with variance s keeps a weight of
# (1 - L)² s / ((1 - L)² s + L²). At level 0 every number has weight 1, and detail wins by sheer number. Then detail
# fades, later the melody, and loudness is left. So there is a level that turns IC to the melody, and it lies neither at
# 0 nor near 1. Lines are closed forms; crosses come from integrating the flow with random probes, as one would with a
# trained network.

levels = np.linspace(0, 0.95, 39)
keep = ((1 - levels) ** 2)[:, None] * variance
weight = keep / (
    keep + levels[:, None] ** 2
)  # of each number's squared jump; half the variance of its IC is its square
shares = {name: (weight[:, kind == name] ** 2).sum(axis=1) / (weight**2).sum(axis=1) for name in KINDS}


def sizes(name):
    """Squared jumps of one kind, (n_frames,)."""
    return (jumps[:, kind == name] ** 2).sum(axis=1)


def probed(level, frames=slice(None), steps=64, n_probes=4, seed=0):
    """IC of frames by the midpoint rule with random probes, and its standard error."""
    t = torch.tensor([1 - level, 0.0], dtype=torch.float64)
    x = t[0] * z[frames]
    probes = flow.Hadamard.draw(tuple(x.shape), n_probes, torch.Generator().manual_seed(seed))
    found = flow.probed(piece[frames], x, list(t), probes, steps=[steps], node=0.5)
    return -found.value[0].numpy(), found.se[0].numpy()


figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
axes[0].stackplot(levels, shares.values(), colors=COLOURS.values(), alpha=0.8)
for name, level, height in (("loudness", 0.7, 0.4), ("melody", 0.3, 0.62), ("detail", 0.06, 0.8)):
    axes[0].text(level, height, name, ha="center", va="center")
axes[0].set(xlim=(0, 0.95), ylim=(0, 1), xlabel="Noise level", ylabel="share of the variance of IC")
axes[0].set_title("Small things stop counting first")
at = np.array([0.05, 0.2, 0.35, 0.5, 0.65, 0.8])
estimates = [probed(level)[0] for level in at]
for name in KINDS:
    values = [spearmanr(true_ic(level), sizes(name))[0] for level in levels]
    axes[1].plot(levels, values, color=COLOURS[name], linewidth=2)
    axes[1].text(0.93, values[-1] + 0.05, name, color=COLOURS[name], ha="right", fontweight="bold")
    axes[1].plot(at, [spearmanr(ic, sizes(name))[0] for ic in estimates], "kx", markersize=5)
axes[1].plot([], [], "kx", markersize=5, label="by probes")
axes[1].set(xlim=(0, 0.95), ylim=(-0.1, 1), xlabel="Noise level", ylabel="rank correlation of IC with jumps")
axes[1].set_title("A level for the melody")
axes[1].legend(frameon=False, fontsize="small", loc="upper center")
best = levels[np.argmax([spearmanr(true_ic(level), surprisal)[0] for level in levels])]
print(f"IC follows the surprisal of notes best at level {best:.2f}, with {spearmanr(true_ic(best), surprisal)[0]:.2f}")

some = slice(0, 40)
for level in (0.3, 0.6):
    t = torch.tensor(1 - level, dtype=torch.float64)
    found = flow.exact(piece[some], t * z[some], [t.expand(40), torch.zeros(40, dtype=torch.float64)], tolerance=0.01)
    error = np.abs(-found.value[0].numpy() - true_ic(level)[some]).max()
    print(f"level {level}: exact integration differs from the closed form by at most {error:.0e} nats")

# %%
# What an estimate is worth
# -------------------------
# Integrating a flow takes, at each step, how much the stream spreads out: 64 derivatives per frame and step if done
# exactly. Random probes ask in a few random directions instead, which is cheap and noisy. An error that is the same for
# all frames does no harm; one that differs is noise in a regressor, and shrinks every effect on EEG: a tenth of the
# variance costs about a tenth of a gain. It falls with the work, and faster if the directions are new at each step: the
# same four at all of a hundred steps, as in published practice, make errors that never average out. Estimates know
# their standard error, and so about how large their error is (crosses).

figure, axis = plt.subplots(figsize=(7.4, 3.6), layout="constrained")
n_steps = np.array([16, 32, 64, 128])
for colour, level in zip(("C2", "C0", "C3"), (0.2, 0.4, 0.6), strict=True):
    truth = true_ic(level)
    found = [probed(level, steps=steps, n_probes=2) for steps in n_steps.tolist()]
    axis.plot(
        2 * n_steps, [(ic - truth).var() / truth.var() for ic, _ in found], "o-", color=colour, label=f"level {level}"
    )
    axis.plot(2 * n_steps, [(se**2).mean() / truth.var() for _, se in found], "x", color=colour)
    t = torch.tensor([1 - level, 0.0], dtype=torch.float64)
    kept = flow.Rademacher.draw(tuple(z.shape), 4, 1, torch.Generator().manual_seed(0), fresh=False)
    ic = -flow.probed(piece, t[0] * z, list(t), kept, steps=[100], node=0.0).value[0].numpy()
    axis.plot(400, (ic - truth).var() / truth.var(), "s", color=colour, fillstyle="none")
axis.plot([], [], "kx", label="as their standard errors say")
axis.plot([], [], "ks", fillstyle="none", label="the same 4 probes at 100 steps")
axis.set(xscale="log", yscale="log", xlabel="probes times steps, per frame", ylabel="variance of error / of IC")
axis.set_xticks([32, 64, 128, 256, 400], ["32", "64", "128", "256", "400"])
axis.set_xticks([], minor=True)
axis.set_title("More directions, less noise in the regressor")
axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# Levels have scales of their own, and a point
# --------------------------------------------
# IC at different levels differs in mean and spread by far more than any effect: standardise each level before you
# compare weights or average. And *which* blurred version is asked about is a choice. The default, ``at="expectation"``,
# takes the latent times 1 - L, the mean of all its noised versions. No single noised version looks like that (they lie
# much further off), but in this Gaussian world their mean IC differs from it by a constant only. It would take very
# many of them to see: one has random IC on top, and at high levels the mean of a hundred is noise still.
# ``at="ode"`` takes the point to which the flow itself carries the latent. In a Gaussian world that point keeps its
# distance from the expectation, counted in SDs, and the level changes nothing. Trained models are not Gaussian, and
# there the two are different features: say which one you used.


def noised_ic(level, n_draws):
    """Mean IC of noised versions of every frame, but for a constant."""
    noised = (1 - level) * jumps + level * rng.standard_normal((n_draws, *jumps.shape))
    return 0.5 * (noised**2 / ((1 - level) ** 2 * variance + level**2)).sum(axis=-1).mean(axis=0)


def ode_ic(level):
    """IC of the point of the flow at the level, on the way from the frame to noise."""
    clean, t = torch.tensor([1.0, 1 - level], dtype=torch.float64)
    point = flow.solve(piece, z, clean, t, steps=64) if level else z
    return -piece.log_density(point, t).numpy()


coarse = np.linspace(0, 0.9, 10)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
mean = np.array([true_ic(level).mean() for level in coarse])
spread = np.array([true_ic(level).std() for level in coarse])
axes[0].plot(coarse, mean, color="C0")
axes[0].fill_between(coarse, mean - 2 * spread, mean + 2 * spread, color="C0", alpha=0.25, linewidth=0)
axes[0].set(xlabel="Noise level", ylabel="IC (nats), mean ± 2 SD over frames", title="Every level has its own scale")
for name, values, style in (
    ("expectation", true_ic, "C0-"),
    ("mean of 100 noised", lambda level: noised_ic(level, 100), "kx"),
    ("one noised", lambda level: noised_ic(level, 1), "C1--"),
    ("ode", ode_ic, "C2-."),
):
    axes[1].plot(coarse, [spearmanr(values(level), surprisal)[0] for level in coarse], style, label=name, markersize=5)
axes[1].set(xlabel="Noise level", ylabel="rank correlation with note surprisal", ylim=(-0.1, 1))
axes[1].set_title("At which point?")
axes[1].legend(frameon=False, fontsize="small", ncols=2, loc="upper right")
near = (weight[np.searchsorted(levels, 0.2)] * (jumps**2 / variance)).sum(axis=1).mean()
print(f"level 0.2: mean squared distance from the expected {near:.0f} SD² at the expectation, 64 for noised versions")

# %%
# What the figures do not prove
# -----------------------------
# The melody lies between loudness and detail because it was put there. Where it lies in the latents of a codec, if
# anywhere, is an empirical matter, and so is the best level: choose it on other data than those you test it on, or test
# all levels together. The flow here *is* the world; a trained model errs, and its IC mixes the surprise of the music
# with the ignorance of the model. Latents of bottlenecks that fix their length have no density at level 0: stay above
# it. And a level at which IC predicts EEG shows what the EEG goes along with, not what the listener expected.
