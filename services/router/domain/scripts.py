"""The conditions and texts of a document's flows, compiled once when it comes into force."""

from collections.abc import Iterator, Mapping

from services.router.domain.errors import UnreadableFlow
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.expressions import BadExpression, Expression
from services.shared.templates import BadTemplate, Template

VARIABLES = "vars"
FACTS = tuple(tn.FlowFacts.DESCRIPTOR.fields_by_name)
_Place = tuple[str, str]


class Scripts:
    """What the steps of all flows calculate, by flow and step. Raises UnreadableFlow for what can't be compiled."""

    def __init__(self, document: tn.TenantDocument) -> None:
        self.types = {one.name: one.type for flow in document.flows for one in flow.variables}
        self._names = dict.fromkeys(FACTS) | {VARIABLES: frozenset(self.types)}
        self._places = frozenset(FACTS) | {f"{VARIABLES}.{name}" for name in self.types}
        self.texts: dict[_Place, Template] = {}
        self.values: dict[_Place, Expression] = {}
        self.cases: dict[_Place, list[tuple[Expression, str]]] = {}
        self.lookups: dict[_Place, tuple[Template, dict[str, Template]]] = {}
        for flow, step in _steps(document):
            try:
                self._compile((flow.flow_id, step.step_id), step)
            except (BadExpression, BadTemplate) as error:
                raise UnreadableFlow(f"flow {flow.flow_id}, step {step.step_id}: {error}") from error

    def mail_address(self, variables: Mapping[str, str | int | bool]) -> str:
        """Return a caller's mail address: the first variable of that type that has a value; empty when none has."""
        found = (variables.get(name, "") for name, kind in self.types.items() if kind == tn.VARIABLE_TYPE_EMAIL)
        return str(next(filter(None, found), ""))

    def language(self, variables: Mapping[str, str | int | bool]) -> str:
        """Return the language that a call's flow has chosen, BCP 47; empty when it has chosen none."""
        found = (variables.get(name, "") for name, kind in self.types.items() if kind == tn.VARIABLE_TYPE_LANGUAGE)
        return str(next(filter(None, found), ""))

    def _compile(self, place: _Place, step: tn.Step) -> None:
        match step.WhichOneof("step"):
            case "say":
                self.texts[place] = Template(step.say.text, self._places)
            case "set" if step.set.expression:
                self.values[place] = Expression(step.set.expression, self._names)
            case "set":
                self.texts[place] = Template(step.set.text, self._places)
            case "lookup":
                fields = {name: Template(text, self._places) for name, text in sorted(step.lookup.fields.items())}
                self.lookups[place] = (Template(step.lookup.url, self._places), fields)
            case "branch":
                self.cases[place] = [(Expression(case.condition, self._names), case.exit) for case in step.branch.cases]


def _steps(document: tn.TenantDocument) -> Iterator[tuple[tn.Flow, tn.Step]]:
    for flow in document.flows:
        for step in flow.steps:
            yield flow, step
