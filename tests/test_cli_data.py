"""Data sets from the command line: what is known is said, what is wanted comes, what is wrong is named."""

import hashlib
import io
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner
from webserver import serving

from eegic.cli import app, main
from eegic.cli.words import in_a_shell, table
from eegic.datasets.public.manifest import load_manifest

FILES = {
    "sub-01/eeg/sub-01_task-x_eeg.edf": (b"one" * 400, "eeg", "01"),
    "sub-02/eeg/sub-02_task-x_eeg.edf": (b"two" * 500, "eeg", "02"),
    "stimuli/air.wav": (b"air" * 100, "stim", "*"),
    "participants.tsv": (b"participant_id\n01\n02\n", "meta", "*"),
}
ABOUT = """id = "{id}"
title = "Two people and an air"
licence = "{licence}"
stimuli_licence = "CC-BY-4.0"
licence_source = "README"
citations = ["10.1234/air", "Bach, J. S. (1731)"]
access = "open"
n_participants = 2
stimuli_audio_included = true
format = "bids"
size = 3021
files_complete = true
verified = true

[eeg]
n_channels = 8

[[source]]
name = "here"
base = "{base}"

[loader]
reader = "bids"
known_problems = ["The second violin is late."]
"""


@pytest.fixture(scope="module")
def server():
    """A server that has the files."""
    with serving() as site:
        site.files = {path: content for path, (content, *_) in FILES.items()}
        yield site


@pytest.fixture
def known(server, tmp_path, monkeypatch):
    """A folder of manifests with `air`, whose files the server has; data go to a folder of the test."""
    server.asked.clear()
    monkeypatch.delenv("EEGIC_OFFLINE")
    monkeypatch.setenv("EEGIC_MANIFESTS", str(tmp_path / "known"))
    monkeypatch.setenv("EEGIC_DATA", str(tmp_path / "data"))
    write_manifest(tmp_path / "known", server.url)
    return tmp_path


def write_manifest(known, base, licence="CC0-1.0", name="air", files=FILES):
    rows = ["path\tbytes\talgo\tdigest\trole\tparticipant"]
    for path, (content, role, participant) in files.items():
        digest = hashlib.sha256(content).hexdigest()
        rows.append(f"{path}\t{len(content)}\tsha256\t{digest}\t{role}\t{participant}")
    (known / name).mkdir(parents=True, exist_ok=True)
    (known / name / "dataset.toml").write_text(ABOUT.format(id=name, base=base, licence=licence))
    (known / name / "files.tsv").write_text("\n".join(rows) + "\n")
    (known / name / "participants.tsv").write_text("participant_id\n01\n02\n")


@pytest.fixture
def data(monkeypatch, capsys):
    """Run `eegic data`; the exit code, and what it said and complained of."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eegic", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def there(folder):
    """The files in a folder, but for hidden ones."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file()}


class TestKnowing:
    def test_the_list_has_a_line_for_each(self, data, known):
        code, said, complained = data("list")
        assert (code, complained) == (0, "")
        head, *lines = said.splitlines()
        assert head.split() == ["name", "people", "channels", "sound", "size", "licence", "verified"]
        (air,) = (line for line in lines if line.startswith("air "))
        assert re.split(r"\s{2,}", air) == ["air", "2", "8", "yes", "3.0 kB", "CC0-1.0", "yes"]

    def test_info_says_what_is_known_and_what_is_not(self, data, known):
        code, said, _ = data("info", "air")
        assert code == 0 and said.startswith("air: Two people and an air\n")
        for line in (
            r"licence +CC0-1\.0", r"stimuli_licence +CC-BY-4\.0", r"doi +unknown", r"eeg\.n_channels +8",
            r"eeg\.line_freq +unknown", r"verified +yes", r"source +http://127\.0\.0\.1:\d+ \(here\)",
            r"files listed +4 \(2 eeg, 1 meta, 1 stim\)", r"participants +01, 02", r"trials listed +none",
            r"Known problems:\n  - The second violin is late\.",
            r"Please cite:\n  - https://doi\.org/10\.1234/air\n  - Bach, J\. S\. \(1731\)",
        ):  # fmt: skip
            assert re.search(rf"^{line}$", said, re.M), (line, said)

    def test_a_manifest_may_be_named_by_its_folder(self, data, known, monkeypatch):
        monkeypatch.delenv("EEGIC_MANIFESTS")
        assert data("info", known / "known" / "air")[1].startswith("air: Two people")

    def test_an_unknown_name_is_answered_with_names(self, data, known):
        for command in ("info", "fetch", "verify", "status"):
            code, said, complained = data(command, "aire")
            assert (code, said) == (2, "")
            assert complained.startswith("eegic: aire: ") and "Did you mean 'air'?" in complained


