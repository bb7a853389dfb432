"""A study.toml: what it may say, what it means, and what is said when it cannot be."""

import copy
import inspect
import re
import tomllib

import pytest

from eegic import _toml, features
from eegic.eeg import preprocess, read_bids, read_cnd, read_participant
from eegic.group import group_test
from eegic.study import Study, read_study, settings, template
from eegic.study.reading import settings_of
from eegic.surprisal import information_content
from eegic.tracking import cortical_tracking

FORMS = {
    "bids": settings.BidsData,
    "cnd": settings.CndData,
    "files": settings.FilesData,
    "manifest": settings.ManifestData,
}
BASE = tomllib.loads(template("bids"))
PYDANTIC = re.compile(r"Input should|valid (?!data)|constrained|tuple|dict|instance|validation|pydantic|after|literal")


def changed(place, value):
    """The template with one setting changed; None deletes it."""
    table = copy.deepcopy(BASE)
    *sections, last = place.split(".")
    within = table
    for section in sections:
        within = within.setdefault(section, {})
    if value is None:
        within.pop(last)
    else:
        within[last] = value
    return table


def with_features(**features):
    """The template with more features."""
    table = copy.deepcopy(BASE)
    table["features"] |= features
    return table


def said(place, value):
    """What is said of a setting, without the first line."""
    with pytest.raises(ValueError, match=r"^study\.toml: \d+ of its settings cannot be:\n  ") as error:
        settings_of(changed(place, value), "study.toml")
    lines = str(error.value).split("\n  ")[1:]
    assert str(error.value).startswith(f"study.toml: {len(lines)} of")
    assert not PYDANTIC.search(str(error.value)), error.value
    return "\n".join(lines)


