"""Reports over HTTP: the catalogue, the dictionary, a run, the calls behind a cell. GET and POST say the same."""

from typing import Any, Final

from flask import Blueprint, Response, request

from services.shared.access import Action
from services.shared.chassis.pages import language
from services.shared.chassis.problems import problem
from services.stats import metrics
from services.stats.api.admission import Admission
from services.stats.api.calls import json_answer
from services.stats.domain.reports.answer import catalogue_of, explained
from services.stats.domain.reports.query import BadQuery
from services.stats.export.paper import TooManyRows
from services.stats.exporting import FORMATS, Exports, file_name
from services.stats.mailing import MAILS
from services.stats.norms import NORMS
from services.stats.reporting import Reports, TooBusy, TooLong
from services.stats.store import Store, StoreUnavailable

# Parameters of an address that stand for parts of an object: filter=queue:sales, again for another value.
_PAIRS: Final = {"filter": "filters", "exclude": "exclude", "cell": "cell"}
_NOT_OPTIONS: Final = frozenset({"tenant", "format"})
RETRY_AFTER_SECONDS: Final = 5


def report_routes(admission: Admission, reports: Reports, exports: Exports, store: Store) -> Blueprint:
    """Make the routes."""
    api = Blueprint("reports", __name__, url_prefix="/v1/reports")

    @api.get("")
    def catalogue() -> Response:
        admission.tenant_or_all(Action.READ_CALLS)
        formats = [{"id": each.id, "name": each.uk if language() == "uk" else each.en} for each in FORMATS.values()]
        return json_answer({**catalogue_of(reports.dictionary, language()), "formats": formats})

    @api.get("/dictionary")
    def dictionary() -> Response:
        admission.tenant_or_all(Action.READ_CALLS)
        return json_answer(explained(reports.dictionary, language()))

    @api.get("/mails")
    def mails() -> Response:
        return json_answer({"mails": store.kept(MAILS, admission.tenant(Action.READ_CALLS))})

    @api.get("/norms")
    def norms() -> Response:
        return json_answer({"norms": store.kept(NORMS, admission.tenant(Action.READ_CALLS))})

    @api.route("/<report_id>", methods=["GET", "POST"])
    def run(report_id: str) -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        asked = asked_of_request()
        return json_answer(reports.run(tenant_id, reports.query(tenant_id, report_id, asked)))

    @api.route("/<report_id>/drill", methods=["GET", "POST"])
    def drill(report_id: str) -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        asked = asked_of_request()
        return json_answer(reports.drill(tenant_id, reports.query(tenant_id, report_id, asked), asked))

    @api.route("/<report_id>/export", methods=["GET", "POST"])
    def export(report_id: str) -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        kind = request.args.get("format", "csv-excel")
        if kind not in FORMATS:
            raise BadQuery("unknown-format", "format", f"The format is one of {', '.join(FORMATS)}.")
        query = reports.query(tenant_id, report_id, asked_of_request())
        if query.compares:
            raise BadQuery("bad-compare", "compare", "A file has one period; ask for the one before by its own dates.")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{file_name(query, kind)}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(exports.export(tenant_id, query, kind), content_type=FORMATS[kind].media_type, headers=headers)

    answer_bad_queries(api)
    return api


def asked_of_request() -> dict[str, Any]:
    """Return the question: a POST's JSON object, or a GET's parameters. Raises BadQuery."""
    asked = _from_address()
    if request.method == "POST" and request.get_data(cache=True):
        try:
            body = request.get_json(silent=True, force=True)
        except RecursionError:  # brackets within brackets, by the thousand
            body = None
        if not isinstance(body, dict):
            raise BadQuery("bad-body", "", "The body is a JSON object with the report's options.")
        asked |= body
    asked.setdefault("lang", language())
    return asked


def _from_address() -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for name in request.args:
        values = request.args.getlist(name)
        if name in _PAIRS:
            asked[_PAIRS[name]] = _pairs(name, values)
        elif name not in _NOT_OPTIONS:
            asked[name] = ",".join(values)
    return asked


def _pairs(name: str, values: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in values:
        key, colon, text = value.partition(":")
        if not colon:
            raise BadQuery("bad-filter", name, f"Write {name}=group:value, for example {name}=queue:sales.")
        if name == "cell":
            found[key] = text
        else:
            found.setdefault(key, []).append(text)
    return found


def answer_bad_queries(api: Blueprint) -> None:
    """Answer what a question may raise."""

    @api.errorhandler(BadQuery)
    def bad_query(error: BadQuery) -> Response:
        metrics.REPORTS.labels("refused").inc()
        status = 404 if error.kind == "unknown-report" else 400
        return problem(status, error.kind, str(error), **({"at": error.at} if error.at else {}))

    @api.errorhandler(TooBusy)
    def too_busy(_error: TooBusy) -> Response:
        metrics.REPORTS.labels("too_busy").inc()
        answer = problem(503, "too-many-reports", "Other reports are being computed; ask again in some seconds.")
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return answer

    @api.errorhandler(TooLong)
    def too_long(_error: TooLong) -> Response:
        return problem(422, "report-too-long", "The report took too long: take a shorter period or fewer groups.")

    @api.errorhandler(TooManyRows)
    def too_many(error: TooManyRows) -> Response:
        return problem(422, "too-many-rows", str(error))

    @api.errorhandler(StoreUnavailable)
    def unavailable(error: StoreUnavailable) -> Response:
        return problem(503, "unavailable", str(error))
