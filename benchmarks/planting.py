"""Plant errors and harmless rewordings into reports by plain edits of their text, with word lists of its own.

Nothing of reportgen is imported: the audit is measured with what is planted here, and must not judge itself. Each edit
knows where it was made, in both texts. An edit is made only where the words leave no doubt: the name of the finding is
in one sentence of the report alone.
"""
# ruff: noqa: E501  the tables and rules of edits stay on their lines

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

Span = tuple[int, int]

FINDINGS = {  # the name of a finding, and how a report may write it
    "effusion": r"effusions?|pleural fluid",
    "pneumothorax": r"pneumothora(?:x|ces)",
    "consolidation": r"consolidations?",
    "atelectasis": r"atelectasis|atelectatic",
    "cardiomegaly": r"cardiomegaly|enlarged heart|heart (?:is|size is|size) \w* ?enlarged",
    "edema": r"edema",
    "pneumonia": r"pneumonia",
    "nodule": r"nodules?",
    "granuloma": r"granulomas?",
    "fracture": r"fractures?",
    "opacity": r"opacit(?:y|ies)",
    "infiltrate": r"infiltrates?",
    "emphysema": r"emphysema",
    "scoliosis": r"scoliosis",
    "hernia": r"hernias?",
    "mass": r"mass(?:es)?",
    "scar": r"scars?|scarring",
    "degenerative": r"degenerative",
    "tortuous": r"tortuous|tortuosity",
    "catheter": r"catheters?|picc",
    "pacemaker": r"pacemaker",
    "congestion": r"congestion",
    "thickening": r"pleural thickening",
    "adenopathy": r"adenopathy|lymphadenopathy",
    "lungs": r"lungs (?:are|appear) clear|clear lungs|lungs clear",
    "heart": r"heart size|heart is|cardiac silhouette|heart and",
    "bones": r"osseous|bony",
    "vessels": r"pulmonary vasculature|pulmonary vascularity|vascular markings",
    "acute": r"acute cardiopulmonary|acute disease|active disease|acute pulmonary",
}
SIDED = ("effusion", "pneumothorax", "consolidation", "atelectasis", "pneumonia", "nodule", "granuloma", "fracture",
         "opacity", "infiltrate", "mass", "scar", "catheter", "thickening")  # fmt: skip
CLINICAL = re.compile(
    r"\b(?:"
    + "|".join(FINDINGS.values())
    + r"|hearts?|lungs?|mediastin\w+|hil(?:a|ar|um)|aorta|diaphragms?|spine|ribs?)\b",
    re.I,
)
NOT_STATED = re.compile(
    r"\b(?:views?|radiographs?|comparison|technique|history|obtained|recommend\w*|evaluat\w+)\b", re.I
)
_NAMED = {name: re.compile(rf"\b(?:{words})\b", re.I) for name, words in FINDINGS.items()}
_SENTENCE = re.compile(r"\S.*?(?:[.!?]+(?=\s|$)|(?=\n)|$)", re.S)
_NEGATION = re.compile(r"\b(?:no|not|without|negative|free of|absent|resolved|unlikely|rather than|nor)\b", re.I)
_DOUBT = re.compile(
    r"\b(?:may|might|could|possibl[ey]|probabl[ey]|likely|suggest\w*|question\w*|cannot|versus|vs|or|if|exclude|suspicio\w+"
    r"|consistent|compatible|represent\w*|concern\w*|appears?|consider\w*|\?)",
    re.I,
)
_COMPARES = re.compile(
    r"\b(?:unchanged|stable|stably|change|changes|changed|prior|previous\w*|interval|again|new|newly|increas\w+|decreas\w+|improv\w+"
    r"|worse\w*|progress\w*|resol\w+|compar\w+|remain\w*|persist\w*|similar\w*|since|earlier|old|larger|smaller|redemonstrat\w+"
    r"|residual|clear(?:ing|ed)|constant|now|longer|develop\w*|chronic|xxxx)\b",
    re.I,
)
GRADES = (("mild", "moderate", "severe"), ("small", "moderate", "large"), ("minimal", "moderate", "marked"),
          ("mildly", "moderately", "severely"), ("minimally", "moderately", "markedly"), ("tiny", "moderate", "massive"),
          ("slight", "moderate", "extensive"))  # fmt: skip
