"""From the command line: sounds to tables and figures, checkpoints to safetensors, names to what is known of them."""

import csv
import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from eegic import Audio, Codec, CodecConfig, FeatureSeries, FlowConfig, SurprisalModel, load_codec, read_audio, weights
from eegic.cli import app, main
from eegic.surprisal import information_content, load_surprisal, write_csv

PUBLIC = Path(__file__).parent / "references" / "ic_small" / "checkpoint.pt"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A codec and a model that names it, in files."""
    folder = tmp_path_factory.mktemp("models")
    config = CodecConfig(
        16000, 512, 128, channels=(16, 16, 16), attention=(), bottleneck_channels=32, dim=8, embedding=16
    )
    Codec.untrained(config).save(folder / "ears.safetensors")
    mind = SurprisalModel.untrained(FlowConfig(data=8, width=32, depth=1, heads=1, blocks=2))
    mind.save(folder / "deaf.safetensors")
    replace(mind, codec=str(folder / "ears.safetensors")).save(folder / "mind.safetensors")
    return folder


@pytest.fixture
def sounds(tmp_path):
    """Two good files, of different rates, lengths and channels."""
    rng = np.random.default_rng(0)
    samples = np.concatenate([np.zeros(9001), 0.1 * rng.standard_normal(8000), np.zeros(3000)])
    Audio(samples, 16000).write(tmp_path / "one.wav")
    Audio(0.1 * rng.standard_normal((20000, 2)), 44100).write(tmp_path / "two.flac")
    return tmp_path


@pytest.fixture
def eegic(monkeypatch, capsys):
    """Run a command; the exit code, and what it said and complained of."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eegic", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def rows(path):
    with open(path, encoding="utf-8", newline="") as stream:
        header, *body = csv.reader(stream)
    return header, np.array(body, dtype=float)


