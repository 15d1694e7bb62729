from deploy.dashboards.panels import Board, Figure, Graph, Query, Row, quantile, rate

BOARD = Board(
    "recorder",
    "Ringmaster / Recorder",
    "Recordings on their way from the switches' disks into the object store.",
    (
        Row(
            "Now",
            (
                Figure(
                    "Waiting",
                    "Recordings that are not stored yet.",
                    (Query("sum(ringmaster_recorder_files_waiting)"),),
                    worse_from=(200, 2_000),
                ),
                Figure("Bytes", "Of them.", (Query("sum(ringmaster_recorder_waiting_bytes)"),), "bytes"),
                Figure(
                    "Oldest",
                    "By its last write.",
                    (Query("max(ringmaster_recorder_oldest_waiting_seconds)"),),
                    "s",
                    worse_from=(300, 1_800),
                ),
                Figure(
                    "Put aside",
                    "Files that wait for a person.",
                    (Query("sum(ringmaster_recorder_files_quarantined)"),),
                    worse_from=(1, 1),
                ),
                Figure(
                    "Disk used",
                    "The fullest.",
                    (Query("max(ringmaster_recorder_disk_used_ratio)"),),
                    "percentunit",
                    worse_from=(0.8, 0.9),
                ),
                Figure("Disk free", "The least.", (Query("min(ringmaster_recorder_disk_free_bytes)"),), "bytes"),
            ),
        ),
        Row(
            "Flow",
            (
                Graph(
                    "Stored",
                    "Tries a second, by how they ended.",
                    (Query(rate("ringmaster_recorder_uploads_total", "outcome"), "{{outcome}}"),),
                    "ops",
                    stacks=True,
                ),
                Graph(
                    "Sent",
                    "To the object store.",
                    (Query(rate("ringmaster_recorder_uploaded_bytes_total"), "bytes"),),
                    "Bps",
                ),
                Graph(
                    "Time of each step",
                    "95 of 100 take no longer.",
                    (Query(quantile(0.95, "ringmaster_recorder_step_seconds", "step"), "{{step}}"),),
                    "s",
                ),
                Graph(
                    "Waiting",
                    "By node.",
                    (Query("sum by (instance) (ringmaster_recorder_files_waiting)", "{{instance}}"),),
                ),
                Graph(
                    "Disk",
                    "Used part, by node.",
                    (Query("max by (instance) (ringmaster_recorder_disk_used_ratio)", "{{instance}}"),),
                    "percentunit",
                    worse_from=(0.8, 0.9),
                ),
                Graph(
                    "Events of recordings",
                    "recording.started and recording.stopped of this node, by what was done.",
                    (Query(rate("ringmaster_recorder_node_events_total", "outcome"), "{{outcome}}"),),
                    "ops",
                ),
            ),
        ),
    ),
)
