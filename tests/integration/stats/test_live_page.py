"""The live page in a true browser, before the true process, broker and document store."""

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.waiting import wait_until
from tests.integration.stats.conftest import CLOCK, Eye, Floor, Stats
from tests.unit.stats.events import event, state

pytestmark = [pytest.mark.kafka, pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(180)]

WITHIN_MS = 1000
HOSTILE = "<img src=x onerror=alert(1)>"
LONG = "international-wholesale-customers-second-line-support-evenings"


def company() -> TenantDocument:
    document = TenantDocument(name=f"Acme {HOSTILE}", time_zone="Europe/Kyiv")
    document.agents.add(agent_id="olena", name=HOSTILE)
    queue = document.queues.add(queue_id=LONG, service_level_seconds=20)
    queue.tiers.add(agent_id="olena")
    return document


def open_page(eye: Eye, stats: Stats, query: str = "") -> None:
    eye.do("open", url=f"{stats.url}/login?token={stats.token}{query}")
    eye.do("see", selector="#contact[data-state=live]", ms=10_000)


@pytest.fixture
def running(stats: Stats, floor: Floor) -> Stats:
    floor.document(company())
    stats.start()
    return stats


def test_each_event_is_on_the_page_within_a_second_and_nothing_goes_wrong(
    eye: Eye, running: Stats, floor: Floor
) -> None:
    open_page(eye, running)
    tenant = floor.tenant
    assert eye.do("address") == f"{running.url}/"
    eye.do("wait_text", selector="#calls", text="0", ms=WITHIN_MS)
    floor.tell(event(CLOCK.now_ms(), 1, "c1", tenant, call_started=ev.CallStarted()))
    eye.do("wait_text", selector="#calls", text="1", ms=WITHIN_MS)
    floor.tell(event(CLOCK.now_ms(), 2, "c1", tenant, queue_joined=ev.QueueJoined(queue_id=LONG)))
    eye.do("wait_text", selector="#waiting", text="1", ms=WITHIN_MS)
    eye.do("wait_text", selector="#queue-rows td:nth-child(2)", text="1", ms=WITHIN_MS)
    wait_until(lambda: eye.do("text", selector="#longest") >= "0:02", "the longest wait counts on by itself", 4)
    assert eye.do("text", selector="#call-rows th .name") == "No number"
    assert eye.do("text", selector="#call-rows .stage") == "Waiting"
    left = ev.QueueLeft(queue_id=LONG, exit=ev.QUEUE_EXIT_ANSWERED, wait_ms=2_000, within_service_level=True)
    talking = state("olena", CLOCK.now_ms(), 1, ev.AGENT_STATE_TALKING)
    talking.tenant_id = tenant
    floor.tell(event(CLOCK.now_ms(), 3, "c1", tenant, queue_left=left), talking)
    eye.do("wait_text", selector="#waiting", text="0", ms=WITHIN_MS)
    eye.do("wait_text", selector="#level", text="100%", ms=WITHIN_MS)
    eye.do("see", selector=".person.state-talking", ms=WITHIN_MS)
    assert eye.do("faults") == []


def test_what_somebody_named_is_shown_as_text_and_fits_in_every_size(eye: Eye, running: Stats, floor: Floor) -> None:
    open_page(eye, running)
    floor.tell(event(CLOCK.now_ms(), 1, "c1", floor.tenant, call_started=ev.CallStarted()))
    eye.do("see", selector="#call-rows th", ms=10_000)
    for width, height in ((390, 844), (900, 1100), (1190, 900), (1300, 900), (1440, 900), (1920, 1080)):
        eye.do("size", width=width, height=height)
        eye.do("see", selector=".person b", ms=WITHIN_MS)
        assert eye.do("width") <= width
        assert eye.do("hidden_width", selector="#queues .scroll") == 0
        assert eye.do("hidden_width", selector="#calls-now .scroll") == 0
    assert eye.do("texts", selector=".person b") == [HOSTILE]
    assert HOSTILE in eye.do("text", selector="#tenant")
    assert eye.do("count", selector="img[src=x]") == 0
    assert eye.do("faults") == []


def make_busy(floor: Floor) -> None:
    """Give the company a dozen queues, and a gap that a notice tells of."""
    document = company()
    for number in range(11):
        document.queues.add(queue_id=f"queue-{number}", service_level_seconds=20).tiers.add(agent_id="olena")
    floor.document(document)
    gap = ev.SwitchGapEvent(node="fs-1")
    getattr(gap, "from").FromMilliseconds(CLOCK.now_ms() - 20_000)
    gap.until.FromMilliseconds(CLOCK.now_ms() - 10_000)
    floor.tell(event(CLOCK.now_ms(), 1, tenant_id=floor.tenant, switch_gap=gap))


def test_the_page_has_two_languages_two_schemes_and_a_wall_that_cuts_nothing_off(
    eye: Eye, running: Stats, floor: Floor
) -> None:
    open_page(eye, running, "&lang=uk&wall")
    assert eye.do("text", selector="#tile-waiting h3") == "Чекають"
    assert eye.do("count", selector="body.wall nav:visible") == 0
    open_page(eye, running, "&lang=en")
    assert eye.do("text", selector="#tile-waiting h3") == "Waiting"
    grounds = []
    for scheme in ("light", "dark"):
        eye.do("scheme", scheme=scheme)
        grounds.append(eye.do("background"))
    assert grounds[0] != grounds[1]
    make_busy(floor)
    open_page(eye, running, "&wall")
    eye.do("see", selector="#notice:not([hidden])", ms=10_000)
    eye.do("see", selector="#queue-rows tr:nth-child(12)", ms=10_000)
    for width, height in ((1920, 1080), (1280, 720)):
        eye.do("size", width=width, height=height)
        assert eye.do("hidden_height", selector="#queues .scroll") <= 1
        assert eye.do("hidden_height", selector="#agent-cards") <= 1
    assert eye.do("faults") == []


def test_the_page_says_that_it_is_stale_and_comes_back_by_itself(eye: Eye, running: Stats, floor: Floor) -> None:
    open_page(eye, running)
    running.kill()
    eye.do("see", selector="#contact[data-state=stale]", ms=15_000)
    assert eye.do("text", selector="#notice").startswith("Stale: no contact since ")
    floor.tell(event(CLOCK.now_ms(), 1, "c1", floor.tenant, call_started=ev.CallStarted()))
    running.start()
    eye.do("see", selector="#contact[data-state=live]", ms=20_000)
    eye.do("wait_text", selector="#calls", text="1", ms=WITHIN_MS)


def test_nobody_without_a_token_sees_the_page_and_the_form_lets_one_in(eye: Eye, running: Stats) -> None:
    eye.do("open", url=f"{running.url}/")
    assert eye.do("address") == f"{running.url}/login"
    eye.do("fill", selector="#token", value="wrong")
    eye.do("press", selector="#token", key="Enter")
    eye.do("see", selector="[role=alert]:visible", ms=5_000)
    eye.do("fill", selector="#token", value=running.token)
    eye.do("press", selector="#token", key="Enter")
    eye.do("see", selector="#contact[data-state=live]", ms=10_000)
