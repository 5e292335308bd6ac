"""Score reports that need no image on the R2Gen test set of IU X-Ray, and print rows of docs/explanation/results.md.

    python -m benchmarks.baselines [--without-meteor]

The reports are Open-i's, from the wheel of torchxrayvision (CC BY-NC-ND: read from there, not copied). Two rows are no
baselines: the report chosen on the test set, and the one whose ties go to the lowest id. They show the effect of such
choices.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import util
from pathlib import Path

from reportgen_core import Collection, evaluate
from reportgen_core.registries import datasets, metrics, protocols
from reportgen_core.scoring.baselines import BaselineData, by_gold_tags, repeated
from reportgen_core.scoring.evaluation import Evaluation
from reportgen_core.scoring.evaluation_set import background_of
from reportgen_core.scoring.score_tables import number
from reportgen_core.scoring.scorecard import System

CLINICAL = ("chexpert-rules micro-14 f1", "chexpert-rules macro-14 f1")
COLUMNS = ("bleu-1", "bleu-2", "bleu-3", "bleu-4", "meteor", "rouge-l", "cider", *CLINICAL)
PUBLISHED = (
    ("*R2Gen, as published*", (0.470, 0.304, 0.219, 0.165, 0.187, 0.371, None, None, None)),
    ("*R2GenCMN, as published*", (0.475, 0.309, 0.222, 0.170, 0.191, 0.375, None, None, None)),
)


def collection() -> Collection:
    """Return IU X-Ray with the split of R2Gen, rebuilt from the XML."""
    spec = util.find_spec("torchxrayvision")
    assert spec is not None, "the reports are read from torchxrayvision: pip install --group dev"
    assert spec.origin is not None
    root = Path(spec.origin).parent / "data"
    return datasets.create("iu-xray", root, layout="xml", protocol="r2gen", require_images=False).read()


def row(name: str, values: Sequence[float | None]) -> str:
    return "| " + " | ".join([name, *map(number, values)]) + " |"


def of_system(name: str, system: System, subset: str = "") -> str:
    lines = {line.name: line.value for line in (system.subsets[subset] if subset else system.lines)}
    return row(name, [lines.get(c) for c in COLUMNS])


class Rows:
    """The evaluations behind the rows of the table, all on the same test set."""

    def __init__(self, metric_names: Sequence[str]) -> None:
        self.metrics = metric_names
        studies = collection()
        self.test = studies.split("test")
        self.background: BaselineData = background_of(studies, self.test, ("findings",))
        self.references = {s.id: s.text(("findings",)) for s in self.test}

    def evaluate(
        self, predictions: Mapping[str, str], protocol: str = "r2gen", *, baselines: bool = False
    ) -> Evaluation:
        return evaluate(
            predictions, self.references, metrics=self.metrics, protocol=protocol, background=self.background,
            baselines=baselines, sections=("findings",), dataset="iu-xray", split="test",
        )  # fmt: skip

    def same(self, text: str) -> dict[str, str]:
        return dict.fromkeys(self.references, text)

    def constant(self) -> str:
        """Return the repeated training report with the best BLEU-4 on validation, in R2Gen's protocol."""
        return self._best({id: [t] for id, t in self.background.validation.items()})

    def best_on_test(self) -> str:
        """Return the repeated training report with the best BLEU-4 on the test set itself."""
        return self._best({id: [t] for id, t in self.references.items()})

    def _best(self, references: Mapping[str, list[str]]) -> str:
        protocol, bleu = protocols.create("r2gen"), metrics.create("bleu")
        training = list(self.background.training.values())
        protocol.learn(training)  # type: ignore[attr-defined]  # r2gen's does
        gold = [[r] for r in protocol.references([t[0] for t in references.values()])]
        return max(repeated(training), key=lambda t: bleu.compute(protocol.reports([t]) * len(gold), gold).value)

    def hybrid(self, constant: str) -> dict[str, str]:
        """Return the constant for studies that are normal by their gold tags, and `lowest_id` for the others."""
        nearest = self.lowest_id()
        return {s.id: constant if s.extra["normal"] else nearest[s.id] for s in self.test}

    def lowest_id(self) -> dict[str, str]:
        """Return the reports retrieved by gold tags; ties go to the first training study by number."""
        ids = sorted(self.background.training, key=_number)
        background = BaselineData({i: self.background.training[i] for i in ids}, tags=self.background.tags)
        queries = list(self.references)
        return dict(zip(queries, by_gold_tags(background, queries, range(1), ties="first").reports[0], strict=True))


def _number(id: str) -> int:
    return int("".join(c for c in id.split("_")[0] if c.isdigit()))


def table(rows: Rows) -> list[str]:
    constant = rows.constant()
    main = rows.evaluate(rows.same(constant), baselines=True)
    first = main.systems[0]
    lines = [
        "| reports | " + " | ".join(f"{c.removeprefix('chexpert-rules ')} ↑" for c in COLUMNS) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    lines.append(of_system("constant, chosen on validation", first))
    ends = [first.line(c) for c in COLUMNS]
    lines.append(
        "| 95 % interval | " + " | ".join(f"{e.low:.3f}-{e.high:.3f}" if e and e.low else "" for e in ends) + " |"
    )
    for protocol, name in (("r2gen-untruncated", "cleaned, not truncated"), ("coco", "coco"), ("raw", "raw")):
        lines.append(of_system(f"the same, protocol {name}", rows.evaluate(rows.same(constant), protocol).systems[0]))
    lines.append(of_system("constant, best on test (oracle)", rows.evaluate(rows.same(rows.best_on_test())).systems[0]))
    for system in main.systems[1:]:
        if system.name != "constant (validation)":
            lines.append(of_system(f"{system.name}: {system.note.removeprefix('ORACLE: ')}", system))
            if "seeds" in system.note:
                ranges = [system.line(c) for c in COLUMNS]
                cells = [f"{r.low:.3f}-{r.high:.3f}" if r and r.low is not None else "" for r in ranges]
                lines.append("| range over the seeds | " + " | ".join(cells) + " |")
    lines.append(of_system("gold tags, ties to the lowest id (artefact)", rows.evaluate(rows.lowest_id()).systems[0]))
    lines.append(of_system("constant if gold normal, else gold tags", rows.evaluate(rows.hybrid(constant)).systems[0]))
    for subset in first.subsets:
        lines.append(of_system(f"constant, references {subset} ({(first.size or {})[subset]})", first, subset))
    lines += [row(name, values) for name, values in PUBLISHED]
    return [*lines, "", f"{main.verbatim_share:.1%} of the test references occur word for word in training."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-meteor", action="store_true", help="its jar takes most of the time")
    without_meteor = parser.parse_args().without_meteor
    names = ["bleu", *([] if without_meteor else ["meteor"]), "rouge-l", "cider", "chexpert-rules"]
    print("\n".join(table(Rows(names))))


if __name__ == "__main__":
    main()
