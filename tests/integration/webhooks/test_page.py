"""The page of webhooks in a true browser, with callers and receivers that would like to be code in it."""

from collections.abc import Iterator

import pytest
from gevent import pywsgi

from tests.integration.stats.conftest import Eye, eye
from tests.integration.webhooks.harness import LocalReceiver, call_started, wait_until
from tests.integration.webhooks.test_api import House, house

__all__ = ["eye", "house"]

pytestmark = [pytest.mark.browser]

HOSTILE = "<img src=x onerror=alert(1)>"
PHONE = 390
WITHIN_MS = 10_000


@pytest.fixture
def url(house: House, receiver: LocalReceiver) -> Iterator[str]:
    house.console.apply(receiver.url)
    server = pywsgi.WSGIServer(("127.0.0.1", 0), house.app, log=None, error_log=None)
    server.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stop(timeout=0)


def test_deliveries_appear_as_they_happen_and_are_sent_again_from_the_page(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("see", selector="#contact[data-state=live]", ms=WITHIN_MS)
    event = call_started(1)
    event.call_id = HOSTILE
    event.call_started.caller.name = HOSTILE
    house.service.publish(event)
    eye.do("see", selector="#rows tr", ms=WITHIN_MS)
    assert eye.do("texts", selector="#rows td.call") == [HOSTILE]
    eye.do("press", selector="#rows tr:first-child button", key="Enter")
    eye.do("see", selector="#attempts li", ms=WITHIN_MS)
    eye.do("press", selector="#redeliver", key="Enter")
    eye.do("wait_text", selector="#redelivered", text="Знову в дорозі, під тим самим id.", ms=WITHIN_MS)
    eye.do("wait_text", selector="#rows tr:first-child td.number", text="1", ms=WITHIN_MS)
    assert set(receiver.ids()) == {"evt-acme-1.crm"}
    for scheme in ("light", "dark"):
        eye.do("scheme", scheme=scheme)
        eye.do("size", width=PHONE, height=844)
        assert eye.do("width") <= PHONE
    assert eye.do("faults") == []


def faults_beside_refusals(eye: Eye) -> list[str]:
    """Return what went wrong; the browser notes each answer of 422 as well."""
    return [one for one in eye.do("faults") if "status of 422" not in one]


def test_a_rule_is_made_on_the_page_tried_on_the_past_and_saved(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    window = {"count": 3, "seconds": 600, "per": "line"}
    flurry = {"rule_id": "flurry", "name": HOSTILE, "events": ["call.started"], "window": window}
    house.console.apply(receiver.url, rules=[flurry | {"actions": [{"to": "crm", "text": "{line} {count}"}]}])
    house.service.publish(*(call_started(number) for number in range(2)))
    wait_until(lambda: bool(house.get("/v1/rules")["rules"]) and receiver.ledger.received == 2)
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("see", selector="#rules .endpoint", ms=WITHIN_MS)
    assert eye.do("texts", selector="#rules b") == [HOSTILE]
    eye.do("press", selector="#rules button", key="Enter")
    eye.do("see", selector="#rule[open]", ms=WITHIN_MS)
    eye.do("press", selector="#rehearse", key="Enter")
    eye.do("wait_text", selector="#rehearsed", text="Спрацювало б разів: 0, подій: 2.", ms=WITHIN_MS)
    eye.do("wait_text", selector="#rule .said", text="Нічого не відрізняється від чинного.", ms=WITHIN_MS)
    eye.do("fill", selector="[data-path=condition]", value="event.")
    eye.do("press", selector="#rehearse", key="Enter")
    wrong = "label:has([data-path=condition][aria-invalid]) .fault"
    eye.do("wait_text", selector=wrong, text="Вираз не вдається прочитати: подивіться на дії CEL.", ms=WITHIN_MS)
    eye.do("fill", selector="[data-path='window.count']", value="2")
    eye.do("fill", selector="[data-path=condition]", value="")
    eye.do("press", selector="#rehearse", key="Enter")
    eye.do("wait_text", selector="#rehearsed", text="Спрацювало б разів: 1, подій: 2.", ms=WITHIN_MS)
    assert eye.do("texts", selector="#firings small") == ["crm: +380441000001 2"]
    assert eye.do("texts", selector="#rule .change b") == ["rules[flurry].window.count"]
    eye.do("size", width=PHONE, height=844)
    assert eye.do("width") <= PHONE
    eye.do("press", selector="#rule .save", key="Enter")
    eye.do("wait_text", selector="#changed", text="Діє як версія 3.", ms=WITHIN_MS)
    [saved] = house.console.document()["rules"]
    assert saved == flurry | {"window": window | {"count": 2}, "actions": [{"to": "crm", "text": "{line} {count}"}]}
    assert receiver.ledger.received == 2
    assert faults_beside_refusals(eye) == []


def test_a_rule_for_a_crm_asks_for_the_text_of_a_task_and_may_keep_to_any_schedule(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    hubspot = {"channel_id": "hubspot", "secret_ref": "hubspot", "crm": {"connector": "hubspot"}}
    rule = {"rule_id": "lost", "events": ["call.started"], "actions": [{"to": "hubspot", "text": "{line}"}]}
    night = {"schedule_id": "never", "open": []}
    house.console.apply(receiver.url, channels=[hubspot], rules=[rule], schedules=[*house.console.schedules(), night])
    house.service.publish(call_started(1))
    wait_until(lambda: bool(house.get("/v1/rules")["rules"]) and receiver.ledger.received == 1)
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("see", selector="#rules .endpoint", ms=WITHIN_MS)
    eye.do("press", selector="#rules button", key="Enter")
    eye.do("see", selector="#rule[open] [data-path='actions.0.text']", ms=WITHIN_MS)
    eye.do("press", selector="#rehearse", key="Enter")
    eye.do("wait_text", selector="#rehearsed", text="Спрацювало б разів: 1, подій: 1.", ms=WITHIN_MS)
    assert eye.do("texts", selector="#firings small") == ["hubspot: +380441000001"]
    eye.do("choose", selector="[data-path=schedule_id]", value="never")
    eye.do("press", selector="#rehearse", key="Enter")
    eye.do("wait_text", selector="#rehearsed", text="Спрацювало б разів: 0, подій: 1.", ms=WITHIN_MS)
    eye.do("fill", selector="[data-path='actions.0.text']", value="")
    eye.do("press", selector="#rehearse", key="Enter")
    wrong = "label:has([data-path='actions.0.text'][aria-invalid]) .fault"
    words = "не вказано: події call.ended, transcript.completed CRM бере самі, а з інших робить завдання з цим текстом."
    eye.do("wait_text", selector=wrong, text=words, ms=WITHIN_MS)
    assert faults_beside_refusals(eye) == []


def test_an_endpoint_is_made_on_the_page_and_its_secret_is_shown_once(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    eye.do("open", url=f"{url}/login?token=admin&lang=uk")
    eye.do("see", selector="#new-endpoint:not([hidden])", ms=WITHIN_MS)
    eye.do("press", selector="#new-endpoint", key="Enter")
    eye.do("see", selector="#endpoint[open]", ms=WITHIN_MS)
    eye.do("fill", selector="#endpoint [data-path=url]", value="ftp://crm.example/")
    eye.do("press", selector="#endpoint .check-it", key="Enter")
    eye.do("see", selector="#endpoint label:has([data-path=url][aria-invalid]) .fault", ms=WITHIN_MS)
    eye.do("fill", selector="#endpoint [data-path=url]", value="https://crm.example/hook")
    eye.do("press", selector="#endpoint .check-it", key="Enter")
    eye.do("see", selector="#endpoint .change", ms=WITHIN_MS)
    eye.do("press", selector="#endpoint .save", key="Enter")
    eye.do("see", selector="#secret[open]", ms=WITHIN_MS)
    [secret] = eye.do("texts", selector="#secret-text")
    assert secret.startswith("whsec_")
    assert [one["endpoint_id"] for one in house.console.document()["webhooks"]] == ["crm", "ends", "crm-2"]
    eye.do("press", selector="#secret .close", key="Enter")
    eye.do("wait_text", selector="#secret-text", text="", ms=WITHIN_MS)
    assert faults_beside_refusals(eye) == []


def test_only_what_was_given_up_is_sent_again_from_the_page(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    receiver.behave(status=500, times=-1)
    house.service.publish(call_started(1))
    wait_until(lambda: house.deliveries("state=dead") == ["evt-acme-1.crm"])
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("wait_text", selector="#rows td.error", text="відповів 500: це його власна помилка", ms=WITHIN_MS)
    receiver.behave()
    house.service.publish(call_started(2))
    wait_until(lambda: house.deliveries("state=delivered") == ["evt-acme-2.crm"])
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("see", selector=".endpoint", ms=WITHIN_MS)
    eye.do("press", selector="#endpoints .endpoint:first-child button:nth-of-type(3)", key="Enter")
    eye.do("see", selector="#replay[open]", ms=WITHIN_MS)
    eye.do("press", selector="#replay-form [name=failed]", key="Space")
    eye.do("press", selector="#replay-form button.main", key="Enter")
    eye.do("wait_text", selector="#replayed", text="Починається.", ms=WITHIN_MS)
    wait_until(lambda: receiver.ledger.received == 2)
    assert receiver.ids() == ["evt-acme-2.crm", "evt-acme-1.crm"]
    eye.do("size", width=PHONE, height=844)
    assert eye.do("width") <= PHONE
    assert eye.do("faults") == []


def test_a_ping_the_charts_and_the_filters_of_the_log(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    receiver.behave(status=503, times=4)
    house.service.publish(call_started(1))
    wait_until(lambda: sorted(house.deliveries("state=dead")) == ["evt-acme-1.crm"])
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("see", selector=".endpoint", ms=WITHIN_MS)
    eye.do("press", selector="#endpoints .endpoint:first-child button:nth-of-type(1)", key="Enter")
    eye.do("wait_text", selector="#changed", text="Перевірка в дорозі: дивіться нижче.", ms=WITHIN_MS)
    eye.do("wait_text", selector="#rows tr:first-child td.type", text="endpoint.ping", ms=WITHIN_MS)
    assert eye.do("texts", selector="#rows td.type") == ["endpoint.ping", "call.started"]
    wait_until(lambda: house.get("/v1/endpoints")["totals"]["delivered"] == 1)
    eye.do("open", url=f"{url}/?tenant=acme&lang=uk")
    for bars in ("#tries-chart rect.delivered", "#tries-chart rect.failed"):
        eye.do("see", selector=bars, ms=WITHIN_MS)
    # A line that is level has no height, so the browser calls it hidden.
    assert eye.do("count", selector="#times-chart path.p50[d*=H]") == 1
    eye.do("wait_text", selector="#success", text="20%", ms=WITHIN_MS)
    eye.do("fill", selector="#filters [name=type]", value="call.*")
    eye.do("press", selector="#filters [name=type]", key="Enter")
    eye.do(
        "wait_text", selector="#rows tr:last-child td.error", text="відповів 503: це його власна помилка", ms=WITHIN_MS
    )
    wait_until(lambda: eye.do("texts", selector="#rows td.type") == ["call.started"])
    assert eye.do("faults") == []


def test_a_feed_that_works_is_not_said_to_be_sent_nothing(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    """Its events go past deliveries, so nothing of it is in their figures."""
    house.console.apply(receiver.url, channels=[{"channel_id": "own", "feed": {"format": "json"}}])
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    copied = "Кожна подія одразу копіюється до теми. Тут рахується лише те, що мусило чекати."
    eye.do("wait_text", selector=".endpoint:last-child .url + .under", text=copied, ms=WITHIN_MS)
    assert eye.do("texts", selector=".endpoint:first-child .url + .under") == ["За цей час нічого не надсилали."]
    assert eye.do("faults") == []


def test_an_example_is_chosen_seen_and_sent_from_the_page(
    eye: Eye, house: House, receiver: LocalReceiver, url: str
) -> None:
    eye.do("open", url=f"{url}/login?token=boss&lang=uk")
    eye.do("see", selector=".endpoint", ms=WITHIN_MS)
    eye.do("press", selector="#endpoints .endpoint:first-child button:nth-of-type(2)", key="Enter")
    eye.do("see", selector="#example[open]", ms=WITHIN_MS)
    assert '"example": true' in eye.do("texts", selector="#example-body")[0]
    eye.do("press", selector="#example-form button.main", key="Enter")
    wait_until(lambda: receiver.ledger.received == 1)
    assert receiver.requests[0]["HTTP_WEBHOOK_EXAMPLE"] == "true"
    eye.do("wait_text", selector="#rows tr:first-child .type .badge", text="приклад", ms=WITHIN_MS)
    for scheme in ("light", "dark"):
        eye.do("scheme", scheme=scheme)
        eye.do("size", width=PHONE, height=844)
        assert eye.do("width") <= PHONE
    assert eye.do("faults") == []


def test_who_may_only_look_gets_no_buttons_and_a_stranger_the_door(eye: Eye, house: House, url: str) -> None:
    eye.do("open", url=f"{url}/")
    assert eye.do("address").startswith(f"{url}/login")
    eye.do("open", url=f"{url}/login?token=analyst")
    eye.do("see", selector=".endpoint", ms=WITHIN_MS)
    assert eye.do("count", selector=".endpoint button") == 0
    assert eye.do("texts", selector=".endpoint b") == ["crm", "ends"]
