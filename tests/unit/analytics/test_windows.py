from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import copysign, inf, isnan, nan

import numpy as np
import polars as pl
import pytest

from analytics import blocks, windows
from core.errors import InvalidInputError
from core.types import METRICS

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

TRIGGERED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTHING = dict.fromkeys(
    ("requests_per_sec", "latency_p95", "error_rate", "cpu_usage", "memory_usage")
)


def _before(cut: windows.Windows, metric: str) -> list[float]:
    """The baseline values of the only deployment, oldest first."""
    values = cut.blocks[0].before[METRICS.index(metric), 0]
    return [float(value) for value in values if not isnan(value)]


def _after(cut: windows.Windows, metric: str) -> list[float | None]:
    """The post values of the only deployment by slot; None is missing."""
    values = cut.blocks[0].after[METRICS.index(metric), 0]
    return [None if isnan(value) else float(value) for value in values]


def _row(cut: windows.Windows) -> dict[str, object]:
    return cut.deployments.row(0, named=True)


@pytest.mark.parametrize("name", windows.DEPLOYMENTS)
def test_refuses_deployments_without_a_column(frames: Frames, name: str) -> None:
    deployments, samples = frames()
    with pytest.raises(InvalidInputError, match=f"^deployments: column {name} is missing$"):
        windows.split(deployments.drop(name), samples)


@pytest.mark.parametrize("name", windows.SAMPLES)
def test_refuses_samples_with_a_column_of_another_type(frames: Frames, name: str) -> None:
    deployments, samples = frames()
    wrong = samples.with_columns(pl.lit(b"").alias(name))
    with pytest.raises(InvalidInputError, match=f"^samples: column {name} is Binary, not "):
        windows.split(deployments, wrong)


@pytest.mark.parametrize("unit", ["ms", "ns"])
def test_refuses_another_resolution_of_time(frames: Frames, unit: str) -> None:
    deployments, samples = frames()
    wrong = samples.with_columns(pl.col("slot_at").dt.cast_time_unit(unit))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="slot_at is Datetime"):
        windows.split(deployments, wrong)


@pytest.mark.parametrize("name", windows.DEPLOYMENTS)
def test_refuses_empty_cells_in_deployments(frames: Frames, name: str) -> None:
    deployments, samples = frames()
    empty = deployments.with_columns(pl.lit(None, windows.DEPLOYMENTS[name]).alias(name))
    with pytest.raises(InvalidInputError, match=f"^deployments: column {name} has empty cells$"):
        windows.split(empty, samples)


@pytest.mark.parametrize("bad", ["", "nobody", "6F9619FF-8B86-4011-B42D-00C04FC964FF", "1" * 36])
def test_refuses_what_is_no_uuid(frames: Frames, bad: str) -> None:
    deployments, samples = frames()
    with pytest.raises(InvalidInputError, match="distinct lower-case UUIDs"):
        windows.split(deployments.with_columns(deployment_id=pl.lit(bad)), samples)


def test_refuses_a_deployment_listed_twice(frames: Frames) -> None:
    deployments, samples = frames()
    with pytest.raises(InvalidInputError, match="distinct lower-case UUIDs"):
        windows.split(pl.concat([deployments, deployments]), samples)


@pytest.mark.parametrize("post_slots", [0, -1])
def test_refuses_a_post_window_without_slots(frames: Frames, post_slots: int) -> None:
    with pytest.raises(InvalidInputError, match="post_slots must be at least 1"):
        windows.split(*frames(post_slots=post_slots))


def test_takes_wider_integers_and_ignores_further_columns(frames: Frames) -> None:
    deployments, samples = frames(after=[{}])
    wide = windows.split(
        deployments.with_columns(pl.col("post_slots").cast(pl.Int32), branch=pl.lit("main")),
        samples.with_columns(pl.col("sequence_index").cast(pl.Int32), row=pl.lit(7)),
    )
    assert _row(wide)["post_n"] == 1


def test_takes_no_deployments_at_all(frames: Frames) -> None:
    deployments, samples = frames(before=[{}], after=[{}])
    cut = windows.split(deployments.clear(), samples)
    assert (cut.deployments.height, [block.rows.size for block in cut.blocks]) == (0, [0])


def test_keeps_deployments_without_samples_in_their_order(frames: Frames) -> None:
    parts = [frames(number=number, after=[{}] * (number % 2)) for number in (9, 4, 7)]
    cut = windows.split(*(pl.concat(part) for part in zip(*parts, strict=True)))
    assert [text[-1] for text in cut.deployments["deployment_id"]] == ["9", "4", "7"]
    assert cut.deployments["post_n"].to_list() == [1, 0, 1]
    assert cut.deployments["baseline_source"].to_list() == ["none"] * 3


def test_baseline_is_the_continuous_samples_before_the_trigger(frames: Frames) -> None:
    just_before = TRIGGERED_AT - timedelta(microseconds=1)
    cut = windows.split(
        *frames(
            before=[
                {"slot_at": just_before, "cpu_usage": 0.1},
                {"slot_at": TRIGGERED_AT, "cpu_usage": 0.9},
                {"slot_at": None, "cpu_usage": 0.9},
            ],
            pre=[{"cpu_usage": 0.9}],
        )
    )
    assert _before(cut, "cpu_usage") == [0.1]
    assert (_row(cut)["baseline_source"], _row(cut)["baseline_n"]) == ("baseline", 1)


