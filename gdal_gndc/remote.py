"""How long to wait for servers, and why a remote file cannot be read."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

# Left to itself GDAL waits for ever for a server that takes a connection and says nothing, and gives up at once where
# it is told to come again.
PATIENCE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "30",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
_SILENCE = ("GDAL_HTTP_LOW_SPEED_TIME", "GDAL_HTTP_TIMEOUT", "GDAL_HTTP_CONNECTTIMEOUT")
_HTTP = re.compile(r"(?:^|::)(https?)://", re.IGNORECASE)


def gdal_patience() -> dict[str, str]:
    """Return the settings of GDAL for servers, without those that the user has made."""
    from rasterio._env import get_gdal_config

    return {name: value for name, value in PATIENCE.items() if get_gdal_config(name) is None}


def fsspec_options(url: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return storage options with which fsspec waits for a server of HTTP as long as GDAL does.

    Parameters
    ----------
    url
        A URL, chained ones too.
    given
        Those of the user. They win, as do those of fsspec's own configuration.
    """
    options = dict(given or {})
    found = _HTTP.findall(url)
    if not found:
        return options
    import aiohttp
    import fsspec

    timeout = aiohttp.ClientTimeout(
        total=_setting("GDAL_HTTP_TIMEOUT") or None,
        sock_connect=_setting("GDAL_HTTP_CONNECTTIMEOUT") or None,
        sock_read=_setting("GDAL_HTTP_LOW_SPEED_TIME") or None,
    )
    first = url.lower().startswith("http")
    for protocol in {scheme.lower() for scheme in found}:
        # options that name no protocol are those of the first one of a chain
        told = options if first else dict(options.get(protocol, {}))
        configured = fsspec.config.conf.get(protocol, {})
        client = {**configured.get("client_kwargs", {}), **told.get("client_kwargs", {})}
        told["client_kwargs"] = {"timeout": timeout, **client}
        if not first:
            options[protocol] = told
    return options


def timed_out(error: BaseException | None) -> bool:
    """Whether an error is, or comes from, a server that did not answer in time."""
    while error is not None:
        if isinstance(error, TimeoutError):
            return True
        error = _behind(error)
    return False


def gave_up(seconds: float) -> bool:
    """Whether something that GDAL could not read took so long that it must have waited in vain."""
    limits = [limit for name in _SILENCE if (limit := _setting(name))]
    return bool(limits) and seconds >= min(limits)


def may_pass(error: BaseException) -> bool:
    """Whether a server may do better when it is asked once more."""
    if timed_out(error) or isinstance(error, ConnectionError):
        return True
    status = getattr(error, "status", None) or 503
    return type(error).__module__.startswith("aiohttp.") and (status == 429 or status >= 500)


def silence(seconds: float | None = None, expected: str = "the rest of it") -> str:
    """Say that a server stopped answering, and what sets how long it is waited for."""
    name = min((name for name in _SILENCE[:2] if _setting(name)), key=_setting, default=_SILENCE[0])
    waited = _setting(name) if seconds is None else round(seconds, 1)
    return f"no bytes came for {waited:g} s, expected {expected}; {name} sets how long to wait"


def reason(error: BaseException) -> str:
    """Return what lies behind an error of fsspec, xarray or rasterio.

    A server that does not answer is "no such file" to fsspec, and rasterio only points to a previous exception.
    """
    if timed_out(error):
        return silence()
    if isinstance(error, FileNotFoundError) and error.strerror is None:
        behind = _behind(error)
        return str(behind) if behind is not None and str(behind) else "no such file"
    if error.__cause__ is not None and "previous exception" in str(error):
        return reason(error.__cause__)
    return str(error) or type(error).__name__


def _behind(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _setting(name: str) -> float:
    """A number of seconds that the user set, in the environment or in GDAL's own configuration, else ours, else 0."""
    found = os.environ.get(name)
    if found is None and "rasterio._env" in sys.modules:
        # seldom set, and never without rasterio
        told = sys.modules["rasterio._env"].get_gdal_config(name)
        found = None if told is None else str(told)
    try:
        return float(found if found is not None else PATIENCE.get(name, "0"))
    except ValueError:
        return 0.0
