"""Reports as the labeler reads them: plain signs, the sections that speak of this image, sentences and statements."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .spelling import word_lists
from .statements import split_statements, statement_words

# A heading: a known name at the start of a line or after a full stop, or capitals at the start of a line.
_UNREAD = (
    r"(?:(?:past|clinical|medical|surgical|family|social|relevant) )*"
    r"(?:history|indications?|information|statement|data|diagnosis)|"
    r"clinical (?:questions?|concerns?|details|notes|background|suspicion)|(?:presenting|chief) complaint|pmhx?|hpi|"
    r"symptoms?|medications?|allergies|purpose|requests?|referral|prior (?:study|studies|exams?|imaging)|"
    r"previous (?:study|exam|imaging)|"
    r"reason(?: for (?:exam(?:ination)?|study|visit))?|"
    r"comparisons?|technique|procedure|exam(?:ination)?s?|study|type of exam|views?|dictated by|signed by|"
    r"notifications?|attending|recommendations?|history of present illness|patient history|number of views"
)
_READ = r"findings?|impressions?|conclusions?|opinion|report|wet read|interpretation|final report|summary|observations?"
_HEADING = re.compile(
    rf"(?:^|(?<=[.\n]))[ \t]*(?:(?P<unread>{_UNREAD})|(?P<read>{_READ})|"
    r"(?P<other>(?-i:[A-Z][A-Z ,()/&-]{3,60})))[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER = re.compile(r"[ \t]*[A-Za-z+-]+(?:[ ,]+[A-Za-z]+){0,3}[ \t]*(?:[.;\n]|$)")  # "EFFUSION: NONE." is no heading
_CANDIDATE = re.compile(r"[.!?\n<)#]")  # each end of a sentence begins or ends with one of these
_END = re.compile(
    r"(?P<stop>[.!]+[\"')]*(?=\s|$|[A-Z<]|(?<=[a-z][.])(?:[a-z]{3}|\d[.)])))"
    r"|(?P<ask>\?+(?!\s*(?:no|none|nil|negative|yes|absent|present|not)"
    r"(?: (?:is |are )?(?:seen|identified|noted|evident|visible|present|appreciated))?\s*(?:[.,;]|$))"
    r"(?=\s*$|\s+[A-Z\d]|\s+(?:no|there|the|a)\b|\s*\n))"
    r"|(?P<line>\n\s*(?=\n|[-*•]\s|\(?\d{1,2}[.)]\s)|<br ?/?>)|(?P<mark>\)(?=\s)|#\d{1,2}:?(?=\s))|(?P<soft>\n)",
    re.IGNORECASE,
)
_TITLES = ("dr.", "mr.", "vs.", "approx.", "e.g.", "i.e.")  # a stop after these ends no sentence
_MARKS = re.compile(r"(?:\(?(?:\d{1,2}|[a-h]|[ivx]{1,4})|)$", re.IGNORECASE)  # before the bracket of a list mark
_STOP = re.compile(r"[.!?;。]|\n\s*(?:\n|[-*•]\s|\(?\d{1,2}[.)]\s)")
_SQUEEZED = re.compile(r"\S|\s+")  # a character of a text with single spaces
_LETTER = re.compile(r"[^\W\d_]")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_NUMBER = re.compile(r"^(?!\W*(?:[?(]\s?[\w-]|\+|\(\?))\W*(?:\d{1,2}[.)]?\s+(?!(?:cm|mm|x|of)\b)(?=[A-Za-z]))?[\s*•-]*")
_LAST_WORD = re.compile(r"([A-Za-z]+|[,:])\W*$")
_JOINED = re.compile(r"\s*(?:or|nor|and)\b(?!/)")  # a line that goes on with the list before it
_PRONOUN = re.compile(  # speaks of the sentence before it: "It is enlarged." "This has resolved."
    r"[ \n](?:it|this|these|they|that) (?:is|are|was|were|has|have|appears?|remains?|looks|seems) (?:[a-z]+ ){0,3}?"
    r"(?:resolved|cleared|gone|disappeared|drained|no longer|enlarged|large|big|widened|wide|prominent|normal"
    r"|unremarkable)\b",
    re.IGNORECASE,
)
_ANSWERED = re.compile(r"[:=] ?no\W*$", re.IGNORECASE)  # "Effusion: no" is complete
WRAPPED = 45  # letters: lines that are shorter were not broken by a margin

_SIGNS = re.compile(
    r"(?P<broken>(?<=[A-Za-z]{2})-[ \t]*\r?\n[ \t]*(?=[a-z]{2}))|(?P<stop>(?<=[a-z])\.(?=\s+[a-z]))"
    r"|(?P<soft>\xad[ \t]*(?:\r?\n[ \t]*)?)|(?P<sign>[^\x00-\x7f\xad])"
)
_BROKEN, _STOPPED = re.compile(r"-[ \t]*\r?\n"), re.compile(r"\.(?=\s+[a-z])(?<=[a-z]\.)")
_HEAD, _TAIL = re.compile(r"[A-Za-z]+$"), re.compile("[a-z]+")
_PLAIN = {
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
    **dict.fromkeys("‐‑‒−", "-"),
    **dict.fromkeys("–—―", " - "),
    **dict.fromkeys("‘’ʼ′´", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("•●▪■◦‣∙·", "\n- "),
    **dict.fromkeys("\u2028\u2029\x85", "\n"),
    "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "↑": " increased ", "↓": " decreased ", "±": " +/- ", "。": ". ",
    "…": ".",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text with plain signs. `places[i]` is the place of character i in the original; None: they are the same."""

    text: str
    places: tuple[int, ...] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return where start and end are in the original text."""
        return (start, end) if self.places is None else (self.places[start], self.places[end - 1] + 1)


class Sentence(NamedTuple):
    """One sentence with single spaces, and where it was taken from in the prepared text."""

    text: str
    start: int
    end: int


def prepare(text: str, is_word: Callable[[str, int], bool]) -> Prepared:
    """Write ligatures, dashes, bullets and words broken at a line's end in plain signs.

    `is_word` says whether a word joined of two lines, with the length of its head, is a word of the tables.
    """
    if text.isascii() and not _BROKEN.search(text) and not _STOPPED.search(text):
        return Prepared(text)
    pieces: list[str] = []
    places: list[int] = []
    end = 0
    for m in _SIGNS.finditer(text):
        plain = _plain(m, is_word)
        if plain == m[0]:
            continue
        pieces += (text[end : m.start()], plain)
        places += range(end, m.start())
        places += (min(m.start() + i, m.end() - 1) for i in range(len(plain)))
        end = m.end()
    if not end:
        return Prepared(text)
    pieces.append(text[end:])
    places += range(end, len(text))
    return Prepared("".join(pieces), tuple(places))


def _plain(m: re.Match[str], is_word: Callable[[str, int], bool]) -> str:
    """Return the plain signs for a match of _SIGNS."""
    text, sign = m.string, m[0]
    if m["broken"] or m["stop"]:
        head = _HEAD.search(text, max(0, m.start() - 40), m.start())
        word = head[0].lower() if head else ""
        if m["stop"]:
            return "" if word in word_lists()["shortened"] else sign
        tail = _TAIL.match(text, m.end())
        return "" if tail and is_word(word + tail[0], len(word)) else "-"
    if m["soft"]:
        return ""
    before, after = text[m.start() - 1 : m.start()], text[m.end() : m.end() + 1]
    if sign in "–—―" and (before in ("", " ") or (before.isdigit() and after.isdigit())):
        return "-"
    if sign == "·" and after.isdigit():
        return "."
    return _PLAIN[sign] if sign in _PLAIN else unicodedata.normalize("NFKC", sign)


def section_spans(text: str, names_finding: Callable[[str], bool] = lambda _: False) -> list[tuple[int, int]]:
    """Return where the sections are that describe this image, without those that ask or compare.

    A text without headings is one section. `names_finding` tells a finding in capitals from a heading.
    """
    headings = [
        m
        for m in _HEADING.finditer(text)
        if m["other"] is None or not (_ANSWER.match(text, m.end()) and names_finding(m["other"].lower()))
    ]
    if not headings:
        return [(0, len(text))]
    spans = [(0, headings[0].start())]
    for this, following in zip(headings, [*headings[1:], None], strict=True):
        start, end = this.end(), following.start() if following else len(text)
        if this["unread"] is not None:
            start = _after_paragraph(text, start, end)
        spans.append((start, end))
    return spans


def _after_paragraph(text: str, start: int, end: int) -> int:
    """Return the end of the first paragraph: many reports describe the image after it, without a heading."""
    section = text[start:end]
    paragraph = _PARAGRAPH.search(section, len(section) - len(section.lstrip()))
    return start + paragraph.end() if paragraph else end


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences with single spaces and without list numbers. A question keeps its mark.

    A text without sentence ends is cut where statements begin.
    """
    return (sentence.text for sentence in sentence_spans(text, [(0, len(text))]))


