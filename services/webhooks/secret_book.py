import base64
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from services.webhooks import metrics
from services.webhooks.adapters.mongo_secrets import BadKey, MongoSecrets, dated
from services.webhooks.adapters.secrets_file import SecretsFile
from services.webhooks.domain.signing import PRIVATE_PREFIX, SECRET_PREFIX, SEED_BYTES, DatedSecret, SigningKey
from services.webhooks.waiting import StoreUnavailable

log = structlog.get_logger()

SECRET_BYTES = 32


class NoKey(Exception):
    """Secrets can't be made here: the platform has no key to keep them with. The message says what to do."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just made. It is shown once; `public` is what a receiver verifies `v1a` signatures with."""

    text: str
    public: str
    others_until: float
    """When the former secrets end, Unix seconds."""


@dataclass(slots=True)
class SecretBook:
    """All secrets: those of the mounted file, and before them those that were made over the API."""

    file: SecretsFile
    store: MongoSecrets | None = None
    unix_time: Callable[[], float] = time.time
    _made: dict[str, tuple[list[tuple[str, float | None]], float | None]] = field(default_factory=dict)
    _dated: dict[str, tuple[DatedSecret, ...]] = field(default_factory=dict)

    def secrets_of(self, tenant_id: str, secret_ref: str) -> tuple[DatedSecret, ...]:
        """Return an endpoint's secrets, newest first; none when there are none."""
        filed = self.file.secrets_of(tenant_id, secret_ref)
        made = self._made.get(f"{tenant_id}/{secret_ref}")
        if made is None:
            return filed
        return (*self._dated[f"{tenant_id}/{secret_ref}"], *(_ending(one, made[1]) for one in filed))

    def refresh(self) -> None:
        """Learn what changed in the file and in the store; what was stays in force while they can't be read."""
        self.file.refresh()
        if self.store is None:
            return
        try:
            self._take(self.store.all())
        except (StoreUnavailable, BadKey) as error:
            metrics.STORE_FAILURES.inc()
            log.warning("made_secrets_unreadable", reason=str(error))

    def rotate(self, tenant_id: str, secret_ref: str, overlap_seconds: float, *, asymmetric: bool) -> NewSecret:
        """Make a new secret; those before it sign beside it for the overlap. Raises NoKey, StoreUnavailable, BadKey."""
        if self.store is None:
            raise NoKey('The file of secrets needs a "key" for that: 32 bytes in base64 (openssl rand -base64 32).')
        name, now = f"{tenant_id}/{secret_ref}", self.unix_time()
        known = self.store.all()
        former, others_until = known.get(name, ([], None))
        end = now + overlap_seconds
        # Whoever gets a third secret within the overlap keeps the first one only as long as it was promised.
        kept = [
            (text, end if until is None else min(until, end)) for text, until in former if until is None or until > now
        ]
        others_until = end if others_until is None else min(others_until, end)
        text = _made(asymmetric=asymmetric)
        known[name] = ([(text, None), *kept], others_until)
        self.store.keep(name, *known[name])
        self._take(known)
        newest = self._dated[name][0].secret
        return NewSecret(text, newest.public if isinstance(newest, SigningKey) else "", end)

    def _take(self, made: dict[str, tuple[list[tuple[str, float | None]], float | None]]) -> None:
        changed = {name: secrets for name, secrets in made.items() if self._made.get(name) != secrets}
        self._dated |= {name: dated(secrets) for name, (secrets, _) in changed.items()}
        self._made = made


def _made(*, asymmetric: bool) -> str:
    if asymmetric:
        return PRIVATE_PREFIX + base64.b64encode(os.urandom(SEED_BYTES)).decode()
    return SECRET_PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def _ending(secret: DatedSecret, until: float | None) -> DatedSecret:
    if until is None or (secret.until is not None and secret.until <= until):
        return secret
    return replace(secret, until=until)