def written(folder, text, name="study.toml"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def defaults(model, **renamed):
    """Defaults of a section by the names of a function's arguments."""
    fields = {renamed.get(key, key): field for key, field in model.model_fields.items()}
    return {key: field.default for key, field in fields.items() if not field.is_required() and key != ""}


@pytest.mark.parametrize(
    ("model", "function", "renamed", "ours"),
    [
        (settings.Preprocessing, preprocess, {}, {"skip", "bridge"}),
        (settings.Trf, cortical_tracking, {}, set()),
        (settings.Null, cortical_tracking, {"kind": "null", "n": "n_null"}, {"unheard"}),
        (settings.Group, group_test, {}, {"mixed", "allow_missing"}),
        (settings.InformationContent, information_content, {}, {"centre"}),
        (settings.Envelope, features.envelope, {"method": "kind", "kind": ""}, set()),
        (settings.Envelope, features.envelope_derivative, {"method": "kind", "kind": ""}, set()),
        (settings.Onsets, features.onset_strength, {}, set()),
        (settings.Spectrogram, features.gammatone_spectrogram, {}, set()),
        (settings.BidsData, read_bids, {}, {"folder", "participants", "exclude"}),
        (settings.CndData, read_cnd, {}, {"folder", "participants", "exclude", "conditions"}),
        (
            settings.FilesData,
            read_participant,
            {},
            {"folder", "participants", "exclude", "recordings", "trials", "triggers"},
        ),
    ],
)
def test_defaults_are_those_of_the_functions(model, function, renamed, ours):
    arguments = inspect.signature(function).parameters
    found = defaults(model, **renamed)
    assert ours <= set(found)
    for name, value in found.items():
        if name in ours:
            continue
        usual = arguments[name].default
        if name == "alphas":
            assert value is None  # and then it is not passed
        elif name == "noise":
            assert value == (usual,)
        elif isinstance(value, (dict, tuple)) and not value:
            assert not usual
        else:
            assert value == usual and type(value) in (type(usual), float), name


def test_every_argument_of_a_stage_can_be_set_or_is_known_not_to_be():
    apart = {"participant", "baseline", "added", "n_jobs", "rng", "progress"}
    trf = set(settings.Trf.model_fields) | {"null", "n_null"} | set(settings.Null.model_fields)
    left = set(inspect.signature(cortical_tracking).parameters) - trf - apart
    assert left == {"pseudo", "tolerance", "ceiling"}
    left = set(inspect.signature(preprocess).parameters) - set(settings.Preprocessing.model_fields) - apart
    assert left == {"forward", "on_nan"}


@pytest.mark.parametrize("form", FORMS)
def test_the_template_of_each_form_is_valid_and_states_every_setting_and_its_default(form):
    text = template(form)
    given = tomllib.loads(text)
    study = settings_of(given, "study.toml")
    assert type(study.data) is FORMS[form]
    uncommented = re.sub(r"(?m)^# (?=[\w\"-]+ = |\[)", "", text)
    full = tomllib.loads(uncommented)
    for section in settings.Settings.sections:
        if section != "features":
            assert set(full[section]) == set(type(getattr(study, section)).model_fields), section
    kinds = {one["kind"]: one for one in full["features"].values()}
    for kind, model in (
        ("envelope", settings.Envelope),
        ("onset_strength", settings.Onsets),
        ("ic", settings.InformationContent),
        ("files", settings.Stored),
    ):
        assert set(kinds[kind]) == set(model.model_fields)
    if form == "files":
        del full["data"]["triggers"]
    everything = settings_of(full, "study.toml")
    assert everything.model_dump(exclude={"features"}) == study.model_dump(exclude={"features"})
    assert everything.features == {**study.features, "surprisal": everything.features["surprisal"]}
    assert all(len(line) < 220 for line in text.splitlines())


def test_every_setting_says_what_it_is_for():
    models = [one for one in vars(settings).values() if isinstance(one, type) and issubclass(one, settings.Section)]
    for model in models:
        if model.__name__ in ("Section", "Settings", "_Data"):
            continue
        assert model.__doc__
        without = {key for key, field in model.model_fields.items() if not field.description}
        assert without <= {"format", "kind"}, model


def test_an_unknown_form_is_named():
    with pytest.raises(
        ValueError, match=r"^form: expected one of 'bids', 'cnd', 'files', 'manifest', got 'bidz'\. Did"
    ):
        template("bidz")


def test_paths_are_seen_from_the_file_wherever_one_stands(tmp_path, monkeypatch):
    inner = tmp_path / "a study"
    inner.mkdir()
    text = template("bids").replace('# folder = "results"', 'folder = "../out"')
    written(inner, text)
    monkeypatch.chdir(tmp_path)
    for source in ("a study", "a study/study.toml", inner / "study.toml"):
        study = read_study(source)
        assert study.folder == inner and study.file == "study.toml"
        assert study.out == tmp_path / "out" and study.store == tmp_path / "out" / "store"
        assert study.path("../x/y.wav") == tmp_path / "x" / "y.wav"
    assert read_study("a study", ["output.store=/scratch/all"]).store.as_posix() == "/scratch/all"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_study(inner).path("~/eeg") == tmp_path / "eeg"


def test_marks_and_line_ends_of_other_editors_change_nothing(tmp_path):
    text = template("cnd")
    plain = read_study(written(tmp_path, text))
    windows = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert read_study(written(tmp_path, windows)).settings == plain.settings


@pytest.mark.parametrize("content", [b"name = \xe4", b"[trf\ntmin = 0", b"\xff\xfen\x00", b"a = 1\na = 2"])
def test_what_is_no_toml_is_named_with_its_file(tmp_path, content):
    file = written(tmp_path, content, "of piano.toml")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))}: cannot be read as TOML \(.+\)\. Mend the file\.$"):
        read_study(file)


