"""What is found before anything is computed: it is true, it is all, and it leaves no trace."""

import json
import os
import re
import shutil
import warnings
from collections import namedtuple

import mne
import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.io import savemat
from small_study import read, written, written_again

from eegic.audio import SUFFIXES, read_audio
from eegic.datasets import Score
from eegic.datasets.public.maker import manifest_from_tree
from eegic.datasets.public.places import is_sound
from eegic.datasets.scores.midi import write_midi
from eegic.eeg.heard import Library
from eegic.study import check_study, run_study
from eegic.study.ground import Ground
from eegic.study.misfits import bounds
from eegic.study.recorded import Person
from eegic.study.stock import prune, stock

FIRST = ("sounds", "features", "eeg")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return written(tmp_path_factory.mktemp("original")).parent


@pytest.fixture
def folder(tmp_path, original):
    """A copy to spoil."""
    return shutil.copytree(original, tmp_path / "copy")


def checked(folder, *changes, **options):
    return check_study(read(folder / "study.toml", *changes), **options)


def about(check, topic):
    return "; ".join(text for name, text in check.found if name == topic)


def tree(folder):
    """Everything below a folder, and what and when it is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        told = path.stat()
        found[str(path)] = told.st_mtime_ns, told.st_ino, path.read_bytes() if path.is_file() else None
    return found


def test_what_is_found_is_what_is_there(folder):
    check = checked(folder, 'data.exclude={"02" = "slept"}')
    assert check.problems == ()
    size = sum(path.stat().st_size for path in (folder / "raw").glob("sub-0[13]*"))
    assert about(check, "study") == f"small, study.toml -> {folder / 'results'}"
    told = f"2: '01', '03'; {size / 1000:.3g} kB in files; 4 channels at 64 Hz; 1 minutes; excluded: '02'"
    assert about(check, "participants") == told
    assert about(check, "sounds") == "4, 0.4 minutes, the longest 6.0 s"
    counts = "sounds 4 of 4, features 8 of 8, eeg 2 of 2, tracking 2 of 2, group 1 of 1, report 1 of 1"
    assert about(check, "to do") == counts
    assert len(check.rows) == 4 + 8 + 2 + 2 + 1 + 1 and {row.status for row in check.rows} == {"to do"}
    lines = str(check).splitlines()
    assert lines[-1] == "No problem was found." and all(topic in str(check) for topic, _ in check.found)


@pytest.mark.parametrize("form", ["files", "bids", "cnd"])
def test_looking_leaves_no_trace(tmp_path, form):
    study = read(written(tmp_path, form))
    before = tree(tmp_path)
    assert check_study(study).problems == ()
    told = stock(study)
    outcome = run_study(study, dry_run=True)
    assert tree(tmp_path) == before and not study.out.exists()
    assert outcome.rows == check_study(study).rows and {row.status for row in outcome.rows} == {"to do"}
    for who in ("01", "02", "03"):
        assert re.search(rf"(?m)^sub-{who} +-", told)


def test_what_is_there_is_not_to_do_and_its_time_is_known(folder):
    study = read(folder / "study.toml")
    run_study(study, stages=["sounds", "features"], progress=False)
    before = tree(folder)
    check = checked(folder)
    assert "sounds 0 of 4, features 0 of 8, eeg 3 of 3" in about(check, "to do")
    assert "(a rough guess for eeg, group, report, tracking)" in about(check, "time")
    assert re.search(r"(?m)^sounds +4 +0$", stock(study)) and re.search(r"(?m)^eeg +0 +3$", stock(study))
    assert tree(folder) == before
    again = read(folder / "study.toml", "preprocessing.sfreq=32")
    assert "8 entries of other settings" in stock(again), "features at another rate"
    assert prune(again)[0] == 8 and "other settings" not in stock(again)
    assert "features 8 of 8" in about(checked(folder), "to do")


def test_sounds_that_are_heard_must_be_there_and_others_are_named(folder):
    for name in ("melody-01", "melody-02"):
        (folder / "stimuli" / f"{name}.wav").rename(folder / "stimuli" / f"{name}-new.wav")
    check = checked(folder)
    told = [text for text in check.problems if text.startswith("eeg")]
    lost = "heard 'melody-01', 'melody-02', of which there is no sound"
    assert (
        len(told) == 2 and told[0].startswith("eeg sub-01: ") and told[1].startswith(f"eeg sub-02 and 1 more: {lost}")
    )
    assert "nobody heard 'melody-01-new', 'melody-02-new': left out" in about(check, "sounds")


def test_sounds_that_nobody_heard_may_be_broken(folder):
    (folder / "stimuli" / "noise.wav").write_bytes(b"no sound")
    check = checked(folder)
    assert check.problems == () and about(check, "sounds").startswith("4, 0.4 minutes")
    assert "nobody heard 'noise': left out" in about(check, "sounds")
    donor = checked(folder, "null.kind=pseudo", 'null.unheard=["noise"]')
    assert any(re.match(r"sounds noise: .*noise\.wav cannot be read as sound", one) for one in donor.problems)
    (folder / "raw" / "sub-03_events.tsv").unlink()
    assert "nobody heard" not in about(checked(folder), "sounds"), "sub-03 may have"


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".FLAC"])
def test_what_is_a_sound_by_its_suffix_is_one_everywhere(folder, suffix):
    extra = folder / "stimuli" / f"extra{suffix}"
    extra.write_bytes(b"")
    assert "nobody heard 'extra'" in about(checked(folder), "sounds")
    assert is_sound(extra) and Library(folder, folder / "stimuli").find("extra") == (extra,)
    there = manifest_from_tree(folder, "here", to=folder.parent / "manifests").files
    assert [file.role for file in there if file.path.endswith(f"extra{suffix}")] == ["stim"]


def test_scores_last_as_long_as_their_notes_where_they_are_rendered(tmp_path):
    pytest.importorskip("mido")
    written(tmp_path, "cnd")
    write_midi(Score([0.0, 6.5], [6.0, 0.5], [60, 67]), tmp_path / "song.mid")
    file = written_again(tmp_path, "manifest", 'folder = "."\n')
    changes = ["sounds.folder=stimuli", 'sounds.files={song = "song.mid"}', 'sounds.only=["song"]']
    check = check_study(read(file, *changes))
    assert not [text for text in check.problems if "song.mid" in text]
    assert about(check, "sounds") == "1, 0.1 minutes, the longest 7.0 s"
    assert not run_study(read(file, *changes), stages=["sounds"], progress=False).failed
    for plain in (read(file, *changes, "sounds.channel=0"), read(written_again(tmp_path, "cnd"), *changes)):
        assert [text for text in check_study(plain).problems if "song.mid cannot be read as sound" in text]
        assert run_study(plain, stages=["sounds"], progress=False).failed


def spoil_the_sounds(folder):
    (folder / "stimuli" / "melody-01.wav").write_bytes(b"RIFF and no more")
    return {"sounds melody-01"}


def spoil_the_rest(folder):
    (folder / "features" / "onset" / "melody-02.npz").unlink()
    (folder / "raw" / "sub-01_eeg.fif").write_bytes(b"not a recording")
    (folder / "raw" / "sub-02_events.tsv").write_text("onset\tstimulus\n1,5\tmelody-03\n")
    return {"features melody-02: onset", "eeg sub-01", "eeg sub-02"}


@pytest.mark.parametrize("spoil", [spoil_the_sounds, spoil_the_rest])
def test_what_will_fail_is_told_and_what_is_told_will_fail(folder, spoil):
    spoilt = spoil(folder)
    check = checked(folder)
    assert len(check.problems) == len(spoilt)
    assert all(any(text.startswith(f"{unit}: ") for text in check.problems) for unit in spoilt), check.problems
    assert all(line.startswith("problem: ") for line in str(check).splitlines()[-len(spoilt) :])
    outcome = run_study(read(folder / "study.toml"), stages=FIRST, progress=False)
    assert {f"{row.stage} {row.label}" for row in outcome.failed if row.status == "failed"} == spoilt


def test_triggers_that_are_not_in_a_recording_are_missed(folder):
    changes = ["data.trials=none", 'data.triggers={"1" = "melody-01"}', 'data.participants=["01"]']
    for more, told in (([], "among the annotations"), (["data.stim_channel=Status"], "'Status'")):
        (problem,) = checked(folder, *changes, *more).problems
        assert problem.startswith("eeg sub-01: ") and told in problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            ["output.folder=stimuli/melody-01.wav"],
            r"^output\.folder: .*melody-01\.wav is a file\. Name another folder\.$",
        ),
        (["output.store=study.toml/a/b"], r"^output\.store: .*study\.toml is a file\. Name another folder\.$"),
        (["null.kind=pseudo", 'null.unheard=["melody-01"]'], r"^null\.unheard: 'melody-01' was heard\. Name sounds"),
        (["null.kind=pseudo", 'null.unheard=["none such"]'], r"^null\.unheard: there is no sound 'none such'"),
        (["features.onset.files=features/x/{stimulus}.npz"], r"^features melody-01: onset.*melody-01\.npz"),
    ],
)
def test_settings_that_fit_nothing_are_problems(folder, changes, problem):
    found = checked(folder, *changes).problems
    assert any(re.search(problem, text) for text in found), found


def test_sounds_that_nobody_heard_may_be_donors(folder):
    for place, suffix in (("stimuli", "wav"), ("features/onset", "npz")):
        for number in range(1, 5):
            there = folder / place
            shutil.copyfile(there / f"melody-0{number}.{suffix}", there / f"melody-0{number + 5}.{suffix}")
    assert "nobody heard 'melody-06', 'melody-07'" in about(checked(folder), "sounds")
    donors = ["melody-06", "melody-07", "melody-08", "melody-09"]
    check = checked(folder, "null.kind=pseudo", f"null.unheard={json.dumps(donors)}")
    assert check.problems == () and "nobody" not in about(check, "sounds")
    (problem,) = checked(folder, "null.kind=pseudo", f"null.unheard={json.dumps(donors[:3])}").problems
    assert problem.startswith("null.unheard: expected at least as many unheard sounds as heard ones (4), got 3")


@pytest.fixture
def with_model(folder):
    """A study with a model of sound that is no model, but has its files."""
    (folder / "mind.safetensors").write_bytes(b"no weights")
    (folder / "mind.json").write_text('{"kind": "surprisal"}')
    return folder


def test_models_that_cannot_be_read_are_problems(with_model):
    ic = ["features.ic.kind=ic", 'trf.added=["ic"]', "features.ic.noise=[0.3]"]
    good = checked(with_model, *ic)
    assert good.problems == () and about(good, "model").startswith("ic: mini, noise 0.3, fast, on ")
    assert "licence BSD-3-Clause" in about(good, "model") and "not music" in about(good, "model")
    bad = checked(with_model, *ic, "features.ic.model=mind.safetensors")
    assert len(bad.problems) == 1 and bad.problems[0].startswith("features.ic: ") and "mind" in bad.problems[0]
    gone = checked(with_model, *ic, "features.ic.model=mimi")
    assert gone.problems[0].startswith("features.ic: mimi: no such file, and no surprisal model of that name.")
    unused = checked(with_model, *ic[:1], "features.ic.model=mimi", "features.ic.noise=[0.3]")
    assert unused.problems == () and about(unused, "model") == "", "the models do not use it"


def test_memory_and_time_depend_on_how_many_at_a_time(folder):
    one, two = checked(folder, n_jobs=1), checked(folder, n_jobs=2)

    def gib(check):
        return float(re.match(r"about ([\d.]+) GiB for \d+ at a time$", about(check, "memory"))[1])

    def seconds(check):
        number, unit = re.match(r"about (\d+) (s|minutes)", about(check, "time")).groups()
        return float(number) * (60 if unit == "minutes" else 1)

    assert gib(two) == pytest.approx(2 * gib(one), abs=0.11)
    assert seconds(two) == pytest.approx(seconds(one) / 2, rel=0.3)
    assert f"{os.cpu_count()} at a time" in about(checked(folder, n_jobs=-1), "memory")
    with pytest.raises(ValueError, match="^n_jobs: expected at least 1, got 0"):
        checked(folder, n_jobs=0)
    more = checked(folder, "null.n=100000000")
    assert gib(more) > 10 * gib(one)


def test_a_study_without_sounds_says_so(folder):
    shutil.rmtree(folder / "stimuli")
    check = checked(
        folder, 'trf.baseline=["other"]', 'features.other={kind="files", files="features/onset/{stimulus}.npz"}'
    )
    assert about(check, "sounds") == "none; features come with the EEG or from files"


def onsets_of(folder, who="01"):
    """When sounds start for somebody, as their table has it."""
    table = pd.read_csv(folder / "raw" / f"sub-{who}_events.tsv", sep="\t")
    return table, folder / "raw" / f"sub-{who}_events.tsv"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda s: 1000 * s,
            r"starts at 1000\.000 s and lasts 6\.000 s, but .* to 29\.000 s \(4 of 4 .*milliseconds\?",
        ),
        (lambda s: s + 4.0, r"starts at 26\.000 s .* \(1 of 4 trials do not fit\)\. Is the recording whole"),
        (lambda s: s - 2.0, r"starts at -1\.000 s"),
        (lambda s: s.where(s.index != 2, s - 3), r"starts at 12\.000 s, before \S+ ends \(14\.000 s\)"),
    ],
)
def test_sounds_fit_into_the_recording_and_do_not_overlap(folder, spoil, told):
    table, path = onsets_of(folder)
    table["onset"] = spoil(table["onset"])
    table.to_csv(path, sep="\t", index=False)
    (problem,) = checked(folder).problems
    assert problem.startswith("eeg sub-01: ") and re.search(told, problem), problem
    outcome = run_study(read(folder / "study.toml"), stages=FIRST, progress=False)
    assert [row.label for row in outcome.failed] == ["sub-01"]


def test_sounds_may_end_a_sample_late_and_later_if_that_is_allowed(folder):
    table, path = onsets_of(folder)
    for late, changes, n in ((1 / 64, [], 0), (0.5, ["data.tolerance=0.5"], 0), (0.5, ["data.tolerance=0.4"], 1)):
        table.assign(onset=table["onset"] + 1.0 + late).to_csv(path, sep="\t", index=False)
        assert len(checked(folder, *changes).problems) == n
    table.assign(onset=table["onset"].where(table.index != 2, 14.0 - 1 / 64)).to_csv(path, sep="\t", index=False)
    assert checked(folder).problems == ()


def test_half_a_recording_and_onsets_of_triggers_are_looked_at(folder):
    path = folder / "raw" / "sub-02_eeg.fif"
    raw = mne.io.read_raw(path, preload=True, verbose="error").crop(0, 14.5)
    raw.save(path, overwrite=True, fmt="double", verbose="error")
    (problem,) = checked(folder).problems
    assert problem.startswith("eeg sub-02: ") and "2 of 4 trials do not fit" in problem
    raw.set_annotations(mne.Annotations([1.0, 5.0], 0, ["7", "8"])).save(
        path, overwrite=True, fmt="double", verbose="error"
    )
    triggers = 'data.triggers={"7" = "melody-01", "8" = "melody-02"}'
    two = [triggers, 'data.participants=["02"]', "trf.alphas=[1.0]"]
    (problem,) = checked(folder, "data.trials=none", *two).problems
    assert "melody-02 starts at 5.000 s, before melody-01 ends (7.000 s)" in problem


def test_onsets_and_length_of_bids_are_compared(tmp_path):
    pytest.importorskip("mne_bids")
    study = written(tmp_path, "bids")
    table = tmp_path / "sub-01" / "eeg" / "sub-01_task-listening_events.tsv"
    frame = pd.read_csv(table, sep="\t")
    frame.assign(onset=frame["onset"] * 1000).to_csv(table, sep="\t", index=False)
    numbers = tmp_path / "sub-02" / "eeg" / "sub-02_task-listening_eeg.eeg"
    numbers.write_bytes(numbers.read_bytes()[: numbers.stat().st_size // 2 // 32 * 32])
    first, second = check_study(read(study)).problems
    assert first.startswith("eeg sub-01: ") and first.endswith("Are onsets in milliseconds? Write seconds.")
    assert second.startswith("eeg sub-02: ") and "Is the recording whole" in second


def test_onsets_of_sounds_that_are_left_out_do_not_count_in_bids(tmp_path):
    pytest.importorskip("mne_bids")
    study = written(tmp_path, "bids")
    table = tmp_path / "sub-01" / "eeg" / "sub-01_task-listening_events.tsv"
    frame = pd.read_csv(table, sep="\t")
    frame.loc[frame["stim_file"].str.contains("melody-02"), "onset"] = 1000.0
    frame.to_csv(table, sep="\t", index=False)
    assert len(check_study(read(study)).problems) == 1
    without = 'sounds.only=["melody-01", "melody-03", "melody-04"]'
    assert check_study(read(study, without)).problems == ()


def test_recordings_that_are_shorter_than_their_header_says_are_not_whole(folder):
    path = folder / "raw" / "sub-01_eeg.set"
    head = {"setname": "x", "nbchan": 2, "pnts": 1856, "trials": 1, "srate": 64.0, "xmin": 0.0, "xmax": 29.0}
    places = np.array([("Fz",), ("Cz",)], dtype=[("labels", object)])
    savemat(path, {"EEG": {**head, "data": "sub-01_eeg.fdt", "chanlocs": places, "event": []}})
    changes = ["data.recordings=raw/sub-{participant}_eeg.set", 'data.participants=["01"]']
    for n, n_faults in ((1856, 0), (1000, 1)):
        np.zeros((n, 2), np.float32).tofile(path.with_suffix(".fdt"))
        problems = checked(folder, *changes).problems
        assert len(problems) == n_faults, problems
    assert problems[0].startswith("eeg sub-01: its header promises 29.000 s, which cannot be read to the end")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (['preprocessing.reference=["M9"]'], r"^preprocessing\.reference: 'M9' is no EEG channel of sub-01 and 2 more"),
        (["trf.n_folds=5"], r"^trf\.n_folds: 5 folds, but sub-01 and 2 more heard 4 different sounds"),
        (['group.regions={front = ["Cz", "XX"]}'], r"^group\.regions\['front'\]: expected one of .*'XX'"),
        (["data.montage=biosemi6"], r"^data\.montage: expected one of .*'biosemi6'"),
        (["group.mixed=corrected ~ tempo"], r"^group\.mixed: .*got 'tempo'"),
        (["group.mixed=corrected ~ noise * * 2"], r"^group\.mixed: .*cannot be read"),
        (["preprocessing.sfreq=128"], r"^preprocessing\.sfreq: 128 Hz, but sub-01 and 2 more: 64 Hz"),
        (["preprocessing.skip=true", "preprocessing.sfreq=32"], r"^preprocessing\.sfreq: 32 Hz, but .* skipped"),
        (["output.folder=/proc/eegic"], r"^output\.folder: /proc cannot be written to"),
    ],
)
def test_settings_that_no_recording_fits_are_problems(folder, changes, told):
    found = checked(folder, *changes).problems
    assert any(re.search(told, text) for text in found), found


def test_settings_that_fit_are_no_problems(folder):
    names = mne.io.read_raw(folder / "raw" / "sub-01_eeg.fif", verbose="error").ch_names
    changes = [
        f'preprocessing.reference=["{names[0]}"]',
        f'group.regions={{front = ["{names[1]}"]}}',
        "group.mixed=corrected ~ 0 + model",
        "data.montage=biosemi64",
        "trf.n_folds=4",
    ]
    assert checked(folder, *changes).problems == ()
    assert checked(folder, "trf.n_folds=9", "trf.gap=0.25").problems == (), "time is cut, not sounds"
    renamed = [f'data.rename={{{names[0]} = "left"}}', 'preprocessing.reference=["left"]']
    assert checked(folder, *renamed).problems == ()
    typed = [f'data.channel_types={{{names[0]} = "misc"}}', f'preprocessing.reference=["{names[0]}"]']
    assert len(checked(folder, *typed).problems) == 1, "only EEG can be a reference"


def test_a_device_that_is_not_there_is_a_problem_to_models_of_sound(folder, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ic = ["features.ic.kind=ic", 'trf.added=["ic"]', "run.device=cuda"]
    assert any(text.startswith("run.device: 'cuda' asked for") for text in checked(folder, *ic).problems)
    assert checked(folder, "run.device=cuda").problems == (), "nothing runs there"


@pytest.mark.parametrize(
    ("table", "placed", "told"),
    [
        ("onset\tvalue\n0.0\t1\n0.5\t2\n", "hold", "expected the column time"),
        ("time\tvalue\n0.0\thigh\n0.5\tlow\n", "hold", "value should hold numbers"),
        ("time\tvalue\n0,0\t1\n0,5\t2\n", "hold", "time should hold numbers with a decimal point"),
        ("time\tvalue\n0.0\t1\n0.5\t2\n1.0\t0\n", "as it is", "values come 2 times a second, and the EEG has 64"),
        ("time\tvalue\n0.0\t1\n0.3\t2\n1.0\t0\n", "as it is", "irregular"),
        ("time\tvalue\n0\t1\n500\t2\n1000\t0\n", "impulse", "goes to 1000.000 s, but the sound lasts 6.000 s"),
        ("time\tvalue\n-2.0\t1\n-1.0\t2\n", "impulse", "before the sound starts"),
        ("time\tvalue\n0.0\t1\n0.3\t2\n1.0\t0\n", "impulse", ""),
    ],
)
def test_features_in_files_are_read(folder, table, placed, told):
    for number in range(1, 5):
        (folder / "features" / f"melody-0{number}.tsv").write_text(table)
    found = checked(folder, "features.onset.files=features/{stimulus}.tsv", f"features.onset.placed={placed}").problems
    if not told:
        assert found == ()
        return
    (problem,) = found
    assert problem.startswith("features melody-01: onset and 3 more: ") and told in problem, problem


def test_room_on_the_disk_is_told_and_must_suffice(folder, monkeypatch):
    before = about(checked(folder), "disk")
    assert re.fullmatch(rf"needs about [\d.]+ MB, .* free at {re.escape(str(folder))}", before)
    assert re.match(r"needs about [\d.]+ GB", about(checked(folder, "null.n=10000000"), "disk"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 999, 999))
    (problem,) = checked(folder).problems
    assert re.match(r"output: about [\d.]+ MB are needed at .*, but 999 bytes are free\.", problem)


def test_what_is_needed_on_the_disk_is_about_what_a_run_takes(folder):
    study = read(folder / "study.toml", "null.n=1000", 'data.participants=["01", "02"]')
    number, unit = re.match(r"needs about ([\d.]+) (kB|MB)", about(check_study(study), "disk")).groups()
    run_study(study, progress=False)
    taken = sum(path.stat().st_size for path in study.out.rglob("*") if path.is_file())
    assert taken / 3 < float(number) * {"kB": 1e3, "MB": 1e6}[unit] < 3 * taken
    assert about(check_study(study), "disk").startswith("needs about 0 bytes")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["trf.n_folds=1"], r"^trf\.n_folds: expected at least 2, got 1"),
        (["trf.n_folds=1", "trf.gap=0.3"], r"^trf\.n_folds: expected at least 2, got 1"),
        (["trf.n_folds=2"], r"^trf\.n_folds: choosing alpha needs at least 3 folds, got 2"),
        (["trf.n_folds=2", "trf.gap=0.3"], r"^trf\.n_folds: choosing alpha needs at least 3 folds, got 2"),
        (["trf.n_folds=2", "trf.alphas=none"], r"^trf\.n_folds: choosing alpha"),
        (
            ['sounds.only=["melody-01", "melody-03"]'],
            r"^trf\.n_folds: choosing alpha .* sub-01 heard 2 different sounds",
        ),
        (['sounds.only=["melody-01"]', "trf.alphas=[1.0]"], r"^trf\.n_folds: expected at least 2 folds, but sub-01"),
        (['sounds.only=["melody-01"]', "trf.n_folds=4", "trf.gap=0.25"], r"^null\.kind: sub-01 heard one sound"),
        (["trf.tmax=7.0"], r"^trf\.tmax: melody-0\d lasts 6\.00 s, shorter than the kernel of 7\.02 s"),
        (["trf.tmin=-6.0"], r"^trf\.tmax: melody-0\d lasts 6\.00 s, shorter than the kernel of 6\.2\d s"),
        (["trf.gap=0.3"], r"^trf\.gap: into how many blocks"),
        (["trf.gap=0.1", "trf.n_folds=4"], r"^trf\.gap: expected at least the length of the kernel"),
        (["trf.gap=0.5", "trf.n_folds=9"], r"^trf\.n_folds: melody-0\d lasts 6\.0 s; cut in 9"),
        (["null.n=1"], r"^null\.n: expected at least 2"),
    ],
)
def test_models_that_cannot_be_fitted_are_problems_and_fail(folder, changes, told):
    study = read(folder / "study.toml", 'data.participants=["01"]', *changes)
    found = check_study(study).problems
    assert any(re.search(told, text) for text in found), found
    outcome = run_study(study, stages=[*FIRST, "tracking"], progress=False)
    assert [(row.stage, row.status) for row in outcome.failed] == [("tracking", "failed")]


@pytest.mark.parametrize(
    "changes",
    [
        ["trf.n_folds=2", "trf.alphas=[1.0]"],
        ["trf.n_folds=2", "trf.alphas=[1.0, 1.0]"],
        ['sounds.only=["melody-01", "melody-03"]', "trf.alphas=[1.0]"],
        ["trf.tmax=5.9", "preprocessing.sfreq=20.0", "features.onset.placed=linear"],
        ["trf.gap=0.25", "trf.n_folds=9"],
    ],
)
def test_models_that_can_just_be_fitted_are_no_problems(folder, changes):
    study = read(folder / "study.toml", 'data.participants=["01"]', *changes)
    assert check_study(study).problems == ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few folds and samples are doubtful, but possible
        assert not run_study(study, stages=[*FIRST, "tracking"], progress=False).failed


def test_triggers_count_the_sounds_that_were_played(folder):
    path = folder / "raw" / "sub-02_eeg.fif"
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    raw.set_annotations(mne.Annotations([1.0, 9.0], 0, ["7", "8"]))
    raw.save(path, overwrite=True, fmt="double", verbose="error")
    triggers = 'data.triggers={"7" = "melody-01", "8" = "melody-02", "9" = "melody-03"}'
    changes = ["data.trials=none", triggers, "data.missing=drop", 'data.participants=["02"]']
    assert any("sub-02 heard 2 different sounds" in text for text in checked(folder, *changes).problems)


BANDS = ["features.envelope.kind=onset_strength"]


@pytest.mark.parametrize(
    ("changes", "told", "stage"),
    [
        (
            [*BANDS, "features.envelope.fmax=9000.0"],
            r"^features\.envelope\.fmax: 9000 Hz .* of melody-02 \(8",
            "features",
        ),
        (["features.envelope.kind=gammatone_spectrogram", "features.envelope.fmax=9000.0"], r"fmax: 9000", "features"),
        ([*BANDS, "features.envelope.fmin=6000.0"], r"^features\.envelope\.fmin, fmax: ", "features"),
        (["sounds.channel=1"], r"^sounds\.channel: 1, counted from 0, but melody-01 and 3 more: 1 channel\.", "sounds"),
    ],
)
def test_sounds_have_the_bands_and_channels_that_are_asked_for(folder, changes, told, stage):
    for name, rate in (("melody-01", 48000), ("melody-02", 16000), ("melody-03", 48000), ("melody-04", 48000)):
        path = folder / "stimuli" / f"{name}.wav"
        sound = read_audio(path).resample(rate)
        sound.write(path)
    study = read(folder / "study.toml", *changes)
    (problem,) = check_study(study).problems
    assert re.search(told, problem), problem
    assert stage in {row.stage for row in run_study(study, stages=FIRST, progress=False).failed}


def test_bands_that_all_sounds_have_are_no_problem(folder):
    half = min(soundfile.info(path).samplerate for path in (folder / "stimuli").glob("*.wav")) / 2
    assert checked(folder, *BANDS, f"features.envelope.fmax={half - 1}").problems == ()
    assert checked(folder, "sounds.channel=0").problems == ()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_sounds_that_were_cut_short_are_problems(folder, suffix, monkeypatch):
    old = folder / "stimuli" / "melody-01.wav"
    path = old.with_suffix(suffix)
    read_audio(old).write(path)
    if path != old:
        old.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("eegic.audio.read_audio", lambda path: pytest.fail(f"{path} need not be decoded"))
        assert checked(folder).problems == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    (problem,) = checked(folder).problems
    assert problem.startswith(f"sounds melody-01: {path}: ") and "Copy" in problem
    failed = run_study(read(folder / "study.toml"), stages=["sounds"], progress=False).failed
    assert [row.label for row in failed] == ["melody-01"]


@pytest.mark.parametrize("setting", ["folder", "store"])
@pytest.mark.parametrize("out", [".", "..", "raw", "stimuli"])
def test_results_are_not_put_between_what_they_come_from(folder, setting, out):
    (problem,) = checked(folder, f"output.{setting}={out}").problems
    assert problem.startswith(f"output.{setting}: {(folder / out).resolve()} holds ")
    with pytest.raises(ValueError, match=re.escape(problem)):
        run_study(read(folder / "study.toml", f"output.{setting}={out}"), progress=False)


def test_results_do_not_replace_what_no_run_has_written(folder):
    (folder / "results").mkdir()
    (folder / "results" / "participants.tsv").write_text("mine\n")
    (problem,) = checked(folder).problems
    assert "holds participants.tsv, which no run has put there" in problem


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([], ""),
        (['features.other={kind="data", columns=["loudness"]}'], r"^features\.other\.columns: .*got 'loudness'"),
        (['data.conditions=["quiet"]'], r"^data\.conditions: expected some of .* \(dataStim\.mat\), got 'quiet'"),
    ],
)
def test_names_in_cnd_are_looked_up_among_the_stimuli(tmp_path, changes, told):
    file = written(tmp_path, "cnd")
    shipped = ['features.other={kind="data", columns=["envelope"]}', 'trf.baseline=["other"]', *changes]
    found = check_study(read(file, *shipped)).problems
    assert len(found) == bool(told) and all(re.search(told, text) for text in found), found
    outcome = run_study(read(file, *shipped, 'data.participants=["01"]'), stages=FIRST, progress=False)
    assert bool(outcome.failed) == bool(told)


def test_the_same_recording_of_two_people_is_a_problem(folder, tmp_path):
    raw = folder / "raw"
    shutil.copyfile(raw / "sub-01_eeg.fif", raw / "sub-03_eeg.fif")
    assert checked(folder).problems == ("sub-01 and sub-03 have the same recording: exclude one in data.exclude",)
    assert checked(folder, 'data.exclude={"03" = "a copy"}').problems == ()
    shutil.copyfile(raw / "sub-01_eeg.fif", raw / "sub-02_eeg.fif")
    (problem,) = checked(folder).problems
    assert problem.startswith("sub-01, sub-02 and sub-03 have") and "all but one" in problem
    for path in raw.glob("*.fif"):
        path.write_bytes(b"")
    assert not [text for text in checked(folder).problems if "the same recording" in text]


@pytest.mark.parametrize(("form", "called"), [("bids", "*_eeg.eeg"), ("cnd", "dataSub*.mat")])
def test_recordings_are_compared_and_not_what_lies_beside(tmp_path, form, called):
    if form == "bids":
        pytest.importorskip("mne_bids")
    study = read(written(tmp_path, form))
    own = sorted(tmp_path.rglob(called))
    if form == "cnd":  # stimuli of their own, which may be larger, and the same for all
        (shared,) = tmp_path.rglob("dataStim.mat")
        for path in own:
            shutil.copyfile(shared, shared.with_name(path.name.replace("Sub", "Stim")))
    assert check_study(study).problems == ()
    shutil.copyfile(own[0], own[1])
    assert check_study(study).problems == ("sub-01 and sub-02 have the same recording: exclude one in data.exclude",)


@pytest.mark.parametrize("content", [b"", b"not a recording", bytes(5000)])
def test_damaged_recordings_are_called_by_name(folder, content):
    path = folder / "raw" / "sub-01_eeg.fif"
    path.write_bytes(content)
    (problem,) = checked(folder).problems
    assert problem.startswith(f"eeg sub-01: {path}: cannot be opened (")
    assert problem.endswith("It is damaged, or no FIF: copy it again from its source.")


def test_damaged_recordings_of_bids_are_called_by_name(tmp_path):
    pytest.importorskip("mne_bids")
    study = read(written(tmp_path, "bids"))
    path = tmp_path / "sub-02" / "eeg" / "sub-02_task-listening_eeg.vhdr"
    path.write_text("no header")
    (problem,) = check_study(study).problems
    assert problem.startswith(f"eeg sub-02: {path}: cannot be opened (") and "or no VHDR: copy it again" in problem


def test_how_small_p_values_can_get_is_told(folder):
    few = ['sounds.only=["melody-01", "melody-02", "melody-03"]', "null.n=99"]
    check = checked(folder, *few)
    told = "3 different sounds can be exchanged in 6 ways, so no p-value of theirs can be below 0.167."
    assert check.problems == () and about(check, "p-values").startswith(f"sub-01 and 2 more: {told}")
    run_study(read(folder / "study.toml", *few), stages=[*FIRST, "tracking"], progress=False)
    assert "no p-value can be below 0.167" in (folder / "results" / "warnings.tsv").read_text()
    assert about(checked(folder, "null.n=99"), "p-values") == "", "24 orders of four sounds suffice"
    assert "with 9 surrogates (null.n) no p-value can be below 0.100" in about(checked(folder), "p-values")
    assert about(checked(folder, "null.n=9", "group.level=0.1"), "p-values") == ""
    assert about(checked(folder, *few, "null.kind=shift"), "p-values") == "", "time can be turned by any share"
    heard = {"01": Person(tuple(map(str, range(500))), 0)}
    assert not list(bounds(Ground(read(folder / "study.toml", "null.n=99")), heard)), (
        "more orders than a float can hold"
    )
