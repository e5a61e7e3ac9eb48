"""Puts the boards and how Grafana finds them into a folder, for a Grafana that is there already."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


def export(folder: Path) -> list[Path]:
    """Write boards and provisioning files; return what was written.

    Files of the same name are written anew; others stay.

    Args:
        folder: Is made if it is not there. It has the layout of /etc/grafana.
    """
    found = [(path, "dashboards/seqpulse") for path in sorted(_HERE.glob("grafana/*.json"))]
    found += [
        (_HERE / "provisioning" / kind / "seqpulse.yaml", f"provisioning/{kind}")
        for kind in ("dashboards", "datasources")
    ]
    written = []
    for path, place in found:
        (folder / place).mkdir(parents=True, exist_ok=True)
        written.append(Path(shutil.copyfile(path, folder / place / path.name)))
    return written
