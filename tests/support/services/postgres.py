"""A temporary PostgreSQL server for tests, if PostgreSQL is installed."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

#: Debian's folder of PostgreSQL's server programs.
_DEBIAN = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """Return the folder of `initdb` and `postgres`, None if they are not installed."""
    program = shutil.which("postgres")
    if program is not None:
        return Path(program).parent
    versions = sorted(_DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


@contextmanager
def server(folder: Path) -> Generator[Path]:
    """Run a server that listens only on a socket in a folder.

    Args:
        folder: An empty folder with a short path, because socket paths are limited.
    """
    binaries = programs()
    assert binaries is not None
    user = "postgres" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    quick = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"

    def run(*command: str) -> None:
        subprocess.run(
            command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
        )

    run(str(binaries / "initdb"), "--auth=trust", "--username=l4", "--encoding=UTF8", "--no-locale", f"--pgdata={data}")
    options = f"-k {folder} -c listen_addresses='' {quick}"
    run(str(binaries / "pg_ctl"), "start", "-w", f"--pgdata={data}", f"--log={folder / 'log'}", f"--options={options}")
    try:
        yield folder
    finally:
        run(str(binaries / "pg_ctl"), "stop", f"--pgdata={data}", "--mode=immediate")


def address(folder: Path, name: str) -> str:
    """Return the SQLAlchemy URL of a database.

    Args:
        folder: The server's folder.
        name: The database's name.
    """
    return f"postgresql+psycopg://l4@/{name}?host={folder}"