def test_a_missing_file_and_a_missing_folder_are_named(tmp_path):
    for source in (tmp_path, tmp_path / "study.toml"):
        with pytest.raises(FileNotFoundError, match=r"study\.toml: no such file\. `eegic init` writes one"):
            read_study(source)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_reads_the_same_again(tmp_path, form):
    changes = ["trf.n_folds=4", "group.mixed=none", 'data.exclude={"07" = "fell asleep \\"twice\\""}', "name=Für Elise"]
    study = read_study(written(tmp_path, template(form)), changes)
    again = read_study(written(tmp_path, study.toml(), "again.toml"))
    assert again.settings == study.settings and again.toml() == study.toml()
    assert set(tomllib.loads(study.toml())["trf"]) == set(settings.Trf.model_fields), "defaults included"


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("trf.tmax=0.5", "trf.tmax", 0.5),
        ("trf.tmax = 1", "trf.tmax", 1.0),
        ("null.n=200", "null.n", 200),
        ("preprocessing.l_freq=none", "preprocessing.l_freq", None),
        ("group.mixed=none", "group.mixed", None),
        ('group.mixed=""', "group.mixed", ""),
        ("preprocessing.interpolate=false", "preprocessing.interpolate", False),
        ('preprocessing.reference=["M1", "M2"]', "preprocessing.reference", ("M1", "M2")),
        ("trf.alphas=[1, 1e3]", "trf.alphas", (1.0, 1000.0)),
        ("preprocessing.reference=REST", "preprocessing.reference", "REST"),
        ("data.folder=2024", "data.folder", "2024"),
        ("data.session=01", "data.session", "01"),
        ("data.run=1", "data.run", "1"),
        ("output.folder=true", "output.folder", "true"),
        ("output.store=2024", "output.store", "2024"),
        ("name=1984", "name", "1984"),
        ("data.task=a=b", "data.task", "a=b"),
        ("report.about=Who? We.", "report.about", "Who? We."),
        ("features.ic.model=2024", "features.ic.model", "2024"),
        ("features.ic.noise=[0.5]", "features.ic.noise", (0.5,)),
        ("name=2024-01-01", "name", "2024-01-01"),
        ('"trf" . tmax=1', "trf.tmax", 1.0),
    ],
)
def test_a_setting_can_be_changed_from_outside(tmp_path, change, place, value):
    file = written(tmp_path, template("bids"))
    before, study = read_study(file), read_study(file, [change])
    found = study.settings
    for key in place.split("."):
        found = found[key] if isinstance(found, dict) else getattr(found, key)
    assert found == value and type(found) is type(value)
    assert study.toml() != before.toml() or place == "group.mixed"


def test_a_table_takes_the_place_of_a_table(tmp_path):
    file = tmp_path / "study.toml"
    left_out = '[data]\nexclude = { "03" = "slept", "04" = "left" }\n'
    file.write_text(template("files").replace("[data]\n", left_out, 1), encoding="utf-8")

    def excluded(*changes):
        return read_study(file, changes).settings.data.exclude

    assert excluded() == {"03": "slept", "04": "left"}
    assert excluded("data.exclude={}") == {}
    assert excluded('data.exclude={ "05" = "ill" }') == {"05": "ill"}
    assert excluded("data.exclude.05=ill") == {"03": "slept", "04": "left", "05": "ill"}


def test_later_changes_win_and_new_tables_are_made(tmp_path):
    file = written(tmp_path, template("bids"))
    study = read_study(file, ["null.n=5", "null.n=6", "features.new.kind=envelope", "group.regions.front=['Fz']"])
    assert study.settings.null.n == 6 and study.settings.features["new"].kind == "envelope"
    assert study.settings.group.regions == {"front": ("Fz",)}


def test_quotes_hold_a_key_together(tmp_path):
    file = written(tmp_path, template("bids"))
    changes = ['features."mini 0.5".kind=envelope', "data.sounds.'song = 1.0'=a.b=c", "data.sounds.Für Elise=bach"]
    found = read_study(file, changes).settings
    assert found.features["mini 0.5"].kind == "envelope"
    assert found.data.sounds == {"song = 1.0": "a.b=c", "Für Elise": "bach"}


