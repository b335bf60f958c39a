"""URLs of MLflow's pages: all experiments, a study's experiment, and charts of its runs."""

from urllib.parse import quote

from service.settings import Settings
from studies.spec.parameters import Stage

#: Selects MLflow's pages for model training over those for language models.
_TRAINING = "workflowType=machine_learning"
#: Sort tags: MLflow charts the first ten runs, which should compare all arms. Sorted by any tag instead of by time,
#: MLflow lists nested runs without their parent, which would hide them while collapsed.
_ORDER = {Stage.CONFIRM: "seed", Stage.SEARCH: "trial"}


def experiments_url(settings: Settings) -> str:
    """Return the URL of the list of all experiments.

    Args:
        settings: The deployment's settings.
    """
    return f"{settings.mlflow_browser_url}/#/experiments?{_TRAINING}"


def experiment_url(settings: Settings, experiment_id: str) -> str:
    """Return the URL of a study's experiment.

    Args:
        settings: The deployment's settings.
        experiment_id: MLflow's id of the experiment.
    """
    return f"{settings.mlflow_browser_url}/#/experiments/{experiment_id}/runs?{_TRAINING}"


def charts_url(settings: Settings, experiment_id: str, workload: str, stage: Stage) -> str:
    """Return the URL of charts of a workload's runs.

    Args:
        settings: The deployment's settings.
        experiment_id: MLflow's id of the experiment.
        workload: The workload's name within the study.
        stage: The stage of the runs.
    """
    search_filter = quote(f'tags.workload = "{workload}" and tags.stage = "{stage}"', safe="")
    order = quote(f"tags.`{_ORDER[stage]}`", safe="")
    return (
        f"{experiment_url(settings, experiment_id)}"
        f"&searchFilter={search_filter}&compareRunsMode=CHART&orderByKey={order}&orderByAsc=true"
    )
