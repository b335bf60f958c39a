"""The command line, against the real application."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.runner.ledger import StudyLedger
from service.settings import Settings
from service.states import State
from service.storage.lifecycle import commands
from service.storage.migrate import latest_revision
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.support.services.webhook_receiver import receiver

pytestmark = pytest.mark.heavy

Run = Callable[..., Result]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("L4_URL", url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def file(tmp_path: Path, definition: dict[str, Any]) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(definition))
    return path


def _ended(store: Store, spec: StudySpec, state: State, reason: str, files: dict[str, bytes] | None = None) -> str:
    study_id = store.add_study(spec, NOW)
    claim = store.claim(NOW, 3600)
    assert claim is not None
    StudyLedger(store, claim.study_id, claim.token).save_report(files or {})
    store.transition(study_id, state, reason)
    return study_id


@pytest.mark.usefixtures("published")
def test_submit_prints_the_id_and_show_the_study(run: Run, store: Store, file: Path) -> None:
    submitted = run("submit", file)
    assert submitted.exit_code == 0, submitted.output
    study_id = store.studies(1).items[0].id
    assert submitted.stdout.splitlines()[0] == study_id

    shown = run("show", study_id)
    assert shown.exit_code == 0
    for text in ("A small study", "QUEUED", "0 of 34", "sgd (searched: lr 0.001 to 0.1)", "l4adam (fixed)"):
        assert text in shown.stdout

    listed = run("list")
    assert listed.exit_code == 0
    assert study_id in listed.stdout


@pytest.mark.usefixtures("published")
def test_every_fault_of_a_file_is_shown_and_nothing_stored(
    run: Run, store: Store, file: Path, definition: dict[str, Any]
) -> None:
    definition["arms"][1]["optimizer"] = "sdg"
    definition["protocol"]["trials"] = 0
    file.write_text(json.dumps(definition))
    refused = run("submit", file)
    assert refused.exit_code == 1
    assert "/arms/1/optimizer: " in refused.stderr
    assert "/protocol/trials: " in refused.stderr
    assert "Traceback" not in refused.output
    assert store.studies(1).items == ()


@pytest.mark.usefixtures("published")
def test_a_plan_is_shown_and_nothing_submitted(run: Run, store: Store, file: Path, definition: dict[str, Any]) -> None:
    definition["protocol"] |= {"trials": 8, "confirm_seeds": 3, "budget": {"trials": 2 + 2 * 9, "seconds": 2.0}}
    file.write_text(json.dumps(definition))
    shown = run("plan", file)
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert next(row for row in rows if row[:2] == ["digits_mlp", "sgd"])[2:6] == ["8", "…", "9", "3"]
    assert next(row for row in rows if row[:2] == ["digits_mlp", "l4adam"])[2:5] == ["1", "3", "400"]
    for text in (
        "guess: what the catalogue says of digits_mlp",
        "with 1 pack at a time and no other study",
        "Warning: 3 confirm seeds cannot reach significance",
        "is beyond the budget, 2: searches would be cut",
        "spec hash ",
    ):
        assert text in shown.stdout
    assert store.studies(1).items == ()
    assert run("submit", file).exit_code == 0
    assert "20 trials, 2 seconds" in run("show", store.studies(1).items[0].id).stdout
    definition["protocol"]["budget"] = {"trials": 1}
    file.write_text(json.dumps(definition))
    refused = run("plan", file)
    assert refused.exit_code == 1
    assert "/protocol/budget/trials: 1 is less than" in refused.stderr


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [(State.SUCCEEDED, "", 0), (State.FAILED, "the data are missing: [mnist]", 1), (State.CANCELLED, "", 1)],
)
def test_watch_ends_with_the_study_and_tells_how(
    run: Run, store: Store, spec: StudySpec, state: State, reason: str, status: int
) -> None:
    study_id = store.add_study(spec, NOW)
    store.claim(NOW, 3600)
    if state is State.CANCELLED:
        store.execute(study_id, commands.cancel)
    store.transition(study_id, state, reason)
    watched = run("watch", study_id)
    assert watched.exit_code == status
    assert state in watched.stdout
    assert reason in watched.stdout


def test_logs_are_printed(run: Run, store: Store, spec: StudySpec, tmp_path: Path) -> None:
    study_id = _ended(store, spec, State.FAILED, "")
    log = Settings(home=tmp_path).driver_log(study_id)
    log.parent.mkdir(parents=True)
    log.write_text("one [red]\ntwo :smile:\n")
    assert run("logs", study_id).stdout == "one [red]\ntwo :smile:\n"
    assert run("logs", study_id, "--follow", "--lines", 1).stdout == "two :smile:\n"
    assert run("logs", study_id, "--run", "0-0").exit_code == 1
    both = run("logs", study_id, "--run", "0-0", "-f")
    assert (both.exit_code, "leave out --follow or --run" in both.output) == (2, True)


def test_webhooks_are_added_listed_tested_and_removed(run: Run, store: Store, spec: StudySpec) -> None:
    with receiver() as hook:
        made = run("webhooks", "add", hook.url, "--state", "SUCCEEDED", "--state", "FAILED")
        webhook_id, secret = made.stdout.split()
        assert (made.exit_code, secret.partition("_")[0]) == (0, "whsec")
        run("webhooks", "add", "https://example.com/[red]")
        _ended(store, spec, State.FAILED, "")
        listed = run("webhooks", "list").stdout.splitlines()
        assert listed[1].split() == [webhook_id, "SUCCEEDED,", "FAILED", "1", "0", "well", hook.url]
        assert listed[2].split()[1:] == ["all", "3", "0", "well", "https://example.com/[red]"]
        tested = run("webhooks", "test", webhook_id)
        assert (tested.exit_code, hook.got) == (1, [])
    assert "has a private address" in tested.stdout
    assert run("webhooks", "remove", webhook_id).exit_code == 0
    gone = run("webhooks", "remove", webhook_id)
    assert (gone.exit_code, webhook_id in gone.stderr) == (1, True)
    refused = run("webhooks", "add", "example.com")
    assert "/url: " in refused.stderr


def test_a_report_is_printed_or_saved(run: Run, store: Store, spec: StudySpec, tmp_path: Path) -> None:
    files = {"report.md": b"# Report \xe2\x80\x93 [x]\n![curves](a.svg)\n", "report.html": b"<p>Report</p>"}
    files["a.svg"] = b"<svg/>"
    study_id = _ended(store, spec, State.SUCCEEDED, "", files)
    printed = run("report", study_id)
    assert printed.exit_code == 0
    assert printed.stdout_bytes == files["report.md"]
    saved = run("report", study_id, "--form", "html", "--out", tmp_path / "new" / "report.html")
    assert saved.exit_code == 0
    assert (tmp_path / "new" / "report.html").read_bytes() == files["report.html"]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"report.html"}
    assert run("report", study_id, "--out", tmp_path / "new" / "report.md").exit_code == 0
    assert (tmp_path / "new" / "report-a.svg").read_bytes() == files["a.svg"]
    assert (tmp_path / "new" / "report.md").read_bytes() == files["report.md"].replace(b"(a.svg)", b"(report-a.svg)")


def test_a_study_is_cancelled_but_not_once_it_has_ended(run: Run, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    cancelled = run("cancel", study_id)
    assert (cancelled.exit_code, cancelled.stdout.strip()) == (0, "CANCELLED")
    ended = _ended(store, spec, State.FAILED, "no memory")
    refused = run("cancel", ended)
    assert refused.exit_code == 1
    assert "FAILED" in refused.stderr


def test_what_is_not_there_is_one_clear_message(run: Run, closed_url: str, tmp_path: Path) -> None:
    unknown = run("show", "nonsense")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "nonsense" in unknown.stderr
    unreachable = run("list", "--url", closed_url)
    assert (unreachable.exit_code, unreachable.stdout) == (1, "")
    assert "l4-studies serve" in unreachable.stderr
    missing = run("submit", tmp_path / "missing.yaml")
    assert missing.exit_code == 2


def test_bad_settings_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("L4_URL")
    monkeypatch.setenv("L4_PORT", "many")
    for command in ("list", "serve"):
        refused = run(command)
        assert refused.exit_code == 1
        assert "L4_PORT=many" in refused.stderr


def test_the_command_line_loads_no_training_library() -> None:
    heavy = {"torch", "ray", "optuna", "mlflow", "numpy", "scipy", "matplotlib", "fastapi", "sqlalchemy"}
    script = "import sys, service.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)


def test_migrate_makes_the_tables_and_says_what_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L4_HOME", str(tmp_path / "home"))
    for _ in range(2):
        made = CliRunner().invoke(app, ["migrate"])
        assert (made.exit_code, made.stdout) == (0, f"The database is at revision {latest_revision()}\n")
    monkeypatch.setenv("L4_DATABASE", f"postgresql+psycopg://l4@/none?host={tmp_path}")
    refused = CliRunner().invoke(app, ["migrate"])
    assert refused.exit_code == 1
    assert "does not answer" in refused.stderr


@pytest.mark.usefixtures("published")
def test_the_urgent_are_first_in_the_queue(run: Run, store: Store, file: Path) -> None:
    run("submit", file)
    assert run("submit", file, "--priority", 5).exit_code == 0
    assert run("submit", file, "--priority", 101).exit_code == 2
    newest, oldest = store.studies(10).items
    assert (newest.priority, oldest.priority) == (5, 0)
    lines = run("queue").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["1", newest.id, "5"], ["2", oldest.id, "0"]]
    assert lines[-1] == "2 in the queue"
