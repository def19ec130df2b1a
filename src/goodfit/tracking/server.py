"""Whether a tracking server is there: known within seconds, and before torch is imported.

MLflow by itself retries a request for 275 s, and the connection to a database server for 102 s.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from goodfit.errors import UserError
from goodfit.system.secrets import redact

LIMIT = 6.0  # seconds: a server that is just being restarted may answer meanwhile
_PAUSE = 0.5  # seconds between two tries
_DATABASES = ("postgresql", "mysql", "mssql")  # those that MLflow knows, beside files
_QUESTION = "api/2.0/mlflow/experiments/search"

Try = Callable[[], None]  # raises where the server does not answer


def check_answers(uri: str) -> None:
    """The server at `uri` answers; what is no server, such as a file, is not asked.

    Raises:
        UserError: it has not answered for LIMIT seconds, with what was tried; or `uri` is no URL.
    """
    attempt = _attempt(uri)
    if attempt is None:
        return

    reasons: list[str] = []
    answered = threading.Event()
    deadline = time.monotonic() + LIMIT
    # a thread that nobody waits for: looking up a name, and a connection to an address that
    # swallows packets, heed no time limit that covers them as a whole
    thread = threading.Thread(
        target=_repeat, args=(attempt, deadline, reasons, answered), daemon=True
    )
    thread.start()
    thread.join(LIMIT)
    if not answered.is_set():
        reason = reasons[-1] if reasons else "it takes no connection, or says nothing"
        raise UserError(
            redact(
                f"tracking.uri={uri} does not answer: {reason} "
                f"({LIMIT:.0f} s, tries: {max(1, len(reasons))})\n"
                "start the server, correct tracking.uri or MLFLOW_TRACKING_URI, or track in a file "
                "with tracking.uri=sqlite:///mlflow.db"
            )
        )


def _repeat(attempt: Try, deadline: float, reasons: list[str], answered: threading.Event) -> None:
    """Tries until the server answers or time is over; `reasons` grows by one with each failure."""
    while time.monotonic() < deadline:
        try:
            attempt()
        except Exception as error:  # of whatever driver, it is why nothing answered
            reasons.append(_reason(error))
            time.sleep(_PAUSE)
        else:
            answered.set()
            return


def _attempt(uri: str) -> Try | None:
    """A question for the server at `uri`; None where there is no server to ask.

    Raises:
        UserError: it begins like a URL, and is none.
    """
    try:
        backend = urlsplit(uri).scheme.partition("+")[0]
    except ValueError as error:
        raise UserError(redact(f"tracking.uri={uri} is no URL: {error}")) from None
    if backend in ("http", "https"):
        return lambda: _request(uri)
    if backend in _DATABASES:
        return lambda: _connect(uri)
    return None


def _request(uri: str) -> None:
    """Asks MLflow's API for an experiment, as the client will do, through the same proxies."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]  # a login is MLflow's to send
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/{_QUESTION}"
    body = json.dumps({"max_results": 1}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=LIMIT).close()  # noqa: S310 - http or https
    except urllib.error.HTTPError as error:
        # a refusal is an answer; but 404 is not MLflow's, and after 5xx it would retry for minutes
        if error.code == 404 or error.code >= 500:
            raise
    except urllib.error.URLError as error:
        # whether a certificate is trusted, MLflow's own settings decide
        if not isinstance(error.reason, ssl.SSLError):
            raise


def _connect(uri: str) -> None:
    """Opens a connection to a database server, and closes it."""
    from sqlalchemy import NullPool, create_engine

    with create_engine(uri, poolclass=NullPool).connect():
        pass


def _reason(error: Exception) -> str:
    """An error in a few words, in one line."""
    cause: object = error
    if isinstance(error, urllib.error.HTTPError):
        cause = f"HTTP {error.code} {error.reason}"
    elif isinstance(error, urllib.error.URLError):
        cause = error.reason  # the error of the socket
    cause = getattr(cause, "orig", None) or cause  # SQLAlchemy has the driver's there
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())[:200]
