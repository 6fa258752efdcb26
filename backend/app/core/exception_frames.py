"""An exception as data for a line: its types, messages and frames, causes included, no local variables, bounded."""

import traceback
from typing import Any

#: Of one exception: the outermost tell who asked, the innermost what broke.
OUTER_FRAMES, INNER_FRAMES = 8, 22
#: Exceptions of one line, its causes and a group's members together.
MAX_EXCEPTIONS = 12
#: Of one message (characters).
MESSAGE_CHARS = 2_000


def exception_message(error: BaseException) -> str:
    """What an exception says. A validation error's input, which may be anything that a client sent, is left out."""
    try:
        errors = getattr(error, "errors", None)
        if callable(errors) and isinstance(found := errors(), list | tuple):
            return "; ".join(_field_error(one) for one in found[:10])[:MESSAGE_CHARS]
        return str(error)[:MESSAGE_CHARS]
    except Exception as failure:
        return f"(its message cannot be read: {type(failure).__name__})"


def _field_error(error: Any) -> str:
    """pydantic's own words about one field: where and what kind, since its message may repeat the input."""
    if not isinstance(error, dict):
        return type(error).__name__
    where = ".".join(str(part) for part in error.get("loc", ()))
    return f"{where}: {error.get('type', 'not valid')}"


def exception_frames(error: BaseException) -> list[dict[str, Any]]:
    """The exception, then what caused it, each with its frames from the outermost to the innermost."""
    return _chain(error, [MAX_EXCEPTIONS])


def _chain(error: BaseException | None, left: list[int]) -> list[dict[str, Any]]:
    """`left` counts down over the whole tree, so that neither a long chain nor a wide group makes an endless line."""
    told: list[dict[str, Any]] = []
    seen: set[int] = set()
    is_cause = False
    while error is not None and id(error) not in seen and left[0] > 0:
        seen.add(id(error))
        left[0] -= 1
        one: dict[str, Any] = {"exc_type": type(error).__name__, "exc_value": exception_message(error)}
        if notes := [str(note)[:MESSAGE_CHARS] for note in getattr(error, "__notes__", ())[:5]]:
            one["exc_notes"] = notes
        one["is_cause"] = is_cause
        one["frames"] = _frames(error)
        if isinstance(error, BaseExceptionGroup):
            one["exceptions"] = [chain for member in error.exceptions if (chain := _chain(member, left))]
        told.append(one)
        is_cause = error.__cause__ is not None
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def _frames(error: BaseException) -> list[dict[str, Any]]:
    frames = [
        {"filename": frame.f_code.co_filename, "lineno": line, "name": frame.f_code.co_name}
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if len(frames) > OUTER_FRAMES + INNER_FRAMES:
        left_out = len(frames) - OUTER_FRAMES - INNER_FRAMES
        gap = {"filename": "", "lineno": 0, "name": f"... {left_out} frames ..."}
        frames[OUTER_FRAMES:-INNER_FRAMES] = [gap]
    return frames
