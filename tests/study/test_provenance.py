"""What is noted of a run is what it was made with, the same when it is done again, and nothing of who made it."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

import eegic
from eegic.study import provenance
from eegic.study.events import as_json

CONFIG = {"study": "songs", "trf": {"tmin": 0.0, "tmax": 0.6, "alphas": (0.1, 1.0)}, "path": Path("data")}
SEEDS = {"tracking": 2**127 - 1}
INPUTS = {"sub-02_raw.fif": "b" * 64, "sub-01_raw.fif": "a" * 64}

git_is_there = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def collect(*command, config=CONFIG, seeds=SEEDS, inputs=INPUTS):
    return provenance.collect(command or ("eegic", "run"), config, seeds, inputs)


@pytest.fixture(scope="module")
def record():
    return collect()


@pytest.fixture
def anna(monkeypatch, tmp_path):
    """A home folder and its owner."""
    home = tmp_path / "homes" / "anna"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOGNAME", "anna")
    return home


def test_versions_are_those_installed(record, monkeypatch):
    assert record["eegic"]["version"] == eegic.__version__
    for name in ("numpy", "scipy", "mne", "torch", "pandas", "statsmodels", "joblib"):
        assert record["packages"][name] == metadata.version(name)
    assert record["python"].startswith("{}.{}.{} ".format(*sys.version_info[:3]))
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    assert collect()["packages"] == {"no-such-package": None}


def test_settings_seeds_and_inputs_are_kept(record):
    assert record["config"] == {"study": "songs", "trf": {"tmin": 0, "tmax": 0.6, "alphas": [0.1, 1]}, "path": "data"}
    assert record["seeds"] == SEEDS
    assert list(record["inputs"].items()) == [("sub-01_raw.fif", "a" * 64), ("sub-02_raw.fif", "b" * 64)]


def test_the_machine_is_described(record):
    assert record["processor"]["cores"] == os.cpu_count()
    assert record["processor"]["machine"] == os.uname().machine
    assert record["memory_gib"] > 0
    assert {"Linux": "Linux-", "Darwin": "macOS-"}[os.uname().sysname] in record["system"]


def test_threads_are_those_that_compute(monkeypatch):
    with threadpool_limits(1):
        assert {pool["num_threads"] for pool in collect()["blas"]} == {1}
    assert all(pool["internal_api"] and pool["version"] for pool in collect()["blas"])
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    environment = collect()["environment"]
    assert environment["OMP_NUM_THREADS"] == "3" and "MKL_NUM_THREADS" not in environment
    assert "HOME" not in environment and "PATH" not in environment


def test_what_differs_from_run_to_run_stands_apart():
    first, again = collect("eegic", "run", "study.toml"), collect("eegic", "run", "study.toml", "--retry-failed")
    assert json.dumps(provenance.reproducible(first)) == json.dumps(provenance.reproducible(again))
    about = provenance.times(again, seconds=12.5, counts={"ok": 3})
    assert about["command"] == ["eegic", "run", "study.toml", "--retry-failed"]
    assert (about["pid"], about["host"], about["seconds"]) == (os.getpid(), os.uname().nodename, 12.5)
    started, ended = (datetime.fromisoformat(about[name]) for name in ("started", "ended"))
    assert started <= ended <= datetime.now(UTC) < started + timedelta(seconds=60)
    text = json.dumps(provenance.reproducible(again))
    assert about["started"] not in text and "retry" not in text
    assert set(provenance.reproducible(first)) | {"run"} == set(first)


def test_torch_is_told_where_it_is_loaded_and_not_loaded_for_it(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    record = collect()
    told = provenance.times(record)["torch"]
    assert told["version"] == torch.__version__
    assert (told["deterministic"], told["threads"], told["cuda"]) == (True, 5, torch.version.cuda)
    assert told["convolutions"] == torch.backends.cudnn.conv.fp32_precision
    monkeypatch.delitem(sys.modules, "torch")
    without = collect()
    assert provenance.times(without)["torch"] is None and "torch" not in sys.modules
    assert json.dumps(provenance.reproducible(record)) == json.dumps(provenance.reproducible(without))


def test_the_library_of_torch_is_not_that_of_numpy(monkeypatch):
    """A run that goes on may find all of torch's work done: what torch would load cannot stand in what is compared."""
    import threadpoolctl

    pools = threadpoolctl.threadpool_info()
    of_torch = {"user_api": "blas", "internal_api": "mkl", "filepath": "/x/site-packages/torch/lib/libmkl_rt.so"}
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [of_torch, *pools])
    assert len(collect()["blas"]) == sum(pool["user_api"] == "blas" for pool in pools)
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [{**of_torch, "filepath": "/x/lib/libmkl_rt.so"}])
    assert [pool["internal_api"] for pool in collect()["blas"]] == ["mkl"]


