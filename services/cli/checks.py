"""Ask one dependency each: a check returns what it saw in a sentence, or raises Ill with what is wrong."""

import base64
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from services.cli.settings import DoctorSettings
from services.cli.topics import definitions, differences
from services.shared.access import BadTokens
from services.shared.bus.admin import found_topics
from services.shared.bus.errors import BusError
from services.shared.chassis.settings import SettingsError
from services.shared.chassis.tokens import read_tokens
from services.shared.chassis.watch import Away, ask_broker
from services.shared.person import BadSecret, PersonSeal

ANSWER_SECONDS: Final = 5.0
MOST_SKEW_SECONDS: Final = 2.0
SHORTEST_SECRET: Final = 16
_WRITTEN: Final = "doctor"
_OWN_NAME: Final = "ringmaster.invalid"
# The one name in the file of webhooks' secrets that is no <tenant>/<secret_ref> (services/webhooks).
_KEY: Final = "key"
_KEY_BYTES: Final = 32
"""What a mail server is told: else Python asks the name server what this machine is called."""


class Ill(Exception):
    """Something is wrong; the message is one sentence that says what and where to look."""


class LeftOut(Exception):
    """This is not set, and a platform can do without."""


Check = Callable[[DoctorSettings], str]


def broker(settings: DoctorSettings) -> str:
    """Whether a broker answers."""
    _must_be_set(settings, "kafka_bootstrap")
    try:
        ask_broker(settings.kafka_bootstrap)
    except (Away, SettingsError) as error:
        raise Ill(str(error)) from error
    return f"a broker answers at {settings.kafka_bootstrap}"


def topics(settings: DoctorSettings) -> str:
    """Whether every topic is there as proto/topics says."""
    _must_be_set(settings, "kafka_bootstrap")
    wanted = definitions()
    try:
        found = found_topics(settings.kafka_bootstrap, [one.topic for one in wanted])
    except BusError as error:
        raise Ill(str(error)) from error
    faults = differences(wanted, found)
    if faults:
        raise Ill(f"{'; '.join(faults)} (ringmaster topics create)")
    return f"{len(wanted)} topics are as they should be"


def documents(settings: DoctorSettings) -> str:
    """Whether the document store takes a write and gives it back, and how its clock goes."""
    from pymongo.errors import PyMongoError  # noqa: PLC0415 - an image without its driver says so for this check alone

    from services.shared.chassis.documents import open_database, sentence_of  # noqa: PLC0415 - the same

    _must_be_set(settings, "mongodb_uri")
    key = {"_id": uuid.uuid4().hex}
    try:
        collection = open_database(settings.mongodb_uri, "doctor", ANSWER_SECONDS)[_WRITTEN]
        collection.insert_one(dict(key))
        found = collection.find_one_and_delete(key)
        told = collection.database.command("hello").get("localTime")
    except PyMongoError as error:
        raise Ill(sentence_of(error)) from error
    except SettingsError as error:
        raise Ill(str(error)) from error
    if found is None:
        raise Ill("the document store does not give back what it took: RINGMASTER_MONGODB_URI may name a secondary")
    return f"the document store takes and gives{_skew(told)}"


def objects(settings: DoctorSettings) -> str:
    """Whether the object store takes an object into the bucket, gives it back and lets it be deleted."""
    import boto3  # noqa: PLC0415 - an image without it says so for this check alone
    from botocore.config import Config  # noqa: PLC0415 - the same
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the same

    for name in ("s3_endpoint", "s3_bucket", "s3_access_key", "s3_secret_key"):
        _must_be_set(settings, name)
    once = Config(
        signature_version="s3v4", connect_timeout=3, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1}
    )
    bucket, key = settings.s3_bucket, f"{_WRITTEN}/{uuid.uuid4().hex}"
    try:
        client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key,
            region_name=settings.s3_region,
            config=once,
        )
        put = client.put_object(Bucket=bucket, Key=key, Body=b"well", **_encryption(settings))
        back = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        client.delete_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise Ill(f"the object store refuses {_words_of(error)} (RINGMASTER_S3_*)") from error
    except (BotoCoreError, ValueError) as error:
        raise Ill(f"the object store does not answer (RINGMASTER_S3_ENDPOINT): {str(error)[:200]}") from error
    if back != b"well":
        raise Ill("the object store gives back something else than it took")
    if settings.recorder_encryption and put.get("ServerSideEncryption") != settings.recorder_encryption:
        raise Ill("the object store did not encrypt what it was sent (RINGMASTER_RECORDER_ENCRYPTION)")
    return f"the object store takes and gives in {settings.s3_bucket}"


