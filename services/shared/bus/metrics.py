"""Everything the bus measures."""

from prometheus_client import Gauge

LAG = Gauge(
    "ringmaster_bus_lag_records",
    "Records of a topic that this process has not read yet, by reader.",
    ["reader", "topic"],
)