_GRADE = {word: row for row in GRADES for word in (row[0], row[2])} | {"moderate": GRADES[0], "moderately": GRADES[3]}
_GRADED = re.compile(rf"\b(?:{'|'.join(_GRADE)}|subtle|trace|faint|minor|slightly|borderline)\b", re.I)
PLACES = {"upper": "lower", "lower": "upper", "apical": "basilar", "basilar": "apical", "apex": "base", "base": "apex",
          "apices": "bases", "bases": "apices", "bibasilar": "biapical", "basal": "apical"}  # fmt: skip
_PLACE = re.compile(rf"\b(?:{'|'.join(PLACES)})\b", re.I)
_ANY_PLACE = re.compile(
    rf"\b(?:{'|'.join(PLACES)}|mid|middle|hil\w+|perihilar|lingula\w*|retrocardiac|biapical|suprahilar|infrahilar"
    r"|costophrenic|[rl][uml]l)\b",
    re.I,
)
ADDED = {
    "effusion": "There is a large left pleural effusion.", "pneumothorax": "A small right apical pneumothorax is seen.",
    "fracture": "There is an acute fracture of the left seventh rib.", "nodule": "A 1 cm nodule is present in the right upper lobe.",
    "edema": "There is moderate pulmonary edema.", "hernia": "A large hiatal hernia is noted.",
    "pneumonia": "There is right lower lobe pneumonia.", "pacemaker": "A left-sided pacemaker is in place.",
    "mass": "There is a mass in the left upper lobe.", "scoliosis": "Severe scoliosis of the thoracic spine.",
    "consolidation": "Dense consolidation of the left lower lobe is present.", "catheter": "A right internal jugular catheter is in place.",
    "emphysema": "Severe emphysema is present.", "congestion": "There is pulmonary vascular congestion.",
    "atelectasis": "Atelectasis is present at the left base.", "adenopathy": "There is hilar adenopathy.",
}  # fmt: skip
CHANGES = (", unchanged since the prior examination", ", stable compared to the previous study",
           ", not significantly changed from the previous radiograph", ", increased since the last examination")  # fmt: skip
SYNONYMS = (
    (r"within normal limits", "normal"), (r"unremarkable", "normal"), (r"identified", "seen"), (r"there is no\b", "no"),
    (r"no evidence of", "no"), (r"osseous", "bony"), (r"demonstrates?", "show"), (r"right-sided", "right"),
    (r"left-sided", "left"), (r"cardiac silhouette", "heart"), (r"mild\b", "slight"), (r"pleural effusions?", "pleural fluid"),
    (r"cardiomegaly", "enlargement of the heart"), (r"basilar", "basal"), (r"noted", "seen"), (r"abnormality", "abnormalities"),
    (r"consolidation", "consolidations"), (r"visualized", "seen"), (r"bilaterally", "on both sides"), (r"large\b", "big"),
)  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """One edited report. `kind` is "" for a harmless rewording."""

    kind: str
    how: str
    reference: str
    report: str
    in_reference: Span = (0, 0)  # the sentence that was edited; empty where nothing stood
    in_report: Span = (0, 0)
    also: str = ""  # a kind that the edit is as well: what is stated against a denial is invented


def sentences(text: str) -> list[Span]:
    """Return where the sentences of a text are."""
    return [m.span() for m in _SENTENCE.finditer(text)]


def clinical_sentences(text: str) -> list[Span]:
    """Return where the sentences are that should state something of the image."""
    return [(s, e) for s, e in sentences(text) if CLINICAL.search(text, s, e) and not NOT_STATED.search(text, s, e)]