def sentence_spans(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[Sentence]:
    """Yield the sentences of the spans of a text, with their places."""
    unended = not any(_STOP.search(text, start, end) for start, end in spans)
    for start, end in spans:
        for first, last in _cut(text, start, end, unended):
            flat = " ".join(text[first:last].split())
            if not flat[:1].isalpha():
                flat = _NUMBER.sub("", flat)
            flat = flat.strip(" .")
            if not _LETTER.search(flat):
                continue
            for piece in split_statements(flat) if unended else (flat,):
                yield Sentence(piece, first, last)


def _cut(text: str, start: int, end: int, unended: bool) -> Iterator[tuple[int, int]]:
    """Yield the first and last place of each sentence of a section."""
    first, width = start, -1
    for candidate in _CANDIDATE.finditer(text, start, end):
        place = candidate.start()
        m = _END.match(text, place, end) if place >= first else None
        if m is None:
            continue
        last = place
        if m["soft"]:
            if width < 0:
                width = max(map(len, text[start:end].split("\n")))
            if not _line_ends(text, place, start, end, WRAPPED if unended else 0, width):
                continue
        elif m["stop"]:
            if m[0] == "." and _PRONOUN.match(text, m.end(), end):
                continue
            if text[max(0, place - 6) : place + 1].lower().endswith(_TITLES):
                continue
        elif m["ask"]:
            if not text[max(first, place - 1) : place].strip() and not text[max(first, place - 2) : place].strip():
                continue  # "?effusion" asks what follows
            last = m.end()
        elif m["mark"]:
            last = max(text.rfind(" ", first, place), text.rfind("\n", first, place)) + 1
            if not last or not _MARKS.fullmatch(text, last, place):
                continue
        yield first, last
        first = m.end()
    yield first, end


def _line_ends(text: str, place: int, start: int, end: int, margin: int, width: int) -> bool:
    """Whether a statement ends at a line break. `margin`: lines of a shorter `width` were broken by hand; 0: none."""
    line = text[max(start, text.rfind("\n", start, place) + 1) : place].rstrip()
    rest = text[place + 1 : end].lstrip(" \t")
    last = _LAST_WORD.search(line)
    if (
        not rest
        or _JOINED.match(rest)
        or last is None
        or last[1] in ",:"
        or (last[1].lower() in statement_words().continues and not _ANSWERED.search(line))
    ):
        return False
    if rest[0].isupper() and rest[1:2].islower():
        return True
    word = len(rest.split(None, 1)[0])
    return bool(margin) and (width < margin or len(line) + 1 + word <= width)


def place_in(text: str, sentence: Sentence, start: int, end: int) -> tuple[int, int]:
    """Return the place in the prepared text of the characters from start to end of a sentence."""
    raw = text[sentence.start : sentence.end]
    squeezed = " ".join(raw.split())
    places = [m.start() for m in _SQUEEZED.finditer(raw, len(raw) - len(raw.lstrip()))]
    begin = squeezed.find(sentence.text)
    return sentence.start + places[begin + start], sentence.start + places[begin + end - 1] + 1
