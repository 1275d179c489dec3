"""Processes of the tests: none outlives its test, none is waited for without end."""

import subprocess
import threading
from contextlib import contextmanager

SECONDS = 90


@contextmanager
def child(command, *, seconds=SECONDS, **how):
    """Run a process; whatever still waits for it after so many seconds finds it killed.

    A read of its output or a `communicate` then ends, and the test fails with what it waited for.
    """
    overdue = threading.Event()
    with subprocess.Popen(command, **how) as process:

        def end():
            overdue.set()
            process.kill()

        late = threading.Timer(seconds, end)
        late.daemon = True
        late.start()
        try:
            yield process
        finally:
            late.cancel()
            if process.poll() is None:
                process.kill()
            if overdue.is_set():
                raise AssertionError(f"{command} did not end within {seconds} s")
