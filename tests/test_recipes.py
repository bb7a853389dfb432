"""Recipes: what a file says is what is trained, and a slip of the pen is named."""

import dataclasses
import re
import tomllib

import numpy as np
import pytest

from eegic import Audio
from eegic.codec import CodecConfig
from eegic.codec.augment import LatentNoise, Linearity
from eegic.codec.training import CodecTraining
from eegic.corpus import SoundFolder
from eegic.datasets import MelodyCorpus
from eegic.recipes import KINDS, presets, read_recipe
from eegic.recipes import tables as module
from eegic.surprisal import FlowConfig
from eegic.surprisal.training import FlowTraining
from eegic.training import LoopConfig

CODEC = """
kind = "codec"
about = "Small and noisy"

[network]
sfreq = 11025
channels = [8, 16]
attention = []

[training]
batch = 4
exponents = [1.0, 2.5]

[training.noise]
noised = "both"
gamma = 0.5

[training.linearity]
mixtures = "half"

[loop]
steps = 70
clip = 0.5

[data]
timbres = ["flute"]
gain = [-6.0, 0.0]

[data.grammar]
tempo = 100
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.toml", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that stands for the recipes of the package."""
    monkeypatch.setattr(module, "_presets", lambda: tmp_path)
    return tmp_path


class TestPresets:
    def test_are_the_files_and_say_what_they_are_for(self):
        known = presets()
        assert list(known) == sorted(path.stem for path in module._presets().iterdir() if path.suffix == ".toml")
        assert all(len(about) > 20 and "\n" not in about for about in known.values())
        assert len(set(known.values())) == len(known)

    @pytest.mark.parametrize("name", presets())
    def test_can_be_read(self, name):
        recipe = read_recipe(name)
        assert recipe.kind in KINDS and recipe.name == name and recipe.about == presets()[name]
        assert isinstance(recipe.network, CodecConfig if recipe.kind == "codec" else FlowConfig)
        assert isinstance(recipe.training, CodecTraining if recipe.kind == "codec" else FlowTraining)

    @pytest.mark.parametrize("name", presets())
    def test_say_nothing_that_is_not_heeded(self, name):
        """Each value that stands in the file stands in what is trained."""
        recipe = read_recipe(name)
        table = tomllib.loads(module._presets().joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        for section in ("network", "training", "loop"):
            found = dataclasses.asdict(getattr(recipe, section))
            _agrees(table.get(section, {}), found)
        _agrees(table.get("data", {}), dict(recipe.data))

    @pytest.mark.parametrize("name", presets())
    def test_come_with_sound_or_ask_for_a_folder(self, name, tmp_path):
        recipe = read_recipe(name)
        if recipe.data.get("corpus") != "folder":
            assert isinstance(recipe.corpus(), MelodyCorpus)
            return
        with pytest.raises(ValueError, match=r'data: expected folder = "PATH" .* Pass --set data.folder=PATH'):
            recipe.corpus()
        for k in range(30):
            Audio(np.full(100, 0.1), 8000).write(tmp_path / f"{k}.wav")
        assert isinstance(read_recipe(name, [f"data.folder={tmp_path}"]).corpus(), SoundFolder)


def _agrees(table, found):
    for key, value in table.items():
        if isinstance(value, dict):
            _agrees(value, found[key])
        else:
            assert found[key] == (tuple(value) if isinstance(found[key], tuple) else value), key


class TestFiles:
    def test_are_read_as_they_stand(self, write):
        recipe = read_recipe(write(CODEC))
        assert (recipe.kind, recipe.name, recipe.about, recipe.codec) == ("codec", "mine", "Small and noisy", None)
        assert recipe.network == CodecConfig(sfreq=11025, channels=(8, 16), attention=())
        noise, linearity = LatentNoise("both", gamma=0.5), Linearity(mixtures="half")
        assert recipe.training == CodecTraining(batch=4, exponents=(1.0, 2.5), noise=noise, linearity=linearity)
        assert recipe.loop == LoopConfig(steps=70, clip=0.5)
        assert recipe.corpus() == MelodyCorpus(["flute"], gain=(-6, 0), grammar={"tempo": 100})

    def test_leave_open_what_has_defaults(self, write):
        recipe = read_recipe(write('kind = "surprisal"'))
        assert (recipe.network, recipe.training, recipe.loop) == (FlowConfig(), FlowTraining(), LoopConfig())
        assert recipe.corpus() == MelodyCorpus() and recipe.about == ""

    def test_name_model_and_codec(self, write):
        recipe = read_recipe(write('kind = "surprisal"\nname = "tune"\ncodec = "runs/codec.safetensors"'))
        assert (recipe.name, recipe.codec) == ("tune", "runs/codec.safetensors")

    def test_may_be_given_as_text(self, write):
        path = write(CODEC)
        assert read_recipe(str(path)) == read_recipe(path)

    def test_may_begin_with_a_mark_of_their_encoding(self, write):
        assert read_recipe(write(CODEC, encoding="utf-8-sig")) == read_recipe(write(CODEC))

    @pytest.mark.parametrize("content", ["kind = codec", "[network", "kind = 'codec'\nkind = 'codec'"])
    def test_that_are_no_toml(self, write, content):
        with pytest.raises(ValueError, match=r"mine.toml: cannot be read as TOML \(.*\(at .*\)\). Mend the file"):
            read_recipe(write(content))

    def test_in_another_encoding(self, write):
        with pytest.raises(ValueError, match=r"mine.toml: cannot be read as TOML \(.*0xe9.*\). Mend the file"):
            read_recipe(write('about = "é"', encoding="latin-1"))

    def test_that_are_not_there(self, tmp_path):
        name = next(iter(presets()))
        with pytest.raises(FileNotFoundError, match=f"no such file, and no recipe of that name.*Did you mean '{name}'"):
            read_recipe(name[:-1] + "x")
        with pytest.raises(FileNotFoundError, match=r"mine.toml: no such file, and no recipe of that name: '"):
            read_recipe(tmp_path / "mine.toml")


class TestText:
    """A recipe is written as a file that says the same."""

    @pytest.mark.parametrize("name", presets())
    def test_of_presets_reads_back(self, write, name):
        recipe = read_recipe(name)
        assert read_recipe(write(recipe.toml())) == recipe

    @pytest.mark.parametrize(
        "changes",
        [
            (),
            ("loop.clip=none", "loop.compile=true", "loop.final_learning_rate=1e-30"),
            ('about="two\\nlines, \\"quoted\\" \\\\ and \\u007f, é, 🎵"', 'limits=["It is # none", "= 5"]', "name=a b"),
            ("training.linearity.annealed=true", "network.attention=[]", "data.grammar.tempo=81.5"),
            ('data={corpus = "melodies", grammar = {"a key" = 1, "é" = {b = [1, 2.5]}}}',),
        ],
    )
    def test_of_ones_own_reads_back(self, write, changes):
        recipe = read_recipe(write(CODEC), changes)
        assert read_recipe(write(recipe.toml(), "other.toml")) == recipe

    def test_says_every_setting(self):
        recipe = read_recipe("small-both")
        table = tomllib.loads(recipe.toml())
        for section in ("network", "training", "loop"):
            settings = dataclasses.asdict(getattr(recipe, section))
            assert {key for key, value in settings.items() if value is not None} == set(table[section])

    def test_names_files_so_that_they_are_found_from_any_folder(self, write, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("ears.safetensors", "mini-codec"):  # the second is also a name, and the name comes first
            (tmp_path / name).touch()
        folder = ["data.corpus=folder", "data.folder=my music"]
        for codec, expected in [
            ("ears.safetensors", str(tmp_path / "ears.safetensors")),
            ("mini-codec", "mini-codec"),
            ("nowhere", "nowhere"),
        ]:
            read = read_recipe(write(read_recipe(write(CODEC), [*folder, f"codec={codec}"]).toml()))
            assert read.codec == expected and read.data["folder"] == str(tmp_path / "my music")


class TestBases:
    def test_give_what_is_left_open(self, shelf, write):
        write(CODEC, "base.toml")
        recipe = read_recipe(write('base = "base"\nabout = "Other"\n[training.noise]\ngamma = 2.0\n[loop]\nsteps = 9'))
        below = read_recipe("base")
        assert recipe.training.noise == dataclasses.replace(below.training.noise, gamma=2.0)
        assert recipe.training == dataclasses.replace(below.training, noise=recipe.training.noise)
        assert recipe.loop == dataclasses.replace(below.loop, steps=9)
        assert (recipe.network, recipe.data, recipe.kind) == (below.network, below.data, "codec")
        assert (recipe.name, recipe.about) == ("mine", "Other")

    @pytest.mark.parametrize("changes", [("corpus=folder", "folder=music"), ("folder=music", "corpus=folder")])
    def test_another_corpus_takes_from_the_base_what_it_knows(self, changes):
        """Not when melodies begin, which means nothing to a folder; in whatever order it is asked for."""
        changed = read_recipe("small-surprisal", ["data.seed=3", *(f"data.{change}" for change in changes)])
        assert changed.data == {"corpus": "folder", "folder": "music", "seed": 3}
        assert read_recipe("small-surprisal").data["beginnings"] is True

    def test_may_have_bases(self, shelf, write):
        write(CODEC, "a.toml")
        write('base = "a"\n[loop]\nsteps = 8\nseed = 3', "b.toml")
        write('base = "b"\n[loop]\nsteps = 7', "c.toml")
        loop = read_recipe("c").loop
        assert (loop.steps, loop.seed, loop.clip) == (7, 3, 0.5)
        assert presets() == dict.fromkeys("abc", "Small and noisy")

    def test_lists_take_the_place_of_lists(self, shelf, write):
        write(CODEC, "a.toml")
        assert read_recipe(write('base = "a"\n[network]\nchannels = [4, 8, 12]')).network.channels == (4, 8, 12)

    @pytest.mark.parametrize("base", ['"nothing"', '"../outside"', "3", '["a"]'])
    def test_that_are_none(self, tmp_path, monkeypatch, write, base):
        (tmp_path / "shelf").mkdir()
        monkeypatch.setattr(module, "_presets", lambda: tmp_path / "shelf")
        write(CODEC, "shelf/a.toml")
        write(CODEC, "outside.toml")
        with pytest.raises(ValueError, match="mine: base = .* is no recipe that comes with eegic"):
            read_recipe(write(f"base = {base}"))

    @pytest.mark.parametrize("bases", [{"a": "a"}, {"a": "b", "b": "c", "c": "a"}])
    def test_that_lead_back_to_themselves(self, shelf, write, bases):
        for name, base in bases.items():
            write(f'base = "{base}"', f"{name}.toml")
        with pytest.raises(ValueError, match="base = .* is no recipe that comes with eegic, or leads back to itself"):
            read_recipe("a")


class TestChanges:
    @pytest.mark.parametrize(
        ("change", "section", "key", "value"),
        [
            ("loop.steps=2000", "loop", "steps", 2000),
            (" loop.steps = 2000 ", "loop", "steps", 2000),
            ("loop.learning_rate=3e-4", "loop", "learning_rate", 3e-4),
            ("loop.compile=true", "loop", "compile", True),
            ("loop.clip=none", "loop", "clip", None),
            ("loop.optimiser=adamw", "loop", "optimiser", "adamw"),
            ('loop.optimiser="adamw"', "loop", "optimiser", "adamw"),
            ("network.channels=[4, 8, 12]", "network", "channels", (4, 8, 12)),
            ("training.exponents=[3, 3]", "training", "exponents", (3.0, 3.0)),
            ("training.noise.gamma=2", "training", "noise", LatentNoise("both", gamma=2)),
            ("training.linearity.annealed=true", "training", "linearity", Linearity(mixtures="half", annealed=True)),
        ],
    )
    def test_take_the_place_of_single_values(self, write, change, section, key, value):
        path = write(CODEC)
        before = read_recipe(path)
        expected = dataclasses.replace(getattr(before, section), **{key: value})
        assert read_recipe(path, [change]) == dataclasses.replace(before, **{section: expected})
        assert read_recipe(path) == before

    def test_reach_names_and_data(self, write):
        changes = [
            "name=other",
            "about=A = B",
            "codec=mini codec.safetensors",
            "data.folder=/my music/#1",
            "data.corpus=folder",
        ]
        recipe = read_recipe(write(CODEC), changes)
        assert (recipe.name, recipe.about, recipe.codec) == ("other", "A = B", "mini codec.safetensors")
        assert recipe.data["folder"] == "/my music/#1" and recipe.data["corpus"] == "folder"
        assert read_recipe(write(CODEC), ["data.timbres=organ", "data.grammar.tempo=80"]).corpus() == MelodyCorpus(
            "organ", gain=(-6, 0), grammar={"tempo": 80}
        )
        recipe = read_recipe(write(CODEC), ["name=2024.10", "codec=7", "about=[1]", "data.folder=0x10"])
        assert (recipe.name, recipe.codec, recipe.about, recipe.data["folder"]) == ("2024.10", "7", "[1]", "0x10")

    def test_may_name_keys_in_quotes(self, write):
        assert read_recipe(write(CODEC), ["'loop'.steps=5"]).loop.steps == 5
        with pytest.raises(ValueError, match="loop: 'a.b' is no setting here"):
            read_recipe(write(CODEC), ['loop."a.b"=5'])

    def test_the_last_one_counts(self, write):
        assert read_recipe(write(CODEC), ["loop.steps=5", "loop.steps=6"]).loop.steps == 6

    def test_make_sections_that_the_file_does_not_have(self, write):
        changes = ["training.noise.noised=both", "training.linearity.mixtures=sum"]
        training = read_recipe(write('kind = "codec"'), changes).training
        assert training == CodecTraining(noise=LatentNoise("both"), linearity=Linearity(mixtures="sum"))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("loop.steps", "--set: expected section.key=value, such as loop.steps=2000, got 'loop.steps'"),
            ("=5", "--set: expected section.key=value"),
            ("loop.=5", "--set: expected section.key=value"),
            ("loop.steps.more=5", "--set: 'steps' in 'loop.steps.more' is a value, not a section"),
            ("loop.step=5", "loop: 'step' is no setting here. Did you mean 'steps'"),
            ("base=small-both", "--set: 'base=small-both' comes too late for a base. Write base = \"NAME\" in a file"),
            ("base.name=5", "--set: 'base.name=5' comes too late"),
            ("stuff.steps=5", "recipe: 'stuff' is no setting here. Expected some of 'about', .*'training'"),
        ],
    )
    def test_that_are_none(self, write, change, message):
        with pytest.raises(ValueError, match=message):
            read_recipe(write(CODEC), [change])

    @pytest.mark.parametrize(
        ("change", "kind", "meant"),
        [
            ("steps=20", "codec", "'loop.steps'"),
            ("training.steps=20", "codec", "'loop.steps'"),
            ("loop.melodies=0", "surprisal", "'melodies'"),
            ("network.seed=1", "codec", "'loop.seed' or 'data.seed'"),
            ("gamma=1", "codec", "'training.noise.gamma'"),
            ("annealed=true", "codec", "'training.linearity.annealed'"),
            ("tempo=80", "codec", "'data.grammar.tempo'"),
            ("folder=music", "surprisal", "'data.folder'"),
            ("width=8", "surprisal", "'network.width'"),
            ("window=8", "surprisal", "'training.window'"),
        ],
    )
    def test_in_the_wrong_section_are_answered_with_the_right_one(self, write, change, kind, meant):
        with pytest.raises(ValueError, match=rf"is no setting here. Did you mean {re.escape(meant)}\?$"):
            read_recipe(write(f'kind = "{kind}"'), [change])

    @pytest.mark.parametrize(
        ("change", "kind"), [("width=8", "codec"), ("gamma=1", "surprisal"), ("rhythm=5", "codec")]
    )
    def test_of_another_kind_are_not_suggested(self, write, change, kind):
        with pytest.raises(ValueError, match="is no setting here. Expected some of"):
            read_recipe(write(f'kind = "{kind}"'), [change])

    @pytest.mark.parametrize("changes", ["loop.steps=5", [5], [["loop.steps=5"]]])
    def test_are_texts_in_a_list(self, changes):
        with pytest.raises(TypeError, match=r'changes: expected a list of texts, such as \["loop.steps=2000"\], got'):
            read_recipe("small-both", changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("kind=sound", "kind: expected one of 'codec', 'surprisal', got 'sound'"),
        ("nework.dim=5", "recipe: 'nework' is no setting here. Did you mean 'network'"),
        ("network.dims=5", "network: 'dims' is no setting here. Did you mean 'dim'"),
        ("training.noise.means=5", "training.noise: 'means' is no setting here. Did you mean 'mean'"),
        ("training.linearity.mix=1", "training.linearity: 'mix' is no setting here"),
        ("network=5", "network: expected a table of settings, got 5"),
        ("training=none", "training: expected a table of settings, got 'none'"),
        ("training.noise=both", "training.noise: expected a table of settings, got 'both'"),
        ("data=melodies", "data: expected a table of settings, got 'melodies'"),
        ("loop.steps=0", "loop.steps: expected at least 1, got 0"),
        ("loop.steps=ten", "loop.steps: expected a whole number, got 'ten'"),
        ("loop.steps=[1, 2]", r"loop.steps: expected a whole number, got \(1, 2\)"),
        ("loop.warmup=80", "loop.warmup: expected fewer than all 70 steps, got 80"),
        ("network.channels=8", r"network.channels: expected a list, such as \[8\], got 8"),
        ("training.exponents=2.0", r"training.exponents: expected a list, such as \[2.0\], got 2.0"),
        ("training.noise.noised=all", "training.noise.noised: expected one of 'none', 'decoder', 'both'"),
        ("training.noise.share=2", "training.noise.share: expected a share above 0 and up to 1, got 2"),
        ("training.batch=1", "training.batch: expected at least 2, got 1"),
        ("training.exponents=['a', 'b']", "training.exponents: expected a number of powers of 0.1, got 'a'"),
        ("network.channels=[]", r"network.channels: expected at least one level, got \(\)"),
        ("network.causal=1", "network.causal: expected True or False, got 1"),
        (f"loop.learning_rate={10**400}", "loop: int too large"),
        ("limits=5", r"limits: expected a list of sentences, got 5. Put it in square brackets"),
        ("limits=abc", "limits: expected a list of sentences, got 'abc'"),
        ("limits=[1]", 'limits: expected text, such as "1", got 1'),
        ("melodies=many", "melodies: expected a whole number, got 'many'"),
        ("melodies=-1", "melodies: expected at least 0, got -1"),
        ("melodies=5", "melodies: expected 0 for a codec, .* got 5. Take it out, or pass --set melodies=0"),
        ("codec=", "codec: expected a name or a path, got ''. Name a codec, or leave the setting out"),
        ("name=", "name: expected a plain file name without a folder, such as my-codec, got ''"),
        ("name=../../x", "name: expected a plain file name .*, got '../../x'. Say where with --out"),
        ("name=/etc/x", "name: expected a plain file name"),
        ("name=..", "name: expected a plain file name"),
        ("name=a\\b", "name: expected a plain file name"),
        ("name=C:x", "name: expected a plain file name"),
        ('name="a\\nb"', "name: expected a plain file name"),
    ],
)
def test_what_is_no_recipe(write, change, message):
    with pytest.raises(ValueError, match=message):
        read_recipe(write(CODEC), [change])


