"""Makes the secrets of a deployment in containers that are not there yet: `python -m service.cli.secrets`.

With `--ray-token` it takes the Ray token of the first machine from standard input, for a further machine to join it.
"""

import secrets
import sys
from pathlib import Path

from service.cli.display import show_error
from service.errors import BadSecretError, ServiceError

#: Where containers find secrets; each of its folders is a volume, and only in those containers that need it.
FOLDER = Path("/run/secrets")
#: Folders with a password of PostgreSQL: of its superuser, of this service's role, of MLflow's.
_ROLES = ("postgres", "database", "mlflow")


def make_secrets(folder: Path) -> tuple[Path, ...]:
    """Write what is missing, and return that.

    Args:
        folder: Has a folder for each that may read what is in it.
    """
    passwords = {name: _kept(folder / name / "password", secrets.token_hex(32)) for name in _ROLES}
    wanted = {folder / name / "password": password for name, password in passwords.items()} | {
        folder / "database" / "l4_database": _url("l4", passwords["database"]),
        folder / "mlflow" / "mlflow_database": _url("mlflow", passwords["mlflow"]),
        folder / "ray" / "token": secrets.token_hex(32),
    }
    made = tuple(path for path in wanted if not path.exists())
    for path in made:
        _write(path, wanted[path])
    return made


def store_ray_token(folder: Path, given: str) -> None:
    """Keep the Ray token of another machine as this one's.

    Args:
        folder: Has the folder `ray`.
        given: The token, with white space around it or not.

    Raises:
        BadSecretError: It is none.
    """
    token = given.strip()
    if len(token) < 32 or not token.isalnum():
        raise BadSecretError(
            f"what was given is no Ray token (it has {len(token)} characters); "
            "send what `docker compose run --rm -T secrets cat /run/secrets/ray/token` prints on the first machine"
        )
    _write(folder / "ray" / "token", token)


def _url(role: str, password: str) -> str:
    """Return the address of the database that a role owns."""
    return f"postgresql+psycopg://{role}:{password}@postgres/{role}"


def _kept(path: Path, otherwise: str) -> str:
    return path.read_text() if path.exists() else otherwise


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all; only containers that have its volume can read it."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.chmod(0o444)
    partial.replace(path)


def main(arguments: list[str]) -> int:
    """Make what is missing, or take a token.

    Args:
        arguments: `--ray-token`, or none.
    """
    try:
        if arguments == ["--ray-token"]:
            store_ray_token(FOLDER, sys.stdin.read())
            made: tuple[Path, ...] = (FOLDER / "ray" / "token",)
        else:
            made = make_secrets(FOLDER)
    except (ServiceError, OSError) as error:
        show_error(error)
        return 1
    for path in made:
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
