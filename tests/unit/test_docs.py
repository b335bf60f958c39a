"""What README and docs say is there, is there."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from service.api.parsers import parse_yaml
from service.app import create_app
from service.cli.main import app
from service.settings import Settings
from service.states import State
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies import registry
from studies.registry import build_catalogue
from studies.validation.resolver import resolve
from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: The statuses that are documented for all endpoints together.
OF_ALL = {401, 403, 429, 503}
ON_EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


@ON_EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, place = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{target} is not there"
        if place:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in {re.sub(r"[^\w-]", "", each.lower().replace(" ", "-")) for each in headings}


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text()))
    assert {"demo", "serve", "test", "lint"} <= named <= targets


def test_every_command_is_documented_and_exists() -> None:
    commands = set(typer.main.get_group(app).commands)
    assert set(re.findall(r"l4-studies ([a-z]+)", text())) == commands


def test_every_setting_is_documented_and_exists() -> None:
    settings = {f"L4_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"^\| `(L4_\w+)`", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE)) == settings
    assert set(re.findall(r"L4_[A-Z_]+", text())) <= settings | {"L4_URL", "L4_API_KEY"}


def test_every_endpoint_is_documented_with_its_answers() -> None:
    api = create_app(Settings(home=Path("unused")), Store(open_engine("sqlite://")))
    described = {
        f"{method.upper()} {path.replace('study_id', 'id')}": {int(code) for code in operation["responses"]} - OF_ALL
        for path, methods in api.openapi()["paths"].items()
        for method, operation in methods.items()
    }
    rows = re.findall(
        r"^\| (`(?:GET|POST|DELETE) /.+?) \| (.+?) \|", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE
    )
    documented = {
        endpoint.replace("report.json", "report.{form}"): {int(code) for code in re.findall(r"\d{3}", answers)} - OF_ALL
        for endpoints, answers in rows
        for endpoint in re.findall(r"`((?:GET|POST|DELETE) [^`]+)`", endpoints)
    }
    assert documented.pop("GET /docs") == documented.pop("GET /openapi.json") == {200}
    assert documented == described


@pytest.mark.parametrize("kind", ["workloads", "optimizers"])
def test_what_can_be_trained_is_documented_and_exists(kind: str) -> None:
    page = (ROOT / "docs" / "reference.md").read_text()
    section = page.partition(f"\n## {kind.capitalize()}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(registry.list_names(kind))


@ON_EVERY_PAGE
def test_study_files_can_be_posted(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        resolve(parse_yaml(block.encode()), build_catalogue())


def test_every_dependency_has_a_reason() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {re.split(r"[\[<>=]", each)[0] for extra in extras.values() for each in extra} - {"l4-studies"}
    page = (ROOT / "docs" / "decisions" / "0012-dependencies.md").read_text()
    assert set(re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)) - {"package"} - {"---"} == declared


def test_every_word_of_a_state_is_explained() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert all(state.value in page for state in State)


def test_the_page_of_l4_runs() -> None:
    import torch
    from torch import nn

    text = (ROOT / "docs" / "l4.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        batches = [(torch.randn(8, 3), torch.zeros(8, 1)) for _ in range(5)]
    names: dict[str, Any] = {"model": model, "batches": batches, "loss_function": nn.functional.mse_loss}
    for block in blocks:
        exec(block, names)
        loss = nn.functional.mse_loss(model(batches[0][0]), batches[0][1])
        before = model.weight.detach().clone()
        loss.backward()
        names["optimizer"].step(loss=loss)
        assert not torch.equal(model.weight, before)
