"""Why a remote file cannot be read."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """Return what lies behind an error of fsspec: a server that does not answer, too, is "no such file" to it."""
    if isinstance(error, FileNotFoundError) and error.strerror is None:
        behind = error.__cause__ or error.__context__
        return str(behind) if behind is not None and str(behind) else "no such file"
    return str(error) or type(error).__name__
