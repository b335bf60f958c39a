"""A study as plain Ray Tune with OptunaSearch and MLflowLoggerCallback; started by benchmarks/study.py.

Usage: python benchmarks/plain_ray_tune.py SPEC OUTCOME --trials KIND --tracking-uri URL [--reports N] [--cpus N]
"""

import argparse
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from outcome import ArmResult, Outcome, to_json
from plain_training import ClassTrial, Problem, Run, SharedData, function_trial
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune import CheckpointConfig, ResultGrid, RunConfig, TuneConfig, Tuner
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.searcher import Searcher

from studies import registry
from studies.seeds import seeded_generator
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A study as a series of Tune experiments.

    Args:
        spec: The study.
        trainable: The trainable of a run, with its shared data and resources.
        reuse_actors: Whether a process runs several trials in turn.
        cpus: Number of concurrent trials.
        tracking_uri: The MLflow server.
        storage: Folder for Tune's own files.
    """

    spec: StudySpec
    trainable: Any
    reuse_actors: bool
    cpus: int
    tracking_uri: str
    storage: Path

    def run(self) -> Outcome:
        """Search, select and confirm."""
        start = time.perf_counter()
        chosen = {
            (workload.name, arm.name): self._search(workload, arm) if arm.search else 0.0
            for workload in self.spec.workloads
            for arm in self.spec.arms
        }
        seeds = {"search": self.spec.search_seeds, "confirm": self.spec.confirm_seeds}
        # runs that need no suggestions are one experiment, so that no processor waits at the end of every arm
        runs = [
            Run(workload=workload, arm=arm, stage=stage, seed=seed, lr=lr)
            for (workload, arm), lr in chosen.items()
            for stage in (("confirm",) if self.spec.arm(arm).search else ("search", "confirm"))
            for seed in seeds[stage]
        ]
        done = self._fit("confirm", {"run": tune.grid_search([asdict(run) for run in runs])}, None, 1)
        seconds = time.perf_counter() - start
        losses = {Run(**config["run"]): loss for config, loss in _scores(done)}

        def confirm_losses(workload: str, arm: str) -> tuple[float, ...]:
            return tuple(
                losses[run] for run in runs if (run.workload, run.arm, run.stage) == (workload, arm, "confirm")
            )

        searches = sum(bool(self.spec.arm(arm).search) for _, arm in chosen)
        return Outcome(
            seconds=seconds,
            runs=searches * self.spec.protocol.trials + len(losses),
            arms=tuple(
                ArmResult(workload=workload, arm=arm, lr=lr, losses=confirm_losses(workload, arm))
                for (workload, arm), lr in chosen.items()
            ),
        )

    def _search(self, workload: WorkloadSpec, arm: ArmSpec) -> float:
        """Return the best learning rate of a grid."""
        ends, trials = arm.search["lr"], self.spec.protocol.trials
        run = Run(workload=workload.name, arm=arm.name, stage="search", seed=self.spec.search_seeds[0], lr=0.0)
        space = {"run": asdict(run) | {"lr": tune.loguniform(ends.low, ends.high)}}
        grid = [ends.low * (ends.high / ends.low) ** (i / max(1, trials - 1)) for i in range(trials)]
        points = [{"run/lr": min(max(float(f"{lr:.6g}"), ends.low), ends.high)} for lr in grid]
        search = OptunaSearch(metric="train_loss", mode="min", points_to_evaluate=points)
        done = _scores(self._fit(f"{workload.name}-{arm.name}", space, search, trials))
        return min(done, key=lambda score: score[1])[0]["run"]["lr"]

    def _fit(self, name: str, space: Mapping[str, object], search: Searcher | None, samples: int) -> ResultGrid:
        tuner = Tuner(
            self.trainable,
            param_space=dict(space),
            tune_config=TuneConfig(
                search_alg=search,
                num_samples=samples,
                max_concurrent_trials=self.cpus,  # by default the next trial waits until one has started
                reuse_actors=self.reuse_actors,
            ),
            run_config=RunConfig(
                name=name,
                storage_path=str(self.storage),
                verbose=0,
                callbacks=[MLflowLoggerCallback(tracking_uri=self.tracking_uri, experiment_name=self.spec.name)],
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        return tuner.fit()


def _scores(done: ResultGrid) -> Sequence[tuple[dict[str, Any], float]]:
    """Return the config and the final training loss of every trial."""
    if done.errors:
        raise done.errors[0]
    return [(result.config or {}, (result.metrics or {})["train_loss"]) for result in done]


def build_shared_data(spec: StudySpec, reports: int) -> SharedData:
    """Build the data that all trials of a study share.

    Args:
        spec: The study.
        reports: Largest number of reports of a run, at ends of epochs and at its end.
    """
    problems: dict[tuple[str, int], Problem] = {}
    for chosen in spec.workloads:
        workload = registry.load_workload(chosen.workload)
        epochs = math.ceil(chosen.steps / chosen.steps_per_epoch)
        for seed in (*spec.search_seeds, *spec.confirm_seeds):
            module = workload.model(chosen.options).to(workload.dtype)
            workload.initialise(module, seeded_generator(chosen.workload, seed, "init"))
            generator = seeded_generator(chosen.workload, seed, "problem")
            first = problems.get((chosen.name, spec.search_seeds[0]))
            problems[chosen.name, seed] = Problem(
                module=module,
                data=first.data
                if first and not workload.data_per_seed
                else workload.data(chosen.options, Path(), generator),
                loss=workload.loss,
                measures=workload.measures,
                batch_size=int(chosen.options.get("batch_size", 0)),
                steps=chosen.steps,
                epoch=chosen.steps_per_epoch,
                stride=chosen.steps_per_epoch * math.ceil(epochs / reports),
            )
    return SharedData(problems=problems, fixed={arm.name: arm.fixed for arm in spec.arms})


def main() -> None:
    """Run the study and write its outcome."""
    parser = argparse.ArgumentParser(description="A study as plain Ray Tune.")
    parser.add_argument("spec", type=Path, help="the study's spec, JSON")
    parser.add_argument("outcome", type=Path, help="written, JSON")
    parser.add_argument("--trials", choices=("function", "class"), required=True, help="functions, or a reused class")
    parser.add_argument("--tracking-uri", required=True, help="the MLflow server")
    parser.add_argument("--reports", type=int, default=40, help="most reports of a run (default: 40)")
    parser.add_argument("--cpus", type=int, default=2, help="trials at the same time (default: 2)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    spec = StudySpec.model_validate_json(options.spec.read_bytes())
    ray.init(address="local", num_cpus=options.cpus, include_dashboard=False, log_to_driver=False)
    trial = function_trial if options.trials == "function" else ClassTrial
    trainable = tune.with_parameters(trial, shared=build_shared_data(spec, options.reports))
    with tempfile.TemporaryDirectory() as storage:
        peer = Peer(
            spec=spec,
            trainable=tune.with_resources(trainable, {"cpu": 1}),
            reuse_actors=options.trials == "class",
            cpus=options.cpus,
            tracking_uri=options.tracking_uri,
            storage=Path(storage),
        )
        outcome = peer.run()
    ray.shutdown()
    options.outcome.write_text(to_json(outcome))


if __name__ == "__main__":
    main()
