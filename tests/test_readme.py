"""The README keeps its word: two commands to set up, and its Python runs as printed."""

import re
from pathlib import Path

import offline
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if not text.strip():
        pytest.skip("README.md is not written yet")
    return text


def blocks(text, language):
    """Contents of the fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def section(text, title):
    """The text under a heading of the second level."""
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL | re.IGNORECASE)
    assert found, f"README.md has no section `## {title}`."
    return found[1]


def test_two_commands_set_it_up(readme):
    commands = blocks(section(readme, "Set up"), "sh")
    assert len(commands) == 2
    assert all(len(command.splitlines()) == 1 for command in commands)
    assert len([c for c in commands if c.strip().endswith("pytest")]) == 1


def test_the_test_command_can_be_found_by_rule(readme):
    lines = [line for block in blocks(readme, "sh") for line in block.splitlines()]
    tests = [line for line in lines if line.strip().endswith("pytest")]
    assert len(tests) == 1, f".ci/run needs one command that ends with pytest, found {tests}."
    assert "-c constraints.txt" in tests[0]


def test_the_python_runs(readme, tmp_path):
    code = blocks(readme, "python")
    assert code, "README.md shows no Python."
    script = tmp_path / "readme.py"
    script.write_text("\n".join(code), encoding="utf-8")
    stopped, said = offline.run(script, tmp_path)
    assert stopped == 0, f"the Python of README.md stops:\n{said[-4000:]}"


def test_links_lead_somewhere(readme):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", readme)
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing, f"README.md points to {missing}, which are not there."
