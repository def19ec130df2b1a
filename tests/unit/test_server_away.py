"""A tracking server that is not there is known within seconds, before the first step."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import slurm
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.tracking import server
from goodfit.tracking.database import connect

pytestmark = pytest.mark.fault(37)
Home = Callable[..., DictConfig]


@contextmanager
def swallowing() -> Iterator[str]:
    """An address whose kernel answers no packet of a new connection: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class Answers(BaseHTTPRequestHandler):
    """Answers the first requests with these codes, and all that follow with the last."""

    codes: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def answering(*codes: int) -> Iterator[str]:
    """An HTTP server that answers with these codes."""
    handler = type("Handler", (Answers,), {"codes": list(codes)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


def refused(uri: str) -> str:
    """The message about a server, which comes within ten seconds."""
    began = time.monotonic()
    with pytest.raises(UserError) as error:
        server.check_answers(uri)
    assert time.monotonic() - began < 10
    return str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize("address", [swallowing, silent])
def test_an_address_that_says_nothing(
    scheme: str, address: Callable[[], Iterator[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LIMIT", 1.0)
    with address() as host:  # type: ignore[attr-defined]
        message = refused(f"{scheme}://{host}/x")
    assert message.startswith(f"tracking.uri={scheme}://{host}/x does not answer: ")
    assert len(message.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "https", "postgresql+psycopg", "mysql+pymysql"])
def test_a_port_where_nobody_listens(scheme: str) -> None:
    """With the limit that users have."""
    port = slurm.ports(1)[0]
    message = refused(f"{scheme}://user:s3cret@127.0.0.1:{port}/x")
    assert "refused" in message
    assert "s3cret" not in message


@pytest.mark.slow
def test_a_name_that_is_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LIMIT", 1.0)
    assert "tracking.uri=http://no.invalid:5000 does not answer: " in refused(
        "http://no.invalid:5000"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://[bad", "is no URL: Invalid IPv6 URL"),
        ("http://host:port", "nonnumeric port"),
        ("postgresql+psycopg://host:port/x", "does not answer: "),
        ("mssql+nodriver://host/x", "does not answer: "),
    ],
)
def test_what_is_no_address(uri: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LIMIT", 1.0)
    assert reason in refused(uri)


@pytest.mark.slow
@pytest.mark.parametrize("code", [404, 500, 503])
def test_a_server_that_is_not_mlflow_or_has_lost_its_own(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LIMIT", 1.0)
    with answering(code) as host:
        assert f"HTTP {code}" in refused(f"http://{host}")


@pytest.mark.slow
@pytest.mark.parametrize("codes", [[200], [401], [503, 503, 200]])
def test_a_server_that_answers_is_there_also_after_a_restart(codes: list[int]) -> None:
    with answering(*codes) as host:
        server.check_answers(f"http://{host}")


@pytest.mark.parametrize("uri", ["sqlite:///away/mlflow.db", "mlruns", "file:///mlruns"])
def test_a_file_is_not_asked(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server.check_answers(uri)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_begins_nothing_without_its_server(
    home: Home, tmp_path: Path, devices: int
) -> None:
    uri = f"http://127.0.0.1:{slurm.ports(1)[0]}"
    strategy = "auto" if devices == 1 else "ddp"
    cfg = home(tracking={"uri": uri}, trainer={"devices": devices, "strategy": strategy})
    before = sorted(tmp_path.rglob("*"))
    began = time.monotonic()
    with pytest.raises(UserError, match=r"does not answer: Connection refused"):
        fit(cfg, out=Path("model"))
    assert time.monotonic() - began < 10
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_what_comes_after_a_training_knows_it_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluate, register and sweeps connect here."""
    # if it were asked, MLflow would say so after one try instead of after 275 s
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    began = time.monotonic()
    with pytest.raises(UserError, match=r"does not answer: Connection refused"):
        connect(f"http://127.0.0.1:{slurm.ports(1)[0]}")
    assert time.monotonic() - began < 10


def test_a_file_that_cannot_be_made_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match=r"sqlite:////proc/no/mlflow.db does not answer: No such"):
        connect("sqlite:////proc/no/mlflow.db")
