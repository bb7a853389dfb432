"""Pages to read: one for each participant, one for the group."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eegic import _files
from eegic.study.ground import Ground, Unit
from eegic.study.stages import eeg, group
from eegic.study.stages.tracking import RESULT


def units(ground: Ground) -> list[Unit]:
    """One per participant, unless the study does without, and one for the group."""
    settings = ground.study.settings
    about = settings.report.about
    found = [_of_participant(ground, f"sub-{who}", about) for who in ground.people if settings.report.participants]
    if len(ground.people) > 1:
        found.append(_of_group(ground, about))
    return found


def _of_participant(ground: Ground, label: str, about: str | None) -> Unit:
    fault = ground.lacking([("eeg", label), ("tracking", label)])
    if fault:
        return Unit("report", label, fault=fault)
    person, result = ground.entries["eeg", label], ground.entries["tracking", label]
    given = {"who": label, "about": about, "result": result.file(RESULT), "person": person.file(eeg.PARTICIPANT)}
    return ground.unit("report", label, {"about": about}, [person.key, result.key], given)


def _of_group(ground: Ground, about: str | None) -> Unit:
    fault = ground.lacking([("group", group.LABEL)])
    if fault:
        return Unit("report", group.LABEL, fault=fault)
    whole = ground.entries["group", group.LABEL]
    people = [ground.entries[one] for who in ground.people if (one := ("tracking", f"sub-{who}")) in ground.entries]
    mixed = ground.study.settings.group.mixed
    given = {
        "about": about,
        "mixed": mixed,
        "group": whole.file(f"out/group/{group.GROUP}"),
        "people": [entry.file(RESULT) for entry in people],
    }
    return ground.unit("report", group.LABEL, {"about": about, "mixed": mixed}, [whole.key], given)


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """Write a page."""
    import matplotlib

    matplotlib.use("Agg")
    pages = draft / "out" / "reports"
    pages.mkdir(parents=True)
    if "group" in given:
        return _group_page(given, pages)
    from eegic.eeg import Participant
    from eegic.reports import report_participant

    person = Participant.load(given["person"])
    report_participant(
        given["result"], pages / f"{given['who']}.html", about=given["about"], quality=person, progress=False
    )
    return {}


def _group_page(given: Mapping[str, Any], pages: Path) -> dict[str, Any]:
    from matplotlib import pyplot as plt

    from eegic import viz
    from eegic.group import mixed_model
    from eegic.reports import report_group
    from eegic.results import GroupResult

    result = GroupResult.load(given["group"])
    mixed = None
    if given["mixed"] is not None:
        try:
            mixed = mixed_model(result, given["mixed"] or None)
        except ValueError:
            pass  # the stage before has noted it
    people = given["people"]
    report_group(result, pages / "group.html", about=given["about"], mixed=mixed, participants=people, progress=False)
    for name, draw in (("bars", viz.plot_delta_r), ("maps", viz.plot_topography)):
        figure = draw(result)
        with _files.replacing(pages.parent / "figures" / f"{name}.png") as picture:
            figure.savefig(picture, dpi=150)
        plt.close(figure)
    return {}
