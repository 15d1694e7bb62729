"""SIPp as callers and as agents' phones of a real FreeSWITCH: `python -m local.phones` plays a scenario file with them.

It answers to the same control addresses as the simulated switch (/status, /truth, /begin, /drain), so that whoever
watches a run need not know which of the two it is.
"""
