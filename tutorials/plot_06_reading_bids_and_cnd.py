"""
From a BIDS or CND folder to an answer
======================================

Published recordings come in two kinds of folders: BIDS, with continuous recordings, tables of events and sound files;
and CND, with trials and features in MATLAB files. Does the answer depend on which one the data came in? This tutorial
writes one simulated listener in both, reads both back, and compares.

It takes some seconds and needs no files; the folders are temporary.
"""

# %%
# One listener, written as BIDS
# -----------------------------
# Eight melodies of 20 s, heard one after the other in one recording, with three seconds between them. In a BIDS folder,
# ``events.tsv`` tells when a sound started, and its column ``stim_file`` which one, by a path in ``stimuli``.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import mne
import mne_bids
import numpy as np
import pandas as pd

import eegic as ei

study = ei.datasets.simulate_study(
    1, 8, duration=20, rhythm="free", n_channels=32, snr=0.05, surprisal_effect=1.0, progress=False, rng=0
)
person = study.participants[0]
temporary = TemporaryDirectory()
bids, cnd = Path(temporary.name, "bids"), Path(temporary.name, "cnd")

silence = 5e-6 * np.random.default_rng(0).standard_normal((round(3 * person.sfreq), len(person.ch_names)))
pieces = [piece for eeg in person.eeg for piece in (silence, eeg)]
starts = np.cumsum([0, *map(len, pieces)])[1::2] / person.sfreq
files = [{"stim_file": f"songs/{stimulus}.wav"} for stimulus in person.stimuli]

raw = mne.io.RawArray(np.concatenate(pieces).T, person.info, verbose="error")
raw.set_annotations(mne.Annotations(starts, 20.0, "song", extras=files))
path = mne_bids.BIDSPath(root=bids, subject="01", task="listening", datatype="eeg")
mne_bids.write_raw_bids(raw, path, format="BrainVision", allow_preload=True, verbose="error")
(bids / "stimuli" / "songs").mkdir(parents=True)
for name, audio in study.audio.items():
    audio.write(bids / "stimuli" / "songs" / f"{name}.wav")

events = pd.read_csv(path.update(suffix="events", extension=".tsv").fpath, sep="\t")
print(events[["onset", "duration", "trial_type", "stim_file"]].head(3).to_string(index=False))

figure, axis = plt.subplots(figsize=(9, 2.6), layout="constrained")
shown = raw.times < 72
axis.plot(raw.times[shown], 1e6 * raw.get_data("Cz")[0, shown], color="0.5", linewidth=0.4)
for i, event in events[events.onset < 72].iterrows():
    axis.axvspan(event.onset, event.onset + event.duration, color=f"C{i}", alpha=0.2, linewidth=0)
    axis.text(event.onset + 0.5, 1.02, event.stim_file, transform=axis.get_xaxis_transform(), fontsize="small")
axis.set(xlabel="Time in the recording (s)", ylabel="Cz (µV)", xlim=(0, 72))

# %%
# Reading it
# ----------
# `read_bids` finds the recordings of a subject, the sound of every event, and how long each sound lasts: here by its
# file. Trials start when their sound starts. What was done stands in the history.

from_bids = ei.read_bids(bids, "01")
print(from_bids)
print("heard:", ", ".join(from_bids.stimuli[:3]), "...")
print(*from_bids.history, sep="\n")

# %%
# If the folder does not say
# --------------------------
# Many published folders name no sounds. Nothing is guessed then: an error lists what was found, and `sounds` tells what
# was heard, by a dictionary or, as here, by a function of the event.

table = bids / "sub-01" / "eeg" / "sub-01_task-listening_events.tsv"
whole = table.read_text()
pd.read_csv(table, sep="\t").drop(columns="stim_file").to_csv(table, sep="\t", index=False)
try:
    ei.read_bids(bids, "01")
except ValueError as error:
    print(error)

log = [f"songs/{stimulus}" for stimulus in person.stimuli]  # from the notes of the experimenter
told = ei.read_bids(bids, "01", sounds=lambda event: log[int(event["row"])])
print(told.stimuli == from_bids.stimuli)
table.write_text(whole)

# %%
# The same listener in CND
# ------------------------
# A CND folder holds trials that are cut already, and features instead of sounds. It does not say in which unit the EEG
# is; microvolts are usual, and a warning tells when that cannot be.

features = {name: study.envelopes[name].stack(study.surprisal[name]) for name in study.stimuli}
ei.write_cnd(cnd, person, features)
from_cnd = ei.read_cnd(cnd, 1)
print(from_cnd)

# %%
# The same answer
# ---------------
# What does surprisal tell about the EEG beyond the envelope? For BIDS the envelope comes from the sound files of the
# folder, for CND it is among the features. Surprisal is known from the simulation; a real study would have it from a
# model of music.

options = {"tmax": 0.4, "alphas": [0.01, 0.1, 1.0], "n_folds": 4, "n_null": 99, "progress": False, "rng": 0}
songs = {name: ei.read_audio(bids / "stimuli" / f"{name}.wav") for name in from_bids.stimuli}
results = {
    "in memory": ei.cortical_tracking(person, study.envelopes, study.surprisal, **options),
    "from BIDS": ei.cortical_tracking(
        from_bids,
        {name: ei.envelope(song, from_bids.sfreq) for name, song in songs.items()},
        {name: study.surprisal[Path(name).name] for name in songs},
        **options,
    ),
    "from CND": ei.cortical_tracking(
        from_cnd.participant, from_cnd.select("envelope"), from_cnd.select("surprisal"), **options
    ),
}
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained", width_ratios=[1, 1, 1, 1.2])
limit = max(np.abs(result.corrected).max() for result in results.values())
for axis, (name, result) in zip(axes, results.items(), strict=False):
    ei.plot_topography(
        result.corrected[0], result.info, label="corrected Δr", mask=result.p_maxt[0] < 0.05, limit=limit, axes=axis
    )
    axis.set_title(f"{name}\np = {result.p_mean[0]:.2f}")
expected = results["in memory"].corrected[0]
axes[3].axline((0, 0), slope=1, color="0.7", linewidth=0.8, zorder=0)
for (name, result), marker in zip(list(results.items())[1:], ("o", "x"), strict=True):
    axes[3].plot(expected, result.corrected[0], marker, markersize=5, fillstyle="none", label=name)
    print(f"{name}: corrected Δr differs by {np.abs(result.corrected[0] - expected).max():.0e} at most")
axes[3].set(xlabel="corrected Δr in memory", ylabel="corrected Δr when read", title="Each of 32 channels")
axes[3].legend(frameon=False, fontsize="small")

# %%
# Leaving the answer in the folder
# --------------------------------
# Results go to ``derivatives/eegic``: everything in one ``.npz``, and tables with a JSON text that explains every
# column, for those who do not use eegic.

written = ei.to_bids_derivative(results["from BIDS"], bids, task="listening")
print(*sorted(file.relative_to(bids).as_posix() for file in written.parent.iterdir()), sep="\n")
print(ei.Tracking.load(written).p_mean == results["from BIDS"].p_mean)
temporary.cleanup()

# %%
# What the figures do not prove
# -----------------------------
# Both folders were written by the programs that read them, with triggers that are exact and sounds that start where the
# table says. That real folders keep their promises is another matter: whether the trigger and the sound met, whether
# ``stim_file`` is what came out of the loudspeaker, and whether the features of a CND file belong to the sounds, no
# reader can see. Check the lag at which the envelope and the EEG correlate before you trust a Δr.
