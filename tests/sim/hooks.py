"""A place that web hooks are sent to."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hooks:
    """What arrived: the headers and bodies of messages, in order. `statuses` are answered next."""

    def __init__(self):
        self.got, self.statuses = [], []
        self._arrived = threading.Condition()

    def take(self, headers, body):
        with self._arrived:
            self.got.append((headers, body))
            self._arrived.notify_all()
            return self.statuses.pop(0) if self.statuses else 200

    def wait(self, count):
        """Return the headers of this many messages, as soon as they are there."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.got) >= count, timeout=5), self.got
        return [headers for headers, _ in self.got]


@contextmanager
def listening():
    """Yield an address and the hooks that arrive there."""
    hooks = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("Content-Length") or 0)
            status = hooks.take(dict(self.headers), self.rfile.read(length))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    often = {"poll_interval": 0.01}
    thread = threading.Thread(target=server.serve_forever, kwargs=often, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", hooks
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
