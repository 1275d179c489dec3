import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.children import child

SOURCE = Path(__file__).parents[2] / "src"


def start(*arguments):
    return child(
        [sys.executable, "-m", "truckroll_sim", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_when_it_is_ready_and_ends_when_told(number):
    with start("--port", "0") as process:
        line = process.stdout.readline()
        address = line.rstrip().rpartition(" ")[2]
        with urllib.request.urlopen(f"{address}/_sim/", timeout=10) as answer:
            assert "google-calendar" in json.loads(answer.read())["systems"]
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_port_that_is_taken_is_told_in_a_sentence():
    with start("--port", "0") as process:
        port = process.stdout.readline().rstrip().rpartition(":")[2]
        with start("--port", port) as second:
            _, errors = second.communicate(timeout=10)
        process.terminate()
        process.communicate(timeout=10)
    assert second.returncode == 1
    assert errors.startswith(f"Port {port} on 127.0.0.1 cannot be served: ")
    assert "Traceback" not in errors