@pytest.mark.parametrize("key", ["name", "about", "licence", "codec"])
def test_text_that_is_none(write, key):
    with pytest.raises(ValueError, match=f'{key}: expected text, such as "2024", got 2024'):
        read_recipe(write(f'{key} = 2024\nkind = "codec"'))
    with pytest.raises(ValueError, match='data.folder: expected text, such as "2024", got 2024'):
        read_recipe(write('kind = "codec"\ndata = {corpus = "folder", folder = 2024}'))


def test_notes_of_recordings_are_not_promised():
    """A recipe for melodies that is turned to a folder says what to do about those it promised."""
    assert read_recipe("mini").melodies > 0
    changes = ["data.corpus=folder", "data.folder=music"]
    with pytest.raises(ValueError, match="melodies: expected 0 for a folder of recordings.*pass --set melodies=0"):
        read_recipe("mini", changes)
    assert read_recipe("mini", [*changes, "melodies=0"]).data["folder"] == "music"


def test_a_recipe_without_a_kind(write):
    with pytest.raises(ValueError, match="kind: expected one of 'codec', 'surprisal', got ''"):
        read_recipe(write("[loop]\nsteps = 5"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.corpus=melody"], "data.corpus: expected one of .* Did you mean 'melodies'"),
        (["data.timbre=flute"], "data: 'timbre' is no setting here. Did you mean 'timbres'"),
        (["data.timbres=flut"], "data.timbres: expected one of .* Did you mean 'flute'"),
        (["data.grammar.tempos=5"], "data.grammar: expected one of .* Did you mean 'tempo'"),
        (["data.grammar.tempo=-5"], "data: tempo: expected a finite positive number of beats per minute"),
        (["data.gain=3"], r"data.gain: expected a list, such as \[3\], got 3"),
        (["data.timbres=5"], "data.timbres: expected text or a list of texts, got 5"),
        (["data.grammar=5"], "data.grammar: expected a table of settings, got 5"),
        (["data.grammar.tempo=fast"], "data: tempo: expected a number of beats per minute, got 'fast'"),
        (["data.corpus=folder"], r'data: expected folder = "PATH" with your recordings'),
    ],
)
def test_sound_that_is_refused(write, changes, message):
    with pytest.raises(ValueError, match=message):
        read_recipe(write(CODEC), changes).corpus()


def test_a_folder_that_does_not_do(write, tmp_path):
    recipe = read_recipe(write('kind = "codec"\n[data]\ncorpus = "folder"'), [f"data.folder={tmp_path}"])
    with pytest.raises(ValueError, match="^data: .*: expected at least two recordings, .*; 0 could be opened"):
        recipe.corpus()
    with pytest.raises(NotADirectoryError, match="missing: expected a folder of recordings"):
        read_recipe(write('kind = "codec"\n[data]\ncorpus = "folder"'), [f"data.folder={tmp_path}/missing"]).corpus()