class TestIC:
    def test_tables_and_series_are_written(self, eegic, models, sounds, tmp_path):
        out = tmp_path / "new" / "out"
        code, said, complained = eegic(
            "ic", sounds / "one.wav", sounds / "two.flac", "--model", models / "mind.safetensors", "--noise", "0,0.3",
            "--out", out, "--device", "cpu", "--seed", 4, "--no-figure",
        )  # fmt: skip
        assert (code, complained) == (0, "")
        assert "SurprisalModel(mind" in said and "Codec(ears" in said and f"-> {out / 'one.csv'}" in said
        names = [p.name for p in sorted(out.iterdir())]
        assert names == ["one.csv", "one.npz", "two.csv", "two.npz"]
        for path in (sounds / "one.wav", sounds / "two.flac"):
            expected = information_content(path, models / "mind.safetensors", (0, 0.3), device="cpu", rng=4)
            series = FeatureSeries.load(out / f"{path.stem}.npz")
            np.testing.assert_allclose(series.values, expected.values, rtol=0, atol=1e-4)
            np.testing.assert_array_equal(series.times, expected.times)
            assert series.info == expected.info
            header, table = rows(out / f"{path.stem}.csv")
            assert header == ["time (s)", "ic 0 (nats)", "ic 0.3 (nats)", "se of ic 0 (nats)", "se of ic 0.3 (nats)"]
            np.testing.assert_array_equal(table[:, 0], series.times)
            np.testing.assert_allclose(table[:, 1:], np.hstack([series.values, series.se]), rtol=1e-6)
        assert 5 < np.isnan(FeatureSeries.load(out / "one.npz").values[:, 0]).sum() < 60

    def test_mini_says_what_it_does_not_know(self, eegic, sounds, tmp_path):
        code, _, complained = eegic("ic", sounds / "one.wav", "--out", tmp_path / "out", "--no-figure")
        assert code == 0 and "mini knows simulated melodies, not music" in complained

    def test_figures(self, eegic, models, sounds, tmp_path):
        out = tmp_path / "out"
        code, *_ = eegic(
            "ic", sounds / "one.wav", "--model", models / "mind.safetensors", "--unit", "bits", "--out", out
        )
        assert code == 0 and sorted(p.name for p in out.iterdir()) == ["one.csv", "one.npz", "one.png"]
        assert (out / "one.png").read_bytes().startswith(b"\x89PNG")

    def test_the_layout_of_the_published_program(self, eegic, models, sounds, tmp_path):
        code, *_ = eegic(
            "ic", sounds / "one.wav", "--model", models / "mind.safetensors", "--noise", "0,0.3",
            "--stamp", "reference", "--mode", "reference", "--no-figure", "--out", tmp_path / "out",
        )  # fmt: skip
        assert code == 0
        lines = (tmp_path / "out" / "one.csv").read_text().splitlines()
        assert lines[0] == "Time,IC_0.0,IC_0.3"
        assert lines[1] == "0.016,nan,nan"
        _, table = rows(tmp_path / "out" / "one.csv")
        series = FeatureSeries.load(tmp_path / "out" / "one.npz")
        np.testing.assert_allclose(table[:, 0], np.arange(1, len(table) + 1) * 256 / 16000, rtol=1e-15)
        np.testing.assert_allclose(table[:, 1:], series.values, rtol=1e-6)
        assert not (tmp_path / "out" / "one.png").exists()

    def test_options_reach_the_computation(self, eegic, models, sounds, tmp_path):
        code, *_ = eegic(
            "ic", sounds / "two.flac", "--model", models / "deaf.safetensors", "--codec", models / "ears.safetensors",
            "--noise", "0.5", "--mode", "exact", "--at", "ode", "--stamp", "end", "--unit", "bits",
            "--chunk", "overlap", "--batch", 64, "--no-figure", "--out", tmp_path / "out",
        )  # fmt: skip
        assert code == 0
        info = FeatureSeries.load(tmp_path / "out" / "two.npz").info
        asked = {"noise": [0.5], "mode": "exact", "at": "ode", "stamp": "end", "unit": "bits", "chunk": "overlap"}
        assert {key: info[key] for key in asked} == asked
        assert (info["model"], info["codec"]) == ("deaf", "ears")

    def test_a_broken_file_does_not_stop_the_others(self, eegic, models, sounds, tmp_path):
        (sounds / "broken.wav").write_bytes(b"RIFF and then nothing")
        Audio(np.zeros(16000), 16000).write(sounds / "silent.wav")
        out = tmp_path / "out"
        code, said, complained = eegic(
            "ic", sounds / "broken.wav", sounds / "one.wav", sounds / "missing.wav", sounds / "silent.wav",
            sounds / "two.flac", "--model", models / "mind.safetensors", "--no-figure", "--out", out,
        )  # fmt: skip
        assert code == 1
        assert {p.name for p in out.iterdir()} == {"one.csv", "one.npz", "two.csv", "two.npz"}
        lines = complained.splitlines()
        assert lines[0].startswith(f"eegic: {sounds / 'broken.wav'}: cannot be read as sound")
        assert lines[1].startswith(f"eegic: {sounds / 'missing.wav'}: no such sound file")
        assert lines[2].startswith(f"eegic: {sounds / 'silent.wav'}: silent: silent throughout")
        assert lines[3] == "eegic: 3 of 5 sounds failed." and len(lines) == 4
        assert "one.csv" in said and "two.csv" in said and "broken.csv" not in said

    def test_two_sounds_of_one_name(self, eegic, models, sounds, tmp_path):
        Audio(np.ones(100), 8000).write(sounds / "one.flac")
        code, said, complained = eegic(
            "ic",
            sounds / "one.wav",
            sounds / "one.flac",
            "--model",
            models / "mind.safetensors",
            "--out",
            tmp_path / "out",
        )
        assert code == 2 and not said
        assert "FILES: 'one' is the name of several sounds" in complained
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("kind", ["csv", "npz", "png"])
    def test_earlier_results_stay_unless_told(self, eegic, models, sounds, tmp_path, kind):
        out = tmp_path / "out"
        out.mkdir()
        (out / f"two.{kind}").write_text("of an earlier run")
        command = ("ic", sounds / "one.wav", sounds / "two.flac", "--model", models / "mind.safetensors", "--out", out)
        code, said, complained = eegic(*command)
        assert code == 2 and not said
        assert f"two.{kind}: is there from an earlier run. Pass --overwrite to replace it, --resume" in complained
        assert [p.name for p in out.iterdir()] == [f"two.{kind}"]
        assert (out / f"two.{kind}").read_text() == "of an earlier run"
        if kind == "csv":
            code, *_ = eegic(*command, "--overwrite", "--no-figure")
            assert code == 0 and (out / "two.csv").read_text().startswith(
                "time (s),ic 0.3 (nats),se of ic 0.3 (nats)\n"
            )

    def test_a_failure_leaves_the_earlier_result(self, eegic, models, sounds, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "broken.csv").write_text("of an earlier run")
        (sounds / "broken.wav").write_bytes(b"RIFF and then nothing")
        code, *_ = eegic(
            "ic", sounds / "broken.wav", "--model", models / "mind.safetensors", "--out", out, "--overwrite"
        )
        assert code == 1 and (out / "broken.csv").read_text() == "of an earlier run"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--noise", "a"), "--noise: expected numbers separated by commas, such as 0,0.3,0.6, got 'a'."),
            (("--noise", "0.3;0.5"), "--noise: expected numbers separated by commas"),
            (("--noise", ""), "--noise: expected numbers separated by commas"),
            (("--noise", "0,1"), "noise: expected levels from 0 (clean) to below 1"),
            (("--noise", "nan"), "noise: expected a finite number"),
            (("--noise", "0.3,0.3"), "noise: expected different levels"),
            (("--mode", "quick"), "mode: expected one of 'fast', 'exact', 'reference', got 'quick'"),
            (("--at", "mean"), "at: expected one of 'expectation', 'ode'"),
            (("--stamp", "start"), "stamp: expected one of 'onset', 'end', 'reference'"),
            (("--unit", "bit"), "Did you mean 'bits'?"),
            (("--chunk", "whole"), "chunk: expected one of 'reference', 'overlap'"),
            (("--device", "quantum"), "device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got 'quantum'"),
            (("--codec", "nowhere"), "nowhere: no such file, and no codec of that name. Give a path, or one of"),
        ],
    )
    def test_wrong_options_are_said_once(self, eegic, models, sounds, tmp_path, options, message):
        command = ("ic", sounds / "one.wav", sounds / "two.flac", "--model", models / "mind.safetensors")
        code, _, complained = eegic(*command, "--out", tmp_path / "out", *options)
        assert code == 2
        assert complained.startswith("eegic: ") and complained.count(message) == complained.count("\n") == 1

    def test_an_unknown_model_is_answered_with_names(self, eegic, sounds, tmp_path):
        code, _, complained = eegic("ic", sounds / "one.wav", "--model", "nowhere", "--out", tmp_path / "out")
        assert code == 2 and "nowhere: no such file, and no surprisal model of that name" in complained
        assert "'pa-audioic'" in complained and "'music2latent'" not in complained

    def test_a_model_that_names_no_codec(self, eegic, models, sounds, tmp_path):
        code, _, complained = eegic(
            "ic", sounds / "one.wav", "--model", models / "deaf.safetensors", "--out", tmp_path / "out"
        )
        assert code == 2 and "--codec: deaf does not say which codec it knows. Name one." in complained

    def test_a_place_that_cannot_be_written_is_said_before_anything_is_loaded(self, eegic, sounds):
        code, said, complained = eegic(
            "ic", sounds / "one.wav", "--model", "nowhere", "--out", sounds / "two.flac" / "out"
        )
        assert code == 2 and not said
        assert "cannot be written to (Not a directory). Name another folder with --out" in complained

    def test_resume_does_what_is_missing(self, eegic, models, sounds, tmp_path):
        """A figure left by an earlier run does not stay beside numbers of a later one."""
        out = tmp_path / "out"
        out.mkdir()
        (out / "one.csv").write_text("done")
        (out / "two.png").write_text("old")
        command = ("ic", sounds / "one.wav", sounds / "two.flac", "--model", models / "mind.safetensors", "--out", out)
        code, said, _ = eegic(*command, "--resume", "--no-figure")
        assert code == 0 and "two.csv" in said and "one.csv" not in said
        assert (out / "one.csv").read_text() == "done"
        assert {p.name for p in out.iterdir()} == {"one.csv", "two.csv", "two.npz"}


