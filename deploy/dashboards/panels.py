"""What a dashboard is made of, before it is drawn."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the name of its lines; `$tenant` and its like are the board's variables."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `unit` is Grafana's word for it; `worse_from` colours figures: (amber from, red from)."""

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    worse_from: tuple[float, float] | None = None
    better_from: tuple[float, float] | None = None
    """The same where more is better: (amber from, green from)."""


@dataclass(frozen=True, slots=True)
class Figure(Panel):
    """A single number, with its course behind it."""

    width: int = 4


@dataclass(frozen=True, slots=True)
class Graph(Panel):
    """Lines over time."""

    stacks: bool = False


@dataclass(frozen=True, slots=True)
class Bars(Panel):
    """A bar for each line's newest value."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a board: the values of a label of a metric."""

    name: str
    metric: str
    """A selector; what it says in braces narrows the choice."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; its file and its uid are named after `name`."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = field(default=())

    def panels(self) -> list[Panel]:
        """Return the panels in their order."""
        return [panel for row in self.rows for panel in row.panels]


TENANT = Variable("tenant", "ringmaster_stats_complete")
QUEUE = Variable("queue", 'ringmaster_stats_queue_waiting{tenant=~"$tenant"}')
AGENT = Variable("agent", 'ringmaster_stats_agent_state{tenant=~"$tenant"}')


def quantile(share: float, metric: str, by: str = "") -> str:
    """Return the expression for a histogram's quantile over all processes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def rate(metric: str, by: str = "") -> str:
    """Return the expression for how often something happens, a second."""
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (rate({metric}[$__rate_interval]))"


def seldom(metric: str, by: str = "") -> str:
    """Return the same for what has no line before it happens for the first time: nothing is 0 then."""
    return f"{rate(metric, by)} or vector(0)"
