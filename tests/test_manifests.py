"""Manifests say what is known and nothing else; whatever is wrong in one is found, with its line."""

import datetime
import hashlib
import os
import unicodedata
from pathlib import Path

import pytest
from pydantic import ValidationError

from eegic.datasets.public import manifest as manifests
from eegic.datasets.public.annex import AnnexKey, annex_key
from eegic.datasets.public.maker import manifest_from_tree, write_manifest
from eegic.datasets.public.manifest import File, iter_trials, load_manifest, manifest_folders
from eegic.eeg.heard import read_table

SHIPPED = Path(__file__).resolve().parent.parent / "data_manifests"
NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/dataset.toml"))
FIRST = ["alice", "dilibach", "ds004356", "ds004408", "ds005876", "music_imagery", "openmiir"]
SECOND = ["aad_kul", "broderick2018", "chimeric_music", "etard_music", "kern2022", "mad_eeg", "musin_g", "nmed_t"]
SECOND += ["sparrkulee", "weineck2022"]
SHA, MD5 = "0123456789abcdef" * 4, "0123456789abcdef" * 2
FILES = "path\tbytes\talgo\tdigest\trole\tparticipant\tsource_path\tarchive\n"
TABLES = ("files", "participants", "stimuli", "trials", "channels")

FACTS = {  # of reference: DOI, licence, participants, channels, Hz in the files, bytes, files
    "dilibach": ("10.5061/dryad.g1jwstqmh", "unknown", 20, 64, 512, 5_600_000_000, "unknown"),
    "music_imagery": ("10.5061/dryad.dbrv15f0j", "BSD-3-Clause", 21, 64, 64, 1_500_000_000, "unknown"),
    "ds005876": ("10.18112/openneuro.ds005876.v1.0.1", "CC0-1.0", 29, 32, 1000, 8_165_575_891, 331),
    "ds004356": ("10.18112/openneuro.ds004356.v2.2.1", "CC0-1.0", 22, 32, 10000, 228_795_478_460, 562),
    "ds004408": ("10.18112/openneuro.ds004408.v1.0.8", "CC0-1.0", 19, 128, 512, 20_080_811_408, 1181),
    "alice": ("10.7302/Z29C6VNH", "CC-BY-4.0", 45, 62, 500, 4_090_000_000, "unknown"),
    "openmiir": ("unknown", "PDDL-1.0", 10, 64, 512, "unknown", "unknown"),
    "musin_g": ("unknown", "CC0-1.0", 20, 129, "unknown", 10_859_949_344, 242),
    "chimeric_music": ("unknown", "CC0-1.0", 27, "unknown", 10000, 207_113_220_205, 82),
    "sparrkulee": ("10.48804/K3VSND", "CC-BY-NC-4.0", 85, 64, "unknown", "unknown", "unknown"),
    "kern2022": ("unknown", "CC-BY-4.0", "unknown", "unknown", "unknown", "unknown", "unknown"),
}
DIGESTS = """
ds004408 stimuli/audio01.wav 31322156 61207e6f7fe2f2d85a857800af6066048c5d18baa424d47d0f0ab596fafdbb12
ds004408 sub-001/eeg/sub-001_task-listening_run-01_eeg.eeg 51380224 \
3b4cc81b17535ce2f4a9accdbd1e5a30f7bec5484b8648ac474b0f139044ff96
ds004356 stimuli/acoustic/acoustic000.wav 4608058 84500a1ad3313cbb039d5b07b269bd61adf954b03f5c7a25748bd3ac3876ee03
ds004356 sub-01/eeg/sub-01_task-MusicvsSpeech_eeg.eeg 9917868000 \
4acd1a8b21a93b7f712493be0f813f1156717342643711b21b54acdf8ee2555b
ds005876 stimuli/YMCA.wav 1264392 822e279d27f6d2237a6d880e8ea1ab09c557a8dabfc2f183a18e78cca1452023
ds005876 sub-01/eeg/sub-01_task-songfamiliarity_eeg.set 8247576 \
7985aa90ed81e90c0152f25b8d9205fff0cead8b42c34d7fa3837cc16847d3df
chimeric_music sub-001/eeg/sub-001_task-ChimericMusic_eeg.eeg 7548544000 \
b9a9043490ae72341b743cc15a0c7ce796dd98f9373cae775d4ca56e94580901
musin_g sub-001/ses-01/eeg/sub-001_ses-01_task-MusicListening_run-1_eeg.set 18288040 2e90ae04af6661f184e87f54d6c33bb2
"""


