"""A study as a reader wants it: what was done, what came out, and what it does not say.

words
    Methods and findings in sentences, for a paper.
participant_report, group_report
    `report_participant` and `report_group`: one HTML file each, with figures and tables.
of_participant, of_group, claims, analysis, numbers
    The sentences, and how numbers are written in them.
page, figures, group_tables
    What reports are made of.
"""

from eegic.reports import words
from eegic.reports.group_report import report_group
from eegic.reports.participant_report import report_participant

__all__ = ["report_group", "report_participant", "words"]
