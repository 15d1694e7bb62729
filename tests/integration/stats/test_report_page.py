"""The report page in a true browser: asked, sorted, looked into, saved; by keyboard alone, with hostile names."""

import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.testing.waiting import wait_until
from tests.integration.stats.conftest import CLOCK, Eye, Floor, Stats
from tests.unit.stats.events import abandoned_call, answered_call

pytestmark = [pytest.mark.kafka, pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(180)]

HOSTILE = "<img src=x onerror=alert(1)>"
QUEUE = '"><script>alert(2)</script>'
SEE_MS = 15_000


def lives(tenant: str) -> list[ev.Event]:
    now_ms = CLOCK.now_ms()
    events = answered_call(f"{tenant}-1", now_ms - 30_000, 2_000, 9_000, QUEUE)
    events += answered_call(f"{tenant}-2", now_ms - 20_000, 3_000, 9_000, "sales")
    events += abandoned_call(f"{tenant}-3", now_ms - 15_000, 6_000, "sales")
    for event in events:
        event.tenant_id = tenant
        if event.HasField("call_started"):
            event.call_started.caller.name = HOSTILE
            event.call_started.caller.number = "+380501112233"
        if event.HasField("call_ended"):
            event.call_ended.caller.CopyFrom(ev.Party(name=HOSTILE, number="+380501112233"))
    return events


@pytest.fixture(scope="module")
def running(kafka_bootstrap: str, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stats]:
    """Yield the process with three calls of a moment ago, all in the report tables. The tests only look at them."""
    floor = Floor(kafka_bootstrap)
    floor.document(TenantDocument(name=f"Acme {HOSTILE}", time_zone="Europe/Kyiv"))
    stats = Stats(kafka_bootstrap, mongodb_uri, tmp_path_factory.mktemp("stats"), floor.tenant)
    try:
        stats.start()
        floor.tell(*lives(floor.tenant))
        wait_until(lambda: counted(stats) == 3, "three calls are in the report", 40)
        yield stats
    finally:
        stats.kill()
        floor.close()


def counted(stats: Stats) -> int:
    """Return how many calls the report of today knows of."""
    found = stats.ask("/v1/reports/summary?period=today&groups=&metrics=offered")[1]
    return int(found["totals"]["offered"]) if found else 0


def open_page(eye: Eye, stats: Stats, query: str = "report=summary") -> None:
    eye.do("open", url=f"{stats.url}/login?token={stats.token}")
    eye.do("open", url=f"{stats.url}/reports?{query}")
    eye.do("see", selector="#columns th", ms=SEE_MS)


def test_a_number_leads_to_its_calls_and_to_the_reasons_by_keyboard_alone(eye: Eye, running: Stats) -> None:
    open_page(eye, running, "report=summary&period=today&groups=queue&metrics=offered,answered&filter=queue:sales")
    assert eye.do("texts", selector="#totals dd") == ["2", "1"]
    eye.do("focus", selector="#rows tr:first-child button")
    eye.do("key", key="Enter")
    eye.do("see", selector="#drill-rows tr:nth-child(2)", ms=SEE_MS)
    assert eye.do("focused") == "drill-title"
    eye.do("focus", selector="#drill-rows tr:first-child button")
    eye.do("key", key="Enter")
    eye.do("see", selector="#why-steps li", ms=SEE_MS)
    assert "into queue sales" in eye.do("text", selector="#why-steps")
    eye.do("key", key="Escape")
    eye.do("key", key="Escape")
    assert eye.do("count", selector="#drill:visible") == 0
    assert eye.do("focused") == "2"
    assert eye.do("faults") == []


def test_what_somebody_named_is_shown_as_text_and_nothing_is_wider_than_the_screen(eye: Eye, running: Stats) -> None:
    open_page(eye, running, "report=call_log&period=today")
    assert HOSTILE in eye.do("text", selector="#rows")
    for width, height in ((390, 844), (900, 1100), (1440, 900)):
        eye.do("size", width=width, height=height)
        assert eye.do("width") <= width
    open_page(eye, running, "report=summary&period=today&groups=queue&metrics=offered")
    assert QUEUE in eye.do("text", selector="#rows")
    assert HOSTILE in eye.do("text", selector="#tenant")
    assert eye.do("count", selector="img[src=x], main script") == 0
    assert eye.do("faults") == []


