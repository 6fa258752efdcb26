"""Work in threads of its own while something else is done."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def meanwhile(*works: Callable[[threading.Event], object]) -> Iterator[None]:
    """Each work runs in a thread while the block does; it is given the event that tells it to end, and waited for."""
    end = threading.Event()
    threads = [threading.Thread(target=work, args=(end,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()