def tokens(settings: DoctorSettings) -> str:
    """Whether the file of tokens can be used."""
    if settings.api_tokens is None:
        raise Ill("RINGMASTER_API_TOKENS is not set")
    try:
        read_tokens(settings.api_tokens)
    except BadTokens as error:
        raise Ill(f"RINGMASTER_API_TOKENS: {error}") from error
    return "the file of tokens can be used"


def webhook_secrets(settings: DoctorSettings) -> str:
    """Whether the file of webhooks' secrets can be read."""
    if settings.webhook_secrets is None:
        raise Ill("RINGMASTER_WEBHOOK_SECRETS is not set")
    secrets = _secrets_in("RINGMASTER_WEBHOOK_SECRETS", settings.webhook_secrets)
    if _KEY not in secrets:
        return f'{len(secrets)} endpoints have secrets; without a "key" none can be made over the API'
    if not _is_key(secrets.pop(_KEY)):
        raise Ill(f'RINGMASTER_WEBHOOK_SECRETS: "key" must be {_KEY_BYTES} bytes in base64 (openssl rand -base64 32)')
    return f"{len(secrets)} endpoints have secrets, and others can be made over the API"


def channel_secrets(settings: DoctorSettings) -> str:
    """Whether the file of the secrets of mail, messengers and CRMs can be read."""
    if settings.channel_secrets is None:
        raise LeftOut("RINGMASTER_CHANNEL_SECRETS is not set: webhooks alone can be sent")
    return f"{len(_secrets_in('RINGMASTER_CHANNEL_SECRETS', settings.channel_secrets))} channels have secrets"


def phones(settings: DoctorSettings) -> str:
    """Whether phones can be given passwords, and the switch can ask for them."""
    for name in ("directory_password", "phone_secret", "esl_password"):
        _must_be_set(settings, name)
        if len(getattr(settings, name)) < SHORTEST_SECRET:
            raise Ill(f"RINGMASTER_{name.upper()} must have {SHORTEST_SECRET} characters at least")
    return "the secrets of switch and phones are there"


def erasures(settings: DoctorSettings) -> str:
    """Whether persons can be erased."""
    _must_be_set(settings, "erasure_secret")
    try:
        PersonSeal(settings.erasure_secret)
    except BadSecret as error:
        raise Ill(str(error)) from error
    return "the secret of erasures is there"


def switch(settings: DoctorSettings) -> str:
    """Whether the event socket greets; it is on the switch's own loopback, so seldom seen from elsewhere."""
    if not settings.esl_host:
        raise LeftOut("RINGMASTER_ESL_HOST is not set; each listener's /readyz tells of its own switch")
    where = (settings.esl_host, settings.esl_port)
    try:
        with socket.create_connection(where, ANSWER_SECONDS) as connection:
            greeting = connection.recv(64)
    except OSError as error:
        raise Ill(f"the event socket at {where[0]}:{where[1]} does not answer: {error.strerror or error}") from error
    if not greeting.startswith(b"Content-Type: auth/request"):
        raise Ill(f"what answers at {where[0]}:{where[1]} is no event socket, or does not let us in")
    return f"an event socket greets at {where[0]}:{where[1]}"


def mail(settings: DoctorSettings) -> str:
    """Whether the server that mails reports lets us in; no letter is sent."""
    if not settings.smtp_host:
        raise LeftOut("RINGMASTER_SMTP_HOST is not set: no report is mailed")
    if settings.smtp_user and not settings.smtp_starttls:
        raise Ill("RINGMASTER_SMTP_USER's password would go in the clear: set RINGMASTER_SMTP_STARTTLS=true")
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, _OWN_NAME, ANSWER_SECONDS) as server:
            if settings.smtp_starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_user and settings.smtp_password_file is not None:
                server.login(settings.smtp_user, settings.smtp_password_file.read_text(encoding="utf-8").strip())
    except smtplib.SMTPAuthenticationError as error:
        raise Ill(f"the mail server at {where} takes no such user and password (RINGMASTER_SMTP_*)") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise Ill(f"the mail server at {where} can't be used (RINGMASTER_SMTP_*): {str(error)[:200]}") from error
    return f"the mail server at {where} lets us in"