class TestFetching:
    def test_all_comes_and_is_right(self, data, known, server):
        code, said, complained = data("fetch", "air", "--accept-licence")
        assert (code, complained) == (0, "")
        assert there(known / "data" / "air") == set(FILES) == set(server.paths_asked())
        size = sum(len(content) for content, *_ in FILES.values())
        for line in (
            f"-> {known / 'data' / 'air'}", f"wanted +4 files, {size / 1000:.1f} kB", "there +none",
            r"licence of the recordings +CC0-1\.0", r"licence of the sounds +CC-BY-4\.0",
            rf"4 files, {size / 1000:.1f} kB fetched; 0 there before\.",
        ):  # fmt: skip
            assert re.search(f"^{line}$", said, re.M), (line, said)
        assert data("verify", "air") == (0, f"air in {known / 'data' / 'air'}: 4 files, 3.0 kB\n4 ok\n", "")
        assert data("status", "air")[0] == 0

    def test_what_is_there_does_not_come_again(self, data, known, server):
        data("fetch", "air", "--accept-licence")
        server.asked.clear()
        code, said, _ = data("fetch", "air")
        assert code == 0 and said.endswith("All was there.\n") and not server.asked

    def test_one_participant_comes_alone_and_to_where_it_is_wanted(self, data, known, server):
        to = known / "here"
        data("fetch", "air", "--participant", "sub-02", "--include", "eeg, stim", "--to", to, "--accept-licence")
        assert there(to) == set(server.paths_asked()) == {"sub-02/eeg/sub-02_task-x_eeg.edf", "stimuli/air.wav"}
        assert not (known / "data").exists()
        assert data("status", "air", "--in", to, "--participant", "02", "--include", "eeg,stim")[0] == 0
        code, said, _ = data("status", "air", "--in", to)
        assert code == 1 and re.search(r"^all +2 files, 1\.8 kB +4 files, 3\.0 kB$", said, re.M)
        assert re.search(r"^01 +none +1 file, 1\.2 kB$", said, re.M)

    def test_a_dry_run_fetches_nothing(self, data, known, server):
        code, said, complained = data("fetch", "air", "--participant", "01", "--include", "eeg", "--dry-run")
        assert (code, complained) == (0, "")
        assert "wanted                     1 file, 1.2 kB\n" in said and "CC0-1.0" in said
        assert "sounds" not in said, "none are wanted"
        assert not server.asked and not (known / "data").exists()

    def test_sizes_that_are_not_known_are_not_counted_as_nothing(self, data, known):
        listed = known / "known" / "air" / "files.tsv"
        listed.write_text(listed.read_text().replace("\t1200\t", "\t\t"))
        assert "wanted                     4 files, above 1.8 kB\n" in data("fetch", "air", "--dry-run")[1]
        _, said, _ = data("fetch", "air", "--participant", "01", "--include", "eeg", "--accept-licence")
        assert "wanted                     1 file, unknown size\n" in said and "1 file, 1.2 kB fetched" in said
        assert re.search(r"^01 +1 file, unknown size +1 file, unknown size$", data("status", "air")[1], re.M)

    @pytest.mark.parametrize(
        ("licence", "flags", "asked"),
        [
            ("CC0-1.0", (), "--accept-licence"),
            ("unknown", (), "--accept-unknown-licence and --accept-licence"),
            ("unknown", ("--accept-licence",), "--accept-unknown-licence"),
        ],
    )
    def test_without_consent_the_flag_is_named_and_nothing_comes(self, data, known, server, licence, flags, asked):
        write_manifest(known / "known", server.url, licence)
        code, said, complained = data("fetch", "air", *flags)
        assert code == 2 and f"licence of the recordings  {licence}" in said
        assert complained.endswith(f"pass {asked}.\n") and "=True" not in complained
        assert not server.asked and not (known / "data").exists()

    @pytest.mark.parametrize(
        ("flags", "answers", "code"),
        [((), "y\ny\n", 0), ((), "n\n", 1), ((), "y\nn\n", 1), (("--accept-licence",), "y\n", 0)],
    )
    def test_in_a_terminal_it_asks(self, data, known, server, monkeypatch, flags, answers, code):
        write_manifest(known / "known", server.url, "unknown")
        keyboard = io.StringIO(answers)
        monkeypatch.setattr(keyboard, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", keyboard)
        left, said, _ = data("fetch", "air", *flags)
        assert left == code and said.count("[y/N]") == answers.count("\n")
        assert set(server.paths_asked()) == (set() if code else set(FILES))
        assert not keyboard.read(), "no question too few"

    def test_an_incomplete_list_is_refused_and_shown(self, data, known, server):
        about = known / "known" / "air" / "dataset.toml"
        text = about.read_text().replace("files_complete = true", "files_complete = false\nn_files = 99")
        about.write_text('homepage = "https://air.org"\n' + text)
        for flags in ((), ("--dry-run",), ("--participant", "01")):
            code, said, complained = data("fetch", "air", "--accept-licence", *flags)
            assert (code, said) == (2, "") and complained == (
                "eegic: air: this manifest lists 4 of 99 files, which is not enough to analyse. Get the data set from "
                "https://air.org, then `eegic data add FOLDER --id air` completes the list. To fetch what is listed "
                "all the same, pass --incomplete.\n"
            )
        assert not server.asked and not (known / "data").exists()
        said = data("info", "air")[1]
        assert re.search(r"^files listed +4 of 99 \(2 eeg, 1 meta, 1 stim\)$", said, re.M)
        assert all(f"\n  - {path}\n" in said for path in FILES)
        assert data("fetch", "air", "--accept-licence", "--incomplete")[0] == 0
        assert there(known / "data" / "air") == set(FILES)
        for command in ("status", "verify"):
            code, said, _ = data(command, "air")
            assert code == 0 and "lists 4 of 99 files of the data set" in said

    @pytest.mark.parametrize("command", ["fetch", "verify", "status"])
    def test_without_a_list_the_page_is_named(self, data, known, command):
        about = known / "known" / "air" / "dataset.toml"
        about.write_text('homepage = "https://air.org"\n' + about.read_text())
        (about.parent / "files.tsv").unlink()
        code, said, complained = data(command, "air")
        assert (code, said) == (2, "") and complained == (
            "eegic: air: no files are listed. Get the data set from https://air.org; `eegic data add FOLDER --id air` "
            "then lists them.\n"
        )

    def test_offline_says_so(self, data, known, monkeypatch, server):
        monkeypatch.setenv("EEGIC_OFFLINE", "1")
        code, _, complained = data("fetch", "air", "--accept-licence")
        assert code == 2 and "EEGIC_OFFLINE" in complained and not server.asked

    def test_a_stop_says_how_to_go_on(self, data, known, monkeypatch):
        def stopped(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("eegic.datasets.public.fetch.fetch", stopped)
        code, _, complained = data("fetch", "air", "--accept-licence")
        assert (code, complained) == (130, "eegic: stopped; the same command goes on.\n")

    @pytest.mark.parametrize("command", ["fetch", "verify", "status"])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--participant", "3"), "participants: expected one of '01', '02', got '3'"),
            (("--include", "eeg,stimuli"), "include: expected one of 'eeg', 'stim', 'meta', got 'stimuli'. Did you"),
            (("--include", "meta"), "--include: expected some of what air lists (`eegic data info`), got 'meta'."),
        ],
    )
    def test_wrong_wishes_are_said_once(self, data, known, server, command, options, message):
        write_manifest(known / "known", server.url, files={k: v for k, v in FILES.items() if v[1] != "meta"})
        code, said, complained = data(command, "air", *options)
        assert (code, said) == (2, "") and complained.count(message) == complained.count("\n") == 1


