"""`l4-studies keys`, on a database of its own, and the keys with the real application."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.app import create_app
from service.cli.main import app
from service.settings import Access, Settings
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.validation.catalogue import Catalogue
from tests.support.services.http_server import serve_app

pytestmark = pytest.mark.heavy

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("L4_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def create(run: Run, name: str, role: str) -> str:
    made = run("keys", "create", "--name", name, "--role", role)
    assert made.exit_code == 0, made.output
    assert "shown this once" in made.stderr
    return made.stdout.strip()


def test_keys_are_made_listed_and_revoked_where_there_was_no_database(run: Run) -> None:
    text = create(run, "ada", "admin")
    assert re.fullmatch(r"l4_[0-9a-f]{12}_[0-9a-f]{64}", text)
    _, key_id, secret = text.split("_")
    listed = run("keys", "list")
    assert re.search(rf"{key_id} +ada +admin", listed.stdout)
    assert secret not in listed.output
    for _ in range(2):
        revoked = run("keys", "revoke", key_id)
        assert (revoked.exit_code, revoked.stdout) == (0, f"Revoked {key_id} of ada\n")
    assert re.search(rf"{key_id} +ada +admin +\S+ \S+ +\d{{4}}-", run("keys", "list").stdout)


def test_what_is_wrong_is_one_clear_message(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = run("keys", "revoke", "nonsense")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "keys list" in unknown.stderr
    assert run("keys", "create", "--name", "a b", "--role", "admin").exit_code == 1
    assert run("keys", "create", "--name", "ada", "--role", "owner").exit_code == 2
    monkeypatch.setenv("L4_DATABASE", f"postgresql+psycopg://l4@/none?host={tmp_path}")
    refused = run("keys", "list")
    assert refused.exit_code == 1
    assert "does not answer" in refused.stderr


def test_a_service_is_used_with_a_key_that_is_in_no_message(
    run: Run, tmp_path: Path, catalogue: Catalogue, definition: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitters, readers = create(run, "ada", "submitter"), create(run, "bob", "reader")
    settings = Settings(home=tmp_path / "home", access=Access.KEYS)
    engine = open_engine(settings.database_url)
    Runners(Store(engine)).publish(catalogue)
    Runners(Store(engine)).heartbeat("runner", datetime.now(UTC), seconds=3600)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(definition))
    outputs: list[str] = []

    def ran(status: int, *arguments: object) -> Result:
        found = run(*arguments)
        assert found.exit_code == status, found.output
        outputs.append(found.output)
        return found

    with serve_app(create_app(settings, Store(engine))) as url:
        monkeypatch.setenv("L4_URL", url)
        assert "L4_API_KEY" in ran(1, "list").stderr
        study_id = ran(0, "submit", file, "--api-key", submitters).stdout.splitlines()[0]
        monkeypatch.setenv("L4_API_KEY", readers)
        assert re.search(r"owner +ada", ran(0, "show", study_id).stdout)
        assert re.search(rf"{study_id} .* ada +A small study", ran(0, "list").stdout)
        assert "takes a submitter's" in ran(1, "cancel", study_id).stderr
        ran(0, "cancel", study_id, "--api-key", submitters)
        assert "not the form" in ran(1, "list", "--api-key", f"{submitters} ").stderr
        ran(1, "list", "--api-key", submitters, "--url", "http://127.0.0.1:1")
        assert run("keys", "revoke", readers.split("_")[1]).exit_code == 0
        assert "revoked" in ran(1, "list").stderr
    engine.dispose()
    assert not [each for each in outputs if submitters[16:] in each or readers[16:] in each]


def test_help_does_not_show_the_key_of_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L4_API_KEY", "l4_do_not_show")
    assert "l4_do_not_show" not in run("list", "--help").output


def test_the_commands_load_no_database_before_they_need_it() -> None:
    script = "import sys, service.cli.keys; print('sqlalchemy' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded == "False\n"
