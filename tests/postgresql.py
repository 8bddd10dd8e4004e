"""A PostgreSQL server of one's own: thrown away after the tests, reached over a Unix socket, with no privileges."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg

_PLACES = "/usr/lib/postgresql/*/bin"  # where Debian keeps what is not for every user


class Server:
    """A cluster in a folder; `start` and `stop` may follow each other as often as a test likes."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs, self._folder, self._user = programs, folder, user
        self._run(
            "initdb", "--no-sync", "--auth=trust", "--username=fer", "--encoding=UTF8", "--pgdata", folder / "data"
        )
        self.start()

    def start(self) -> None:
        # After a crash one call syncs what otherwise is synced file by file, three hundred a database.
        settings = {"listen_addresses": "''", "max_connections": 60, "recovery_init_sync_method": "syncfs"}
        options = f"-k {self._folder} " + " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run(
            "pg_ctl",
            "start",
            "--wait",
            "--timeout=120",
            "-D",
            self._folder / "data",
            "-l",
            self._folder / "log",
            "-o",
            options,
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is what a power cut looks like to the files."""
        self._run("pg_ctl", "stop", "--wait", "-D", self._folder / "data", "-m", mode)

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"log_{uuid.uuid4().hex}"
        with psycopg.connect(f"host={self._folder} user=fer dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://fer@/{name}?host={self._folder}"

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._programs / program, *map(str, arguments)],
            check=True, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def find_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, of the newest version there is; None where there is none."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/").glob(_PLACES.lstrip("/")), key=lambda folder: folder.parent.name)
    return folders[-1] if folders else None


@contextlib.contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A server while the block runs. It does not run as root, so root lends it to the user `postgres`."""
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="fer-pg-"))  # pytest's own folders are closed to other users
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        server = Server(programs, folder, user)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
