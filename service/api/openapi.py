"""A study as the API's documentation shows it."""

STUDY_JSON: dict[str, object] = {
    "name": "L4 against tuned SGD",
    "workloads": [{"name": "linear_regression", "steps": 200}, {"name": "digits_mlp", "epochs": 5}],
    "arms": [
        {"name": "l4adam"},
        {"name": "sgd", "search": {"lr": {"low": 0.001, "high": 1.0}}},
    ],
    "protocol": {"objective": "train_loss", "sampler": "grid", "trials": 8, "confirm_seeds": 8},
}

STUDY_YAML = """\
name: L4 against tuned SGD
workloads:
  - name: linear_regression
    steps: 200
  - name: digits_mlp
    epochs: 5
arms:
  - name: l4adam
  - name: sgd
    search:
      lr: {low: 1e-3, high: 1.0}
protocol:
  objective: train_loss
  sampler: grid
  trials: 8
  confirm_seeds: 8
"""
