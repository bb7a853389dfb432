"""Importing is light, names resolve and are documented, and imports go downwards."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import eegic

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {"eegic", "lazy_loader", "numpy"}
LIST = "import sys; print(*{m.split('.')[0] for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names})"


def loaded(statement):
    """Top-level packages in memory after `statement`, in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", f"{statement}\n{LIST}"], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_eegic_is_light():
    extra = loaded("import eegic, eegic.datasets") - loaded("import lazy_loader, numpy") - ALLOWED
    assert not extra, f"importing loads {sorted(extra)}: move each import into the function that needs it."


def test_series_and_audio_are_light():
    statement = "import eegic; eegic.FeatureSeries; eegic.Audio; eegic.read_audio; eegic.envelope"
    extra = loaded(statement) - loaded("import lazy_loader, numpy") - ALLOWED
    assert not extra, f"naming a class loads {sorted(extra)}: move each import into the function that needs it."


@pytest.mark.parametrize("name", dir(eegic))
def test_public_names_resolve(name):
    assert getattr(eegic, name) is not None


@pytest.mark.parametrize("name", eegic.__all__)
def test_public_names_are_documented(name):
    public = getattr(eegic, name)
    assert public.__doc__, f"eegic.{name} has no docstring."
    page = (ROOT / "tutorials" / "api.rst").read_text(encoding="utf-8").split()
    of_module = (
        [f"eegic.{name}.{n}" for n in getattr(public, "__all__", ())] if public.__class__.__name__ == "module" else []
    )
    missing = {f"eegic.{name}", *of_module} - set(page)
    assert not missing, f"{sorted(missing)} stand in no list of tutorials/api.rst: add each to the list of its room."


def test_the_page_names_nothing_that_is_gone():
    named = [
        word
        for word in (ROOT / "tutorials" / "api.rst").read_text(encoding="utf-8").split()
        if word.startswith("eegic.")
    ]
    assert named
    for word in named:
        room, _, name = word.rpartition(".")
        assert hasattr(importlib.import_module(room), name), f"tutorials/api.rst lists {word}, which does not exist."


def lint_imports(folder):
    """Run the contracts of pyproject.toml on the package in `folder`."""
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed")
    return subprocess.run([command, "--no-cache"], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    """The package and its contracts, free to be spoiled."""
    shutil.copytree(ROOT / "eegic", tmp_path / "eegic", ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_go_downwards():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement", "report"),
    [
        ("series.py", "import eegic.datasets", "eegic.series -> eegic.datasets"),
        ("series.py", "from eegic.audio import Audio", "eegic.series -> eegic.audio"),
        ("features.py", "import eegic.trf", "eegic.features -> eegic.trf"),
        ("trf/lags.py", "def late():\n    import torch", "eegic.trf.lags -> torch"),
        ("trf/lags.py", "import soundfile", "eegic.trf.lags -> soundfile"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_reported(copy, module, statement, report):
    with open(copy / "eegic" / module, "a", encoding="utf-8") as file:
        file.write(f"\n{statement}\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout
    assert report in done.stdout


def test_a_module_without_a_floor_is_reported(copy):
    (copy / "eegic" / "attic.py").write_text('"""No floor is named for this."""\n', encoding="utf-8")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "eegic.attic" in done.stdout or "attic" in done.stdout
