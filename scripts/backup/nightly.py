"""The service `backup`: an archive a day, and what Prometheus is told about the newest one."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric

from scripts.backup.archive import BackupError, NothingYet
from scripts.backup.run import Place, Say, back_up, made, prune

#: Between two looks at the clock, at a stack that comes up for the first time, and after a failure.
POLL_SECONDS, SOON_SECONDS, RETRY_SECONDS = 30.0, 5.0, 1800.0


def due(now: datetime, newest: float, at: str) -> bool:
    """Whether there is no archive (`newest`, a Unix time, 0: none at all) since it was last `at`, such as "02:30".

    So a machine that was off at that time makes up for it. Raises BackupError for what is no time of the day.
    """
    try:
        hour, minute = map(int, at.split(":"))
        last = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    except ValueError:
        raise BackupError(f"BACKUP_AT={at} is no time of the day: write it as 02:30") from None
    if last > now:
        last -= timedelta(days=1)
    return newest < last.timestamp()


class Newest:
    """The figures of the newest archive, read from the folder when asked: a restart forgets nothing."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def collect(self) -> Iterator[Metric]:
        """The metrics; 0 while there is no archive."""
        newest = self._place.archives()[-1:]
        when, size = (made(newest[0]), newest[0].stat().st_size) if newest else (0.0, 0)
        yield GaugeMetricFamily("backup_last_success_timestamp_seconds", "When the newest archive was made.", when)
        yield GaugeMetricFamily("backup_size_bytes", "Size of the newest archive.", size)


def serve(place: Place, say: Say) -> None:
    """Runs until it is ended. Raises BackupError for settings that cannot be used."""
    get = place.environment
    at, zone, days = get["BACKUP_AT"], ZoneInfo(get["TIMEZONE"]), float(get["BACKUP_KEEP_DAYS"])
    due(datetime.now(zone), 0, at)
    registry = CollectorRegistry()
    registry.register(Newest(place))
    failures = Counter("backup_failures", "Attempts that made no archive.", registry=registry)
    certificate = get.get("SERVER_CERTIFICATE_FILE") or None  # with its key
    start_http_server(int(get["PORT"]), get["HOST"], registry, certificate, certificate)
    say(f"a backup a day at {at} ({zone}), kept {days:g} days in {place.backups}")
    wait_until = 0.0
    while True:
        pause = POLL_SECONDS
        newest = place.archives()[-1:]
        if time.monotonic() > wait_until and due(datetime.now(zone), made(newest[0]) if newest else 0, at):
            try:
                back_up(place, say)
                prune(place, days, say)
            except NothingYet as error:
                pause = SOON_SECONDS
                say(f"no backup is made so far: {error}")
            except (BackupError, OSError) as error:
                failures.inc()
                wait_until = time.monotonic() + RETRY_SECONDS
                say(f"no backup was made: {error}; the next attempt is in {RETRY_SECONDS / 60:.0f} minutes")
        time.sleep(pause)
