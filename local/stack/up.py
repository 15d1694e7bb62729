import gevent
from gevent.event import Event as Signal

from local.stack.layout import ROOT, Layout
from local.stack.parts import ADMIN_TOKEN, AGENT_TOKEN
from local.stack.prometheus import is_installed, prometheus
from local.stack.stack import Say, Stack, stop_former
from services.cli.story import tell
from services.shared.bus.consumer import Consumer
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1.event_pb2 import Event

SCENARIO = ROOT / "local" / "demo" / "endless.yaml"
WATCH_SECONDS = 1.0


def run(layout: Layout, say: Say) -> int:
    """Start everything, tell the story of the calls, and stop everything on Ctrl-C."""
    stopping = Signal()
    stop_former(layout, say)
    say("Starting Ringmaster on this machine …")
    stack = Stack(layout, {}, SCENARIO, say, transcribes=True)
    try:
        stack.start()
        if is_installed():
            stack.add(prometheus(layout))
        say(_welcome(layout))
        story = gevent.spawn(_tell_story, layout, stopping, say)
        _watch(stack)
        stopping.set()
        story.join(timeout=2)
    finally:
        say("\nStopping …")
        stack.stop()
    say(f"Stopped. The data stays in {layout.folder}; `make up` goes on from there.")
    return 0


def _watch(stack: Stack) -> None:
    """Start again what ends, until the person has had enough (KeyboardInterrupt, see __main__)."""
    try:
        while True:
            stack.watch()
            gevent.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _tell_story(layout: Layout, stopping: Signal, say: Say) -> None:
    consumer = Consumer(layout.address("kafka"), None, [CALLS], "story", from_beginning=False)
    while not stopping.is_set():
        for record in consumer.poll(0.5):
            line = tell(Event.FromString(record.value))
            if line:
                say(line)
    consumer.close()


def _welcome(layout: Layout) -> str:
    return "\n".join(
        (
            "",
            "Calls are flowing.",
            f"  live page      {layout.url('stats', '/login')}?token={ADMIN_TOKEN}   (reports are beside it)",
            f"  recordings     {layout.url('recorder', '/login')}?token={ADMIN_TOKEN}",
            f"  webhooks       {layout.url('webhooks', '/login')}?token={ADMIN_TOKEN}",
            f"  an agent's desk {layout.url('console', '/login')}?token={AGENT_TOKEN}",
            f"  call log       {layout.url('stats', '/v1/calls')}   (Bearer {ADMIN_TOKEN})",
            f"  agents' API    {layout.url('console', '/v1/tenants')}   (Bearer {ADMIN_TOKEN})",
            f"  webhooks got   {layout.url('receiver', '/summary')}",
            f"  the switch     {layout.url('switch', '/status')}",
            f"  metrics        {_metrics(layout)}",
            f"  logs           {layout.folder / 'logs'}",
            "Ctrl-C stops everything. The story of the calls:",
            "",
        )
    )


def _metrics(layout: Layout) -> str:
    return f"{layout.url('prometheus', '/alerts')}" if is_installed() else "not gathered: there is no prometheus here"
