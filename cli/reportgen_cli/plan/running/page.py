"""Write the page of a run: the choice, scores with their intervals, learning curves, costs, and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reportgen_core.training.log import read_log

from ...pages.shared.frame import escape_text, fill_page
from ...pages.shared.origin import Origin
from ...terminal.progress import duration
from ..making.show import setting_rows, unmeasured_note
from ..settled.plan_file import Plan
from .charts import Point, interval_rows, learning_curve
from .result import BASELINE, CHOSEN, Interval, Row, RunResult, p_value, short_name

HERE = Path(__file__).parent
SHARED = HERE.parent / "page.css"


def result_page(plan: Plan, result: RunResult, run: Path, origin: Origin) -> str:
    """Return the page as HTML. It has no report and no image."""
    body = [_chips(plan, result), _choice(result), _scores(result), _curves(result, run), _costs(result)]
    body += [_settings(plan), _left_out(plan), _foot(result)]
    return fill_page(
        "\n".join(body),
        title=f"What the plan for {plan.data.called} found",
        origin=origin,
        style=SHARED.read_text("utf-8") + (HERE / "page.css").read_text("utf-8"),
        script="watchScroll();",
    )


def _chips(plan: Plan, result: RunResult) -> str:
    studies = [f"{n:,} {split}" for split, n in plan.counts.items()]
    facts = [*studies, duration(3600 * result.hours), f"{plan.rules.image_size} pixels", plan.rules.encoder]
    if plan.data.sections:
        facts.append("report: " + " then ".join(plan.data.sections))
    items = "".join(f'<li class="chip">{escape_text(fact)}</li>' for fact in facts)
    return f'<ul class="chips">{items}</ul>'


def _choice(result: RunResult) -> str:
    fine = f'<p class="fine">{escape_text(result.why)}.</p>'
    if not result.notes:
        return fine
    items = "".join(f"<li>{escape_text(n[0].upper() + n[1:])}.</li>" for n in result.notes)
    return f'{fine}<div class="notice" role="note"><strong>Mind</strong><ul>{items}</ul></div>'


def _scores(result: RunResult) -> str:
    names = list(dict.fromkeys((result.decide, result.then)))
    figures = []
    for name in names:
        points = [
            Point(row.name, row.validation.get(name), row.test.get(name), row.state == CHOSEN, row.state == BASELINE)
            for row in result.rows
            if name in row.validation
        ]
        figures.append(_figure(_title(name), interval_rows(points)))
    table = _table(
        ("", "", *(f"{short_name(n)}, validation" for n in names), "p", *(f"{short_name(n)}, test" for n in names)),
        [_score_row(row, names) for row in result.rows],
    )
    words = (
        "The choice was made on validation studies alone. Test was scored once, for the choice and the baselines. "
        "p is that of a paired test against the best preset on validation."
    )
    key = '<ul class="key"><li><i class="onval"></i>validation</li><li><i class="ontest"></i>test</li></ul>'
    return _section("Scores", words, [f'<div class="wide">{key}</div>', *figures, f'<div class="wide">{table}</div>'])


def _title(name: str) -> str:
    short = {"cider": "CIDEr"}.get(name, short_name(name))
    return short[0].upper() + short[1:] + " with intervals of 95 %"


def _score_row(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    val = [_interval(row.validation.get(n)) for n in names]
    test = [_interval(row.test.get(n)) for n in names]
    return (row.name, row.state, *val, "–" if row.p is None else p_value(row.p), *test)


def _interval(value: Interval | None) -> str:
    if value is None:
        return "–"
    middle, low, high = value
    return f"{middle:.3f}" + (f" ({low:.3f}–{high:.3f})" if low is not None and high is not None else "")


def _curves(result: RunResult, run: Path) -> str:
    figures = []
    for row in result.rows:
        records = [r for r in read_log(run / row.name / "run" / "log.jsonl") if r["kind"] == "epoch"]
        points = [(r["epoch"] + 1, r["val_loss"]) for r in records if r.get("val_loss") is not None]
        if len(points) > 1:
            best = max((r["epoch"] + 1 for r in records if r["best"]), default=0)
            words = f"Epoch {best} of {len(records)} is the one that is kept." if best else ""
            figures.append(_figure(row.name, learning_curve(points, best), words))
    words = "The loss of the validation studies after each epoch. Losses of different presets cannot be compared."
    return _section("Learning", words, figures) if figures else ""


def _costs(result: RunResult) -> str:
    rows = []
    for row in (*([result.encoder] if result.encoder else []), *result.rows):
        if row.predicted_seconds:
            time = duration(row.seconds) if row.seconds else "–"
            memory = f"{row.memory:,}" if row.memory else "–"
            cells = (str(row.epochs or "–"), duration(row.predicted_seconds), time)
            rows.append((row.name, *cells, f"{row.predicted_memory:,}", memory))
    header = ("", "epochs", "time predicted", "time measured", "MiB predicted", "MiB measured")
    words = "Predicted by 21 steps when the plan was made, and measured in this run, both on this machine."
    return _section("Time and memory", words, [f'<div class="wide">{_table(header, rows)}</div>'])


def _settings(plan: Plan) -> str:
    rows = list(setting_rows(plan))
    figures = []
    for kind, title in (("tried", "Tried"), ("rule", "By a rule"), ("fixed", "Fixed")):
        own = [row[1:] for row in rows if row[0] == kind]
        table = _table(("", "value", "why"), own, "settings")
        figures.append(f'<div class="wide panel"><h3>{title}</h3>{table}</div>')
    words = "Fixed settings are the same for all data, rules follow from the data and the machine, the rest is tried."
    return _section("Settings", words, figures)


def _left_out(plan: Plan) -> str:
    if not plan.left_out:
        return ""
    others = "".join(f"<p>{escape_text(line)}.</p>" for line in unmeasured_note(plan))
    rows = [(name, why) for name, why in plan.left_out.items()]
    table = _table(("preset", "why"), rows, "settings")
    return f"<details><summary>{len(rows)} presets that cannot learn here</summary>{table}{others}</details>"


def _foot(result: RunResult) -> str:
    notes = "".join(f"<li>{escape_text(note)}</li>" for note in result.row_notes())
    shown = f"<p>Notes:</p><ul>{notes}</ul>" if notes else ""
    return (
        f'<footer class="foot">{shown}<p>The model is in the folder model, the scores on test in the folder test.'
        "</p></footer>"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "leaks") -> str:
    head = "".join(f'<th scope="col">{escape_text(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape_text(row[0])}</th>{"".join(f"<td>{escape_text(c)}</td>" for c in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _section(title: str, words: str, figures: Sequence[str]) -> str:
    return (
        f'<section><h2>{title}</h2><p>{escape_text(words)}</p><div class="figures">{"".join(figures)}</div></section>'
    )


def _figure(title: str, inner: str, words: str = "") -> str:
    shown = f'<p class="dim">{escape_text(words)}</p>' if words else ""
    return f'<div class="panel"><h3>{escape_text(title)}</h3>{inner}{shown}</div>'
