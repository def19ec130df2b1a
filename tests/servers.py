"""Database servers of our own on this machine, from Debian's packages, in folders that are thrown
away.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# Debian keeps servers out of PATH
PATH = ":".join(
    [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True), os.environ["PATH"]]
)
PATH += ":/usr/sbin"


class Kind(NamedTuple):
    """A server's programs, its driver in Python, and the user that it runs as where we are root:
    both refuse root.
    """

    package: str
    programs: tuple[str, ...]
    driver: str
    extra: str
    owner: str


KINDS = {
    "postgresql": Kind(
        "postgresql", ("initdb", "pg_ctl"), "psycopg", "psycopg[binary]", "postgres"
    ),
    "mysql": Kind(
        "mariadb-server", ("mariadb-install-db", "mariadbd"), "pymysql", "pymysql", "mysql"
    ),
}


def missing(name: str) -> str:
    """Why none of this kind can be started here, or ""."""
    kind = KINDS[name]
    lacking = [program for program in kind.programs if not shutil.which(program, path=PATH)]
    if lacking:
        return f"apt-get install {kind.package}: there is no {', '.join(lacking)}"
    if not importlib.util.find_spec(kind.driver):
        return f"pip install {kind.extra}"
    known = subprocess.run(["id", kind.owner], capture_output=True, check=False).returncode == 0
    return (
        ""
        if os.geteuid() != 0 or known
        else f"there is no user {kind.owner}, and the server does not run as root"
    )


@contextmanager
def server(name: str) -> Iterator[str]:
    """Starts a server that listens on 127.0.0.1 only; gives the URL of its databases, which ends
    with /.

    Not in pytest's folder, which is closed to other users.
    """
    with tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, KINDS[name].owner)
        start: Callable[[Path, int], contextmanager[str]] = {
            "postgresql": _postgresql,
            "mysql": _mysql,
        }[name]
        with start(Path(folder), _port()) as url:
            yield url


@contextmanager
def _postgresql(folder: Path, port: int) -> Iterator[str]:
    at = ("-D", str(folder / "data"))
    _run("postgresql", "initdb", *at, "--auth=trust", "--username=user", "--no-sync")
    options = f"-p {port} -F -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    _run("postgresql", "pg_ctl", *at, "-w", "-o", options, "-l", f"{folder}/log", "start")
    try:
        yield f"postgresql://user:s3cret@127.0.0.1:{port}/"
    finally:
        _run("postgresql", "pg_ctl", *at, "-w", "-m", "immediate", "stop")


@contextmanager
def _mysql(folder: Path, port: int) -> Iterator[str]:
    """MariaDB, which speaks MySQL's protocol and is what Debian has."""
    plain = ("--no-defaults", f"--datadir={folder}/data")
    _run("mysql", "mariadb-install-db", *plain, "--auth-root-authentication-method=normal")
    user = "user@'127.0.0.1'"
    (folder / "begin.sql").write_text(
        f"CREATE USER {user} IDENTIFIED BY 's3cret';\nGRANT ALL ON *.* TO {user};\n"
    )
    there = (
        f"--port={port}",
        "--skip-name-resolve",
        "--bind-address=127.0.0.1",
        f"--socket={folder}/socket",
        f"--pid-file={folder}/pid",
    )
    command = _command("mysql", "mariadbd", *plain, *there, f"--init-file={folder}/begin.sql")
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd="/", stdout=log, stderr=log) as process,
    ):
        try:
            _until_it_answers(port, process, folder / "log")
            yield f"mysql+pymysql://user:s3cret@127.0.0.1:{port}/"
        finally:
            process.terminate()


def _until_it_answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _command(name: str, program: str, *arguments: str) -> list[str]:
    found = shutil.which(program, path=PATH)
    assert found
    owner = KINDS[name].owner
    drop = (
        ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--init-groups"]
        if os.geteuid() == 0
        else []
    )
    return [*drop, found, *arguments]


def _run(name: str, program: str, *arguments: str) -> None:
    subprocess.run(
        _command(name, program, *arguments), cwd="/", stdout=subprocess.DEVNULL, check=True
    )


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
