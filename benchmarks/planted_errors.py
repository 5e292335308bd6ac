"""Figures of the audit of errors on errors that were planted into Open-i's reports, and its speed.

    python benchmarks/planted_errors.py                       the tables, as Markdown
    python benchmarks/planted_errors.py --reports 300         of the first 300 reports
    python benchmarks/planted_errors.py --time                the time of the audit and of the labeler, in turns
    python benchmarks/planted_errors.py --wrong wrong.txt     every error that was not found or should not be there

`planting` makes the errors by edits of its own. The reports are those of the Indiana University collection, from the
archive NLMCXR_reports.tgz of an installed torchxrayvision, or from the path in --source. An error counts as found if
the audit names its kind for words of the edited sentence. The recall of a kind is the share of its planted errors that
were found; its precision is the share of the edited reports in which the audit names it where it was planted. "Reports
that were read" are those of which every sentence that should state something has a statement. The words of the audit
were written looking at the half of the ids whose SHA-256 is even ("developed on"); the other half is the check,
whose wrong answers were looked at in the last round only.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import files
from pathlib import Path

from planting import PLANTERS, Planted, clinical_sentences, plant
from reportgen_plugins.datasets.iu import openi
from reportgen_plugins.metrics.audit.audit import Audit, audit
from reportgen_plugins.metrics.audit.statements import Statement, StatementReader, StatementText

TURNS = 7
PER_KIND = 300  # pairs on which the other metrics are computed
OTHERS = {
    "BLEU-4": ("bleu", "bleu-4"),
    "ROUGE-L": ("rouge-l", "rouge-l"),
    "CIDEr": ("cider", "cider"),
    "METEOR": ("meteor", "meteor"),
}


def developed_on(key: str) -> bool:
    """Return whether words of the audit were written looking at this report: the SHA-256 of its id is even."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 2 == 0


def read_reports(source: Path | None) -> dict[str, str]:
    """Return findings and impression of each report, by id."""
    if source is None:
        listed = files("torchxrayvision") or []
        source = next(Path(str(f.locate())) for f in listed if f.name == "NLMCXR_reports.tgz")
    texts = {
        s.id: "\n".join(s.sections[k] for k in ("findings", "impression") if s.sections.get(k))
        for s in openi.studies(source)
    }
    return {id: text for id, text in texts.items() if text.strip()}


def touches(statement: Statement | None, span: tuple[int, int]) -> bool:
    """Return whether the words of a statement lie in a span."""
    return statement is not None and statement.span[0] < span[1] and span[0] < statement.span[1]


def was_read(text: str, statements: StatementText) -> tuple[int, int]:
    """Return how many sentences should state something, and how many have a statement."""
    wanted = clinical_sentences(text)
    return len(wanted), sum(any(touches(s, span) for s in statements.statements) for span in wanted)


def found(edit: Planted, result: Audit) -> bool:
    """Return whether the audit names the planted kind for words of the edited sentence."""
    return any(
        d.kind == edit.kind and (touches(d.reference, edit.in_reference) or touches(d.report, edit.in_report))
        for d in result.differences
    )


@dataclass
class Tally:
    """Counts of one set of reports."""

    planted: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)  # edited reports with a difference of the kind
    right: Counter[str] = field(default_factory=Counter)
    harmless: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)  # harmless pairs with any difference
    differences: int = 0  # in harmless pairs

    def add(self, edit: Planted, result: Audit) -> bool:
        """Count one edit. Return whether the audit was right."""
        kinds = set(result.kinds)
        if not edit.kind:
            self.harmless[edit.how] += 1
            self.false[edit.how] += bool(kinds)
            self.differences += len(result.differences)
            return not kinds
        hit = found(edit, result)
        self.planted[edit.kind] += 1
        self.hits[edit.kind] += hit
        for kind in kinds:
            self.named[kind] += 1
            self.right[kind] += hit and kind in (edit.kind, edit.also)
        return hit and kinds <= {edit.kind, edit.also}


def share(part: float, whole: float) -> str:
    """Return a share with three decimals."""
    return f"{part / whole:.3f}" if whole else "–"


def measure(reports: Mapping[str, str], wrong: Path | None) -> tuple[dict[str, Tally], dict[str, list[Planted]]]:
    """Return the counts of all reports, of those that were read, and of its two halves; and all edits by kind."""
    reader = StatementReader()
    tallies = {name: Tally() for name in ("all", "read", "developed on", "check")}
    edits: dict[str, list[Planted]] = {}
    lines: list[str] = []
    sentences = parsed = whole = 0
    for id, text in reports.items():
        wanted, got = was_read(text, reader.read(text))
        sentences, parsed, read = sentences + wanted, parsed + got, wanted == got
        whole += read
        for edit in plant(id, text):
            edits.setdefault(edit.kind or edit.how, []).append(edit)
            result = audit(reader, edit.reference, edit.report)
            right = tallies["all"].add(edit, result)
            if read:
                tallies["read"].add(edit, result)
                tallies["developed on" if developed_on(id) else "check"].add(edit, result)
            if not right:
                said = [(d.kind, d.finding, d.says) for d in result.differences]
                lines.append(f"{id} {edit.kind or edit.how}: {edit.report[slice(*edit.in_report)]!r} {said}\n")
    if wrong:
        wrong.write_text("".join(lines), encoding="utf-8")
    print(
        f"{len(reports):,} reports; {parsed:,} of {sentences:,} sentences ({share(parsed, sentences)}) have a ", end=""
    )
    print(f"statement, and so have all sentences of {whole:,} reports ({share(whole, len(reports))}).\n")
    return tallies, edits


