"""What an analysis gives, saved and loaded without loss.

tracking
    Of one participant: scores, maps, kernels, p-values.
group, group_tables
    Of many: what can be said of new listeners, and of new pieces.
means
    Over channels and participants.
stored_tracking, stored_group, texts
    Both as arrays and a JSON text, and back; what their texts have in common.
"""

from eegic.results.group import GroupResult
from eegic.results.tracking import MAPS, Tracking

__all__ = ["MAPS", "GroupResult", "Tracking"]
