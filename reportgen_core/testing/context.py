"""Check a decoder that takes context, and a reporter: without context, with an empty one, and with one.

Each check raises AssertionError with the value that it got, the promise, and what would work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..data.context import TEXTS, Context
from ..interfaces import Decoder
from ..models.abilities import TakesContext
from ..models.reporters.context import Takes
from ..text.spec import SPECIAL
from ..types import Decoded, Features, GenerationSettings, Report, Study, Targets
from .decoders import as_targets, rows_of, sample_targets, targets_of
from .noise import noise

LONG = 5000  # words, more than a decoder reads
SETTINGS = GenerationSettings(attention=False)
Written = list[tuple[tuple[tuple[int, ...], ...], float]]  # the best report of each study, and its score


def check_context(decoder: Decoder) -> None:
    """Check a decoder that takes context: nothing is empty, a text changes its own study's report and no other."""
    assert isinstance(decoder, TakesContext)
    features = noise(decoder.features)
    targets = sample_targets(decoder, len(features.tokens))
    texts = [name for name in TEXTS if name in decoder.takes_context]
    contexts = [_context(decoder, texts, seed) for seed in range(len(features.tokens) - 1)] + [Context()]
    with torch.inference_mode():
        _check_empty(decoder, features, targets, contexts)
        for name in texts:
            _check_is_read(decoder, features, targets, contexts, name)
        if texts:
            _check_alone(decoder, features, targets, contexts)
            _check_scores(decoder, features, targets, contexts)
            _check_long(decoder, features, targets, texts)


def _context(decoder: Decoder, names: Sequence[str], seed: int, count: int = 0) -> Context:
    """Return a context of random words in the fields `names`; `count` words, or a few."""
    draw = torch.Generator().manual_seed(100 + seed)
    words = decoder.targets.words
    ids: dict[str, tuple[int, ...]] = {}
    for name in names:
        n = count or int(torch.randint(1, 6, (1,), generator=draw))
        ids[name] = tuple(torch.randint(len(SPECIAL), len(words), (n,), generator=draw).tolist())
    texts: dict[str, Any] = {name: " ".join(words[i] for i in own) for name, own in ids.items()}
    return Context(**texts, words=ids)


def _decoded(decoder: Any, features: Features, targets: Targets, contexts: Sequence[Context] = ()) -> Decoded:
    out: Decoded = decoder(features, targets, *([contexts] if contexts else []))
    return out


def _written(decoder: Any, features: Features, contexts: Sequence[Context] = ()) -> Written:
    generated = decoder.generate(features, SETTINGS, *([contexts] if contexts else []))
    return [(study.candidates[0].sentences, study.candidates[0].score) for study in generated]


def _same(a: Decoded, b: Decoded) -> bool:
    losses = [torch.stack([out.losses[name].float() for name in sorted(out.losses)]) for out in (a, b)]
    return _close(losses[0], losses[1]) and _close(a.logits, b.logits)


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-3)


def _alike(a: Written, b: Written) -> bool:
    return all(x[0] == y[0] and abs(x[1] - y[1]) < 1e-3 + 1e-2 * abs(x[1]) for x, y in zip(a, b, strict=True))


def _check_empty(decoder: Any, features: Features, targets: Targets, contexts: Sequence[Context]) -> None:
    """Check that empty contexts give what no context gives, and that a context adds no rows of logits."""
    empty = [Context()] * len(contexts)
    without = _decoded(decoder, features, targets)
    assert _same(without, _decoded(decoder, features, targets, empty)), (
        "empty contexts give other losses or logits than no context, (); a study without context is the same in both"
    )
    assert _alike(_written(decoder, features), _written(decoder, features, empty)), (
        "empty contexts give other reports than no context, (); a study without context is the same in both"
    )
    given = _decoded(decoder, features, targets, contexts)
    assert given.logits.shape == without.logits.shape, (
        f"Decoded.logits has {len(given.logits)} rows with context and {len(without.logits)} without; the words of a "
        "context are read and not written: leave them out of the logits and of the loss"
    )


def _check_is_read(decoder: Any, features: Features, targets: Targets, contexts: Sequence[Context], name: str) -> None:
    """Check that the text of one field changes something for the studies that have it."""
    own = [context.only([name]) for context in contexts]
    with_it, without = _decoded(decoder, features, targets, own), _decoded(decoder, features, targets)
    assert not torch.equal(with_it.logits, without.logits), (
        f"the logits are the same with and without the {name}; takes_context names what is read: read it, or leave it "
        "out"
    )
    assert _written(decoder, features, own) != _written(decoder, features), (
        f"reports and scores are the same with and without the {name}; generate reads the same context as decode"
    )