class TestChecking:
    def test_what_is_missing_or_wrong_is_named(self, data, known):
        data("fetch", "air", "--accept-licence")
        root = known / "data" / "air"
        (root / "stimuli" / "air.wav").write_bytes(b"hum" * 100)
        (root / "sub-01/eeg/sub-01_task-x_eeg.edf").write_bytes(b"short")
        (root / "participants.tsv").unlink()
        code, said, _ = data("verify", "air")
        assert code == 1
        digests = "expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}"
        assert re.search(rf"^wrong digest: stimuli/air\.wav \({digests}\)$", said, re.M)
        assert "wrong size: sub-01/eeg/sub-01_task-x_eeg.edf (expected 1200 bytes, got 5)\n" in said
        assert "missing: participants.tsv\n" in said and "sub-02" not in said
        counts = said.splitlines()[-1].split(", ")
        assert sorted(counts) == ["1 missing", "1 ok", "1 wrong digest", "1 wrong size"]
        assert data("verify", "air", "--participant", "02", "--include", "eeg")[0] == 0

    def test_nothing_there_is_not_right(self, data, known):
        code, said, _ = data("verify", "air", "--include", "eeg")
        assert code == 1 and said.endswith("\n2 missing\n")
        code, said, _ = data("status", "air", "--include", "eeg")
        assert code == 1 and [line.split()[0] for line in said.splitlines()[1:]] == ["what", "eeg", "01", "02", "all"]

    def test_status_sees_sizes_alone(self, data, known):
        data("fetch", "air", "--accept-licence")
        (known / "data" / "air" / "stimuli" / "air.wav").write_bytes(b"hum" * 100)
        assert data("status", "air")[0] == 0
        (known / "data" / "air" / "stimuli" / "air.wav").unlink()
        code, said, _ = data("status", "air")
        assert code == 1 and re.search(r"^stim +none +1 file, 300 bytes$", said, re.M)
        assert re.search(r"^shared +1 file, 21 bytes +2 files, 321 bytes$", said, re.M)

    def test_the_mended_file_comes_again(self, data, known, server):
        data("fetch", "air", "--accept-licence")
        wrong = known / "data" / "air" / "stimuli" / "air.wav"
        wrong.write_bytes(b"hum" * 100)
        server.asked.clear()
        code, said, _ = data("fetch", "air", "--accept-licence")
        assert code == 0 and said.endswith("1 file, 300 bytes fetched; 3 there before.\n")
        assert server.paths_asked() == ["stimuli/air.wav"] and wrong.read_bytes() == FILES["stimuli/air.wav"][0]


