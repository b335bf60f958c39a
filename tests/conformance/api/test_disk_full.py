"""A full disk is named as what it is, readiness turns while it lasts, and all goes on once there is room."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine

from service.app import create_app
from service.errors import DiskFullError
from service.runner.ledger import StudyLedger
from service.settings import Settings
from service.storage import engine as storage_engine
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue
from tests.conformance.api.stored_studies import claimed, problem_of
from tests.support.services import postgres as postgresql
from tests.support.services.http_server import serve_app
from tests.support.services.small_disk import SmallDisk

DISK_FULL = "urn:l4-studies:problem:disk-full"


@dataclass(frozen=True, kw_only=True)
class FullableService:
    """A service with a disk to fill.

    Args:
        client: Its client.
        store: Its database.
        disk: The disk that its database is on.
    """

    client: httpx.Client
    store: Store
    disk: SmallDisk


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, small_disk: SmallDisk, catalogue: Catalogue) -> Iterator[FullableService]:
    """A service with `L4_HOME` on a small disk, and its database there too: in SQLite's file, or a tablespace."""
    url = f"sqlite:///{small_disk.folder / 'studies.db'}"
    if request.param == "postgresql":
        url = _database_on(small_disk, request.getfixturevalue("postgres"))
    engine = open_engine(url)
    store = Store(engine)
    store.migrate()
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    with (
        serve_app(create_app(Settings(home=small_disk.folder), store)) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield FullableService(client=client, store=store, disk=small_disk)
    engine.dispose()
    if request.param == "postgresql":
        _drop(request.getfixturevalue("postgres"))


def _database_on(disk: SmallDisk, server: Path) -> str:
    (folder := disk.folder / "tablespace").mkdir()
    shutil.chown(folder, "postgres")
    _administer(server, f"CREATE TABLESPACE small LOCATION '{folder}'", "CREATE DATABASE small TABLESPACE small")
    return postgresql.address(server, "small")


def _drop(server: Path) -> None:
    _administer(server, "DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE small")


def _administer(server: Path, *statements: str) -> None:
    engine = create_engine(postgresql.address(server, "postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def post_until_refused(client: httpx.Client, definition: dict[str, Any]) -> httpx.Response:
    """Post studies until one is refused; the database's last pages take some."""
    for _ in range(2000):
        answer = client.post("/studies", json=definition)
        if answer.status_code != 202:
            return answer
    raise AssertionError("the disk has room for 2000 studies")


def test_readiness_turns_while_there_is_no_room(service: FullableService) -> None:
    assert service.client.get("/readyz").status_code == 200
    service.disk.leave(32 * 2**20)
    found = problem_of(service.client.get("/readyz"), 503)
    assert found.type == DISK_FULL
    assert found.detail.startswith("the disk of L4_HOME is full: it has room for 3")
    assert service.client.get("/healthz").status_code == 200
    service.disk.free()
    assert service.client.get("/readyz").status_code == 200


def test_what_cannot_be_stored_is_refused_with_the_reason(service: FullableService, definition: dict[str, Any]) -> None:
    service.disk.fill()
    found = problem_of(post_until_refused(service.client, definition), 503)
    assert found.type == DISK_FULL
    assert "The disk of the database is full, and nothing was stored" in found.detail
    assert service.client.get("/studies").status_code == 200
    service.disk.free()
    assert service.client.post("/studies", json=definition).status_code == 202


def test_a_driver_names_it_too_once_it_gives_up(
    service: FullableService, spec: StudySpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage_engine, "_RETRY_TIMEOUT_SECONDS", 1.0)
    claim = claimed(service.store, spec)
    ledger = StudyLedger(service.store, claim.study_id, claim.token)
    service.disk.fill()
    with pytest.raises(DiskFullError, match="the disk of the database is full"):
        ledger.save_report({"report.json": bytes(10**6)})
    assert "the disk of the database is full; it is asked again" in caplog.text
    service.disk.free()
    ledger.save_report({"report.json": b"{}"})
    assert service.store.report_file(claim.study_id, "report.json") == b"{}"


def test_temporary_files_that_do_not_fit_are_no_fault_of_the_service(
    service: FullableService, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(service.store, spec)
    report = b'{"provenance": {"study_id": "", "commit": ""}}'
    StudyLedger(service.store, claim.study_id, claim.token).save_report({"report.json": report})
    monkeypatch.setattr(tempfile, "tempdir", str(service.disk.folder))
    monkeypatch.setattr("service.api.bundle._MAX_MEMORY_BYTES", 1)  # a larger bundle goes into a file
    service.disk.fill()
    found = problem_of(service.client.get(f"/studies/{claim.study_id}/bundle"), 503)
    assert found.type == DISK_FULL
    assert "temporary files" in found.detail
