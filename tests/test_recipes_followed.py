"""A recipe is followed to a model with its card; a trial says what it takes; notes are held against the truth."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr

from eegic import Audio, Codec, History, SurprisalModel, cli, corpus, datasets, load_surprisal, recipes
from eegic.codec import CodecConfig
from eegic.surprisal import FlowConfig

MUSIC = datasets.MelodyCorpus(timbres=["flute"], rhythms=["free"])
FEW = ["loop.steps=4", "loop.warmup=1", "loop.validate_every=2", "loop.save_every=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A codec and a surprisal model after four steps each, with their folder."""
    folder = tmp_path_factory.mktemp("recipes")
    codec = recipes.read_recipe("seconds-codec", FEW)
    ears = recipes.follow(codec, folder / "codec", device="cpu", progress=False)
    path = folder / "codec" / "seconds-codec.safetensors"
    changes = [*FEW, f"codec={path}", "training.stretches=8", "training.validation=4", "licence=CC0-1.0"]
    mind = recipes.follow(
        recipes.read_recipe("seconds-surprisal", changes), folder / "flow", device="cpu", progress=False
    )
    return ears, mind, folder


class TestFollowing:
    def test_both_kinds_are_trained_and_found_again(self, trained, tmp_path):
        ears, mind, folder = trained
        assert isinstance(ears, Codec) and isinstance(mind, SurprisalModel)
        loaded = load_surprisal(folder / "flow" / "seconds-surprisal.safetensors", device="cpu")
        assert loaded.licence == "CC0-1.0"
        _, sound = MUSIC.piece("test", 0, duration=4.0)
        from eegic import information_content

        found = information_content(sound, loaded, device="cpu", progress=False)  # its codec is found from its folder
        expected = information_content(sound, mind, codec=ears, device="cpu", progress=False)
        np.testing.assert_array_equal(found.values, expected.values)

    def test_a_card_tells_what_became_of_the_recipe(self, trained):
        _, _, folder = trained
        text = (folder / "flow" / "seconds-surprisal.md").read_text(encoding="utf-8")
        about = json.loads((folder / "flow" / "seconds-surprisal.json").read_text())
        history = History.read(folder / "flow" / "history.csv")
        assert about["sha256"] in text and "licence: CC0-1.0" in text and '"steps": 4' in text
        assert f"{history.column('validation')[-1]:.4g} after the last" in text
        assert '"corpus": "melodies"' in text and "What it is not" in text

    def test_a_model_without_a_codec_is_refused_before_anything_is_written(self, tmp_path):
        with pytest.raises(ValueError, match='codec: expected codec = "NAME or PATH".*--set codec=PATH'):
            recipes.follow(recipes.read_recipe("seconds-surprisal"), tmp_path / "out", progress=False)
        assert not (tmp_path / "out").exists()


class TestTrials:
    @pytest.mark.parametrize("name, unit", [("seconds-codec", "s of sound"), ("seconds-surprisal", "latents")])
    def test_a_trial_measures_and_writes_nothing(self, tmp_path, monkeypatch, name, unit):
        monkeypatch.chdir(tmp_path)
        trial = recipes.attempt(recipes.read_recipe(name), device="cpu")
        assert trial.unit == unit and trial.seconds > 0 and trial.memory > 2**20 and np.isfinite(trial.loss)
        assert all(shape[0] == 2 for shape in trial.shapes.values())
        assert f"{trial.parameters:,}" in str(trial) and "GiB at most" in str(trial)
        assert not list(tmp_path.iterdir())

    def test_parameters_are_those_that_learn(self):
        recipe = recipes.read_recipe("seconds-surprisal")
        model = SurprisalModel.untrained(recipe.network)
        expected = sum(p.numel() for p in model.networks.parameters())
        assert recipes.attempt(recipe, device="cpu").parameters == expected