@pytest.mark.parametrize("place", ["null.n", "trf.tmax", "trf.added", "data.task", "preprocessing.skip", "data.format"])
@pytest.mark.parametrize("value", ["2024-01-01", "07:32:00", "2024-01-01T07:32:00+02:00"])
def test_dates_are_refused_in_words(tmp_path, place, value):
    table = tomllib.loads(f"it = {value}")
    assert re.search(rf"{place}: expected .*, got {re.escape(value)}\.", said(place, table["it"]))
    assert tomllib.loads(_toml.written(table)) == table
    if place not in ("data.task", "data.format"):  # which are words
        with pytest.raises(ValueError, match=re.escape(f"got {value}.")):
            read_study(written(tmp_path, template("bids")), [f"{place}={value}"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('features."mini 0.5.kind=ic', r"^--set: expected section\.key=value, such as"),
        ('features."\\q".kind=ic', r"^--set: expected section\.key=value, such as"),
        ("trf..tmax=1", r"^--set: expected section\.key=value, such as"),
        ("trf.tmax", r"^--set: expected section\.key=value, such as trf\.tmax=0\.5, got 'trf\.tmax'"),
        ("=3", r"^--set: expected section\.key=value"),
        ("name.first=x", r"^--set: 'name' in 'name\.first' is a value, not a section"),
        ("data.format.of=1", r"^--set: 'format' in 'data\.format\.of' is a value"),
        ("trf.tmx=1", r"\n  trf\.tmx: no such setting\. Did you mean tmax\?$"),
        ("trf=1", r"\n  trf: expected a table, got 1\.$"),
        ("tmax=1", r"\n  tmax: no such setting\. Did you mean trf\.tmax\?$"),
        ("trf.tmax=half", r'\n  trf\.tmax: expected a number, got "half"\. Last lag\.$'),
        ("trf.added=ic", r'\n  trf\.added: expected a list in brackets, got "ic"\. Features whose gain'),
    ],
)
def test_a_change_that_cannot_be_is_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_study(written(tmp_path, template("bids")), [change])


