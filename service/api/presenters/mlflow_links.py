"""Links into MLflow's pages: a study's experiment, and charts of its runs side by side."""

from urllib.parse import quote

from service.settings import Settings
from studies.spec.parameters import Stage

#: MLflow's pages for training, and not those for language models.
_TRAINING = "workflowType=machine_learning"
#: Runs that belong together come first, of every arm: MLflow draws the first ten. In another order than by time it
#: shows nested runs without their parent, whose fold would hide them.
_ORDER = {Stage.CONFIRM: "seed", Stage.SEARCH: "trial"}


def experiments_url(settings: Settings) -> str:
    """Return where MLflow lists all experiments.

    Args:
        settings: The deployment's.
    """
    return f"{settings.mlflow_browser_url}/#/experiments?{_TRAINING}"


def experiment_url(settings: Settings, experiment_id: str) -> str:
    """Return where MLflow shows a study's experiment.

    Args:
        settings: The deployment's.
        experiment_id: As MLflow has it.
    """
    return f"{settings.mlflow_browser_url}/#/experiments/{experiment_id}/runs?{_TRAINING}"


def charts_url(settings: Settings, experiment_id: str, workload: str, stage: Stage) -> str:
    """Return where MLflow draws the runs of a workload side by side.

    Args:
        settings: The deployment's.
        experiment_id: As MLflow has it.
        workload: The workload's name within the study.
        stage: Of the runs.
    """
    wanted = quote(f'tags.workload = "{workload}" and tags.stage = "{stage}"', safe="")
    order = quote(f"tags.`{_ORDER[stage]}`", safe="")
    return (
        f"{experiment_url(settings, experiment_id)}"
        f"&searchFilter={wanted}&compareRunsMode=CHART&orderByKey={order}&orderByAsc=true"
    )
