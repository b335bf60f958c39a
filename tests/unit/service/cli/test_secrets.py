"""The secrets of a deployment in containers: made once, kept, and one of them taken from another machine."""

from pathlib import Path

import pytest

from service.cli.secrets import make_secrets, store_ray_token
from service.errors import BadSecretError

FOLDERS = ("postgres", "database", "mlflow", "ray")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.glob("*/*")}


def test_what_is_missing_is_made_and_what_is_there_is_kept(folder: Path) -> None:
    assert len(make_secrets(folder)) == 6
    made = content(folder)
    own, mlflow = made["database/password"], made["mlflow/password"]
    assert len({made["postgres/password"], own, mlflow, made["ray/token"]}) == 4
    assert {len(made[f"{name}/password"]) for name in ("postgres", "database", "mlflow")} == {64}
    assert made["database/l4_database"] == f"postgresql+psycopg://l4:{own}@postgres/l4"
    assert made["mlflow/mlflow_database"] == f"postgresql+psycopg://mlflow:{mlflow}@postgres/mlflow"
    assert make_secrets(folder) == ()
    (folder / "mlflow" / "mlflow_database").unlink()
    make_secrets(folder)
    assert content(folder) == made


def test_two_deployments_have_no_secret_in_common(tmp_path: Path) -> None:
    found: list[str] = []
    for name in ("one", "two"):
        for kind in FOLDERS:
            (tmp_path / name / kind).mkdir(parents=True)
        make_secrets(tmp_path / name)
        found += content(tmp_path / name).values()
    assert len(set(found)) == 12


def test_containers_of_another_user_can_read_them(folder: Path) -> None:
    make_secrets(folder)
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*/*")} == {0o444}


def test_the_token_of_another_machine_is_taken(folder: Path) -> None:
    make_secrets(folder)
    store_ray_token(folder, "  " + "ab" * 32 + "\n")
    assert content(folder)["ray/token"] == "ab" * 32
    make_secrets(folder)
    assert content(folder)["ray/token"] == "ab" * 32


@pytest.mark.parametrize("given", ["", "short", "Error: no such service: secrets, and more words than a token"])
def test_what_is_no_token_is_not_taken(folder: Path, given: str) -> None:
    make_secrets(folder)
    before = content(folder)
    with pytest.raises(BadSecretError, match="no Ray token"):
        store_ray_token(folder, given)
    assert content(folder) == before
