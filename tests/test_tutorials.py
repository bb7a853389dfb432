"""Each tutorial runs in a fresh interpreter: no screen, one thread, no internet."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parent.parent / "tutorials").glob("plot_*.py"))


def test_no_page_needs_another_host_for_its_formulas():
    """Sphinx shows formulas with a script from another host; offline they would stand there as raw TeX."""
    root = Path(__file__).parent.parent
    pages = [*root.glob("tutorials/*.py"), *root.glob("tutorials/*.rst"), *root.glob("eegic/**/*.py")]
    with_formulas = [page.name for page in pages if re.search(r":math:|\.\. math::", page.read_text(encoding="utf-8"))]
    assert not with_formulas, f"{with_formulas}: write the formula as text."


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs(path, tmp_path):
    offline = Path(__file__).with_name("offline.py")
    command = [sys.executable, str(offline), str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{path.name} stops:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
