"""Writes the table of what can be done where into docs/connectors/README.md, from the connectors.

`python tools/connectors_table.py`, or `make connectors-table`.
"""

from pathlib import Path

from truckroll.app.capabilities import installed, table

PAGE = Path(__file__).parents[1] / "docs" / "connectors" / "README.md"


def main() -> None:
    """Put the table of today in the place of the page's last one."""
    text = PAGE.read_text(encoding="utf-8")
    above, _, _ = text.partition("| system |")
    PAGE.write_text(above + table(installed()), encoding="utf-8")


if __name__ == "__main__":
    main()
