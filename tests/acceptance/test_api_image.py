"""The HTTP service with the packages of its image and no others, without a container."""

from pathlib import Path

import httpx
import pytest

from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.reporting.report import Report
from tests.support.reported_study import add_reported_study
from tests.support.services.http_process import free_port, started, wait_until_alive
from tests.support.services.image_environment import make_image_environment

pytestmark = pytest.mark.slow


def test_reports_of_several_studies_are_computed(tmp_path: Path) -> None:
    python = make_image_environment(tmp_path / "image", "build-api")
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    engine = open_engine(f"sqlite:///{home / 'studies.db'}")
    store = Store(engine)
    store.migrate()
    ids = [add_reported_study(store, "l4adam", name) for name in ("adam", "sgd")]
    engine.dispose()
    with started(home, port, python=python) as process:
        wait_until_alive(process, port)
        answer = httpx.get(f"http://127.0.0.1:{port}/reports", params={"study": ids}, timeout=120, trust_env=False)
    assert answer.status_code == 200, answer.text
    report = Report.model_validate_json(answer.content)
    assert [arm.arm for arm in report.workloads[0].arms] == ["l4adam", "adam", "sgd"]
