from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from services.shared.chassis.settings import SettingsError

DEFAULT_DATABASE = "ringmaster"
# How long a store that is away may hold up one operation, seconds.
WAIT_SECONDS = 5.0
DUPLICATE_KEY = 11000
"""The code with which a store refuses a document that is there already."""
_MILLISECONDS = 1000


def open_database(uri: str, service: str, wait_seconds: float = WAIT_SECONDS) -> Database[dict[str, Any]]:
    """Return the database that a URI names, `ringmaster` without a name; nothing is connected until it is first used.

    Looking for a server takes `wait_seconds` at most, an answer twice that. Writes are acknowledged by the majority.
    Raises SettingsError for a URI that can't be used.
    """
    wait_ms = int(wait_seconds * _MILLISECONDS)
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            uri,
            appname=service,
            connect=False,
            tz_aware=True,
            serverSelectionTimeoutMS=wait_ms,
            connectTimeoutMS=wait_ms,
            socketTimeoutMS=2 * wait_ms,
            # Streaming keeps a monitor in a read that a closing client waits for.
            serverMonitoringMode="poll",
            w="majority",
        )
        return client.get_default_database(DEFAULT_DATABASE)
    except (PyMongoError, ValueError) as error:
        # The address may hold a password, so neither it nor the driver's words about it are repeated.
        raise SettingsError(
            [f"RINGMASTER_MONGODB_URI is no address of a document store: {type(error).__name__}"]
        ) from error


def refused_writes(error: BulkWriteError) -> dict[int, int | None]:
    """Return which of many writes were refused, by their number, and with what code.

    Raises the error where what was written is not as safe as was asked for.
    """
    refused = {each["index"]: each.get("code") for each in error.details.get("writeErrors", ())}
    if not refused or error.details.get("writeConcernErrors"):
        raise error
    return refused


def sentence_of(error: PyMongoError) -> str:
    """Return what went wrong in one sentence for a person: the driver's own words run over many lines."""
    if isinstance(error, ServerSelectionTimeoutError):
        return "the document store does not answer (RINGMASTER_MONGODB_URI)"
    if isinstance(error, ConnectionFailure):
        return f"the connection with the document store broke: {type(error).__name__}"
    if isinstance(error, OperationFailure) and not isinstance(error, DuplicateKeyError):
        return f"the document store refuses with code {error.code}: {_first_line(error)}"
    return f"the document store fails: {type(error).__name__}: {_first_line(error)}"


def _first_line(error: PyMongoError) -> str:
    return str(error).partition(", full error")[0].partition("\n")[0][:200]