def _names(text: str) -> list[str]:
    return [name for name, pattern in _NAMED.items() if pattern.search(text)]


def _only(text: str, span: Span, name: str) -> bool:
    """Whether a finding is named in this sentence and nowhere else, once."""
    hits = list(_NAMED[name].finditer(text))
    return len(hits) == 1 and span[0] <= hits[0].start() < span[1]


def _single(text: str) -> Iterator[tuple[Span, str, str]]:
    """Yield (place, sentence, finding) of the sentences that name one finding, which no other sentence names."""
    for start, end in sentences(text):
        sentence = text[start:end]
        names = _names(sentence)
        if len(names) == 1 and _only(text, (start, end), names[0]) and "xxxx" not in sentence.lower():
            yield (start, end), sentence, names[0]


def _replace(kind: str, how: str, text: str, span: Span, new: str) -> Planted:
    start, end = span
    return Planted(kind, how, text, text[:start] + new + text[end:], span, (start, start + len(new)))


def _append(kind: str, how: str, text: str, new: str, source: Span = (0, 0)) -> Planted:
    end = len(text.rstrip())
    stop = "" if text.rstrip().endswith((".", "!", "?")) else "."
    start = end + len(stop) + 1
    return Planted(kind, how, text, f"{text.rstrip()}{stop} {new}", source, (start, start + len(new)))


def drop(text: str, rng: random.Random) -> Planted | None:
    """Drop a sentence whose findings no other sentence names."""
    spans = sentences(text)
    free = [s for s in spans if (names := _names(text[slice(*s)])) and all(_only(text, s, n) for n in names)
            and not NOT_STATED.search(text, *s) and not _COMPARES.search(text, *s)]  # fmt: skip
    if len(spans) < 2 or not free:
        return None
    start, end = rng.choice(free)
    after = len(text) - len(text[end:].lstrip(" "))
    return Planted("missed", "drop", text, text[:start] + text[after:], (start, end), (start, start))


def add(text: str, rng: random.Random) -> Planted | None:
    """Add a sentence on a finding that the report does not name."""
    taken = {"congestion": "vessels", "scoliosis": "bones", "fracture": "bones", "cardiomegaly": "heart"}
    free = [new for name, new in ADDED.items()
            if not _NAMED[name].search(text) and not (name in taken and _NAMED[taken[name]].search(text))]  # fmt: skip
    return _append("invented", "add", text, rng.choice(free)) if free else None


def flip(text: str, rng: random.Random) -> Planted | None:
    """Write left for right, or right for left."""
    edits = []
    for span, sentence, name in _single(text):
        words = re.findall(
            r"\b(?:left|right|bilateral\w*|both|rt|lt|[rl][ul]l|rml|middle|lingula\w*)\b", sentence, re.I
        )
        if name in SIDED and len(words) == 1 and words[0].lower() in ("left", "right"):
            if re.search(
                r"(?:left|right) (?:heart|atri|ventric|hilum|hilar|aort|main|subclav|ij\b|internal)", sentence, re.I
            ):
                continue
            other = "right" if words[0].lower() == "left" else "left"
            new = re.sub(rf"\b{words[0]}\b", other.title() if words[0].istitle() else other, sentence)
            edits.append(_replace("wrong side", "flip", text, span, new))
    return rng.choice(edits) if edits else None


