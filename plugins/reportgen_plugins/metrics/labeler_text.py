"""Reports as the labeler reads them: the sections that speak of this image, cut into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A heading: a known name at the start of a line or after a full stop, or capitals at the start of a line.
_UNREAD = (
    r"(?:clinical )?(?:history|indications?|information|statement|data|diagnosis)|reason(?: for (?:exam(?:ination)?|study|"
    r"visit))?|comparisons?|technique|procedure|exam(?:ination)?s?|study|type of exam|views?|dictated by|signed by|"
    r"notifications?|attending|recommendations?|history of present illness|patient history|number of views"
)
_READ = r"findings?|impressions?|conclusions?|opinion|report|wet read|interpretation|final report|summary|observations?"
_HEADING = re.compile(
    rf"(?:^|(?<=[.\n]))[ \t]*(?:(?P<unread>{_UNREAD})|(?P<read>{_READ})|(?P<other>(?-i:[A-Z][A-Z ,()/&-]{{3,60}})))[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(
    r"(?P<stop>[.!]+(?=\s|$|[A-Z<])(?<!\bdr\.)(?<!\bmr\.)(?<!\bvs\.)(?<!\bapprox\.)(?<!\be\.g\.)(?<!\bi\.e\.))"
    r"|(?P<ask>\?+)|(?P<line>\n\s*(?=\n|[-*•]\s|\d{1,2}[.)]\s)|<br ?/?>)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"^\W*(?:\d{1,2}[.)]?\s+(?=[A-Za-z]))?[\s*•-]*")


def read_sections(text: str) -> str:
    """The text without the sections that ask or compare instead of describing; a text without headings is kept whole."""
    headings = list(_HEADING.finditer(text))
    if not headings:
        return text
    parts = [text[: headings[0].start()]]
    for this, following in zip(headings, [*headings[1:], None], strict=True):
        if this["unread"] is None:
            parts.append(text[this.end() : following.start() if following else len(text)])
    return "\n\n".join(parts)


def sentences(text: str) -> Iterator[str]:
    """Sentences with single spaces, without list numbers; a question keeps its mark."""
    start = 0
    for end in _END.finditer(text):
        yield from _clean(text[start : end.end() if end["ask"] else end.start()])
        start = end.end()
    yield from _clean(text[start:])


def _clean(sentence: str) -> Iterator[str]:
    flat = _NUMBER.sub("", _SPACE.sub(" ", sentence)).strip(" .")
    if any(c.isalpha() for c in flat):
        yield flat
