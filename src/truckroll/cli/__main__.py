"""`python -m truckroll.cli`: the command line without its script."""

import sys

from truckroll.cli.main import main

sys.exit(main())