def negate(text: str, rng: random.Random) -> Planted | None:
    """Deny what a sentence states, or state what it denies."""
    rules = (
        (r"^There (?:is|are) no (?:evidence of )?(?:a |an )?([\w -]+)\.$", r"There is \1."),
        (r"^No (?:evidence of |definite |visible )?([\w -]+?)(?: is| are)?(?: seen| identified| noted)?\.$", r"There is \1."),
        (r"^There (?:is|are) (?!no\b)(?:a |an )?([\w -]+)\.$", r"There is no \1."),
        (r"^(?:The )?heart (?:size )?is (?:normal|within normal limits)\.$", "The heart is enlarged."),
        (r"^(?:The )?(?:heart|cardiac silhouette) is (?:\w+ )?enlarged\.$", "The heart is normal in size."),
        (r"^(?:The )?lungs are clear\.$", "The lungs are not clear."),
        (r"^(?:The )?(?:osseous|bony) structures are (?:intact|normal|unremarkable)\.$", "Acute bony abnormality is present."),
        (r"^(\w[\w -]*) is (?:present|seen|noted)\.$", r"\1 is not seen."),
    )  # fmt: skip
    edits = []
    for span, sentence, _ in _single(text):
        for pattern, new in rules:
            if re.search(pattern, sentence, re.I) and not _DOUBT.search(sentence) and not _COMPARES.search(sentence):
                if re.search(r"\b(?:and|with|without|but|no)\b", sentence[4:].partition(" no ")[2] or sentence[4:], re.I) \
                        and not re.search("^There (?:is|are) no ", sentence):  # fmt: skip
                    break
                edits.append(_replace("contradicted", "negate", text, span, re.sub(pattern, new, sentence, flags=re.I)))
                break
    return rng.choice(edits) if edits else None


def grade(text: str, rng: random.Random) -> Planted | None:
    """Write another grade: mild for severe, large for small."""
    edits = []
    for span, sentence, name in _single(text):
        words = _GRADED.findall(sentence)
        if len(words) == 1 and words[0].lower() in _GRADE and not _NEGATION.search(sentence) and name != "lungs":
            if re.search(r"\b(?:small|large) (?:bowel|airway|caliber|bore|volume)", sentence, re.I):
                continue
            row = _GRADE[words[0].lower()]
            other = rng.choice([w for w in row if w != words[0].lower()])
            other = other.title() if words[0].istitle() else other
            edits.append(_replace("wrong severity", "grade", text, span, re.sub(rf"\b{words[0]}\b", other, sentence)))
    return rng.choice(edits) if edits else None


def doubt(text: str, rng: random.Random) -> Planted | None:
    """Doubt what a sentence states, or state what it doubts."""
    rules: tuple[tuple[str, str], ...] = (
        (r"^There is (?:a |an )?(?!no\b)([\w -]+)\.$", r"There may be \1."), (r"^There are (?!no\b)([\w -]+)\.$", r"There may be \1."),
        (r"^((?:mild|small|minimal|left|right|bibasilar|moderate)[\w -]+)\.$", r"Possible \1."),
        (r"^(?:Possible|Probable) ([\w -]+)\.$", r"\1."), (r"^There may be (?:a |an )?([\w -]+)\.$", r"There is \1."),
    )  # fmt: skip
    edits = []
    for span, sentence, _ in _single(text):
        if _NEGATION.search(sentence) or re.search(r"\b(?:normal|clear|unremarkable|intact)\b", sentence, re.I):
            continue
        for pattern, new in rules:
            plain = re.sub(r"^(?:Possible|Probable|There may be)", "", sentence)
            if re.search(pattern, sentence, re.I) and not _DOUBT.search(plain):
                edits.append(
                    _replace("wrong certainty", "doubt", text, span, re.sub(pattern, new, sentence, flags=re.I))
                )
                break
    return rng.choice(edits) if edits else None


def move(text: str, rng: random.Random) -> Planted | None:
    """Write another place: upper for lower, apex for base."""
    edits = []
    for span, sentence, name in _single(text):
        words = _ANY_PLACE.findall(sentence)
        if name in SIDED and len(words) == 1 and words[0].lower() in PLACES:
            if re.search(
                r"upper (?:abd|limit|thor|quad|normal)|lower (?:thor|neck|limit|cerv|extr)|(?:lung|mid) base of",
                sentence,
                re.I,
            ):
                continue
            other = PLACES[words[0].lower()]
            new = re.sub(rf"\b{words[0]}\b", other.title() if words[0].istitle() else other, sentence)
            edits.append(_replace("wrong place", "move", text, span, new))
    return rng.choice(edits) if edits else None


