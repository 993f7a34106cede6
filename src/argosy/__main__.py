"""`python -m argosy` is `argosy`."""

import sys

from argosy.cli.main import main

sys.exit(main())
