"""Whether everything was written down that the demo's companies want written down."""

from pymongo import MongoClient

from local.stack.balance import Row
from local.stack.layout import Layout
from services.recorder.domain.transcript.policy import is_drawn


def transcripts_row(layout: Layout, percents: dict[str, int]) -> Row:
    """Return how many recordings were drawn by the tenants' percentages, and how many transcripts there are."""
    with MongoClient[dict[str, object]](
        f"mongodb://{layout.address('documents')}", serverMonitoringMode="poll"
    ) as client:
        database = client.get_database("ringmaster")
        wanted = [
            row["_id"]
            for tenant_id, percent in percents.items()
            for row in database["recordings"].find({"tenant_id": tenant_id, "silent": False})
            if is_drawn(str(row["_id"]), percent)
        ]
        return Row("recordings written down = drawn", len(wanted), database["transcripts"].count_documents({}))
