import os
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from gevent import pywsgi
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from werkzeug.exceptions import HTTPException

from services.shared.chassis.origin import refuse_foreign_pages
from services.shared.chassis.problems import problem
from services.shared.chassis.supervisor import Supervisor

MAX_BODY_BYTES = 2 * 1024 * 1024
STOPS = "the service stops: ask another one"
_STOPPING = "ringmaster-stopping"
READY = Gauge("ringmaster_service_ready_bool", "1 while the service says that it is ready to work.", ["service"])

log = structlog.get_logger()


class _Json(DefaultJSONProvider):
    """Reads what is sent as all else here is read: bounded in depth, and without NaN, which the standard one takes."""

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Return the value. Raises ValueError, which Flask makes a bad request of."""
        return orjson.loads(s)


def service_app(service: str, ready: Callable[[], tuple[bool, str]]) -> Flask:
    """Make the Flask application that every service has: /healthz, /readyz, /metrics, and errors as problems.

    `ready` answers (is it ready, one sentence why not). What foreign pages ask for is refused, whatever the route.
    """
    app = Flask(service, static_folder=None)
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    refuse_foreign_pages(app)

    @app.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.get("/readyz")
    def readyz() -> Response:
        is_ready, why = (False, STOPS) if _is_stopping(app) else ready()
        return Response("ready\n" if is_ready else why + "\n", status=200 if is_ready else 503, mimetype="text/plain")

    @app.get("/metrics")
    def metrics() -> Response:
        READY.labels(service).set(int(ready()[0]))
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        name = (error.name or "error").lower().replace(" ", "-")
        answer = problem(error.code or 500, name, error.description or name)
        # What else the error says: which methods there are (405), when to come again (503).
        answer.headers.extend((key, value) for key, value in error.get_headers() if key != "Content-Type")
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("request_failed", error=repr(error), exc_info=error)
        return problem(500, "internal-error", "The service failed to answer; the fault is in its log.")

    return app


def serve(supervisor: Supervisor, app: Flask, host: str, port: int) -> pywsgi.WSGIServer:
    """Serve `app` until all else has ended; from the stop on /readyz says so. Raises OSError when the port is taken."""
    app.extensions[_STOPPING] = supervisor.asked
    server = pywsgi.WSGIServer((host, port), app, log=None, error_log=None)
    try:
        server.start()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise OSError(f"can't listen on {host}:{port} (RINGMASTER_HTTP_HOST, RINGMASTER_HTTP_PORT): {why}") from error
    supervisor.spawn_last("web", _until_ended, supervisor, server)
    return server


def _is_stopping(app: Flask) -> bool:
    stopping = app.extensions.get(_STOPPING)
    return stopping is not None and stopping.is_set()


def _until_ended(supervisor: Supervisor, server: pywsgi.WSGIServer) -> None:
    supervisor.ended.wait()
    server.stop(timeout=1.0)
