from pathlib import Path
from typing import Final

from deploy.dashboards import agent, overview, pipeline, queue, recorder, switch, tenant, webhooks

FOLDER: Final = Path(__file__).resolve().parents[1] / "k8s" / "ringmaster" / "dashboards"
BOARDS: Final = (
    overview.BOARD,
    queue.BOARD,
    agent.BOARD,
    tenant.BOARD,
    switch.BOARD,
    pipeline.BOARD,
    webhooks.BOARD,
    recorder.BOARD,
)