@pytest.mark.parametrize("changes", ["trf.tmax=0.5", [1], [None]])
def test_changes_are_a_list_of_texts(tmp_path, changes):
    with pytest.raises(TypeError, match=r'^changes: expected a list of texts, such as \["trf\.tmax=0\.5"\], got'):
        read_study(written(tmp_path, template("bids")), changes)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("group.regions", {"a": 3}, "group.regions.a: expected a list in brackets, got 3."),
        ("trf.tmax", True, "trf.tmax: expected a number, got true. Last lag."),
        ("trf.tmin", 0.7, "trf: expected tmin below tmax, got 0.7 and 0.6."),
        ("trf.tmin", float("nan"), "trf.tmin: expected a finite number, got NaN. First"),
        ("trf.alphas", [1, "x"], 'trf.alphas: expected a list of numbers, got [1, "x"]. Grid'),
        ("trf.alphas", [], "trf.alphas: expected at least one, got []. Grid"),
        ("trf.baseline", ["envelope"] * 2, "trf.baseline: expected each feature once, got 'envelope' more than once."),
        ("trf.added", ["ic", "ic"], "trf.added: expected each feature once, got 'ic' more than once."),
        ("trf.models", {"both": []}, "trf.models.both: expected at least one, got []."),
        ("trf.models", {"both": ["ic 0"] * 2}, "trf.models: expected each column of a model once, got 'ic 0' more"),
        (
            "trf.models",
            {"both": ["ic 0", "ic 0.4"]},
            "trf.models.both: 'ic 0.4' is no column of what is added: 'ic 0', 'ic 0.3', 'ic 0.6'.",
        ),
        ("trf.models", {"one": ["ic"]}, "trf.models.one: 'ic' is no column of what is added: 'ic 0', 'ic 0.3', "),
        ("trf.models", {"one": ["envelope"]}, "trf.models.one: 'envelope' is no column of what is added: 'ic 0'"),
        ("preprocessing.h_freq", 32, "preprocessing: expected h_freq below 32 Hz, half of sfreq, got 32. Lower it, or"),
        ("preprocessing.sfreq", 16, "preprocessing: expected h_freq below 8 Hz, half of sfreq, got 8."),
        ("preprocessing.l_freq", 8, "preprocessing: expected l_freq below h_freq, got 8 and 8."),
        ("preprocessing.l_freq", 40, "preprocessing: expected l_freq below 32 Hz, half of sfreq, got 40."),
        ("output.folder", "", 'output.folder: expected text that is not empty, got "". Seen from this file.'),
        ("output.store", "", 'output.store: expected text that is not empty, got "". Folder of what'),
        ("trf.alphas", [-1], "trf.alphas: expected each 0 or more, got [-1]. Grid"),
        ("trf.n_folds", 2.5, "trf.n_folds: expected a whole number, got 2.5. none holds out"),
        ("trf.n_folds", 0, "trf.n_folds: expected 1 or more, got 0."),
        ("trf.baseline", "envelope", 'trf.baseline: expected a list in brackets, got "envelope". Features'),
        ("trf.added", [3], "trf.added: expected a list of texts in quotes, got [3]. Features"),
        ("trf.baseline", [], "trf.baseline: expected at least one, got []. Features"),
        ("trf.baseline", ["env"], "trf.baseline: 'env' is no feature. Expected some of envelope, onsets, ic; a table"),
        ("trf.added", ["envelope"], "trf: envelope stands in baseline and in added"),
        ("trf", None, "trf: missing. Expected a table [trf]."),
        ("trf.sfreq", 64, "trf.sfreq: no such setting. Did you mean preprocessing.sfreq?"),
        ("nuls", {}, "nuls: no such setting. Did you mean null?"),
        ("null.kind", "shifts", "null.kind: expected 'repair', 'pseudo', 'shift' or 'events', got \"shifts\". Did you"),
        ("null.kind", "pseudo", 'null: kind = "pseudo" and unheard = [...] go together'),
        ("null.unheard", ["a"], 'null: kind = "pseudo" and unheard = [...] go together'),
        ("features", {}, "features: expected at least one, got {}. Expected a table [features.NAME]"),
        ("features.envelope", 3, "features.envelope: expected a table, got 3."),
        ("features.envelope.kind", "envelop", "features.envelope.kind: expected one of 'envelope', "),
        ("features.envelope.kind", None, "features.envelope.kind: missing. Expected one of 'envelope'"),
        ("features.ic.noise", [0.3, 0.3], "features.ic.noise: expected each level once."),
        ("features.ic.noise", [0.3, 0.3000000001], "features.ic.noise: expected each level once. They are told apart"),
        ("features.ic.noise", [1.0], "features.ic.noise: expected each less than 1, got [1.0]. Noise"),
        ("features.new", {"kind": "files", "files": "a.npz"}, "features.new.files: expected {stimulus} in it"),
        ("features.new", {"kind": "data"}, "features.new.columns: missing. Its names in the data set."),
        ("features.new", {"kind": "data", "columns": ["a"]}, 'features.new: kind = "data" is for CND'),
        ("data", None, "data: missing. Expected a table [data]."),
        ("data.format", None, "data.format: missing. Expected one of 'bids', 'cnd', 'files', 'manifest'."),
        ("data.format", "bid", "data.format: expected one of 'bids', 'cnd', 'files', 'manifest', got \"bid\". Did you"),
        ("data.format", 3, "data.format: expected one of 'bids', 'cnd', 'files', 'manifest', got 3."),
        ("data.unit", "V", "data.unit: no such setting. Expected some of 'folder'"),
        ("data.participants", [1, 2], "data.participants: expected 'all' or a list of texts in quotes, got [1, 2]."),
        ("data.participants", 1, "data.participants: expected 'all' or a list in brackets, got 1."),
        ("data.exclude", ["01"], 'data.exclude: expected a table, got ["01"]. Who is left out'),
        ("data.exclude", {"01": 3}, "data.exclude.01: expected text in quotes, got 3."),
        ("data", {"format": "manifest"}, "data.manifest: missing. Its id."),
        ("data", {"format": "files", "recordings": "a.fif"}, "data.recordings: expected {participant} in it"),
        ("data", {"format": "files", "recordings": "/{participant}"}, "data.recordings: expected a path below"),
        ("data", {"format": "files", "triggers": {"1": "a"}}, "data: expected trials (a table) or triggers"),
        ("data", {"format": "files", "trials": "none"}, "data: expected trials (a table) or triggers"),
        (
            "data",
            {"format": "files", "trials": "none", "triggers": {"S 1": "a"}, "stim_channel": "Status"},
            "data: triggers: a stim channel holds whole numbers, got 'S 1'.",
        ),
        ("preprocessing.reference", "averag", "preprocessing.reference: expected 'average' or 'REST' or a list"),
        ("preprocessing.skip", "true", 'preprocessing.skip: expected true or false, got "true". true: the'),
        ("preprocessing.sfreq", "none", 'preprocessing.sfreq: expected a number, got "none". Sampling'),
        ("preprocessing.max_share", 1.0, "preprocessing.max_share: expected less than 1, got 1.0. Of trials"),
        ("sounds.channel", -1, "sounds.channel: expected 'mean' or 0 or more, got -1."),
        ("name", "", 'name: expected text that is not empty, got "". What the data set of the'),
        ("run.seed", 2**70 * 1.0, "run.seed: expected a whole number, got 1.1805916207174113e+21. Every"),
    ],
)
def test_what_cannot_be_is_said_in_plain_words(place, value, message):
    assert said(place, value).startswith(message)


