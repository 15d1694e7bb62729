"""A tenant that is too large for one core: its routing domains, and how calls and agents change sides (ADR 33).

The reception, whose log is the tenant's own, takes every call and knows where each call and agent is; domains speak
with it alone. `leaving` gives a call away and `arriving` takes one, with the listener between them; `moving` sends on
what a new document has put elsewhere; `passing` takes what another log tells; `reception` sends on what is not its own.
"""
