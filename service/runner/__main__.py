"""Entry point of the runner process: `python -m service.runner`."""

import sys

from service.runner.runner import main

if __name__ == "__main__":
    sys.exit(main())
