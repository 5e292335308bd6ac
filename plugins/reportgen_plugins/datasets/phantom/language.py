"""The reports of the phantom chest: a small language in which every sentence states one finding or a normal organ.

The wording is ours and follows the habits of radiologists: heart, mediastinum, lungs, pleura, bones, devices; normal
organs are mostly mentioned too. `read_findings` reads the findings of such a report, also if a model wrote it in lower
case or with words missing, so that they can be compared with the drawn findings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .changes import Change, Wording
from .film.canvas import Rng, rng
from .film.findings import KINDS, LOBES, SIDES, Finding

# {d} degree, {p} place. The first wording of a kind is the short one, for impressions.
SAID: dict[str, tuple[str, ...]] = {
    "cardiomegaly": ("{d} cardiomegaly", "the heart is {d}ly enlarged", "heart size is {d}ly increased",
                     "there is {d} enlargement of the cardiac silhouette"),
    "aorta": ("tortuous aorta", "the aorta is tortuous", "the thoracic aorta is tortuous and unfolded"),
    "hernia": ("{d} hiatal hernia", "there is a {d} hiatal hernia",
               "retrocardiac air and fluid of a {d} hiatal hernia"),
    "hypoinflation": ("low lung volumes", "lung volumes are low", "the lungs are hypoinflated"),
    "hyperinflation": ("hyperinflated lungs", "the lungs are hyperexpanded",
                       "hyperinflation with flattened diaphragms"),
    "diaphragm": ("elevated {p} hemidiaphragm", "the {p} hemidiaphragm is elevated",
                  "there is elevation of the {p} hemidiaphragm"),
    "edema": ("{d} pulmonary edema", "there is {d} pulmonary edema",
              "perihilar haze consistent with {d} pulmonary edema"),
    "consolidation": ("{p} consolidation", "there is consolidation in the {p}", "dense consolidation of the {p}"),
    "opacity": ("hazy opacity in the {p}", "there is a hazy opacity in the {p}", "ill defined opacity in the {p}"),
    "mass": ("{p} mass", "there is a large mass in the {p}", "a rounded mass is seen in the {p}"),
    "nodule": ("{p} nodule", "there is a nodule in the {p}", "a small nodule is seen in the {p}"),
    "granuloma": ("calcified granuloma in the {p}", "there is a calcified granuloma in the {p}",
                  "a calcified granuloma is seen in the {p}"),
    "atelectasis": ("{d} {p} basilar atelectasis", "there is {d} atelectasis at the {p} base",
                    "linear bands of {d} atelectasis in the {p} base"),
    "effusion": ("{d} {p} pleural effusion", "there is a {d} {p} pleural effusion",
                 "a {d} pleural effusion is present on the {p}", "{d} effusion in the {p} pleural space"),
    "pneumothorax": ("{d} {p} pneumothorax", "there is a {d} {p} pneumothorax",
                     "a {d} pneumothorax is seen on the {p}"),
    "fracture": ("{p} rib fracture", "there is a fracture of a {p} rib", "deformity of a {p} rib from a fracture"),
    "degenerative": ("{d} degenerative changes of the thoracic spine",
                     "there are {d} degenerative changes of the spine",
                     "{d} degenerative osteophytes along the thoracic spine"),
    "scoliosis": ("{d} thoracic scoliosis", "there is {d} scoliosis of the thoracic spine"),
    "pacemaker": ("{p} pacemaker", "a {p} chest pacemaker is in place",
                  "there is a {p} sided pacemaker with its lead in the right ventricle"),
    "catheter": ("{p} central venous catheter", "a {p} central venous catheter is in place",
                 "tip of the {p} central venous catheter in the superior vena cava"),
    "tube": ("endotracheal tube in place", "an endotracheal tube is in place", "endotracheal tube above the carina"),
    "wires": ("median sternotomy wires", "sternotomy wires are intact", "there are median sternotomy wires"),
}  # fmt: skip
ORDER = tuple(SAID)
MINOR = frozenset(
    {"aorta", "granuloma", "degenerative", "scoliosis", "pacemaker", "catheter", "tube", "wires", "diaphragm"}
)
_LUNG = ("edema", "consolidation", "opacity", "mass", "nodule", "atelectasis")

HEALTHY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # findings that exclude it, wordings
    "heart": (("cardiomegaly",), ("the heart is normal in size", "heart size is normal",
              "the cardiac silhouette is normal")),
    "mediastinum": (("aorta", "hernia"), ("mediastinal contours are normal", "the mediastinum is unremarkable")),
    "lungs": ((*_LUNG, "granuloma"), ("the lungs are clear", "the lungs are clear bilaterally", "lungs are clear")),
    "focal": (("consolidation",), ("no focal consolidation", "there is no focal consolidation")),
    "pleura": (("effusion", "pneumothorax"), ("no pleural effusion or pneumothorax",
               "there is no pneumothorax or pleural effusion")),
    "effusion": (("effusion",), ("no pleural effusion", "there is no pleural effusion")),
    "pneumothorax": (("pneumothorax",), ("no pneumothorax", "there is no pneumothorax")),
    "bones": (("fracture", "degenerative", "scoliosis"), ("the bony thorax is intact",
              "osseous structures are unremarkable")),
}  # fmt: skip
NOTHING = ("no acute cardiopulmonary abnormality", "no acute disease in the chest", "no acute cardiopulmonary findings")
# Normal statements, and the kind before which they are written; of a group the first one that is true.
GROUPS = ((("heart",), "cardiomegaly"), (("mediastinum",), "aorta"), (("lungs", "focal"), "hypoinflation"),
          (("pleura", "effusion", "pneumothorax"), "effusion"), (("bones",), "fracture"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the findings that it states; none if it says that an organ is normal."""

    text: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A report, sentence by sentence."""

    findings: tuple[Sentence, ...]
    impression: tuple[Sentence, ...]

    def sections(self) -> dict[str, str]:
        """Return the text of each section."""
        parts = {"findings": self.findings, "impression": self.impression}
        return {name: " ".join(s.text for s in sentences) for name, sentences in parts.items()}


def write_report(id: str, seed: int, findings: Sequence[Finding], changes: Sequence[Change] = ()) -> Text:
    """Return the report of a study. Another id gives another wording of the same findings.

    `changes` is what has changed since the prior study; without a prior no change is stated.
    """
    said = Wording(id, seed, changes)
    source = rng("words", seed, id)
    kinds = {f.kind for f in findings}
    groups = {before: names for names, before in GROUPS}
    body: list[Sentence] = []
    for kind in ORDER:
        if kind in groups:
            body += _healthy(groups[kind], kinds, source)
        if stated := [f for f in findings if f.kind == kind]:
            body.append(_stated(stated, source.choice(len(SAID[kind])), said.end(kind, short=False)))
        if gone := said.resolved(kind):
            body.append(Sentence(_sentence(gone)))
    if not body:
        body = [Sentence(_sentence("the lungs are clear"))]
    grave = [f for f in findings if f.kind not in MINOR]
    graver = {kind: [f for f in grave if f.kind == kind] for kind in ORDER if kind in {f.kind for f in grave}}
    short = [_stated(stated, 0, said.end(kind, short=True)) for kind, stated in graver.items()]
    return Text(tuple(body), tuple(short) or (Sentence(_sentence(NOTHING[source.choice(len(NOTHING))])),))


def _healthy(names: Sequence[str], kinds: set[str], source: Rng) -> list[Sentence]:
    """Return the first true normal statement of a group, in nine reports of ten; else []."""
    mentioned, wording = source.random() < 0.9, float(source.random())
    for name in names:
        excluding, wordings = HEALTHY[name]
        if not kinds & set(excluding):
            return [Sentence(_sentence(wordings[int(wording * len(wordings))]))] if mentioned else []
    return []


def _stated(findings: Sequence[Finding], wording: int, end: str = "") -> Sentence:
    """Return one sentence on a finding, or on the same finding of both sides, with an end on what has changed."""
    place = findings[0].place if len(findings) == 1 else "bilateral"
    text = SAID[findings[0].kind][wording].format(d=findings[0].degree, p=place)
    if place == "bilateral":
        text = text.replace("the bilateral base", "both bases").replace("on the bilateral", "on both sides")
        text = text.replace("the bilateral pleural space", "both pleural spaces")
        text = re.sub(r"^there is an? (.*effusion)$", r"there are \1s", text)
    return Sentence(_sentence(text + end), tuple(findings))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


HEADS: dict[str, str] = {
    "cardiomegaly": r"cardiomegaly|heart .*(?:enlarged|increased)|enlarge\w* .*(?:heart|cardiac)",
    "aorta": r"tortuous|unfolded",
    "hernia": r"hernia",
    "hypoinflation": r"low lung volumes|volumes are low|hypoinflat",
    "hyperinflation": r"hyperinflat|hyperexpan",
    "diaphragm": r"elevat\w* .*hemidiaphragm|hemidiaphragm .*elevat",
    "edema": r"edema",
    "consolidation": r"consolidation",
    "opacity": r"opacity|opacities",
    "mass": r"\bmass",
    "nodule": r"nodule",
    "granuloma": r"granuloma",
    "atelectasis": r"atelectasis",
    "effusion": r"effusion",
    "pneumothorax": r"pneumothora",
    "fracture": r"fracture",
    "degenerative": r"degenerative",
    "scoliosis": r"scoliosis",
    "pacemaker": r"pacemaker",
    "catheter": r"catheter",
    "tube": r"endotracheal tube",
    "wires": r"wires",
}
HEAD_PATTERNS = {kind: re.compile(head) for kind, head in HEADS.items()}
_DENIED = re.compile(r"\b(?:no|without|not|negative for|free of|normal|resolved)\b")
_WORDS = {"marked": "severe", "minimal": "mild", "trace": "small"}


def read_findings(text: str) -> tuple[Finding, ...]:
    """Return the findings that a report of this language states, in the order of KINDS.

    A place or degree that the report does not mention is "".
    """
    findings = {f for sentence in re.split(r"[.;\n]", text.lower()) for f in _read(sentence)}
    return tuple(sorted(findings, key=lambda f: (list(KINDS).index(f.kind), f.place, f.degree)))


def _read(sentence: str) -> list[Finding]:
    if _DENIED.search(sentence):
        return []
    return [
        Finding(kind, place, _degree(sentence, KINDS[kind].degrees))
        for kind, head in HEAD_PATTERNS.items()
        if head.search(sentence)
        for place in _places(sentence, KINDS[kind].places)
    ]


def _places(sentence: str, choices: Sequence[str]) -> list[str]:
    if choices == ("",):
        return [""]
    if choices == SIDES and re.search(r"\b(?:bilateral|both)\b", sentence):
        return list(SIDES)
    if choices == LOBES:
        return [p for p in choices if p in sentence] or [""]
    named = re.sub(r"right ventricle", "", sentence)
    return [p for p in choices if re.search(rf"\b{p}\b", named)] or [""]


def _degree(sentence: str, choices: Sequence[str]) -> str:
    words = [_WORDS.get(w, w) for w in re.sub(r"ly\b", "", sentence).split()]
    return next((w for w in words if w and w in choices), "")


def agreement(texts: Iterable[str], drawn: Iterable[Sequence[Finding]]) -> Mapping[str, float]:
    """Return micro-averaged precision, recall and F1 of the stated findings against the drawn ones, 0..1.

    `kind` compares the kind alone, `side` also the side, `exact` also place and degree.
    """
    pairs = [(read_findings(t), tuple(d)) for t, d in zip(texts, drawn, strict=True)]
    views: dict[str, Callable[[Finding], object]] = {
        "kind": lambda f: f.kind,
        "side": lambda f: (f.kind, f.side),
        "exact": lambda f: f,
    }
    scores: dict[str, float] = {}
    for name, view in views.items():
        sets = [({view(f) for f in read}, {view(f) for f in truth}) for read, truth in pairs]
        hits, read, truth = (
            sum(len(s) for s in column) for column in ([a & b for a, b in sets], *zip(*sets, strict=True))
        )
        scores |= {f"{name} precision": hits / read if read else 0.0, f"{name} recall": hits / truth if truth else 0.0}
        scores[f"{name} f1"] = 2 * hits / (read + truth) if read + truth else 0.0
    return scores
