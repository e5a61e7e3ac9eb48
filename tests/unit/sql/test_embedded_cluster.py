from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import EmbeddedError
from sql.embedded import cluster
from sql.embedded.cluster import PidFile, Place, check_machine, read_complaint, read_pid_file
from sql.embedded.launch import PORTS, candidate_ports

PID_FILE = "41\n/data\n1700000000\n23456\n\n127.0.0.1\n  1234  5\nready   \n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    (place.cluster / "log").mkdir(parents=True)
    return place


def test_a_complete_pid_file(place: Place) -> None:
    (place.cluster / "postmaster.pid").write_text(PID_FILE)
    assert read_pid_file(place) == PidFile(pid=41, port=23_456, ready=True)


@pytest.mark.parametrize("text", [PID_FILE.replace("ready", "starting"), PID_FILE[:50]])
def test_a_server_that_is_not_ready_yet(place: Place, text: str) -> None:
    (place.cluster / "postmaster.pid").write_text(text)
    assert read_pid_file(place) == PidFile(pid=41, port=23_456, ready=False)


@pytest.mark.parametrize("text", ["", "41\n", "41\n/data\n17\n", "x\n/data\n1\n2\n"])
def test_a_half_written_pid_file(place: Place, text: str) -> None:
    (place.cluster / "postmaster.pid").write_text(text)
    assert read_pid_file(place) is None


def test_no_pid_file(place: Place) -> None:
    assert read_pid_file(place) is None


def test_the_last_port_is_tried_first(place: Place) -> None:
    place.port.write_text("4321\n")
    first, *others = candidate_ports(place)
    assert first == 4321
    assert others
    assert set(others) <= set(PORTS)


@pytest.mark.parametrize("text", ["", "none", "0", "65536", "-1"])
def test_a_port_file_of_nonsense_is_ignored(place: Place, text: str) -> None:
    place.port.write_text(text)
    assert set(candidate_ports(place)) <= set(PORTS)


def test_a_server_that_never_opened_its_log(place: Place) -> None:
    (place.cluster / "log" / "server-Mon.log").write_text("FATAL:  of last week\n")
    place.output.write_text("FATAL:  of now\n")
    assert read_complaint(place) == "FATAL: of now"


def test_a_server_that_opened_its_log(place: Place) -> None:
    place.output.write_text("LOG:  redirecting log output to logging collector process\n")
    (place.cluster / "log" / "server-Mon.log").write_text(
        "LOG:  starting PostgreSQL\nFATAL:  before\nLOG:  starting PostgreSQL\nFATAL:  now\n"
    )
    assert read_complaint(place) == "FATAL: now"


def test_a_long_log_is_read_from_its_end(place: Place) -> None:
    place.output.write_bytes(b"FATAL:  old\n" + b"LOG:  \xff\n" * 100_000 + b"FATAL:  new\n")
    assert read_complaint(place) == "FATAL: new"


def test_a_machine_without_time_zones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "ZONES", tmp_path / "zoneinfo" / "UTC")
    with pytest.raises(EmbeddedError, match="tzdata"):
        check_machine()
