"""`python -m truckroll_sim --port P`: all systems in a process of their own."""

import argparse
import asyncio

from truckroll_sim.kit.server import serve
from truckroll_sim.systems import SYSTEMS


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="truckroll_sim", description="The vendors in a box.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    asyncio.run(serve(SYSTEMS, parser.parse_args().port))


if __name__ == "__main__":
    main()
