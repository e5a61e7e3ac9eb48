#!/usr/bin/env python3
"""Wait for the verdict on a deployment and end with an exit code a pipeline can act on.

One file, Python 3.8 or newer, standard library only: copy it into a repository, or call it as
`seqpulse gate`. The key comes by SEQPULSE_API_KEY only. See docs/ci.md.

exit codes:
  0   go on: ok, or a warning that was not asked to fail
  10  warning (with --fail-on warning)
  20  rollback_recommended
  30  inconclusive: the data could not carry a verdict (see --accept-inconclusive)
  40  no verdict within --timeout
  2   wrong usage
  3   the server refuses: key, URL, certificate or an unknown deployment
  4   the server cannot be reached, or talks nonsense
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import IntEnum
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any, Callable, Iterator, Sequence, TypeVar

T = TypeVar("T")

WAIT_SECONDS = 25
REQUEST_SECONDS = 15
MOST_BYTES = 8_000_000
VERDICTS = ("ok", "warning", "rollback_recommended")
METRICS = {
    "requests_per_sec": ("traffic", "req/s", 1),
    "latency_p95": ("latency p95", "ms", 1),
    "error_rate": ("error rate", "%", 100),
    "cpu_usage": ("CPU", "%", 100),
    "memory_usage": ("memory", "%", 100),
}


class Exit(IntEnum):
    """How the gate ends."""

    OK = 0
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    WARNING = 10
    ROLLBACK = 20
    INCONCLUSIVE = 30
    TIMEOUT = 40


COLOURS = {Exit.OK: 32, Exit.WARNING: 33, Exit.INCONCLUSIVE: 33, Exit.TIMEOUT: 33}
MARKS = {Exit.OK: "✅", Exit.WARNING: "⚠️", Exit.ROLLBACK: "🛑", Exit.INCONCLUSIVE: "❔"}


class GateError(Exception):
    """No verdict, and why."""

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class PassingError(Exception):
    """The server could not answer just now; `pause` is how long it asks to be left alone, in s."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass
class Result:
    """What came of it.

    Attributes:
        code: What the verdict (or the lack of one) says, whatever --advisory makes of it.
        reason: In words.
        answer: The verdict as the API gave it; empty without one.
        about: The deployment as the API gave it; empty if unknown.
    """

    code: Exit
    reason: str
    answer: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


# Asking


class SameServer(urllib.request.HTTPRedirectHandler):
    """Follows redirects on the same server, or to its https; the key goes nowhere else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request; None makes the redirect the answer."""
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
        if (old.scheme, old.netloc) != (new.scheme, new.netloc) and not upgraded:
            return None
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            for name, value in req.unredirected_hdrs.items():
                following.add_unredirected_header(name, value)
        return following


@dataclass
class Server:
    """A SeqPulse API; asked with the key, never longer than it is said."""

    url: str
    key: str = field(repr=False)

    def get(self, path: str, seconds: float) -> tuple[int, Any, bytes]:
        """Return status, headers and body.

        Raises:
            GateError: Asking again would not help.
            PassingError: It might.
        """
        request = urllib.request.Request(self.url + path)  # noqa: S310 - http(s), see check_url
        request.add_unredirected_header("X-API-Key", self.key)
        request.add_header("User-Agent", "seqpulse-gate")
        opener = urllib.request.build_opener(SameServer)

        def work() -> tuple[int, Any, bytes]:
            try:
                with opener.open(request, timeout=seconds) as response:
                    return response.status, response.headers, response.read(MOST_BYTES)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers, error.read(MOST_BYTES)

        try:
            status, headers, body = bounded(work, seconds)
        except Exception as error:  # noqa: BLE001 - urllib raises whatever it meets
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise GateError(Exit.REFUSED, "the server's certificate is not trusted") from None
            raise PassingError(f"{type(reason).__name__}: {line(reason)}") from None
        if status < 300:
            return status, headers, body
        pause = read_pause(headers.get("Retry-After"))
        if status in (408, 425, 429) or status >= 500:
            raise PassingError(f"status {status}", pause)
        if status < 400:
            place = line(headers.get("Location"))
            raise GateError(Exit.REFUSED, f"redirected to {place or 'nowhere'}: check --url")
        raise GateError(Exit.REFUSED, f"status {status}: {line(read_object(body).get('detail'))}")


def bounded(work: Callable[[], T], seconds: float) -> T:
    """Return what `work` does, or give up; urllib bounds neither name look-ups nor slow drips."""
    done: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue()

    def run() -> None:
        try:
            done.put((work(), None))
        except Exception as error:  # noqa: BLE001 - raised again below
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def read_pause(text: str | None) -> float:
    """Return what a Retry-After asks for, in seconds; 0 for none."""
    try:
        return min(max(float(int(text or "0")), 0.0), 60.0)
    except ValueError:
        pass
    try:
        return min(max(parsedate_to_datetime(text or "").timestamp() - time.time(), 0.0), 60.0)
    except (TypeError, ValueError):
        return 0.0