class TestTables:
    def series(self, **info):
        values = np.array([[np.nan, np.nan], [1.23456789, -2.0], [1e-9, 12345.6789]])
        return FeatureSeries(
            values, np.arange(3) * 4096 / 44100, ("ic 0", "ic 0.25"), se=0.1 * np.ones((3, 2)), info=info
        )

    def test_own_layout(self, tmp_path):
        write_csv(self.series(stamp="onset", unit="bits"), tmp_path / "a.csv")
        assert (tmp_path / "a.csv").read_text() == (
            "time (s),ic 0 (bits),ic 0.25 (bits),se of ic 0 (bits),se of ic 0.25 (bits)\n"
            "0.0,nan,nan,nan,nan\n"
            "0.09287981859410431,1.234568,-2,0.1,0.1\n"
            "0.18575963718820862,1e-09,12345.68,0.1,0.1\n"
        )

    def test_without_standard_errors(self, tmp_path):
        write_csv(FeatureSeries([1.5], [0.25], "ic, 0.3"), tmp_path / "a.csv")
        assert (tmp_path / "a.csv").read_text() == 'time (s),"ic, 0.3"\n0.25,1.5\n'

    def test_published_layout(self, tmp_path):
        write_csv(self.series(stamp="reference", unit="nats"), tmp_path / "a.csv")
        assert (tmp_path / "a.csv").read_text() == (
            "Time,IC_0.0,IC_0.25\n0.0,nan,nan\n0.09287981859410431,1.234568,-2\n0.18575963718820862,1e-09,12345.68\n"
        )

    def test_published_columns_are_named_by_what_they_hold(self, tmp_path):
        series = self.series(stamp="reference", unit="nats", noise=[0, 0.25])
        write_csv(series.select(["ic 0.25", "ic 0"]), tmp_path / "a.csv")
        assert (
            (tmp_path / "a.csv").read_text().startswith("Time,IC_0.25,IC_0.0\n0.0,nan,nan\n0.09287981859410431,-2,1.2")
        )
        entropies = FeatureSeries(series.values, series.times, ("entropy 0", "entropy 0.25"), info=dict(series.info))
        for other in (entropies, self.series(stamp="reference", unit="bits")):
            write_csv(other, tmp_path / "a.csv")
            assert (tmp_path / "a.csv").read_text().startswith(f"time (s),{other.names[0]} ({other.info['unit']})")

    def test_a_failed_write_leaves_the_old_file(self, tmp_path):
        (tmp_path / "a.csv").write_text("old")
        with pytest.raises(UnicodeEncodeError):
            write_csv(FeatureSeries([1.5], [0.25], "ic \ud800"), tmp_path / "a.csv")
        assert [p.name for p in tmp_path.iterdir()] == ["a.csv"] and (tmp_path / "a.csv").read_text() == "old"


