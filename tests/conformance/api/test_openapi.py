"""Schemathesis against the OpenAPI document: no 5xx, no undocumented status, no answer that is not as documented."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.auth.keys import ApiKeys
from service.roles import Role
from service.runner.ledger import StudyLedger
from service.settings import Settings
from service.states import State
from service.storage.repositories.studies import Store
from studies.records.rows import Lane, Outcome, Pack, Run, Trial
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.support.minimal_report import MINIMAL_REPORT
from tests.support.services.http_server import serve_app

#: Catalogues and rules decide what a study is, beyond its schema: a body that fits the schema may well be refused. And
#: what was posted twice with one key is one study, which is gone for both once it was deleted by either's id.
NOT_CHECKED = "positive_data_acceptance,ensure_resource_availability"


@pytest.fixture
def known_study(store: Store, spec: StudySpec) -> str:
    """A study with a run and a report."""
    now = datetime.now(UTC)
    study_id = store.add_study(spec, now)
    claim = store.claim(now, 1e6)
    assert claim is not None
    ledger = StudyLedger(store, study_id, claim.token)
    trial = Trial(workload="digits_mlp", arm="sgd", number=0, batch=0, setting={"lr": 0.01, "eps": 1e-8})
    lanes = (Lane(trial=0, seed=0),)
    pack = Pack(workload="digits_mlp", arm="sgd", number=0, stage=Stage.SEARCH, batch=0, lanes=lanes)
    run = Run(
        workload="digits_mlp",
        arm="sgd",
        trial=0,
        seed=0,
        stage=Stage.SEARCH,
        outcome=Outcome.FINISHED,
        steps=10,
        start_loss=2.0,
        train_loss=1.0,
        metrics={"validation_loss": float("inf")},
        pack=0,
        lane=0,
    )
    ledger.add_plan([trial], [pack])
    ledger.finish_pack(pack, [run])
    ledger.save_report(MINIMAL_REPORT)
    store.transition(study_id, State.SUCCEEDED, "")  # of a study that goes on, events are streamed for ever
    return study_id


def run_schemathesis(folder: Path, url: str, configuration: str, *arguments: str, seconds: float = 120) -> None:
    (folder / "schemathesis.toml").write_text(configuration)
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")),
            *("run", f"{url}/openapi.json", "--no-color", "--warnings", "off"),
            *("--generation-deterministic", "--seed", "1", "--no-shrink"),
            *("--exclude-checks", NOT_CHECKED, "--continue-on-failure"),
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.slow
def test_any_request_is_answered_as_documented(api: httpx.Client, server_url: str, tmp_path: Path) -> None:
    # the events and the log of a study that waits are streamed for ever; those of a known one are asked for below
    run_schemathesis(tmp_path, server_url, "", "--exclude-path-regex", "/(events|logs)$", "--max-examples", "10")


def test_requests_about_a_known_study_are_answered_as_documented(
    api: httpx.Client, server_url: str, known_study: str, tmp_path: Path
) -> None:
    known = f'[parameters]\n"path.study_id" = "{known_study}"\n'
    run_schemathesis(tmp_path, server_url, known, "--include-path-regex", "study_id", "--max-examples", "10")


@pytest.mark.slow
def test_no_request_is_answered_without_a_key(
    keyed_api: httpx.Client, keyed_url: str, store: Store, tmp_path: Path
) -> None:
    # every operation is also asked without the key, and with one that is made up
    key = ApiKeys(store).create("admin", Role.ADMIN, datetime.now(UTC))
    held = ("--header", f"Authorization: Bearer {key}", "--exclude-path-regex", "/events$", "--max-examples", "5")
    run_schemathesis(tmp_path, keyed_url, "", *held)


@pytest.mark.soak
def test_twenty_thousand_requests_are_answered_as_documented(
    api: httpx.Client, store: Store, known_study: str, tmp_path: Path
) -> None:
    unlimited = create_app(Settings(home=tmp_path, mlflow_uri="http://mlflow.test", rate_limit=0), store)
    with serve_app(unlimited) as url:
        some, asked = 0, 0.0
        while asked < 20_000:  # each time with other examples
            some += 1
            known = f'[parameters]\n"path.study_id" = "{known_study}"\n' if some % 2 else ""
            outside = "/nothing$" if some % 2 else "/(events|logs)$"
            arguments = ("--exclude-path-regex", outside, "--max-examples", "100", "--seed", str(some))
            run_schemathesis(tmp_path, url, known, *arguments, seconds=1200)
            asked = _requests(httpx.get(f"{url}/metrics").text)


def _requests(metrics: str) -> float:
    """Return how many requests were answered, by what is told to Prometheus."""
    families = {family.name: family for family in text_string_to_metric_families(metrics)}
    samples = families["l4_http_request_seconds"].samples
    assert not [sample for sample in samples if sample.labels.get("status") == "5xx"]
    return sum(sample.value for sample in samples if sample.name.endswith("_count"))