class TestAdding:
    @pytest.fixture
    def at_hand(self, known):
        for path, (content, *_) in FILES.items():
            (known / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
            (known / "mine" / path).write_bytes(content)
        return known / "mine"

    def test_what_is_at_hand_becomes_a_manifest_that_verifies(self, data, known, at_hand):
        code, said, complained = data(
            "add", at_hand, "--id", "mine", "--to", known / "known", "--set", "licence=PDDL-1.0",
            "--set", "version=2", "--set", "eeg.line_freq=50.0",
        )  # fmt: skip
        assert (code, complained) == (0, "")
        assert said.startswith(f"mine: 4 files, 3.0 kB -> {known / 'known' / 'mine'}\n")
        manifest = load_manifest("mine")
        assert {file.path: (file.role, file.participant) for file in manifest.files} == {
            path: (role, participant) for path, (_, role, participant) in FILES.items()
        }
        assert (manifest.licence, manifest.version, manifest.eeg.line_freq) == ("PDDL-1.0", "2", 50.0)
        (line,) = re.findall(r"^Unknown: (.*)\.$", said, re.M)
        assert {"doi", "stimuli_licence", "eeg.reference"} <= set(line.split(", "))
        assert not {"licence", "eeg.line_freq"} & set(line.split(", "))
        assert data("verify", "mine", "--in", at_hand)[0] == 0
        assert "mine " in data("list")[1]

    def test_an_incomplete_list_is_completed_and_the_rest_stays(self, data, known, at_hand, monkeypatch):
        air = known / "known" / "air"
        (air / "dataset.toml").write_text(
            (air / "dataset.toml").read_text().replace("files_complete = true", "files_complete = false")
        )
        listed = air / "files.tsv"
        listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:2]))
        (air / "stimuli.tsv").write_text("stim_id\tpath\nair\tstimuli/air.wav\n")
        (air / "trials.tsv").write_text("participant\tstim_id\n01\tair\n")
        (at_hand / "participants.tsv").unlink()
        code, said, _ = data("add", at_hand, "--id", "air", "--to", known / "new", "--set", "eeg.line_freq=50.0")
        assert code == 0 and f"taken over from {air}." in said
        before = load_manifest("air")
        monkeypatch.setenv("EEGIC_MANIFESTS", str(known / "new"))
        after = load_manifest("air")
        assert {file.path for file in after.files} == set(FILES) - {"participants.tsv"} and len(before.files) == 1
        for name in ("title", "licence", "citations", "sources", "loader", "stimuli", "trials", "participants"):
            assert getattr(after, name) == getattr(before, name), name
        assert (after.files_complete, after.n_files, after.verified) == (True, 3, False)
        assert (after.eeg.n_channels, after.eeg.line_freq) == (8, 50.0)

    def test_an_earlier_one_stays_unless_told(self, data, known, at_hand):
        command = ("add", at_hand, "--id", "air", "--to", known / "known")
        before = (known / "known" / "air" / "dataset.toml").read_text()
        code, said, complained = data(*command)
        assert (code, said) == (2, "") and "Pass --overwrite to replace it" in complained
        assert (known / "known" / "air" / "dataset.toml").read_text() == before
        assert data(*command, "--overwrite")[0] == 0 and load_manifest("air").title != "Two people and an air"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("licence", "--set: expected section.key=value, such as eeg.line_freq=50, got 'licence'"),
            ("licnece=CC0-1.0", "Did you mean 'licence'?"),
            ("eeg.n_channels=-1", "eeg.n_channels: expected"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, data, known, at_hand, change, message):
        code, _, complained = data("add", at_hand, "--id", "mine", "--to", known / "known", "--set", change)
        assert code == 2 and message in complained
        assert not (known / "known" / "mine").exists()


