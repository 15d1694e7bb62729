"""What a switch's events mean and whether a command may run. Pure: no socket, file, clock or log."""
