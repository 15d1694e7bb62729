"""Everything the recorder measures."""

from prometheus_client import Counter, Gauge, Histogram

FILES_WAITING = Gauge("ringmaster_recorder_files_waiting", "Recordings on the node's disk that are not stored yet.")
BYTES_WAITING = Gauge("ringmaster_recorder_waiting_bytes", "Bytes of recordings that are not stored yet.")
OLDEST_WAITING_SECONDS = Gauge(
    "ringmaster_recorder_oldest_waiting_seconds",
    "Age of the oldest recording that is not stored yet, by its last write.",
)
FILES_QUARANTINED = Gauge("ringmaster_recorder_files_quarantined", "Files put aside that wait for a person.")
UPLOADS = Counter("ringmaster_recorder_uploads_total", "Tries to store a recording, by how they ended.", ["outcome"])
RECORDINGS_FAILED = Counter(
    "ringmaster_recorder_recordings_failed_total",
    "Events recording.failed: recordings that can't be kept, by what became of them.",
    ["how"],
)
PUT_ASIDE, MISSING = (RECORDINGS_FAILED.labels(how) for how in ("put_aside", "missing"))
"""They are there from the start: an increase from nothing would not be seen."""
UPLOADED_BYTES = Counter("ringmaster_recorder_uploaded_bytes_total", "Bytes sent to the object store.")
STEP_SECONDS = Histogram(
    "ringmaster_recorder_step_seconds",
    "Time of each step of storing a recording.",
    ["step"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
TRANSCRIPTIONS = Counter(
    "ringmaster_recorder_transcriptions_total", "Tries to write a recording down, by how they ended.", ["outcome"]
)
TRANSCRIBED_SPEECH_SECONDS = Counter(
    "ringmaster_recorder_transcribed_speech_seconds_total", "Speech that was written down."
)
TRANSCRIPTION_JOBS = Gauge(
    "ringmaster_recorder_transcription_jobs", "Recordings to be written down, by where they are.", ["state"]
)
TRANSCRIPTION_ORDERS = Counter(
    "ringmaster_recorder_transcription_orders_total",
    "Stored recordings that were looked at, by what followed.",
    ["outcome"],
)
CLIPS = Counter("ringmaster_recorder_clips_total", "Short sounds of menus, by what became of them.", ["outcome"])
CLIP_SECONDS = Histogram(
    "ringmaster_recorder_clip_seconds",
    "Time from a clip's arrival to its answer.",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
DENIED = Counter(
    "ringmaster_recorder_requests_denied_total", "Requests without a valid token or without the right.", ["reason"]
)
DISK_FREE_BYTES = Gauge("ringmaster_recorder_disk_free_bytes", "Free bytes on the disk that holds the recordings.")
DISK_USED_RATIO = Gauge("ringmaster_recorder_disk_used_ratio", "Used part of that disk, 0 to 1.")
DISK_ABOVE_WATERMARK = Gauge(
    "ringmaster_recorder_disk_above_watermark", "1 while that disk is fuller than the watermark.", ["watermark"]
)
NODE_EVENTS = Counter(
    "ringmaster_recorder_node_events_total",
    "Events recording.started and recording.stopped of this node, by what was done.",
    ["outcome"],
)
