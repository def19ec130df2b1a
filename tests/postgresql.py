"""A PostgreSQL of our own on this machine, from Debian's packages, in a folder that is thrown away."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True), os.environ["PATH"]]
PATH = ":".join(PROGRAMS)  # Debian keeps the server's programs out of PATH
OWNER = "postgres"  # the server refuses to run as root


def missing() -> str:
    """Why no PostgreSQL can be started here, or ""."""
    lacking = [name for name in ("initdb", "pg_ctl") if not shutil.which(name, path=PATH)]
    if lacking:
        return f"apt-get install postgresql: there is no {', '.join(lacking)}"
    if not importlib.util.find_spec("psycopg"):
        return "pip install psycopg[binary]"
    known = subprocess.run(["id", OWNER], capture_output=True, check=False).returncode == 0
    return "" if os.geteuid() != 0 or known else f"there is no user {OWNER}, and the server does not run as root"


@contextmanager
def server() -> Iterator[str]:
    """Starts a server that listens on 127.0.0.1 only; gives the URL of its databases, which ends with /.

    Not in pytest's folder, which is closed to other users.
    """
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name) / "data", _port()
        if os.geteuid() == 0:
            shutil.chown(name, OWNER)
        _as_owner("initdb", "-D", str(folder), "--auth=trust", "--username=user", "--no-sync")
        options = f"-p {port} -F -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        _as_owner("pg_ctl", "-D", str(folder), "-w", "-o", options, "-l", f"{name}/log", "start")
        try:
            yield f"postgresql://user:s3cret@127.0.0.1:{port}/"
        finally:
            _as_owner("pg_ctl", "-D", str(folder), "-w", "-m", "immediate", "stop")


def _as_owner(program: str, *arguments: str) -> None:
    found = shutil.which(program, path=PATH)
    assert found
    user = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, found, *arguments], cwd="/", stdout=subprocess.DEVNULL, check=True)


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
