"""One page on this machine's loopback address, for browsers here or behind a forwarded port."""

import functools
import http.server
import pathlib
from http import HTTPStatus

from flan_jax.errors import FlanJaxError

HOST = "127.0.0.1"


class PortTaken(FlanJaxError):
    """The page cannot be served on the port that was named."""


class PageServer(http.server.ThreadingHTTPServer):
    """Serves the bytes of a page at "/", and nothing else; `url` is where."""

    daemon_threads = True

    def __init__(self, page: pathlib.Path, port: int):
        """Port 0 takes a free one.  Raises PortTaken."""
        try:
            super().__init__((HOST, port), functools.partial(_Handler, page.read_bytes()))
        except (OSError, OverflowError) as error:
            raise PortTaken(
                f"{HOST}:{port} cannot be used ({error}); name another port: --serve=0 finds one"
            ) from error

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, page: bytes, *arguments, **settings):
        self.page = page
        super().__init__(*arguments, **settings)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        # A page elsewhere can point a name of its own at this address; only browsers sent here by a loopback name read.
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in (HOST, "localhost", "[::1]"):
            return self.send_error(HTTPStatus.FORBIDDEN)
        if self.path.partition("?")[0] != "/":
            return self.send_error(HTTPStatus.NOT_FOUND)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.page)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the page is asked for once."""


def serve(page: pathlib.Path, port: int) -> None:
    """Serve the page until the user stops it."""
    with PageServer(page, port) as server:
        print(f"{server.url}   (Ctrl-C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
