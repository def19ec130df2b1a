"""Database servers of our own on this machine, from Debian's packages, in temporary folders."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

# Debian keeps servers out of PATH, and PostgreSQL's below its version: the newest first
_POSTGRESQL = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
PATH = ":".join([*_POSTGRESQL, os.environ["PATH"], "/usr/sbin"])


class Server(NamedTuple):
    """A server's Debian package and programs, and its driver in Python.

    `extra` is what pip calls the driver. Both servers refuse to run as root: for root they run as
    the user `owner`.
    """

    package: str
    programs: tuple[str, ...]
    driver: str
    extra: str
    owner: str


KINDS = {
    "postgresql": Server(
        package="postgresql",
        programs=("initdb", "pg_ctl"),
        driver="psycopg",
        extra="psycopg[binary]",
        owner="postgres",
    ),
    "mysql": Server(
        package="mariadb-server",
        programs=("mariadb-install-db", "mariadbd"),
        driver="pymysql",
        extra="pymysql",
        owner="mysql",
    ),
}


def missing(name: str) -> str:
    """Why this server cannot be started here, or "": pytest wants a reason that is a string."""
    server = KINDS[name]
    lacking = [program for program in server.programs if not shutil.which(program, path=PATH)]
    if lacking:
        return f"apt-get install {server.package}: there is no {', '.join(lacking)}"
    if not importlib.util.find_spec(server.driver):
        return f"pip install {server.extra}"
    if os.geteuid() == 0:
        user = subprocess.run(["id", server.owner], capture_output=True, check=False)
        if user.returncode != 0:
            return f"there is no user {server.owner}, and the server does not run as root"
    return ""


@contextmanager
def server(name: str) -> Iterator[str]:
    """Starts a server on 127.0.0.1 only; gives the URL of its databases, which ends with /.

    Not in pytest's folder, which is closed to other users.
    """
    starts: dict[str, Callable[[Path, int], AbstractContextManager[str]]] = {
        "postgresql": _postgresql,
        "mysql": _mysql,
    }
    with tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, KINDS[name].owner)
        with starts[name](Path(folder), _port()) as url:
            yield url


@contextmanager
def _postgresql(folder: Path, port: int) -> Iterator[str]:
    data = ("-D", str(folder / "data"))
    _run("postgresql", "initdb", *data, "--auth=trust", "--username=user", "--no-sync")

    options = f"-p {port} -F -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    _run("postgresql", "pg_ctl", *data, "-w", "-o", options, "-l", f"{folder}/log", "start")
    try:
        yield f"postgresql://user:s3cret@127.0.0.1:{port}/"
    finally:
        _run("postgresql", "pg_ctl", *data, "-w", "-m", "immediate", "stop")


@contextmanager
def _mysql(folder: Path, port: int) -> Iterator[str]:
    """MariaDB, which speaks MySQL's protocol and is what Debian has."""
    common = ("--no-defaults", f"--datadir={folder}/data")
    _run("mysql", "mariadb-install-db", *common, "--auth-root-authentication-method=normal")

    user = "user@'127.0.0.1'"
    (folder / "begin.sql").write_text(
        f"CREATE USER {user} IDENTIFIED BY 's3cret';\nGRANT ALL ON *.* TO {user};\n"
    )
    options = (
        f"--port={port}",
        "--skip-name-resolve",
        "--bind-address=127.0.0.1",
        f"--socket={folder}/socket",
        f"--pid-file={folder}/pid",
        f"--init-file={folder}/begin.sql",
    )
    command = _command("mysql", "mariadbd", *common, *options)
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
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _command(name: str, program: str, *arguments: str) -> list[str]:
    path = shutil.which(program, path=PATH)
    assert path
    command = [path, *arguments]
    if os.geteuid() != 0:
        return command
    owner = KINDS[name].owner
    return ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--init-groups", *command]


def _run(name: str, program: str, *arguments: str) -> None:
    subprocess.run(
        _command(name, program, *arguments), cwd="/", stdout=subprocess.DEVNULL, check=True
    )


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
