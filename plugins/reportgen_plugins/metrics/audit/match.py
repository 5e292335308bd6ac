"""Match the statements of a reference with those of a report, and name the differences.

Statements of the same finding are paired, the most alike first: a pair that differs in less is taken before one that
differs in more (`COSTS`). Two statements that may both be true ("effusion on the left", "no effusion on the right") are
no pair. What is left over on one side was missed or invented, unless the other text says it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .kinds import SIZES_DIFFER, Difference, difference, grades, sizes_apart
from .statements import Statement, StatementText

COSTS = {"state": 16.0, "side": 8.0, "place": 4.0, "certainty": 2.0, "severity": 1.0, "change": 0.5, "unsaid": 0.1}
OPPOSITE = frozenset({"stated", "denied"})
_BETTER, _WORSE = frozenset({"better", "resolved"}), frozenset({"worse", "new"})


@dataclass(frozen=True, slots=True)
class Matched:
    """The result for two texts: pairs of statements, and all differences."""

    pairs: tuple[tuple[Statement, Statement], ...]  # of the reference and of the report
    differences: tuple[Difference, ...]


def match(reference: StatementText, report: StatementText) -> Matched:
    """Return the pairs and the differences of two texts."""
    pairs: list[tuple[Statement, Statement]] = []
    found: list[Difference] = []
    for finding in dict.fromkeys((*reference.groups, *report.groups)):
        ours, theirs = reference.groups.get(finding, []), report.groups.get(finding, [])
        own, left, right = pair_up(ours, theirs)
        pairs += own
        for r, p in own:
            found += compare(r, p, ours, theirs)
        found += (difference("missed", r, None) for r in left if not any(covers(p, r) for p in theirs))
        found += _unpaired(right, theirs, ours, reference.compares)
    if not reference.compares:
        found += _comparisons(report.statements, pairs)
    return Matched(tuple(pairs), tuple(found))


Pairs = list[tuple[Statement, Statement]]


def pair_up(ours: Sequence[Statement], theirs: Sequence[Statement]) -> tuple[Pairs, list[Statement], list[Statement]]:
    """Return pairs of statements of one finding, the most alike first, and those left over on each side."""
    if not ours or not theirs:
        return [], list(ours), list(theirs)
    if len(ours) == len(theirs) == 1:
        return ([(ours[0], theirs[0])], [], []) if cost(ours[0], theirs[0]) is not None else ([], [*ours], [*theirs])
    costs = []
    for i, r in enumerate(ours):
        for j, p in enumerate(theirs):
            price = cost(r, p)
            if price is not None:
                costs.append((price, abs(i - j), i, j))
    taken_i: set[int] = set()
    taken_j: set[int] = set()
    pairs = []
    for _, _, i, j in sorted(costs):
        if i not in taken_i and j not in taken_j:
            taken_i.add(i)
            taken_j.add(j)
            pairs.append((ours[i], theirs[j]))
    left = [r for i, r in enumerate(ours) if i not in taken_i]
    return pairs, left, [p for j, p in enumerate(theirs) if j not in taken_j]


def cost(one: Statement, other: Statement) -> float | None:
    """Return how much two statements of a finding differ; None if both may be true of one image."""
    if not _comparable(one, other):
        return None
    opposite = are_opposite(one, other)
    side, place, severity = sides_apart(one, other), places_apart(one, other), severity_apart(one, other)
    other_side = side and "both" not in (one.side, other.side)
    other_age = bool(one.age and other.age) and one.age != other.age
    if opposite and (other_side or other_age or place or severity):
        return None
    total = COSTS["state"] * opposite + COSTS["side"] * side + COSTS["place"] * place + COSTS["severity"] * severity
    total += COSTS["certainty"] * (one.state != other.state and not opposite)
    total += COSTS["change"] * (one.change != other.change)
    unsaid = (bool(a) != bool(b) for a, b in ((one.side, other.side), (one.place, other.place), (one.age, other.age)))
    return total + COSTS["unsaid"] * sum(unsaid)


def _comparable(one: Statement, other: Statement) -> bool:
    """Whether a statement that only compares can be paired: "heart size is stable" says neither large nor in doubt."""
    states = {one.state, other.state}
    return "compared" not in states or not states & {"stated", "uncertain"}


def are_opposite(one: Statement, other: Statement) -> bool:
    """Whether one states what the other denies."""
    return one.state != other.state and one.state in OPPOSITE and other.state in OPPOSITE


def sides_apart(one: Statement, other: Statement) -> bool:
    """Whether both have a side, and not the same."""
    return bool(one.side and other.side) and one.side != other.side


def places_apart(one: Statement, other: Statement) -> bool:
    """Whether the places differ: of a group that both name, such as the zone of the lung, they share none."""
    if one.position and other.position and not set(one.position) & set(other.position):
        return True
    if not one.place or not other.place or one.place == other.place:
        return False
    groups = [{p.partition(" ")[0] for p in s.place} for s in (one, other)]
    for group in groups[0] & groups[1]:
        if not {p for p in one.place if p.startswith(group)} & {p for p in other.place if p.startswith(group)}:
            return True
    return False


def severity_apart(one: Statement, other: Statement) -> bool:
    """Whether both have a grade and share none, or both have a size and differ in it."""
    ours, theirs = grades(one), grades(other)
    return bool(ours and theirs and not ours & theirs) or sizes_apart(one, other, SIZES_DIFFER)


def compare(
    reference: Statement, report: Statement, ours: Sequence[Statement], theirs: Sequence[Statement]
) -> Iterator[Difference]:
    """Yield the differences of a pair. `ours` and `theirs` are all statements of the finding in both texts."""
    if are_opposite(reference, report):
        yield difference("contradicted", reference, report)
        return
    if reference.state != report.state and "compared" not in (reference.state, report.state):
        yield difference("wrong certainty", reference, report)
    if _changes_oppose(reference.change, report.change):
        yield difference("contradicted", reference, report)
    if sides_apart(reference, report) and not (_both(reference, report, ours) or _both(report, reference, theirs)):
        yield difference("wrong side", reference, report)
    if places_apart(reference, report):
        yield difference("wrong place", reference, report)
    if severity_apart(reference, report):
        yield difference("wrong severity", reference, report)


def _both(one: Statement, other: Statement, others: Sequence[Statement]) -> bool:
    """Whether `other` is on both sides, and the text of `one` has the other side in another statement."""
    return other.side == "both" and {"left", "right"} <= {s.side for s in others if s.state == one.state}


def _changes_oppose(one: str, other: str) -> bool:
    """Whether one text says better or stable, and the other worse."""
    if not one or not other or one == other or "compared" in (one, other):
        return False
    return not ({one, other} <= _BETTER or {one, other} <= _WORSE)


def covers(said: Statement, wanted: Statement) -> bool:
    """Whether a statement says what another one wants: nothing in it differs, and its side includes the other."""
    if not _comparable(said, wanted) or (said.state != wanted.state and "compared" not in (said.state, wanted.state)):
        return False
    sides = not sides_apart(said, wanted) or said.side == "both"
    return sides and not places_apart(said, wanted) and not severity_apart(said, wanted)


def _unpaired(
    lone: Sequence[Statement], theirs: Sequence[Statement], ours: Sequence[Statement], compares: bool
) -> Iterator[Difference]:
    """Yield the differences of statements of a report that have no pair."""
    waiting = list(lone)
    known = [p for p in theirs if not any(p is other for other in lone)]
    for p in waiting:
        against = next((q for q in known if are_opposite(p, q) and cost(p, q) is not None), None)
        again = next((q for q in known if q.number != p.number and _same(p, q)), None)
        known.append(p)
        if again is not None:
            yield difference("repeated", again, p)
        elif against is not None:
            yield difference("self-contradicting", against, p)
            if p.state == "stated":
                yield difference("invented", None, p)
        elif p.state == "compared" or any(covers(r, p) for r in ours):
            continue  # a comparison is judged as such; what the reference says elsewhere is right
        else:
            yield difference("invented", None, p)


def _same(one: Statement, other: Statement) -> bool:
    """Whether two statements say the same, with the same attributes."""
    return (one.state, one.side, one.place, one.severity, one.size, one.position) == (
        other.state, other.side, other.place, other.severity, other.size, other.position,
    )  # fmt: skip


def _comparisons(report: Sequence[Statement], pairs: Sequence[tuple[Statement, Statement]]) -> Iterator[Difference]:
    """Yield the comparisons of a report whose reference has none, one for each sentence."""
    partner = {id(p): r for r, p in pairs}
    sentences: set[int] = set()
    for p in report:
        if (p.change or p.state == "compared") and p.number not in sentences:
            sentences.add(p.number)
            yield difference("invented comparison", partner.get(id(p)), p)
