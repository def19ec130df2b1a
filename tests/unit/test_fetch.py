"""Raw data is what it was when it was pinned, wherever it comes from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.store.fetch import INBOX, fetch

CONTENT = b"a,b\n1,2\n"
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = {"/x.csv": CONTENT, "/cut.csv": CONTENT[:3]}.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(CONTENT) if body else 0))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def source(*mirrors: str, sha256: str | None = HASH) -> Source:
    return Source(file="far/away/x.csv", sha256=sha256, mirrors=mirrors)


def failure(made: Source) -> str:
    with pytest.raises(UserError) as error:
        fetch(made, Path("raw"))
    return str(error.value)


def inbox(content: bytes) -> None:
    INBOX.mkdir(parents=True)
    (INBOX / "x.csv").write_bytes(content)


def test_a_file_comes_from_a_url(server: str) -> None:
    assert fetch(source(f"{server}/x.csv"), Path("raw")).read_bytes() == CONTENT


def test_a_file_comes_from_a_path() -> None:
    Path("mine.csv").write_bytes(CONTENT)
    assert fetch(source("mine.csv"), Path("raw")) == Path("raw/x.csv")
    assert Path("raw/x.csv").read_bytes() == CONTENT


def test_a_file_with_another_hash_is_refused_with_both_hashes() -> None:
    Path("mine.csv").write_bytes(b"other")
    assert f"SHA-256 {hashlib.sha256(b'other').hexdigest()}, expected {HASH}" in failure(
        source("mine.csv")
    )


def test_nothing_is_left_of_a_refused_file() -> None:
    Path("mine.csv").write_bytes(b"other")
    failure(source("mine.csv"))
    assert sorted(path.name for path in Path().iterdir()) == ["mine.csv"]


def test_a_refused_file_leaves_the_one_that_was_there() -> None:
    Path("raw").mkdir()
    Path("raw/x.csv").write_bytes(CONTENT)
    Path("mine.csv").write_bytes(b"other")
    failure(source("mine.csv"))
    assert Path("raw/x.csv").read_bytes() == CONTENT


def test_the_inbox_is_used_first(capsys: pytest.CaptureFixture[str]) -> None:
    inbox(CONTENT)
    Path("mine.csv").write_bytes(CONTENT)
    fetch(source("mine.csv"), Path("raw"))
    assert capsys.readouterr().out.startswith(f"fetched x.csv from {INBOX}/x.csv: 8 bytes")


def test_a_wrong_file_in_the_inbox_does_not_hide_a_right_one() -> None:
    inbox(b"other")
    Path("mine.csv").write_bytes(CONTENT)
    assert fetch(source("mine.csv"), Path("raw")).read_bytes() == CONTENT


def test_the_message_lists_all_that_was_tried_and_what_to_do(server: str) -> None:
    inbox(b"other")
    message = failure(source(f"{server}/none.csv", "nowhere.csv"))
    assert f"{INBOX}/x.csv (SHA-256" in message
    assert f"{server}/none.csv (HTTP Error 404: Not Found)" in message
    assert "nowhere.csv ([Errno 2] No such file or directory: 'nowhere.csv')" in message
    assert f"Put the file by hand at {INBOX}/x.csv" in message


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1/x.csv", "gopher://127.0.0.1/x"]
)
def test_only_http_is_spoken(url: str) -> None:
    assert f"{url} (only http and https)" in failure(source(url))


@pytest.mark.parametrize(
    "path", ["http://[bad/x.csv", "http://127.0.0.1:1/a b.csv", "http://127.0.0.1:port/x.csv"]
)
def test_a_malformed_url_is_listed_like_any_other_failure(path: str) -> None:
    assert path in failure(source(path))


def test_a_download_that_is_cut_is_refused(server: str) -> None:
    assert "cut.csv (SHA-256" in failure(source(f"{server}/cut.csv"))


def test_a_login_in_a_url_is_not_repeated() -> None:
    assert "hunter2" not in failure(source("http://me:hunter2@127.0.0.1:1/x.csv"))


def test_a_file_without_a_pinned_hash_is_refused_with_its_hash() -> None:
    Path("mine.csv").write_bytes(CONTENT)
    message = failure(source("mine.csv", sha256=None))
    assert f"SHA-256 {HASH}" in message
    assert "Pin the hash that you trust as data.source.sha256." in message


def test_a_file_comes_out_of_an_installed_package() -> None:
    from importlib import metadata

    path = Path(str(metadata.distribution("pytest").locate_file("pytest/__init__.py")))
    made = Source(
        file="pytest/__init__.py",
        package="pytest==0.0.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert fetch(made, Path("raw")).read_bytes() == path.read_bytes()
