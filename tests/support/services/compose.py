"""A deployment in containers, as docker-compose.yml has it, from outside."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.paths import ROOT

#: The images that the tests build, beside a user's.
VERSION = "acceptance"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A project of compose.

    Args:
        project: Its name.
        files: Its compose files, from the repository's root.
        settings: What `.env` would have.
    """

    project: str
    files: tuple[str, ...]
    settings: Mapping[str, str]

    def compose(
        self, *arguments: str, given: bytes | None = None, check: bool = True, **more: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command of compose; its output is shown where it fails.

        Args:
            arguments: Of the command.
            given: Its standard input.
            check: Whether it has to succeed.
            more: Further settings.
        """
        files = os.pathsep.join(str(ROOT / file) for file in self.files)
        # an index of wheels is asked only where who runs the tests names one
        environment = {"TORCH_INDEX": "", "VERSION": VERSION} | dict(os.environ)
        environment |= {"COMPOSE_FILE": files, "COMPOSE_PROJECT_NAME": self.project, **self.settings, **more}
        done = subprocess.run(
            ["docker", "compose", "--env-file", os.devnull, "--progress", "plain", *arguments],
            cwd=ROOT,
            env=environment,
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            capture_output=True,
        )
        if check and done.returncode != 0:
            logs = b"" if arguments[0] == "logs" else self.compose("logs", "--tail=40", check=False).stdout
            raise AssertionError(
                f"{arguments}: {(done.stdout + done.stderr + logs).decode(errors='replace')[-20_000:]}"
            )
        return done

    def config(self, *arguments: str) -> dict[str, Any]:
        """Return the whole configuration.

        Args:
            arguments: Before the command, as profiles.
        """
        return json.loads(self.compose(*arguments, "config", "--format=json").stdout)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Return what the engine knows of the project's containers, ended ones too.

        Args:
            services: Only theirs; all where none is named.
        """
        ids = self.compose("ps", "--all", "--quiet", *services).stdout.decode().split()
        return json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout)

    def crash(self, service: str) -> None:
        """Kill all processes of a service's first container, as a fault would, and wait until it was started again.

        Args:
            service: The service.
        """
        before = self._restarts(service)
        self.compose("exec", "-T", "--index=1", service, "sh", "-c", "kill -9 -1", check=False)
        deadline = time.monotonic() + 60
        while self._restarts(service) == before:
            assert time.monotonic() < deadline, f"the {service} did not die, or did not come back"
            time.sleep(0.2)

    def _restarts(self, service: str) -> int:
        (first,) = (each for each in self.containers(service) if each["Name"].endswith("-1"))
        return first["RestartCount"]

    def secret(self, path: str) -> str:
        """Return a secret.

        Args:
            path: As in `ray/token`.
        """
        return self.compose("run", "--rm", "-T", "secrets", "cat", f"/run/secrets/{path}").stdout.decode()
