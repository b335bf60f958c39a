"""HTTP, storage of studies, the runner, the command line."""