def _check_alone(decoder: Any, features: Features, targets: Targets, contexts: Sequence[Context]) -> None:
    """Check that a study with its context is the same alone and in a batch of contexts of other lengths."""
    together = _decoded(decoder, features, targets, contexts).logits
    written = _written(decoder, features, contexts)
    alone = []
    for b, context in enumerate(contexts):
        one = rows_of(features, [b])
        alone.append(_decoded(decoder, one, targets_of(targets, [b]), [context]).logits)
        assert _alike([written[b]], _written(decoder, one, [context])), (
            "a study with its context gets another report in a batch than alone; mask the padding of shorter contexts, "
            "and let no study read the context of another"
        )
    away = (together - torch.cat(alone)).abs().mean() / together.std().clamp(min=1e-6)
    assert float(away) < 0.1, (  # deep networks round a batch of another size to other last digits, and amplify them
        "the logits of a batch with contexts are not those of its studies alone; mask the padding of shorter contexts, "
        "and give the rows in the order of the targets"
    )
    first = contexts[0]
    others = {name: tuple(_next_word(decoder, i) for i in ids) for name, ids in first.words.items()}
    changed = _decoded(decoder, features, targets, [replace(first, words=others), *contexts[1:]]).logits
    rows = len(alone[0])
    assert _close(together[rows:], changed[rows:]), (
        "the logits of a study change with the context of another study; let no study read the context of another"
    )


def _next_word(decoder: Any, word: int) -> int:
    """Return another word than this one, not a special one."""
    first = len(SPECIAL)
    return first + (word + 1 - first) % (len(decoder.targets.words) - first)


def _check_scores(decoder: Any, features: Features, targets: Targets, contexts: Sequence[Context]) -> None:
    """Check the score of each report against the log-probabilities of its words by `decode` with the same context."""
    for b, (sentences, score) in enumerate(_written(decoder, features, contexts)):
        if not any(sentences):
            continue
        means = []
        for ended in (True, False):  # a report that is as long as its limit has no end mark
            given = as_targets([sentences], [[ended] * len(sentences)])
            given = replace(given, tags=targets.tags, findings=targets.findings)
            name = "sentences" if "sentences" in decoder.needs else "words"
            rows = getattr(given, name).flatten()
            words = rows[rows > 1]
            logits = _decoded(decoder, rows_of(features, [b]), targets_of_one(given, targets, b), [contexts[b]]).logits
            if len(logits) == len(words):
                means.append(float(logits.float().log_softmax(-1).gather(1, words[:, None]).mean()))
        assert not means or any(abs(score - mean) < 1e-3 + 1e-2 * abs(mean) for mean in means), (
            f"with a context a report's score is {score:.4g}, and decode gives its words {means[0]:.4g}; generation "
            "reads the same context at the same place as decode"
        )


def targets_of_one(given: Targets, targets: Targets, study: int) -> Targets:
    """Return the words of one report with the tags and findings of a study of a batch."""
    one = targets_of(targets, [study])
    return replace(given, tags=one.tags, findings=one.findings)


def _check_long(decoder: Any, features: Features, targets: Targets, names: Sequence[str]) -> None:
    """Check that a very long context is read to its end, or that the decoder says what it leaves out."""
    one, report = rows_of(features, [0]), targets_of(targets, [0])
    for name in names:
        long = _context(decoder, [name], 0, LONG)
        *most, last = long.words[name]
        changed = replace(long, words={name: (*most, _next_word(decoder, last))})
        logits = [_decoded(decoder, one, report, [context]).logits for context in (long, changed)]
        assert not torch.equal(logits[0], logits[1]) or decoder.context_note(long), (
            f"a {name} of {LONG} words is cut, and context_note returns nothing; return a line on what is not read"
        )


def check_reporter_context(reporter: Any, studies: Sequence[Study]) -> None:
    """Check a reporter with the context that it takes, with an empty one, and without what it requires."""
    takes = getattr(reporter, "takes", Takes())
    names = [name for name in TEXTS if getattr(takes, name) != "no"]
    if not names:
        return
    given = [_with(study, {name: f"words of {study.id}" for name in names}) for study in studies]
    for report in reporter.report_studies(given):
        assert not report.problem, f"study {report.study} with context: {report.problem}; a context is no problem"
    required = [name for name in names if getattr(takes, name) == "required"]
    if required:
        bare: list[Report] = reporter.report_studies([_with(s, dict.fromkeys(required, "")) for s in studies])
        assert all(r.problem and not r.text for r in bare), (
            f"a study without {required[0]}, which `takes` requires, has a report; the base class refuses it"
        )
        return
    empty = [r.text for r in reporter.report_studies([_with(s, dict.fromkeys(names, " ")) for s in studies])]
    assert empty == [r.text for r in reporter.report_studies(studies)], (
        "empty texts of context give other reports than none; a text of white space is not given"
    )


def _with(study: Study, texts: dict[str, str]) -> Study:
    """Return the study with these texts of context in place of its own."""
    sections = {**study.sections, **{k: v for k, v in texts.items() if k in ("indication", "technique", "comparison")}}
    extra = {**study.extra, **{k: v for k, v in texts.items() if k in ("age", "sex")}}
    prior = Study(f"{study.id}-prior", (), {"findings": texts["prior_report"]}) if "prior_report" in texts else None
    return replace(study, sections=sections, extra=extra, prior=prior or study.prior)


def required_context(reporter: Any, studies: Sequence[Study]) -> list[Study]:
    """Return the studies with a text for each context that the reporter requires."""
    takes = getattr(reporter, "takes", Takes())
    required = {name: f"given {name}" for name in TEXTS if getattr(takes, name) == "required"}
    return [_with(study, required) for study in studies]
