"""Ratios of the benchmarks: measured in turns, by a clock that the test sets, and judged by their whole range."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from benchmarks.__main__ import as_markdown
from benchmarks.measure import Row, Spread, command, counted, emit, in_turns, per_second, ratio, row_from_json


class Machine:
    """A clock that moves only while a run works; `slowness` says how much slower the machine is at a time."""

    def __init__(self, slowness: Callable[[float], float] = lambda now: 1.0) -> None:
        self.now, self.slowness, self.calls = 0.0, slowness, ""

    def clock(self) -> float:
        return self.now

    def run(self, name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.calls += name
            self.now += seconds * self.slowness(self.now)

        return work


def test_runs_are_timed_in_turns_after_one_call_each_that_warms_up() -> None:
    machine = Machine()
    a, b = in_turns(machine.run("A", 2.0), machine.run("B", 1.0), clock=machine.clock)
    assert machine.calls == "AB" + 7 * "AB"
    assert a == 7 * [2.0] and b == 7 * [1.0]


def test_a_command_that_starts_cold_needs_no_call_that_warms_up() -> None:
    machine = Machine()
    assert in_turns(machine.run("A", 2.0), rounds=3, warm_up=False, clock=machine.clock) == [3 * [2.0]]
    assert machine.calls == "AAA"


def test_a_machine_that_gets_three_times_slower_does_not_change_the_ratio() -> None:
    machine = Machine(lambda now: 1.0 if now < 20 else 3.0)
    a, b = in_turns(machine.run("A", 2.0), machine.run("B", 1.0), rounds=9, clock=machine.clock)
    assert max(a) == 3 * min(a), "the machine did not change its speed: nothing was tried"
    assert ratio(a, b).median == 2.0
    assert ratio(a, b).low == pytest.approx(2 / 3), "the one pair in which it changed shows in the range"


def test_a_hiccup_in_one_turn_shows_in_the_range_and_not_in_the_median() -> None:
    machine = Machine(lambda now: 5.0 if 9 <= now < 11 else 1.0)
    a, b = in_turns(machine.run("A", 2.0), machine.run("B", 1.0), clock=machine.clock)
    assert ratio(a, b) == Spread(median=2.0, low=2.0, high=10.0, count=7)


def test_a_short_run_is_repeated_until_its_turn_is_over_and_counts_the_mean() -> None:
    machine = Machine()
    a, b = in_turns(machine.run("a", 0.25), machine.run("B", 4.0), turn=1.0, clock=machine.clock)
    assert machine.calls == "aB" + 7 * "aaaaB"
    assert a == 7 * [0.25] and b == 7 * [4.0]


def test_a_ratio_of_fewer_than_seven_pairs_or_of_unequal_turns_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 7 pairs, got 6"):
        ratio(6 * [1.0], 6 * [1.0])
    with pytest.raises(ValueError, match="shorter"):
        ratio(8 * [1.0], 7 * [1.0])


def test_the_median_of_the_pairs_is_not_the_quotient_of_the_medians() -> None:
    quotients = ratio([1.0, 1, 1, 1, 9, 9, 9], [1.0, 2, 2, 2, 3, 3, 3])
    assert (quotients.median, quotients.low, quotients.high) == (1.0, 0.5, 3.0)


@pytest.mark.parametrize(
    ("low", "high", "at_most", "verdict"),
    [
        (20.0, 24.0, False, "met"),
        (19.9, 24.0, False, "undecided"),
        (17.0, 20.0, False, "undecided"),
        (17.0, 19.9, False, "missed"),
        (17.0, 20.0, True, "met"),
        (17.0, 20.1, True, "undecided"),
        (20.0, 24.0, True, "undecided"),
        (20.1, 24.0, True, "missed"),
    ],
)
def test_a_bar_is_met_or_missed_only_if_the_whole_range_is_clear_of_it(
    low: float, high: float, at_most: bool, verdict: str
) -> None:
    measured = Spread((low + high) / 2, low, high, 7)
    assert Row("of a ratio", counted(1.0), "s", measured, "the other", 20.0, at_most).verdict == verdict
    assert Row("of a figure", measured, "s", bar=20.0, at_most=at_most).verdict == verdict
    assert Row("without a bar", measured, "s", measured, "the other").verdict == ""


def test_a_rate_is_a_spread_of_rates() -> None:
    assert per_second(16, [1.0, 2.0, 4.0]) == Spread(8.0, 4.0, 16.0, 3)


def test_a_command_that_fails_is_no_measurement() -> None:
    command("true")()
    with pytest.raises(Exception, match="non-zero exit status"):
        command("false")()


def test_a_row_comes_back_from_the_json_of_its_process(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("a", counted(1.0), "s"), Row("b", Spread(2.0, 1.0, 3.0, 7), "s", Spread(2.0, 1.5, 2.5, 7), "a", 2.0)]
    emit(rows)
    assert [row_from_json(r) for r in json.loads(capsys.readouterr().out)["rows"]] == rows


def test_the_table_shows_median_range_bar_and_verdict() -> None:
    beam = Row(
        "beam 3", Spread(59.04, 55.0, 61.0, 7), "reports/s", Spread(2.41, 2.3, 2.55, 7), "greedy's time", 3.5, True
    )
    plain = Row("loaded", counted(1499.2), "MiB")
    lines = as_markdown([(beam, 1258.4), (plain, 117.0)]).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "beam 3",
        "59.0 reports/s (55.0 to 61.0)",
        "2.41 × greedy's time (2.30 to 2.55)",
        "at most 3.5: met",
        "1,258",
    ]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["loaded", "1,499 MiB", "", "", "117"]
    assert len({len(line) for line in lines}) == 1
