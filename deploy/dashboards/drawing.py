"""Turns a board into Grafana's JSON by Grafana's own library."""

import json
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

from deploy.dashboards.panels import Bars, Board, Figure, Graph, Panel, Variable

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="$source")
TAG: Final = "ringmaster"
_FIGURE_HEIGHT, _HEIGHT = 4, 8


def drawn(board: Board) -> str:
    """Return the dashboard's JSON, the same each time."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"ringmaster-{board.name}")
        .description(board.about)
        .tags([TAG])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(dashboard.DashboardLink("Ringmaster").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True))  # noqa: FBT003 - the library's form
        .with_variable(dashboard.DatasourceVariable("source").label("source").type("prometheus"))
    )
    for variable in board.variables:
        made = made.with_variable(_variable(variable))
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made = made.with_panel(_panel(panel))
    text = json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(made.build())), indent=2, ensure_ascii=False)
    return text + "\n"


def _variable(variable: Variable) -> dashboard.QueryVariable:
    query = f"label_values({variable.metric}, {variable.name})"
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.name)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)  # noqa: FBT003 - the library's form
        .include_all(True)  # noqa: FBT003 - the same
        .all_value(".+")
    )


def _panel(panel: Panel) -> Any:
    kinds = {Figure: _figure, Bars: _bars, Graph: _graph}
    made: Any = kinds[type(panel)](panel)
    made = made.title(panel.title).description(panel.about).datasource(SOURCE).unit(panel.unit).span(panel.width)
    made = made.height(_FIGURE_HEIGHT if isinstance(panel, Figure) else _HEIGHT)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expression).ref_id(chr(ord("A") + number)).datasource(SOURCE)
        made = made.with_target(target.legend_format(query.legend) if query.legend else target)
    return made


def _figure(panel: Panel) -> stat.Panel:
    made = stat.Panel().graph_mode(words.BigValueGraphMode.AREA).color_mode(words.BigValueColorMode.VALUE)
    made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return made.thresholds(_thresholds(panel))


def _bars(panel: Panel) -> bargauge.Panel:
    made = bargauge.Panel().display_mode(words.BarGaugeDisplayMode.BASIC)
    made = made.orientation(words.VizOrientation.HORIZONTAL).min(0)
    made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return made.thresholds(_thresholds(panel))


def _graph(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().line_width(1).fill_opacity(12).min(0)
    legend = common.VizLegendOptions().display_mode(words.LegendDisplayMode.LIST)
    made = made.legend(legend.placement(words.LegendPlacement.BOTTOM).show_legend(True))  # noqa: FBT003 - the library's form
    made = made.show_points(words.VisibilityMode.NEVER)
    if isinstance(panel, Graph) and panel.stacks:
        made = made.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL))
    if panel.worse_from or panel.better_from:
        style = common.GraphThresholdsStyleConfig().mode(words.GraphTresholdsStyleMode.DASHED)
        made = made.thresholds(_thresholds(panel)).thresholds_style(style)
    return made


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    colours: list[tuple[str, float | None]] = [("green", None)]
    if panel.worse_from:
        colours = [("green", None), ("orange", panel.worse_from[0]), ("red", panel.worse_from[1])]
    if panel.better_from:
        colours = [("red", None), ("orange", panel.better_from[0]), ("green", panel.better_from[1])]
    steps = [Threshold(value=value, color=colour) for colour, value in colours]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
