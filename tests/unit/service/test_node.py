"""How Ray is started in containers, and that its ports are those that the compose files publish."""

import re
from pathlib import Path

import pytest

from service.node import GCS_PORT, NODE_MANAGER_PORT, OBJECT_MANAGER_PORT, WORKER_PORTS, main, ray_start
from service.settings import Settings

DOCKER = Path(__file__).parents[3] / "docker"


@pytest.mark.parametrize(("file", "lowest"), [("compose.head.yml", GCS_PORT), ("compose.node.yml", NODE_MANAGER_PORT)])
def test_the_published_ports_are_those_that_ray_listens_on(file: str, lowest: int) -> None:
    published = re.findall(r"- \$\{NODE_ADDRESS\}:(\d+)-(\d+):(\d+)-(\d+)", (DOCKER / file).read_text())
    workers = (str(WORKER_PORTS[0]), str(WORKER_PORTS[-1]))
    assert published == [(str(lowest), str(OBJECT_MANAGER_PORT)) * 2, workers * 2]


def test_a_head_takes_no_packs_and_has_no_dashboard() -> None:
    command = ray_start(Settings(node_address="127.0.0.1"), "head")
    assert {"--num-cpus=0", "--num-gpus=0", "--include-dashboard=false", "--node-ip-address=127.0.0.1"} <= set(command)


def test_a_worker_offers_what_it_is_told_or_all_it_has() -> None:
    command = ray_start(Settings(ray_address="10.0.0.1:6379", cpus=3), "worker")
    assert {"--address=10.0.0.1:6379", "--num-cpus=3"} <= set(command)
    assert not any("num-cpus" in each for each in ray_start(Settings(ray_address="10.0.0.1:6379"), "worker"))
    assert not any("node-ip-address" in each for each in command)


def test_another_role_is_refused() -> None:
    assert main(["master"]) == 2
