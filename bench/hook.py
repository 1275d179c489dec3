"""Run a Python command line and keep a log of its HTTP requests: `hook.py LOG MODULE:CALL ARGS…`.

Truckroll, vdirsyncer and the bare loops all send with aiohttp, so one hook counts and times all
of them alike, inside their own process: no proxy stands in the way. Each line of the log is a
request: method, address, status, when it was sent and answered (monotonic seconds), and its body.
Nothing is imported for it: aiohttp is hooked when, and where, the command line itself imports it.
"""

import json
import sys
import time
from importlib import import_module
from importlib.machinery import PathFinder


class _Finder:
    """Finds `aiohttp.client` as Python does, and listens to it as soon as it is imported."""

    def __init__(self, log: list) -> None:
        self._log = log

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 -- importlib's signature
        if name != "aiohttp.client":
            return None
        spec = PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module) -> None:
            run(module)
            _listen(module.ClientSession, self._log)

        spec.loader.exec_module = exec_module
        return spec


def _listen(session: type, log: list) -> None:
    plain = session._request  # noqa: SLF001 -- the one door of every request

    async def request(self, method, url, **how):
        sent = time.monotonic()
        line = [method, str(url), 0, sent, sent, how.get("data")]
        log.append(line)
        try:
            answer = await plain(self, method, url, **how)
            line[2] = answer.status
            return answer
        finally:
            line[4] = time.monotonic()

    session._request = request  # noqa: SLF001 -- see above


def _text(body: object) -> str:
    return body.decode() if isinstance(body, bytes) else str(body or "")


def main() -> int:
    path, call, *args = sys.argv[1:]
    log: list = []
    sys.meta_path.insert(0, _Finder(log))
    module, name = call.split(":")
    sys.argv = [module, *args]
    code = 1
    try:
        code = getattr(import_module(module), name)() or 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    finally:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 -- one import less
            json.dump([[*line[:5], _text(line[5])] for line in log], file)
    return code


if __name__ == "__main__":
    sys.exit(main())
