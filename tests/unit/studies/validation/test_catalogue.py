"""What a study can look up in the catalogue."""

import pytest
from pydantic import ValidationError

from studies.spec.parameters import Direction
from studies.validation.catalogue import Catalogue, WorkloadEntry


def entry(catalogue: Catalogue, name: str) -> WorkloadEntry:
    found = catalogue.workload(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("digits_mlp", {"batch_size": 64}, 15),  # 1000 examples: the last 40 begin the next epoch
        ("digits_mlp", {"batch_size": 1000}, 1),
        ("digits_mlp", {"batch_size": 1}, 1000),
        ("digits_mlp", {"batch_size": 4000}, 1),
        ("linear_regression", {"matrix": "plain"}, 1),
    ],
)
def test_steps_of_an_epoch(catalogue: Catalogue, name: str, options: dict[str, float | int | str], steps: int) -> None:
    assert entry(catalogue, name).steps_per_epoch(options) == steps


def test_only_validation_data_and_the_training_loss_can_be_selected_on(catalogue: Catalogue) -> None:
    assert entry(catalogue, "digits_mlp").objectives() == {
        "train_loss": Direction.MINIMIZE,
        "validation_loss": Direction.MINIMIZE,
        "validation_accuracy": Direction.MAXIMIZE,
    }
    assert entry(catalogue, "linear_regression").objectives() == {"train_loss": Direction.MINIMIZE}


def test_a_name_that_is_not_there_is_none(catalogue: Catalogue) -> None:
    assert catalogue.workload("sgd") is None
    assert catalogue.optimizer("digits_mlp") is None


def test_it_reads_back_from_json_as_it_was(catalogue: Catalogue) -> None:
    again = Catalogue.model_validate_json(catalogue.model_dump_json())
    assert again == catalogue
    assert type(entry(again, "digits_mlp").options[0].default) is int


def test_a_field_that_it_does_not_know_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Catalogue.model_validate(catalogue.model_dump() | {"datasets": []})
