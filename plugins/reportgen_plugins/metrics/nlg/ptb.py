"""The PTB tokenizer of COCO captioning: Stanford CoreNLP 3.4.1, lower case, punctuation dropped.

The jar comes from the installed pycocoevalcap. Texts go through a pipe, so no file is written next to the jar.
The list of what is dropped is the scorer's: it names brackets in upper case while the text is already in lower case,
so that "(" stays, as "-lrb-". Departure: any line break inside a text becomes a space, not only a line feed.
"""

from __future__ import annotations

from collections.abc import Sequence

from reportgen_core.errors import MetricError

from .java import complaint, find_jar, start

DROPPED = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
BREAKS = dict.fromkeys(map(ord, "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\0"), " ")


def tokenize(texts: Sequence[str]) -> list[str]:
    """Return the words of each text, separated by single spaces. Raises MetricError if Java cannot run."""
    lines = {text: text.translate(BREAKS).strip() for text in dict.fromkeys(texts)}
    wanted = list(dict.fromkeys(line for line in lines.values() if line))
    tokens = dict(zip(wanted, _run(wanted), strict=True)) if wanted else {}
    return [tokens.get(lines[text], "") for text in texts]


def _run(lines: Sequence[str]) -> list[str]:
    jar = find_jar("tokenizer", "stanford-corenlp-3.4.1.jar")
    quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    main = "edu.stanford.nlp.process.PTBTokenizer"
    process = start([*quick, "-cp", str(jar), main, "-preserveLines", "-lowerCase", "-encoding", "UTF-8"])
    out, err = process.communicate("".join(line + "\n" for line in lines).encode("utf-8", "replace"))
    if process.returncode:
        raise MetricError(f"the PTB tokenizer's Java stopped with {process.returncode}: {complaint(err)}")
    tokens = out.decode("utf-8").split("\n")[:-1]
    if len(tokens) != len(lines):
        raise MetricError(f"the PTB tokenizer gave {len(tokens)} lines for {len(lines)} texts")
    return [" ".join(w for w in line.rstrip().split(" ") if w not in DROPPED) for line in tokens]
