"""Creates missing secrets of a deployment in containers: `python -m service.cli.secrets`.

With `--ray-token` it reads the first machine's Ray token from standard input, so that another machine can join it.
"""

import secrets
import sys
from pathlib import Path

from service.cli.display import show_error
from service.errors import BadSecretError, ServiceError

#: Secrets in containers; each of its folders is a volume, mounted only in containers that need it.
FOLDER = Path("/run/secrets")
#: Folders with a PostgreSQL password: of the superuser, of this service's role, of MLflow's role.
_ROLES = ("postgres", "database", "mlflow")


def make_secrets(folder: Path) -> tuple[Path, ...]:
    """Write missing secrets, and return their paths.

    Args:
        folder: Has one folder for each reader.
    """
    passwords = {name: _read_or_default(folder / name / "password", secrets.token_hex(32)) for name in _ROLES}
    contents = {folder / name / "password": password for name, password in passwords.items()} | {
        folder / "database" / "l4_database": _url("l4", passwords["database"]),
        folder / "mlflow" / "mlflow_database": _url("mlflow", passwords["mlflow"]),
        folder / "ray" / "token": secrets.token_hex(32),
    }
    missing = tuple(path for path in contents if not path.exists())
    for path in missing:
        _write(path, contents[path])
    return missing


def store_ray_token(folder: Path, text: str) -> None:
    """Store another machine's Ray token as this machine's.

    Args:
        folder: Contains the folder `ray`.
        text: The token, possibly with white space around it.

    Raises:
        BadSecretError: It is not a Ray token.
    """
    token = text.strip()
    if len(token) < 32 or not token.isalnum():
        raise BadSecretError(
            f"what was given is no Ray token (it has {len(token)} characters); "
            "send what `docker compose run --rm -T secrets cat /run/secrets/ray/token` prints on the first machine"
        )
    _write(folder / "ray" / "token", token)


def _url(role: str, password: str) -> str:
    """Return the URL of the database that a role owns."""
    return f"postgresql+psycopg://{role}:{password}@postgres/{role}"


def _read_or_default(path: Path, default: str) -> str:
    return path.read_text() if path.exists() else default


def _write(path: Path, text: str) -> None:
    """Write a file atomically; it is readable for all, as only some containers mount its volume."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.chmod(0o444)
    partial.replace(path)


def main(arguments: list[str]) -> int:
    """Create missing secrets, or store a token.

    Args:
        arguments: `--ray-token`, or nothing.
    """
    try:
        if arguments == ["--ray-token"]:
            store_ray_token(FOLDER, sys.stdin.read())
            written: tuple[Path, ...] = (FOLDER / "ray" / "token",)
        else:
            written = make_secrets(FOLDER)
    except (ServiceError, OSError) as error:
        show_error(error)
        return 1
    for path in written:
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