class TestHelp:
    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("list", ""),
            ("info", "NAME"),
            ("fetch", "NAME participant include to accept-licence accept-unknown-licence incomplete dry-run"),
            ("verify", "NAME participant include in"),
            ("status", "NAME participant include in"),
            ("add", "FOLDER id to set overwrite"),
        ],
    )
    def test_it_names_every_option(self, command, options):
        terminal = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        said = CliRunner(env=terminal).invoke(app, ["data", command, "--help"])
        assert said.exit_code == 0
        for option in options.split():
            word = option if option.isupper() else f"--{option}"
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", said.output, re.I), word

    def test_it_loads_nothing_heavy(self):
        code = (
            "import sys\nimport eegic.cli\nfor command in ([], ['fetch'], ['add']):\n"
            "    sys.argv = ['eegic', 'data', *command, '--help']\n"
            "    try: eegic.cli.main()\n    except SystemExit: pass\n"
            "heavy = {'eegic.datasets', 'torch', 'mne', 'scipy', 'pandas', 'matplotlib', 'requests', 'tqdm'}\n"
            "print(*heavy & set(sys.modules), 'HEAVY', file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr.strip() == "HEAVY" and "--dry-run" in done.stdout


def test_words_of_python_become_words_of_a_shell():
    said = "Pass overwrite=True, or accept_unknown_licence=True and accept_licence=True."
    assert in_a_shell(said) == "Pass --overwrite, or --accept-unknown-licence and --accept-licence."


def test_columns_are_as_wide_as_their_widest_cell():
    assert table([("a", "bcd", "e"), ("long", "", "f"), ("x", "y", "")]) == "a     bcd  e\nlong       f\nx     y"
