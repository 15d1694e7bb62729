"""Speech that this machine has: clips with their texts, for simulated calls and for measuring transcription."""
