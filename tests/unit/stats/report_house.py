"""A company with report tables, fed with events, for tests: the same path as in the process, but for the broker."""

import json
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from gevent.event import Event as Flag

from services.shared.access import tokens_of
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.stats.adapters.columns import Columns
from services.stats.adapters.memory import MemoryStore
from services.stats.bootstrap import application, build
from services.stats.documents import add_leg_to, add_to
from services.stats.domain.profile import Profile
from services.stats.store import CallFields, FactFields

PATIENT_SECONDS = 120.0
"""A report waits so long for the newest rows: no test is about what is shown without them."""
HOLDERS = {
    "boss": ("acme", "supervisor"),
    "phone": ("acme", "agent"),
    "rival": ("borealis", "supervisor"),
    "root": ("*", "admin"),
}


class House:
    """Tables of `acme` and `borealis`; the clock stands at `now_ms`."""

    def __init__(self, now_ms: int, profile: Profile) -> None:
        self.now_ms = now_ms
        self.store = MemoryStore()
        self.columns = Columns(Path(tempfile.mkdtemp(prefix="ringmaster-reports-")))
        clock = Clock(wall=lambda: self.now_ms / 1000)
        self.parts = build(self.store, clock, 3600.0, self.columns)
        self.parts.reports.fresh_seconds = PATIENT_SECONDS
        self.parts.board.put_profile(profile.tenant_id, profile)
        self._offset = self._inputs = 0
        document = {
            sha256(token.encode()).hexdigest(): {"tenant": tenant, "role": role, "actor": token}
            for token, (tenant, role) in HOLDERS.items()
        }
        self.app = application(self.parts, self.store, tokens_of(document), Flag())

    def tell(self, events: Iterable[ev.Event], batch: int = 50) -> None:
        """Write events as the follower does."""
        calls: CallFields = {}
        facts: FactFields = {}
        for event in events:
            self._offset += 1
            add_to(event, self._offset, calls, facts)
            if self._offset % batch == 0:
                self.store.write(calls, facts)
                calls, facts = {}, {}
        self.store.write(calls, facts)

    def tell_legs(self, inputs: Iterable[Input]) -> None:
        """Write the last facts of legs as their follower does."""
        facts: FactFields = {}
        for given in inputs:
            self._inputs += 1
            add_leg_to(given, self._inputs, facts)
        self.store.write({}, facts)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def run(self, report: str, *, token: str = "", **options: Any) -> dict[str, Any]:
        """Return a report's answer; fail with its words where it is a problem."""
        answer = self.client().post(
            f"/v1/reports/{report}", data=json.dumps(options), headers={"Authorization": f"Bearer {token or 'boss'}"}
        )
        assert answer.status_code == 200, answer.get_data(as_text=True)
        found: dict[str, Any] = answer.get_json()
        return found
