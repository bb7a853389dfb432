"""What is there is left, what follows from something else is computed anew, and who fails does not stop the others."""

import json
import os
import shutil
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile
from runs import FAST, copied, small, states, tree, with_status, written

from eegic import GroupResult, Tracking
from eegic.study import results, run_study, running
from eegic.study.ground import Ground
from eegic.study.lock import Lock, Locked
from eegic.study.stages import eeg, features, sounds, tracking
from eegic.study.stock import prune, stock

running_job = running._Job
PEOPLE = ("sub-01", "sub-02", "sub-03")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study that was run once, without pages. Tests work on copies of it."""
    folder = written(tmp_path_factory.mktemp("done") / "data")
    heard = pd.read_csv(folder / "raw/sub-03_events.tsv", sep="\t")  # sub-03 hears all melodies but the last
    heard[heard["stimulus"] != "melody-05"].to_csv(folder / "raw/sub-03_events.tsv", sep="\t", index=False)
    outcome = run_study(small(folder), stages=FAST, progress=False)
    assert not outcome.failed, outcome.failed
    return folder


@pytest.fixture
def folder(done, tmp_path):
    """A copy of the study with its results."""
    return copied(done, tmp_path / "data")


def again(folder, *changes, **options):
    """Run once more."""
    return run_study(small(folder, *changes), **{"stages": FAST, "progress": False, **options})


def test_an_unchanged_study_is_not_computed_again(folder):
    before = tree(folder / "results")
    assert set(states(again(folder)).values()) == {"cached"}
    assert tree(folder / "results") == before


def test_another_null_computes_anew_what_depends_on_it(folder):
    computed = with_status(again(folder, "null.n=11"), "ok")
    assert computed == {*(("tracking", who) for who in PEOPLE), ("group", "group")}
    assert set(states(again(folder)).values()) == {"cached"}, "the results of the former null are still there"


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("group.level=0.1", {"group"}),
        ("preprocessing.h_freq=7.0", {"eeg", "tracking", "group"}),
        ('features.envelope.method="gammatone"', {"features", "tracking", "group"}),
        ("name=other", set()),
        ('report.about="Other words."', set()),
        ("run.seed=1", {"tracking", "group"}),
    ],
)
def test_a_setting_computes_anew_the_stages_that_follow_from_it(folder, change, stages):
    assert {stage for stage, _ in with_status(again(folder, change), "ok")} == stages


def test_of_some_sounds_the_trials_alone_are_analysed(folder):
    wanted = ["melody-01", "melody-02", "melody-03", "melody-05"]
    rows = again(folder, f"sounds.only={json.dumps(wanted)}")
    assert not rows.failed
    people = pd.read_csv(folder / "results" / "participants.tsv", sep="\t").set_index("participant_id")
    heard = pd.read_csv(folder / "results/sub-01/eeg/sub-01_desc-tracking_trials.tsv", sep="\t")
    assert set(heard["stimulus"]) == set(wanted)
    assert (people["state"] == "analysed").all()
    computed = with_status(rows, "ok")
    assert {stage for stage, _ in computed} == {"eeg", "tracking", "group"}
    last = again(folder, 'sounds.only=["melody-05"]')  # which sub-03 did not hear
    faults = {row.label: row.error for row in last.failed if row.stage == "eeg"}
    assert set(faults) == {"sub-03"} and "heard none of 'melody-05', but 'melody-" in faults["sub-03"]


def test_a_touched_file_computes_nothing_anew(folder):
    for path in folder.rglob("*"):
        if path.is_file() and "results" not in path.parts:
            os.utime(path, (time.time(), time.time()))
    assert not with_status(again(folder), "ok")


def test_a_changed_sound_computes_anew_its_features_and_what_follows(folder):
    path = folder / "stimuli" / "melody-05.wav"
    samples, sfreq = soundfile.read(path)
    soundfile.write(path, samples[::-1], sfreq)  # as long as before
    computed = with_status(again(folder), "ok")
    assert computed == {
        ("sounds", "melody-05"),
        ("features", "melody-05: envelope"),
        ("tracking", "sub-01"),
        ("tracking", "sub-02"),  # sub-03 did not hear it
        ("group", "group"),
    }


def test_a_file_that_is_replaced_by_another_of_its_size_and_date_is_noticed(folder):
    path = folder / "features" / "onset" / "melody-01.npz"
    date = path.stat().st_mtime_ns
    shutil.copyfile(folder / "features" / "onset" / "melody-02.npz", path)
    os.utime(path, ns=(date, date))
    assert ("features", "melody-01: onset") in with_status(again(folder), "ok")


def test_one_broken_recording_leaves_the_others_alone(folder):
    path = folder / "raw" / "sub-02_eeg.fif"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 3])
    outcome = again(folder)
    assert [(row.stage, row.label, row.status) for row in outcome.failed] == [
        ("eeg", "sub-02", "failed"),
        ("tracking", "sub-02", "skipped"),
        ("group", "group", "skipped"),
    ]
    row = outcome.failed[0]
    assert "Traceback" in (folder / "results" / row.log).read_text()
    failures = pd.read_csv(folder / "results" / "failures.tsv", sep="\t")
    assert failures.query("stage == 'eeg'")["unit"].tolist() == ["sub-02"]
    people = pd.read_csv(folder / "results" / "participants.tsv", sep="\t").set_index("participant_id")
    assert people["state"].to_dict() == {"sub-01": "analysed", "sub-02": "failed", "sub-03": "analysed"}
    assert not (folder / "results" / "sub-02").exists(), "the result of the former recording is not of this one"
    assert not (folder / "results" / "group").exists()
    assert "sub-02" in stock(small(folder))

    path.write_bytes(good)
    assert set(states(again(folder)).values()) == {"cached"}, "it is the recording of before"
    path.write_bytes(good[:-20] + bytes(20))  # its content differs, its signal does not: one more is computed
    assert with_status(again(folder), "ok") == {("eeg", "sub-02"), ("tracking", "sub-02"), ("group", "group")}


def test_a_group_of_those_who_are_there_has_to_be_asked_for(folder):
    (folder / "raw" / "sub-02_events.tsv").unlink()
    outcome = again(folder)
    assert "sub-02" in next(row.error for row in outcome.failed if row.stage == "eeg")
    outcome = again(folder, "group.allow_missing=true")
    assert ("group", "group") in with_status(outcome, "ok")
    assert GroupResult.load(folder / "results/group/group.npz").participants == ("sub-01", "sub-03")


def test_who_is_excluded_is_listed_with_the_reason(folder):
    outcome = again(folder, 'data.exclude={ "02" = "fell asleep" }')
    assert with_status(outcome, "ok") == {("group", "group")}
    people = pd.read_csv(folder / "results" / "participants.tsv", sep="\t").set_index("participant_id")
    assert people.loc["sub-02", ["state", "reason"]].tolist() == ["excluded", "fell asleep"]
    assert not (folder / "results" / "sub-02").exists()


@pytest.mark.parametrize("damage", ["bit", "cut", "lost", "added"])
def test_a_damaged_entry_is_computed_again_with_a_warning(folder, damage):
    before = tree(folder / "results")
    entry = next((folder / "results" / "store" / "tracking").glob("sub-01-*"))
    path = entry / "result.npz"
    content = path.read_bytes()
    if damage == "bit":
        path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    elif damage == "cut":
        path.write_bytes(content[:100])
    elif damage == "lost":
        path.unlink()
    else:
        (entry / "more.txt").write_text("?")
    with pytest.warns(UserWarning, match="damaged.*computed again"):
        outcome = again(folder)
    assert with_status(outcome, "ok") == {("tracking", "sub-01")}
    assert tree(folder / "results") == before, "the group follows from the same, so it stays"


def test_what_a_killed_run_left_is_swept_away(folder):
    before = tree(folder / "results")
    half = ("store/tracking/.draft-0123456789abcdef/half.npz", "group/.group-0123456789abcdef.npz")
    for name in (*half, "logs/.digests-0123456789abcdef.json", ".published-0123456789abcdef.json"):
        path = folder / "results" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert not with_status(again(folder), "ok")
    assert tree(folder / "results") == before


def test_published_files_that_were_edited_are_put_right_and_strangers_stay(folder):
    results = folder / "results"
    before = tree(results)
    (results / "group" / "regions.tsv").write_text("nonsense")
    (results / "notes.txt").write_text("mine")
    again(folder)
    assert tree(results) == {**before, "notes.txt": tree(results)["notes.txt"]}


def test_some_participants_and_stages_only(folder):
    shutil.rmtree(folder / "results")
    outcome = again(folder, stages=("eeg",))
    assert {row.status for row in outcome.rows} == {"skipped"}
    assert "melody-01 (sounds)" in outcome.rows[0].error
    outcome = again(folder, participants=["02"], stages=None)
    assert {row.label for row in outcome.rows if row.stage in ("eeg", "tracking")} == {"sub-02"}
    assert not [row for row in outcome.rows if row.stage in ("group", "report")]
    assert Tracking.load(next((folder / "results").glob("sub-02/eeg/*_trf.npz"))).participant == "sub-02"
    people = pd.read_csv(folder / "results" / "participants.tsv", sep="\t").set_index("participant_id")
    assert people["state"].to_dict() == {"sub-01": "not computed", "sub-02": "analysed", "sub-03": "not computed"}
    with pytest.raises(ValueError, match="participants"):
        again(folder, participants=["7"])
    with pytest.raises(ValueError, match="stages"):
        again(folder, stages=["trakcing"])


def test_a_dry_run_writes_nothing(folder):
    before = tree(folder, but=())
    outcome = again(folder, "null.n=11", dry_run=True)
    assert with_status(outcome, "to do") >= {("tracking", who) for who in PEOPLE}
    assert not with_status(outcome, "ok")
    assert tree(folder, but=()) == before


def test_force_computes_the_same_once_more(folder):
    before = tree(folder / "results")
    assert set(states(again(folder, force=True)).values()) == {"ok"}
    assert tree(folder / "results") == before


def test_one_run_at_a_time(folder):
    with Lock(folder / "results"), pytest.raises(Locked, match="results"):
        again(folder)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_stopped_goes_on_where_it_was(folder, monkeypatch, error):
    before = tree(folder / "results")
    shutil.rmtree(folder / "results")
    n, compute = 0, tracking.compute

    def stopped(given, draft):
        nonlocal n
        n += 1
        if n == 2:
            raise error
        return compute(given, draft)

    monkeypatch.setattr(tracking, "compute", stopped)
    with pytest.raises(error):
        again(folder)
    assert not (folder / "results" / ".lock").exists()
    monkeypatch.undo()
    outcome = again(folder)
    assert len([place for place in with_status(outcome, "cached") if place[0] == "tracking"]) == 1
    assert tree(folder / "results") == before


def test_a_full_disk_is_told_and_nothing_is_half_written(folder, monkeypatch):
    shutil.rmtree(folder / "results")

    def full(given, draft):
        (draft / "result.npz").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "compute", full)
        outcome = again(folder)
    row = next(row for row in outcome.failed if row.stage == "tracking")
    assert "No space left" in row.error
    assert "bytes are free" in row.error
    assert not any((folder / "results" / "store" / "tracking").iterdir())
    assert not again(folder).failed


def test_a_sound_that_is_replaced_between_two_stages_gets_another_key(folder, monkeypatch):
    """What was computed from the new file must not be found again for the old one."""
    path = folder / "stimuli" / "melody-01.wav"
    old, (samples, sfreq) = path.read_bytes(), soundfile.read(path)
    ground = Ground(small(folder))
    for unit in sounds.units(ground):
        ground.entries["sounds", unit.label] = ground.store.find("sounds", unit.label, unit.key)

    def key():
        return next(unit.key for unit in features.units(ground) if unit.label == "melody-01: envelope")

    before = key()
    soundfile.write(path, samples[::-1], sfreq)
    assert key() != before
    path.write_bytes(old)
    assert key() == before


def test_an_input_that_only_looks_changed_fails_nothing(folder, monkeypatch):
    shutil.rmtree(folder / "results" / "store" / "eeg")
    path, compute = folder / "raw" / "sub-01_events.tsv", eeg.compute

    def meanwhile(given, draft):
        path.write_bytes(path.read_bytes())
        return compute(given, draft)

    monkeypatch.setattr(eeg, "compute", meanwhile)
    assert not again(folder).failed


def test_an_entry_of_other_versions_is_told(folder, monkeypatch):
    before = results.versions()
    monkeypatch.setattr(results, "versions", lambda: {**before, "mne": "99.0"})
    again(folder)
    told = pd.read_csv(folder / "results" / "warnings.tsv", sep="\t")["warning"]
    assert any(text.startswith(f"computed with mne {before['mne']}, but here is 99.0") for text in told)


def test_the_order_of_models_is_kept(folder):
    models = ('a = ["surprisal"]', 'b = ["surprisal"]')
    for order in (models, models[::-1]):
        assert not again(folder, f"trf.models={{ {', '.join(order)} }}", "group.mixed=none").failed
        table = pd.read_csv(folder / "results/sub-01/eeg/sub-01_desc-tracking_scores.tsv", sep="\t")
        assert list(dict.fromkeys(table["model"])) == [model[0] for model in order]


def test_of_nobody_or_a_text_is_not_of_all(folder):
    for wrong in ([], "01"):
        with pytest.raises(ValueError, match="participants: expected a list of some, or None for all"):
            again(folder, participants=wrong)
    with pytest.raises(TypeError, match=r"study: expected a Study, got str\. Pass read_study\(path\)"):
        run_study(str(folder))


def test_who_was_in_the_study_may_be_left_out_when_the_files_are_gone(folder):
    for path in (folder / "raw").glob("sub-02*"):
        path.unlink()
    assert not again(folder, 'data.exclude={ "02" = "wants it deleted" }', "group.mixed=none").failed


def test_an_input_that_changes_while_it_is_used_fails_the_unit(folder, monkeypatch):
    shutil.rmtree(folder / "results" / "store" / "eeg")
    path = folder / "raw" / "sub-01_events.tsv"
    compute = eeg.compute

    def meanwhile(given, draft):
        if given["who"] == "01":
            path.write_text(path.read_text() + "\n")
        return compute(given, draft)

    monkeypatch.setattr(eeg, "compute", meanwhile)
    outcome = again(folder)
    assert "changed while it was used" in next(row.error for row in outcome.failed if row.stage == "eeg")
    tracebacks = folder / "results" / "logs" / "eeg"
    assert list(tracebacks.glob("sub-01-*.txt"))
    monkeypatch.undo()
    assert not again(folder).failed
    assert not list(tracebacks.glob("*.txt"))  # it is mended
    assert ("eeg", "sub-02") in with_status(outcome, "ok")


def test_warnings_are_kept_with_what_they_are_about(folder, monkeypatch):
    compute = tracking.compute

    def doubtful(given, draft):
        warnings.warn("This is doubtful.", stacklevel=1)
        return compute(given, draft)

    monkeypatch.setattr(tracking, "compute", doubtful)
    again(folder, "null.n=10")
    monkeypatch.undo()
    again(folder, "null.n=10")  # from the store
    told = pd.read_csv(folder / "results" / "warnings.tsv", sep="\t")
    assert told[told["warning"] == "This is doubtful."]["unit"].tolist() == list(PEOPLE)


def test_the_account_says_from_what_and_with_what(folder):
    record = json.loads((folder / "results" / "provenance.json").read_text())
    assert record["config"]["null"]["n"] == 9
    assert record["inputs"]["sounds/melody-01.wav"] == tree(folder)["stimuli/melody-01.wav"]
    assert record["inputs"]["eeg/raw/sub-01_eeg.fif"] == tree(folder)["raw/sub-01_eeg.fif"]
    assert record["seeds"] == {"seed": 0}
    assert record["packages"]["numpy"] == np.__version__
    described = json.loads((folder / "results" / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "eegic"
    resolved = (folder / "results" / "study.toml").read_text()
    assert "h_freq = 8.0" in resolved
    events = [json.loads(line) for line in (folder / "results/logs/events.jsonl").read_text().splitlines()]
    assert {event["event"] for event in events} >= {"run_started", "unit_started", "unit_finished", "run_finished"}


def test_what_other_settings_made_can_be_thrown_away(folder):
    again(folder, "null.n=11")
    again(folder)
    assert "entries of other settings" in stock(small(folder))
    n, size = prune(small(folder))
    assert n == 4
    assert size > 0
    assert "entries of other settings" not in stock(small(folder))
    assert set(states(again(folder)).values()) == {"cached"}


def test_sounds_may_be_called_anything(folder):
    shutil.rmtree(folder / "results")
    name = "Für Elise 🎹 'a' \"b\""
    for old in folder.rglob("melody-01.*"):
        old.rename(old.with_name(f"{name}{old.suffix}"))
    for path in folder.glob("raw/*_events.tsv"):
        path.write_text(path.read_text().replace("melody-01", name), encoding="utf-8")
    assert not again(folder).failed


def test_a_sound_that_nobody_heard_is_left_alone(folder):
    (folder / "stimuli" / "unheard.wav").write_bytes(b"no sound")
    assert not with_status(again(folder), "ok", "failed")


def test_a_null_of_unheard_sounds(done, tmp_path):
    folder, others = copied(done, tmp_path / "data"), written(tmp_path / "others", rng=1)
    for path in others.rglob("melody-*"):
        target = folder / path.relative_to(others)
        shutil.copyfile(path, target.with_name(path.name.replace("melody", "unheard")))
    unheard = f"null.unheard={[f'unheard-0{k}' for k in range(1, 6)]}".replace("'", '"')
    outcome = again(folder, 'null.kind="pseudo"', unheard, "null.n=2")
    assert with_status(outcome, "ok") >= {("tracking", who) for who in PEOPLE}
    assert not outcome.failed
    outcome = again(folder, 'null.kind="pseudo"', 'null.unheard=["melody-01"]')
    assert "melody-01 was heard" in next(row.error for row in outcome.failed if row.stage == "tracking")


def test_pages_are_the_same_whenever_they_are_written(folder):
    outcome = again(folder, "report.participants=true", stages=("report",), participants=["01"])
    assert with_status(outcome, "ok") == {("report", "sub-01")}
    first = (folder / "results/reports/sub-01.html").read_bytes()
    again(folder, "report.participants=true", stages=("report",), participants=["01"], force=True)
    assert (folder / "results/reports/sub-01.html").read_bytes() == first


def test_a_sound_replaced_between_two_runs_of_one_process_is_not_taken_from_memory(tmp_path):
    changes = ('trf.added=["mini"]', "features.mini.noise=[0.3, 0.5]")
    folder = written(tmp_path / "data", n=2)
    stages = ("sounds", "features")
    again(folder, *changes, stages=stages)
    path = folder / "stimuli" / "melody-05.wav"
    samples, sfreq = soundfile.read(path)
    soundfile.write(path, samples[::-1], sfreq)
    again(folder, *changes, stages=stages)
    fresh = copied(folder, tmp_path / "fresh")
    shutil.rmtree(fresh / "results")
    features._encoded.cache_clear()
    again(fresh, *changes, stages=stages)
    here, there = (tree(place / "results" / "store" / "features") for place in (folder, fresh))
    assert {name: here[name] for name in there} == there


@pytest.mark.parametrize("place", [".", "raw", "stimuli", ".."])
def test_results_are_not_put_among_the_data(folder, place):
    before = tree(folder, but=())
    with pytest.raises((ValueError, FileExistsError), match="output.folder|no run has put"):
        again(folder, f'output.folder="{place}"')
    assert tree(folder, but=()) == before


def test_a_folder_with_a_study_of_somebody_else_is_left_alone(folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "participants.tsv").write_text("participant_id\tage\n")
    with pytest.raises(FileExistsError, match="participants.tsv"):
        again(folder, "output.folder=mine")


def test_publishing_that_is_cut_off_leaves_nothing_stale(folder, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(results.provenance, "describe_dataset", killed)
        with pytest.raises(KeyboardInterrupt):
            again(folder, "null.n=11")
    again(folder, 'data.exclude={ "02" = "left" }', "group.mixed=none")
    assert not (folder / "results" / "sub-02").exists()
    assert not (folder / "results" / "group" / "mixed.tsv").exists()


def test_a_failure_under_force_is_told_though_the_former_result_stands(folder, monkeypatch):
    def broken(given, draft):
        raise ValueError("broken")

    monkeypatch.setattr(tracking, "compute", broken)
    outcome = again(folder, force=True, participants=["01"])
    assert {row.label for row in outcome.failed} == {"sub-01"}
    failures = pd.read_csv(folder / "results" / "failures.tsv", sep="\t")
    assert failures["reason"].tolist() == ["broken The former result stands."]


def test_a_store_elsewhere_is_held_while_it_is_used(folder, tmp_path):
    again(folder, f'output.store="{tmp_path}/store"')
    with Lock(tmp_path / "store"), pytest.raises(Locked, match="store"):
        again(folder, f'output.store="{tmp_path}/store"')


def test_a_worker_with_another_eegic_computes_nothing(folder, monkeypatch):
    monkeypatch.setattr(running, "_Job", lambda *fields: running_job(*fields[:-1], "other"))
    outcome = again(folder, "null.n=11", participants=["01"])
    assert "another eegic" in outcome.failed[0].error


def test_no_home_folder_stands_in_the_tables(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    (folder / "raw" / "sub-02_events.tsv").unlink()
    again(folder)
    for name in ("failures.tsv", "participants.tsv"):
        text = (folder / "results" / name).read_text()
        assert str(folder.parent) not in text
        assert "sub-02_events.tsv" in text


def test_who_is_lost_is_missed(folder):
    (folder / "raw" / "sub-02_eeg.fif").unlink()
    outcome = again(folder)
    assert "sub-02_events.tsv says what was heard, but there is no recording" in outcome.failed[0].error
    (folder / "raw" / "sub-02_events.tsv").unlink()
    outcome = again(folder)
    assert "was in the study when it ran last" in outcome.failed[0].error
    assert {row.label for row in outcome.failed} == {"sub-02", "group"}
    assert not again(folder, 'data.exclude={ "02" = "the disk broke" }').failed
    assert "the disk broke" in (folder / "results" / "participants.tsv").read_text()


def test_reasons_stay_until_the_unit_is_tried_again(folder):
    (folder / "raw" / "sub-02_eeg.fif").write_bytes(b"broken")
    again(folder)
    before = (folder / "results" / "failures.tsv").read_text()
    again(folder, stages=["group"])
    assert before.splitlines()[1] in (folder / "results" / "failures.tsv").read_text()


def test_a_missing_sound_is_named_with_where_it_belongs(folder):
    (folder / "stimuli" / "melody-02.wav").unlink()
    error = again(folder).failed[0].error
    assert error.startswith("heard 'melody-02', of which there is no sound: put it into")


def test_values_that_are_not_at_the_rate_of_the_eeg_say_how_they_get_there(folder):
    for name, times in (("melody-01", "0\n0.5\n1.0"), ("melody-02", "0\n0.5\n1.7")):
        rows = "\n".join(f"{time}\t1" for time in times.split())
        (folder / f"{name}.tsv").write_text(f"time\tnotes\n{rows}\n")
    notes = 'features.notes={kind="files", files="{stimulus}.tsv"}'
    outcome = again(folder, notes, 'trf.added=["notes"]', stages=["sounds", "features"])
    errors = {row.label: row.error for row in outcome.failed}
    assert "values come 2 times a second" in errors["melody-01: notes"]
    assert "values come at irregular times" in errors["melody-02: notes"]
    assert 'placed = "impulse"' in errors["melody-01: notes"]


def test_a_formula_that_was_asked_for_must_be_possible(folder):
    outcome = again(folder, 'group.mixed="corrected ~ 0 + kind"')
    assert "group.mixed" in outcome.failed[0].error


def test_arguments_of_functions_are_told_as_settings(folder):
    import mne

    path = folder / "raw" / "sub-01_eeg.fif"
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    raw._data[0, 100:110] = np.nan
    raw.save(path, overwrite=True, fmt="double", verbose="error")
    assert 'Write on_nan = "mask" in [data]' in again(folder).failed[0].error
    assert "bridge = true in [preprocessing]" in again(folder, "data.on_nan=mask").failed[0].error
    assert not again(folder, "data.on_nan=mask", "preprocessing.bridge=true").failed


def test_an_empty_cell_of_a_table_is_told(tmp_path):
    path = tmp_path / "notes.tsv"
    path.write_text("time\tpitch\n0.0\t1.5\n0.5\t\n1.0\t2.5\n")
    given = {"path": path, "columns": (), "placed": "impulse", "sfreq": 64.0, "duration": 2.0}
    with pytest.warns(UserWarning, match=r"notes\.tsv: 1 of 3 rows lack a value; what they touch is left out"):
        features.read(given)
