"""The local stack's object store listens where its stack says, and nowhere else: two stacks stand side by side."""

from contextlib import suppress
from pathlib import Path

from local.stack.layout import OBJECTS_GRPC, Layout
from local.stack.part import listens
from local.stack.parts import infrastructure
from services.shared.testing.ports import OF_A_STACK, free_range
from services.shared.testing.waiting import wait_until

_LISTENS = "0A"
"""A socket's state in /proc/net/tcp (proc_pid_net(5))."""


def listening(pid: int) -> set[int]:
    """Return the TCP ports of this machine that a process listens on."""
    links, ports = set(), set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            links.add(str(link.readlink()))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == _LISTENS and f"socket:[{inode}]" in links:
                ports.add(int(local.rpartition(":")[2], 16))
    return ports


def test_the_object_store_listens_on_ports_of_its_stack_only(tmp_path: Path) -> None:
    layout = Layout(tmp_path, free_range())
    (store,) = (part for part in infrastructure(layout) if part.name == "objects")
    store.start()
    try:
        store.wait_until_ready()
        assert store.process is not None
        # It is begun last.
        wait_until(lambda: listens(layout.port("objects_admin")), "the store's own page")
        ports = listening(store.process.pid)
        own = range(layout.base_port, layout.base_port + OF_A_STACK)
        assert layout.port("objects") in ports
        assert {port for port in ports if port not in own and port - OBJECTS_GRPC not in own} == set()
    finally:
        store.stop()
