"""
How do I train a codec and a surprisal model of my own?
=======================================================

Information content is always that of a *model*: of the music it was trained with, in latents that a codec chose. Both
can be trained here, from a folder of recordings or from the simulator. This page trains a toy of each in some seconds,
to show the way; the same lines, with another recipe, train the published sizes on a GPU.
"""

# %%
# A recipe is a file
# ------------------
# Everything that a training depends on stands in one TOML file: sizes, loss, steps, rates, data, seed. Some come with
# eegic; ``eegic train --presets`` lists them. To write your own, start from one with ``base = "small-both"`` and change
# what you want to change. From the shell this page is::
#
#     eegic train --preset seconds-codec --out toy
#     eegic train --preset seconds-surprisal --set codec=toy/seconds-codec.safetensors --out toy-flow
#
# and with your own recordings, of any format and rate::
#
#     eegic train --preset small-both --set data.corpus=folder --set data.folder=~/music --out mine
#
# A training can be killed at any moment; ``--resume`` goes on from its last checkpoint, and the weights in the end are
# those of an unbroken run. ``--trial`` takes one step with a batch of two, and tells how much memory and time that
# needs.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import eegic as ei
from eegic import recipes

folder = Path(tempfile.mkdtemp())
histories = {}


def trained(name, *changes):
    """Follow a recipe, and keep its history."""
    recipe = recipes.read_recipe(name, changes)
    return recipes.follow(
        recipe,
        folder / name,
        device="cpu",
        progress=False,
        after_validation=lambda rows: histories.update({name: rows}),
    )


codec = trained("seconds-codec")
model = trained("seconds-surprisal", f"codec={folder / 'seconds-codec' / 'seconds-codec.safetensors'}")
print(codec, model, sep="\n")

# %%
# What to look at while it learns
# -------------------------------
# The loss of training is noisy: every step draws other sounds and other noise. That of validation uses the same sounds
# and the same noise each time, and the average of the weights over the last steps, which is what is saved. Where the
# two part, a model learns its stretches by heart. ``eegic train`` draws this figure anew at each validation, and for a
# codec metrics beside it: whether sound comes back is not seen in a consistency loss.

figure = ei.plot_training(histories["seconds-surprisal"])

# %%
# What was learned
# ----------------
# A melody that neither model has heard goes through both. A toy codec gives back a shadow of the sound; what matters
# here is that its latents change where notes do.

corpus = recipes.read_recipe("seconds-codec").corpus()
melody, sound = corpus.piece("test", 0, duration=8.0)
series = ei.information_content(sound, model, (0.0, 0.3), codec=codec, device="cpu", progress=False)
truth = melody.surprisal("pitch")

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 4.6), sharex=True, layout="constrained")
above.plot(series.times, series.values[:, 1], color="C0", label="toy model, noise level 0.3")
above.set(ylabel="information content (nats)")
above.legend(frameon=False, loc="upper right")
below.stem(truth.times, truth.values[:, 0], linefmt="C1-", markerfmt="C1o", basefmt="k-")
below.set(xlabel="time (s)", ylabel="true surprisal of pitch (bits)")
for onset in melody.onsets:
    above.axvline(onset, color="0.85", linewidth=0.8, zorder=0)

# %%
# Does it know anything?
# ----------------------
# `eegic.recipes.assess` compares the information content of notes with the surprisal that the grammar gave them, and
# sets beside it what an untrained model and the loudness of onsets reach. A model that does not beat both has learned
# nothing about music that is worth a regressor. ``mini``, which comes with eegic, was trained in the same way, for half
# an hour.

pieces = [corpus.piece("test", i, duration=8.0) for i in range(5)]
table = recipes.assess(model, codec, pieces, (0.3,), progress=False)
mini = recipes.assess(ei.load_surprisal("mini"), ei.load_codec("mini"), pieces, (0.3,), progress=False)
table = pd.concat([mini.iloc[:1].assign(what="mini"), table])
print(table[["what", "noise", "notes", "rho", "rho_low", "rho_high"]].round(2).to_string(index=False))

# %%
# What the figures do not prove
# -----------------------------
# A falling loss says that a model predicts its latents better, not that it expects what listeners expect. The latents
# decide what there is to be surprised by: a codec that keeps every detail makes details surprising. And a model trained
# on one style says how surprising music is to somebody who knows that style alone. The toy above has seen a minute of
# flutes; the table says how little it knows. ``mini`` has heard hours of five instruments, all of one style; its card
# says what it is not.
