"""Check the promises of a decoder that a shape does not show: a mean loss, causal words, honest scores, limits, a mask.

Each check raises AssertionError with the value that it got, the promise, and what would work. The features are noise,
so a decoder needs no training to be checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from ..interfaces import Decoder
from ..models.model import Model
from ..text.spec import BOS, EOS, PAD, SPECIAL
from ..types import Attention, Candidate, Decoded, Features, Generated, GenerationSettings, Targets
from .noise import noise as noise
from .settings import check_limits, check_settings

STUDIES = 4
BEAMS = GenerationSettings(beams=4, n_best=3)
CLOSE = 1e-3  # relative and absolute: two ways to the same number in float32

Report = tuple[tuple[int, ...], ...]  # ids of the words of each sentence


def check_promises(model: Model) -> None:
    """Check all promises of the model's decoder, in eval mode, from those of training to those of generation."""
    model.eval()
    decoder = model.decoder
    assert decoder is not None, "the model has a retriever and no decoder"
    features = noise(decoder.features)
    targets = sample_targets(decoder, len(features.tokens))
    with torch.inference_mode():
        check_losses_are_means(decoder, features, targets)
        writes = check_logits_rows(decoder, features, targets)
        if writes:
            check_words_are_causal(decoder, features, targets)
            check_word_loss(decoder, features, targets)
        check_mask_and_image(decoder, features, targets)
        generated = decoder.generate(features, BEAMS)
        check_attention(decoder, features, generated)
        if writes:
            check_beams(decoder, features, generated)
            check_scores(decoder, features, targets, generated)
            check_limits(decoder)
            check_settings(decoder)


def sample_targets(decoder: Decoder, studies: int) -> Targets:
    """Return targets of different reports of one to three sentences, with every field that a decoder can need."""
    draw, spec = torch.Generator().manual_seed(5), decoder.targets
    reports = []
    for b in range(studies):
        lengths = torch.randint(
            1, max(2, min(spec.max_words, 5)), (1 + b % min(3, spec.max_sentences),), generator=draw
        )
        reports.append(tuple(tuple(_words(spec.words, int(n), draw)) for n in lengths))
    tags = torch.randint(0, 2, (studies, len(spec.tags)), generator=draw).float()
    findings = torch.randint(0, 2, (studies, len(spec.findings)), generator=draw).float()
    return replace(as_targets(reports), tags=tags, findings=findings)


def _words(words: Sequence[str], count: int, draw: torch.Generator) -> list[int]:
    return torch.randint(len(SPECIAL), len(words), (count,), generator=draw).tolist()


def as_targets(reports: Sequence[Report], ended: Sequence[Sequence[bool]] | None = None) -> Targets:
    """Return reports as the rows of `Targets.words` and of `Targets.sentences`, with unknown switches.

    `ended` says for each sentence whether it has an end mark; None: all have one. A report's row has the mark of its
    last sentence.
    """
    marks = ended or [[True] * len(report) for report in reports]
    rows = [
        [[*s, EOS] if end else list(s) for s, end in zip(report, ends, strict=True)]
        for report, ends in zip(reports, marks, strict=True)
    ]
    S, W = max(map(len, rows)), max((len(s) for row in rows for s in row), default=1)
    sentences = torch.full((len(rows), max(S, 1), W), PAD)
    for b, row in enumerate(rows):
        for s, ids in enumerate(row):
            sentences[b, s, : len(ids)] = torch.tensor(ids)
    flat = [
        [BOS, *(i for s in report for i in s), *([EOS] if not ends or ends[-1] else [])]
        for report, ends in zip(reports, marks, strict=True)
    ]
    words = torch.full((len(rows), max(map(len, flat))), PAD)
    for b, ids in enumerate(flat):
        words[b, : len(ids)] = torch.tensor(ids)
    return Targets(words=words, sentences=sentences, switches=torch.full(sentences.shape[:2], torch.nan))


def rows_of(features: Features, studies: Sequence[int]) -> Features:
    """Return the features of some studies; a study may come more than once."""
    rows = list(studies)
    tags = None if features.tags is None else features.tags[rows]
    return Features(features.tokens[rows], features.pooled[rows], features.mask[rows], tags)


