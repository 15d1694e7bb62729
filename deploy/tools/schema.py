"""Write what the chart holds of others: values.schema.json and the topics. `--check` only says what is out of date."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from deploy.tools.chart_settings import ROOT, WITH_ROLES, settings_schema, switch_schema

CHART = ROOT / "deploy" / "k8s" / "ringmaster"
SOURCE = ROOT / "deploy" / "k8s" / "values.schema.yaml"


def values_schema() -> dict[str, Any]:
    """Return the schema of the chart's values."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Ringmaster"}
    schema |= yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    schema["$defs"] |= {f"settings-{service}": settings_schema(service) for service in WITH_ROLES}
    schema["$defs"]["settings-freeswitch"] = switch_schema()
    schema["$defs"]["tenant"] = tenant_schema()
    return schema


def tenant_schema() -> dict[str, Any]:
    """Return the schema of a tenant's document as helm reads it: inside another, with patterns in Go's spelling."""
    text = (ROOT / "proto" / "tenant.schema.json").read_text(encoding="utf-8")
    document = json.loads(re.sub(r"\\\\u([0-9a-f]{4})", r"\\\\x{\1}", text))
    return {name: part for name, part in document.items() if not name.startswith("$")}


def wanted() -> dict[Path, str]:
    """Return each file that follows from others, with what it should hold."""
    files = {CHART / "values.schema.json": json.dumps(values_schema(), indent=1, ensure_ascii=False) + "\n"}
    for source in sorted((ROOT / "proto" / "topics").glob("*.yaml")):
        topic = yaml.safe_load(source.read_text(encoding="utf-8"))
        names = ("topic", "owner", "producers", "consumers", "retention_ms", "cleanup")
        files[CHART / "topics" / source.name] = yaml.safe_dump({name: topic[name] for name in names}, sort_keys=False)
    return files


def main() -> int:
    """Write, or with --check compare; return the exit code."""
    files = wanted()
    old = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in files}
    stale = [path for path, text in files.items() if old[path] != text]
    left_over = set((CHART / "topics").glob("*.yaml")) - files.keys()
    if "--check" in sys.argv:
        for path in (*stale, *sorted(left_over)):
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date; type `make deploy-schema`\n")
        return 1 if stale or left_over else 0
    for path in left_over:
        path.unlink()
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
