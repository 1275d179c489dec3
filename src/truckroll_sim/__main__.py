"""`python -m truckroll_sim --port P`: all systems in a process of their own."""

import argparse
import asyncio
import sys

from truckroll_sim.kit.server import serve
from truckroll_sim.systems import SYSTEMS


def main() -> int:
    """Serve until SIGTERM or SIGINT and return 0, or 1 if the port cannot be had."""
    parser = argparse.ArgumentParser(prog="truckroll_sim", description="The vendors in a box.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    port = parser.parse_args().port
    try:
        asyncio.run(serve(SYSTEMS, port))
    except (OSError, OverflowError) as slip:
        print(f"Port {port} on 127.0.0.1 cannot be served: {slip}.", file=sys.stderr)  # noqa: T201 - the line that says why not
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
