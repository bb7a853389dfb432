"""
Do sound and EEG run on one clock?
==================================

The sound card plays by one quartz, the amplifier samples by another. They differ by some tens to hundreds of parts per
million (ppm), and the sound leaves the loudspeaker some tens of milliseconds after the computer says so. A response of
the brain lasts a tenth of a second: how do you find out that sound and EEG come apart, and what do you do about it?

It runs in some seconds on simulated data.
"""

# %%
# A recording that drifts
# -----------------------
# Eight melodies are played in a row, with pauses. The amplifier is 200 ppm fast, and the sound comes 37 ms late; the
# amplifier records EEG at 128 Hz and, at 1024 Hz, what comes out of the sound card, with as much noise as sound. At the
# start of the session the same note stands 37 ms later in the recording, three minutes later 73 ms.

import matplotlib.pyplot as plt
import mne
import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import resample

import eegic as ei
from eegic import trf

truth = ei.Clock(rate=200e-6, offset=0.037)
study = ei.datasets.simulate_study(1, 8, duration=24, snr=0.3, rhythm="free", n_channels=16, progress=False, rng=2)
listener = study.participants[0]
onsets = 25.0 * np.arange(8)  # on the clock of the sound card


def in_a_row(pieces, sfreq):
    """All pieces, each followed by a second of nothing."""
    pause = np.zeros((round(sfreq), *pieces[0].shape[1:]))
    return np.concatenate([part for piece in pieces for part in (piece, pause)])


def record(signal, sfreq, new):
    """The signal as the amplifier samples it, `new` times per second of its own clock."""
    factor = round(8 * new / sfreq)
    fine = resample(signal, factor * len(signal)).reshape(factor * len(signal), -1)
    times = truth.sound(np.arange(round(200.5 * new)) / new)
    return np.array([map_coordinates(column, [times * factor * sfreq], order=3) for column in fine.T])


rng = np.random.default_rng(0)
sounds = [study.audio[name] for name in listener.stimuli]
session = ei.Audio(in_a_row([sound.mono() for sound in sounds], sounds[0].sfreq), sounds[0].sfreq, "session")
channel = record(session.resample(1024).mono(), 1024, 1024)[0]
channel += channel.std() * rng.standard_normal(len(channel))
eeg = record(in_a_row([trial.eeg for trial in listener.trials], 64), 64, 128)
raw = mne.io.RawArray(eeg, mne.create_info(list(listener.ch_names), 128.0, "eeg"), verbose="error")

played = ei.envelope(session.resample(1024), 128)
heard = ei.envelope(ei.Audio(channel / np.abs(channel).max(), 1024, "channel"), 128)
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for axis, start, title in zip(axes, (1.0, 180.0), ("A note at the start", "A note after three minutes"), strict=True):
    for series, style, label in ((played, "C0-", "played"), (heard, "C1--", "recorded")):
        shown = (series.times >= start) & (series.times <= start + 0.5)
        axis.plot(series.times[shown], series.values[shown, 0] / series.values.max(), style, label=label)
    axis.set(xlabel="Time on the clock of each (s)", title=title, xticks=start + np.arange(0, 0.6, 0.1), ylim=(0, 1))
axes[0].set_ylabel("Envelope, share of maximum")
axes[0].legend(frameon=False, fontsize="small", loc="upper left")

# %%
# Two ways to find the clock
# --------------------------
# **Triggers**, from a second output of the sound card, stand in the recording where sounds start and end. Two give a
# line; more tell how far to trust it. Triggers that the computer sends along with its command to play know nothing of
# the 37 ms. **The sound itself**, recorded on a spare channel, is compared with what was played, window by
# window. Both ways give a `Clock`: rate, offset, and an interval for the rate.

due = np.sort(np.concatenate([onsets, onsets + 24]))
arrived = np.round((truth.recording(due) + 0.001 * rng.standard_normal(len(due))) * 512) / 512
by_triggers = ei.clock_from_triggers(due, arrived)
by_sound = ei.clock_from_audio(channel, 1024, session)
print(by_triggers, by_sound, sep="\n")

figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.plot(due, 1000 * (arrived - due), "o", color="0.5", markersize=4, label="triggers, to the sample")
times = np.array([0.0, 200.0])
for clock, style, label in (
    (by_triggers, "C0-", "from triggers"),
    (by_sound, "C1--", "from the sound"),
    (truth, "k:", "truth"),
):
    axis.plot(times, 1000 * (clock.recording(times) - times), style, label=f"{label}: {clock.ppm:.0f} ppm")
axis.set(xlabel="Time on the clock of the sound (s)", ylabel="Recording minus sound (ms)")
axis.legend(frameon=False, fontsize="small")

# %%
# Refuse, or correct
# ------------------
# Cut where the sound card says that sounds started, trials hold 37 to 72 ms of EEG before their sounds. `check_clock`
# lets nothing pass that comes apart by more than half a sample. `correct_clock` brings the recording onto the clock of
# the sound, between its samples where need be; the same times are then the right ones, and `history` says why. The
# kernel fitted to uncorrected trials comes late, and is the mean of kernels that come later and later.

table = list(zip(onsets, listener.stimuli, strict=True))
late = ei.read_participant(raw, table, 24.0, name="sub-01")
try:
    ei.check_clock(late, by_sound, offset=by_sound.recording(onsets) - onsets)
except ValueError as error:
    print(error)
mended = ei.read_participant(ei.correct_clock(raw, by_sound), table, 24.0, name="sub-01")
print(mended.history[0])

x = [study.envelopes[name].stack(study.surprisal[name]).values for name in listener.stimuli]
kernel = study.truth.kernels["sub-01"][0]
best = int(np.argmax(kernel.max(axis=0)))
name = listener.ch_names[best]
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
for person, style, label in ((late, "C1--", "as recorded"), (mended, "C0-", "corrected")):
    trials = [trial.eeg[::2] for trial in person.trials]  # from 128 to 64 Hz: this EEG ends at 20 Hz
    model = trf.fit(x, trials, 64, tmin=-0.1, tmax=0.4, alpha=1e-3)
    axis.plot(1000 * model.times, 1e6 * model.weights[0, :, best], style, label=label)
axis.plot(1000 * study.truth.lags, 1e6 * kernel[:, best], "k:", label="truth")
axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
axis.set(xlabel="Lag: EEG after sound (ms)", ylabel="Weight (µV per unit of envelope)", title=f"Channel {name}")
axis.legend(frameon=False, fontsize="small")

# %%
# When nothing but EEG is left
# ----------------------------
# Without triggers from the sound, and without a channel for it, the brain is the witness. Its answer to an envelope
# peaks 50 to 250 ms after the sound. `offset_profile` correlates the two at every lag and compares with envelopes of
# other sounds. Above, the trials as recorded; below, corrected. It shows that an offset cannot be right. It does not
# measure the right one.

figure, axes = plt.subplots(2, 1, figsize=(6.4, 6.4), sharex=True, layout="constrained")
envelopes = {name: ei.envelope(study.audio[name], 128) for name in study.stimuli}
for axis, person in zip(axes, (late, mended), strict=True):
    offsets = ei.offset_profile(person, envelopes)
    ei.plot_alignment_qc(offsets, axes=axis)
    print(offsets.verdict)

# %%
# What the figures do not prove
# -----------------------------
# A straight line through three minutes does not prove that the clocks keep their rates: a quartz that warms up bends
# it, which the residuals of a longer session would show. Samples that the amplifier lost make the line jump; 10 ms or
# more are refused, fewer pass, and so do those lost near the ends, where too few triggers tell. A peak at a plausible
# lag does not prove that the offset is zero: 50 ms too many or too few may look as plausible, and music with a steady
# beat looks plausible a beat later as well. And a channel that records the output of the sound card knows nothing of
# the way from there to the ear: earphone tubes and loudspeakers add their milliseconds, which a microphone at the ear
# would see.
