"""The command line: quick to answer, clear when wrong, and a demo whose files say what it says."""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import eegic
from eegic import (
    Audio,
    FeatureSeries,
    FlowConfig,
    GroupResult,
    SurprisalModel,
    Tracking,
    demo,
    group_test,
    information_content,
    read_audio,
)
from eegic.cli import app, main


def eegic_command(*arguments, cwd=None):
    command = [sys.executable, "-m", "eegic", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def test_help_names_the_commands_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['eegic', '--help']\nimport eegic.cli\ntry: eegic.cli.main()\nexcept SystemExit: pass\n"
    )
    code += "print(*{'torch', 'mne', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules), 'HEAVY', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "demo" in done.stdout and "sysinfo" in done.stdout
    assert done.stderr.strip() == "HEAVY"


def test_version():
    assert eegic_command("--version").stdout == f"eegic {eegic.__version__}\n"


def test_sysinfo_names_versions_threads_and_gpu():
    result = CliRunner().invoke(app, ["sysinfo"])
    assert result.exit_code == 0
    for word in ("numpy", "torch", "mne", "threads", "GPU", eegic.__version__):
        assert word in result.stdout


def test_sysinfo_says_what_is_missing(monkeypatch):
    version = metadata.version

    def without_nilearn(name):
        if name == "nilearn":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_nilearn)
    for module in ("torch", "threadpoolctl"):
        monkeypatch.setitem(sys.modules, module, None)  # its import fails
    result = CliRunner().invoke(app, ["sysinfo"])
    assert result.exit_code == 0
    for line in ("nilearn +not installed", r"threads +not known \(.*threadpoolctl", r"GPU +not known \(.*torch"):
        assert re.search(line, result.stdout), result.stdout


def test_wrong_input_ends_with_one_line_and_code_2(tmp_path):
    done = eegic_command("demo", "--duration", "-3", "--out", str(tmp_path / "demo"))
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("eegic: duration: expected a finite positive number")


def test_a_file_in_place_of_the_folder_is_left_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["eegic", "demo", "--out", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and "expected a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_simulated(tmp_path, monkeypatch, capsys):
    def denied(**where):
        raise PermissionError(13, "Permission denied", f"{where['dir']}/tmpabc")

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    monkeypatch.setattr(demo.datasets, "simulate_study", lambda *_, **__: pytest.fail("simulated first"))
    monkeypatch.setattr(sys, "argv", ["eegic", "demo", "--out", str(tmp_path / "demo")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert (
        error == f"eegic: {tmp_path}/demo: cannot be written to (Permission denied). Name another folder with --out.\n"
    )


def test_a_codec_that_is_missing_is_named_with_the_option_for_it(tmp_path, monkeypatch, capsys):
    model = SurprisalModel.untrained(FlowConfig(data=4, width=16, depth=1, heads=1, blocks=2))
    replace(model, codec="../ears.safetensors").save(tmp_path / "mind.safetensors")
    sound = Audio(np.ones(8000), 8000)
    sound.write(tmp_path / "a.wav")
    named = "names '../ears.safetensors' as its codec. There is no such file beside the model, none from .*"
    with pytest.raises(FileNotFoundError, match=rf"^codec: mind {named} comes with eegic. Pass codec=PATH\.$"):
        information_content(sound, tmp_path / "mind.safetensors", device="cpu")
    command = ["ic", "a.wav", "--model", "mind.safetensors", "--device", "cpu"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["eegic", *command])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert re.fullmatch(rf"eegic: codec: mind {named} comes with eegic\. Pass --codec PATH\.\n", error)
    assert str(tmp_path) in error, "where it was looked for"


@pytest.fixture(scope="module")
def quick():
    """A demo that listens at one noise level only, and has few surrogates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "NOISE", (0.5,))
        patch.setattr(demo, "N_NULL", 49)
        yield demo.run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, quick):
    out = tmp_path_factory.mktemp("demo")
    lines = []
    results = quick(out, n_participants=2, duration=8.0, effect=2.0, seed=1, say=lines.append)
    return out, results, "\n".join(lines)


@pytest.fixture(scope="module")
def silent(tmp_path_factory, quick):
    """A demo of one participant without an effect."""
    out = tmp_path_factory.mktemp("silent")
    lines = []
    results = quick(out, n_participants=1, duration=8.0, effect=0.0, seed=1, say=lines.append)
    return out, results, lines


def test_demo_writes_what_it_says(finished):
    out, results, account = finished
    for name in (
        "demo.png",
        "scores.tsv",
        "gains.tsv",
        "results/",
        "settings.json",
        "features/",
        "sounds/",
        "report.html",
    ):
        assert (out / name).exists() and str(out / name) in account
    for name in ("bars.png", "maps.png", "group.npz", "group.tsv"):
        assert (out / name).exists() and name in account
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")
    asked = {"effect": 2.0, "seed": 1, "duration": 8.0, "participants": 2}
    settings = {**asked, "noise": [0.5], "eegic": eegic.__version__}
    assert json.loads((out / "settings.json").read_text()) == settings
    assert "replaced" not in account
    assert not list(out.glob(".*"))
    series = FeatureSeries.load(out / "features" / "melody-03.npz")
    models = ("surprisal", "mini 0.5", "untrained 0.5")
    assert series.names == ("envelope", "onset", *models) and series.n_times == 8 * 64
    assert read_audio(out / "sounds" / "melody-03.wav").duration == 8
    scores = pd.read_csv(out / "scores.tsv", sep="\t")
    assert len(scores) == 2 * 3 * 8 * 32
    mean = scores.groupby(["participant", "model"])["delta_r"].mean()
    for name, result in results.items():
        for row, model in enumerate(models):
            assert mean[name, model] == pytest.approx(result.gain[row].mean())
        assert f"{result.corrected[0].mean():+.4f}" in account
        np.testing.assert_array_equal(Tracking.load(out / "results" / f"{name}.npz").null, result.null)
    group = GroupResult.load(out / "group.npz")
    for mean in group.summary[:, 0].mean(axis=1):
        assert f"{mean:+.4f}" in account


def test_demo_finds_a_strong_effect_and_none_where_there_is_none(finished, silent, quick, tmp_path):
    nothing = quick(tmp_path, n_participants=2, duration=8.0, effect=0.0, seed=1, say=lambda line: None)
    strong, none = group_test(finished[1].values()), group_test(nothing.values())
    assert strong.p_pieces_by_region[0, 0] == 1 / 50 and (strong.p_pieces_maxt[0] < 0.05).sum() > 8
    assert none.p_pieces_by_region[0, 0] > 0.05 and none.p_pieces_maxt[0].min() > 0.05
    (alone,) = silent[1].values()
    assert alone.p_mean[0] > 0.05 and alone.p_maxt[0].min() > 0.05


def test_a_demo_of_one_participant_claims_nothing_of_a_group(silent):
    out, _, lines = silent
    assert not (out / "report.html").exists() and (out / "demo.png").exists()
    assert not any("report.html" in line or "listeners" in line for line in lines[1:])


def test_demo_is_the_same_again(finished, quick, tmp_path):
    out, results, _ = finished
    (tmp_path / "scores.tsv").write_text("of an earlier demo")
    lines = []
    again = quick(tmp_path, n_participants=2, duration=8.0, effect=2.0, seed=1, say=lines.append)
    assert f"An earlier demo in {tmp_path} was replaced." in lines
    for name, result in results.items():
        np.testing.assert_array_equal(result.null, again[name].null)
    assert (tmp_path / "scores.tsv").read_bytes() == (out / "scores.tsv").read_bytes()
