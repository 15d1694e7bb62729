"""`python -m local.phones`: callers and agents' phones for a real FreeSWITCH, until SIGTERM."""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - the patch comes first
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from flask import Flask, Response, jsonify  # noqa: E402
from gevent import pywsgi  # noqa: E402

from local.phones.sipp import Place  # noqa: E402
from local.phones.stage import Stage  # noqa: E402
from local.switch.scenario import read_scenario  # noqa: E402


def create_app(stage: Stage) -> Flask:
    """Build the control API: the part of the simulated switch's that makes sense with phones of somebody else."""
    app = Flask("local.phones")

    @app.get("/status")
    def status() -> Response:
        return jsonify(stage.status())

    @app.get("/truth")
    def truth() -> Response:
        return jsonify(stage.truth())

    @app.post("/begin")
    def begin() -> tuple[Response, int]:
        stage.begin()
        return jsonify(stage.status()), 202

    @app.post("/drain")
    def drain() -> tuple[Response, int]:
        stage.drain()
        return jsonify(stage.status()), 202

    return app


def main() -> int:
    """Play until stopped."""
    options = _options()
    place = Place(
        options.switch,
        options.carrier_port,
        options.phone_port,
        options.address,
        options.callers_port,
        options.agents_port,
        options.office_port,
        options.media_port,
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    secret = os.environ["RINGMASTER_PHONE_SECRET"]
    stage = Stage(options.folder, options.tenants, place, read_scenario(options.scenario), secret, options.most_calls)
    server = pywsgi.WSGIServer(("127.0.0.1", options.http_port), create_app(stage), log=None)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stage.stop)
    server.start()
    stage.run()
    server.stop(timeout=1)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="local.phones", description="Callers and agents of a real FreeSWITCH, by SIPp"
    )
    parser.add_argument("--folder", type=Path, required=True, help="where SIPp works and logs")
    parser.add_argument(
        "--tenants", type=Path, required=True, help="folder of tenants' documents, read at the beginning"
    )
    parser.add_argument(
        "--scenario", type=Path, required=True, help="lines, digits and patience, as for the simulated switch"
    )
    parser.add_argument("--switch", default="127.0.0.1", help="FreeSWITCH's SIP address")
    parser.add_argument("--address", default="127.0.0.1", help="the phones' own address")
    parser.add_argument("--most-calls", type=int, default=30, help="callers at one time")
    for name in ("http", "carrier", "phone", "callers", "agents", "office", "media"):
        parser.add_argument(f"--{name}-port", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
