from contextlib import suppress
from functools import partial

import structlog
from flask import Flask
from gevent.event import Event as Flag
from gevent.pool import Pool

from services.shared.bus.ports import BatchSender
from services.shared.bus.topics import (
    CALLS,
    DELIVERIES,
    DELIVERIES_DEAD,
    DELIVERIES_OVERFLOW,
    DELIVERIES_RETRY,
    DOCUMENT_REPLIES,
    TENANTS,
)
from services.shared.chassis.insisting import Stopped
from services.shared.chassis.supervisor import Supervisor
from services.shared.chassis.watch import trouble_of
from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks.adapters.broker import FOLLOWERS, OVERFLOW, RETRIERS, SENDERS
from services.webhooks.adapters.channels.carrier import Carriers
from services.webhooks.adapters.channels.feed import Feed
from services.webhooks.adapters.channels.mail import Mail
from services.webhooks.adapters.channels.slack import Slack
from services.webhooks.adapters.channels.smpp import Smpp
from services.webhooks.adapters.channels.sms import Sms
from services.webhooks.adapters.channels.telegram import Telegram
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine
from services.webhooks.adapters.connectors.sign_in import Tokens
from services.webhooks.adapters.identities import Identities
from services.webhooks.adapters.trouble_words import troubles
from services.webhooks.api.lookup import lookup_routes
from services.webhooks.application import Desk
from services.webhooks.batching import Batching
from services.webhooks.by_company import ByCompany
from services.webhooks.call_order import CallOrder
from services.webhooks.delivery_log import DeliveryLog
from services.webhooks.directory import Directory
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.document_changes import DocumentChanges
from services.webhooks.domain.batch import BATCH
from services.webhooks.domain.erased import ErasedPersons
from services.webhooks.domain.offsets import ContiguousOffsets
from services.webhooks.dry_run import DryRun
from services.webhooks.erasing import Erasing
from services.webhooks.feeder import Feeder
from services.webhooks.first_tries import FirstTries
from services.webhooks.follower import Follower
from services.webhooks.handing_over import Gathering, HandOver, Keeping
from services.webhooks.health import Health
from services.webhooks.history import History
from services.webhooks.insisting import insist_on_store
from services.webhooks.lanes import LanePolicy, Lanes
from services.webhooks.left_in_log import LeftInLog
from services.webhooks.listening import Listening, in_turns
from services.webhooks.matcher import Matcher
from services.webhooks.notices import Notices
from services.webhooks.overflow import Overflow
from services.webhooks.parts import Parts
from services.webhooks.redelivery import Redelivery
from services.webhooks.replays import Replays
from services.webhooks.retries import RetryKeeper, RetryScheduler, Tenure
from services.webhooks.rule_runner import RuleRunner
from services.webhooks.settling import Settling
from services.webhooks.tries import PutOffs
from services.webhooks.waiting import Due, StoreUnavailable

SECRETS_SECONDS = 5.0
CATCH_UP_SECONDS = 20.0
HAND_OVERS = 64
FINISH_SECONDS = 7.0

log = structlog.get_logger()