def targets_of(targets: Targets, studies: Sequence[int]) -> Targets:
    """Return the targets of some studies; a study may come more than once."""
    values = {f.name: getattr(targets, f.name) for f in fields(targets)}
    return Targets(**{name: None if v is None else v[list(studies)] for name, v in values.items()})


def target_words(decoder: Decoder, targets: Targets) -> Tensor | None:
    """Return the real target words of a batch, in their order; None if the decoder needs no words.

    These are the words and end marks of the sentences, or of the whole reports that have a word.
    """
    if "sentences" in decoder.needs and targets.sentences is not None:
        return targets.sentences[targets.sentences != PAD]
    if "words" in decoder.needs and targets.words is not None:
        rows = targets.words[:, 1:]
        return rows[(rows != PAD) & (rows[:, :1] != EOS)]
    return None


def check_losses_are_means(decoder: Decoder, features: Features, targets: Targets) -> None:
    """Check that each loss stays the same if every study of a batch comes twice."""
    twice = [*range(len(features.tokens))] * 2
    once, doubled = decoder(features, targets), decoder(rows_of(features, twice), targets_of(targets, twice))
    for name, loss in once.losses.items():
        assert _close(loss, doubled.losses[name]), (
            f"loss {name} is {float(loss):.4g} for a batch and {float(doubled.losses[name]):.4g} if each study comes "
            "twice; Decoded.losses are means over the studies: divide a sum by the number of studies"
        )


def check_word_loss(decoder: Decoder, features: Features, targets: Targets) -> None:
    """Check that the loss `word` of a batch is the mean over its studies alone, if there is such a loss."""
    loss = decoder(features, targets).losses.get("word")
    if loss is None:
        return
    studies = range(len(features.tokens))
    alone = [
        decoder(rows_of(features, [b]), _without_padding(targets_of(targets, [b]))).losses["word"] for b in studies
    ]
    mean = torch.stack(alone).mean()
    assert bool((loss - mean).abs() < 1e-2 * (1 + mean.abs())), (
        f"loss word is {float(loss):.4g} for a batch, and its studies alone have a mean of {float(mean):.4g}; sum over "
        "the words of a study, leave out padding, and divide by the number of studies: a mean over all words gives "
        "long reports a larger part"
    )


def _without_padding(targets: Targets) -> Targets:
    """Return the targets of one study with its own lengths: neither words nor sentences are padded."""
    sentences = targets.sentences
    if sentences is None:
        return replace(targets, words=_trimmed(targets.words))
    S, W = ((sentences != PAD).any(axis).sum() for axis in (2, 1))
    switches = None if targets.switches is None else targets.switches[:, :S]
    return replace(targets, words=_trimmed(targets.words), sentences=sentences[:, :S, :W], switches=switches)


def check_logits_rows(decoder: Decoder, features: Features, targets: Targets) -> bool:
    """Check that there is a row of logits for each real target word. Return whether the decoder predicts words."""
    out: Decoded = decoder(features, targets)
    V = len(decoder.targets.words)
    assert out.logits.shape[1:] == (V,), (
        f"Decoded.logits is {tuple(out.logits.shape)}; it is (rows, {V}), a row for each real target word"
    )
    words = target_words(decoder, targets)
    if words is None or not len(out.logits):
        return False
    assert len(out.logits) == len(words), (
        f"Decoded.logits has {len(out.logits)} rows for {len(words)} real target words (the end marks count, padding "
        "does not); give one row for each, in the order of the targets: the perplexity is computed from them"
    )
    alone = [decoder(rows_of(features, [b]), targets_of(targets, [b])).logits for b in range(len(features.tokens))]
    away = (out.logits - torch.cat(alone)).abs().mean() / out.logits.std().clamp(min=1e-6)
    assert float(away) < 0.1, (  # deep networks round a batch of another size to other last digits, and amplify them
        "the rows of Decoded.logits for a batch are not those of its studies alone, one study after the other; give "
        "them in the order of the targets, and let no study depend on the others of the batch"
    )
    return True