def test_the_question_is_in_the_address_and_the_way_back_works(eye: Eye, running: Stats) -> None:
    open_page(eye, running, "report=summary&period=today")
    eye.do("choose", selector="#report", value="inbound")
    eye.do("wait_text", selector="#result-title", text=title(running, "inbound"), ms=SEE_MS)
    eye.do("click", selector="#columns th:nth-child(2) button")
    eye.do("see", selector="#columns th:nth-child(2)[aria-sort=descending]", ms=SEE_MS)
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(eye.do("address")).query)
    assert asked["report"] == ["inbound"]
    assert asked["order"][0].startswith("-")
    eye.do("reload")
    eye.do("see", selector="#columns th:nth-child(2)[aria-sort=descending]", ms=SEE_MS)
    eye.do("back")
    eye.do("back")
    eye.do("wait_text", selector="#result-title", text=title(running, "summary"), ms=SEE_MS)
    assert eye.do("faults") == []


def title(stats: Stats, report_id: str) -> str:
    reports = stats.ask("/v1/reports")[1]["reports"]
    return str(next(report["name"] for report in reports if report["id"] == report_id))


def test_a_report_is_told_its_threshold_and_is_shown_beside_the_period_before(eye: Eye, running: Stats) -> None:
    asked = "report=summary&period=today&groups=queue&metrics=answered,answered_in_time&threshold_seconds=2"
    open_page(eye, running, f"{asked}&tz=Asia/Tokyo&compare=before&filter=queue:sales")
    # The answer to sales came after 3 seconds: in time by the usual 20, not by 2; nobody called the day before.
    assert [text.split() for text in eye.do("texts", selector="#totals dd")] == [["1", "▴", "1"], ["0", "="]]
    assert "Asia/Tokyo" in eye.do("text", selector="#result-period")
    assert "beside" in eye.do("text", selector="#result-period")
    eye.do("fill", selector="#threshold_seconds", value="20")
    eye.do("click", selector="#compare")
    eye.do("click", selector="#run")
    eye.do("wait_text", selector="#totals", text="Answered\n1\nAnswered in time\n1", ms=SEE_MS)
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(eye.do("address")).query)
    assert (query["threshold_seconds"], query["tz"], "compare" in query) == (["20"], ["Asia/Tokyo"], False)
    eye.do("choose", selector="#report", value="tariffs")
    eye.do("wait_text", selector="#result-title", text=title(running, "tariffs"), ms=SEE_MS)
    assert eye.do("count", selector="#tariff:visible") == 1
    assert eye.do("count", selector="#threshold_seconds:visible, #fcr_hours:visible, #agents:visible") == 0
    assert eye.do("faults") == []


def test_every_way_to_save_a_report_gives_a_file(eye: Eye, running: Stats) -> None:
    open_page(eye, running, "report=summary&period=today")
    count = eye.do("count", selector="#exports a")
    assert count >= 6
    for place in range(1, count + 1):
        href = eye.do("attribute", selector=f"#exports a:nth-child({place})", name="href")
        headers = {"Authorization": f"Bearer {running.token}"}
        request = urllib.request.Request(running.url + href, headers=headers)  # noqa: S310 - loopback only
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            assert answer.headers["Content-Disposition"].startswith("attachment;")
            assert answer.read()


def test_a_question_that_can_t_be_answered_says_why_in_a_sentence(eye: Eye, running: Stats) -> None:
    open_page(eye, running, "report=summary&period=today")
    eye.do("open", url=f"{running.url}/reports?report=summary&period=today&order=nothing")
    eye.do("see", selector="#notice:visible", ms=SEE_MS)
    assert "no column" in eye.do("text", selector="#notice")


def test_the_page_is_there_in_ukrainian_and_for_nobody_without_a_token(eye: Eye, running: Stats) -> None:
    eye.do("open", url=f"{running.url}/reports?lang=uk")
    assert urllib.parse.urlsplit(eye.do("address")).path == "/login"
    open_page(eye, running, "report=summary&lang=uk")
    assert eye.do("text", selector="#run") == "Показати звіт"
    assert eye.do("faults") == []
