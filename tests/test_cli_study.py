"""A study from the command line: from `init` to `export`, with what is said and how it ends."""

import json
import os
import re
import shlex
import shutil
import subprocess
from functools import partial
from types import SimpleNamespace

import pytest
import small_study
from small_study import read, written
from typer.main import get_command

from eegic import cli, study
from eegic.cli import app
from eegic.study.lock import Lock
from eegic.study.results import shown_otherwise, warned

TINY = partial(study.example, n_participants=2, n_stimuli=4, duration=6.0, n_channels=4)
COMMAND = get_command(app)  # made once: that takes longer than many a command
COMMANDS = ("init", "check", "run", "status", "group", "report", "export")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return written(tmp_path_factory.mktemp("original")).parent


@pytest.fixture
def folder(tmp_path, original):
    """A copy to work on."""
    return shutil.copytree(original, tmp_path / "copy")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was run, and what was said."""
    folder, result = small_study.finished(tmp_path_factory.getbasetemp())
    return shutil.copytree(folder, tmp_path_factory.mktemp("finished") / "copy"), result


@pytest.fixture
def eegic(monkeypatch, capsys):
    """Run a command as a shell would; give its exit code, what it printed, and what it said on stderr."""
    monkeypatch.setattr(cli, "app", COMMAND)

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["eegic", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        return SimpleNamespace(exit_code=stopped.value.code or 0, output=printed.out + printed.err, said=printed.err)

    return run


def refusal(result):
    """What was said of input that cannot be."""
    assert result.exit_code == 2
    return result.said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_a_command_does_and_every_option(command, eegic):
    result = eegic(command, "--help")
    assert result.exit_code == 0
    function = getattr(cli.study, command)
    assert function.__doc__.split(".")[0].split(":")[0][:40] in re.sub(r"\s+", " ", result.output)
    options = re.findall(r"--[a-z-]+", result.output)
    assert len(set(options)) > (1 if command == "init" else 2)
    if command not in ("init",):
        assert "--set" in options


@pytest.mark.parametrize("form", ["bids", "cnd", "files", "manifest"])
def test_init_writes_a_file_that_can_be_read_and_says_what_is_next(tmp_path, form, eegic):
    file = tmp_path / "deep and dark" / "piano.toml"
    result = eegic("init", file, "--format", form)
    assert result.exit_code == 0 and result.output == f"-> {file}\nNext: eegic check '{file}'\n"
    assert file.read_text(encoding="utf-8") == study.template(form)
    assert read(file).settings.data.format == form


def test_init_writes_into_a_folder_and_where_one_stands(tmp_path, monkeypatch, eegic):
    monkeypatch.chdir(tmp_path)
    assert eegic("init").exit_code == 0 and (tmp_path / "study.toml").is_file()
    assert eegic("init", "of.piano").exit_code == 0 and (tmp_path / "of.piano" / "study.toml").is_file()
    assert read(tmp_path / "of.piano").settings.data.format == "bids"


@pytest.mark.parametrize("options", [[], ["--simulate"]])
def test_init_replaces_nothing(tmp_path, options, eegic):
    file = tmp_path / "study.toml"
    file.write_text("mine")
    said = refusal(eegic("init", tmp_path, *options))
    assert said == f"eegic: {file}: is there already. Name another file, or move it away.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"] and file.read_text() == "mine"


def test_no_study_is_simulated_among_other_files(tmp_path, monkeypatch, eegic):
    monkeypatch.setattr(study, "example", TINY)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "data.txt").write_text("mine")
    assert refusal(eegic("init", tmp_path / "full", "--simulate")).startswith(
        f"eegic: {tmp_path / 'full'}: expected an empty folder"
    )
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["data.txt"]


@pytest.mark.parametrize("found", [".hidden", "README.txt"])
def test_nothing_is_simulated_where_it_could_not_be_written(tmp_path, monkeypatch, found, eegic):
    monkeypatch.setattr("eegic.datasets.simulate_study", None)
    (tmp_path / found).write_text("mine")
    said = refusal(eegic("init", tmp_path, "--simulate"))
    assert said.startswith(f"eegic: {tmp_path}: expected an empty folder, got one that holds '{found}'. Nothing in it")
    said = refusal(eegic("init", tmp_path / found / "a.toml", "--simulate"))
    assert said.startswith(f"eegic: {tmp_path / found}: expected a folder to write into, got a file.")


@pytest.mark.parametrize("form", ["files", "bids", "cnd"])
def test_a_simulated_study_fits_its_data(tmp_path, monkeypatch, form, eegic):
    monkeypatch.setattr(study, "example", TINY)
    named = [] if form == "files" else ["--format", form]
    assert eegic("init", tmp_path / "a.study" / "mine.toml", "--simulate", *named).exit_code == 0
    result = eegic("check", tmp_path / "a.study" / "mine.toml", "--set", 'trf.added=["surprisal"]')
    assert result.exit_code == 0 and "No problem was found." in result.output
    assert re.search(r"(?m)^participants +2: '01', '02'; ", result.output)
    assert (tmp_path / "a.study" / "README.txt").is_file()


def test_unknown_forms_end_with_code_2(tmp_path, eegic):
    assert refusal(eegic("init", tmp_path / "a.toml", "--format", "edf")).startswith(
        "eegic: --format: expected one of 'bids', 'cnd', 'files', 'manifest', got 'edf'"
    )
    assert refusal(eegic("init", tmp_path / "b", "--simulate", "--format", "manifest")).startswith(
        "eegic: --format: expected one of 'files', 'bids', 'cnd', got 'manifest'"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "init"])
def test_a_file_that_cannot_be_ends_with_code_2(tmp_path, command, eegic):
    more = ["--to", tmp_path / "out"] if command == "export" else []
    assert refusal(eegic(command, tmp_path, *more)).startswith(
        f"eegic: {tmp_path / 'study.toml'}: no such file. `eegic init` writes one"
    )
    (tmp_path / "study.toml").write_text("[trf]\ntmxa = 1\n[nul]\n")
    said = refusal(eegic(command, tmp_path, *more))
    assert said.startswith("eegic: study.toml: ") and "nul: no such setting" in said
    assert "trf.tmxa: no such setting. Did you mean tmax?" in said
    said = refusal(eegic(command, tmp_path, *more, "--set", "nonsense"))
    assert said.startswith("eegic: --set: expected section.key=value")
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_check_ends_with_code_1_if_something_will_fail(folder, eegic):
    assert eegic("check", folder).exit_code == 0
    (folder / "raw" / "sub-02_events.tsv").unlink()
    result = eegic("check", folder)
    assert result.exit_code == 1 and "problem: eeg sub-02: " in result.output
    assert eegic("check", folder, "--set", 'data.exclude={"02" = "lost"}').exit_code == 0
    assert not (folder / "results").exists()


def test_a_dry_run_says_what_would_be_done(folder, eegic):
    result = eegic("run", folder, "--dry-run", "--participant", "02", "--stage", "eeg", "--stage", "tracking")
    assert result.exit_code == 0
    assert re.search(r"(?m)^eeg +1 to do +0\.0$", result.output) and "sounds" not in result.output
    assert not (folder / "results").exists()


def test_a_run_says_where_its_results_are_and_goes_on_from_them(finished, eegic):
    folder, result = finished
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"-> .*results", result.output.splitlines()[-1])
    for stage, n in (("sounds", 4), ("features", 8), ("eeg", 3), ("tracking", 3), ("group", 1), ("report", 1)):
        assert re.search(rf"(?m)^{stage} +{n} computed ", result.output)
    assert (folder / "results" / "reports" / "group.html").is_file()
    again = eegic("run", folder)
    assert again.exit_code == 0 and "computed" not in again.output and "1 there already" in again.output
    assert "nothing to do: everything is there" in eegic("check", folder).output
    assert eegic("group", folder).exit_code == eegic("report", folder).exit_code == 0


def test_status_says_what_is_there_and_prune_deletes_the_rest(finished, tmp_path, eegic):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    result = eegic("status", folder)
    assert result.exit_code == 0 and "other settings" not in result.output
    assert re.search(r"(?m)^tracking +3 +0$", result.output) and re.search(r"(?m)^sub-02 +yes +yes", result.output)
    other = ["--set", "trf.tmax=0.3"]
    result = eegic("status", folder, *other)
    assert re.search(r"(?m)^tracking +0 +3", result.output) and "`eegic status --prune` deletes them" in result.output
    assert "sub-02       yes  -" in result.output
    pruned = eegic("status", folder, *other, "--prune")
    assert pruned.exit_code == 0 and re.search(r"(?m)^5 entries of other settings were deleted, ", pruned.output)
    assert re.search(r"(?m)^tracking +0 +3", eegic("status", folder).output)


def test_prune_keeps_all_while_an_input_is_out_of_reach(finished, tmp_path, eegic):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    entries = sorted((folder / "results" / "store").rglob("*"))
    (folder / "raw" / "sub-02_events.tsv").unlink()
    result = eegic("status", folder, "--prune")
    assert result.exit_code == 2 and "eeg sub-02" in result.said and "so nothing is." in result.said
    assert sorted((folder / "results" / "store").rglob("*")) == entries


def test_prune_of_what_was_never_run_makes_nothing(folder, eegic):
    result = eegic("status", folder, "--prune")
    assert result.exit_code == 0 and "0 entries of other settings were deleted" in result.output
    assert not (folder / "results").exists()


def test_a_unit_that_fails_ends_the_run_with_code_1_and_is_told_until_it_is_mended(folder, eegic):
    broken = folder / "raw" / "sub-02_eeg.fif"
    whole = broken.read_bytes()
    broken.write_bytes(b"broken")
    stages = [word for stage in ("sounds", "features", "eeg", "tracking") for word in ("--stage", stage)]
    result = eegic("run", folder, *stages)
    assert result.exit_code == 1
    assert re.search(r"(?m)^failed: eeg sub-02: .*sub-02_eeg\.fif", result.said)
    assert re.search(r"(?m)^eeg ends after \d:\d\d: 2 computed, 1 failed$", result.said)
    assert "skipped: tracking sub-02: not there: 'sub-02 (eeg)'" in result.said
    told = [line for line in result.output.splitlines() if line.startswith("failed:") and "sub-02_eeg.fif" in line]
    assert len(told) == 1, "once"
    assert "eegic: 2 of 18 units are missing; see failures.tsv." in result.output
    assert re.search(r"(?m)^eeg +2 +1   last time: .*sub-02_eeg\.fif", eegic("status", folder).output)
    broken.write_bytes(whole)
    result = eegic("run", folder, *stages)
    assert result.exit_code == 0 and re.search(r"(?m)^eeg +1 computed, 2 there already", result.output)
    assert "last time" not in eegic("status", folder).output


def test_what_everybody_lacks_is_a_line(folder, eegic):
    (folder / "stimuli" / "melody-02.wav").unlink()
    said = eegic("run", folder).said
    assert said.count("melody-02") == 1
    assert "failed: eeg: 3 participants ('sub-01', 'sub-02', 'sub-03'): heard 'melody-02'" in said
    assert "skipped: tracking: 3 wait for eeg\n" in said
    assert re.search(r"(?m)^skipped: group: not there: .* or pass --allow-missing\.$", said)


def test_two_runs_in_one_folder_are_one_too_many(finished, eegic):
    folder, _ = finished
    for command in (["run", folder], ["status", folder, "--prune"]):
        with Lock(folder / "results"):
            result = eegic(*command)
        assert result.exit_code == 2
        assert re.search(rf"(?m)^eegic: .*{re.escape(str(folder / 'results'))}", result.output)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--participant", "4"], "--participant: expected one of '01', '02', '03', got '4'"),
        (
            ["--stage", "ears"],
            "--stage: expected one of 'sounds', 'features', 'eeg', 'tracking', 'group', 'report', got",
        ),
        (["--backend", "slurm"], "--backend: expected one of 'auto', 'serial', 'loky', 'dask', got 'slurm'"),
        (["--stage", "group", "--participant", "01"], "the group takes everybody: leave out --participant.\n"),
        (["--set", 'data.participants=["9"]'], "study.toml: data.participants: expected one of '01', '02', '03', got"),
    ],
)
def test_what_a_run_is_asked_for_must_be_there(folder, options, told, eegic):
    assert refusal(eegic("run", folder, *options)).startswith(f"eegic: {told}")
    assert not (folder / "results").exists()


def test_errors_name_options_as_they_are_typed(folder, eegic):
    assert refusal(eegic("run", folder, "--n-jobs", "0")).startswith("eegic: --n-jobs: expected at least 1, got 0")
    said = refusal(eegic("run", folder, "--dask-address", "tcp://host:8786", "--backend", "loky"))
    assert said == "eegic: --dask-address: goes with --backend dask, got 'loky'.\n"


def test_export_says_what_it_wrote_and_replaces_nothing_unasked(finished, tmp_path, eegic):
    folder, _ = finished
    result = eegic("export", folder, "--to", tmp_path)
    assert result.exit_code == 0 and f"-> {tmp_path / 'scores.tsv'}\n" in result.output
    assert {line.removeprefix("-> ") for line in result.output.splitlines()} == set(map(str, tmp_path.iterdir()))
    result = eegic("export", folder, "--to", tmp_path)
    assert result.exit_code == 2 and "scores.tsv: is there already. Pass --overwrite to replace it" in result.said
    assert eegic("export", folder, "--to", tmp_path, "--overwrite").exit_code == 0
    assert refusal(eegic("export", folder, "--to", tmp_path, "--format", "mtrf")).startswith(
        "eegic: --format: expected one of 'tables', 'cnd', 'bids', got 'mtrf'"
    )
    other = ["--set", "output.folder=new", "--set", 'data.exclude={ 03 = "slept" }']
    result = eegic("export", folder, "--to", tmp_path, *other)
    assert result.exit_code == 2 and "nobody is analysed like this yet." in result.said
    again = f"`{shlex.join(['eegic', 'run', str(folder), *other])}`"
    assert result.said.endswith(f" Run the study first: {again}.\n")


def test_results_of_other_settings_are_told_from_those_that_are_asked_for(finished, tmp_path, eegic):
    folder = shutil.copytree(finished[0], tmp_path / "a copy")
    other = ["--set", "null.n=4", "--set", 'data.exclude.03="slept in"']
    assert eegic("run", folder, *other).exit_code == 0
    shown = 'data.exclude = { 03 = "slept in" }, null.n = 4'
    options = "--set 'data.exclude={ 03 = \"slept in\" }' --set null.n=4"
    told = (
        f"eegic: results/ shows {shown}; this asks for data.exclude = {{}}, null.n = 9. "
        f"Pass {options} for what is shown."
    )
    assert eegic("status", folder).said == f"{told}\n"
    result = eegic("export", folder, "--to", tmp_path / "tables")
    assert result.exit_code == 2
    assert result.said == f"{told} For what this asks for, run the study first: `eegic run '{folder}'`.\n"
    assert not (tmp_path / "tables").exists()
    result = eegic("export", folder, "--to", tmp_path / "tables", *shlex.split(options))
    assert result.exit_code == 0, result.said
    assert "sub-03" not in (tmp_path / "tables" / "scores.tsv").read_text()
    for command in ("status", "group", "report"):
        assert "this asks for" not in eegic(command, folder, *other).said
    result = eegic("report", folder)
    assert result.exit_code == 0 and result.said.startswith(f"{told}\n"), "it goes on: what it shows is asked for"
    assert not eegic("status", folder).said and "this asks for" not in eegic("report", folder).said


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["output.store=store"], ""),
        (["report.about=Two", "name=two", "run.device=cpu"], ""),
        (["group.allow_missing=true"], ""),
        (['features.more={kind="envelope"}'], ""),
        (["run.seed=1"], "results/ shows run.seed = 0; this asks for run.seed = 1. Pass --set run.seed=0 for what is"),
        (["group.mixed=", "trf.tmax=0.3"], 'shows trf.tmax = 0.2, group.mixed = "none"; this asks for trf.tmax = 0.3,'),
        (
            ['features={two={kind="envelope"}, onset={kind="envelope"}}', 'trf.baseline=["two"]'],
            'and 4 more as in results/study.toml; this asks for trf.baseline = ["two"], no features.envelope.kind, no ',
        ),
    ],
)
def test_only_what_changes_numbers_is_another_setting(finished, changes, told):
    line = shown_otherwise(read(finished[0] / "study.toml", *changes))
    assert told in line if told else not line


def test_a_group_without_those_who_failed_is_not_exchanged_for_none_in_silence(folder, eegic):
    (folder / "raw" / "sub-02_eeg.fif").write_bytes(b"broken")
    assert eegic("run", folder, "--allow-missing").exit_code == 1
    told = "shows group.allow_missing = true; this asks for group.allow_missing = false."
    assert told in eegic("status", folder).said
    assert told in eegic("export", folder, "--to", folder / "tables").said
    assert "shows" not in eegic("status", folder, "--set", "group.allow_missing=true").said


def test_results_of_another_study_are_not_replaced(finished, tmp_path, eegic):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "other.toml").write_text(text.replace('"small"', '"strict"'), encoding="utf-8")
    before = (folder / "results" / "study.toml").read_bytes()
    said = refusal(eegic("run", folder / "other.toml"))
    assert said == (
        f"eegic: other.toml: output.folder: {folder / 'results'} holds the results of another study, 'small' "
        f"({folder / 'study.toml'}), which would be lost. Name another folder, such as results-other.\n"
    )
    assert (folder / "results" / "study.toml").read_bytes() == before
    (folder / "study.toml").unlink()
    assert eegic("group", folder / "other.toml").exit_code == 0, "it was renamed"
    moved = folder.rename(tmp_path / "moved")
    assert eegic("group", moved / "other.toml", "--set", "name=anew").exit_code == 0


@pytest.mark.parametrize("place", ["raw", ".", "features/..", "stimuli"])
def test_no_store_is_put_between_data(folder, place, eegic):
    said = refusal(eegic("run", folder, "--set", f"output.store={place}"))
    assert said.startswith(f"eegic: study.toml: output.store: {(folder / place).resolve()} holds ")
    assert not (folder / "results").exists()


@pytest.mark.parametrize(("more", "told"), [([], "goes on"), (["--force"], "begins anew")])
def test_a_run_that_was_stopped_says_by_which_command_it_goes_on(tmp_path, original, monkeypatch, eegic, more, told):
    def stopped(*given, **options):
        raise KeyboardInterrupt

    folder = shutil.copytree(original, tmp_path / "my study")
    monkeypatch.setattr(study, "run_study", stopped)
    words = ["run", str(folder), "--set", 'data.exclude={ 03 = "slept in" }', "--n-jobs", "2", *more]
    result = eegic(*words)
    assert result.exit_code == 130
    assert f"`{shlex.join(['eegic', *words])}` {told}." in result.said


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody tells whether a process lives")
def test_status_tells_a_run_at_work_from_one_that_was_killed(folder, eegic):
    with Lock(folder / "results") as lock:
        told = json.loads(lock.path.read_text())
        assert f"A run is at work: process {told['pid']} on {told['host']}, since " in eegic("status", folder).output
        lock.path.write_text(json.dumps({**told, "host": "elsewhere"}))
        seen = eegic("status", folder).output
        assert "A run is at work, or was: process" in seen and "can be seen on elsewhere only." in seen
        gone = subprocess.Popen(["true"])
        gone.wait()
        lock.path.write_text(json.dumps({**told, "pid": gone.pid}))
        seen = eegic("status", folder).output
        assert f"The last run did not come to its end: process {gone.pid} on" in seen and "(it is gone)" in seen
        assert "at work" not in seen
        lock.path.write_text("half a")
        assert "process" not in eegic("status", folder).output


def test_warnings_are_counted_at_the_end_of_a_run(finished, eegic):
    folder, first = finished
    told = re.search(r"(?m)^eegic: 3 warnings about 3 participants, e\.g\. sub-01: The chosen alpha .*", first.output)
    assert told is not None and told[0].endswith("All in results/warnings.tsv.")
    assert eegic("run", folder).said == f"{told[0]}\n", "also of what is there already"


def test_a_line_about_warnings_is_a_line(tmp_path):
    assert warned(tmp_path) == ""
    (tmp_path / "warnings.tsv").write_text("stage\tunit\twarning\n")
    assert warned(tmp_path) == ""
    rows = [("features", "melody-01", "Quiet."), ("eeg", "sub-01", "word " * 90), ("tracking", "sub-01", "odd")]
    for n, line in (
        (1, "1 warning about 1 unit: melody-01: Quiet. All in "),
        (2, "2 warnings about 1 participant and 1 other unit, e.g. melody-01: Quiet. All in "),
        (3, "3 warnings about 1 participant and 1 other unit, e.g. melody-01: Quiet. All in "),
    ):
        table = "".join("\t".join(row) + "\n" for row in [("stage", "unit", "warning"), *rows[:n]])
        (tmp_path / "warnings.tsv").write_text(table)
        assert warned(tmp_path) == f"{line}{tmp_path.name}/warnings.tsv."
    (tmp_path / "warnings.tsv").write_text("".join("\t".join(row) + "\n" for row in [("", "", ""), rows[1]]))
    assert len(warned(tmp_path)) < 220 and " word ..." in warned(tmp_path)
