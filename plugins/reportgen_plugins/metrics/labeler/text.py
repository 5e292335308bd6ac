"""Reports as the labeler reads them: the sections that speak of this image, cut into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A heading: a known name at the start of a line or after a full stop, or capitals at the start of a line.
_UNREAD = (
    r"(?:clinical )?(?:history|indications?|information|statement|data|diagnosis)|"
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
_END = re.compile(
    r"(?P<stop>[.!]+(?=\s|$|[A-Z<])(?<!\bdr\.)(?<!\bmr\.)(?<!\bvs\.)(?<!\bapprox\.)(?<!\be\.g\.)(?<!\bi\.e\.))"
    r"|(?P<ask>\?+)|(?P<line>\n\s*(?=\n|[-*•]\s|\d{1,2}[.)]\s)|<br ?/?>)",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"^\W*(?:\d{1,2}[.)]?\s+(?=[A-Za-z]))?[\s*•-]*")


def read_sections(text: str) -> str:
    """Return the text without the sections that ask or compare. A text without headings is returned whole."""
    headings = list(_HEADING.finditer(text))
    if not headings:
        return text
    parts = [text[: headings[0].start()]]
    for this, following in zip(headings, [*headings[1:], None], strict=True):
        section = text[this.end() : following.start() if following else len(text)]
        parts.append(section if this["unread"] is None else _after_paragraph(section))
    return "\n\n".join(parts)


def _after_paragraph(section: str) -> str:
    """Return the text after the first paragraph: many reports describe the image there, without a heading."""
    paragraph = _PARAGRAPH.search(section, len(section) - len(section.lstrip()))
    return section[paragraph.end() :] if paragraph else ""


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences with single spaces and without list numbers. A question keeps its mark."""
    start = 0
    for end in _END.finditer(text):
        yield from _clean(text[start : end.end() if end["ask"] else end.start()])
        start = end.end()
    yield from _clean(text[start:])


def _clean(sentence: str) -> Iterator[str]:
    flat = _NUMBER.sub("", _SPACE.sub(" ", sentence)).strip(" .")
    if any(c.isalpha() for c in flat):
        yield flat
