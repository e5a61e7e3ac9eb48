"""The gate as a program of its own, against servers that behave badly, and its outputs."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import seqpulse_gate
from seqpulse_gate import Exit, Result

GATE = Path(seqpulse_gate.__file__)
ID = "01234567-89ab-7def-8123-456789abcdef"
KEY = "sp_0123_secret-of-the-tests"
OK: dict[str, Any] = {
    "verdict": "ok",
    "conclusive": True,
    "reason_code": "no_regression",
    "evidence": [],
    "hints": [],
}

Reply = bytes | Callable[[socket.socket], None]


def answer(status: int, body: object, *headers: str) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "\r\n".join((f"HTTP/1.1 {status} x", f"Content-Length: {len(text)}", *headers))
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + text


@dataclass
class Scripted:
    """A server that says what it is told to; the last reply is repeated."""

    port: int
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [head.split()[1] for head in self.heads]


@contextmanager
def scripted(*replies: Reply) -> Iterator[Scripted]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(listener.getsockname()[1])

        def serve() -> None:
            for number in range(1000):
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return  # the test is over
                with peer:
                    server.heads.append(peer.recv(65536).decode())
                    reply = replies[min(number, len(replies) - 1)]
                    if isinstance(reply, bytes):
                        peer.sendall(reply)
                    else:
                        reply(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def gate(
    *arguments: str, url: str = "", stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    env = {"SEQPULSE_API_KEY": KEY, "SEQPULSE_BASE_URL": url, **environment}
    return subprocess.run(
        [sys.executable, "-P", str(GATE), *arguments],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def drip(peer: socket.socket) -> None:
    """Never silent for long, never done."""
    try:
        while True:
            peer.sendall(b"H")
            threading.Event().wait(0.05)
    except OSError:
        pass


@pytest.mark.parametrize(
    "reply",
    [
        reset,
        drip,
        b"",
        b"\x00\xff\r\n\r\n",
        answer(500, {"detail": "x"}),
        answer(502, b"<html>"),
        answer(200, b"<html>a page of some proxy"),
        answer(200, {"verdict": "fine"}),
        answer(200, {"verdict": ["ok"]}),
        answer(200, b"[" * 100_000),
        answer(204, b""),
    ],
    ids=lambda reply: getattr(reply, "__name__", str(reply)[:40]),
)
def test_nonsense_is_asked_about_again_until_time_is_up(reply: Reply) -> None:
    with scripted(reply) as server:
        done = gate(ID, "--timeout", "0.8", url=server.url)
    assert done.returncode == Exit.UNREACHABLE
    assert done.stdout.startswith("seqpulse: no verdict")
    assert "Traceback" not in done.stderr


def test_failures_in_a_row_are_enough_before_time_is_up() -> None:
    with scripted(answer(500, {})) as server:
        done = gate(ID, "--retries", "1", url=server.url)
    assert (done.returncode, len(server.heads)) == (Exit.UNREACHABLE, 2)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = gate(ID, "--retries", "0", url=f"http://127.0.0.1:{port}")
    assert (done.returncode, "refused" in done.stdout) == (Exit.UNREACHABLE, True)


def test_what_passes_is_survived_and_requests_are_held_no_more() -> None:
    wait = answer(202, {"message": "no verdict yet: the deployment is running"}, "Retry-After: 0")
    with scripted(reset, answer(503, {}, "Retry-After: 0"), answer(200, OK)) as server:
        done = gate(ID, url=server.url)
    assert (done.returncode, done.stdout) == (0, "seqpulse: ok: no regression (exit 0)\n")
    path = f"/deployments/{ID}/verdict"
    assert server.paths[:3] == [f"{path}?wait=25", path, path]
    with scripted(wait, answer(429, {}, "Retry-After: 1"), answer(200, OK)) as server:
        assert gate(ID, "--retries", "1", url=server.url).returncode == 0


def test_a_server_that_does_not_hold_requests_is_asked_when_it_says() -> None:
    wait = answer(202, {"message": "the deployment is running"}, "Retry-After: 1")
    with scripted(wait, wait, answer(200, OK)) as server:
        done = gate(ID, url=server.url)
    assert done.returncode == 0
    assert done.stderr.splitlines()[1:] == ["seqpulse: waiting: the deployment is running"]  # once


def test_a_server_that_holds_requests_is_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("seqpulse_gate.time.sleep", pauses.append)
    monkeypatch.setattr(seqpulse_gate, "WAIT_SECONDS", 1)
    wait = answer(202, {}, "Retry-After: 60")

    def hold(peer: socket.socket) -> None:
        threading.Event().wait(0.6)
        peer.sendall(wait)

    for first, pause in ((hold, 0), (wait, 60)):
        with scripted(first, answer(200, OK)) as server:
            options = seqpulse_gate.parser().parse_args([ID, "--url", server.url])
            asked = seqpulse_gate.Server(server.url, KEY)
            assert seqpulse_gate.wait(asked, options, print).code == Exit.OK
        assert pauses.pop() == pause


def test_without_a_verdict_it_times_out_and_says_what_is_known() -> None:
    wait = answer(202, {"message": "the deployment is running\n::error::x"}, "Retry-After: 1")
    with scripted(wait) as server:
        done = gate(ID, "--timeout", "1", url=server.url)
    assert done.returncode == Exit.TIMEOUT
    assert done.stdout == (
        "seqpulse: no verdict: no verdict within 1 s: the deployment is running ::error::x "
        "(exit 40)\n"
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_server_never_carries_the_key(status: int) -> None:
    with scripted(answer(200, OK)) as other:
        place = f"Location: {other.url}/deployments/{ID}/verdict"
        with scripted(answer(status, b"", place)) as server:
            done = gate(ID, url=server.url)
        assert (done.returncode, "redirected" in done.stdout) == (Exit.REFUSED, True)
        assert not other.heads
    assert KEY not in done.stdout + done.stderr


def test_a_redirect_on_the_same_server_is_followed_with_the_key() -> None:
    with scripted(answer(308, b"", "Location: /moved"), answer(200, OK)) as server:
        assert gate(ID, url=server.url).returncode == 0
    assert server.paths[1] == "/moved"
    assert all(f"X-API-Key: {KEY}".lower() in head.lower() for head in server.heads)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_final(status: int) -> None:
    with scripted(answer(status, {"detail": "no \x1b[31mway\n"})) as server:
        done = gate(ID, url=server.url)
    assert (done.returncode, len(server.heads)) == (Exit.REFUSED, 1)
    assert done.stdout == f"seqpulse: no verdict: status {status}: no  [31mway (exit 3)\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("not-an-id",),
        (f"{ID}/../x",),
        (ID, "--timeout", "0"),
        (ID, "--timeout", "nan"),
        (ID, "--no-such-option"),
        (ID, "--fail-on", "anything"),
        (ID, "--url", "ftp://127.0.0.1"),
        (ID, "--url", "file:///etc/passwd"),
        (ID, "--url", "http://user:pass@127.0.0.1"),
        (ID, "--url", "http://127.0.0.1:1/?a=b"),
        (ID, "--url", "http://127.0.0.1:1/a b"),
        (ID, "--url", "http://[::1"),
        (ID, "--url", "http://127.0.0.1:99999"),
        (ID, "--junit", "/no/such/folder/file"),
        (ID, "--markdown", "."),
    ],
    ids=str,
)
def test_wrong_usage_is_told_apart(arguments: tuple[str, ...]) -> None:
    done = gate(*arguments, url="http://127.0.0.1:1")
    assert done.returncode == Exit.USAGE
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("key", ["", " ", "a\nb", "schlüssel"])
def test_without_a_key_nobody_is_asked(key: str) -> None:
    done = gate(ID, url="http://127.0.0.1:1", SEQPULSE_API_KEY=key)
    assert (done.returncode, "SEQPULSE_API_KEY" in done.stdout) == (Exit.REFUSED, True)


def test_a_proxy_is_used_as_the_environment_says() -> None:
    with scripted(answer(200, OK)) as proxy:
        done = gate(ID, url="http://seqpulse.invalid", http_proxy=proxy.url)
    assert done.returncode == 0
    assert proxy.paths[0].startswith("http://seqpulse.invalid/deployments/")


@pytest.mark.parametrize(
    ("given", "stdin", "environment"),
    [
        ("-", json.dumps({"deployment_id": ID, "status": "created"}), {}),
        ("-", f"{ID}\n", {}),
        (ID.upper(), "", {}),
        (None, "", {"SEQPULSE_DEPLOYMENT_ID": ID}),
    ],
)
def test_the_deployment_is_found_where_pipelines_have_it(
    given: str | None, stdin: str, environment: dict[str, str]
) -> None:
    with scripted(answer(200, OK)) as server:
        arguments = [given] if given else []
        done = gate(*arguments, url=server.url, stdin=stdin, **environment)
    assert done.returncode == 0
    assert ID in server.paths[0].lower()


def test_advisory_says_what_it_would_have_been() -> None:
    done = gate(ID, "--advisory", url="nowhere")
    assert (done.returncode, "would be exit 2" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer(200, OK | {"verdict": "rollback_recommended", "reason_code": "\u2192"}), 20),
        (answer(404, {"detail": "\u2192"}), 3),
    ],
)
def test_letters_the_output_lacks_do_not_cost_the_exit_code(reply: Reply, code: int) -> None:
    with scripted(reply) as server:
        done = gate(ID, url=server.url, PYTHONIOENCODING="ascii:strict")
    assert (done.returncode, "\\u2192" in done.stdout) == (code, True)


def test_as_json_it_is_one_line_for_machines() -> None:
    with scripted(answer(200, OK)) as server:
        done = gate(ID, "--json", url=server.url)
    said = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert (said["exit_code"], said["answer"]) == ("0", OK)
    assert said["report_url"] == f"{server.url}/deployments/{ID}/report"


HOSTILE = "x</testcase>]]>|`<script>\n::set-output name=verdict::ok\nverdict=ok\r[a](javascript:b)"


def test_hostile_answers_cannot_forge_outputs(tmp_path: Path) -> None:
    evil = {
        "verdict": "rollback_recommended",
        "conclusive": True,
        "reason_code": HOSTILE,
        "branch": HOSTILE,
        "env": HOSTILE,
        "evidence": [
            {"metric": "error_rate", "failed": True, "observed": 10**400, "pattern": HOSTILE},
            {"metric": [], "failed": True},
            HOSTILE,
        ],
        "hints": [{"title": HOSTILE, "diagnosis": {}, "actions": [HOSTILE]}, {"actions": 1}, None],
    }
    names = ("summary", "output", "dotenv", "junit", "markdown")
    files = {name: tmp_path / name for name in names}
    with scripted(answer(200, evil)) as server:
        done = gate(
            ID,
            *(f"--{name}={files[name]}" for name in names[2:]),
            url=server.url,
            GITHUB_STEP_SUMMARY=str(files["summary"]),
            GITHUB_OUTPUT=str(files["output"]),
        )
    assert (done.returncode, done.stdout.count("\n")) == (Exit.ROLLBACK, 1)
    assert done.stderr.count("\n") == 1
    outputs = read_outputs(files["output"].read_text())
    variables = dict(text.split("=", 1) for text in files["dotenv"].read_text().splitlines())
    assert outputs == {
        name.removeprefix("SEQPULSE_").lower(): value for name, value in variables.items()
    }
    assert (outputs["verdict"], outputs["exit_code"]) == ("rollback_recommended", "20")
    assert [case.get("name") for case in ET.parse(files["junit"]).iter("testcase")] == [
        "verdict",
        "error rate",
    ]
    assert files["summary"].read_text() == files["markdown"].read_text()


def read_outputs(text: str) -> dict[str, str]:
    """As GitHub reads them."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, end = line.split("<<")
        found[name] = "\n".join(iter(lines.__next__, end))
    return found


