from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - patching comes first
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from gevent import pywsgi, signal  # noqa: E402

from local.receiver.application import Receiver  # noqa: E402
from local.receiver.ledger import Ledger  # noqa: E402


def main() -> int:
    """Receive webhooks until stopped."""
    parser = argparse.ArgumentParser(description="A local webhook receiver that verifies signatures")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", action="append", required=True, help="whsec_…; once for each secret that is right")
    parser.add_argument("--log", type=Path, required=True, help="append-only file of what was received")
    options = parser.parse_args()
    ledger = Ledger(options.log)
    server = pywsgi.WSGIServer((options.host, options.port), Receiver(options.secret, ledger), log=None)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop)
    try:
        server.serve_forever(stop_timeout=1)
    except OSError as error:
        sys.stderr.write(f"receiver: can't listen on {options.host}:{options.port}: {error.strerror}\n")
        return 3
    ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