class TestConvert:
    def test_a_public_surprisal_model(self, eegic, tmp_path):
        out = tmp_path / "small.safetensors"
        code, said, complained = eegic("convert", PUBLIC, out)
        assert (code, complained) == (0, "")
        before, after = load_surprisal(PUBLIC, device="cpu"), load_surprisal(out, device="cpu")
        assert f"sha256 {before.sha256}" in said and f"-> {out}" in said
        z = np.load(PUBLIC.with_name("latents.npy"))[:6]
        np.testing.assert_array_equal(before.information_content(z, 0.3), after.information_content(z, 0.3))
        assert json.loads(out.with_suffix(".json").read_text())["kind"] == "surprisal"

    def test_a_codec(self, eegic, tmp_path):
        """A public file says nothing of rates, so they are those of the public codec."""
        config = CodecConfig(channels=(8, 8, 8), attention=(), bottleneck_channels=8, dim=4, embedding=8)
        codec = Codec.untrained(config)
        torch.save({"gen_state_dict": codec.networks.state_dict(), "it": 3}, tmp_path / "ears.pt")
        out = tmp_path / "ears.safetensors"
        code, said, _ = eegic("convert", tmp_path / "ears.pt", out)
        assert code == 0 and "Codec(ears" in said
        sound, after = (
            Audio(0.1 * np.random.default_rng(0).standard_normal(20000), 44100),
            load_codec(out, device="cpu"),
        )
        np.testing.assert_array_equal(codec.encode(sound), after.encode(sound))
        assert after.config == config
        assert json.loads(out.with_suffix(".json").read_text())["kind"] == "codec"

    def test_a_malicious_pickle_is_not_run(self, eegic, tmp_path):
        canary = tmp_path / "it ran"

        class Hostile:
            def __reduce__(self):
                return (open, (str(canary), "w"))

        torch.save({"model_state_dict": {"a": torch.zeros(2)}, "extra": Hostile()}, tmp_path / "evil.pt")
        (tmp_path / "bare.pt").write_bytes(pickle.dumps(Hostile()))
        for name in ("evil.pt", "bare.pt"):
            code, said, complained = eegic("convert", tmp_path / name, tmp_path / "out.safetensors")
            assert code == 2 and not said
            assert f"{name}: refused. It holds more than tensors and plain values" in complained
        assert sorted(p.name for p in tmp_path.iterdir()) == ["bare.pt", "evil.pt"]
        pickle.loads((tmp_path / "bare.pt").read_bytes()).close()
        assert canary.exists()  # with trust it would have

    @pytest.mark.parametrize(
        ("stored", "message"),
        [
            ({"weights": {"a": torch.zeros(2)}}, "neither a surprisal model .* nor a codec .*; it holds 'weights'"),
            (
                {"model_state_dict": {"a": torch.zeros(2)}, "max_seq_length": 8},
                "some: expected a matrix .* this is no surprisal model",
            ),
        ],
    )
    def test_what_is_no_checkpoint(self, eegic, tmp_path, stored, message):
        torch.save(stored, tmp_path / "some.pt")
        code, _, complained = eegic("convert", tmp_path / "some.pt", tmp_path / "out.safetensors")
        assert code == 2 and re.search(message, complained) and "Traceback" not in complained
        assert not (tmp_path / "out.safetensors").exists()

    def test_a_kind_that_nobody_knows(self, eegic, models, tmp_path):
        for name in ("mind.safetensors", "mind.json"):
            (tmp_path / name).write_bytes((models / name).read_bytes())
        about = json.loads((tmp_path / "mind.json").read_text())
        (tmp_path / "mind.json").write_text(json.dumps({**about, "kind": "vocoder"}))
        code, _, complained = eegic("convert", tmp_path / "mind.safetensors", tmp_path / "out.safetensors")
        assert code == 2 and "mind.safetensors: kind: expected one of 'surprisal', 'codec', got 'vocoder'" in complained

    def test_other_refusals(self, eegic, tmp_path):
        code, _, complained = eegic("convert", PUBLIC, tmp_path / "out.pt")
        assert code == 2 and "weights are written as .safetensors. Name the file out.safetensors" in complained
        code, _, complained = eegic("convert", tmp_path / "none.pt", tmp_path / "out.safetensors")
        assert code == 2 and "none.pt: no such file, and no checkpoint of that name" in complained
        assert not list(tmp_path.iterdir())


