# ruff: noqa: INP001 - Python finds it by its folder, which is on the path of that one program
"""What Python loads first in the document store's process (document_store.py): its sweep of expired documents rests.

Between two sweeps, a minute, the sweep's thread leaves its cursors standing. What they may still read can not be put
out of memory, so the pages that are written most grow past their bound, and every read of such a page waits up to a
hundredth of a second: thousands of waiting deliveries, rewritten at each try, brought the store to a standstill of one
to two minutes, again and again, from its first sweep on. MongoDB lets go of each look when it has been answered.
Nothing that runs on this store lives as long as what would expire.
"""

import threading

SWEEP = "secantus-ttl-sweeper"
_start = threading.Thread.start


def _start_all_but_the_sweep(thread: threading.Thread) -> None:
    if thread.name == SWEEP:
        thread.run = lambda: None  # type: ignore[method-assign] # it must have run: the program joins it
    _start(thread)


threading.Thread.start = _start_all_but_the_sweep  # type: ignore[method-assign, assignment]