def test_who_ran_it_is_not_told(anna):
    config = {
        "root": str(anna / "data"),
        "list": [f"--out={anna}", f"{anna}/a:{anna}/b", Path(anna, "x")],
        "archive": "/archive/anna/eeg",
        str(anna / "key"): 1,
    }
    record = collect(f"{anna}/bin/eegic", "run", f"file://{anna}/study.toml", config=config, inputs={f"{anna}/a": "0"})
    text = json.dumps(provenance.reproducible(record)) + json.dumps(provenance.times(record, log=str(anna / "log")))
    assert "anna" not in text and "homes" not in text
    assert record["config"] == {
        "root": "~/data",
        "list": ["--out=~", "~/a:~/b", "~/x"],
        "archive": "/archive/<user>/eeg",
        "~/key": 1,
    }
    assert record["inputs"] == {"~/a": "0"}
    assert record["run"]["command"] == ["~/bin/eegic", "run", "file://~/study.toml"]


def test_what_only_looks_like_the_user_is_kept(anna):
    kept = [f"{anna}bel/x", f"{anna}-old", f"{anna}.bak/x", "anna", "/data/annabel", "hanna/x", "anna/x", 3, None, True]
    assert provenance.anonymous(kept) == kept
    assert provenance.anonymous(f"{anna}. And then") == "~. And then"
    assert provenance.anonymous(f"/backup{anna}/x") == f"/backup{anna.parent}/<user>/x", "not the home folder itself"


def test_a_home_at_the_top_hides_no_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setenv("LOGNAME", "anna")
    assert provenance.anonymous(["/data/x", "/"]) == ["/data/x", "/"]


def test_a_home_behind_a_link_is_hidden_by_both_names(monkeypatch, tmp_path):
    (tmp_path / "disk" / "anna").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "anna"))
    monkeypatch.setenv("LOGNAME", "anna")
    for way in ("home", "disk"):
        assert provenance.anonymous(f"{tmp_path}/{way}/anna/x") == "~/x"


@pytest.mark.parametrize(("wrong", "error"), [(float("nan"), ValueError), (object(), TypeError)])
def test_what_json_cannot_hold_is_refused_before_anything_is_computed(wrong, error):
    with pytest.raises(error, match="JSON"):
        collect(config={"tmax": wrong})


def test_inputs_that_become_known_later_tell_no_more(anna, record):
    later = provenance.reproducible({**record, "inputs": {f"{anna}/a": "0"}})
    assert later["inputs"] == {"~/a": "0"}
    assert provenance.reproducible(later) == later


def test_names_that_are_no_text_can_be_written(record):
    name = os.fsdecode(b"latin \xe9 \xc3\xbc.wav")
    text = as_json(provenance.reproducible({**record, "inputs": {name: "0"}}), indent=2)
    assert "ü.wav" in text.decode("utf-8")
    assert json.loads(text)["inputs"] == {name: "0"}


