"""How endpoints are, and who hears of it how often."""

from services.shared.chassis.clock import Clock
from services.webhooks.domain.breaker import BreakerRules
from services.webhooks.domain.endpoint import Endpoint, EndpointKey
from services.webhooks.health import DAMP_MS, Health, MemoryFailingEndpoints
from services.webhooks.notices import NoticeKind

CRM = Endpoint("acme", "crm", "https://crm.example/", (), "main", is_disabled=False)


class World:
    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000
        self.told: list[tuple[str, int]] = []
        clock = Clock(wall=lambda: self.now_ms / 1000)
        rules = BreakerRules(failures=2, first_rest_ms=1_000, longest_rest_ms=1_000)
        self.health = Health(MemoryFailingEndpoints(), self._tell, clock, 5 * 86_400_000, rules)

    def _tell(self, endpoint: Endpoint, kind: NoticeKind, since_ms: int, _why: str) -> None:
        assert endpoint is CRM
        self.told.append((kind.value, since_ms))

    def fail(self) -> None:
        """Fail until it rests."""
        while self.health.fail(CRM) is None:
            pass
        self.now_ms += 2_000
        assert self.health.admits(CRM)

    def succeed(self) -> None:
        self.health.succeed(CRM)


def test_a_trouble_and_its_end_are_told_once() -> None:
    world = World()
    began = world.now_ms
    for _ in range(5):
        world.fail()
    world.succeed()
    world.succeed()
    assert world.told == [("endpoint.failing", began), ("endpoint.recovered", began)]


def test_an_endpoint_that_comes_and_goes_is_told_of_once_in_a_while() -> None:
    world = World()
    for _ in range(100):
        world.fail()
        world.succeed()
    assert len(world.told) == 2
    world.now_ms += DAMP_MS
    world.fail()
    world.succeed()
    assert len(world.told) == 4


def test_a_second_trouble_that_lasts_is_told_with_its_own_beginning() -> None:
    world = World()
    world.fail()
    world.succeed()
    began = world.now_ms
    world.fail()
    assert len(world.told) == 2, "it may be over at once"
    world.now_ms += DAMP_MS
    world.fail()
    world.fail()
    world.succeed()
    assert world.told[2:] == [("endpoint.failing", began), ("endpoint.recovered", began)]


def test_a_trouble_that_ends_while_its_beginning_is_written_is_nothing_to_tell() -> None:
    world = World()

    class Slow(MemoryFailingEndpoints):
        """Writes so slowly that another delivery succeeds meanwhile."""

        def begin(self, key: EndpointKey, since_ms: int) -> None:
            super().begin(key, since_ms)
            world.succeed()

    world.health.store = Slow()
    world.fail()
    assert world.told == []
    world.health.store = MemoryFailingEndpoints()
    world.fail()
    assert [kind for kind, _ in world.told] == ["endpoint.failing"]


def test_that_it_is_switched_off_is_told_whatever_was_told_before() -> None:
    world = World()
    world.fail()
    world.succeed()
    world.fail()
    world.health.disabled(CRM, world.now_ms, NoticeKind.DISABLED)
    assert [kind for kind, _ in world.told] == ["endpoint.failing", "endpoint.recovered", "endpoint.disabled"]
