"""The router: one pure decision over one tenant's log, and the shell that feeds it (DESIGN rules 1-4)."""