class TestWeights:
    def test_all_are_listed_with_licences(self, eegic):
        code, said, _ = eegic("weights")
        assert code == 0
        for entry in weights.entries().values():
            assert re.search(
                rf"^{entry.name} +{entry.kind} +{re.escape(entry.licence)}\n +{re.escape(entry.about)}", said, re.M
            )

    def test_one_says_all_and_fetches_nothing(self, eegic, monkeypatch, tmp_path):
        constants = pytest.importorskip("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        code, said, complained = eegic("weights", "pa-audioic")
        for line in (
            r"sha256 +unknown",
            r"licence +CC BY-NC 4\.0",
            r"repository +CPJKU/pa-audioic",
            r"kind +surprisal",
        ):
            assert re.search(line, said), said
        assert (code, complained) == (0, "")
        assert "not on this machine. Nothing is fetched unless asked" in said
        assert not list(tmp_path.iterdir())

    def test_without_the_hub_one_line_says_what_to_install(self, eegic, monkeypatch):
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # its import fails
        code, _, complained = eegic("weights", "pa-audioic")
        assert code == 2 and complained.startswith("eegic: pa-audioic: ") and "pip install 'eegic[hub]'" in complained

    def test_an_unknown_name(self, eegic):
        code, said, complained = eegic("weights", "pa-audio")
        assert (code, said) == (2, "")
        assert complained == "eegic: pa-audio: not known. `eegic weights` lists the names.\n"


class TestHelp:
    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("ic", "FILES model codec noise mode at stamp unit chunk out figure no-figure overwrite device batch seed"),
            ("convert", "SOURCE OUT download"),
            ("weights", "NAME download"),
        ],
    )
    def test_it_names_every_option(self, command, options):
        said = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(app, [command, "--help"])
        assert said.exit_code == 0
        for option in options.split():
            word = option if option.isupper() else f"--{option}"
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", said.output, re.I), word

    def test_it_loads_no_torch(self):
        code = (
            "import sys\nimport eegic.cli\nfor argv in ([], ['ic'], ['convert'], ['weights']):\n"
            "    sys.argv = ['eegic', *argv, '--help']\n    try: eegic.cli.main()\n    except SystemExit: pass\n"
            "print(*{'torch', 'scipy', 'matplotlib', 'pandas'} & set(sys.modules), 'HEAVY', file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert done.stderr.strip() == "HEAVY"
        for command in ("ic", "convert", "weights"):
            assert re.search(rf"\b{command}\b", done.stdout)


def test_what_the_files_hold_is_what_was_read(eegic, models, sounds, tmp_path):
    """From files to files and back: the series on the grid of an EEG, with gaps and errors where they belong."""
    eegic("ic", sounds / "one.wav", "--model", models / "mind.safetensors", "--no-figure", "--out", tmp_path / "out")
    sound = read_audio(sounds / "one.wav")
    held = FeatureSeries.load(tmp_path / "out" / "one.npz").resample(64, duration=sound.duration, kind="hold")
    known = ~np.isnan(held.values[:, 0])
    assert held.n_times == round(64 * sound.duration)
    start = held.info["sounding"][0]
    assert held.times[known][0] == pytest.approx(start + 256 / 16000, abs=1 / 64)
    np.testing.assert_array_equal(~np.isnan(held.se[:, 0]), known)
    assert 0 < known.sum() < held.n_times