class Webhooks:
    """The whole service but for its environment: matching, first tries, retries, log."""

    def __init__(self, parts: Parts, supervisor: Supervisor) -> None:
        stopping = supervisor.stopping
        sender = parts.bus.producer()
        self._parts = parts
        self._supervisor = supervisor
        self.directory = Directory(parts.bus.consumer(None, [TENANTS]), parts.stores.gone)
        self._delivery_log = DeliveryLog(parts.stores.log)
        hand_over = HandOver(sender, parts.clock, stopping)
        order = CallOrder(parts.stores.room, self._keeps_order, parts.clock, stopping, self._chain)
        keep = Keeping(parts.stores.room, stopping)
        self._notices = Notices(self.directory, hand_over, parts.stores.notices, parts.clock, troubles())
        self.health = Health(
            parts.stores.failing, self._notices.tell, parts.clock, parts.disable_after_ms, parts.breaker
        )
        self._engine = Engine(
            parts.library,
            parts.channel_secrets,
            Tokens(parts.stores.tokens),
            parts.stores.steps,
            parts.recording_link,
        )
        persons = ErasedPersons()
        dispatcher = Dispatcher(
            self.directory,
            parts.secrets,
            parts.ladder,
            parts.clock,
            self._delivery_log,
            self.health,
            order,
            Batching(order, keep, partial(hand_over.to, DELIVERIES_DEAD)),
            parts.stores.room,
            Identities(parts.secrets.file, parts.outside, parts.ca_file),
            _carriers(parts, sender, self._engine),
            persons,
        )
        self._erasing = Erasing(
            parts.stores.erasures,
            parts.stores.room,
            parts.stores.log,
            persons,
            parts.seal,
            sender,
            parts.clock,
            dispatcher.drop,
        )
        self._lanes = Lanes(
            supervisor.spawn_task,
            lambda: EndpointConnection(parts.outside, parts.kept_answer_bytes, parts.policy),
            dispatcher.attempt,
            self._policy,
            parts.queue_limit,
            parts.tenant_concurrency,
        )
        self._put_offs = PutOffs(
            Gathering(partial(hand_over.to, DELIVERIES_RETRY), stopping),
            Gathering(keep, stopping),
            Gathering(partial(hand_over.to, DELIVERIES_OVERFLOW), stopping),
        )
        self._left = LeftInLog(
            lambda: parts.bus.consumer(None, [DELIVERIES]),
            keep,
            self._put_offs.to_room,
            order,
            parts.clock,
            ContiguousOffsets(),
        )
        self._first_tries = FirstTries(self._lanes, hand_over, parts.clock, order, self._put_offs, self._left)
        self._overflow = Overflow(self._lanes, hand_over, parts.clock, order, self._put_offs)
        self._handed_over = Flag()
        self._keeper = RetryKeeper(parts.bus.consumer(RETRIERS, [DELIVERIES_RETRY]), parts.stores.room)
        self._settling = Settling(parts.stores.room, supervisor.ended)
        self._scheduler = RetryScheduler(
            parts.stores.room,
            self._lanes,
            hand_over,
            parts.clock,
            Tenure(parts.name, parts.lease_seconds),
            order=order,
            health=self.health,
            settling=self._settling,
            may_take=self._may_take,
        )
        self.redelivery = Redelivery(lambda: parts.bus.consumer(None, [DELIVERIES]), hand_over, parts.clock, persons)
        history = History(lambda: parts.bus.consumer(None, [CALLS]))
        self._dry_run = DryRun(history, parts.clock, persons)
        self._changes = DocumentChanges(sender, parts.bus.consumer(None, [DOCUMENT_REPLIES]), parts.clock)
        self._replays = Replays(
            parts.stores.replays,
            parts.stores.log.states,
            history.since,
            self.directory,
            hand_over,
            parts.clock,
            persons,
        )
        rules = RuleRunner(sender, self.directory, history, parts.clock, self._erasing.numbers)
        listening: list[Listening] = [
            ByCompany(Matcher(sender, self.directory, parts.clock)),
            ByCompany(Feeder(sender, self.directory, parts.bus.make_feed, supervisor.spawn_task)),
            *in_turns([rules, self._erasing]),
        ]
        self._follower = Follower(self.directory, parts.clock, listening)

    def start(self) -> None:
        """Start everything under the supervisor."""
        spawn, stopping = self._supervisor.spawn, self._supervisor.stopping
        spawn("tenants", self.directory.run, stopping)
        spawn("follower", self._follow, stopping)
        for one in self._follower.listening:
            spawn(one.name, one.run, stopping)
        spawn("first tries", self._try_first, stopping)
        spawn("overflow", self._try_overflow, stopping)
        spawn("overflow's way", self._put_offs.to_overflow.run, stopping)
        spawn("put-offs", self._put_offs.to_topic.run, stopping)
        spawn("put-offs in order", self._put_offs.to_room.run, stopping)
        spawn("left in the log", self._left.run, stopping)
        spawn("retry keeper", self._keeper.run, stopping)
        spawn("retry scheduler", self._scheduler.run, stopping)
        spawn("notices", self._notices.run, stopping)
        spawn("erased persons", self._erasing.run, stopping)
        spawn("replays", self._replays.run, stopping)
        spawn("document replies", self._changes.listen, stopping)
        # Tries that are under way at a stop end after everybody was asked to: who writes that down is last.
        self._supervisor.spawn_last("retries' ends", self._settling.run)
        self._supervisor.spawn_last("delivery log", self._delivery_log.run, self._supervisor.ended)
        self._supervisor.spawn_task("failing endpoints", self._remember_failing, stopping)
        self._supervisor.spawn_task("closed endpoints", self.directory.remember_closed, stopping)
        spawn("secrets", self._watch_secrets, stopping)
        for watch in self._parts.watches:
            spawn(f"{watch.dependency} watch", watch.run, stopping)

    def ready(self) -> tuple[bool, str]:
        """Whether endpoints are known and what deliveries wait in answers."""
        trouble = trouble_of(*self._parts.watches) or self._parts.readings.trouble
        return self.directory.is_current and not trouble, trouble or "the tenants' documents are not read yet"

    def add_routes(self, app: Flask) -> None:
        """Let the application answer what flows ask CRMs over us."""
        outside, secrets = self._parts.outside, self._parts.channel_secrets
        app.register_blueprint(
            lookup_routes(self._engine, self.directory, secrets, lambda: EndpointConnection(outside))
        )

    def desk(self) -> Desk:
        """Return what the API asks for."""
        parts = self._parts
        return Desk(
            self.directory,
            self.health,
            parts.stores.log,
            self.redelivery,
            parts.secrets,
            parts.stores.replays,
            self._dry_run,
            self._changes,
            parts.policy,
            parts.clock,
            troubles(),
        )

    def _follow(self, stopping: Flag) -> None:
        reader = self._parts.bus.consumer(FOLLOWERS, [CALLS], on_revoked=self._follower.revoked)
        self._follower.run(reader, stopping)

    def _try_first(self, stopping: Flag) -> None:
        self._know_endpoints(stopping)
        reader = self._parts.bus.consumer(SENDERS, [DELIVERIES], on_revoked=self._first_tries.revoked)
        self._first_tries.run(reader, stopping)
        # What was never begun goes to .retry at once: its neighbours' offsets can be committed, nothing is sent twice.
        Pool(HAND_OVERS).map(lambda job: job.origin.put_off(job.delivery), self._lanes.stop())
        self._put_offs.flush()
        self._handed_over.set()
        self._first_tries.finish_all(FINISH_SECONDS)

    def _try_overflow(self, stopping: Flag) -> None:
        self._know_endpoints(stopping)
        reader = self._parts.bus.consumer(OVERFLOW, [DELIVERIES_OVERFLOW], on_revoked=self._overflow.revoked)
        self._overflow.run(reader, stopping)
        self._handed_over.wait(FINISH_SECONDS)
        # What was read while the lanes stopped has found no room.
        self._put_offs.flush()
        self._overflow.finish_all(FINISH_SECONDS)

    def _know_endpoints(self, stopping: Flag) -> None:
        """Wait for the documents: before, nobody knows what an endpoint allows, or whether it keeps an order."""
        while not self.directory.catch_up(CATCH_UP_SECONDS) and not stopping.is_set():
            log.warning("endpoints_unknown", reason="the tenants' documents can't be read: no delivery begins")

    def _policy(self, delivery: Delivery) -> LanePolicy:
        endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        if endpoint is None:
            return LanePolicy(self._parts.concurrency)
        concurrency = endpoint.concurrency or self._parts.concurrency
        return LanePolicy(concurrency, endpoint.keeps_call_order, endpoint.batch, endpoint.rate_per_second)

    def _keeps_order(self, delivery: Delivery) -> bool:
        endpoint = self.directory.find(delivery.tenant_id, delivery.endpoint_id)
        return endpoint is not None and endpoint.keeps_call_order and bool(delivery.chain or delivery.call_id)

    def _may_take(self, due: Due) -> bool:
        """Whether a retry is for this process: one that keeps an order where its first tries are read (ADR 42).

        So is one of which nobody knows yet whether it keeps an order: the room is open before the documents are read.
        """
        endpoint = self.directory.find(*due.endpoint.split(".", 1))
        if endpoint is not None and not endpoint.keeps_call_order:
            return True
        return self._first_tries.has_read(due.endpoint, due.position)

    def _chain(self, delivery: Delivery) -> str:
        """Return one order for all of an endpoint that takes several at once: a message holds more than one call."""
        policy = self._policy(delivery)
        return BATCH if policy.keeps_call_order and policy.batch is not None else ""

    def _remember_failing(self, stopping: Flag) -> None:
        with suppress(Stopped):
            insist_on_store(self.health.remember, stopping, "failing_endpoints_unreadable")

    def _watch_secrets(self, stopping: Flag) -> None:
        while not stopping.wait(SECRETS_SECONDS):
            self._parts.secrets.refresh()
            self._parts.channel_secrets.refresh()
            self._refresh_closed()

    def _refresh_closed(self) -> None:
        try:
            self.directory.refresh_closed()
        except StoreUnavailable as error:
            log.warning("closed_endpoints_unreadable", reason=str(error))


def _carriers(parts: Parts, sender: BatchSender, engine: Engine) -> Carriers:
    """Return what brings deliveries to channels."""
    secrets = parts.channel_secrets
    return Carriers(
        {
            "telegram": Telegram(secrets, parts.telegram_api),
            "slack": Slack(secrets),
            "email": Mail(secrets, parts.outside),
            "feed": Feed(sender, parts.bus.make_feed),
            "sms": Sms(engine, Smpp(parts.outside, parts.stores.steps)),
            "crm": engine,
        }
    )
