"""Each tutorial runs in a fresh interpreter: no screen, one thread, no internet."""

import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parent.parent / "tutorials").glob("plot_*.py"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs(path, tmp_path):
    offline = Path(__file__).with_name("offline.py")
    command = [sys.executable, str(offline), str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{path.name} stops:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
