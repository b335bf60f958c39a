"""The folders are the registries: listed without importing, loaded by name."""

import subprocess
import sys
from pathlib import Path

import pytest

import studies
from studies import registry
from studies.errors import UnknownNameError

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("kind", ["workloads", "optimizers"])
def test_names_are_the_files(kind: str) -> None:
    files = {path.stem for path in (Path(studies.__file__).parent / kind).glob("[!_]*.py")}
    assert registry.list_names(kind) == tuple(sorted(files))


def test_listing_imports_none_of_them() -> None:
    program = (
        "import sys; from studies import registry; kinds = ('workloads', 'optimizers'); "
        "names = [(kind, name) for kind in kinds for name in registry.list_names(kind)]; "
        "print([name for kind, name in names if f'studies.{kind}.{name}' in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_every_name_loads() -> None:
    assert all(registry.load_workload(name).summary for name in registry.list_names("workloads"))
    assert all(registry.load_optimizer(name).summary for name in registry.list_names("optimizers"))


@pytest.mark.parametrize("name", ["sdg", "", "__init__", "../train", "sgd.py"])
def test_unknown_names_are_answered_with_the_known(name: str) -> None:
    with pytest.raises(UnknownNameError, match="known are adam"):
        registry.load_optimizer(name)
    with pytest.raises(UnknownNameError, match="known are cifar10_resnet32"):
        registry.load_workload(name)
