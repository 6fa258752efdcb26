"""`python -m scripts.traffic`: exit status 1 when nothing could be reached, 2 when it was asked nonsense."""

import asyncio
import sys

from scripts.addresses import told
from scripts.traffic.display import display
from scripts.traffic.options import parse
from scripts.traffic.questions import QuestionsError
from scripts.traffic.run import NothingReachedError, run


def main() -> int:
    """Runs the command line; its exit status."""
    options = parse(sys.argv[1:])
    screen = display()
    try:
        asyncio.run(run(options, screen))
    except NothingReachedError as error:
        screen.close()
        print(error, file=sys.stderr)
        return 1
    except QuestionsError as error:
        screen.close()
        print(f"traffic: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # The second Ctrl-C: whoever sends it does not want to wait for the summary.
        return 130
    finally:
        screen.close()
    return 0


if __name__ == "__main__":
    sys.exit(told(main))
