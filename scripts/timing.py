"""The same rules and routes with every duration shortened alike, for whoever cannot wait for the real ones.

Made from the files that are in use, never edited by hand. Nothing but durations changes: a threshold that counts events
needs the same number of events, in less time.
"""

import re

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: A duration as Prometheus writes it: a word of its own, be it a value or a window in brackets. `rate5m` is a name, and
#: the `window` of a burn rate a label, which matchers in other files ask for in quotes.
_DURATION = re.compile(r"(?<![\w.:/\"-])(?<!window: )(\d+)(ms|s|m|h|d)(?![\w%])")


def shortened(text: str, factor: float) -> str:
    """A configuration's text with every duration divided by `factor`; 0 stays 0, and nothing else becomes 0."""

    def shorter(found: re.Match[str]) -> str:
        milliseconds = int(found[1]) * _MILLISECONDS[found[2]]
        return f"{max(1, round(milliseconds / factor))}ms" if milliseconds else found[0]

    return _DURATION.sub(shorter, text)