MARKUP = [
    "<b>x</b>",
    "<!-- x -->",
    "[a](javascript:b)",
    "![a](b)",
    "<https://a.example>",
    "# a",
    "- a",
    "1. a",
    "2) a",
    "> a",
    "**a** *b* _c_ __d__",
    "`a` ``b",
    "a\n\n# b",
    "a | b |",
    "&lt;b&gt;",
    "\\*a\\*",
    "---",
]


@given(st.text(max_size=80) | st.text("<>[]()`|*_#!&\\\n:/.@ab1-", max_size=80))
def test_whatever_a_branch_is_called_markdown_shows_its_text_only(hostile: str) -> None:
    assert outline(hostile) == outline("x")


@pytest.mark.parametrize("hostile", MARKUP)
def test_markup_of_all_kinds_is_shown_as_it_is(hostile: str) -> None:
    assert outline(hostile) == outline("x")


def outline(hostile: str) -> list[tuple[str, object]]:
    """What a summary is made of, to somebody who reads Markdown."""
    text = hostile if seqpulse_gate.line(hostile) else "x"  # of nothing there is nothing to show
    hint = {"title": text, "diagnosis": text, "actions": [text]}
    reply = {"hints": [hint], "evidence": [{"metric": "cpu_usage", "pattern": text}]}
    result = Result(Exit.WARNING, text, reply, {"branch": text, "env": text})
    summary = seqpulse_gate.write_markdown(result, "https://seqpulse.example/report")
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = [
        inner for token in markdown.parse(summary) for inner in (token, *(token.children or ()))
    ]
    return [
        (each.type, each.attrs.get("href"))
        for each in tokens
        if each.type not in ("text", "text_special")
    ]


@given(st.text(max_size=80))
def test_whatever_a_reason_is_junit_stays_well_formed(hostile: str) -> None:
    result = Result(Exit.ROLLBACK, seqpulse_gate.line(hostile), {})
    suite = ET.fromstring(seqpulse_gate.write_junit(result, advisory=False))
    assert len(list(suite.iter())) == 4


def test_a_failed_metric_fails_its_case_only_where_the_gate_fails() -> None:
    row = {"metric": "latency_p95", "failed": True, "expected": 100.0, "observed": 250.0}
    result = Result(Exit.ROLLBACK, "bad", {"evidence": [row]})
    suite = ET.fromstring(seqpulse_gate.write_junit(result, advisory=False))
    assert [case.find("failure") is not None for case in suite.iter("testcase")] == [True, True]
    suite = ET.fromstring(seqpulse_gate.write_junit(result, advisory=True))
    assert [case.find("failure") is not None for case in suite.iter("testcase")] == [False, False]


def test_old_images_can_read_it() -> None:
    ast.parse(GATE.read_text(), feature_version=(3, 8))