def test_all_wrong_settings_are_named_at_once():
    table = copy.deepcopy(BASE)
    table["trf"].update(tmxa=1, n_folds=0)
    table["sounds"] = 3
    table["features"]["ic"]["mode"] = "slow"
    table["features"]["envelope"]["kind"] = "loudness"
    table["data"]["task"] = 7
    with pytest.raises(ValueError, match="^mine: 6 of its settings") as error:
        settings_of(table, "mine")
    places = [line.split(":")[0] for line in str(error.value).split("\n  ")[1:]]
    expected = {"trf.tmxa", "trf.n_folds", "sounds", "features.ic.mode", "features.envelope.kind", "data.task"}
    assert set(places) == expected
    table = copy.deepcopy(BASE)
    table["trf"].update(baseline=["env"], added=["surprise"])
    with pytest.raises(
        ValueError, match=r"2 of its settings cannot be:\n  trf\.baseline: 'env'.*\n  trf\.added: 'surp"
    ):
        settings_of(table, "mine")


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", "a:b", "a*", "tab\there", "line\n", "", ".", "..", " a", "a ", "a\x00", 'a"b']
)
def test_features_are_called_what_files_can_be_called(name):
    with pytest.raises(ValueError, match="1 of its settings") as error:
        settings_of(with_features(**{name: {"kind": "envelope"}}), "mine")
    told = f"features: {name!r}: expected letters, digits, spaces, '_', '.' and '-', and no space at either end"
    assert str(error.value).split("\n  ", 1)[1].startswith(told)


@pytest.mark.parametrize("name", ["a", "ic 0.4", "Hüllkurve", "包络", "a_b-c.d", "..a", "0"])
def test_features_may_be_called_what_people_call_them(name):
    assert name in settings_of(with_features(**{name: {"kind": "envelope"}}), "mine").features


