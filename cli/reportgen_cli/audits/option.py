"""`rg eval --audit`: the metric that names errors, its page audit.html and its lines audit.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..pages.shared.origin import Origin
from ..terminal.echo import say
from .page import audit_page

if TYPE_CHECKING:
    from reportgen_core.scoring.evaluation import Evaluation

AUDIT = "errors"  # the metric
Command = TypeVar("Command", bound=Callable[..., Any])


def audit_option() -> Callable[[Command], Command]:
    """Return the option --audit."""
    return click.option(
        "--audit", is_flag=True, help="Name every error by its kind: the metric errors, and audit.html in --out."
    )


def with_audit(names: str | None, audit: bool) -> str | None:
    """Return the names of the metrics with the one that names errors, if it is asked for."""
    if not audit:
        return names
    from reportgen_core.scoring.evaluation_set import METRICS

    chosen = [n.strip() for n in (names or ",".join(METRICS)).split(",") if n.strip()]
    return ",".join(chosen if AUDIT in chosen else [*chosen, AUDIT])


def write_audit(evaluation: Evaluation, out: Path | None, origin: Origin) -> None:
    """Write audit.html and audit.jsonl into the folder `out`, and say so. Nothing is written if the metric failed."""
    from reportgen_core.files.atomic import atomic_write

    if AUDIT in evaluation.problems:
        return
    if out is None:
        say("rg: --out FOLDER also writes audit.html, with the words of every error", err=True)
        return
    audits = audit_studies(evaluation)
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in difference_lines(audits))
    atomic_write(out / "audit.jsonl", "".join(lines))
    atomic_write(out / "audit.html", audit_page(evaluation, audits, origin))
    say(f"{out / 'audit.html'}", err=True)


def audit_studies(evaluation: Evaluation) -> dict[str, Mapping[str, Any]]:
    """Return the audit of each study as JSON values."""
    from reportgen_core.registries import metrics
    from reportgen_core.scoring.abilities.metrics import AuditsReports

    metric = metrics.create(AUDIT, **evaluation.metrics[AUDIT])
    assert isinstance(metric, AuditsReports)
    return {s.id: metric.audit(s.prediction, s.references).to_json() for s in evaluation.studies}


def difference_lines(audits: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a value for each difference, and for each study that was not audited."""
    for study, values in audits.items():
        if values["note"]:
            yield {"study": study, "note": values["note"]}
        for difference in values["differences"]:
            yield {"study": study, **difference}