class TestNotes:
    @pytest.fixture(scope="class")
    @staticmethod
    def notes():
        return recipes.Notes.of(MUSIC.piece("test", i, duration=6.0 + i) for i in range(8))

    def test_notes_that_count_are_all_but_the_first_three_of_a_piece(self, notes):
        expected = np.concatenate([m.surprisal().values[3:, 0] for m, _ in notes.pieces])
        np.testing.assert_array_equal(notes.truth, expected)
        np.testing.assert_array_equal(np.bincount(notes.piece), [m.n_notes - 3 for m, _ in notes.pieces])

    def test_the_truth_agrees_with_itself_and_noise_with_nothing(self, notes, rng):
        perfect = notes.agreement(3 * notes.truth + 1)
        assert perfect["rho"] == pytest.approx(1) and perfect["partial"] == pytest.approx(1)
        nothing = notes.agreement(rng.standard_normal(len(notes.truth)))
        assert nothing["rho_low"] < 0 < nothing["rho_high"] and nothing["partial_low"] < 0 < nothing["partial_high"]

    def test_agreement_is_spearman_and_its_partial_that_of_the_inverse_correlations(self, notes, rng):
        values = notes.truth + 2 * notes.flux / notes.flux.std() + rng.standard_normal(len(notes.truth))
        values[::7] = np.nan
        known = np.isfinite(values)
        found = notes.agreement(values)
        assert found["rho"] == pytest.approx(spearmanr(values, notes.truth, nan_policy="omit").statistic)
        columns = (values, notes.truth, notes.flux, notes.seconds)
        inverse = np.linalg.inv(np.corrcoef([rankdata(column[known]) for column in columns]))
        assert found["partial"] == pytest.approx(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))
        assert found["rho_low"] < found["rho"] < found["rho_high"]

    def test_the_interval_is_that_of_melodies_not_of_notes(self, notes, rng):
        """A value that is the same for all notes of a piece agrees by chance as pieces do, and the interval says so."""
        narrow = notes.agreement(rng.standard_normal(len(notes.truth)))
        by_piece = notes.agreement(rng.standard_normal(8)[notes.piece])
        assert by_piece["rho_high"] - by_piece["rho_low"] > narrow["rho_high"] - narrow["rho_low"]

    def test_a_table_has_the_model_an_untrained_one_and_flux(self, trained):
        ears, mind, _ = trained
        pieces = [MUSIC.piece("test", i, duration=4.0) for i in range(3)]
        table = recipes.assess(mind, ears, pieces, (0.0, 0.5), progress=False)
        assert isinstance(table, pd.DataFrame)
        assert table["what"].tolist() == ["model", "model", "untrained", "untrained", "flux"]
        assert table["noise"].tolist()[:4] == [0, 0.5, 0, 0.5]
        assert np.isfinite(table[["rho", "partial", "rho_low", "partial_high"]]).all(axis=None)

    def test_no_melody_is_refused(self):
        with pytest.raises(ValueError, match="pieces: expected one or more melodies"):
            recipes.Notes.of([])


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Run `eegic train` in an empty folder; return exit code, output and complaints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["eegic", "train", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return run


class TestCommand:
    def test_a_recipe_of_ones_own_is_followed(self, train, tmp_path):
        (tmp_path / "my.toml").write_text('base = "seconds-codec"\nabout = "mine"\n[loop]\nsteps = 3\nwarmup = 1\n')
        code, said, complained = train("codec", "my.toml", "--set", "loop.validate_every=3", "--device", "cpu")
        assert code == 0, complained
        out = tmp_path / "eegic-train" / "my"
        for name in ("my.safetensors", "my.json", "my.md", "history.csv", "curves.png"):
            assert (out / name).is_file(), name
        assert "mine" in said and "my.safetensors" in said
        assert "step 0: validation" in complained and "step 3: validation" in complained  # no terminal, no bar
        code, _, complained = train("codec", "my.toml", "--device", "cpu")
        assert code == 2 and "Pass --resume to go on" in complained

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ((), "expected KIND CONFIG"),
            (("codec",), "got 'codec' alone"),
            (("--preset", "smal-both"), "Did you mean 'small-both'?"),
            (("surprisal", "--preset", "small-both"), "is a recipe for a codec, not for a surprisal"),
            (("--preset", "music2latent", "--trial"), "data.corpus=melodies"),
            (("--preset", "seconds-codec", "--set", "loop.steps=abc"), "loop.steps: expected a whole number"),
            (("--preset", "seconds-codec", "--set", "training.exponents=['a', 'b']"), "training.exponents: expected"),
            (("--preset", "seconds-codec", "--set", "limits=5"), "limits: expected a list"),
            (("--preset", "music2latent", "--set", "data.folder=2024"), "2024: expected a folder of recordings"),
            (("--preset", "seconds-codec", "--set", "name=../../x"), "name: expected a plain file name"),
            (("--preset", "seconds-codec", "--set", "base=mini-codec"), "base=mini-codec' comes too late"),
        ],
    )
    def test_what_is_refused(self, train, tmp_path, arguments, message):
        code, _, complained = train(*arguments)
        assert code == 2 and message in complained and complained.startswith("eegic: ")
        assert complained.count("\n") == 1
        assert not list(tmp_path.iterdir())

    def test_a_training_that_diverges_ends_with_one_line(self, train):
        code, _, complained = train("--preset", "seconds-codec", "--set", "loop.learning_rate=1e38", "--device", "cpu")
        *_, last = complained.splitlines()
        assert code == 1 and last.startswith("eegic: step ") and "The batch is kept in" in last
        assert complained.count("\n") == 2  # and that of the validation before the first step

    def test_a_card_tells_of_the_sound_that_was_learned_from(self, train, tmp_path, monkeypatch, rng):
        """Even where the folder is gone when the training is done."""
        music, files = tmp_path / "music", {f"{k}.wav": 0.1 * rng.standard_normal(20_000) for k in range(8)}
        music.mkdir()
        for name, samples in files.items():
            Audio(samples, 4000).write(music / name)
        settings = corpus.SoundFolder(music, held_out=0.5).settings()
        after = lambda history: history.column("step")[-1] == 3 and shutil.rmtree(music)  # noqa: E731
        monkeypatch.setattr(cli, "_Curves", lambda folder: after)
        changes = ["loop.steps=3", "loop.warmup=1", "data.corpus=folder", "data.folder=music", "data.held_out=0.5"]
        arguments = [word for change in changes for word in ("--set", change)]
        code, _, complained = train("--preset", "seconds-codec", *arguments, "--out", "out", "--device", "cpu")
        assert code == 0 and not music.exists(), complained
        told = (tmp_path / "out" / "seconds-codec.md").read_text(encoding="utf-8")
        assert settings["listing_sha256"] in told and '"recordings": 8' in told

    def test_presets_are_listed(self, train):
        code, said, _ = train("--presets")
        assert code == 0
        for name, about in recipes.presets().items():
            assert f"{name} " in said and about in said


def test_full_sizes_are_those_published():
    flow = recipes.read_recipe("audioic")
    assert replace(flow.network, max_seq_length=4600) == FlowConfig()
    assert flow.network.max_seq_length == flow.training.window, "it looks as far back as it did in training"
    assert recipes.read_recipe("aligned-music2latent").network == CodecConfig()
