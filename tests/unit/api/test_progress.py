"""What is told step by step: everything once, from wherever one left off."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from api.progress import STATES, Event, Told, list_events
from core.types import DeploymentState, Verdict
from sql.progress import Progress

LIFE = [
    Progress(DeploymentState.PENDING, {}),
    Progress(DeploymentState.RUNNING, {0: None}),
    Progress(DeploymentState.FINISHED, {0: None}),
    Progress(DeploymentState.FINISHED, {0: None, 2: "timeout"}),
    Progress(DeploymentState.FINISHED, {0: None, 1: None, 2: "timeout", 3: None}),
    Progress(
        DeploymentState.ANALYZED,
        {0: None, 1: None, 2: "timeout", 3: None},
        1,
        Verdict.OK,
        True,
        "r",
    ),
    Progress(
        DeploymentState.ANALYZED,
        {0: None, 1: None, 2: "timeout", 3: None},
        2,
        Verdict.WARNING,
        True,
        "r",
    ),
]


def tell(told: Told, looks: list[Progress]) -> list[Event]:
    events: list[Event] = []
    for now in looks:
        events += list_events(events[-1].told if events else told, now)
    return events


def name(event: Event) -> tuple[str, object]:
    kind = {"state": "state", "slot": "sequence_index", "verdict": "revision"}[event.kind]
    return event.kind, event.data.get(kind)


def test_a_life_is_told_in_order() -> None:
    events = tell(Told(), LIFE)
    assert [name(event) for event in events] == [
        ("state", "pending"),
        ("state", "running"),
        ("slot", None),
        ("state", "finished"),
        ("slot", 1),
        ("slot", 0),
        ("slot", 2),
        ("state", "analyzed"),
        ("verdict", 1),
        ("verdict", 2),
    ]
    assert events[4].data == {
        "phase": "post",
        "sequence_index": 1,
        "collected": False,
        "code": "timeout",
    }


@given(
    looks=st.lists(st.sampled_from(range(len(LIFE))), min_size=1).map(sorted),
    broken_off=st.integers(0, 30),
)
def test_who_comes_back_gets_the_rest_and_nothing_twice(looks: list[int], broken_off: int) -> None:
    seen = [LIFE[place] for place in looks]
    whole = tell(Told(), seen)
    first = whole[:broken_off]
    told = Told.parse(str(first[-1].told)) if first else Told()
    assert told is not None
    rest = list(list_events(told, seen[-1]))
    names = [name(event) for event in first + rest]
    assert len(set(names)) == len(names)
    missing = {name(event) for event in whole} - set(names)
    assert missing <= {("verdict", 1)}  # a later revision takes its place
    assert list(list_events((first + rest)[-1].told, seen[-1])) == []


def test_a_deployment_that_begins_anew_is_told_anew() -> None:
    told = tell(Told(), LIFE[:2])[-1].told
    events = list(list_events(told, LIFE[0]))
    assert [name(event) for event in events] == [("state", "pending")]
    assert [name(event) for event in tell(events[-1].told, LIFE[:3])][:2] == [
        ("state", "running"),
        ("slot", None),
    ]


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_none(text: str) -> None:
    told = Told.parse(text)
    assert told is None or Told.parse(str(told)) == told


def test_an_event_is_one_of_the_wire() -> None:
    [event, *_] = list_events(Told(), LIFE[0])
    lines = event.encode().decode().splitlines()
    assert lines[:2] == ["event: state", "id: 1-0-0"]
    assert json.loads(lines[2].removeprefix("data: ")) == {"state": STATES[0]}
    assert event.encode().endswith(b"\n\n")