def compare(text: str, rng: random.Random) -> Planted | None:
    """Compare with an earlier image, in a report that has no word of one."""
    if _COMPARES.search(text):
        return None
    free = [(span, sentence) for span, sentence, _ in _single(text) if sentence.endswith(".")]
    if not free or rng.random() < 0.25:
        return _append("invented comparison", "compare", text, "No significant change since the prior examination.")
    span, sentence = rng.choice(free)
    return _replace("invented comparison", "compare", text, span, f"{sentence[:-1]}{rng.choice(CHANGES)}.")


def repeat(text: str, rng: random.Random) -> Planted | None:
    """Write a sentence again at the end."""
    free = [(span, sentence) for span, sentence, _ in _single(text) if sentence.endswith(".")]
    if not free:
        return None
    span, sentence = rng.choice(free)
    return _append("repeated", "repeat", text, sentence, span)


def contradict(text: str, rng: random.Random) -> Planted | None:
    """Deny at the end what the report states, or state what it denies."""
    nouns = {"effusion": "pleural effusion", "pneumothorax": "pneumothorax", "consolidation": "consolidation",
             "edema": "pulmonary edema", "pneumonia": "pneumonia", "fracture": "fracture", "atelectasis": "atelectasis",
             "nodule": "nodule", "emphysema": "emphysema", "scoliosis": "scoliosis"}  # fmt: skip
    edits = []
    for start, end in sentences(text):
        sentence = text[start:end]
        for name, noun in nouns.items():
            if (
                not _only(text, (start, end), name)
                or _DOUBT.search(sentence.replace(" or ", " "))
                or _COMPARES.search(sentence)
            ):
                continue
            if re.search(r"\b(?:acute|focal|large|old|definite|suspicious)\b", sentence, re.I):
                continue
            denied = bool(re.match(r"(?:there (?:is|are) )?no\b", sentence, re.I))
            if denied or not _NEGATION.search(sentence):
                new = f"There is {noun}." if denied else f"There is no {noun}."
                edit = _append("self-contradicting", "contradict", text, new, (start, end))
                edits.append(replace(edit, also="invented" if denied else ""))
    return rng.choice(edits) if edits else None


PLANTERS: dict[str, Callable[[str, random.Random], Planted | None]] = {
    "missed": drop, "invented": add, "contradicted": negate, "wrong side": flip, "wrong place": move,
    "wrong severity": grade, "wrong certainty": doubt, "invented comparison": compare, "repeated": repeat,
    "self-contradicting": contradict,
}  # fmt: skip


def harmless(text: str, rng: random.Random) -> list[Planted]:
    """Return the text unchanged, with its sentences in another order, in capitals, and in other words."""
    parts = [text[slice(*s)] for s in sentences(text)]
    parts = [p if p.endswith((".", "!", "?")) else f"{p}." for p in parts]
    rng.shuffle(parts)
    other = text
    for pattern, new in SYNONYMS:
        other = re.sub(rf"\b{pattern}", new, other, flags=re.I)
    return [
        Planted("", "unchanged", text, text), Planted("", "order", text, " ".join(parts)),
        Planted("", "capitals", text, text.upper()), Planted("", "other words", text, other),
    ]  # fmt: skip


def plant(key: str, text: str) -> list[Planted]:
    """Return all edits of one report; the same key and text give the same edits."""
    edits = []
    for kind, planter in PLANTERS.items():
        edit = planter(text, random.Random(f"{kind} {key}"))
        if edit is not None and edit.report.strip() and edit.report != text:
            edits.append(edit)
    return edits + harmless(text, random.Random(key))
