"""The demonstration on a service that runs already; the runner's part is played by the test."""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.app import create_app
from service.auth.keys import ApiKeys
from service.cli import demo
from service.roles import Role
from service.runner.ledger import StudyLedger
from service.settings import Access, Settings
from service.states import State
from service.storage.entities import Claim
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance
from tests.support.services.http_server import serve_app

pytestmark = pytest.mark.heavy

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def service(url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Runners(store).publish(build_catalogue())
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    monkeypatch.setenv("L4_PORT", str(urlsplit(url).port))
    monkeypatch.chdir(tmp_path)


def _once_claimed(store: Store, then: Callable[[Claim], None]) -> threading.Thread:
    def wait() -> None:
        while (claim := store.claim(datetime.now(UTC), 3600)) is None:
            time.sleep(0.05)
        then(claim)

    thread = threading.Thread(target=wait, daemon=True)  # a demonstration that fails posts nothing
    thread.start()
    return thread


def test_a_study_ends_in_tables_and_files(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = planted_spec(OUTCOMES)
    report = build_report(spec, planted_rows(spec, OUTCOMES), provenance(spec)).model_dump_json().encode()
    files = {"report.json": report, "report.html": b"<p>found</p>", "report.csv": b"a,b"}
    files |= {"report.md": b"# Found\n![curves](bowl-curves.svg)\n", "bowl-curves.svg": b"<svg/>"}

    def succeed(claim: Claim) -> None:
        StudyLedger(store, claim.study_id, claim.token).save_report(files)
        store.transition(claim.study_id, State.SUCCEEDED, "", claim.token)

    runner = _once_claimed(store, succeed)
    assert demo.main() == 0
    runner.join()
    shown = capsys.readouterr().out
    for text in ("Using the service that runs", "SUCCEEDED", "bowl", "valley", "out/demo/report.html", "MLflow"):
        assert text in shown
    saved = {path.name: path.read_bytes() for path in (tmp_path / "out" / "demo").iterdir()}
    assert saved.keys() == {"report.json", "report.html", "report.md", "report-bowl-curves.svg"}
    assert saved["report.html"] == files["report.html"]
    assert saved["report-bowl-curves.svg"] == b"<svg/>"
    assert b"](report-bowl-curves.svg)" in saved["report.md"]


def test_a_failed_study_is_told_with_its_reason(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    runner = _once_claimed(
        store, lambda claim: store.transition(claim.study_id, State.FAILED, "no data in [data]", claim.token)
    )
    assert demo.main() == 1
    runner.join()
    assert "the study is FAILED: no data in [data]" in capsys.readouterr().err


def test_where_keys_are_needed_it_has_the_one_of_the_environment(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_app(create_app(Settings(home=tmp_path, access=Access.KEYS), store)) as keyed:
        monkeypatch.setenv("L4_PORT", str(urlsplit(keyed).port))
        assert demo.main() == 1
        assert "L4_API_KEY" in capsys.readouterr().err
        monkeypatch.setenv("L4_API_KEY", ApiKeys(store).create("ada", Role.SUBMITTER, NOW))
        runner = _once_claimed(store, lambda claim: store.transition(claim.study_id, State.FAILED, "told", claim.token))
        assert demo.main() == 1
        runner.join()
    assert "the study is FAILED: told" in capsys.readouterr().err
    assert [study.owner for study in store.studies(10).items] == ["ada"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_study(store: Store, capsys: pytest.CaptureFixture[str], number: int) -> None:
    def interrupt(claim: Claim) -> None:
        os.kill(os.getpid(), number)
        while store.study(claim.study_id).state is not State.CANCELLING:
            time.sleep(0.05)
        store.transition(claim.study_id, State.CANCELLED, "cancelled by request", claim.token)

    runner = _once_claimed(store, interrupt)
    assert demo.main() == 130
    runner.join()
    shown = capsys.readouterr().out
    assert "The study is CANCELLED." in shown
    assert "Interrupted." in shown