def test_baseline_falls_back_to_pre_samples(frames: Frames) -> None:
    cut = windows.split(*frames(before=[{"slot_at": TRIGGERED_AT}], pre=[{"cpu_usage": 0.5}]))
    assert _before(cut, "cpu_usage") == [0.5]
    assert (_row(cut)["baseline_source"], _row(cut)["baseline_n"]) == ("pre", 1)


def test_baseline_falls_back_when_continuous_samples_hold_no_number(frames: Frames) -> None:
    cut = windows.split(*frames(before=[NOTHING], pre=[{}]))
    assert _row(cut)["baseline_source"] == "pre"


def test_post_window_takes_only_planned_slots(frames: Frames) -> None:
    cut = windows.split(
        *frames(
            after=[
                {"sequence_index": -1},
                {"sequence_index": 0},
                {"sequence_index": 4},
                {"sequence_index": 5},
                {"sequence_index": None},
                {"phase": "pre", "sequence_index": 1},
                {"phase": "canary", "sequence_index": 2},
                {"phase": None, "sequence_index": 3},
            ]
        )
    )
    assert _after(cut, "cpu_usage") == [0.3, None, None, None, 0.3]
    assert (_row(cut)["post_n"], _row(cut)["coverage_ratio"]) == (2, 0.4)


def test_samples_of_other_deployments_are_ignored(frames: Frames) -> None:
    deployments, _ = frames(number=1)
    _, samples = frames(number=2, before=[{}], after=[{}])
    assert _row(windows.split(deployments, samples))["post_n"] == 0


def test_the_worst_of_several_readings_of_a_slot_counts(frames: Frames) -> None:
    twice = [
        {"sequence_index": 1, "requests_per_sec": 8.0, "latency_p95": 40.0, "cpu_usage": nan},
        {"sequence_index": 1, "requests_per_sec": 9.0, "latency_p95": 60.0, "cpu_usage": 0.2},
    ]
    for after in (twice, twice[::-1]):
        cut = windows.split(*frames(after=after))
        names = ("requests_per_sec", "latency_p95", "cpu_usage")
        assert [_after(cut, name)[1] for name in names] == [8.0, 60.0, 0.2]


def test_a_baseline_slot_counts_once(frames: Frames) -> None:
    at = TRIGGERED_AT - timedelta(minutes=30)
    cut = windows.split(*frames(before=[{"slot_at": at}, {"slot_at": at}, {}]))
    assert _row(cut)["baseline_n"] == 2


@pytest.mark.parametrize("impossible", [None, nan, inf, -inf, -1e-300])
def test_impossible_values_are_missing(frames: Frames, impossible: float | None) -> None:
    cut = windows.split(*frames(after=[{"memory_usage": impossible}]))
    assert _after(cut, "memory_usage")[0] is None


def test_zero_has_no_sign(frames: Frames) -> None:
    cut = windows.split(*frames(after=[{"cpu_usage": -0.0}]))
    assert copysign(1, cut.blocks[0].after[METRICS.index("cpu_usage"), 0, 0]) == 1


def test_a_sample_without_a_number_is_none(frames: Frames) -> None:
    cut = windows.split(*frames(after=[NOTHING, NOTHING | {"cpu_usage": 0.5}]))
    assert _after(cut, "cpu_usage")[:2] == [None, 0.5]
    assert _row(cut)["post_n"] == 1


def test_a_slot_without_traffic_has_no_latency_and_no_error_rate(frames: Frames) -> None:
    idle = {"requests_per_sec": 0.0, "latency_p95": 0.0, "error_rate": 0.0}
    cut = windows.split(*frames(before=[idle], after=[idle, {"requests_per_sec": None}]))
    for name in ("latency_p95", "error_rate"):
        assert (_before(cut, name), _after(cut, name)[0]) == ([], None)
    assert _after(cut, "latency_p95")[1] == 50.0  # unknown traffic is not zero traffic
    assert _row(cut)["idle_n"] == 1


def _moments(cut: windows.Windows) -> list[float]:
    ages = cut.blocks[0].age_seconds[0]
    return [float(age) for age in ages if not isnan(age)]


def test_baseline_samples_keep_their_age_and_end_in_the_last_column(frames: Frames) -> None:
    cut = windows.split(*frames(before=[{}] * 3))
    assert _moments(cut) == [180.0, 120.0, 60.0]
    assert not isnan(cut.blocks[0].before[0, 0, -1])


@pytest.mark.parametrize(
    ("phases", "source"),
    [
        ((None, "pre", "previous", "history"), "baseline"),
        (("pre", "previous", "history"), "pre"),
        (("previous", "history"), "previous"),
        (("history",), "history"),
        (("canary",), "none"),
    ],
)
def test_takes_the_best_baseline_there_is(
    frames: Frames, phases: tuple[str | None, ...], source: str
) -> None:
    cut = windows.split(*frames(before=[{"phase": phase} for phase in phases]))
    assert (_row(cut)["baseline_source"], _row(cut)["baseline_n"]) == (source, source != "none")


