"""Figures beside peers and bare loops, taken in one run: `make bench`, or `python -m bench`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))  # the real servers live there
