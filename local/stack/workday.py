from typing import Any

from local.stack.layout import Layout
from local.stack.parts import ADMIN_TOKEN
from local.stack.web import put


def begin(layout: Layout, tenant: dict[str, Any]) -> None:
    """Let all agents of a tenant come to work: each says "ready" over the agents' API, as a console page would."""
    for agent in tenant["agents"]:
        path = f"/v1/tenants/{tenant['tenant_id']}/agents/{agent['agent_id']}/status"
        put(layout.url("console", path), {"status": "ready"}, ADMIN_TOKEN)
