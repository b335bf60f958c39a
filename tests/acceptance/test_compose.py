"""docker-compose.yml with processors for GPUs: one deployment, from its first start to its restored backup."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import mlflow
import mlflow.artifacts
import pytest
from mlflow.entities import Run as MlflowRun

from service.client.client import Client
from service.settings import Settings
from service.states import ENDED, State
from studies.reporting.report import Report
from tests.support.normalized_report import normalize_report
from tests.support.recorded import mlflow_runs
from tests.support.services.compose import ROOT, VERSION, Deployment
from tests.support.services.http_process import free_port
from tests.support.services.waiting import SECONDS, answered, ended

pytestmark = pytest.mark.docker

#: What answers without a key: whether it lives, and where a browser logs in.
OPEN = {"/healthz", "/readyz", "/login", "/static/pages.css"}
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
#: Trained in some seconds.
SHORT: dict[str, Any] = {
    "workloads": [{"name": "digits_mlp", "steps": 2}],
    "arms": [{"name": "sgd"}, {"name": "adam"}],
    "protocol": {"confirm_seeds": 2},
}
Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Say something to who runs the tests."""

    def aloud(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return aloud


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployment(port: int, engine: None) -> Iterator[Deployment]:
    found = Deployment(
        project="l4-acceptance",
        files=("docker-compose.yml", "docker/compose.cpu.yml"),
        settings={"LISTEN": f"127.0.0.1:{port}", "WORKER_CPUS": "1"},
    )
    found.compose("down", "--volumes", "--remove-orphans", check=False)
    try:
        yield found
    finally:
        found.compose("--profile=*", "down", "--volumes", "--remove-orphans", check=False)


@pytest.fixture(scope="module")
def key(deployment: Deployment, built: None) -> str:
    """The admin's key, from the first start."""
    printed = deployment.compose("run", "--rm", "-T", "api", "l4-studies", "init").stdout.decode()
    deployment.compose("up", "--detach", "--wait")
    (found,) = [word for word in printed.split() if word.startswith("l4_")]
    return found


@pytest.fixture(scope="module")
def built(deployment: Deployment) -> None:
    deployment.compose("build")


@pytest.fixture
def asked(key: str) -> dict[str, str]:
    """The headers of who has the admin's key."""
    return bearer(key)


@pytest.fixture
def client(port: int, key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    with Client(f"http://127.0.0.1:{port}", key=key) as found:
        yield found


def runs_in_mlflow(client: Client, study_id: str) -> list[MlflowRun]:
    """A study's runs in MLflow, asked through the proxy; the parent is the first."""
    return mlflow_runs(Settings(mlflow_uri=f"{client.url}/mlflow"), study_id)


def tracked(client: Client, study_id: str) -> list[str]:
    """The keys of a study's runs in MLflow; the parent's is the study's."""
    return [run.data.tags["l4.run"] for run in runs_in_mlflow(client, study_id)]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def problem(answer: httpx.Response) -> int:
    """The status of an answer that is a problem, as all errors are."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["status"] == answer.status_code
    return answer.status_code


def bundle_of(client: Client) -> dict[str, Any]:
    """What a user would miss if it were gone: studies, reports, runs, and MLflow's runs of the first study."""
    studies = [study.id for study in client.studies(states=[State.SUCCEEDED])]
    return {
        "studies": [study.id for study in client.studies()],
        "reports": [client.report(each).decode() for each in studies],
        "runs": [sorted(run.model_dump_json() for run in client.runs(each)) for each in studies],
        "mlflow": sorted(tracked(client, studies[-1])),
        "artifact": artifact(client, studies[-1]),
    }


def artifact(client: Client, study_id: str) -> bytes:
    """A study's report as MLflow has it."""
    settings = Settings(mlflow_uri=f"{client.url}/mlflow")
    mlflow.set_tracking_uri(settings.tracking_uri)
    parent = mlflow_runs(settings, study_id)[0].info.run_id
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
    assert len(tracked(client, study_id)) == 1 + found.progress.done
    assert report["provenance"]["versions"]["torch"].startswith("2.13.0")


def test_only_the_proxy_answers_from_outside(
    deployment: Deployment, client: Client, asked: dict[str, str], port: int
) -> None:
    published = {
        (container["Config"]["Labels"]["com.docker.compose.service"], binding["HostIp"], int(binding["HostPort"]))
        for container in deployment.containers()
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or ()
    }
    assert published == {("proxy", "127.0.0.1", port)}
    paths = list(httpx.get(f"{client.url}/openapi.json", headers=asked).json()["paths"])
    filled = [path.replace("{study_id}", "0" * 20).replace("{", "").replace("}", "") for path in paths]
    assert len(filled) > 20
    with httpx.Client(base_url=client.url) as nobody:
        for path in (*filled, *OPEN, "/", "/nowhere", "/mlflow/", "/mlflow/api/2.0/mlflow/experiments/search"):
            status = nobody.get(path).status_code
            assert status == (200 if path in OPEN else 401), path
        assert nobody.post("/studies", json=STUDY).status_code == 401
        assert nobody.post("/mlflow/api/2.0/mlflow/runs/create", json={}).status_code == 401
        assert nobody.get("/.caller").status_code == 404, "for the proxy itself"


def make_key(deployment: Deployment, name: str, role: str) -> str:
    made = deployment.compose("exec", "-T", "api", "l4-studies", "keys", "create", f"--name={name}", f"--role={role}")
    return made.stdout.decode().strip()


def test_mlflow_asks_for_the_role_and_the_origin(deployment: Deployment, client: Client, asked: dict[str, str]) -> None:
    reader = bearer(make_key(deployment, "r", "reader"))
    (experiment,) = {run.info.experiment_id for run in runs_in_mlflow(client, next(client.studies()).id)}
    tag = {"experiment_id": experiment, "key": "seen", "value": "yes"}
    calls = f"{client.url}/mlflow/api/2.0/mlflow/experiments"
    assert httpx.post(f"{calls}/search", json={"max_results": 5}, headers=reader).status_code == 200
    assert problem(httpx.post(f"{calls}/set-experiment-tag", json=tag, headers=reader)) == 403
    foreign = asked | {"Origin": "http://elsewhere.example"}
    assert problem(httpx.post(f"{calls}/set-experiment-tag", json=tag, headers=foreign)) == 403
    own = asked | {"Origin": client.url}
    assert httpx.post(f"{calls}/set-experiment-tag", json=tag, headers=own).status_code == 200
    trap = {"name": "trap", "artifact_location": "file:///var/lib/l4/mlflow"}
    assert problem(httpx.post(f"{calls}/create", json=trap, headers=own)) == 403
    page = httpx.get(f"{client.url}/mlflow/?a=1&b=2", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fmlflow%2F%3Fa%3D1%26b%3D2")


def test_no_user_changes_what_another_has_in_mlflow(deployment: Deployment, client: Client, key: str) -> None:
    keys = {name: make_key(deployment, name, "submitter") for name in ("ada", "bob")}
    studies: dict[str, str] = {}
    for name, own in keys.items():
        with Client(client.url, key=own) as theirs:
            studies[name] = theirs.submit(SHORT | {"name": f"of {name}"}).id
    for study_id in studies.values():
        assert ended(client, study_id).state is State.SUCCEEDED
    before = {study_id: sorted(tracked(client, study_id)) for study_id in studies.values()}
    for own, (owner, study_id) in ((own, each) for own in keys.values() for each in studies.items()):
        parent, *runs = runs_in_mlflow(client, study_id)
        experiment, run = parent.info.experiment_id, runs[0].info.run_id
        with httpx.Client(base_url=f"{client.url}/mlflow", headers=bearer(own)) as user:
            for api in ("/api/2.0", "/ajax-api/2.0"):
                for call, body in (
                    ("experiments/delete", {"experiment_id": experiment}),
                    ("experiments/update", {"experiment_id": experiment, "new_name": "mine"}),
                    ("experiments/create", {"name": f"x [{study_id}]", "artifact_location": "file:///var/lib/l4"}),
                    ("runs/delete", {"run_id": run}),
                    ("runs/delete-tag", {"run_id": run, "key": "l4.run"}),
                    ("runs/log-metric", {"run_id": run, "key": "best", "value": 1, "timestamp": 1}),
                    ("runs/create", {"experiment_id": experiment}),
                ):
                    assert problem(user.post(f"{api}/mlflow/{call}", json=body)) == 403, call
                artifacts = f"{api}/mlflow-artifacts/artifacts/{experiment}"
                assert problem(user.put(f"{artifacts}/report.html", content=b"mine")) == 403
                assert problem(user.delete(artifacts)) == 403
            found = user.post("/api/2.0/mlflow/runs/search", json={"experiment_ids": [experiment]})
            assert len(found.json()["runs"]) == 1 + len(runs), "everybody reads"
        with httpx.Client(base_url=client.url, headers=bearer(own)) as user:
            if own != keys[owner]:
                assert problem(user.delete(f"/studies/{study_id}", params={"mlflow": True})) == 403
    assert {study_id: sorted(tracked(client, study_id)) for study_id in studies.values()} == before
    for name, own in keys.items():
        with Client(client.url, key=own) as theirs:
            theirs.delete(studies[name], mlflow=True)
    searched = f"{client.url}/mlflow/api/2.0/mlflow/experiments/search"
    deadline = time.monotonic() + SECONDS
    while any(
        f"of {name} [" in httpx.post(searched, json={"max_results": 50}, headers=bearer(key)).text for name in keys
    ):
        assert time.monotonic() < deadline, "the recorder does not delete what its owner asked for"
        time.sleep(0.5)


def test_the_proxy_is_bounded_and_its_own_errors_are_problems(
    deployment: Deployment, client: Client, asked: dict[str, str]
) -> None:
    workers = deployment.compose("exec", "-T", "proxy", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert workers.stdout.decode().count("nginx: worker process") == 2
    assert problem(httpx.post(f"{client.url}/studies", content=bytes(2_000_000), headers=asked)) == 413
    assert problem(httpx.get(f"{client.url}/mlflow/api/3.0/mlflow/assistant/config", headers=asked)) == 404
    deployment.compose("stop", "api")
    try:
        for path in ("/healthz", "/studies", "/mlflow/"):
            assert problem(httpx.get(f"{client.url}{path}", headers=asked, timeout=60)) in {502, 504}, path
    finally:
        deployment.compose("up", "--detach", "--wait")


def test_a_browser_logs_in_once_for_pages_and_mlflow(client: Client, key: str) -> None:
    study_id = next(client.studies()).id
    shown = client.study(study_id).links.mlflow
    assert shown is not None
    assert shown.startswith("/mlflow/#/experiments/")
    own = {"Accept": "text/html", "Origin": client.url}
    with httpx.Client(base_url=client.url, headers=own) as browser:
        asked = browser.get(f"/pages/studies/{study_id}")
        assert asked.status_code == 303
        assert asked.headers["location"].startswith("/login?next=")
        logged_in = browser.post("/login", data={"key": key, "next": "/mlflow/"})
        assert (logged_in.status_code, logged_in.headers["location"]) == (303, "/mlflow/")
        assert "HttpOnly" in logged_in.headers["set-cookie"]
        for path in ("/", f"/pages/studies/{study_id}", "/mlflow/", "/mlflow/static-files/manifest.json"):
            assert browser.get(path).status_code == 200, path
        set_tag = "/mlflow/ajax-api/2.0/mlflow/experiments/set-experiment-tag"
        tag = {"experiment_id": shown.split("/")[4], "key": "seen by", "value": "a browser"}
        assert browser.post(set_tag, json=tag).status_code == 200
        foreign = {"Origin": "http://elsewhere.example"}
        assert browser.post(set_tag, json=tag, headers=foreign).status_code == 403
        assert browser.get("/mlflow/ajax-api/3.0/mlflow/assistant/config").status_code == 404


#: Asks the head for its nodes, and its raylet to train; then says which ports are open there and on this node.
_ASK_RAY = """
import socket, sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address="ray-head:6379").get_all_node_info(timeout=10)
except AuthenticationError:
    print("refused")
for host, ports in (("ray-head", (8265, 10001, 52365)), (socket.gethostname(), (8265, 52365))):
    for port in ports:
        with socket.socket() as probe:
            probe.settimeout(2)
            print(port, "open" if probe.connect_ex((host, port)) == 0 else "closed")
"""
#: Joins as a driver through the node's own sockets, as whoever has a foot in a container would.
_DRIVE = "import ray; ray.init(address='ray-head:6379', logging_level='error'); print(ray.nodes())"


def test_ray_refuses_who_has_no_token_from_inside_too(deployment: Deployment, client: Client) -> None:
    closed = ["8265 closed", "10001 closed", "52365 closed", "8265 closed", "52365 closed"]
    for token in ("RAY_AUTH_TOKEN=" + "0" * 64, "RAY_AUTH_MODE=disabled"):
        options = ("-T", "-e", "RAY_AUTH_TOKEN_PATH=", "-e", token)
        asked = deployment.compose("exec", *options, "ray-worker", "python", "-c", _ASK_RAY)
        assert asked.stdout.decode().splitlines() == ["refused", *closed]
        driven = deployment.compose("exec", *options, "ray-worker", "python", "-c", _DRIVE, check=False)
        assert driven.returncode != 0
        assert b"NodeID" not in driven.stdout
    with_token = deployment.compose("exec", "-T", "ray-worker", "python", "-c", _DRIVE)
    assert b"NodeID" in with_token.stdout


def test_no_secret_is_in_what_the_engine_shows(deployment: Deployment, client: Client) -> None:
    images = subprocess.run(
        ["docker", "history", "--no-trunc", f"l4-studies-trainer:{VERSION}"], capture_output=True, check=True
    )
    shown = json.dumps(deployment.containers()) + images.stdout.decode()
    for path in ("postgres/password", "database/password", "mlflow/password", "ray/token"):
        secret = deployment.secret(path)
        assert len(secret) == 64
        assert secret not in shown


def test_processes_are_nobody_special_and_cannot_write_the_root(deployment: Deployment, client: Client) -> None:
    for service, user in (("api", "10001"), ("runner", "10001"), ("ray-worker", "10001"), ("proxy", "33")):
        assert deployment.compose("exec", "-T", service, "id", "-u").stdout.decode().strip() == user
        assert deployment.compose("exec", "-T", service, "touch", "/var/tmp/x", check=False).returncode != 0


def test_a_node_of_other_code_is_refused(deployment: Deployment, client: Client, tmp_path: Path) -> None:
    changed = tmp_path / "__init__.py"
    changed.write_text((ROOT / "l4" / "__init__.py").read_text() + "\n# of another version\n")
    changed.chmod(0o644)
    inside = "/opt/l4/lib/python3.11/site-packages/l4/__init__.py"
    done = deployment.compose(
        "run", "--rm", "-T", "--no-deps", "-v", f"{changed}:{inside}:ro", "ray-worker", check=False
    )
    assert done.returncode == 1
    assert "train with the same images" in done.stderr.decode()


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
    keys = tracked(client, study_id)
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
