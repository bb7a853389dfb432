"""Results for other programs: what they read is what was computed."""

import shutil

import numpy as np
import pandas as pd
import pytest
from small_study import NAMES, finished, read, written, written_again

from eegic import Tracking
from eegic.eeg import Participant, read_cnd
from eegic.series import FeatureSeries
from eegic.study import export_study, run_study

STAGES = ("sounds", "features", "eeg", "tracking")
SHIPPED = '[features.with_eeg]\nkind = "data"\ncolumns = ["onset"]\n'


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study that has been run."""
    folder, result = finished(tmp_path_factory.getbasetemp())
    assert result.exit_code == 0, result.output
    return read(shutil.copytree(folder, tmp_path_factory.mktemp("export") / "study") / "study.toml")


def results(study):
    files = sorted(study.out.glob("sub-*/eeg/*_trf.npz"))
    assert len(files) == 3
    return [Tracking.load(file) for file in files]


def test_tables_hold_everybody_and_the_group(study, tmp_path):
    names = [path.name for path in export_study(study, tmp_path / "new" / "tables")]
    assert sorted(names) == sorted(path.name for path in (tmp_path / "new" / "tables").iterdir())
    assert {"scores.tsv", "trials.tsv", "group_channels.tsv", "group_participants.tsv", "group_regions.tsv"} == set(
        names
    )
    for name, by in (("scores", "channel"), ("trials", "trial")):
        table = pd.read_csv(tmp_path / "new" / "tables" / f"{name}.tsv", sep="\t", na_values="n/a")
        truth = pd.concat([one.to_frame(by) for one in results(study)], ignore_index=True)
        assert list(table.columns) == list(truth.columns) and len(table) == len(truth)
        assert list(table["participant"]) == list(truth["participant"])
        np.testing.assert_allclose(table["delta_r"], truth["delta_r"], rtol=1e-12)
    copied = tmp_path / "new" / "tables" / "group_channels.tsv"
    assert copied.read_bytes() == (study.out / "group" / "channels.tsv").read_bytes()


def test_what_is_there_is_replaced_only_if_asked_to_and_otherwise_all_stays(study, tmp_path):
    (tmp_path / "trials.tsv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"trials\.tsv: is there already\. Pass overwrite=True to replace it, or"):
        export_study(study, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.tsv"]
    assert (tmp_path / "trials.tsv").read_text() == "mine"
    export_study(study, tmp_path, overwrite=True)
    assert (tmp_path / "trials.tsv").read_text().startswith("participant\t")
    assert not list(tmp_path.glob(".*"))


def test_cnd_gives_back_eeg_and_features(study, tmp_path):
    files = export_study(study, tmp_path / "dataCND", "cnd")
    names = {"dataStim.mat", "dataSub1.mat", "dataSub2.mat", "dataSub3.mat"}
    assert {path.name for path in files} == names
    for number, entry in enumerate(sorted((study.store / "eeg").glob("sub-*")), start=1):
        truth = Participant.load(entry / "participant.npz")
        found = read_cnd(tmp_path, number)
        assert found.participant.name == truth.name and found.participant.stimuli == truth.stimuli
        for one, other in zip(found.participant.trials, truth.trials, strict=True):
            np.testing.assert_allclose(one.eeg, other.eeg, rtol=1e-9, atol=1e-18)
        assert found.feature_names == ("envelope", "onset")
    for name in NAMES:
        onset = FeatureSeries.load(study.folder / "features" / "onset" / f"{name}.npz")
        np.testing.assert_allclose(found.features[name].select("onset").values, onset.values)
    with pytest.raises(FileExistsError, match="overwrite"):
        export_study(study, tmp_path / "dataCND", "cnd")


def test_features_at_another_rate_come_on_the_clock_of_the_eeg(study, tmp_path):
    slow = study.folder / "slow"
    slow.mkdir()
    for name in NAMES:
        FeatureSeries(np.arange(66.0)[:, None], np.arange(66) / 11, ["frames"]).save(slow / f"{name}.npz")
    frames = 'features.frames={kind="files", files="slow/{stimulus}.npz", placed="hold"}'
    alone = 'data.participants=["01"]'
    other = read(study.folder / "study.toml", frames, alone, 'trf.added=["frames"]', "output.folder=other")
    run_study(other, stages=STAGES, progress=False)
    export_study(other, tmp_path, "cnd")
    found = read_cnd(tmp_path, 1).features["melody-01"].select("frames")
    expected = np.minimum(np.floor(np.arange(6 * 64) / 64 * 11 + 1e-9), 65)
    np.testing.assert_array_equal(found.values[:, 0], expected)


def test_features_that_came_with_the_eeg_go_with_it(tmp_path):
    file = written(tmp_path, "cnd")
    text = written_again(tmp_path, "cnd").read_text().replace("[preprocessing]", f"{SHIPPED}\n[preprocessing]")
    file.write_text(text.replace('added = ["onset"]', 'added = ["with_eeg"]'))
    study = read(file, 'data.participants=["02"]')
    assert not run_study(study, stages=STAGES, progress=False).failed
    export_study(study, tmp_path / "out", "cnd")
    before, after = read_cnd(tmp_path, 2), read_cnd(tmp_path / "out")
    assert set(after.feature_names) == {"envelope", "onset"}
    for name in NAMES:
        one, other = before.features[name].select("onset"), after.features[name].select("onset")
        np.testing.assert_allclose(other.values, one.values)


def test_derivatives_hold_the_results(study, tmp_path):
    with pytest.raises(ValueError, match="expected the BIDS folder of the study"):
        export_study(study, tmp_path, "bids")
    (tmp_path / "dataset_description.json").write_text('{"Name": "study", "BIDSVersion": "1.9.0"}')
    files = export_study(study, tmp_path, "bids")
    assert [path.relative_to(tmp_path / "derivatives" / "eegic").parts[:2] for path in files] == [
        (f"sub-0{number}", "eeg") for number in (1, 2, 3)
    ]
    for file, truth in zip(files, results(study), strict=True):
        np.testing.assert_array_equal(Tracking.load(file).null, truth.null)
    with pytest.raises(FileExistsError, match="Pass overwrite=True"):
        export_study(study, tmp_path, "bids")
    assert export_study(study, tmp_path, "bids", overwrite=True) == files


def test_what_was_not_computed_cannot_be_exported(study, tmp_path):
    other = read(study.folder / "study.toml", "trf.tmax=0.3", "output.folder=new")
    with pytest.raises(
        FileNotFoundError, match=r"new: nobody is analysed like this yet\. Run the study first: `eegic run`\."
    ):
        export_study(other, tmp_path)
    with pytest.raises(ValueError, match="^form: expected one of 'tables', 'cnd', 'bids', got 'mtrf'"):
        export_study(study, tmp_path, "mtrf")
    assert not list(tmp_path.iterdir())


def test_those_who_are_missing_are_named_and_the_group_is_not_that_of_others(study, tmp_path):
    folder = shutil.copytree(study.folder, tmp_path / "copy")
    table = folder / "raw" / "sub-03_events.tsv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.warns(UserWarning, match=r"^not analysed yet, and left out: 'sub-03'\.$"):
        files = export_study(read(folder / "study.toml"), tmp_path / "tables")
    assert {path.name for path in files} == {"scores.tsv", "trials.tsv"}
    assert set(pd.read_csv(files[0], sep="\t")["participant"]) == {"sub-01", "sub-02"}


def test_what_is_exported_is_what_the_results_show(study, tmp_path):
    file = shutil.copytree(study.folder, tmp_path / "copy") / "study.toml"
    run_study(read(file, "null.n=4"), progress=False)
    with pytest.raises(ValueError) as refused:
        export_study(read(file), tmp_path / "tables")
    assert str(refused.value) == (
        "results/ shows null.n = 4; this asks for null.n = 9. Pass --set null.n=4 for what is shown. For what this "
        "asks for, run the study first: `eegic run`."
    )
    assert not (tmp_path / "tables").exists()
    assert export_study(read(file, "null.n=4"), tmp_path / "tables")
    assert export_study(read(file, "null.n=4", "report.about=Two"), tmp_path / "told otherwise")
    assert export_study(read(file), tmp_path / "dataCND", "cnd"), "its EEG and features have no surrogates"
    run_study(read(file), progress=False)
    assert export_study(read(file), tmp_path / "tables", overwrite=True)


def test_a_run_that_never_published_leaves_nothing_to_compare_with(study, tmp_path):
    folder = shutil.copytree(study.folder, tmp_path / "copy")
    for name in ("study.toml", "published.json"):
        (folder / "results" / name).unlink()
    assert export_study(read(folder / "study.toml"), tmp_path / "tables")


def test_settings_that_cannot_be_read_show_nothing_that_could_be_exported(study, tmp_path):
    folder = shutil.copytree(study.folder, tmp_path / "copy")
    (folder / "results" / "study.toml").write_text("name = ")
    with pytest.raises(ValueError, match=r"^What results/ shows cannot be told \(.*TOML.*\)\. `eegic run` writes it"):
        export_study(read(folder / "study.toml"), tmp_path / "tables")
