"""
How do I run my whole study, and be sure that I can run it again?
=================================================================

An analysis in a notebook works until it does not: a cell was run twice, a recording was replaced, a p-value in the
paper comes from settings that nobody remembers. Here the whole study is one file. eegic computes what follows from it
and is not there yet, keeps an account of what each number was made from, and can be stopped at any moment.

Three simulated listeners hear six short melodies. That is enough to see the machinery, and far too little to claim
anything. It runs in some seconds, in a temporary folder.
"""

# %%
# A data set
# ----------
# One recording per participant with a table of what was heard when, a folder of sounds, and two features that somebody
# computed elsewhere: the onsets of notes, and their true surprisal, which we know because we made the music. From the
# shell, ``eegic init my-study --simulate --format files`` writes such a folder, with a study that fits it.

import json
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import eegic as ei

temporary = TemporaryDirectory()
folder = Path(temporary.name, "my-study")
simulated = ei.datasets.simulate_study(
    3, 6, 8, rhythm="free", surprisal_effect=1.5, snr=0.3, n_channels=16, progress=False, rng=1
)
ei.datasets.write_study(simulated, folder)
for path in sorted(folder.rglob("*-01*")):
    print(path.relative_to(folder.parent).as_posix())

# %%
# The file
# --------
# Everything that a number depends on stands here, or is a default that the run writes out in full. Paths are seen from
# the file, so the folder can move. ``eegic init`` writes a file with every setting and what it is for. A setting that
# does not exist is an error that names the one you may have meant; nothing is computed before all of them are right.

text = """
name = "a small study"

[data]
format = "files"
recordings = "raw/sub-{participant}_eeg.fif"
trials = "raw/sub-{participant}_events.tsv"

[sounds]
folder = "stimuli"

[features.envelope]
kind = "envelope"

[features.onset]
kind = "files"
files = "features/onset/{stimulus}.npz"

[features.surprisal]  # of the notes: the truth
kind = "files"
files = "features/surprisal/{stimulus}.npz"

[features.ic]  # what a small model finds in the sound
kind = "ic"
model = "mini"
noise = [0.5]

[preprocessing]
bad_channels = "keep"

[trf]
baseline = ["envelope", "onset"]
added = ["surprisal", "ic"]
tmax = 0.3
alphas = [0.1, 1.0, 10.0]
n_folds = 3

[null]
n = 29

[report]
participants = false  # the page of the group will do
"""
(folder / "study.toml").write_text(text, encoding="utf-8")
study = ei.read_study(folder)
try:
    ei.read_study(folder, ["trf.tmaks=0.5", "null.kind=repairs"])
except ValueError as error:
    print(error)

# %%
# Look before you run
# -------------------
# ``eegic check my-study`` opens headers and tables: is there a sound for everything that was heard, a licence for the
# model, room and time enough? It computes nothing.

found = ei.check_study(study)
for topic, said in found.found[1:]:
    print(f"{topic:<13} {said}")
print("problems:", *found.problems or ["none"])

# %%
# Run
# ---
# ``eegic run my-study`` in the shell. A *unit* is one feature of one sound, the EEG of one participant, and so on. Each
# is written in one go, under a name that follows from its settings, the content of its files and the code. With
# ``n_jobs=2``, or on a cluster (see :doc:`../clusters`), the numbers are the same to the bit.

outcome = ei.run_study(study, progress=False)
print(outcome)

# %%
# Nothing is computed twice
# -------------------------
# The same again finds everything there. More surrogates are another question to the same features and the same EEG, so
# only what comes after them is computed. ``dry_run`` tells beforehand. The first answer stays in the store, too: going
# back to 29 surrogates would cost no time.

print(ei.run_study(study, progress=False), "\n")
more = ei.read_study(folder, ["null.n=59"])
planned = {row.stage for row in ei.run_study(more, dry_run=True).rows if row.status == "to do"}
print("to be computed again:", ", ".join(sorted(planned)), "\n")
print(ei.run_study(more, progress=False))

