"""`python -m services.stats.catalogue`: print the metrics as a document for people (docs/metrics.md)."""

import sys

from services.stats.catalogue import load
from services.stats.domain.reports.dictionary import Dictionary, Metric

HEAD = """# Metrics

Written from services/stats/catalogue by `python -m services.stats.catalogue > docs/metrics.md`; change it there.

A metric is computed for each group of a report and for the whole of it: a ratio of totals is never a mean of ratios.
Where a formula divides by nothing there is no value, which is not 0. Durations are seconds, ratios 0 to 1.
"""


def document(dictionary: Dictionary) -> str:
    """Return the document: reports, then each metric with its formula, unit, sources, measures and examples."""
    lines = [HEAD, "## Reports\n", "| report | name | groups | metrics or columns |", "|---|---|---|---|"]
    for report in dictionary.reports.values():
        shown = ", ".join(report.metrics or report.columns)
        lines.append(
            f"| `{report.id}` | {report.names['en']} · {report.names['uk']} | {', '.join(report.groups)} | {shown} |"
        )
    lines.append("\n## Metrics\n")
    for metric in dictionary.metrics.values():
        lines += _metric(dictionary, metric)
    return "\n".join(lines).rstrip() + "\n"


def _metric(dictionary: Dictionary, metric: Metric) -> list[str]:
    sources = ", ".join(dictionary.sources[each].names["en"].lower() for each in dictionary.sources_of([metric.id]))
    lines = [f"### `{metric.id}`: {metric.names['en']} · {metric.names['uk']}\n", f"{metric.about}\n"]
    lines += [f"- formula: `{metric.formula.text}`, unit: {metric.unit}", f"- source: {sources}"]
    lines += [f"- `{name}`: {dictionary.measures[name].about}" for name in metric.formula.names]
    for example in metric.examples:
        given = ", ".join(f"{name} = {value}" for name, value in example.items() if name != "value")
        lines.append(f"- example: {given} gives {example.get('value', 'no value')}")
    return [*lines, ""]


if __name__ == "__main__":
    sys.stdout.write(document(load()))
