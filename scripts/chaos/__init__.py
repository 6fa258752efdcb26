"""A stack of its own whose parts are killed, frozen, cut off and filled up, and a book of what it had acknowledged."""