def check_words_are_causal(decoder: Decoder, features: Features, targets: Targets) -> None:
    """Check that the logits of a word stay the same if that word or later words change."""
    name = "sentences" if "sentences" in decoder.needs else "words"
    rows = getattr(targets, name).flatten(1)  # (B, T) or (B, S W)
    longest = int((rows != PAD).sum(1).argmax())
    one, report = rows_of(features, [longest]), targets_of(targets, [longest])
    report = replace(report, words=_trimmed(report.words))
    original = getattr(report, name).flatten()
    logits = decoder(one, report).logits
    for number, place in enumerate((original >= len(SPECIAL)).nonzero().flatten().tolist()):
        before, count = int((original[:place] > BOS).sum()), len(logits)
        changed = {f: _changed_from(getattr(report, f), number, decoder) for f in ("words", "sentences")}
        others = decoder(one, replace(report, **changed)).logits
        assert _close(logits[: before + 1], others[: before + 1]), (
            f"in teacher forcing the logits of target word {before + 1} of {count} change if that word or a later one "
            "changes; a word is predicted from the image and the words before it: shift the words by one, and mask the "
            "future"
        )


def _changed_from(words: Tensor | None, number: int, decoder: Decoder) -> Tensor | None:
    """Return the words of a report in which the word of this number and all later ones are others."""
    if words is None:
        return None
    changed = words.clone()
    places = (changed.view(-1) >= len(SPECIAL)).nonzero().flatten()[number:]
    changed.view(-1)[places] = _others(changed.view(-1)[places], len(decoder.targets.words))
    return changed


def _trimmed(words: Tensor | None) -> Tensor | None:
    """Return the words of one report (1, T) without padding."""
    return None if words is None else words[:, : int((words != PAD).sum())]


