"""The runner: `python -m service.runner`."""

import sys

from service.runner.runner import main

if __name__ == "__main__":
    sys.exit(main())
