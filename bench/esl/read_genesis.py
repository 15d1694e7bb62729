"""Genesis (asyncio) as a reader. Runs in the bench's own environment: the project does not depend on it."""

import asyncio
import sys
from typing import Any

from genesis import Inbound  # type: ignore[import-not-found]  # installed by the bench only

from bench.esl.measure import HEADERS, PING, TICK_SECONDS, Run


async def _read(port: int, run: Run, form: str) -> None:
    over = asyncio.Event()
    tasks: set[asyncio.Task[Any]] = set()
    async with Inbound("127.0.0.1", port, "bench") as switch:

        async def handle(event: Any) -> None:
            if "Event-Name" not in event:
                return
            run.event([event.get(name, "") for name in HEADERS])
            if ping := event.get(PING):
                task = asyncio.create_task(switch.send(f"api ping {ping}"))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if run.is_over:
                over.set()

        switch.on("*", handle)
        ticker = asyncio.create_task(_tick(run))
        run.begin()
        await switch.send(f"event {form} ALL")
        await over.wait()
        await asyncio.sleep(0.2)
        ticker.cancel()


async def _tick(run: Run) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        run.tick()


def main() -> None:
    port, events, form = sys.argv[1:]
    run = Run(int(events))
    asyncio.run(_read(int(port), run, form))
    run.report()


if __name__ == "__main__":
    main()
