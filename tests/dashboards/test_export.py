"""The files a Grafana needs, as the command writes them and as Compose mounts them."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML
from typer.testing import CliRunner

from core.cli import app
from tests.dashboards.conftest import BOARDS, FOLDER
from tests.roles import GRAFANA

ROOT = Path(__file__).parents[2]


def test_an_export_has_all_files_and_touches_no_others(tmp_path: Path) -> None:
    mine = tmp_path / "dashboards" / "seqpulse" / "mine.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    for _ in range(2):
        done = CliRunner().invoke(app, ["dashboards", "export", "--dir", str(tmp_path)])
        assert done.exit_code == 0, done.output
    for name in BOARDS:
        board = tmp_path / "dashboards" / "seqpulse" / f"{name}.json"
        assert board.read_bytes() == (FOLDER / f"{name}.json").read_bytes()
    assert mine.read_text() == "{}"
    [provider] = YAML(typ="safe").load(
        (tmp_path / "provisioning" / "dashboards" / "seqpulse.yaml").read_text()
    )["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards/seqpulse"
    source, _ = YAML(typ="safe").load(
        (tmp_path / "provisioning" / "datasources" / "seqpulse.yaml").read_text()
    )["datasources"]
    assert source["user"] == GRAFANA
    assert source["jsonData"]["timescaledb"] is True
    assert source["secureJsonData"] == {"password": "$SEQPULSE_GRAFANA_PASSWORD"}


def test_a_folder_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["dashboards", "export", "--dir", str(tmp_path / "file" / "x")])
    assert done.exit_code != 0
    assert "cannot write to" in str(done.exception)


def test_compose_mounts_what_the_provider_reads() -> None:
    grafana = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    mounted = dict(each.split(":")[:2] for each in grafana["volumes"] if each.startswith("./"))
    for path in mounted:
        assert any((ROOT / path).iterdir()), path
    assert mounted["./dashboards/grafana"] == "/etc/grafana/dashboards/seqpulse"
