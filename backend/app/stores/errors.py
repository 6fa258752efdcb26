"""What can go wrong in a store, in the words of those who call it: no driver's exception leaves this package."""


class StoreUnavailable(Exception):
    """The store did not do what it was asked: unreachable, too slow, full, or failing on purpose.

    The message says what was asked of which store, why it failed and what to do. It never holds credentials or
    the content of a record, so it may be logged and shown.
    """


class StoreRefused(StoreUnavailable):
    """The store answered, and what it was asked is not to its liking: it will say the same the next time."""


class DuplicateRecord(Exception):
    """A record with this id is in the collection already; nothing was changed."""


class WrongCollection(Exception):
    """The vector collection that is there was made for other vectors. Waiting does not mend this."""
