class BusError(Exception):
    """Base of what the bus raises; caught by the shell of a service, never by its domain."""


class BusUnavailable(BusError):
    """The broker does not answer or too much is in flight. Nothing was lost: try again later."""


class Refused(BusUnavailable):
    """The broker answers and lets us not read: a right or a topic is missing. For a person to mend; ask again then."""


class NotDelivered(BusError):
    """A record was not acknowledged. It may or may not be in the topic: send it again, consumers know its id."""


class Rebalancing(BusUnavailable):
    """The group is just sharing its partitions out: what is still ours then can be committed a little later."""
