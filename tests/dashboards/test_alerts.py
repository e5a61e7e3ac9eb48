"""The alerts, by the real promtool: each fires when it must, and is silent when it must be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from ruamel.yaml import YAML

from tests import debian
from tests.dashboards.weather import (
    DAY,
    EVERYBODY,
    HOUR,
    MINUTE,
    WORKERS,
    Course,
    Story,
    always,
    gone,
    spikes,
)

RULES: Final = Path(__file__).parents[2] / "dashboards" / "prometheus" / "rules.yml"
GROUPS: Final = YAML(typ="safe").load(RULES.read_text())["groups"]
PAGE: Final = "page"
TICKET: Final = "ticket"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*debian.command("promtool", "usr/bin/promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def run(folder: Path, *tests: dict[str, Any], every: str = "1m") -> None:
    """Let promtool run tests of its own kind."""
    written = {
        "rule_files": [str(RULES)],
        "evaluation_interval": every,
        "group_eval_order": [group["name"] for group in GROUPS],
        "tests": tests,
    }
    (folder / "tests.yml").write_text(json.dumps(written))
    done = promtool("test", "rules", str(folder / "tests.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


class Case(NamedTuple):
    """What makes an alert fire.

    Attributes:
        fault: Courses of the series that differ, found by what their names contain.
        minutes: After so many it fires; half of a blip's it does not.
        blip: So long it may last without anybody being called.
        others: What fires as well, and rightly.
        begins: When it happens.
        every: How often rules are evaluated.
        counts: Whether there are counters; without them a long time is quick to evaluate.
    """

    fault: dict[str, Course]
    minutes: float
    blip: float = 0.5
    others: tuple[tuple[str, str], ...] = ()
    begins: int = 2 * HOUR
    every: str = "1m"
    counts: bool = True


def check(name: str, status: str) -> dict[str, Course]:
    return {f'check="{name}", status="{status}"': always(1)}


def restarts(step: int) -> float:
    return 1_700_000_100.0 + step // (10 * MINUTE)


HEARTBEAT: Final = 'check="heartbeat", status="ok"'
LATE: Final = "latency_seconds_bucket"
FAILED: Final = "attempts_total"
CASES: Final[dict[tuple[str, str], Case]] = {
    ("SeqPulseSchedulerDown", PAGE): Case({HEARTBEAT: always(0)}, 4, every="30s"),
    ("SeqPulseSchedulerDown", TICKET): Case(
        {HEARTBEAT: spikes(1, 0, 100 * MINUTE)}, 385, 51, begins=DAY, every="30s", counts=False
    ),
    ("SeqPulseCollectionFails", PAGE): Case(
        {"collected_total": always(0), "missed_total": always(50)}, 50, blip=15, begins=8 * HOUR
    ),
    ("SeqPulseCollectionFails", TICKET): Case({"missed_total": always(5)}, 8 * 60, blip=15),
    ("SeqPulseVerdictsLate", PAGE): Case({LATE: always(0)}, 15, blip=1.5, begins=8 * HOUR),
    ("SeqPulseVerdictsLate", TICKET): Case({LATE: spikes(1, 0, 50)}, 8 * 60, blip=15),
    ("SeqPulsePoolBusy", TICKET): Case({"pool_in_use": always(6)}, 16, blip=5),
    ("SeqPulseQueueDeep", TICKET): Case({'state="due"': always(10)}, 11, blip=9),
    ("SeqPulseAbsent", PAGE): Case({"seqpulse-api": gone}, 12, blip=4),
    ("SeqPulseNotScraped", TICKET): Case({f"up{{{WORKERS[0]}": always(0)}, 6, blip=4),
    ("SeqPulseWorkerUnseen", TICKET): Case({"seqpulse_workers": always(3)}, 16, blip=14),
    ("SeqPulseVersionsMixed", TICKET): Case({'version="2"': always(1)}, 62, blip=30),
    ("SeqPulseRestarts", TICKET): Case({"start_time": restarts}, 45, blip=5),
    ("SeqPulseDatabaseGone", PAGE): Case({"database_up": always(0)}, 2),
    ("SeqPulseDatabaseReadOnly", PAGE): Case(check("writable", "failing"), 3, blip=1.5),
    ("SeqPulseDatabaseSlow", TICKET): Case(check("database", "degraded"), 11, blip=9),
    ("SeqPulseSchemaWrong", PAGE): Case(check("schema", "failing"), 6, blip=4),
    ("SeqPulseExtensionUnusable", TICKET): Case(check("timescaledb", "degraded"), 6, blip=4),
    ("SeqPulsePoliciesFail", TICKET): Case(check("policies", "degraded"), 16, blip=14),
    ("SeqPulseUpkeepFails", TICKET): Case({"upkeep_failed": spikes(0, 1, 2)}, 15, blip=1.5),
    ("SeqPulseReadersEnded", TICKET): Case({"readers_ended": spikes(0, 1, 2)}, 10, blip=1),
    ("SeqPulseWorkerStuck", PAGE): Case({f"turn_age_seconds{{{WORKERS[0]}": always(90)}, 2),
    ("SeqPulseWorkerDisconnected", TICKET): Case(
        {f"connected{{{WORKERS[0]}": always(0)}, 3, blip=1.5
    ),
    ("SeqPulseJobsOverdue", TICKET): Case({"jobs_overdue": always(1)}, 6, blip=4),
    ("SeqPulseJobsStuck", TICKET): Case({"jobs_stuck": always(1)}, 11, blip=9),
    ("SeqPulseJobsFail", TICKET): Case({FAILED: spikes(0, 1, 4)}, 9, blip=1.5),
    ("SeqPulseApiFails", PAGE): Case({'route="/sdh", status="5xx"': always(5)}, 8, blip=2),
}  # fmt: skip


def alerts() -> list[dict[str, Any]]:
    return [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]


def test_promtool_finds_the_rules_right() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "config", str(RULES.with_name("prometheus.yml")))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_case() -> None:
    assert {(each["alert"], each["labels"]["severity"]) for each in alerts()} == set(CASES)


@pytest.mark.parametrize("alert", CASES, ids=":".join)
def test_it_fires_when_it_must_and_not_for_a_blip(alert: tuple[str, str], tmp_path: Path) -> None:
    case = CASES[alert]
    lasts, blip = (round(minutes * MINUTE) for minutes in (case.minutes, case.blip))
    bad = Story(case.fault, case.begins, lasts + 1, counts=case.counts)
    short = Story(case.fault, case.begins, blip, counts=case.counts)
    run(
        tmp_path,
        bad.check(case.begins + lasts, alert, *case.others),
        short.check_silence(case.begins + max(2 * HOUR, lasts)),
        every=case.every,
    )


def test_a_normal_day_is_silent(tmp_path: Path) -> None:
    run(tmp_path, Story().check_silence(DAY + HOUR))


def test_counters_that_begin_anew_are_silent(tmp_path: Path) -> None:
    again = {f"start_time_seconds{{{who}": always(1_700_005_000) for who in EVERYBODY}
    story = Story(again, 3 * HOUR, 3 * HOUR, resets=(3 * HOUR, 3 * HOUR + 7))
    run(tmp_path, story.check_silence(6 * HOUR))


def test_a_scrape_that_fails_is_silent(tmp_path: Path) -> None:
    run(tmp_path, Story({"seqpulse": gone}, 3 * HOUR, 3 * MINUTE).check_silence(6 * HOUR))


def test_what_is_not_there_calls_nobody_but_for_its_absence(tmp_path: Path) -> None:
    nothing = Story({"seqpulse_": gone, "process_": gone}, HOUR, DAY)
    run(tmp_path, nothing.check(5 * HOUR, ("SeqPulseAbsent", PAGE)))
