"""The command that starts Ray in containers, and its ports, which the compose files publish."""

import re
import sys
import threading
from pathlib import Path

import pytest

from service.runner.node import (
    GCS_PORT,
    MAX_PACKS,
    NODE_MANAGER_PORT,
    OBJECT_MANAGER_PORT,
    WORKER_PORTS,
    count_processors,
    main,
    ray_start_command,
    run_head,
)
from service.settings import Settings
from studies.training.gpu_check import GpuFault, GpuFaultKind
from tests.support.paths import ROOT

pytestmark = pytest.mark.heavy

DOCKER = ROOT / "docker"


@pytest.mark.parametrize(("file", "lowest"), [("compose.head.yml", GCS_PORT), ("compose.node.yml", NODE_MANAGER_PORT)])
def test_the_published_ports_are_those_that_ray_listens_on(file: str, lowest: int) -> None:
    published = re.findall(r"- \$\{NODE_ADDRESS\}:(\d+)-(\d+):(\d+)-(\d+)", (DOCKER / file).read_text())
    workers = (str(WORKER_PORTS[0]), str(WORKER_PORTS[-1]))
    assert published == [(str(lowest), str(OBJECT_MANAGER_PORT)) * 2, workers * 2]


def test_a_head_takes_no_packs_and_has_no_dashboard() -> None:
    command = ray_start_command(Settings(node_address="127.0.0.1"), "head")
    assert {"--num-cpus=0", "--num-gpus=0", "--include-dashboard=false", "--node-ip-address=127.0.0.1"} <= set(command)


@pytest.mark.parametrize(("cpus", "offered"), [(3, 3), (200, MAX_PACKS), (None, min(count_processors(), MAX_PACKS))])
def test_a_worker_offers_what_it_is_told_or_has_and_no_more_than_it_has_ports(cpus: int | None, offered: int) -> None:
    command = ray_start_command(Settings(ray_address="10.0.0.1:6379", cpus=cpus), "worker")
    assert {"--address=10.0.0.1:6379", f"--num-cpus={offered}"} <= set(command)
    assert not any("node-ip-address" in each for each in command)


def test_a_worker_whose_gpus_are_unusable_offers_nothing_and_says_why() -> None:
    settings, fault = (
        Settings(ray_address="10.0.0.1:6379"),
        GpuFault(kind=GpuFaultKind.OLD_DRIVER, found="12.2", needed="13.0"),
    )
    offers = {"--num-cpus=0", "--num-gpus=0"}
    command = ray_start_command(settings, "worker", fault)
    assert offers <= set(command)
    assert any(each.startswith("--labels=") and each.endswith("l4-fault=old-driver_12.2_13.0") for each in command)
    well = ray_start_command(settings, "worker")
    assert not offers & set(well)
    assert not any("l4-fault" in each for each in well)


def test_a_worker_that_trains_on_processors_offers_no_gpu() -> None:
    command = ray_start_command(Settings(ray_address="10.0.0.1:6379", cpus=3, gpus_per_pack=0), "worker")
    assert {"--num-cpus=3", "--num-gpus=0"} <= set(command)


def test_a_head_whose_ray_does_not_start_ends_and_starts_no_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for program in ("ray", "python"):
        (tmp_path / program).write_text(f"#!/bin/sh\ntouch {tmp_path}/{program}-ran\nexit 3\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert run_head(Settings(node_address="127.0.0.1"), threading.Event()) == 1
    assert (tmp_path / "ray-ran").exists()
    assert not (tmp_path / "python-ran").exists()
    assert "Ray ended with exit status 3" in caplog.text


def test_another_role_is_refused() -> None:
    assert main(["master"]) == 2
