"""Reports: one file that needs nothing else, whatever participants, channels and features are called."""

import base64
import dataclasses
import re
import types
import webbrowser
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from handmade import tracked

import eegic
from eegic import Offsets, Participant, group_test, report_group, report_participant
from eegic.reports import group_report, participant_report, words
from eegic.reports.group_tables import add_mixed, add_tests
from eegic.reports.page import Page, as_rows

EVIL = "<script>alien=1</script> & \"q\" 'r' $\\frac{$ a_b 100% {x}"
ABOUT = f"Listeners are simulated. {EVIL}\n \nThe model mini was trained on melodies."
SECTIONS = ["What was done", "What came out", "Figures"]


class Reader(HTMLParser):
    """Text, tags and references of a page, without scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.text, self.tags, self.styles, self.headings, self._inside = "", [], "", [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data):
        if "style" in self._inside:
            self.styles += data
        elif not self._inside:
            self.text += data

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def figures(self):
        """SVG of each figure."""
        sources = [attrs["src"] for attrs in self.of("img") if attrs["src"].startswith("data:image/svg")]
        return [base64.b64decode(source.partition("base64,")[2]).decode() for source in sources]


def evil(number=0):
    """A result in which every name is code."""
    result, rng = tracked(), np.random.default_rng(number)
    info = result.info.copy().rename_channels({"Fz": EVIL})
    names = {"ic": EVIL, "ic.npy": f"{EVIL}2"}
    return dataclasses.replace(
        result,
        participant=f"{EVIL}{number}",
        info=info,
        baseline=(f"{EVIL}3",),
        models={names[name]: tuple(names.get(one, one) for one in own) for name, own in result.models.items()},
        kernels={names[name]: kernel for name, kernel in result.kernels.items()},
        notes=(EVIL,),
        r_full=result.r_full + 0.01 * rng.standard_normal(result.r_full.shape),
        settings={**result.settings, "tolerance": EVIL, EVIL: EVIL},
        versions={**result.versions, EVIL: EVIL},
    )


@pytest.fixture(scope="module")
def group():
    return group_test([evil(number) for number in range(4)], conditions={EVIL: (EVIL, 0.1), f"{EVIL}2": (EVIL, 0.5)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, group):
    """Reports of one participant and of a group, written once, from files."""
    folder = tmp_path_factory.mktemp("reports")
    file = folder / "<b>&'$x_1$ 100%.npz"
    evil().save(file)
    group.save(folder / "group.npz")
    lags = np.arange(-5, 6) / 32
    offsets = Offsets(evil().participant, ("a",), lags, np.ones((1, 11)), np.zeros((19, 11)), (0.0, 0.1))
    eeg = [np.random.default_rng(0).standard_normal((64, 2)) * 1e-5]
    person = Participant.from_arrays(eeg, ["a"], 32.0, name=evil().participant, history=[EVIL])
    report_participant(file, folder / "one.html", about=ABOUT, offsets=offsets, quality=person)
    mixed = types.SimpleNamespace(
        table=pd.DataFrame({"term": [EVIL], "estimate": [0.0123], "p": [0.0041], EVIL: [True]}),
        peaks={EVIL: (0.31, 0.1, np.inf)},
        notes=(EVIL,),
    )
    report_group(folder / "group.npz", folder / "group.html", about=ABOUT, mixed=mixed, participants=[file, tracked()])
    return folder


@pytest.fixture
def shown(tmp_path):
    """A page that holds what a function adds to it."""

    def show(add):
        page = Page("a", progress=False)
        page.section("b")
        add(page)
        page.save(tmp_path / "a.html")
        return Reader(tmp_path / "a.html")

    return show


@pytest.fixture(params=["one.html", "group.html"])
def page(request, folder):
    return Reader(folder / request.param)


class TestBothPages:
    def test_nothing_comes_from_outside(self, page):
        for tag, attrs in page.tags:
            for name in ("src", "srcset", "poster", "data", "action") + (("href",) if tag != "a" else ()):
                assert attrs.get(name, "data:").startswith("data:"), f"<{tag}> loads {attrs[name][:80]}"
        assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
        assert "@import" not in page.styles
        assert set(re.findall(r"url\(\s*[\"']?([^)]{5})", page.styles)) == {"data:"}
        (policy,) = [attrs["content"] for attrs in page.of("meta") if "http-equiv" in attrs]
        assert policy.startswith("default-src 'none';")

    def test_figures_refer_to_themselves_only(self, page):
        assert len(page.figures) >= 5
        for figure in page.figures:
            assert all(href.startswith(("#", "data:")) for href in re.findall(r'href="([^"]*)"', figure))
            assert "<script" not in figure.replace("<!--", "").split("-->")[-1]

    def test_every_figure_could_be_drawn_and_is_described(self, page):
        assert "Not drawn" not in page.text
        assert all(attrs["alt"] for attrs in page.of("img"))

    def test_names_are_shown_and_not_run(self, page, tmp_path):
        mne.Report(title="plain", verbose="error").save(tmp_path / "plain.html", open_browser=False, verbose="error")
        ordinary = [attrs for attrs in Reader(tmp_path / "plain.html").of("script")]
        assert len(page.of("script")) == len(ordinary) + 1, "one more is ours"
        assert page.text.count(EVIL) > 10
        assert not {name for tag, attrs in page.tags for name in attrs if name.startswith("on")}
        for tag, attrs in page.tags:
            if tag not in ("img", "div"):  # which describe figures and boxes in words
                assert "alien" not in "".join(filter(None, attrs.values()))

    def test_no_participant_names_an_element(self, page):
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[\w-]+", one) for one in ids)

    def test_sections_stand_in_order(self, page):
        at = [page.text.rindex(name) for name in (*SECTIONS, "Settings and versions")]
        assert at == sorted(at)

    def test_every_table_scrolls_in_a_box_of_its_own(self, page):
        for before, (tag, _) in zip(page.tags, page.tags[1:], strict=False):
            if tag in ("table", "pre"):
                assert before[1].get("class") == "wide"
                assert before[1]["aria-label"]

    def test_what_the_author_says_comes_first(self, page):
        text = page.text[page.text.rindex(SECTIONS[0]) :]
        at = [text.index(part) for part in (*ABOUT.split("\n \n"), "Temporal response functions")]
        assert at == sorted(at)

    def test_settings_are_words(self, page):
        assert "refit_alphayes" in page.text
        assert "gapnot set" in page.text
        assert "alphas0.01, 1, 100" in page.text
        assert re.search(r"models: ic\s*ic\s*models: ic.npynoisy ic, ic", page.text)
        settings = page.text[page.text.rindex("Settings and versions") :].partition("import eegic")[0]
        assert not re.search(r"\{'|\['|None|True", settings.replace(EVIL, ""))

    def test_heads_of_words_stand_above_them(self, page):
        assert re.search(r"\.words th,[^{]*\.words td \{ text-align: left; \}", page.styles)

    def test_fractions_have_four_digits_that_count(self):
        given = {
            "alphas": [10**-3.5, 22050.0, 1e-9 / 3],
            "seed": 1234567890,
            "n": {"t": -1 / 3},
            "at": np.float64(2 / 3),
        }
        assert as_rows(given) == [
            ("alphas", "0.0003162, 22050, 3.333e−10"),
            ("seed", "1234567890"),
            ("n: t", "−0.3333"),
            ("at", "0.6667"),
        ]


class TestParticipant:
    def test_the_page_holds_the_sentences_and_the_numbers(self, folder):
        text = Reader(folder / "one.html").text
        for paragraph in (*words.methods(evil()).split("\n\n"), *words.quality(evil())):
            assert paragraph in text
        for gain, p in zip(np.nanmean(evil().corrected, axis=1), evil().p_mean, strict=True):
            assert f"{gain:+.4f} ± " in text
            assert f"{p:.3f}"[1:] in text

    def test_what_was_given_besides_stands_there(self, folder):
        text = Reader(folder / "one.html").text
        assert "No lag stands out" in text or "Strongest" in text
        assert "History of the recording" in text
        assert "<b>&'$x_1$ 100%.npz" in text, "the name of the file, without its folder"
        assert str(folder) not in text

    def test_the_line_of_python_repeats_the_analysis(self, monkeypatch):
        given = {}
        monkeypatch.setattr(eegic, "cortical_tracking", lambda *data, **settings: given.update(settings) or data)
        names = {"participant": 1, "baseline": 2, "added": 3, "pseudo": 4, "ceiling": 5}
        exec(participant_report.repeating(tracked()), names)
        assert names["result"] == (1, 2, 3)
        assert given == tracked().settings
        pseudo = dataclasses.replace(tracked(), settings={**tracked().settings, "null": "pseudo"})
        exec(participant_report.repeating(pseudo), names)
        assert given["pseudo"] == 4

    def test_a_map_that_cannot_be_drawn_is_explained(self, tmp_path):
        nowhere = mne.create_info(tracked().info["ch_names"], 32.0, "eeg", verbose="error")
        report_participant(dataclasses.replace(tracked(), info=nowhere), tmp_path / "a.htm", progress=False)
        page = Reader(tmp_path / "a.htm")
        assert "Not drawn: info: 6 channels have no position" in page.text
        assert len(page.figures) >= 3

    def test_reasons_against_channels_stand_there(self, tmp_path, monkeypatch):
        monkeypatch.setattr(participant_report, "_add_figures", lambda page, result: None)
        report_participant(tracked(), tmp_path / "a.html", quality={"C3": "flat"})
        text = Reader(tmp_path / "a.html").text
        assert "C3: flat" in text
        assert text.count("Pz has no value") == 1
        assert text.count("Pz") == 2, "once more in the table of the noise ceiling"

    def test_a_feature_without_standard_errors_is_not_said_to_be_reliable(self, folder):
        text = Reader(folder / "one.html").text
        table = text.partition("Reliability of the rest")[2].partition("Not known")[0]
        assert "not known" in table
        assert "100 %" not in table.replace(EVIL, "")
        assert "no standard errors were given, so the feature counts as exact" in text
        assert "38 %" in text

    def test_what_else_there_is_to_know_stands_with_the_notes(self, tmp_path, monkeypatch):
        monkeypatch.setattr(participant_report, "_add_figures", lambda page, result: None)
        result = dataclasses.replace(tracked(), notes=("of the analysis",))
        report_participant(result, tmp_path / "a.html", notes=[f"eeg: {EVIL}", "tracking: an edge"])
        text = Reader(tmp_path / "a.html").text
        notes = text[text.index("Notes of the analysis") : text.rindex("Settings and versions")]
        assert notes.split("Notes of the analysis")[1].strip() == f"of the analysiseeg: {EVIL}tracking: an edge"

    @pytest.mark.parametrize(
        ("notes", "message"), [("one", "notes: .* got str. Write"), ([3], r"notes\[0\]: .* got int")]
    )
    def test_what_are_no_notes_is_refused(self, group, tmp_path, notes, message):
        for write, result in ((report_participant, tracked()), (report_group, group)):
            with pytest.raises(TypeError, match=message):
                write(result, tmp_path / "a.html", notes=notes)
        assert not list(tmp_path.iterdir())

    def test_a_group_is_sent_elsewhere(self, group, tmp_path):
        with pytest.raises(TypeError, match="result: expected a Tracking, .* got GroupResult. `report_group` writes"):
            report_participant(group, tmp_path / "a.html")
        with pytest.raises(TypeError, match="result: expected a Tracking, .* got dict.$"):
            report_participant({}, tmp_path / "a.html")
        with pytest.raises(TypeError, match="about: expected a text, got list"):
            report_participant(tracked(), tmp_path / "a.html", about=["a"])
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"offsets": 3}, TypeError, "offsets: expected Offsets, as `offset_profile` gives them, got int"),
            ({"quality": 3}, TypeError, "quality: expected the Participant, or a dictionary"),
            (
                {"quality": Participant.from_arrays([np.ones((9, 1)) * 1e-5], ["a"], 32.0, name="other")},
                ValueError,
                "quality: expected those of 'Jörg', got those of 'other'",
            ),
        ],
    )
    def test_what_belongs_to_others_is_refused(self, tmp_path, options, error, message):
        with pytest.raises(error, match=message):
            report_participant(tracked(), tmp_path / "a.html", **options)
        assert not list(tmp_path.iterdir())


class TestGroup:
    def test_the_page_holds_the_sentences_and_the_numbers(self, folder, group):
        text = Reader(folder / "group.html").text
        for paragraph in words.methods(group).split("\n\n"):
            assert paragraph in text
        for gain in group.to_frame("region")["corrected"]:
            assert f"{gain:+.4f}".replace("-", "−") in text

    def test_a_mixed_model_stands_below_its_claim(self, folder):
        text = Reader(folder / "group.html").text
        assert "its table is below" in text
        assert "0.0123.004True" in text, "a row of its table"
        end = "begins at 0.10 and reaches beyond 0.5, the highest level."
        assert f"highest at a noise level of 0.31; its 95 % interval {end}" in text
        assert "no bound" not in text

    @pytest.mark.parametrize(
        ("peak", "told"),
        [
            ((0.31, 0.2, 0.4), "highest at a noise level of 0.31 (95 % interval 0.20 to 0.40)."),
            (
                (0.31, -np.inf, np.inf),
                "0.31; its 95 % interval reaches beyond the lowest and the highest level that were",
            ),
            ((0.31, -np.inf, 0.4), "reaches beyond 0.1, the lowest level, and ends at 0.40."),
            ((np.nan, np.nan, np.nan), "has no highest point within the levels that were measured."),
        ],
    )
    def test_a_peak_is_told_as_far_as_levels_were_measured(self, shown, group, peak, told):
        table = pd.DataFrame({"term": ["Intercept"], "estimate": [0.1], "p": [0.1]})
        page = shown(lambda page: add_mixed(page, group, types.SimpleNamespace(peaks={EVIL: peak}), table))
        assert told in page.text

    def test_terms_are_called_by_their_model(self, shown, group):
        table = pd.DataFrame({"term": [f"model[{name}]" for name in group.models], "estimate": 0.1, "p": 0.1})
        page = shown(lambda page: add_mixed(page, group, table, table))
        assert "model[" not in page.text
        assert EVIL in page.text

    def test_what_medians_and_few_participants_do_is_noted(self, shown):
        people = [evil(number) for number in range(6)]
        median, mean, few = group_test(people), group_test(people, over="mean"), group_test(people[:5])
        texts = [shown(lambda page, one=one: add_tests(page, one)).text for one in (median, mean, few)]
        assert ["is not quite the corrected Δr" in text for text in texts] == [True, False, True]
        assert ["86 % of studies of 6" in text for text in texts] == [True, True, False]
        assert ["too few for an interval of d" in text for text in texts] == [False, False, True]
        assert ["too few for the test of the median" in text for text in texts] == [True, True, False]
        assert "too few for the tests of the trimmed mean and of the median" in texts[2]

    def test_a_null_of_means_beside_a_table_of_medians_is_explained(self, folder):
        assert "has the median over channels, so its p-value may differ" in Reader(folder / "group.html").text

    def test_a_title_is_short(self, folder, group):
        title = "4 participants, 2 models"
        assert title in Reader(folder / "group.html").text
        short = dataclasses.replace(group, models={"ic": (EVIL,), "onsets": (EVIL,)})
        assert group_report._title(short) == "4 participants: tracking of ic, onsets"
        assert group_report._title(group) == title

    def test_those_who_were_left_out_are_named(self, folder):
        text = Reader(folder / "group.html").text
        assert re.search(r"Left out\s*Jörg", text)

    def test_who_is_not_in_the_group_is_told_with_the_reason(self, group, tmp_path, monkeypatch):
        monkeypatch.setattr(group_report, "_add_figures", lambda page, group: None)
        absent = {"missing": {"sub-03": EVIL}, "left_out": {"Jörg": "slept."}}
        report_group(group, tmp_path / "a.html", **absent, participants=[tracked()], notes=[f"group: {EVIL}"])
        text = Reader(tmp_path / "a.html").text
        assert f"1 of 5 participants is missing (sub-03: {EVIL}) and 1 was left out (Jörg: slept)." in text
        assert re.search(r"Left out\s*Jörg: slept\s*Notes", text)
        assert text.index("were put together") < text.index("is missing") < text.index("Temporal response functions")
        assert f"group: {EVIL}" in text[text.rindex("Notes") :]

    @pytest.mark.parametrize("name", ["missing", "left_out"])
    def test_a_reason_belongs_to_somebody_who_is_not_in_the_group(self, group, tmp_path, name):
        for people, error, message in (
            (["sub-03"], TypeError, "expected a dictionary from participants to reasons, got list"),
            ({"sub-03": None}, TypeError, "expected texts, got 'sub-03': None"),
            ({group.participants[0]: "slept"}, ValueError, "is in the group. Name those who are not"),
        ):
            with pytest.raises(error, match=f"{name}: .*{message}"):
                report_group(group, tmp_path / "a.html", **{name: people})
        assert not list(tmp_path.iterdir())

    def test_the_line_of_python_repeats_the_test(self, group, monkeypatch):
        people = [evil(number) for number in range(4)]
        names = {"results": people}
        exec(group_report.repeating(group), names)
        again = names["group"]
        assert again.conditions == group.conditions
        assert again.settings == group.settings
        np.testing.assert_array_equal(again.listeners.p_maxt, group.listeners.p_maxt)

    def test_other_things_are_refused(self, group, tmp_path):
        for other, advice in (
            (tracked(), "Tracking. `report_participant` writes"),
            ([tracked()], "list. .*`group_test"),
        ):
            with pytest.raises(TypeError, match=f"group: expected a GroupResult, .*{advice}"):
                report_group(other, tmp_path / "a.html")
        with pytest.raises(TypeError, match="about: expected a text, got int"):
            report_group(group, tmp_path / "a.html", about=3)
        with pytest.raises(TypeError, match="mixed: expected what `mixed_model` gives, or a DataFrame, got str"):
            report_group(group, tmp_path / "a.html", mixed="no")
        with pytest.raises(TypeError, match=r"participants: expected several results, got Tracking. Write \[one"):
            report_group(group, tmp_path / "a.html", participants=tracked())


class TestPage:
    @pytest.fixture
    def empty(self):
        page = Page("a", progress=False)
        page.section("b")
        return page

    def test_only_names_of_html_files_are_taken(self, group):
        for write, result in ((report_participant, tracked()), (report_group, group)):
            with pytest.raises(ValueError, match=r"path: expected the name of an .html file, got 'a.h5'. Add .html"):
                write(result, "a.h5")

    def test_a_report_that_fails_leaves_the_old_one(self, empty, tmp_path, monkeypatch):
        (tmp_path / "a.html").write_text("old")
        monkeypatch.setattr(mne.Report, "save", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            empty.save(tmp_path / "a.html")
        assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.html", "old")]

    def test_no_browser_is_opened(self, empty, tmp_path, monkeypatch):
        monkeypatch.setattr(webbrowser, "open_new_tab", lambda url: 1 / 0)
        empty.save(tmp_path / "a.html")
        assert (tmp_path / "a.html").exists()

    def test_drawing_leaves_no_figure_and_no_setting(self, empty):
        before = dict(plt.rcParams)

        def draw():
            figure, axes = plt.subplots()
            axes.set_title("$\\frac{$")
            return figure

        empty.figure(draw, "a")
        assert plt.get_fignums() == []
        assert dict(plt.rcParams) == before

    def test_the_same_figure_is_the_same_file(self, empty):
        for _ in range(2):
            empty.figure(lambda: plt.subplots()[0], "a")
        first, second = next(iter(empty._sections.values()))
        assert first == second

    def test_halves_of_characters_are_replaced(self, empty, tmp_path):
        empty.prose("a\ud800b")
        empty.save(tmp_path / "a.html")
        assert "a?b" in Reader(tmp_path / "a.html").text
