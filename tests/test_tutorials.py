"""Each tutorial runs in a process of its own: no screen, one thread, no internet."""

import re
from pathlib import Path

import offline
import pytest

LONG = ("04", "07", "09", "10", "11", "12")  # more than ten seconds each; the gallery, too, runs all of them
TUTORIALS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem[5:7] in LONG else [])
    for path in sorted((Path(__file__).parent.parent / "tutorials").glob("plot_*.py"))
]


def test_no_page_needs_another_host_for_its_formulas():
    """Sphinx shows formulas with a script from another host; offline they would stand there as raw TeX."""
    root = Path(__file__).parent.parent
    pages = [*root.glob("tutorials/*.py"), *root.glob("tutorials/*.rst"), *root.glob("eegic/**/*.py")]
    with_formulas = [page.name for page in pages if re.search(r":math:|\.\. math::", page.read_text(encoding="utf-8"))]
    assert not with_formulas, f"{with_formulas}: write the formula as text."


@pytest.mark.parametrize("path", TUTORIALS)
def test_tutorial_runs(path, tmp_path):
    code, said = offline.run(path, tmp_path)
    assert code == 0, f"{path.name} stops:\n{said[-6000:]}"
