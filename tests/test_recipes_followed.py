"""A recipe is followed to a model with its card; a trial says what it takes; notes are held against the truth."""

import json
import shutil
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr

from eegic import Audio, Codec, History, SurprisalModel, cli, corpus, datasets, load_surprisal, recipes, weights
from eegic.codec import CodecConfig
from eegic.history import Row
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
        assert about["sha256"] in text and "licence: CC0-1.0" in text and "| steps | 4 |" in text
        assert f"{history.column('validation')[-1]:.4g} after the last" in text
        assert "| corpus | melodies |" in text and "| timbres | flute |" in text and "What it is not" in text

    def test_the_recipe_lies_beside_its_model(self, trained):
        ears, mind, folder = trained
        codec = recipes.read_recipe(folder / "codec" / "recipe.toml")
        assert codec == recipes.read_recipe("seconds-codec", FEW) and codec.network == ears.config
        flow = recipes.read_recipe(folder / "flow" / "recipe.toml")
        assert flow.network == mind.config and flow.loop.steps == 4 and flow.licence == "CC0-1.0"

    def test_a_run_of_another_kind_is_left_alone(self, trained):
        _, _, folder = trained
        codec, flow = recipes.read_recipe("seconds-codec"), recipes.read_recipe("mini")
        kept = (folder / "flow" / "recipe.toml").read_bytes()
        for resume in (True, False):
            message = (
                r"flow: holds the training of a surprisal model \(seconds-surprisal\), but .* for a codec. Train in"
            )
            with pytest.raises(ValueError, match=message):
                recipes.follow(codec, folder / "flow", resume=resume, device="cpu", progress=False)
            with pytest.raises(
                ValueError, match=r"holds the training of a codec \(.*\), but mini is a recipe for a sur"
            ):
                recipes.follow(flow, folder / "codec", resume=resume, device="cpu", progress=False)
        with pytest.raises(FileExistsError, match="holds a run already"):
            recipes.follow(replace(codec, name="other"), folder / "codec", device="cpu", progress=False)
        assert (folder / "flow" / "recipe.toml").read_bytes() == kept
        assert recipes.read_recipe(folder / "codec" / "recipe.toml").name == "seconds-codec"

    @pytest.mark.parametrize("call", [recipes.follow, lambda recipe, _: recipes.attempt(recipe)])
    def test_the_name_of_a_recipe_is_none(self, tmp_path, call):
        with pytest.raises(TypeError, match=r"recipe: expected a Recipe, got 'small-both'. read_recipe\(NAME"):
            call("small-both", tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_a_model_without_a_codec_is_refused_before_anything_is_written(self, tmp_path):
        with pytest.raises(ValueError, match='codec: expected codec = "NAME or PATH".*--set codec=PATH'):
            recipes.follow(recipes.read_recipe("seconds-surprisal"), tmp_path / "out", progress=False)
        assert not (tmp_path / "out").exists()


class TestCards:
    """What a reader finds in them, whatever was trained."""

    @pytest.fixture
    @staticmethod
    def write(trained):
        ears, _, _ = trained
        rows = (Row(0, np.nan, np.nan, 0.0, 5.0), Row(4, 2.0, 1e-3, 8000.0, 1.25, {}))

        def write(metrics=None, **how):
            last = replace(rows[1], metrics=metrics or {})
            recipe = recipes.read_recipe("seconds-codec", ["training.linearity.annealed=true"])
            return recipes.card(recipe, ears, History((rows[0], last)), sha256="abc", **how).splitlines()

        return write

    def test_say_in_which_unit_a_metric_is_and_what_it_means(self, write):
        lines = write({"si_sdr": -28.734, "multires_stft": 1.3071, "mine": 3.0, "unknown": np.nan})
        si_sdr, distance, mine, unknown = (next(one for one in lines if one.startswith(f"| {name} |")) for name in (
            "si_sdr", "multires_stft", "mine", "unknown"))  # fmt: skip
        assert si_sdr.startswith("| si_sdr | -28.73 dB | scale-invariant ratio") and "higher is better" in si_sdr
        assert distance.startswith("| multires_stft | 1.307 | distance of the spectrograms") and "no unit" in distance
        assert (mine, unknown) == ("| mine | 3 |  |", "| unknown |  |  |")

    def test_show_settings_as_tables_that_name_their_documentation(self, write):
        lines = write()
        assert "| noise.gamma | 1.0 |" in lines and "| linearity.annealed | yes |" in lines
        assert "| channels | 8, 16, 16 |" in lines and "| attention | none |" in lines and "| compile | no |" in lines
        for record in ("MelodyCorpus", "CodecConfig", "CodecTraining", "LoopConfig"):
            assert f"Settings of `{record}`, whose documentation says what each is, and in which unit." in lines
        assert not any("json" in one or "{" in one for one in lines)

    def test_leave_cells_empty_where_nothing_is_known(self, write):
        table = pd.DataFrame({"what": ["model", "flux"], "noise": [0.3, np.nan], "n": [7, 8], "partial": [0.5, -0.001]})
        lines = write(tables={"Notes": table})
        head = lines.index("## Notes")
        assert lines[head + 2 : head + 6] == [
            "| what | noise | n | partial |", "| --- | --- | --- | --- |", "| model | 0.30 | 7 | 0.50 |",
            "| flux |  | 8 | 0.00 |",
        ]  # fmt: skip
        assert any(one.startswith("- partial: the same once flux and duration") for one in lines[head:])
        assert not any("partial" in one for one in write(tables={"Other": table[["what", "noise"]]}))

    @pytest.mark.parametrize(
        "seconds, words",
        [(119, "119 s"), (121, "2 minutes"), (7199, "120 minutes"), (8000, "2 hours"), (864_000, "10 days")],
    )
    def test_tell_times_in_words(self, write, seconds, words):
        from eegic.recipes.card import duration

        assert duration(seconds) == words and any("40 steps in 2 hours, seed 0." in one for one in write())

    def test_count_what_was_left_out_of_a_folder(self, write, tmp_path, rng):
        for k in range(4):
            Audio(0.1 * rng.standard_normal(1000), 4000).write(tmp_path / f"{k}.wav")
        assert "- Files of the folder that could not be opened, and were left out: 0." in write(
            corpus=corpus.SoundFolder(tmp_path, floor=0)
        )
        for name in ("a.wav", "b.flac"):
            (tmp_path / name).write_bytes(b"no sound")
        with pytest.warns(UserWarning, match="left out 2 files"):
            folder = corpus.SoundFolder(tmp_path, floor=0.01)
        lines = write(corpus=folder)
        assert "- Files of the folder that could not be opened, and were left out: 2." in lines
        assert "- Stretches below 0.01 of full scale (root mean square) were passed over." in lines
        assert "| recordings | 4 |" in lines


class TestTrials:
    def test_a_trial_does_without_a_published_codec_that_is_not_here(self):
        changes = ["data.corpus=melodies", "network.depth=1", "network.width=64", "network.blocks=1"]
        recipe = recipes.read_recipe("audioic", changes)
        with pytest.warns(UserWarning, match="not on this machine.*The training would stop here"):
            trial = recipes.attempt(recipe, device="cpu")
        assert trial.unit == "latents" and trial.shapes["latents"][0] == 2 and np.isfinite(trial.loss)

    @pytest.mark.parametrize("name, unit", [("seconds-codec", "s of sound"), ("seconds-surprisal", "latents")])
    def test_a_trial_measures_and_writes_nothing(self, trained, tmp_path, monkeypatch, name, unit):
        monkeypatch.chdir(tmp_path)
        trial = recipes.attempt(self.recipe(trained, name), device="cpu")
        assert trial.unit == unit and trial.seconds > 0 and trial.memory > 2**20 and np.isfinite(trial.loss)
        assert all(shape[0] == 2 for shape in trial.shapes.values())
        assert f"{trial.parameters:,}" in str(trial) and "GiB at most" in str(trial)
        assert not list(tmp_path.iterdir())

    def recipe(self, trained, name, *changes):
        codec = [f"codec={trained[2] / 'codec' / 'seconds-codec.safetensors'}"] if name == "seconds-surprisal" else []
        return recipes.read_recipe(name, [*codec, *changes])

    def test_parameters_are_those_that_learn(self, trained):
        recipe = self.recipe(trained, "seconds-surprisal")
        model = SurprisalModel.untrained(recipe.network)
        expected = sum(p.numel() for p in model.networks.parameters())
        assert recipes.attempt(recipe, device="cpu").parameters == expected

    @pytest.mark.parametrize("name", ["seconds-codec", "seconds-surprisal"])
    def test_the_time_for_all_of_it_grows_with_steps_and_batch(self, trained, name):
        trial = recipes.attempt(self.recipe(trained, name, "loop.steps=200000", "training.batch=32"), device="cpu")
        assert (trial.steps, trial.batch) == (200_000, 32)
        assert trial.whole >= 200_000 * 32 / 2 * trial.seconds
        assert "200,000 steps of batch 32: about " in str(trial)

    def test_the_sound_is_encoded_before_a_surprisal_model_learns(self, trained):
        """Which takes most of the time where few steps follow."""
        changes = ("loop.steps=1", "loop.warmup=0", "training.batch=2")
        few, many = (
            recipes.attempt(
                self.recipe(trained, "seconds-surprisal", *changes, f"training.stretches={n}"), device="cpu"
            )
            for n in (100, 1_000_000)
        )
        assert many.whole > 100 * few.whole

    def test_sound_that_is_too_short_is_found_out(self, trained, tmp_path, rng):
        """For validation, too: a recording for it that lasts long enough is not there."""
        for k in range(8):
            Audio(0.1 * rng.standard_normal(40_000), 4000).write(tmp_path / f"{k}.wav")
        held_out = corpus.SoundFolder(tmp_path, held_out=0.1)._files["validation"]
        for path, *_ in held_out:
            Audio(0.1 * rng.standard_normal(400), 4000).write(path)
        changes = ["data.corpus=folder", f"data.folder={tmp_path}"]
        for name in ("seconds-codec", "seconds-surprisal"):
            with pytest.raises(ValueError, match="no recording for validation lasts .* s. Give longer recordings"):
                recipes.attempt(self.recipe(trained, name, *changes), device="cpu")

    def test_a_codec_that_is_not_there_or_does_not_fit_is_found_out(self, trained, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere.safetensors: no such file, and no codec of that name"):
            recipes.attempt(recipes.read_recipe("seconds-surprisal", ["codec=nowhere.safetensors"]), device="cpu")
        with pytest.raises(FileNotFoundError, match="nowhere: no such file, and no codec of that name"):
            recipes.attempt(recipes.read_recipe("seconds-codec", ["codec=nowhere"]), device="cpu")
        with pytest.raises(ValueError, match="config: expected data=8, the dimensions of seconds-codec, got 9"):
            recipes.attempt(self.recipe(trained, "seconds-surprisal", "network.data=9"), device="cpu")
        with pytest.raises(ValueError, match="config: expected max_seq_length up to window=32, got 33"):
            recipes.attempt(self.recipe(trained, "seconds-surprisal", "network.max_seq_length=33"), device="cpu")


class TestNotes:
    @pytest.fixture(autouse=True)
    @staticmethod
    def few_draws(monkeypatch):
        """Fewer melodies drawn anew than in use, which would take most of the time."""
        monkeypatch.setattr("eegic.recipes.assessment._DRAWS", 199)

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
        columns = ["what", "noise", "notes", "rho", "rho_low", "rho_high", "partial", "partial_low", "partial_high"]
        assert table.columns.tolist() == columns
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
            (("--preset", "seconds-codec", "--set", "steps=20"), "Did you mean 'loop.steps'?"),
            (
                ("--preset", "seconds-surprisal", "--set", "codec=nowhere", "--trial"),
                "nowhere: no such file, and no codec",
            ),
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
        monkeypatch.setattr(cli.training, "_Curves", lambda folder: after)
        changes = ["loop.steps=3", "loop.warmup=1", "data.corpus=folder", "data.folder=music", "data.held_out=0.5"]
        arguments = [word for change in changes for word in ("--set", change)]
        code, _, complained = train("--preset", "seconds-codec", *arguments, "--out", "out", "--device", "cpu")
        assert code == 0 and not music.exists(), complained
        told = (tmp_path / "out" / "seconds-codec.md").read_text(encoding="utf-8")
        assert settings["listing_sha256"] in told and "| recordings | 8 |" in told

    def test_what_was_stopped_goes_on_by_the_recipe_in_its_folder(self, train, trained, tmp_path, monkeypatch):
        """From any folder, without recipe and changes; the weights are those of a training that was not stopped."""

        def stop(history):
            if history.rows[-1].step == 4:
                raise KeyboardInterrupt

        changes = [word for change in FEW for word in ("--set", change)]
        with monkeypatch.context() as patch:
            patch.setattr(cli.training, "_Curves", lambda folder: stop)
            code, _, complained = train("--preset", "seconds-codec", *changes, "--out", "out", "--device", "cpu")
        assert code == 130 and complained == "eegic: stopped; --resume goes on.\n"
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        free = ("--set", "loop.save_every=3")  # does not change the weights, so it may change
        code, said, complained = train("--resume", "--out", tmp_path / "out", *free, "--device", "cpu")
        assert code == 0 and "seconds-codec: A toy codec" in said and "no checkpoint" not in said, complained
        whole, stopped = (folder / "seconds-codec.safetensors" for folder in (trained[2] / "codec", tmp_path / "out"))
        assert weights.read(stopped, "codec").sha256 == weights.read(whole, "codec").sha256

    def test_where_nothing_is_there_to_go_on_from_it_begins_and_says_so(self, train, tmp_path):
        changes = ("--set", "loop.steps=1", "--set", "loop.warmup=0")
        code, said, _ = train("--preset", "seconds-codec", *changes, "--resume", "--out", "out", "--device", "cpu")
        assert code == 0
        assert "There is no checkpoint to go on from; the training starts from the beginning.\n" in said

    def test_only_what_was_begun_goes_on_without_a_recipe(self, train, tmp_path):
        code, _, complained = train("--resume", "--out", "out")
        assert code == 2 and complained == (
            "eegic: out: holds no recipe.toml to go on with. Name the recipe: KIND CONFIG, or --preset.\n"
        )
        code, _, complained = train("--resume")
        assert code == 2 and "--resume: expected the folder of a training: --out OUT" in complained
        assert not list(tmp_path.iterdir())

    def test_a_run_of_another_recipe_is_told_by_five_differences(self, train, trained):
        _, _, folder = trained
        code, _, complained = train("--preset", "small-both", "--resume", "--out", folder / "codec", "--device", "cpu")
        assert code == 2 and complained.count(" then, ") == 5 and "; and " in complained
        more = int(complained.partition("; and ")[2].partition(" more. Go on with what it was begun with")[0])
        assert more > 5
        code, _, complained = train("surprisal", "--resume", "--out", folder / "codec")
        assert code == 2 and "recipe.toml is a recipe for a codec, not for a surprisal" in complained

    def test_a_recipe_is_shown_with_all_its_settings(self, train, tmp_path):
        shown = train("--preset", "seconds-codec", "--set", "loop.steps=6", "--show")
        assert shown[::2] == (0, "")
        (tmp_path / "mine.toml").write_text(shown[1], encoding="utf-8")
        assert recipes.read_recipe(tmp_path / "mine.toml") == recipes.read_recipe("seconds-codec", ["loop.steps=6"])
        assert train("codec", "mine.toml", "--show") == shown
        assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]

    def test_a_warning_is_one_line_without_python(self, train, tmp_path, rng):
        for k in range(4):
            Audio(0.1 * rng.standard_normal(40_000), 4000).write(tmp_path / f"{k}.wav")
        (tmp_path / "broken.wav").write_bytes(b"no sound")
        changes = ("--set", "data.corpus=folder", "--set", "data.folder=.")
        shows = warnings.showwarning
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            code, _, complained = train("--preset", "seconds-codec", *changes, "--trial", "--device", "cpu")
        assert code == 0 and complained.count("\n") == 1
        assert complained.startswith("Warning: .: left out 1 file: 'broken.wav (")
        assert warnings.showwarning is shows

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