@pytest.mark.parametrize(
    ("phases", "source"),
    [
        (("pre",) * 2 + ("previous",) * 3, "previous"),
        ((None,) * 2 + ("previous",) * 2 + ("history",) * 3, "history"),
        (("pre",) * 3 + ("previous",) * 9, "pre"),
        (("pre",) * 2 + ("previous",) * 2, "pre"),
        ((None,) * 2 + ("pre",) * 3, "baseline"),
    ],
)
def test_too_thin_a_baseline_gives_way_to_a_substitute(
    frames: Frames, phases: tuple[str | None, ...], source: str
) -> None:
    cut = windows.split(*frames(before=[{"phase": phase} for phase in phases]))
    assert _row(cut)["baseline_source"] == source


def _neighbour(frames: tuple[pl.DataFrame, pl.DataFrame], **fields: object) -> pl.DataFrame:
    row = {
        "service_id": "shop/prod",
        "deployment_id": "00000000-0000-0000-0000-00000000000b",
        "started_at": TRIGGERED_AT - timedelta(minutes=20),
        "ended_at": TRIGGERED_AT - timedelta(minutes=10),
        "bad": True,
    }
    return pl.DataFrame([row | fields], schema=windows.NEIGHBOURS)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, 19),
        ({"bad": False}, 30),
        ({"service_id": "shop/staging"}, 30),
        ({"deployment_id": "00000000-0000-0000-0000-000000000001"}, 30),
    ],
)
def test_leaves_out_the_time_of_deployments_that_did_harm(
    frames: Frames, fields: dict[str, object], left: int
) -> None:
    parts = frames(before=[{}] * 30)
    assert _row(windows.split(*parts, _neighbour(parts, **fields)))["baseline_n"] == left


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        (-20, -10, False),
        (-20, 0, False),
        (-20, 1, True),
        (3, 4, True),
        (6, 30, True),
        (7, 30, False),
    ],
)
def test_names_the_deployments_that_overlap(
    frames: Frames, start: int, end: int, named: bool
) -> None:
    """The window to judge runs from the trigger to five minutes after finish: minutes 0 to 7."""
    parts = frames(after=[{}] * 5)
    around = _neighbour(
        parts,
        started_at=TRIGGERED_AT + timedelta(minutes=start),
        ended_at=TRIGGERED_AT + timedelta(minutes=end),
        bad=False,
    )
    names = _row(windows.split(*parts, pl.concat([around, around])))["confounders"]
    assert names == ["00000000-0000-0000-0000-00000000000b"] * named


def test_keeps_what_the_source_says_of_its_time(frames: Frames) -> None:
    finished = TRIGGERED_AT + timedelta(minutes=2)
    said = [{"source_at": finished + timedelta(seconds=7)}, {}]
    cut = windows.split(*frames(after=said))
    assert cut.blocks[0].source_seconds[0][:2].tolist() == pytest.approx([7.0, nan], nan_ok=True)


@pytest.mark.parametrize("seconds", [0.0, -1.0, inf, nan])
def test_refuses_an_impossible_slot(frames: Frames, seconds: float) -> None:
    deployments, samples = frames()
    with pytest.raises(InvalidInputError, match="slot_seconds must be above 0"):
        windows.split(deployments.with_columns(slot_seconds=pl.lit(seconds)), samples)


def test_many_deployments_are_laid_out_in_blocks(frames: Frames) -> None:
    parts = [
        frames(number=n, before=[{}] * (40 * (n % 2)), post_slots=(5, 15)[n % 3 == 0])
        for n in range(12)
    ]
    cut = windows.split(*(pl.concat(part) for part in zip(*parts, strict=True)))
    assert sorted(row for block in cut.blocks for row in block.rows) == list(range(12))
    assert {block.before.shape[2] for block in cut.blocks} == {32, 64}
    assert {block.after.shape[2] for block in cut.blocks} == {5, 15}
    assert all(block.rows.size <= blocks.BLOCK_HEIGHT for block in cut.blocks)


def test_arrays_are_taken_as_frames_are(frames: Frames) -> None:
    deployments, samples = frames(before=[{}] * 4, pre=[{}], after=[{"cpu_usage": nan}, {}])
    readings = blocks.Readings(
        row=np.zeros(7, dtype=np.int64),
        phase=np.array([0, 0, 0, 0, 1, 4, 4]),
        slot_us=blocks.count_microseconds(samples["slot_at"]),
        sequence_index=np.array([-1] * 5 + [0, 1]),
        source_us=np.full(7, blocks.NEVER),
        values=samples.select(METRICS).to_numpy().T,
    )
    one, other = windows.split(deployments, samples), windows.split(deployments, readings)
    assert one.deployments.equals(other.deployments)
    for name in blocks.Block.__slots__:
        values = (getattr(cut.blocks[0], name) for cut in (one, other))
        np.testing.assert_array_equal(*values)
