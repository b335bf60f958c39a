"""docker-compose.yml with processors for GPUs: one deployment, from its first start to its restored backup."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import mlflow
import mlflow.artifacts
import pytest

from service.client.client import Client
from service.settings import Settings
from service.states import ENDED, State
from studies.reporting.report import Report
from tests.support.normalized_report import normalize_report
from tests.support.recorded import run_keys, runs_through_proxy
from tests.support.services.compose import ROOT, VERSION, Deployment
from tests.support.services.waiting import SECONDS, answered, ended

pytestmark = pytest.mark.docker

STUDY: dict[str, Any] = {
    "name": "in containers",
    "workloads": [{"name": "digits_mlp", "steps": 900, "lanes": 1}],
    "arms": [
        {"name": "l4mom"},
        {"name": "sgd", "search": {"lr": {"low": 1e-5, "high": 1e-2}}},
        {"name": "adam", "search": {"lr": {"low": 1e-5, "high": 1e-2}}},
    ],
    "protocol": {"sampler": "tpe", "trials": 9, "batch": 3, "confirm_seeds": 4},
}
Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Say something to who runs the tests."""

    def aloud(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return aloud


def bundle_of(client: Client) -> dict[str, Any]:
    """What a user would miss if it were gone: studies, reports, runs, and MLflow's runs of the first study."""
    studies = [study.id for study in client.studies(states=[State.SUCCEEDED])]
    return {
        "studies": [study.id for study in client.studies()],
        "reports": [client.report(each).decode() for each in studies],
        "runs": [sorted(run.model_dump_json() for run in client.runs(each)) for each in studies],
        "mlflow": run_keys(runs_through_proxy(client, studies[-1])),
        "artifact": artifact(client, studies[-1]),
    }


def artifact(client: Client, study_id: str) -> bytes:
    """A study's report as MLflow has it."""
    settings = Settings(mlflow_uri=f"{client.url}/mlflow")
    mlflow.set_tracking_uri(settings.tracking_uri)
    parent = runs_through_proxy(client, study_id)[0].info.run_id
    return Path(mlflow.artifacts.download_artifacts(run_id=parent, artifact_path="report/report.html")).read_bytes()


def test_configurations_are_valid(deployment: Deployment) -> None:
    files = ("docker-compose.yml",)
    for extra in ((), ("docker/compose.cpu.yml",), ("docker/compose.head.yml",), ("docker/compose.node.yml",)):
        each = Deployment(
            project="l4-valid", files=files + extra, settings={"NODE_ADDRESS": "192.0.2.1", "RAY_HEAD": "192.0.2.2"}
        )
        services = each.config("--profile=*")["services"]
        for name, service in services.items():
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        reserved = services["ray-worker"].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
        if "docker/compose.cpu.yml" in extra:
            assert reserved is None
        else:
            assert reserved == [{"capabilities": ["gpu"], "count": -1, "driver": "nvidia"}]
        published = {name for name, service in services.items() if service.get("ports")}
        more = {"docker/compose.head.yml": {"runner"}, "docker/compose.node.yml": {"ray-worker"}}
        assert published == {"proxy"}.union(*(more.get(file, set()) for file in extra))
    two = deployment.config("--profile=*")
    assert two["services"]["ray-worker"]["networks"].keys() == {"ray"}, "workers reach no database"


def test_the_images_hold_what_they_need_and_no_more(deployment: Deployment, built: None, say: Say) -> None:
    sizes: dict[str, float] = {}
    for name in ("api", "trainer", "proxy"):
        image = f"l4-studies-{name}:{VERSION}"
        (found,) = json.loads(subprocess.run(["docker", "inspect", image], capture_output=True, check=True).stdout)
        # a base image that was made for tests alone may have wheels for the builds
        wheels = in_image(image, "du -sk /wheels 2>/dev/null | cut -f1 || true")
        sizes[name] = (found["Size"] - 1024 * int(wheels or 0)) / 1e6
        assert found["Config"]["User"] in {"l4", "www-data"}
    say("Sizes of the images, MB: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()))
    assert sizes["api"] < 650
    packages = set(in_image(f"l4-studies-api:{VERSION}", "ls /opt/l4/lib/python3.11/site-packages").split())
    assert {"fastapi", "service", "matplotlib", "numpy", "scipy"} <= packages
    assert not packages & {"torch", "ray", "mlflow", "optuna"}
    dockerfile, page = (ROOT / "docker" / "Dockerfile").read_text(), (ROOT / "docs" / "deployment.md").read_text()
    installed = {
        package
        for line in dockerfile.splitlines()
        if "apt-get install" in line
        for package in line.split("--no-install-recommends")[1].strip(" \\").split()
    }
    assert installed == {"tini", "g++", "iproute2", "nginx-light"}
    assert all(f"| {package} |" in page for package in installed)


def in_image(image: str, command: str) -> str:
    started = ["docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", command]
    return subprocess.run(started, capture_output=True, check=True).stdout.decode().strip()


def test_a_study_is_posted_followed_and_reported_through_the_proxy(client: Client, asked: dict[str, str]) -> None:
    study_id = client.submit(STUDY).id
    events: list[str] = []
    with (
        httpx.Client(base_url=client.url, headers=asked, timeout=SECONDS) as raw,
        raw.stream("GET", f"/studies/{study_id}/events") as stream,
    ):
        for line in stream.iter_lines():
            events.append(line)
            if State.SUCCEEDED in line:
                break
    assert any(State.RUNNING in line for line in events)
    found = client.study(study_id)
    report = json.loads(client.report(study_id))
    assert found.state is State.SUCCEEDED
    assert report["complete"]
    assert len(runs_through_proxy(client, study_id)) == 1 + found.progress.done
    assert report["provenance"]["versions"]["torch"].startswith("2.13.0")


def watch(url: str, key: str, study_id: str) -> State:
    """Watch a study until it has ended, whatever happens to the service, and return its last state."""
    with Client(url, key=key) as own:
        *_, last = own.watch(study_id)
    return last.state


def follow_log(url: str, key: str, study_id: str) -> list[str]:
    """Follow a study's log until it has ended, whatever happens to the service."""
    with Client(url, key=key) as own:
        return list(own.logs(study_id, follow=True))


def test_a_study_survives_what_can_happen(deployment: Deployment, client: Client, key: str) -> None:
    (undisturbed,) = client.studies()
    study_id = client.submit(STUDY, key="disturbed").id
    followers = ThreadPoolExecutor()
    watched = followers.submit(watch, client.url, key, study_id)
    followed = followers.submit(follow_log, client.url, key, study_id)

    def at(done: int) -> None:
        deadline = time.monotonic() + SECONDS
        while (found := answered(lambda: client.study(study_id))).progress.done < done:
            assert found.state not in ENDED, found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    at(1)
    deployment.compose("up", "--detach", "--no-recreate", "--scale=ray-worker=2", "ray-worker")
    at(3)
    deployment.crash("ray-worker")
    at(6)
    deployment.crash("runner")
    at(9)
    deployment.crash("api")
    at(12)
    deployment.compose("restart", "postgres")
    found = ended(client, study_id)
    assert (found.state, found.reason) == (State.SUCCEEDED, "")
    assert watched.result(timeout=SECONDS) is State.SUCCEEDED
    assert followed.result(timeout=SECONDS) == list(client.logs(study_id, lines=10_000))
    reports = [client.report(each) for each in (undisturbed.id, study_id)]
    assert normalize_report(reports[0]) == normalize_report(reports[1])
    hosts = [len(json.loads(each)["provenance"]["hosts"]) for each in reports]
    assert hosts == [1, 2], "the second worker trained as well"
    runs = [(run.workload, run.arm, run.stage, run.trial, run.seed) for run in client.runs(study_id)]
    assert len(runs) == len(set(runs)) == found.progress.done
    keys = run_keys(runs_through_proxy(client, study_id))
    assert len(keys) == len(set(keys)) == 1 + len(runs)


def test_reports_of_several_studies_are_computed(
    deployment: Deployment, client: Client, asked: dict[str, str], key: str, tmp_path: Path
) -> None:
    ended_studies = client.studies(states=[State.SUCCEEDED])
    ids = [study.id for study in ended_studies if study.name == STUDY["name"]][:2]
    answer = httpx.get(f"{client.url}/reports", params={"study": ids}, headers=asked, timeout=SECONDS)
    assert answer.status_code == 200, answer.text
    assert Report.model_validate_json(answer.content).provenance.study_id == ", ".join(ids)
    where = ("-T", "-e", f"L4_API_KEY={key}", "-e", "L4_URL=http://127.0.0.1:8440")
    printed = deployment.compose("exec", *where, "api", "l4-studies", "compare", *ids, "--form", "md")
    assert printed.stdout.decode().startswith("# ")


def test_a_stopped_runner_gives_its_study_back(deployment: Deployment, client: Client) -> None:
    study_id = client.submit(STUDY | {"name": "given back"}, key="given back").id
    while answered(lambda: client.study(study_id)).progress.done < 1:
        time.sleep(0.2)
    deployment.compose("stop", "runner")
    (runner,) = deployment.containers("runner")
    assert runner["State"]["ExitCode"] == 0  # it ended by itself, before Docker would have killed it
    assert client.study(study_id).state is State.QUEUED
    client.cancel(study_id)
    assert ended(client, study_id).state is State.CANCELLED
    deployment.compose("up", "--detach", "--wait")


def test_everything_is_kept_over_down_and_up_and_by_a_backup(
    deployment: Deployment, client: Client, tmp_path: Path, say: Say
) -> None:
    before = bundle_of(client)
    deployment.compose("down")
    deployment.compose("up", "--detach", "--wait")
    assert bundle_of(client) == before
    saved = deployment.compose("run", "--rm", "-T", "backup").stdout
    say(f"The backup has {len(saved) / 1e6:.1f} MB, {len(gzip.compress(saved, 1)) / 1e6:.1f} compressed")
    refused = deployment.compose("run", "--rm", "-T", "restore", given=saved, check=False)
    assert refused.returncode == 1
    assert "docker compose stop" in refused.stderr.decode()
    deployment.compose("down", "--volumes")
    broken = deployment.compose("run", "--rm", "-T", "restore", given=saved[: len(saved) // 2], check=False)
    assert broken.returncode != 0
    deployment.compose("run", "--rm", "-T", "restore", given=saved)
    deployment.compose("up", "--detach", "--wait")
    assert bundle_of(client) == before
    short = STUDY | {"name": "after the restore", "protocol": {"trials": 2, "confirm_seeds": 1}}
    study_id = client.submit(short, key="after").id
    assert ended(client, study_id).state is State.SUCCEEDED
    assert artifact(client, study_id)
