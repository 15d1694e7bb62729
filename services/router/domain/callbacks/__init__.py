"""Calling customers back whom we lost, or who asked for it (SPEC 4).

`task` is the record, `opening` makes tasks and lets a customer's own calls bear on them, `planning` goes from one
attempt to the next, `attempts` makes one. What ends calls knows `opening` and `planning`; `attempts` orders calls.
"""
