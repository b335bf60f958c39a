"""The command line: `python -m service.cli`."""

from service.cli.main import app

if __name__ == "__main__":
    app()