# %%
# What came out
# -------------
# The folder of the results holds tables and figures, a page to read in ``reports``, and the settings in full. Results
# lie there as the files that ``Tracking.save`` and ``GroupResult.save`` write, so every figure of the other tutorials
# can be drawn from them.

group = ei.GroupResult.load(folder / "results/group/group.npz")
figure = ei.plot_delta_r(group)
pd.read_csv(folder / "results/group/regions.tsv", sep="\t").iloc[:, :8].round(4)

# %%
# A recording breaks
# ------------------
# The last third of a recording is lost, as by a full disk. Its participant fails, with a reason, and the others are
# finished, here found to be there. The group waits: a group that quietly lost a member is another study. Name who is
# left out and why in ``data.exclude``, or let the group go on with ``--allow-missing``; either way
# ``participants.tsv`` says who is in.

recording = folder / "raw/sub-02_eeg.fif"
whole = recording.read_bytes()
recording.write_bytes(whole[: 2 * len(whole) // 3])
print(ei.run_study(more, progress=False), "\n")
failures = pd.read_csv(folder / "results/failures.tsv", sep="\t")
for row in failures.itertuples():
    told = f"{row.stage}, {row.unit}: {row.reason}"
    print(textwrap.fill(told, 110, subsequent_indent="    ", break_on_hyphens=False))

# %%
# The reason is known, so it is written down, and the study goes on with two. Once the recording is restored, its
# results are back without a second of computing: they follow from its content, and that was seen before.

without = ei.read_study(folder, ["null.n=59", 'data.exclude={ "02" = "the file is cut off" }'])
print(ei.run_study(without, stages=["eeg", "tracking", "group"], progress=False), "\n")
print(pd.read_csv(folder / "results/participants.tsv", sep="\t").to_string(index=False), "\n")

recording.write_bytes(whole)
print(ei.run_study(more, progress=False))

# %%
# Can I run it again?
# -------------------
# The group's test, computed anew, gives the same bytes. The folder under another name, as on another computer with the
# same versions, needs no computing: names follow from what is in files, not from where they lie.

regions = folder / "results/group/regions.tsv"
before = regions.read_bytes()
ei.run_study(more, stages=["group"], force=True, progress=False)
print("the same bytes:", regions.read_bytes() == before)

folder = folder.rename(folder.with_name("my-study-moved"))
print(ei.run_study(ei.read_study(folder, ["null.n=59"]), dry_run=True))

# %%
# ``results/study.toml`` is the study with all defaults written out, and ``results/provenance.json`` lists the digest of
# every file that went in, the versions of the packages, the processor and the commit of eegic. Both are, byte by byte,
# the same after a run that was killed and went on; times and commands stand apart, in ``logs``. To run the study again
# elsewhere, take the data, these versions, and ``results/study.toml``, put where ``study.toml`` lay.

account = json.loads((folder / "results/provenance.json").read_text(encoding="utf-8"))
print(f"{len(account['inputs'])} files went in, for example:")
for name, digest in list(account["inputs"].items())[:3]:
    print(f"  {digest[:12]}  {name}")
versions = {name: account["packages"][name] for name in ("numpy", "scipy", "mne", "torch")}
print(f"eegic {account['eegic']['version']}, Python {account['python']}, {versions}")

temporary.cleanup()

# %%
# What the figure does not prove
# ------------------------------
# That a study can be repeated does not make it right. The same file with the same recordings gives the same bars each
# time, also if the triggers were half a second late in everybody; and its settings were chosen by somebody, perhaps
# after looking. Three listeners have eight ways to flip their signs, so no p for new listeners is below 1/8, whatever
# the bars look like. The same bytes are promised on the same computer with the same versions. Other versions and other
# processors may change the last digits, and a GPU more than the last of information content; the account says what was
# used. And what the simulator put in is what was found: whether brains answer so is not in this folder.
