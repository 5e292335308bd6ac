"""Ask for the user's word before a metric sends texts of patients to another machine."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import OptionError
from ...metric import Metric
from ..abilities.outside import SendsTexts


def check_consent(metrics: Mapping[str, Metric], allowed: bool) -> None:
    """Tell the metrics whether they may send texts. Raises OptionError if one would, and it is not `allowed`."""
    for name, metric in metrics.items():
        if not isinstance(metric, SendsTexts):
            continue
        if metric.sends_to and not allowed:
            raise OptionError(
                f"{name} sends reports and references to {metric.sends_to}, which is not this machine; --send-reports "
                "(in Python: evaluate(..., send_reports=True)) allows it"
            )
        metric.may_send = allowed
