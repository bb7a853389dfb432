"""Pages of a study say who is not in the group and why, and what was warned of."""

import warnings

import mne
import pandas as pd
import pytest
from runs import copied, small, states, with_status, written

from eegic.study import run_study
from eegic.study.ground import Ground
from eegic.study.running import looked
from eegic.study.stages import features, report

pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha")
SEVERAL = ("group.allow_missing=true", 'data.exclude={ "05" = "slept <1 h> & snored" }')
CUT = "the recording ends 5.000 s before it does"
LARGE = "eeg: sub-02: the median magnitude of the EEG is "
CLIPS = "a sound &lt;clips>"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study in which 02 is in the wrong unit, 03 cut short and 05 excluded, and 01 heard all sounds but the last."""
    folder = written(tmp_path_factory.mktemp("pages") / "data", n=5)
    heard = pd.read_csv(folder / "raw/sub-01_events.tsv", sep="\t")
    heard[heard["stimulus"] != "melody-05"].to_csv(folder / "raw/sub-01_events.tsv", sep="\t", index=False)
    large, cut = (folder / f"raw/sub-{who}_eeg.fif" for who in ("02", "03"))
    raw = mne.io.read_raw_fif(large, preload=True, verbose="error")
    raw.apply_function(lambda values: 1e6 * values, verbose="error").save(large, overwrite=True, verbose="error")
    cut.write_bytes(cut.read_bytes()[:5000])
    acoustic = features._acoustic

    def clipping(given):
        if given["sound"].name == "melody-05":
            warnings.warn(CLIPS, stacklevel=2)
        return acoustic(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "_acoustic", clipping)
        outcome = run_study(small(folder, SEVERAL[1]), progress=False)
    assert {row.label for row in outcome.failed} == {"sub-03", "group"}
    outcome = run_study(small(folder, *SEVERAL), progress=False)
    assert {row.label for row in outcome.failed} == {"sub-03"}
    return folder


@pytest.fixture
def folder(done, tmp_path):
    """A copy of the study with its results."""
    return copied(done, tmp_path / "data")


def asked(folder, *changes):
    """What the pages are to hold, by label."""
    ground = Ground(small(folder, *SEVERAL, *changes))
    assert list(looked(ground))
    return {unit.label: unit.given for unit in report.units(ground)}


def test_the_page_of_a_group_says_who_is_missing_and_who_was_left_out(done):
    page = (done / "results/reports/group.html").read_text(encoding="utf-8")
    assert "1 of 4 participants is missing (sub-03, trial 0 (melody-03): starts at 1.000 s" in page
    assert CUT in page
    assert ") and 1 was left out (sub-05: slept &lt;1 h&gt; &amp; snored)." in page
    assert "5 warnings about the data of 3 participants stand in warnings.tsv" in page


def test_reasons_are_part_of_the_key(folder):
    assert set(states(run_study(small(folder, *SEVERAL), progress=False)).values()) == {"cached", "failed", "skipped"}
    other = 'data.exclude={ "05" = "left early" }'
    assert with_status(run_study(small(folder, SEVERAL[0], other), progress=False), "ok") == {("report", "group")}
    (folder / "raw/sub-03_events.tsv").unlink()
    assert with_status(run_study(small(folder, *SEVERAL), progress=False), "ok") == {("report", "group")}
    assert CUT not in (folder / "results/reports/group.html").read_text(encoding="utf-8")


def test_of_whom_nothing_was_computed_it_says_so(folder):
    (folder / "results/failures.tsv").unlink()
    assert asked(folder)["group"]["missing"] == {"sub-03": "not analysed"}


def test_the_page_of_a_participant_has_the_warnings_about_what_it_stands_on(done):
    given = asked(done, "report.participants=true")
    assert list(given) == ["sub-01", "sub-02", "sub-03", "sub-04", "group"]
    assert [note.partition(": ")[0] for note in given["sub-01"]["notes"]] == ["tracking"]
    clips, large, edge = given["sub-02"]["notes"]
    assert clips == f"features ('melody-05: envelope'): {CLIPS}"
    assert large.startswith(LARGE)
    assert edge.startswith("tracking: The chosen alpha sits at the edge of the grid")
    assert given["group"]["notes"] == ["5 warnings about the data of 3 participants stand on their pages"]


def test_warnings_are_shown_and_not_run(folder):
    outcome = run_study(
        small(folder, *SEVERAL, "report.participants=true"), stages=["report"], participants=["02"], progress=False
    )
    assert with_status(outcome, "ok") == {("report", "sub-02")}
    page = (folder / "results/reports/sub-02.html").read_text(encoding="utf-8")
    assert f"<li>{LARGE}" in page
    assert "a sound &amp;lt;clips&gt;" in page


def test_what_is_said_of_several_sounds_is_said_once():
    said = [("features", "a: x", "clips"), ("features", "b: x", "clips"), ("eeg", "sub-01", "clips")]
    assert report._notes(said) == ["features ('a: x', 'b: x'): clips", "eeg: clips"]
