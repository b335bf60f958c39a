"""Studies from POST to report on a real service: HTTP, runner, Ray, Optuna, MLflow."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import psutil
import pytest
from mlflow.tracking import MlflowClient
from prometheus_client.parser import text_string_to_metric_families

from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.schemas.reports import ReportFormat
from service.schemas.studies import StudyResponse
from service.settings import Settings
from service.states import State
from service.storage.lifecycle.leases import MAX_FAILED_ATTEMPTS
from studies.planning.estimate import Basis
from studies.reporting.bundle.rebuild import rebuild_report
from studies.reporting.report import Report
from studies.spec.definition import FIRST_CONFIRM_SEED
from studies.spec.parameters import Stage
from tests.support.recorded import mlflow_runs
from tests.support.services.processes import wait_for_driver, wait_for_process, wait_for_standby_driver
from tests.support.services.webhook_receiver import receiver, verify

SMALL: dict[str, Any] = {
    "name": "small",
    "workloads": [{"name": "linear_regression", "steps": 60}, {"name": "digits_mlp", "steps": 40}],
    "arms": [
        {"name": "l4adam"},
        {"name": "sgd", "search": {"lr": {"low": 1e-6, "high": 1e-2}}},
        {"name": "tpe_adam", "optimizer": "adam", "search": {"lr": {}}},
    ],
    "protocol": {"sampler": "tpe", "trials": 4, "batch": 2, "search_seeds": 2, "confirm_seeds": 3},
}


def finished(client: Client, study_id: str) -> StudyResponse:
    """Wait for a study to end and return it."""
    *_, last = client.watch(study_id)
    return last


@pytest.fixture(scope="module")
def done(settings: Settings) -> Iterator[StudyResponse]:
    """A small study that has succeeded."""
    with Client(settings.url) as client:
        yield finished(client, client.submit(SMALL).id)


def test_succeeds_with_every_run_once(done: StudyResponse, client: Client) -> None:
    assert (done.state, done.reason) == (State.SUCCEEDED, "")
    runs = list(client.runs(done.id))
    assert done.progress.done == done.progress.total == len(runs)
    assert len({(run.workload, run.arm, run.stage, run.trial, run.seed) for run in runs}) == len(runs)
    for workload in ("linear_regression", "digits_mlp"):
        for arm, trials in (("l4adam", 1), ("sgd", 4), ("tpe_adam", 4)):
            own = [run for run in runs if (run.workload, run.arm) == (workload, arm)]
            search = [run for run in own if run.stage is Stage.SEARCH]
            confirm = [run for run in own if run.stage is Stage.CONFIRM]
            assert len({run.trial for run in search}) >= trials
            assert {run.seed for run in search} == {0, 1}
            assert {run.seed for run in confirm} == {FIRST_CONFIRM_SEED + i for i in range(3)}
            assert len({run.trial for run in confirm}) == 1


def test_its_log_has_what_its_driver_and_its_workers_said(
    done: StudyResponse, client: Client, settings: Settings
) -> None:
    lines = settings.driver_log(done.id).read_text().splitlines()
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert {each["study"] for each in said} == {done.id}
    assert {each["logger"] for each in said} >= {
        "service.runner.driver",
        "studies.execution.driver",
        "studies.execution.worker",
    }
    for run in client.runs(done.id):
        pack, _, lane = run.id.partition("-")
        own = list(client.logs(done.id, run_id=run.id))
        assert re.search(
            rf"INFO studies.execution.driver: pack {pack} is handed out: .* of {run.arm} on {run.workload}", own[0]
        )
        assert re.search(rf"INFO studies.execution.worker: pack {pack}: \d+ lanes for \d+ steps", own[1])
        assert re.search(rf"INFO studies.execution.driver: pack {pack} is done", own[-1])
        assert int(lane) < int(re.findall(r"(\d+) lanes", own[1])[0])
    assert list(client.logs(done.id, follow=True))[-1] == list(client.logs(done.id))[-1]


def test_its_runs_are_counted(done: StudyResponse, settings: Settings) -> None:
    counted = httpx.get(f"{settings.url}/metrics", trust_env=False).text
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(counted)
        for sample in family.samples
    }
    assert sum(value for key, value in found.items() if key[0] == "l4_runs_total") >= done.progress.done
    assert found["l4_studies", State.SUCCEEDED] >= 1
    assert found["l4_runners",] == 1


@pytest.mark.slow
def test_a_webhook_is_told_of_it(client: Client) -> None:
    with receiver() as hook:
        webhook = client.webhooks.add(hook.url)
        assert client.webhooks.test(webhook.id).taken
        study = client.submit({"name": "told", "workloads": [{"name": "digits_mlp"}], "arms": [{"name": "l4mom"}]})
        finished(client, study.id)
        got = hook.until(4)
        client.webhooks.remove(webhook.id)
    for each in got:
        verify(webhook.secret, each)
    assert [each.said["type"] for each in got] == ["webhook.test", "study.queued", "study.running", "study.succeeded"]
    assert {each.said["data"]["study"] for each in got[1:]} == {study.id}


def test_report_in_every_form(done: StudyResponse, client: Client) -> None:
    report = json.loads(client.report(done.id, ReportFormat.JSON))
    assert [part["workload"] for part in report["workloads"]] == ["linear_regression", "digits_mlp"]
    assert b"<svg" in client.report(done.id, ReportFormat.HTML)
    assert client.report(done.id, ReportFormat.MARKDOWN).startswith(b"# small")
    assert client.report(done.id, ReportFormat.CSV).count(b"\n") > 6
    assert client.report(done.id, ReportFormat.LATEX).count(b"\\toprule") == 3


def test_its_bundle_gives_the_same_report(done: StudyResponse, client: Client, tmp_path: Path) -> None:
    client.reports.save_bundle(done.id, tmp_path / "bundle.zip")
    with ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "bundle")
    again = rebuild_report(tmp_path / "bundle")
    assert again["report.json"] == client.report(done.id)
    assert again["report.html"] == client.report(done.id, ReportFormat.HTML)
    assert "torch==" in (tmp_path / "bundle" / "constraints.txt").read_text()


def test_mlflow_has_exactly_these_runs(done: StudyResponse, settings: Settings, client: Client) -> None:
    parent, *children = mlflow_runs(settings, done.id)
    runs = {
        " ".join((run.workload, run.arm, run.stage.value, str(run.trial), str(run.seed))): run
        for run in client.runs(done.id)
    }
    tags = ("workload", "arm", "stage", "trial", "seed")
    recorded = {" ".join(child.data.tags[tag] for tag in tags): child for child in children}
    assert len(recorded) == len(children)
    assert sorted(recorded) == sorted(runs)
    tracking = MlflowClient(settings.tracking_uri)
    for key, child in recorded.items():
        run = runs[key]
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["spec_hash"] == done.spec_hash
        assert {name: float(child.data.params[name]) for name in run.setting} == dict(run.setting)
        assert child.data.metrics.get("final_train_loss") == run.train_loss
        measured = any(name.startswith("test_") for name in child.data.metrics)
        assert measured == (run.workload == "digits_mlp" and run.stage is Stage.CONFIRM)
        files = {file.path for file in tracking.list_artifacts(child.info.run_id)}
        assert files == ({"parameters.pt", "series.csv"} if run.stage is Stage.CONFIRM else set())
    assert parent.info.status == "FINISHED"
    assert {file.path for file in tracking.list_artifacts(parent.info.run_id)} == {
        "spec.json",
        "environment.json",
        "report",
    }
    attached = {file.path for file in tracking.list_artifacts(parent.info.run_id, "report")}
    assert {"report/report.html", "report/digits_mlp-train_loss.svg", "report/digits_mlp-train_loss.png"} <= attached


@pytest.mark.slow
def test_the_same_spec_gives_the_same_report(
    done: StudyResponse, client: Client, comparable: Callable[[bytes], bytes]
) -> None:
    again = finished(client, client.submit(SMALL).id)
    assert again.spec_hash == done.spec_hash
    assert comparable(client.report(again.id)) == comparable(client.report(done.id))


def test_a_study_trains_what_was_planned_and_its_report_says_both(done: StudyResponse, client: Client) -> None:
    estimate = client.plan(SMALL).estimate
    assert estimate.workers == 1
    assert {each.basis for each in estimate.arms} == {Basis.MEASURED}  # by that study
    runs = len(list(client.runs(done.id)))
    assert estimate.expected.search_runs + estimate.expected.confirm_runs <= runs
    assert runs <= estimate.most.search_runs + estimate.most.confirm_runs
    report = Report.model_validate_json(client.report(done.id, ReportFormat.JSON))
    kept, elapsed = report.provenance.estimate, report.provenance.elapsed_seconds
    assert kept is not None
    assert kept.most.run_steps == estimate.most.run_steps
    assert elapsed is not None
    assert elapsed > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("budget", "said"), [({"trials": 2 + 4 * 2}, "10 trials"), ({"seconds": 0.01}, "0.01 seconds")]
)
def test_a_budget_ends_a_study_in_order(client: Client, budget: dict[str, float], said: str) -> None:
    study = finished(client, client.submit(SMALL | {"protocol": SMALL["protocol"] | {"budget": budget}}).id)
    assert (study.state, study.progress.done) == (State.SUCCEEDED, len(list(client.runs(study.id))))
    assert study.reason.startswith(f"The budget of {said} ended the study early; ")
    report = Report.model_validate_json(client.report(study.id, ReportFormat.JSON))
    assert (report.complete, report.cut_short, report.warnings[0]) == (False, study.reason, study.reason)


@pytest.mark.slow
def test_cancel_a_running_study(client: Client) -> None:
    study = client.submit(
        {"name": "long", "workloads": [{"name": "digits_mlp", "steps": 10**6}], "arms": [{"name": "l4mom"}]}
    )
    _until(client, study.id, State.RUNNING)
    assert client.cancel(study.id).state in (State.CANCELLING, State.CANCELLED)
    assert finished(client, study.id).state is State.CANCELLED
    assert client.cancel(study.id).state is State.CANCELLED


@pytest.mark.slow
def test_a_cancelled_study_reports_what_it_has(client: Client) -> None:
    study = client.submit(
        {
            "name": "cut",
            # of its own, so that what is measured of it changes no other study's packs
            "workloads": [{"name": "digits_mlp", "steps": 3000, "lanes": 1, "options": {"hidden": 24}}],
            "arms": [{"name": "l4mom"}, {"name": "l4adam"}],
            "protocol": {"confirm_seeds": 30},
        }
    )
    _until_runs(client, study.id)
    client.cancel(study.id)
    ended = finished(client, study.id)
    assert ended.state is State.CANCELLED
    assert 0 < ended.progress.done < ended.progress.total
    report = json.loads(client.report(study.id))
    assert not report["complete"]
    assert "incomplete" in client.report(study.id, ReportFormat.MARKDOWN).decode()


@pytest.mark.slow
def test_a_paused_study_finishes_what_is_in_training_and_goes_on_when_resumed(
    done: StudyResponse, settings: Settings, client: Client, comparable: Callable[[bytes], bytes]
) -> None:
    study = client.submit(SMALL)
    wait_for_driver(settings, study.id)
    assert client.pause(study.id).state is State.PAUSED
    while psutil.pid_exists(wait_for_driver(settings, study.id)):
        time.sleep(0.1)
    paused = client.study(study.id)
    assert paused.state is State.PAUSED
    assert paused.progress.done < paused.progress.total
    assert client.resume(study.id).state in (State.QUEUED, State.RUNNING)
    assert finished(client, study.id).state is State.SUCCEEDED
    assert comparable(client.report(study.id)) == comparable(client.report(done.id))


def test_cancel_of_a_finished_study_is_refused(done: StudyResponse, client: Client) -> None:
    with pytest.raises(RequestRefusedError, match="SUCCEEDED"):
        client.cancel(done.id)


@pytest.mark.slow
def test_a_broken_data_set_fails_the_study(settings: Settings, client: Client) -> None:
    file = settings.data_dir / "MNIST/raw/train-images-idx3-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not MNIST")
    workloads = [{"name": "digits_mlp", "steps": 5}, {"name": "mnist_mlp", "steps": 5}]
    study = client.submit({"name": "broken data", "workloads": workloads, "arms": [{"name": "l4mom"}]})
    ended = finished(client, study.id)
    assert ended.state is State.FAILED
    assert "l4mom on mnist_mlp" in ended.reason
    assert f"{file} is not the published file" in ended.reason
    runs = list(client.runs(study.id))
    assert all(run.workload == "digits_mlp" for run in runs)  # as far as it came
    parent, *children = mlflow_runs(settings, ended.id)
    assert (parent.info.status, len(children)) == ("FAILED", len(runs))


@pytest.mark.slow
def test_out_of_memory_fails_the_study_in_plain_words(client: Client) -> None:
    huge = {"name": "digits_mlp", "steps": 5, "options": {"hidden": 10**9}}
    ended = finished(client, client.submit({"name": "huge", "workloads": [huge], "arms": [{"name": "l4mom"}]}).id)
    assert ended.state is State.FAILED
    assert "did not fit into the memory" in ended.reason


@pytest.mark.slow
def test_a_killed_worker_is_replaced(client: Client) -> None:
    study = client.submit(
        {"name": "killed", "workloads": [{"name": "digits_mlp", "steps": 2000}], "arms": [{"name": "l4mom"}]}
    )
    os.kill(wait_for_process(r"ray::ResourceTrainable\.train"), signal.SIGKILL)
    ended = finished(client, study.id)
    assert ended.state is State.SUCCEEDED
    assert ended.progress.done == ended.progress.total == len(list(client.runs(study.id)))


@pytest.mark.slow
def test_a_killed_recorder_is_replaced(settings: Settings, client: Client) -> None:
    study = client.submit({"name": "killed", "workloads": [{"name": "digits_mlp"}], "arms": [{"name": "l4mom"}]})
    os.kill(wait_for_process(r"-m service\.tracking\.recorder"), signal.SIGKILL)
    assert finished(client, study.id).state is State.SUCCEEDED
    keys = [run.data.tags["l4.run"] for run in mlflow_runs(settings, study.id)]
    assert len(keys) == len(set(keys)) == 1 + len(list(client.runs(study.id)))


@pytest.mark.slow
def test_the_study_of_a_killed_driver_goes_on_to_the_same_report(
    done: StudyResponse, settings: Settings, client: Client, comparable: Callable[[bytes], bytes]
) -> None:
    study = client.submit(SMALL)
    _until_runs(client, study.id)
    os.kill(wait_for_driver(settings, study.id), signal.SIGKILL)
    ended = finished(client, study.id)
    assert ended.state is State.SUCCEEDED
    assert comparable(client.report(study.id)) == comparable(client.report(done.id))
    keys = [run.data.tags["l4.run"] for run in mlflow_runs(settings, study.id)]
    assert len(keys) == len(set(keys)) == 1 + ended.progress.done


@pytest.mark.slow
def test_a_study_whose_drivers_die_has_failed_and_is_retried(settings: Settings, client: Client) -> None:
    study = client.submit(
        {"name": "killed", "workloads": [{"name": "digits_mlp", "steps": 10**6}], "arms": [{"name": "l4mom"}]}
    )
    killed: set[int] = set()
    while client.study(study.id).state is not State.FAILED:
        driver = wait_for_driver(settings, study.id)
        if driver not in killed:
            os.kill(driver, signal.SIGKILL)
            killed.add(driver)
        time.sleep(0.1)
    assert (
        client.study(study.id).reason
        == f"{MAX_FAILED_ATTEMPTS} times in a row: the driver process died (exit status 137)"
    )
    assert len(killed) == MAX_FAILED_ATTEMPTS
    assert client.retry(study.id).ended_at is None
    _until(client, study.id, State.RUNNING)
    client.cancel(study.id)
    assert finished(client, study.id).state is State.CANCELLED


def _until(client: Client, study_id: str, state: State) -> None:
    for answer in client.watch(study_id):
        if answer.state is state:
            return


@pytest.mark.slow
def test_the_next_study_gets_a_driver_that_waits(settings: Settings, client: Client) -> None:
    waiting = wait_for_standby_driver(settings)
    study = client.submit({"name": "next", "workloads": [{"name": "digits_mlp"}], "arms": [{"name": "l4mom"}]})
    assert finished(client, study.id).state is State.SUCCEEDED
    assert wait_for_driver(settings, study.id) == waiting
    assert wait_for_standby_driver(settings) != waiting


@pytest.mark.slow
def test_a_driver_that_died_waiting_is_replaced(settings: Settings, client: Client) -> None:
    os.kill(wait_for_standby_driver(settings), signal.SIGKILL)
    study = client.submit({"name": "died", "workloads": [{"name": "digits_mlp"}], "arms": [{"name": "l4mom"}]})
    assert finished(client, study.id).state is State.SUCCEEDED


def _until_runs(client: Client, study_id: str) -> None:
    for answer in client.watch(study_id, seconds=0.05):
        if answer.progress.done:
            return


def test_nothing_is_left_of_a_study_but_its_log(done: StudyResponse, settings: Settings) -> None:
    mlflow_runs(settings, done.id)
    own = settings.home / "studies" / done.id
    assert (own / "driver.log").is_file()
    assert not list(Path(own, "parameters").rglob("*.pt"))
