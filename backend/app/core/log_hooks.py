"""Exceptions that nobody caught become lines too. asyncio's come by its own logger."""

import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from app.core.exception_frames import exception_frames

Write = Callable[[str, str, str, Mapping[str, Any]], None]
"""(level, logger, event, fields)"""


class _Before:
    """The hooks that were there before ours."""

    hooks: tuple[Any, Any, Any] | None = None


def install_hooks(write: Write) -> None:
    """Takes over from the interpreter, which would print them with whatever they say, for each of the three."""

    def uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, traceback)
        else:
            write("critical", "uncaught", "the program ends by an exception", {"exception": exception_frames(error)})

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread else ""
            fields = {"thread": name, "exception": exception_frames(args.exc_value)}
            write("error", "uncaught", "a thread ended by an exception", fields)

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        fields: dict[str, Any] = {"where": getattr(args.object, "__qualname__", type(args.object).__name__)}
        if args.exc_value is not None:
            fields["exception"] = exception_frames(args.exc_value)
        write("error", "uncaught", args.err_msg or "an exception was ignored", fields)

    remove_hooks()
    _Before.hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable


def remove_hooks() -> None:
    """Puts back what was there."""
    if _Before.hooks is not None:
        sys.excepthook, threading.excepthook, sys.unraisablehook = _Before.hooks
        _Before.hooks = None
