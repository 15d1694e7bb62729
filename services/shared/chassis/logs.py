import logging
import sys

import structlog


def configure_logs(service: str) -> None:
    """Write one JSON object a line to stderr: event, level, timestamp, service and the bound fields."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries speak through the standard logger; only what a person must act on is let through.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format='{"level":"%(levelname)s","event":"%(name)s"}')