def read_object(body: bytes) -> dict[str, Any]:
    """Return the object in a body; an empty one if there is none."""
    try:
        found = json.loads(body.decode())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def wait(server: Server, options: argparse.Namespace, say: Callable[[str], None]) -> Result:
    """Ask until there is a verdict.

    Raises:
        GateError: There was none in time, or there is nobody to ask.
    """
    end = time.monotonic() + options.timeout
    failures, hold, told, failed = 0, WAIT_SECONDS, "no answer yet", False
    while True:
        left = end - time.monotonic()
        if left <= 0.05:
            code = Exit.UNREACHABLE if failed else Exit.TIMEOUT
            raise GateError(code, f"no verdict within {options.timeout:g} s: {told}")
        seconds = max(min(hold, int(left) - 1), 0)
        query = f"?wait={seconds}" if seconds else ""
        asked = time.monotonic()
        failed = True
        try:
            status, headers, body = server.get(
                f"/deployments/{options.deployment}/verdict{query}",
                min(seconds + REQUEST_SECONDS, left),
            )
            answer = read_object(body)
            if status == 200 and answer.get("verdict") in VERDICTS:
                return decide(answer, options)
            if status != 202:
                raise PassingError(f"status {status}, but no verdict in it")
            failures, failed = 0, False
            told = line(answer.get("message")) or "no verdict yet"
            # A server that held the request has waited for us already.
            held = time.monotonic() - asked >= seconds / 2 > 0
            pause = 0.0 if held else read_pause(headers.get("Retry-After")) or 5.0
        except PassingError as error:
            failures += 1
            told = f"{error}"
            if failures > options.retries:
                reason = f"{options.url} cannot be asked, {failures} times in a row: {told}"
                raise GateError(Exit.UNREACHABLE, reason) from None
            hold = 0  # whoever stands between may not bear requests that are held
            backoff = min(2.0 ** (failures - 1), 30.0)
            pause = max(error.pause, backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        say(told)
        time.sleep(max(min(pause, (end - time.monotonic()) / 2), 0.0))


# Deciding


def decide(answer: dict[str, Any], options: argparse.Namespace) -> Result:
    """Return what the verdict means for the pipeline."""
    verdict, conclusive = answer["verdict"], answer.get("conclusive") is True
    code = Exit.OK
    if verdict == "rollback_recommended":
        code = Exit.ROLLBACK
    elif not conclusive and not options.accept_inconclusive:
        code = Exit.INCONCLUSIVE
    elif verdict == "warning" and options.fail_on == "warning":
        code = Exit.WARNING
    sure = "" if conclusive else ", not conclusive"
    because = line(answer.get("reason_code")).replace("_", " ")
    failed = "; ".join(describe(each) for each in list_evidence(answer) if each.get("failed"))
    return Result(code, f"{verdict}{sure}: {because}{' - ' if failed else ''}{failed}", answer)


def list_evidence(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of evidence that are about metrics we know."""
    rows = answer.get("evidence")
    return [
        each
        for each in (rows if isinstance(rows, list) else [])
        if isinstance(each, dict) and each.get("metric") in tuple(METRICS)
    ]


def describe(row: dict[str, Any]) -> str:
    """Return a metric's levels in one phrase."""
    name, before, after = METRICS[row["metric"]][0], level(row, "expected"), level(row, "observed")
    return f"{name} {after} against {before} before"


def level(row: dict[str, Any], key: str) -> str:
    """Return a level in the unit people read it in."""
    _, unit, factor = METRICS[row["metric"]]
    try:
        shown = float(row[key]) * factor
    except (KeyError, TypeError, ValueError, OverflowError):
        return "unknown"
    return f"{shown:.0f} {unit}" if 999.5 <= abs(shown) < 1e6 else f"{shown:.3g} {unit}"


# Telling


def line(text: object) -> str:
    """Return text from outside on one line, without what a terminal or a log would act on."""
    shown = "" if text is None else f"{text}"
    return "".join(each if each.isprintable() else " " for each in shown)[:500].strip()


def mark_up(text: object) -> str:
    """Return text from outside such that Markdown shows it as it is."""
    return re.sub(r"[^\w\s,.%/;()']|_|^\d", lambda found: f"&#{ord(found[0])};", line(text))


def quote(text: object) -> str:
    """Return text from outside as code in Markdown, where nothing is a link or a mention."""
    return f"`{line(text).replace('`', ' ')}`"


def write_markdown(result: Result, link: str) -> str:
    """Return the summary."""
    about, rows = result.about, list_evidence(result.answer)
    what = " to ".join(quote(about[key]) for key in ("branch", "env") if about.get(key))
    parts = [f"### {MARKS.get(result.code, '❌')} SeqPulse: {mark_up(result.reason)}", ""]
    parts += [f"Deployment of {what}.", ""] if what else []
    if rows:
        parts += ["| metric | before | after | finding |", "|---|---|---|---|"]
    for row in rows:
        words = (row.get(key) for key in ("attribution", "direction", "pattern"))
        finding = " ".join(mark_up(word).replace("_", " ") for word in words if word)
        name = (
            f"**{METRICS[row['metric']][0]}**" if row.get("failed") else METRICS[row["metric"]][0]
        )
        parts.append(
            f"| {name} | {level(row, 'expected')} | {level(row, 'observed')} | {finding} |"
        )
    hints = result.answer.get("hints")
    for hint in hints if isinstance(hints, list) else []:
        if isinstance(hint, dict):
            parts += ["", f"**{mark_up(hint.get('title'))}** {mark_up(hint.get('diagnosis'))}", ""]
            actions = hint.get("actions")
            parts += [
                f"1. {mark_up(each)}" for each in (actions if isinstance(actions, list) else [])
            ]
    return "\n".join([*parts, "", f"Report: <{link}>", ""])


def write_junit(result: Result, *, advisory: bool) -> bytes:
    """Return the verdict and its metrics as a test report."""
    fails = bool(result.code) and not advisory
    cases: list[tuple[str, bool, str]] = [("verdict", fails, result.reason)]
    for row in list_evidence(result.answer):
        bad = fails and row.get("failed") is True
        cases.append((METRICS[row["metric"]][0], bad, describe(row)))
    count = str(sum(bad for _, bad, _ in cases))
    suite = ET.Element("testsuite", name="seqpulse", tests=str(len(cases)), failures=count)
    for name, bad, text in cases:
        case = ET.SubElement(suite, "testcase", classname="seqpulse", name=name)
        if bad:
            ET.SubElement(case, "failure", message=text, type=result.code.name.lower())
        else:
            ET.SubElement(case, "system-out").text = text
    whole = ET.Element("testsuites")
    whole.append(suite)
    written: bytes = ET.tostring(whole, encoding="utf-8")
    return written


def list_outputs(result: Result, options: argparse.Namespace, link: str) -> dict[str, str]:
    """Return what later steps of a pipeline may want to know."""
    return {
        "deployment_id": options.deployment,
        "verdict": result.answer.get("verdict", ""),
        "conclusive": json.dumps(result.answer.get("conclusive") is True),
        "reason_code": re.sub(r"\W", "_", line(result.answer.get("reason_code"))),
        "outcome": result.code.name.lower(),
        "exit_code": str(0 if options.advisory else int(result.code)),
        "report_url": link,
    }


def write_github(outputs: dict[str, str]) -> str:
    """Return outputs for $GITHUB_OUTPUT; a delimiter nobody can guess ends each."""
    end = uuid.uuid4().hex
    return "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in outputs.items())


def tell(result: Result, options: argparse.Namespace) -> None:
    """Print the one line and write what was asked for."""
    link = f"{options.url}/deployments/{options.deployment}/report"
    outputs = list_outputs(result, options, link)
    code = f"exit {int(result.code)}"
    text = f"{result.reason} ({f'advisory: would be {code}' if options.advisory else code})"
    if options.json:
        said = {**outputs, "reason": result.reason, "answer": result.answer or None}
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.getenv("TERM") == "dumb"
        head, tail = ("", "") if plain else (f"\x1b[{COLOURS.get(result.code, 31)}m", "\x1b[0m")
        sys.stdout.write(f"{head}seqpulse: {text}{tail}\n")
    sys.stdout.flush()
    for path, content, mode in list_files(result, options, outputs, link):
        write(path, content, mode)


def write(path: str, content: bytes, mode: str = "wb") -> None:
    """Write a file; if that fails it is said, and the verdict stands."""
    try:
        with Path(path).open(mode) as file:
            file.write(content)
    except OSError as error:
        sys.stderr.write(f"seqpulse: {path} cannot be written: {error.strerror}\n")


def list_files(
    result: Result, options: argparse.Namespace, outputs: dict[str, str], link: str
) -> Iterator[tuple[str, bytes, str]]:
    """Yield which file gets what, and how it is opened."""
    summary = write_markdown(result, link).encode(errors="replace")
    if options.markdown:
        yield options.markdown, summary, "wb"
    if os.getenv("GITHUB_STEP_SUMMARY"):
        yield os.environ["GITHUB_STEP_SUMMARY"], summary, "ab"
    if os.getenv("GITHUB_OUTPUT"):
        yield os.environ["GITHUB_OUTPUT"], write_github(outputs).encode(), "ab"
    if options.dotenv:
        lines = (f"SEQPULSE_{name.upper()}={value}\n" for name, value in outputs.items())
        yield options.dotenv, "".join(lines).encode(), "wb"
    if options.junit:
        yield options.junit, write_junit(result, advisory=options.advisory), "wb"


# Beginning


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments; wrong ones end the program with 2."""
    parser = argparse.ArgumentParser(
        prog="seqpulse gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "deployment",
        nargs="?",
        default=os.getenv("SEQPULSE_DEPLOYMENT_ID", ""),
        help="id of the deployment, or - to read it (or the answer of trigger) from the standard "
        "input; default: SEQPULSE_DEPLOYMENT_ID",
    )
    add("--url", default=os.getenv("SEQPULSE_BASE_URL", ""), help="default: SEQPULSE_BASE_URL")
    add("--timeout", type=seconds, default=1800.0, metavar="S", help="wait so long; default: 1800")
    add("--retries", type=int, default=8, metavar="N", help="failures in a row; default: 8")
    add("--fail-on", choices=("warning", "rollback"), default="rollback")
    add("--accept-inconclusive", action="store_true", help="go by the verdict all the same")
    add("--advisory", action="store_true", help="end with 0 whatever is found, and say it")
    add("--json", action="store_true", help="print one line of JSON instead")
    add("--markdown", metavar="FILE", help="write the summary")
    add("--junit", metavar="FILE", help="write a JUnit report")
    add("--dotenv", metavar="FILE", help="write variables for later jobs of GitLab")
    add("--report", metavar="FILE", help="save the HTML report")
    return parser


def seconds(text: str) -> float:
    """Return a length of time between nothing and a day."""
    value = float(text)
    if not 0 < value <= 86_400:
        raise ValueError(text)
    return value


def check(options: argparse.Namespace) -> Server:
    """Return the server to ask, and make the options what they stand for.

    Raises:
        GateError: Something is missing or cannot be.
    """
    if options.deployment == "-":
        text = sys.stdin.read(MOST_BYTES)
        options.deployment = str(read_object(text.encode()).get("deployment_id") or text)
    options.deployment, options.url = options.deployment.strip(), options.url.strip().rstrip("/")
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", options.deployment):
        shown = line(options.deployment)[:80]
        raise GateError(Exit.USAGE, f"not the id of a deployment: {shown!r}")
    check_url(options.url)
    for path in (options.markdown, options.junit, options.dotenv, options.report):
        if path and (Path(path).is_dir() or not Path(path).parent.is_dir()):
            raise GateError(Exit.USAGE, f"{path} cannot be written")
    key = os.getenv("SEQPULSE_API_KEY", "").strip()
    if not re.fullmatch(r"[!-~]+", key):
        raise GateError(Exit.REFUSED, "SEQPULSE_API_KEY is not set, or is no key")
    return Server(options.url, key)


def check_url(url: str) -> None:
    """Make sure that this is where an API may be.

    Raises:
        GateError: It is not.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise GateError(Exit.USAGE, "--url is no URL") from None
    if not good or not re.fullmatch(r"[!-~]+", url):
        raise GateError(Exit.USAGE, "--url (or SEQPULSE_BASE_URL) must be http(s)://HOST")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise GateError(Exit.USAGE, "--url must not carry credentials, a query or a fragment")


def look_closer(server: Server, options: argparse.Namespace, result: Result) -> None:
    """Fetch what is good to have, too; whatever goes wrong here changes nothing."""
    path = f"/deployments/{options.deployment}"
    try:
        result.about = read_object(server.get(path, 5)[2])
        if options.report:
            write(options.report, server.get(f"{path}/report", REQUEST_SECONDS)[2])
    except (GateError, PassingError) as error:
        sys.stderr.write(f"seqpulse: {error}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gate and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a letter it lacks must not cost the exit code
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    told = ""

    def say(text: str) -> None:
        nonlocal told
        if text != told:
            sys.stderr.write(f"seqpulse: waiting: {text}\n")
        told = text

    try:
        server = check(options)
        say(f"at most {options.timeout:g} s for the verdict on {options.deployment}")
        result = wait(server, options, say)
        look_closer(server, options, result)
    except GateError as error:
        result = Result(error.code, f"no verdict: {error}")
    except KeyboardInterrupt:
        return 130
    tell(result, options)
    return 0 if options.advisory else int(result.code)


if __name__ == "__main__":
    sys.exit(main())
