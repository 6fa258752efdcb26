"""`python -m app.keys`: makes, lists and revokes API keys in the document store that the settings name."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from app.core.config import Settings, get_settings
from app.services.access import REFRESH_SECONDS, SCOPES, ApiKeys
from app.stores.documents import Record, StoreUnavailable
from app.stores.factory import build_document_store


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for; ends the program with argparse's message and status 2 when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m app.keys", description="API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="prints a new key, once")
    make.add_argument("name")
    make.add_argument("--scopes", required=True, help=f"some of {','.join(SCOPES)}")
    make.add_argument("--rate", type=int, default=600, help="calls a minute and replica; 0: no limit")
    commands.add_parser("list", help="every key, without its secret")
    commands.add_parser("revoke", help="ends a key").add_argument("which", help="its name or its id")
    return parser.parse_args(arguments)


def _row(record: Record) -> str:
    made, ended = (
        datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") if at else ""
        for at in (record["created_at"], record["revoked_at"])
    )
    rate = f"{record['rate_per_minute']}/min" if record["rate_per_minute"] else "no limit"
    state = f"revoked {ended}" if ended else "active"
    return f"{record['id']}  {record['name']:<24} {','.join(record['scopes']):<20} {rate:<12} made {made}  {state}"


async def work(asked: argparse.Namespace, settings: Settings) -> int:
    """Does it; 0 when it was done. A new key is all that is printed on stdout, for a program to take."""
    store = build_document_store(settings)
    keys = ApiKeys(store)
    try:
        await store.start()
        if asked.command == "make":
            print(await keys.make(asked.name, asked.scopes.split(","), asked.rate))
            print(f"Keep it: it is not shown again. It serves within {REFRESH_SECONDS:g} s.", file=sys.stderr)
        elif asked.command == "list":
            print("\n".join(map(_row, await keys.all())) or "There are no keys.")
        elif not await keys.revoke(asked.which):
            print(f"There is no active key with the id or the name {asked.which!r}.", file=sys.stderr)
            return 1
        else:
            print(f"{asked.which} is revoked; every replica refuses it within {REFRESH_SECONDS:g} s.", file=sys.stderr)
    except (StoreUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await store.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(work(parse(sys.argv[1:]), get_settings())))