def _git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A project under version control, with a package in it."""
    folder = tmp_path / "project" / "eegic"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    _git(folder.parent, "init", "-q")
    (folder.parent / ".gitignore").write_text("*.pyc\n")
    _git(folder.parent, "add", ".")
    _git(folder.parent, "commit", "-q", "-m", "one")
    return folder


@git_is_there
def test_a_checkout_has_a_commit_and_may_have_changes(project, monkeypatch):
    commit = _git(project, "rev-parse", "HEAD")
    assert provenance._checkout(project) == {"commit": commit, "dirty": False}
    (project / "x.pyc").write_text("ignored")
    (project.parent / "notes.txt").write_text("not of the package")
    assert provenance._checkout(project) == {"commit": commit, "dirty": False}
    (project / "new.py").write_text("")
    assert provenance._checkout(project) == {"commit": commit, "dirty": True}
    (project / "new.py").unlink()
    monkeypatch.setenv("GIT_DIR", str(project / "elsewhere"))
    assert provenance._checkout(project) == {"commit": commit, "dirty": False}, "as in a hook of another repository"
    (project / "__init__.py").write_text("changed = True")
    assert provenance._checkout(project)["dirty"] is True


@git_is_there
def test_a_package_installed_inside_another_project_has_no_commit(project):
    installed = project.parent / "venv" / "site-packages" / "eegic"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert provenance._checkout(installed) == {"commit": None, "dirty": None}


def test_without_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert collect()["eegic"] == {"version": eegic.__version__, "commit": None, "dirty": None}


def described(folder):
    return json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))


def test_a_derivative_is_described(tmp_path):
    bids, out = tmp_path / "bids", tmp_path / "results" / "songs"
    bids.mkdir()
    (bids / "dataset_description.json").write_text(json.dumps({"Name": "Songs", "DatasetDOI": "doi:10.1/2"}))
    provenance.describe_dataset(out, "Songs, tracked", bids)
    assert described(out) == {
        "Name": "Songs, tracked",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "SourceDatasets": [{"URL": "../../bids", "DOI": "doi:10.1/2"}],
        "GeneratedBy": [{"Name": "eegic", "Version": eegic.__version__}],
    }
    before = (out / "dataset_description.json").read_bytes()
    provenance.describe_dataset(out, "Songs, tracked", bids)
    assert (out / "dataset_description.json").read_bytes() == before


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (None, None),
        ("doi:10.18112/openneuro.ds005876.v1.0.1", {"DOI": "doi:10.18112/openneuro.ds005876.v1.0.1"}),
        ("10.5061/dryad.g1jwstqmh", {"DOI": "10.5061/dryad.g1jwstqmh"}),
        ("https://example.org/songs", {"URL": "https://example.org/songs"}),
    ],
)
def test_a_source_may_be_unknown_or_elsewhere(tmp_path, source, told):
    provenance.describe_dataset(tmp_path, "Songs", source)
    assert described(tmp_path).get("SourceDatasets") == (None if told is None else [told])


def test_the_way_to_the_source_does_not_tell_the_user(tmp_path, anna):
    bids, out = anna / "bids", tmp_path / "scratch" / "out"
    bids.mkdir()
    provenance.describe_dataset(out, "Songs", bids)
    assert "SourceDatasets" not in described(out)
    provenance.describe_dataset(anna / "out", "Songs", bids)
    assert described(anna / "out")["SourceDatasets"] == [{"URL": "../bids"}]


def test_the_code_is_linked_where_it_is_known(tmp_path, monkeypatch):
    class Known:
        def get_all(self, name):
            return (
                ["Homepage, https://example.org", "Source, https://example.org/code"] if name == "Project-URL" else []
            )

    monkeypatch.setattr(metadata, "metadata", lambda name: Known())
    provenance.describe_dataset(tmp_path, "Songs")
    (own,) = described(tmp_path)["GeneratedBy"]
    assert own == {"Name": "eegic", "Version": eegic.__version__, "CodeURL": "https://example.org/code"}
