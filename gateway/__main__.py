"""Main: ``python -m gateway`` is the same as ``waitroom``."""

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
