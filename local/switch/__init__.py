"""A simulated FreeSWITCH: the true event-socket protocol over a channel model that is faithful to real captures.

One process plays the switch, the callers and the agents' phones. Everything that happens to a call happens on one
simulated clock, so a day can be played in minutes and a test moves the clock instead of sleeping.
"""