@pytest.fixture(autouse=True)
def nothing_of_the_user(monkeypatch, tmp_path):
    """No manifests but those that come with eegic."""
    for name in ("EEGIC_MANIFESTS", "MNE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EEGIC_DATA", str(tmp_path / "no data"))


def made(folder, toml='title = "A set"\n', name="one", **tables):
    """Write a manifest by hand and return its folder."""
    here = folder / name
    here.mkdir(parents=True, exist_ok=True)
    (here / "dataset.toml").write_text(f'id = "{name}"\n{toml}', encoding="utf-8")
    for table, content in tables.items():
        (here / f"{table}.tsv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return here


def contents(manifest):
    return {**manifest.about(), **{table: getattr(manifest, table) for table in TABLES}}


# ---- those that come with eegic -------------------------------------------------------------------------------------


def test_all_data_sets_are_there():
    assert sorted(FIRST + SECOND) == NAMES == list(manifests.manifests())


@pytest.mark.parametrize("name", NAMES)
def test_shipped_manifests_are_whole_and_unverified(name):
    manifest = load_manifest(name)
    assert manifest.folder == SHIPPED / name
    everything = contents(manifest)
    assert not manifest.verified and not manifest.files_complete, "nothing was fetched and compared yet"
    assert everything["loader"]["known_problems"], "each has something to tell"
    if manifest.participants:
        assert len(manifest.participants) == manifest.n_participants


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_written_again_says_the_same(name, tmp_path):
    manifest = load_manifest(name)
    again = write_manifest(tmp_path, manifest.about(), **{table: getattr(manifest, table) for table in TABLES})
    assert contents(again).keys() == contents(manifest).keys()
    for key, value in contents(manifest).items():
        found = contents(again)[key]
        if key == "files":  # sorted by path
            value = tuple(sorted(value, key=lambda file: file.path))
        assert found == value, key


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_those_of_the_sources(name):
    one = load_manifest(name)
    eeg = one.eeg
    facts = (one.doi, one.licence, one.n_participants, eeg.n_channels, eeg.sfreq_distributed, one.size, one.n_files)
    assert facts == FACTS[name]


def test_licences_that_nobody_read_are_unknown():
    known = {name for name in NAMES if load_manifest(name).licence != "unknown"}
    assert known == {*FACTS} - {"dilibach"}
    assert {load_manifest(name).stimuli_licence for name in NAMES} == {"unknown"}


def test_sounds_come_with_the_first_and_are_not_promised_by_the_second():
    included = {name: load_manifest(name).stimuli_audio_included for name in NAMES}
    assert included.pop("dilibach") == "midi"
    assert {name for name, value in included.items() if value is True} == {*FIRST, "etard_music"} - {"dilibach"}


def test_digests_are_those_of_the_annex_keys():
    listed = {tuple(line.split()) for line in DIGESTS.strip().splitlines()}
    files = {(name, file) for name in NAMES for file in load_manifest(name).files}
    large = {(name, file.path, str(file.bytes), file.digest) for name, file in files if file.bytes is not None}
    assert large == listed
    others = {name for name, file in files if file.bytes is None}
    assert others == {"alice", "broderick2018", "dilibach", "music_imagery"}, "archives of unknown size"


def test_the_runs_of_ds004408_are_its_sounds_from_the_first_sample_on():
    manifest = load_manifest("ds004408")
    trials = list(iter_trials(manifest, "sub-007"))
    assert [(row["run"], row["stim_id"], float(row["onset_s"])) for row in trials] == [
        (f"{i:02d}", f"audio{i:02d}", 0.0) for i in range(1, 21)
    ]
    assert {row["path"] for row in manifest.stimuli} == {f"stimuli/audio{i:02d}.wav" for i in range(1, 21)}
    assert read_table(manifest.folder / "trials.tsv") == manifest.trials, "as the reader of BIDS sees them"


def test_pianists_are_the_second_half_of_dilibach():
    groups = {row["participant_id"]: row["group"] for row in load_manifest("dilibach").participants}
    assert groups == {str(i): "pianist" if i > 10 else "non-musician" for i in range(1, 21)}


# ---- what is wrong in dataset.toml ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('title = "A"\nlicense = "CC0-1.0"\n', r"line 3: license is no setting here. Did you mean 'licence'\?"),
        ('title = "A"\n[eeg]\nunit = "V"\nn_chanels = 3\n', r"line 5: eeg.n_chanels .* Did you mean 'n_channels'\?"),
        ('title = "A"\n[loader]\noption = 1\n', r"line 4: loader.option .* Did you mean 'options'\?"),
        (
            'title = "A"\n[[source]]\nname = "a"\nbase = "https://a"\n[[source]]\nname = "b"\nbas = "https://b"\n',
            r"line 6: source.1.base is missing[\s\S]*line 8: source.1.bas .* Did you mean 'base'\?",
        ),
        ('title = "A"\n[[source]]\nname = "a"\nbase = "file:///etc/passwd"\n', r"line 5: source.0.base: .* https://"),
        (
            'title = "A"\n[[source]]\nname = "a"\nbase = "http://a.org"\n',
            r"line 5: source.0.base: expected an address that starts with https://, got 'http://a.org', from which no "
            r'file is taken. Give one of https, or write kind = "page" if it is for people.$',
        ),
        (
            'title = "A"\n[[source]]\nname = "a"\nbase = "https://[a/b"\n',
            r"line 5: source.0.base: .* from which no file",
        ),
        ('title = "A"\n[[source]]\nname = "a"\nkind = "page"\nbase = "a.org"\n', r"line 6: source.0.base: .* https://"),
        ('title = "A"\nn_participants = "20"\n', r"line 3: n_participants: expected .*'unknown', got '20'"),
        ('title = "A"\nn_participants = 0\n', r"line 3: n_participants: expected greater than 0"),
        ('title = "A"\nverified = "no"\n', r"line 3: verified: .* got 'no'"),
        ('title = "A"\naccess = "free"\n', r"line 3: access: expected 'open', 'login' or 'manual', got 'free'"),
        ('title = "A"\n[eeg]\nline_freq = "50 Hz"\n', r"line 4: eeg.line_freq: expected .*'unknown', got '50 Hz'"),
        ('title = "A"\nlicence_verified = true\n', r"line 3: licence_verified"),
        ('title = "A"\nfolder = "/tmp"\n', r"line 3: 'folder' is no setting"),
        ('citations = ["a"]\n', r"line 1: title is missing"),
        ('title = "A\n', r"cannot be read as TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(toml, message, tmp_path):
    with pytest.raises(ValueError, match=r"dataset\.toml.*" + message):
        load_manifest(made(tmp_path, toml))


def test_pages_for_people_need_no_https_and_this_machine_none_either(tmp_path):
    toml = 'title = "A"\n[[source]]\nname = "a"\nkind = "page"\nbase = "http://a.org"\n'
    toml += '[[source]]\nname = "b"\nbase = "http://localhost:8000/b"\n'
    assert [one.base for one in load_manifest(made(tmp_path, toml)).sources] == [
        "http://a.org",
        "http://localhost:8000/b",
    ]


def test_the_id_is_the_name_of_the_folder(tmp_path):
    folder = made(tmp_path).rename(tmp_path / "two")
    with pytest.raises(ValueError, match=r"line 1: expected the name of the folder, 'two', got 'one'"):
        load_manifest(folder)


def test_a_manifest_cannot_be_changed_and_sources_come_by_priority(tmp_path):
    toml = 'title = "A"\nlicence_verified = 2026-11-01\n'
    for name, priority in (("c", 3), ("a", 1), ("b", 2)):
        toml += f'[[source]]\nname = "{name}"\nbase = "https://{name}"\npriority = {priority}\n'
    manifest = load_manifest(made(tmp_path, toml))
    assert [source.name for source in manifest.sources] == ["a", "b", "c"]
    assert manifest.licence_verified == datetime.date(2026, 11, 1)
    with pytest.raises(ValidationError, match="frozen"):
        manifest.licence = "CC0-1.0"


# ---- what is wrong in a table ---------------------------------------------------------------------------------------

HOSTILE = ["/etc/passwd", "../../x", "a/../../x", "a/./b", "a//b", "..", "C:/x", "c:x", "a\\b", "a/", "a\x01b", "\x7f"]


@pytest.mark.parametrize("column", ["path", "source_path", "archive"])
@pytest.mark.parametrize("path", HOSTILE)
def test_paths_that_lead_elsewhere_are_refused(column, path, tmp_path):
    cells = {"path": "a.wav", "source_path": "", "archive": "", column: path}
    row = f"{cells['path']}\t1\tmd5\t{MD5}\tstim\t*\t{cells['source_path']}\t{cells['archive']}\n"
    manifest = load_manifest(made(tmp_path, files=f"{FILES}b.wav\t\t\t\tstim\t*\t\t\n{row}"))
    with pytest.raises(ValueError, match=r"files\.tsv, line 3: expected a path"):
        manifest.files  # noqa: B018 -- read when asked for


@pytest.mark.parametrize("path", HOSTILE)
def test_a_file_cannot_be_made_with_such_a_path(path, tmp_path):
    with pytest.raises(ValidationError, match="expected a path"):
        File(path=path, role="stim")
    with pytest.raises(ValueError, match="expected a path"):
        load_manifest(made(tmp_path, stimuli=f"stim_id\tpath\na\t{path}\n")).stimuli  # noqa: B018


PEOPLE = "participant_id\tage\n"


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        ("participants", PEOPLE + "01\t30\n\n02\t40\n", "line 3: an empty row"),
        ("participants", PEOPLE + "01\t30\n\t \n", "line 3: an empty row"),
        ("participants", PEOPLE + "01\t30\n\t40\n", "line 3: participant_id: expected a name, got ''"),
        ("participants", PEOPLE + "n/a\t30\n", "line 2: participant_id: expected a name"),
        (
            "participants",
            PEOPLE + "01\t30\n02\t3\nsub-01\t40\n",
            "line 4: participant_id '01' stands in line 2 already",
        ),
        ("participants", PEOPLE + "=cmd\t30\n", "line 2: expected a participant of letters and digits"),
        ("participants", PEOPLE + " 01\t30\n", "line 2: expected a participant of letters and digits"),
        ("participants", PEOPLE + "01\t30\t5\n", "line 2: expected 2 cells, got 3"),
        ("participants", PEOPLE + "01\n", "line 2: expected 2 cells, got 1"),
        ("participants", b"participant_id\tname\n01\tAnna\n02\tJos\xe9\n", "line 3: expected UTF-8"),
        ("participants", "id\tage\n01\t3\n", "line 1: .*participant_id is missing"),
        ("participants", "participant_id\tage\tage\n01\t3\t4\n", "line 1: expected a name of its own"),
        ("participants", "", "line 1: expected a name of its own"),
        ("stimuli", "stim_id\tduration_s\na\t12.5\nb\t12,5\n", "line 3: duration_s: .* '12,5'. Write a decimal point"),
        ("stimuli", "stim_id\tduration\na\t1\n", "line 1: 'duration' is no column here. Did you mean 'duration_s'"),
        ("trials", "participant\tstim_id\tonset_s\n*\ta\tsoon\n", "line 2: onset_s: expected a number, got 'soon'"),
        ("trials", "participant\tstim_id\tonset_s\n*\ta\t1_0\n", "line 2: onset_s: expected a number"),
        ("trials", "participant\tstim_id\n\ta\n", "line 2: participant: expected a name"),
        ("channels", "name\tx\nCz\tnan\n", "line 2: x: expected a number, got 'nan'"),
        ("channels", "name\nCz\nCz\n", "line 3: name 'Cz' stands in line 2 already"),
        (
            "files",
            FILES + f"a\t1\tmd5\t{MD5}\tstim\t*\t\t\na\t2\t\t\tstim\t*\t\t\n",
            "line 3: path 'a' stands in line 2",
        ),
        ("files", FILES + f"a\t1\tmd5\t{SHA}\tstim\t*\t\t\n", "line 2: expected the digest of sha256"),
        ("files", FILES + f"a\t1\tsha1\t{SHA}\tstim\t*\t\t\n", "line 2: expected the digest of sha256"),
        ("files", FILES + f"a\t1\tmd5\t{MD5.upper()}\tstim\t*\t\t\n", "line 2: expected the digest .* lower case"),
        ("files", FILES + f"a\t-1\tmd5\t{MD5}\tstim\t*\t\t\n", "line 2: bytes: expected a whole number, got '-1'"),
        ("files", FILES + f"a\t1,2\tmd5\t{MD5}\tstim\t*\t\t\n", "line 2: bytes: expected a whole number, got '1,2'"),
        ("files", FILES + f"a\t1\tmd5\t{MD5}\tsound\t*\t\t\n", "line 2: role: .*'eeg', 'stim' or 'meta'"),
        ("files", FILES + f"a\t1\tmd5\t{MD5}\tstim\t*\t\tx.zip\n", "line 2: no row for the archive 'x.zip'"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(table, content, message, tmp_path):
    with pytest.raises(ValueError, match=rf"{table}\.tsv, {message}"):
        getattr(load_manifest(made(tmp_path, **{table: content})), table)


def test_marks_and_line_ends_of_other_programs_are_read_over_and_ids_stay_texts(tmp_path):
    content = b"\xef\xbb\xbfparticipant_id\tname\r\n001\tJos\xc3\xa9\r\nsub-1\tAnna\r\n"
    manifest = load_manifest(made(tmp_path, participants=content))
    assert manifest.participants == ({"participant_id": "001", "name": "José"}, {"participant_id": "1", "name": "Anna"})


def test_tables_agree_with_each_other(tmp_path):
    people, sounds = "participant_id\n01\n", "stim_id\nbach\n"
    cases = {
        "trials": ("participant\tstim_id\n01\tbach\n*\tn/a\n02\tbach\n", "line 4: '02' is not in participants.tsv"),
        "files": (FILES + "a\t\t\t\teeg\t1\t\t\n", r"line 2: '1' is not in participants.tsv. Did you mean '01'\?"),
    }
    for table, (content, message) in cases.items():
        manifest = load_manifest(made(tmp_path, participants=people, stimuli=sounds, **{table: content}))
        with pytest.raises(ValueError, match=message):
            getattr(manifest, table)
    manifest = load_manifest(
        made(tmp_path, participants=people, stimuli=sounds, trials="participant\tstim_id\n*\tbah\n")
    )
    with pytest.raises(ValueError, match=r"line 2: 'bah' is not in stimuli.tsv. Did you mean 'bach'\?"):
        manifest.trials  # noqa: B018


def test_a_verified_manifest_has_all_digests(tmp_path):
    content = FILES + f"a\t1\tmd5\t{MD5}\tstim\t*\t\t\nb\t1\t\t\tstim\t*\t\t\n"
    assert load_manifest(made(tmp_path, files=content)).files[1].digest is None
    verified = load_manifest(made(tmp_path, 'title = "A"\nverified = true\n', files=content))
    with pytest.raises(ValueError, match="line 3: b has no digest"):
        verified.files  # noqa: B018


def test_trials_are_those_of_one_or_of_all(tmp_path):
    trials = "participant\tstim_id\n*\tfirst\nsub-02\tsecond\n"
    known = load_manifest(made(tmp_path, trials=trials, participants="participant_id\n01\n02\n"))
    assert [tuple(row.values()) for row in iter_trials(known)] == [("01", "first"), ("02", "first"), ("02", "second")]
    assert [row["stim_id"] for row in iter_trials(known, "sub-02")] == ["first", "second"]
    with pytest.raises(ValueError, match=r"no participant '2'. Did you mean '02'\?"):
        next(iter_trials(known, "2"))
    open_ended = load_manifest(made(tmp_path, trials=trials, name="two"))
    assert [row["participant"] for row in iter_trials(open_ended)] == ["*", "02", "02"]


# ---- where manifests are looked for ---------------------------------------------------------------------------------


def test_own_manifests_count_before_those_that_come_with_eegic(tmp_path, monkeypatch):
    own, kept = tmp_path / "own", tmp_path / "data" / "manifests"
    made(own, 'title = "Mine"\n', "ds004408")
    made(kept, 'title = "Kept"\n', "ds004408")
    made(kept, 'title = "Kept"\n', "other")
    monkeypatch.setenv("EEGIC_DATA", str(kept.parent))
    monkeypatch.setenv("EEGIC_MANIFESTS", f"{own}{os.pathsep}")
    assert manifest_folders() == [own, kept, SHIPPED]
    assert load_manifest("ds004408").title == manifests.manifests()["ds004408"].title == "Mine"
    assert load_manifest("other").title == "Kept"
    assert load_manifest(SHIPPED / "ds004408").title != "Mine"
    assert load_manifest(str(own / "ds004408" / "dataset.toml")).title == "Mine"


def test_a_folder_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("EEGIC_MANIFESTS", str(tmp_path / "gone"))
    with pytest.raises(NotADirectoryError, match="EEGIC_MANIFESTS: .*gone is no folder"):
        manifest_folders()


@pytest.mark.parametrize("name", ["dilibahc", "", "..", "nowhere/dilibahc"])
def test_an_unknown_name_gives_the_closest_one_and_where_it_was_looked_for(name):
    with pytest.raises(FileNotFoundError, match=r"no manifest of that name.*Searched in .*data_manifests") as caught:
        load_manifest(name)
    assert ("Did you mean 'dilibach'?" in str(caught.value)) == (name == "dilibahc")


# ---- making manifests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"SHA256E-s31322156--{SHA}.wav", AnnexKey(31322156, "sha256", SHA)),
        (f"../../.git/annex/objects/1p/Kx/SHA256E-s7--{SHA}.eeg/SHA256E-s7--{SHA}.eeg", AnnexKey(7, "sha256", SHA)),
        (f"/annex/objects/MD5E-s12--{MD5}.nii.gz\n", AnnexKey(12, "md5", MD5)),
        (f"SHA256-s7-m1700000000--{SHA}", AnnexKey(7, "sha256", SHA)),
        (f"..\\.git\\annex\\objects\\MD5-s0--{MD5}", AnnexKey(0, "md5", MD5)),
        ("WORM-s5-m1700000000--notes.txt", AnnexKey(5, None, None)),
        ("URL--https&c%%example.org%a.wav", AnnexKey(None, None, None)),
        (f"SHA256E-s7--{SHA[:-1]}.wav", None),
        (f"SHA256E-s7--{SHA}0.wav", None),
        (f"SHA256E-s7-S100-C1--{SHA}.wav", None),
        ("../stimuli/bach.wav", None),
        ("", None),
    ],
)
def test_annex_keys_tell_size_and_digest(text, key):
    assert annex_key(text) == key


def clone(root):
    """Make what a plain clone of an OpenNeuro repository looks like."""
    (root / ".git" / "annex").mkdir(parents=True)
    (root / ".git" / "config").write_text("hidden")
    for folder in ("sub-001/eeg", "sub-002/ses-01/eeg", "stimuli", "derivatives/sub-002/audio", "code"):
        (root / folder).mkdir(parents=True)
    described = '{"Name": " Speech\\n", "License": "CC0", "DatasetDOI": "doi:10.18112/x.v1", "Authors": ["A"]}'
    (root / "dataset_description.json").write_text(described)
    (root / "participants.tsv").write_text("participant_id\tage\nsub-002\t31\nsub-001\t30\n")
    (root / "code" / "run.m").write_text("")
    (root / "stimuli" / "a.TextGrid").write_text(f"/annex/objects/MD5E-s12--{MD5}.TextGrid\n")
    objects = "../../.git/annex/objects/x/y"
    (root / "sub-001/eeg/sub-001_task-x_eeg.eeg").symlink_to(f"{objects}/SHA256E-s7--{SHA}.eeg/SHA256E-s7--{SHA}.eeg")
    (root / "sub-001/eeg/sub-001_task-x_eeg.json").write_text("{}")
    (root / "sub-002/ses-01/eeg/sub-002_ses-01_task-x_eeg.set").symlink_to(f"../{objects}/SHA256E-s8--{SHA}.set")
    (root / "derivatives/sub-002/audio/heard 😀.flac").symlink_to(f"../{objects}/MD5E-s9--{MD5}.flac")
    return root


def test_a_plain_clone_is_enough_for_a_manifest(tmp_path):
    manifest = manifest_from_tree(
        clone(tmp_path / "clone"), "x1", to=tmp_path / "to", about={"eeg": {"line_freq": 50.0}}
    )
    files = {file.path: (file.role, file.participant, file.bytes, file.digest) for file in manifest.files}
    empty = hashlib.sha256(b"").hexdigest()
    json = hashlib.sha256(b"{}").hexdigest()
    assert files.pop("dataset_description.json")[:2] == files.pop("participants.tsv")[:2] == ("meta", "*")
    assert files == {
        "code/run.m": ("meta", "*", 0, empty),
        "derivatives/sub-002/audio/heard 😀.flac": ("stim", "002", 9, MD5),
        "stimuli/a.TextGrid": ("stim", "*", 12, MD5),
        "sub-001/eeg/sub-001_task-x_eeg.eeg": ("eeg", "001", 7, SHA),
        "sub-001/eeg/sub-001_task-x_eeg.json": ("meta", "001", 2, json),
        "sub-002/ses-01/eeg/sub-002_ses-01_task-x_eeg.set": ("eeg", "002", 8, SHA),
    }
    assert manifest.participants == ({"participant_id": "001", "age": "30"}, {"participant_id": "002", "age": "31"})
    assert (manifest.title, manifest.licence, manifest.doi) == ("Speech", "CC0-1.0", "10.18112/x.v1")
    assert (manifest.format, manifest.n_participants, manifest.n_files) == ("bids", 2, 8)
    assert manifest.files_complete and not manifest.verified and manifest.eeg.line_freq == 50
    assert manifest.size == sum(file.bytes for file in manifest.files)


def test_what_was_computed_is_no_data(tmp_path):
    root = clone(tmp_path / "clone")
    before = manifest_from_tree(root, "before", to=tmp_path / "to")
    described = {
        "results/logs/run.json": "{}",
        "results/published.json": "{}",
        "results/group/group.npz": "numbers",
        "derivatives/eegic/dataset_description.json": '{"DatasetType": "derivative"}',
        "derivatives/eegic/sub-001/eeg/sub-001_task-x_tracking.npz": "numbers",
    }
    raw = {
        "second/dataset_description.json": '{"DatasetType": "raw"}',
        "second/a.wav": "sound",
        "third/dataset_description.json": f"/annex/objects/MD5E-s12--{MD5}.json\n",
        "third/b.wav": "sound",
    }
    for name, content in {**described, **raw}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    after = manifest_from_tree(root, "after", to=tmp_path / "to")
    assert {file.path for file in after.files} == {file.path for file in before.files} | set(raw)
    (root / "dataset_description.json").write_text('{"DatasetType": "derivative"}')
    assert manifest_from_tree(root, "itself", to=tmp_path / "to").files, "a folder that was asked for is listed"


def test_participants_are_written_without_their_prefix(tmp_path):
    manifest = manifest_from_tree(clone(tmp_path / "clone"), "x1", to=tmp_path / "to")
    assert (manifest.folder / "participants.tsv").read_text() == "participant_id\tage\n001\t30\n002\t31\n"


def test_a_listing_of_keys_does_as_well(tmp_path):
    listing = {
        f"dataCND/dataSub{i}.mat": f"../.git/annex/objects/SHA256E-s{i}--{SHA}.mat/SHA256E-s{i}--{SHA}.mat"
        for i in (10, 9)
    }
    manifest = manifest_from_tree({**listing, "dataCND/dataStim.mat": f"MD5E-s3--{MD5}.mat"}, "cnd", to=tmp_path)
    assert [(file.path, file.role, file.participant, file.bytes) for file in manifest.files] == [
        ("dataCND/dataStim.mat", "stim", "*", 3),
        ("dataCND/dataSub10.mat", "eeg", "10", 10),
        ("dataCND/dataSub9.mat", "eeg", "9", 9),
    ]
    assert manifest.format == "cnd" and manifest.participant_ids == ("9", "10")
    with pytest.raises(ValueError, match=r"a\.wav: expected a key of git-annex, .* got 'b\.wav'"):
        manifest_from_tree({"a.wav": "b.wav"}, "other", to=tmp_path)
    with pytest.raises(ValueError, match="expected a path that is relative"):
        manifest_from_tree({"/etc/passwd": f"MD5E-s3--{MD5}"}, "other", to=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cnd"]


def test_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.wav").symlink_to("nowhere.wav")
    with pytest.raises(ValueError, match=r"a\.wav: neither a file nor a link of git-annex"):
        manifest_from_tree(tmp_path / "set", "x", to=tmp_path)


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    try:
        (tmp_path / "set" / os.fsdecode(b"\xe9.wav")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system holds no such name")
    with pytest.raises(ValueError, match="expected a name that is UTF-8"):
        manifest_from_tree(tmp_path / "set", "x", to=tmp_path)


def test_names_of_all_kinds_come_back(tmp_path):
    names = [
        "do wah ditty.wav",
        'it\'s "so".wav',
        "😀.wav",
        "Bach.wav",
        "bach.wav",
        "#1.wav",
        "a" * 300,
        "nul",
        " a ",
        "n.a",
    ]
    names += [unicodedata.normalize(form, "Café.wav") for form in ("NFC", "NFD")]
    files = [File(path=name, bytes=i, algo="md5", digest=MD5, role="stim") for i, name in enumerate(names)]
    about = {
        "id": "x",
        "title": 'A "set"\n\x7f\u2028é',
        "loader": {"options": {"sounds": {"a b.c": "é"}, "n": [1, 2.5]}},
    }
    first = write_manifest(tmp_path, about, files=files)
    assert {file.path: file for file in first.files} == {file.path: file for file in files}
    assert first.title == about["title"] and first.loader.options == about["loader"]["options"]
    written = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    write_manifest(tmp_path, about, files=files[::-1], overwrite=True)
    assert written == {path.name: path.read_bytes() for path in first.folder.iterdir()}, "rows are sorted"
    assert not any(b"\r" in content for content in written.values())


def test_what_cannot_be_read_is_not_written(tmp_path):
    good = write_manifest(tmp_path, {"id": "x", "title": "A"}, stimuli=[{"stim_id": "a"}])
    before = {path.name: path.read_bytes() for path in good.folder.iterdir()}
    bad = [
        ({"id": "x", "title": "A", "licnce": "b"}, {}, "Did you mean 'licence'"),
        ({"id": "x", "title": "A"}, {"files": [File(path="a\u0085b", role="stim")] * 2}, "stands in line 2 already"),
        ({"id": "x", "title": "A"}, {"stimuli": [{"stim_id": "a\tb"}]}, "a tab or a line end"),
        ({"id": "../x", "title": "A"}, {}, "It names a folder"),
    ]
    for about, tables, message in bad:
        with pytest.raises(ValueError, match=message):
            write_manifest(tmp_path, about, **tables, overwrite=True)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_manifest(tmp_path, {"id": "x", "title": "B"})
    assert before == {path.name: path.read_bytes() for path in good.folder.iterdir()}
    assert write_manifest(tmp_path, {"id": "x", "title": "B"}, overwrite=True).stimuli == ()
