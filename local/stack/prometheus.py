"""A Prometheus that scrapes the stack and judges by the platform's own rules."""

import json
import shutil
from pathlib import Path

from local.stack.layout import ROOT, Layout
from local.stack.part import Part, PartFailed, answers
from local.stack.parts import SERVICES

RULES = ROOT / "deploy" / "k8s" / "ringmaster" / "rules"
SCRAPE_SECONDS = 2


def prometheus(layout: Layout) -> Part:
    """Return the part. Raises PartFailed where there is no Prometheus."""
    program = shutil.which("prometheus")
    if program is None:
        raise PartFailed("There is no prometheus on the PATH. On a Debian: apt-get install prometheus")
    config = layout.path("prometheus", "prometheus.yaml")
    config.write_text(json.dumps(_config(layout)), encoding="utf-8")  # JSON is YAML
    address = layout.address("prometheus")
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={layout.path('prometheus', 'data')}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    ready, log = layout.url("prometheus", "/-/ready"), layout.path("logs", "prometheus.log")
    return Part("prometheus", command, lambda: answers(ready), log, gives_way=True)


def is_installed() -> bool:
    """Whether this machine has a Prometheus."""
    return shutil.which("prometheus") is not None


def rule_files() -> list[Path]:
    """Return the platform's rules, without their tests."""
    return sorted(path for path in RULES.glob("*.yaml") if not path.name.endswith(".test.yaml"))


def _config(layout: Layout) -> dict[str, object]:
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": [str(path) for path in rule_files()],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [layout.address(name)]}]} for name in SERVICES
        ],
    }