def _others(words: Tensor, count: int) -> Tensor:
    """Return another word for each of the words, none of them special."""
    first = len(SPECIAL)
    return first + (words - first + 1 + (count - first) // 2) % (count - first)


def check_mask_and_image(decoder: Decoder, features: Features, targets: Targets) -> None:
    """Check that masked tokens change nothing, and that other images change something."""
    if not features.tokens.shape[1]:
        return  # the encoder gives no tokens: there is no image
    other = noise(decoder.features, len(features.tokens), seed=11)
    absent = torch.where(features.mask[..., None], features.tokens, 10 * other.tokens)
    masked = replace(features, tokens=absent)
    same = "tokens whose mask is False are views that are not there, and nothing may depend on them"
    for name, (a, b) in _pairs(decoder, features, masked, targets):
        assert _close(a, b), f"other values in masked tokens change {name}; {same}: mask attention and means"
    for name, (a, b) in _pairs(decoder, features, other, targets):
        assert not torch.equal(a, b), (
            f"{name} are the same for other images; use features.tokens or features.pooled, or the report says nothing "
            "of the image"
        )


def _pairs(decoder: Decoder, a: Features, b: Features, targets: Targets) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Yield the name and both values of what a decoder gives for two features: losses, then generated reports."""
    first, second = decoder(a, targets), decoder(b, targets)
    losses = [torch.stack([d.losses[name].float() for name in sorted(d.losses)]) for d in (first, second)]
    yield "the losses", (losses[0][None], losses[1][None])
    for name, beams in (("the generated reports", 1), ("the reports of a beam search", BEAMS.beams)):
        settings = GenerationSettings(attention=False, beams=beams)
        yield name, (_fingerprints(decoder, a, settings), _fingerprints(decoder, b, settings))


def _fingerprints(decoder: Decoder, features: Features, settings: GenerationSettings) -> Tensor:
    """Return a row for each study: score, words, tags and findings of its best report, padded with zeros."""
    rows = []
    for study in decoder.generate(features, settings):
        best = study.candidates[0]
        ids = [float(i) for s in best.sentences for i in (*s, EOS)]
        row = [
            best.score,
            *(x for t in (study.tags, study.findings) if t is not None for x in t.float().tolist()),
            *ids,
        ]
        rows.append(torch.tensor(row))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=CLOSE, atol=CLOSE)


def check_attention(decoder: Decoder, features: Features, generated: Sequence[Generated]) -> None:
    """Check the attention of all candidates: a row for each word or sentence, which sums to 1 over what is real."""
    for b, study in enumerate(generated):
        for candidate in study.candidates:
            if candidate.attention is not None:
                _check_weights(candidate, candidate.attention, features.mask[b])
    without = decoder.generate(features, replace(BEAMS, attention=False))
    assert all(c.attention is None for study in without for c in study.candidates), (
        "attention is returned with GenerationSettings(attention=False); leave it None: it costs memory for nothing"
    )


def _check_weights(candidate: Candidate, attention: Attention, mask: Tensor) -> None:
    count = len(candidate.sentences) if attention.per == "sentence" else sum(map(len, candidate.sentences))
    columns = {"regions": len(mask), "tags": None if attention.tag_ids is None else len(attention.tag_ids)}
    for name, width in columns.items():
        weights = getattr(attention, name)
        if weights is None:
            continue
        assert weights.shape[:-1] == (count,), (
            f"Attention.{name} is {tuple(weights.shape)} for a report of {count} {attention.per}s; "
            f"give a row for each {attention.per}, and none for end marks"
        )
        assert weights.shape[1] == width, (
            f"Attention.{name} has {weights.shape[1]} columns; give one for each of the {width} "
            f"{'tokens' if name == 'regions' else 'tags of tag_ids'}"
        )
        _check_sums(name, weights)
        if name == "regions":
            assert not bool(weights[:, ~mask].abs().gt(1e-6).any()), (
                "Attention.regions has weights on masked tokens; set their scores to -inf before the softmax"
            )
    if attention.words is not None and attention.words.shape[1]:
        _check_sums("words", attention.words)


def _check_sums(name: str, weights: Tensor) -> None:
    sums = weights.float().sum(1)
    normal = bool((weights >= 0).all()) and _close(sums, torch.ones_like(sums))
    assert normal, (
        f"rows of Attention.{name} sum to {float(sums.min()):.4g} to {float(sums.max()):.4g}; weights are at least 0 "
        "and each row sums to 1, as a softmax over the columns gives"
    )


def check_beams(decoder: Decoder, features: Features, generated: Sequence[Generated]) -> None:
    """Check that there are `n_best` different reports, best first, and that fewer of them are the first of more."""
    single = decoder.generate(features, replace(BEAMS, n_best=1))
    for study, best in zip(generated, single, strict=True):
        reports, scores = [c.sentences for c in study.candidates], [c.score for c in study.candidates]
        assert len(set(reports)) == len(reports) == BEAMS.n_best, (
            f"{len(reports)} candidates, {len(set(reports))} of them different, for "
            f"GenerationSettings(beams={BEAMS.beams}, n_best={BEAMS.n_best}); follow beams and n_best: "
            f"keep {BEAMS.beams} beams and return the {BEAMS.n_best} best"
        )
        assert scores == sorted(scores, reverse=True), (
            f"candidates have the scores {[round(s, 4) for s in scores]}; Generated.candidates are best first: sort "
            "them by their own scores, the largest first"
        )
        assert [c.sentences for c in best.candidates] == reports[:1], (
            f"with n_best=1 another report is the best than with n_best={BEAMS.n_best}, or there are several; "
            "n_best cuts the sorted candidates and changes nothing else"
        )


def check_scores(decoder: Decoder, features: Features, targets: Targets, generated: Sequence[Generated]) -> None:
    """Check each candidate's score against the mean log-probability of its words in teacher forcing."""
    for b, study in enumerate(generated):
        for candidate in study.candidates:
            means = list(_teacher_forced(decoder, rows_of(features, [b]), targets_of(targets, [b]), candidate))
            assert not means or any(abs(candidate.score - m) < 1e-3 + 1e-2 * abs(m) for m in means), (
                f"a candidate's score is {candidate.score:.4g}, and decode gives its words a mean log-probability of "
                f"{means[0]:.4g}; Candidate.score is the mean log-probability of a word in nats, end marks counted; "
                "generation reads the same words as decode"
            )


def _teacher_forced(decoder: Decoder, features: Features, targets: Targets, candidate: Candidate) -> Iterator[float]:
    """Yield the mean log-probability of a report of one study by `decode`, for each way that it can have ended.

    A sentence or report that is as long as its limit may have no end mark. Nothing for a report without a word.
    """
    limits = decoder.targets
    lengths = [len(s) for s in candidate.sentences]
    longest = limits.max_words if "sentences" in decoder.needs else limits.max_length
    for ended in ([n < longest for n in lengths], [True] * len(lengths)):
        if not any(lengths) or not lengths:
            continue
        given = as_targets([candidate.sentences], [ended])
        given = replace(given, tags=targets.tags, findings=targets.findings)
        words = target_words(decoder, given)
        logits = decoder(features, given).logits
        assert words is not None
        if len(logits) == len(words):
            yield float(logits.float().log_softmax(-1).gather(1, words[:, None]).mean())