def speech(settings: DoctorSettings) -> str:
    """Whether something listens at each address of a recogniser that is a server of its own."""
    kind, _, rest = settings.transcribe_engine.partition(":")
    if kind not in ("vosk", "openai"):
        raise LeftOut("RINGMASTER_TRANSCRIBE_ENGINE names no server")
    addresses = [rest.rpartition("#")[0]] if kind == "openai" else [one.partition("=")[2] for one in rest.split(",")]
    if troubles := [f"{address}: {trouble}" for address in addresses if (trouble := _unheard(address))]:
        raise Ill(f"{'; '.join(troubles)} (RINGMASTER_TRANSCRIBE_ENGINE)")
    return f"{len(addresses)} recognisers listen"


def services(settings: DoctorSettings) -> str:
    """Whether each named service says that it is ready."""
    if not settings.doctor_services:
        raise LeftOut("RINGMASTER_DOCTOR_SERVICES is not set")
    named = [entry.partition("=") for entry in settings.doctor_services.split(",")]
    troubles = [f"{name}: {trouble}" for name, _, url in named if (trouble := _unready(url))]
    if troubles:
        raise Ill("; ".join(troubles))
    return f"{len(named)} services are ready"


CHECKS: Final[dict[str, Check]] = {
    "broker": broker,
    "topics": topics,
    "documents": documents,
    "objects": objects,
    "tokens": tokens,
    "webhooks": webhook_secrets,
    "channels": channel_secrets,
    "phones": phones,
    "erasures": erasures,
    "switch": switch,
    "mail": mail,
    "speech": speech,
    "services": services,
}


def _encryption(settings: DoctorSettings) -> dict[str, Any]:
    """Return how the recorder has its objects encrypted: a key that it may not use is found before the first call."""
    kind, key = settings.recorder_encryption, settings.recorder_kms_key_id
    asked = {"ServerSideEncryption": kind, "SSEKMSKeyId": key if kind else ""}
    return {name: value for name, value in asked.items() if value}


def _secrets_in(variable: str, path: Path) -> dict[str, Any]:
    """Return what a file of secrets holds. Raises Ill."""
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise Ill(f"{variable}: {path}: {error.strerror}") from error
    except ValueError as error:
        raise Ill(f"{variable}: {path}: this is not JSON") from error
    if not isinstance(found, dict) or not all("/" in name for name in found if name != _KEY):
        raise Ill(f"{variable} must hold an object of <tenant>/<secret_ref>")
    return found


def _is_key(text: Any) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (TypeError, ValueError):
        return False


def _unheard(address: str) -> str:
    """Return why nobody listens at a URL; empty when somebody does."""
    try:
        url = urlsplit(address)
        port = url.port or (443 if url.scheme in ("https", "wss") else 80)
        with socket.create_connection((url.hostname or "", port), ANSWER_SECONDS):
            return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def _unready(url: str) -> str:
    """Return why a service is not ready, in its own words; empty when it is."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=ANSWER_SECONDS):  # noqa: S310 - an operator's own
            return ""
    except urllib.error.HTTPError as error:
        return error.read(300).decode(errors="replace").strip() or f"status {error.code}"
    except (OSError, ValueError) as error:
        return f"it does not answer at {url}: {getattr(error, 'reason', error)}"


def _must_be_set(settings: DoctorSettings, name: str) -> None:
    if not getattr(settings, name):
        raise Ill(f"RINGMASTER_{name.upper()} is not set")


def _skew(told: Any) -> str:
    """Return nothing for a clock that goes with ours. Raises Ill: timers of one would be late for another."""
    if not isinstance(told, datetime):
        return ""
    skew = (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() - time.time()
    if abs(skew) > MOST_SKEW_SECONDS:
        raise Ill(f"the document store's clock differs by {skew:+.1f} s: have both machines keep time (chrony)")
    return ""


def _words_of(error: Any) -> str:
    found = error.response.get("Error", {})
    return f"with {found.get('Code', '?')}: {found.get('Message', '')}"[:200]
