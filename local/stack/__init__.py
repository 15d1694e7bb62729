"""Everything of the platform as separate processes on loopback: `python -m local.stack up|down|status|demo`."""
