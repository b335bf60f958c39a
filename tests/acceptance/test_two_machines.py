"""Ray over two machines: two projects on networks of their own, which meet on each one's published address alone."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.states import ENDED, State
from tests.support.services.compose import Deployment
from tests.support.services.http_process import free_port
from tests.support.services.waiting import SECONDS

pytestmark = pytest.mark.docker

#: The machines' addresses: of a network each that the engine gives its host an address on, and no container is in.
ADDRESSES = {"first": "172.31.101.1", "second": "172.31.102.1"}
STUDY = {
    "name": "on two machines",
    "workloads": [{"name": "digits_mlp", "steps": 1800, "lanes": 1}],
    "arms": [{"name": "l4mom"}, {"name": "adam", "search": {"lr": {}}}],
    "protocol": {"trials": 10, "confirm_seeds": 6},
}


def machine(name: str, *files: str, **settings: str) -> Deployment:
    """A machine."""
    return Deployment(
        project=f"l4-{name}",
        files=("docker-compose.yml", "docker/compose.cpu.yml", *files),
        settings={"NODE_ADDRESS": ADDRESSES[name], "WORKER_CPUS": "1"} | settings,
    )


def docker(*arguments: str, check: bool = True) -> None:
    subprocess.run(["docker", *arguments], check=check, capture_output=True)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with a certificate for this machine, signed by itself."""
    folder = tmp_path / "tls"
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(folder / "tls.key"),
        "-out",
        str(folder / "tls.crt"),
    ]
    subprocess.run([*command, *files], check=True, capture_output=True)
    (folder / "tls.key").chmod(0o644)
    return folder


@pytest.fixture
def machines(engine: None, certificate: Path) -> Iterator[tuple[Deployment, Deployment, int]]:
    port = free_port()
    first = machine("first", "docker/compose.head.yml", LISTEN=f"127.0.0.1:{port}", TLS=str(certificate))
    second = machine("second", "docker/compose.node.yml", RAY_HEAD=ADDRESSES["first"])

    def clear() -> None:
        for each in (first, second):
            each.compose("--profile=*", "down", "--volumes", "--remove-orphans", check=False)
        docker("network", "rm", *ADDRESSES.values(), check=False)

    clear()
    try:
        for address in ADDRESSES.values():
            docker("network", "create", f"--subnet={address[:-1]}0/24", f"--gateway={address}", address)
        yield first, second, port
    finally:
        clear()


def test_a_study_trains_on_both(machines: tuple[Deployment, Deployment, int], certificate: Path) -> None:
    first, second, port = machines
    first.compose("build")
    printed = first.compose("run", "--rm", "-T", "api", "l4-studies", "init").stdout.decode()
    (key,) = [word for word in printed.split() if word.startswith("l4_")]
    first.compose("up", "--detach", "--wait")

    command = ("run", "--rm", "-T", "secrets", "python", "-m", "service.cli.secrets", "--ray-token")
    second.compose(*command, given=("0" * 64).encode())
    second.compose("up", "--detach", "ray-worker")
    deadline = time.monotonic() + 60
    while "refuses this machine's token" not in (said := second.compose("logs", "ray-worker").stdout.decode()):
        assert time.monotonic() < deadline, said
        time.sleep(0.5)
    second.compose(*command, given=first.secret("ray/token").encode())
    second.compose("up", "--detach", "--wait", "--force-recreate", "ray-worker")

    url = f"https://127.0.0.1:{port}"
    trusted = ssl.create_default_context(cafile=certificate / "tls.crt")
    plain = httpx.get(f"http://127.0.0.1:{port}/healthz")
    assert (plain.status_code, plain.headers["location"]) == (301, f"{url}/healthz")
    assert httpx.get(f"{url}/healthz", verify=trusted).status_code == 200

    with httpx.Client(base_url=url, verify=trusted, headers={"Authorization": f"Bearer {key}"}) as client:
        posted = client.post("/studies", json=STUDY)
        where = posted.headers["location"]
        deadline = time.monotonic() + SECONDS
        while (study := client.get(where).json())["state"] not in ENDED:
            assert time.monotonic() < deadline, study
            time.sleep(0.5)
        report = client.get(f"{where}/report.json").json()
    assert study["state"] == State.SUCCEEDED
    assert len(report["provenance"]["hosts"]) == 2, "a worker on each machine trained packs"
    for each, role in ((first, "runner"), (second, "ray-worker")):
        (container,) = each.containers(role)
        bound = {
            binding["HostIp"]
            for bindings in container["NetworkSettings"]["Ports"].values()
            for binding in bindings or ()
        }
        assert bound == {each.settings["NODE_ADDRESS"]}
        status = each.compose("exec", "-T", role, "cat", "/proc/1/status").stdout.decode()
        rights = {line.split()[0]: line.split()[1] for line in status.splitlines() if line.startswith(("Uid", "Cap"))}
        assert rights["Uid:"] == "10001"
        assert {int(rights[f"Cap{kind}:"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
