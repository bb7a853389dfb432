"""Where EEG and sounds lie: who is there, which files are theirs, and what is read from them."""

import re
import shutil
import unicodedata
from dataclasses import replace

import mne
import numpy as np
import pytest
from small_study import NAMES, read, simulated, written, written_again

from eegic.study.ground import Ground
from eegic.study.sources import declared, raw_of, source_of

EVERYONE = ["01", "02", "03"]
DURATIONS = dict.fromkeys(NAMES, 6.0)
FILES = {
    "files": {"raw/sub-02_eeg.fif", "raw/sub-02_events.tsv"},
    "cnd": {"dataCND/dataSub2.mat", "dataCND/dataStim.mat"},
}


@pytest.fixture(scope="module", params=["files", "bids", "cnd", "manifest"])
def laid_out(request, tmp_path_factory):
    """A study of each form."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param != "manifest":
        return request.param, read(written(folder, request.param))
    written(folder, "cnd")
    return "manifest", read(written_again(folder, "manifest", 'folder = "."\n'))


@pytest.fixture
def folder(tmp_path, laid_out_files):
    """A copy to spoil."""
    return shutil.copytree(laid_out_files, tmp_path / "copy")


@pytest.fixture(scope="module")
def laid_out_files(tmp_path_factory):
    return written(tmp_path_factory.mktemp("original")).parent


def people(folder, *changes):
    study = read(folder / "study.toml", *changes)
    return declared(study, source_of(study))


def test_everyone_is_found(laid_out):
    form, study = laid_out
    ids = ["1", "2", "3"] if form == "manifest" else EVERYONE  # as the manifest writes them
    source = source_of(study)
    assert source.everyone() == ids and source.root == study.folder
    assert declared(study, source) == (ids, {})


def test_what_is_surveyed_is_all_that_reading_takes_and_nothing_of_others(laid_out, tmp_path):
    form, study = laid_out
    source = source_of(study)
    who = source.everyone()[1]
    heard, files = source.survey(who)
    assert heard is None if form in ("cnd", "manifest") else set(heard) == set(NAMES)
    if form in FILES:
        assert set(files) == FILES[form]
    assert not [name for name in files if re.search("sub-01|sub-03|Sub1|Sub3|stimuli/|features/|study.toml", name)]
    for name, path in files.items():
        if path.is_relative_to(study.folder):
            assert path == study.folder / name
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, tmp_path / name)
    (tmp_path / "stimuli").mkdir()
    if form == "bids":
        for name in NAMES:
            shutil.copyfile(study.folder / "stimuli" / f"{name}.wav", tmp_path / "stimuli" / f"{name}.wav")
    shutil.copyfile(study.folder / "study.toml", tmp_path / "study.toml")
    alone = source_of(read(tmp_path / "study.toml"))
    assert alone.everyone() == [who]
    person, shipped = source.read(who, DURATIONS)
    same, _ = alone.read(who, DURATIONS)
    assert person.stimuli == same.stimuli and person.ch_names == same.ch_names
    for one, other in zip(person.trials, same.trials, strict=True):
        np.testing.assert_array_equal(one.eeg, other.eeg)
    assert set(shipped) == (set(NAMES) if form in ("cnd", "manifest") else set())


def test_what_is_read_is_what_was_written(laid_out):
    form, study = laid_out
    source = source_of(study)
    for who, truth in zip(source.everyone(), simulated(3).participants, strict=True):
        person, _ = source.read(who, DURATIONS)
        assert person.name == truth.name and person.sfreq == 64
        assert list(person.stimuli) == list(truth.stimuli)
        for one, other in zip(person.trials, truth.trials, strict=True):
            scale = np.abs(other.eeg).max()
            np.testing.assert_allclose(one.eeg, other.eeg, atol=(1e-5 if form == "bids" else 1e-9) * scale)


def test_some_sounds_only(laid_out):
    form, study = laid_out
    only = ("melody-02", "melody-04") if form == "cnd" else ("melody-02", "melody-04", "unheard")
    source = replace(source_of(study), only=only)
    who = source.everyone()[0]
    heard, _ = source.survey(who)
    assert heard is None if form in ("cnd", "manifest") else set(heard) == {"melody-02", "melody-04"}
    person, _ = source.read(who, {name: DURATIONS[name] for name in ("melody-02", "melody-04")})
    whole, _ = source_of(study).read(who, DURATIONS)
    expected = whole.only(["melody-02", "melody-04"])
    assert person.stimuli == expected.stimuli and set(person.stimuli) == {"melody-02", "melody-04"}
    for one, other in zip(person.trials, expected.trials, strict=True):
        np.testing.assert_array_equal(one.eeg, other.eeg)
    unknown = "sounds.only: expected one of" if form == "cnd" else "heard none of 'another', but 'melody-"
    with pytest.raises(ValueError, match=unknown):
        replace(source, only=("another",)).read(who, DURATIONS)


def test_a_recording_is_opened_for_its_header_where_there_is_one_file(laid_out):
    form, study = laid_out
    source = source_of(study)
    raw = raw_of(source, source.everyone()[0])
    if form in ("cnd", "manifest"):
        assert raw is None
    else:
        assert raw.info["sfreq"] == 64 and len(raw.ch_names) == 4 and not raw.preload


def test_sounds_are_found_beside_the_data_or_where_the_study_says(folder):
    study = read(folder / "study.toml")
    assert list(Ground(study).sounds) == list(NAMES)
    (folder / "stimuli").rename(folder / "music")
    assert Ground(study).sounds == {}
    moved = Ground(read(folder / "study.toml", "sounds.folder=music")).sounds
    assert moved == {name: folder / "music" / f"{name}.wav" for name in NAMES}
    with pytest.raises(NotADirectoryError, match=r"nowhere: expected a folder, got nothing; sounds\.folder says where"):
        Ground(read(folder / "study.toml", "sounds.folder=nowhere"))


def test_names_of_sounds_are_their_paths_without_suffix(folder):
    inner = folder / "stimuli" / "bach"
    inner.mkdir()
    sound = folder / "stimuli" / "melody-01.wav"
    for name in ("fugue.wav", "a.b.wav", unicodedata.normalize("NFD", "Präludium.WAV"), ".hidden.wav", "notes.txt"):
        shutil.copyfile(sound, inner / name)
    (folder / "stimuli" / ".trash").mkdir()
    shutil.copyfile(sound, folder / "stimuli" / ".trash" / "old.wav")
    found = Ground(read(folder / "study.toml")).sounds
    assert set(found) == {*NAMES, "bach/fugue", "bach/a.b", "bach/Präludium"}
    only = Ground(read(folder / "study.toml", 'sounds.only=["bach/fugue"]')).sounds
    assert only == {"bach/fugue": inner / "fugue.wav"}
    with pytest.raises(
        ValueError, match=r"sounds\.only: expected one of .* got 'bach/fuge'\. Did you mean 'bach/fugue'"
    ):
        Ground(read(folder / "study.toml", 'sounds.only=["bach/fuge"]'))


def test_a_sound_in_two_files_is_asked_about(folder):
    shutil.copyfile(folder / "stimuli" / "melody-02.wav", folder / "stimuli" / "melody-02.flac")
    with pytest.raises(ValueError, match=r"study\.toml: sounds: several files .* 'melody-02'.*sounds\.files"):
        Ground(read(folder / "study.toml"))
    chosen = Ground(read(folder / "study.toml", 'sounds.files={"melody-02" = "stimuli/melody-02.flac"}'))
    assert chosen.sounds["melody-02"] == folder / "stimuli" / "melody-02.flac"
    assert len(Ground(read(folder / "study.toml", 'sounds.only=["melody-01"]')).sounds) == 1


def rename(folder, **ids):
    """Give people other ids."""
    for old, new in ids.items():
        for path in sorted((folder / "raw").glob(f"sub-{old[1:]}_*")):
            path.rename(path.with_name(path.name.replace(f"sub-{old[1:]}_", f"sub-{new}_")))


def test_ids_stay_as_they_are_written(folder):
    rename(folder, _01="001", _02="1", _03="P3")
    assert people(folder) == (["001", "1", "P3"], {})
    assert people(folder, 'data.participants=["sub-P3", "001"]') == (["P3", "001"], {})


@pytest.mark.parametrize("name", ["01_b", "Müller", "a b", "1-2", "x.y"])
def test_files_whose_id_has_other_letters_are_not_left_out_in_silence(folder, name):
    rename(folder, _03=name)
    with pytest.raises(
        ValueError, match=r"sub-.*_eeg\.fif: '.*' stands for the participant; expected an id of letters"
    ):
        people(folder)
    assert people(folder, 'data.participants=["01", "02"]') == (["01", "02"], {})


def test_later_parts_of_a_long_recording_belong_to_it(folder):
    for path in (folder / "raw").glob("*_eeg.fif"):
        path.rename(path.with_name(path.name.replace("_eeg", "")))
    (folder / "raw" / "sub-01-1.fif").write_bytes(b"part")
    (folder / "raw" / "sub-01-x.tsv").write_bytes(b"no part")
    study = read(folder / "study.toml", "data.recordings=raw/sub-{participant}.fif")
    source = source_of(study)
    assert declared(study, source)[0] == EVERYONE
    assert set(source.survey("01")[1]) == {"raw/sub-01.fif", "raw/sub-01-1.fif", "raw/sub-01_events.tsv"}
    assert set(source.survey("02")[1]) == {"raw/sub-02.fif", "raw/sub-02_events.tsv"}


def test_files_beside_a_header_belong_to_the_recording(folder):
    raw = folder / "raw"
    (raw / "sub-01.vhdr").write_text("[Common Infos]\nDataFile=other.eeg\nMarkerFile=$b.vmrk\n; Notes=x.eeg\n")
    for name in ("other.eeg", "sub-01.vmrk", "sub-01.eeg", "sub-02.set", "sub-02.fdt", "sub-02.eeg"):
        (raw / name).write_text("")
    (raw / "sub-03.mff").mkdir()
    (raw / "sub-03.mff" / "signal1.bin").write_text("")
    tables = {one: f"raw/sub-{one}_events.tsv" for one in EVERYONE}
    for suffix, who, names in (
        ("vhdr", "01", {"raw/sub-01.vhdr", "raw/other.eeg", "raw/sub-01.vmrk"}),
        ("set", "02", {"raw/sub-02.set", "raw/sub-02.fdt"}),
        ("mff", "03", {"raw/sub-03.mff/signal1.bin"}),
    ):
        source = source_of(read(folder / "study.toml", f"data.recordings=raw/sub-{{participant}}.{suffix}"))
        assert source.everyone() == EVERYONE, "the others have tables, and their recordings are missed"
        other = next(one for one in EVERYONE if one != who)
        with pytest.raises(FileNotFoundError, match=f"sub-{other}: .* there is no recording"):
            source.survey(other)
        assert set(source.survey(who)[1]) == names | {tables[who]}


def test_parts_named_as_bids_has_them_belong_together(folder):
    raw = mne.io.RawArray(np.zeros((8, 150_000)), mne.create_info(8, 64.0, "eeg"), verbose="error")
    for path in (folder / "raw").glob("*_eeg.fif"):
        path.unlink()
    for who in ("01", "02"):
        raw.save(folder / f"raw/sub-{who}_eeg.fif", split_size="2MB", split_naming="bids", verbose="error")
    parts = {path.name for path in (folder / "raw").glob("sub-01_split-*.fif")}
    assert len(parts) > 2
    source = source_of(read(folder / "study.toml", 'data.recordings="raw/sub-{participant}_split-01_eeg.fif"'))
    assert source.everyone() == EVERYONE  # sub-03 by the table
    assert set(source.survey("01")[1]) == {*(f"raw/{name}" for name in parts), "raw/sub-01_events.tsv"}


def test_an_eeglab_file_may_name_any_fdt(folder):
    (folder / "raw" / "sub-01_eeg.set").write_bytes(b"")
    (folder / "raw" / "former.fdt").write_bytes(b"")
    source = source_of(read(folder / "study.toml", 'data.recordings="raw/sub-{participant}_eeg.set"'))
    assert "raw/former.fdt" in source.survey("01")[1]
    (folder / "raw" / "sub-01_eeg.fdt").write_bytes(b"")
    assert {name for name in source.survey("01")[1] if name.endswith("fdt")} == {"raw/sub-01_eeg.fdt"}


def test_who_is_left_out_has_to_be_somebody(folder):
    with pytest.raises(ValueError, match=r"data\.exclude: expected one of '01', '02', '03', got '2'"):
        people(folder, 'data.exclude={"2" = "slept"}')
    with pytest.raises(ValueError, match=r"data\.exclude\.02: expected text that is not empty"):
        people(folder, 'data.exclude={"02" = ""}')


def test_names_in_tables_are_those_of_sounds_whatever_system_wrote_them(folder):
    table = folder / "raw" / "sub-01_events.tsv"
    table.write_text(
        unicodedata.normalize("NFD", table.read_text(encoding="utf-8").replace("melody-01", "Präludium")),
        encoding="utf-8",
    )
    heard, _ = source_of(read(folder / "study.toml")).survey("01")
    assert unicodedata.normalize("NFC", "Präludium") in heard


def test_a_folder_for_each_participant(folder):
    for who in EVERYONE:
        (folder / who).mkdir()
        for path in (folder / "raw").glob(f"sub-{who}_*"):
            path.rename(folder / who / path.name.replace("sub-", ""))
    (folder / "01" / "02_eeg.fif").write_bytes(b"not in its place")
    changes = (
        "data.recordings=./{participant}/{participant}_eeg.fif",
        "data.trials={participant}/{participant}_events.tsv",
    )
    study = read(folder / "study.toml", *changes)
    source = source_of(study)
    assert declared(study, source)[0] == EVERYONE
    assert set(source.survey("02")[1]) == {"02/02_eeg.fif", "02/02_events.tsv"}


def test_triggers_stand_in_for_a_table(tmp_path):
    written(tmp_path)
    truth = simulated(3).participants[0]
    table = np.genfromtxt(tmp_path / "raw" / "sub-01_events.tsv", names=True, dtype=None, encoding="utf-8")
    codes = {name: str(number) for number, name in enumerate(NAMES, start=1)}
    path = tmp_path / "raw" / "sub-01_eeg.fif"
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    given = "{" + ", ".join(f'"{code}" = "{name}"' for name, code in codes.items()) + "}"
    changes = ["data.trials=none", f"data.triggers={given}", 'data.participants=["01"]']
    marks = [codes[name] for name in table["stimulus"]]
    raw.set_annotations(mne.Annotations(table["onset"], 0, marks)).save(path, overwrite=True, fmt="double", verbose=0)
    by_text = source_of(read(tmp_path / "study.toml", *changes))
    assert by_text.survey("01")[0] == NAMES and set(by_text.survey("01")[1]) == {"raw/sub-01_eeg.fif"}
    person, _ = by_text.read("01", DURATIONS)
    status = np.zeros((1, raw.n_times))
    for onset, mark in zip(table["onset"], marks, strict=True):
        at = round(onset * 64)
        status[0, at : at + 4] = int(mark)
    raw.set_annotations(None).add_channels(
        [mne.io.RawArray(status, mne.create_info(["Status"], 64.0, "stim"), verbose="error")], force_update_info=True
    )
    raw.save(path, overwrite=True, fmt="double", verbose="error")
    by_number = source_of(read(tmp_path / "study.toml", *changes, "data.stim_channel=Status"))
    same, _ = by_number.read("01", DURATIONS)
    for found in (person, same):
        assert found.stimuli == truth.stimuli
        for one, other in zip(found.trials, truth.trials, strict=True):
            np.testing.assert_allclose(one.eeg, other.eeg, atol=1e-9 * np.abs(other.eeg).max())


def test_a_sound_that_somebody_did_not_get(tmp_path):
    written(tmp_path)
    path = tmp_path / "raw" / "sub-01_eeg.fif"
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    raw.set_annotations(mne.Annotations([1.0, 8.0], 0, ["1", "2"])).save(path, overwrite=True, verbose="error")
    changes = ["data.trials=none", f'data.triggers={{"1" = "{NAMES[0]}", "2" = "{NAMES[1]}", "3" = "{NAMES[2]}"}}']
    with pytest.raises(ValueError, match="missing='drop'"):
        source_of(read(tmp_path / "study.toml", *changes)).read("01", DURATIONS)
    person, _ = source_of(read(tmp_path / "study.toml", *changes, "data.missing=drop")).read("01", DURATIONS)
    assert person.stimuli == NAMES[:2]


def test_a_table_that_is_missing_or_none_is_named(folder):
    source = source_of(read(folder / "study.toml"))
    (folder / "raw" / "sub-01_events.tsv").unlink()
    (folder / "raw" / "sub-02_events.tsv").write_text("onset\tsound\n1\tx\n")
    (folder / "raw" / "sub-03_events.tsv").write_bytes("onset\tstimulus\n1\tFür Elise\n".encode("latin-1"))
    with pytest.raises(FileNotFoundError, match=r"sub-01_events\.tsv: missing\. It should say what was heard when"):
        source.survey("01")
    with pytest.raises(ValueError, match=r"sub-02_events\.tsv: trials: expected the columns onset and stimulus"):
        source.survey("02")
    with pytest.raises(ValueError, match=r"sub-03_events\.tsv: not a table in UTF-8"):
        source.survey("03")


def test_who_is_out_and_why(folder):
    assert people(folder, 'data.exclude={"sub-02" = "fell asleep"}') == (["01", "03"], {"02": "fell asleep"})
    chosen = people(folder, 'data.participants=["03", "02"]', 'data.exclude={"02" = "left"}')
    assert chosen == (["03"], {"02": "left"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('data.participants=["04"]', r"^study\.toml: data\.participants: expected one of '01', '02', '03', got '04'"),
        ('data.participants=["1"]', r"data\.participants: .* got '1'\. Did you mean '01'\?"),
        ('data.participants=["01", "sub-01"]', r"each participant needs its own name, but '01' stands more than once"),
        ('data.exclude={"01"="a", "02"="b", "03"="c"}', r"^study\.toml: data: nobody is left, of 3 participants"),
        ("data.participants=[]", r"^study\.toml: data: nobody is left, of 3"),
        ("data.recordings={participant}.edf", r"no participant in .*\. Expected files such as 01\.edf \(ids"),
        ("data.folder=raw/sub-01_eeg.fif", r"sub-01_eeg\.fif: expected a folder, got a file; data\.folder says where"),
        ("data.folder=2024", r"2024: expected a folder, got nothing; data\.folder says where it is"),
    ],
)
def test_whom_or_what_there_is_not_is_named(folder, change, message):
    with pytest.raises((ValueError, OSError), match=message):
        people(folder, change)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("bids", r"no participant in .*\. Expected folders such as sub-01\."),
        ("cnd", r"no participant in .*\. Expected files such as dataSub1\.mat\."),
        ("manifest", r"expected at least one recording in .*Fetch it \(`eegic data fetch dilibach`\)"),
    ],
)
def test_an_empty_folder_is_named_with_what_was_expected(tmp_path, form, message):
    written_again(tmp_path, form, 'folder = "."\n')
    with pytest.raises(FileNotFoundError, match=message):
        people(tmp_path)


def test_a_data_set_that_was_not_fetched_is_named_with_what_fetches_it(tmp_path, monkeypatch):
    monkeypatch.setenv("EEGIC_DATA", str(tmp_path / "none"))
    file = written_again(tmp_path, "manifest")
    with pytest.raises(NotADirectoryError, match=r"expected a folder, got nothing; eegic data fetch dilibach\."):
        people(file.parent)


def test_a_folder_of_bids_that_is_no_label_is_left_out_on_purpose_only(tmp_path):
    written(tmp_path, "bids")
    (tmp_path / "sub-01_old").mkdir()
    with pytest.raises(ValueError, match=r"'01_old': expected an id of letters .* leave them out in data\.exclude"):
        people(tmp_path)
    assert people(tmp_path, 'data.exclude={"01_old" = "a copy"}') == (EVERYONE, {"01_old": "a copy"})


def test_conditions_of_cnd_choose_trials(tmp_path):
    written(tmp_path, "cnd")
    source = source_of(read(tmp_path / "study.toml", 'data.conditions=["music"]'))
    with pytest.raises(ValueError, match="condition"):
        source.read("01", {})


def test_settings_of_the_data_reach_what_reads_them(tmp_path):
    file = written(tmp_path, "bids")
    heard, files = source_of(read(file)).survey("01")
    assert source_of(read(file, "data.task=listening")).survey("01") == (heard, files)
    for change, message in (
        ("data.task=imagery", "task: expected one of 'listening', got 'imagery'"),
        ("data.session=2", "session: expected none, the files name none, got '2'"),
        ("data.stimulus_column=sound", "sub-01"),
    ):
        for look in (lambda source: source.survey("01"), lambda source: source.read("01", DURATIONS)):
            with pytest.raises(ValueError, match=message):
                look(source_of(read(file, change)))
