"""What the demo prints: progress while it runs, then a table; or one JSON object for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.ship import Shipped

COLOURS: Final = {"ok": "green", "warning": "yellow", "rollback_recommended": "red"}
UNITS: Final = {"requests_per_sec": "req/s", "latency_p95": "ms"}


def table(shipped: Sequence[Shipped]) -> Table:
    """Return the verdicts as a table."""
    result = Table(title="What SeqPulse said", show_lines=True)
    result.add_column("release", max_width=22)
    result.add_column("verdict", no_wrap=True)
    result.add_column("confidence", justify="right", no_wrap=True)
    result.add_column("what was seen")
    result.add_column("hints")
    for item in shipped:
        answer = item.answer
        verdict = answer["verdict"]
        lines = [f"[{COLOURS[verdict]}]{verdict}[/]"]
        lines += [] if answer["conclusive"] else ["not conclusive"]
        lines += [] if item.as_expected else [f"[red]expected {item.release.expected}[/]"]
        result.add_row(
            f"{item.release.version}: {item.release.story}",
            "\n".join(lines),
            f"{answer['confidence']:.2f}",
            escape("\n".join(seen(answer))),
            escape("\n".join(f"{hint['severity']}: {hint['title']}" for hint in answer["hints"])),
        )
    return result


def seen(answer: dict[str, Any]) -> list[str]:
    """Say in a line per metric what stood out; else why the verdict is what it is."""
    lines = [
        f"{row['metric']} {_value(row, 'expected')} -> {_value(row, 'observed')}"
        for row in answer["evidence"]
        if row["failed"]
    ]
    if not lines:
        lines.append(answer["reason_code"].replace("_", " "))
    if answer["coverage_ratio"] < 1:
        lines.append(f"{answer['coverage_ratio']:.0%} of the post slots collected")
    return lines


def read_more(console: Console, api_url: str, shipped: Sequence[Shipped], *, keep: bool) -> None:
    """Say where the same can be read by a pipeline and by an analyst."""
    last = shipped[-1].answer["deployment_id"]
    console.print("Read more" if keep else "Read more (with --keep, which leaves it running)")
    for line in (
        f"by API:  GET {api_url}/deployments/{last}/verdict (header X-API-Key)",
        "by SQL:  SELECT branch, verdict, confidence, failed_metrics "
        "FROM report.deployment_overview ORDER BY triggered_at",
    ):
        console.print(line, soft_wrap=True)


def as_json(shipped: Sequence[Shipped]) -> dict[str, Any]:
    """Return everything a machine may want to know of the run."""
    return {
        "holds": all(item.as_expected for item in shipped),
        "releases": [
            {
                "version": item.release.version,
                "story": item.release.story,
                "expected": item.release.expected,
                "as_expected": item.as_expected,
                **item.answer,
            }
            for item in shipped
        ],
    }


def _value(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return "?"
    unit = UNITS.get(row["metric"])
    return f"{value:.3g} {unit}" if unit else f"{value:.1%}"
