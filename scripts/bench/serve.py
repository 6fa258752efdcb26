"""One variant under a real uvicorn: `python -m scripts.bench.serve VARIANT PORT FOLDER SINK`."""

import sys
from pathlib import Path

import uvicorn

from scripts.bench.subject import Place
from scripts.bench.variants import VARIANTS


def main(name: str, port: str, folder: str, sink: str) -> None:
    """Serves until it is told to stop. uvicorn's own access line is off in every variant."""
    subject = VARIANTS[name].build(Place(Path(folder), sink, name))
    uvicorn.run(subject.app, host="127.0.0.1", port=int(port), log_config=None, access_log=False)
    if subject.flush_spans is not None:
        subject.flush_spans()


if __name__ == "__main__":
    main(*sys.argv[1:])
