"""Who may do what in a deployment in containers: keys, MLflow behind the proxy, Ray's token, secrets, processes."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client.client import Client
from service.states import State
from tests.support.recorded import run_keys, runs_through_proxy
from tests.support.services.compose import ROOT, VERSION, Deployment
from tests.support.services.waiting import SECONDS, ended

pytestmark = pytest.mark.docker

#: What answers without a key: whether it lives, and where a browser logs in.
OPEN = {"/healthz", "/readyz", "/login", "/static/pages.css"}

#: Trained in some seconds.
SHORT: dict[str, Any] = {
    "workloads": [{"name": "digits_mlp", "steps": 2}],
    "arms": [{"name": "sgd"}, {"name": "adam"}],
    "protocol": {"confirm_seeds": 2},
}


@pytest.fixture
def study_id(client: Client) -> str:
    """A study that has succeeded."""
    found = client.submit(SHORT | {"name": "short"}, key="short").id
    assert ended(client, found).state is State.SUCCEEDED
    return found


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def problem(answer: httpx.Response) -> int:
    """The status of an answer that is a problem, as all errors are."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["status"] == answer.status_code
    return answer.status_code


def make_key(deployment: Deployment, name: str, role: str) -> str:
    made = deployment.compose("exec", "-T", "api", "l4-studies", "keys", "create", f"--name={name}", f"--role={role}")
    return made.stdout.decode().strip()


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
        assert nobody.post("/studies", json=SHORT).status_code == 401
        assert nobody.post("/mlflow/api/2.0/mlflow/runs/create", json={}).status_code == 401
        assert nobody.get("/.caller").status_code == 404, "for the proxy itself"


def test_mlflow_asks_for_the_role_and_the_origin(
    deployment: Deployment, client: Client, study_id: str, asked: dict[str, str]
) -> None:
    reader = bearer(make_key(deployment, "r", "reader"))
    (experiment,) = {run.info.experiment_id for run in runs_through_proxy(client, study_id)}
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
    before = {study_id: run_keys(runs_through_proxy(client, study_id)) for study_id in studies.values()}
    for own, (owner, study_id) in ((own, each) for own in keys.values() for each in studies.items()):
        parent, *runs = runs_through_proxy(client, study_id)
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
    assert {study_id: run_keys(runs_through_proxy(client, study_id)) for study_id in studies.values()} == before
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


def test_a_browser_logs_in_once_for_pages_and_mlflow(client: Client, study_id: str, key: str) -> None:
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
