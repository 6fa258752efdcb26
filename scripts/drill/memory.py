"""`python -m scripts.drill.memory PERCENT`: keeps so much of this machine's memory in use, until its input ends.

Whatever others take and give back meanwhile, it gives back and takes. Prints `held` once it is so. Should there be too
little all the same, the system ends this program first.
"""

import select
import sys
from pathlib import Path

import psutil

#: Bytes taken or given back at once.
STEP = 64 * 1024**2


def main(percent: float) -> None:
    """Returns at the end of standard input."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    held: list[bytearray] = []
    said = False
    while not select.select([sys.stdin], [], [], 0.2 if said else 0)[0]:
        memory = psutil.virtual_memory()
        lacking = int(memory.available - memory.total * (1 - percent / 100))
        if lacking > STEP:
            # Written to, each page of it: the system gives none before.
            held += [bytearray(b"x") * STEP for _ in range(min(lacking // STEP, 16))]
            continue
        if lacking < -STEP:
            del held[: -lacking // STEP]
        if not said:
            said = True
            print("held", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