@pytest.mark.parametrize(
    ("features", "told"),
    [
        ({"Envelope": {"kind": "envelope"}}, "'envelope' and 'Envelope' would share the name 'Envelope', as capitals"),
        ({"STRASSE": {"kind": "envelope"}, "straße": {"kind": "envelope"}}, "'STRASSE' and 'straße' would share"),
        ({"ic 0.3": {"kind": "envelope"}}, "'ic' and 'ic 0.3' would share the name 'ic 0.3'"),
        ({"IC 0.30": {"kind": "envelope"}, "IC 0": {"kind": "envelope"}}, "'ic' and 'IC 0' would share the name 'IC"),
    ],
)
def test_no_two_columns_are_called_alike(features, told):
    with pytest.raises(ValueError, match="1 of its settings") as error:
        settings_of(with_features(**features), "mine")
    assert f"\n  features: {told}" in str(error.value)


def test_columns_that_are_brought_are_compared_too_where_they_are_used():
    own = {name: {"kind": "data", "columns": ["onset", name]} for name in ("one", "other")}
    table = with_features(**own)
    table["data"] = {"format": "cnd"}
    table["trf"] = {"baseline": ["one"], "added": ["ic"]}
    settings_of(table, "mine")
    table["trf"]["added"] = ["other"]
    with pytest.raises(ValueError, match=r"\n  trf: two columns of the features are called 'onset'\. Rename one\.$"):
        settings_of(table, "mine")


def test_models_are_made_of_what_is_added_as_far_as_that_is_known():
    table = with_features(notes={"kind": "files", "files": "{stimulus}.npz"})
    table["trf"]["models"] = {"both": ["ic 0.3", "ic 0"], "one": ["ic 0.6"]}
    assert settings_of(table, "mine").trf.models["both"] == ("ic 0.3", "ic 0")
    table["trf"] |= {"added": ["ic", "notes"], "models": {"both": ["ic 0", "who knows"]}}
    settings_of(table, "mine")
    table["features"]["notes"]["columns"] = ["pitch"]
    with pytest.raises(ValueError, match="'who knows' is no column of what is added: 'ic 0', .*, 'notes'"):
        settings_of(table, "mine")
    table["features"]["notes"]["columns"] = ["pitch", "who knows"]
    settings_of(table, "mine")


def test_filters_are_not_looked_at_where_they_are_not_used():
    table = copy.deepcopy(BASE)
    table["preprocessing"] = {"skip": True, "sfreq": 10}
    assert settings_of(table, "mine").preprocessing.sfreq == 10
    table["preprocessing"] = {"sfreq": 10, "h_freq": "none"}
    assert settings_of(table, "mine").preprocessing.h_freq is None


def test_names_of_features_may_be_those_of_types_and_hold_dots():
    table = copy.deepcopy(BASE)
    table["features"] |= {name: {"kind": "envelope", "loud": 1} for name in ("str", "a-b", "a.b", "none", "envelope")}
    with pytest.raises(ValueError, match="5 of its settings") as error:
        settings_of(table, "mine")
    for name in ("str", "a-b", "a.b", "none", "envelope"):
        assert f"  features.{name}.loud: no such setting. Expected some of 'kind', 'method'." in str(error.value)


def test_nothing_is_taken_for_a_text_where_nothing_is_allowed_only():
    table = copy.deepcopy(BASE)
    table["name"] = "none"
    table["data"]["montage"] = "none"
    found = settings_of(table, "mine")
    assert found.name == "none" and found.data.montage is None
    assert _toml.text("none") in Study(found, None).toml()
    assert said("sounds.only", "none").startswith('sounds.only: expected a list in brackets, got "none".')


def test_settings_do_not_change():
    found = settings_of(BASE, "mine")
    with pytest.raises(Exception, match="frozen"):
        found.trf.tmax = 1.0