def draw_kinds(tallies: Mapping[str, Tally]) -> None:
    """Print recall and precision of each kind."""
    read, every = tallies["read"], tallies["all"]
    heads = ("planted", "reports that were read", "recall", "precision", "check: recall", "check: precision")
    print(f"| {' | '.join((*heads, 'all reports', 'recall'))} |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind in PLANTERS:
        check = tallies["check"]
        cells = [
            kind, f"{read.planted[kind]:,}", share(read.hits[kind], read.planted[kind]),
            share(read.right[kind], read.named[kind]), share(check.hits[kind], check.planted[kind]),
            share(check.right[kind], check.named[kind]), f"{every.planted[kind]:,}",
            share(every.hits[kind], every.planted[kind]),
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |")
    pairs = sum(every.harmless.values())
    rate = 100 * every.differences / pairs
    print(f"\nHarmless: {every.differences} false differences in {pairs:,} pairs, {rate:.2f} in 100:", end=" ")
    print(", ".join(f"{how} {every.false[how]} of {n:,} pairs" for how, n in every.harmless.items()) + "\n")


def draw_others(edits: Mapping[str, Sequence[Planted]]) -> None:
    """Print how other metrics score the edited reports, next to the errors that the audit counts."""
    from reportgen_core import evaluate

    metrics = ("bleu", "rouge-l", "cider", "meteor", "errors")
    print("| edit | pairs | " + " | ".join(OTHERS) + " | errors per report |")
    print("|---|---:|" + "---:|" * (len(OTHERS) + 1))
    for name, own in edits.items():
        step = max(1, len(own) // PER_KIND)
        chosen = own[::step][:PER_KIND]
        reports = {str(i): e.report for i, e in enumerate(chosen)}
        references = {str(i): e.reference for i, e in enumerate(chosen)}
        result = evaluate(reports, references, protocol="coco", metrics=metrics, resamples=0, baselines=False)
        scores = result.scores
        total = next(v for k, v in scores.items() if k.startswith("errors weighted"))
        cells = [f"{scores[k]:.3f}" for _, k in OTHERS.values()]
        print("| " + " | ".join([name, f"{len(chosen)}", *cells, f"{total:.2f}"]) + " |")
        for metric, why in result.problems.items():
            print(f"no {metric}: {why}")


def compare_time(reports: Mapping[str, str]) -> None:
    """Print how long the audit takes for pairs compared with the labeler for the same texts, in turns."""
    from reportgen_plugins.metrics.labeler import rules
    from reportgen_plugins.metrics.labeler.labeler import Labeler

    texts = list(reports.values())
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    StatementReader()
    ratios = []
    for _ in range(TURNS):
        rules.reader.cache_clear()  # neither has read a sentence before
        labeler = Labeler()
        start = time.process_time()
        labeler.labels(text for pair in pairs for text in pair)
        middle = time.process_time()
        reader = StatementReader()
        for reference, report in pairs:
            audit(reader, reference, report)
        end = time.process_time()
        ratios.append((end - middle) / (middle - start))
        print(f"labeler {middle - start:.2f} s, audit {end - middle:.2f} s")
    each = f"{min(ratios):.2f} to {max(ratios):.2f} in {TURNS} turns"
    print(f"{len(pairs):,} pairs: the audit takes {statistics.median(ratios):.2f} times as long ({each})")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--source", type=Path, help="Open-i's NLMCXR_reports.tgz, or its folder of XML files")
    parse.add_argument("--reports", type=int, default=0, help="take the first reports only; 0: all")
    parse.add_argument("--wrong", type=Path, help="write the edits that the audit did not read rightly into this file")
    parse.add_argument("--no-others", action="store_true", help="leave out the other metrics")
    parse.add_argument("--time", action="store_true", help="measure the time only")
    options = parse.parse_args()
    reports = read_reports(options.source)
    if options.reports:
        reports = dict(list(reports.items())[: options.reports])
    if options.time:
        compare_time(reports)
        return
    tallies, edits = measure(reports, options.wrong)
    draw_kinds(tallies)
    if not options.no_others:
        draw_others(edits)


if __name__ == "__main__":
    main()
