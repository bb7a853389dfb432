"""A web server on this machine that misbehaves as asked."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """What the server has, how it answers, and what it was asked.

    `cuts` ends an answer where so many bytes of the file have been sent, once per entry of a path; `statuses` answers
    with a status instead, once per entry; `pauses` waits after ten bytes; `shift` begins a range too late.
    """

    def __init__(self, url):
        self.url = url
        self.files = {}
        self.tags = {}
        self.cuts = {}
        self.statuses = {}
        self.redirects = {}
        self.headers = {}
        self.pauses = {}
        self.ranges = True
        self.shift = 0
        self.lengths = True
        self.asked = []

    def at(self, path):
        return f"{self.url}/{path}"

    def ranges_asked(self):
        return [asked for _, asked in self.asked]

    def paths_asked(self):
        return [path for path, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site, path = self.server.site, self.path.lstrip("/")
        asked = self.headers.get("Range")
        site.asked.append((path, asked))
        if path in site.redirects:
            return self._say(302, {"Location": site.redirects[path]})
        if site.statuses.get(path):
            return self._say(site.statuses[path].pop(0), {})
        if path not in site.files:
            return self._say(404, {})
        body, tag = site.files[path], site.tags.get(path, "")
        start, status, headers = 0, 200, dict(site.headers)
        if asked and site.ranges and self.headers.get("If-Range") in (None, tag):
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")) + site.shift, 206
            if start >= len(body):
                return self._say(416, {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if tag:
            headers["ETag"] = tag
        if site.lengths:
            headers["Content-Length"] = str(len(body) - start)
        self._say(status, headers)
        end = site.cuts[path].pop(0) if site.cuts.get(path) else len(body)
        self.wfile.write(body[start : min(end, start + 10)])
        self.wfile.flush()
        time.sleep(site.pauses.get(path, 0))
        self.wfile.write(body[start + 10 : end])

    def _say(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that hangs up is what some tests are about."""


@contextmanager
def serving():
    """Serve; give the site, whose `files` are empty."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.site = Site(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        try:
            yield server.site
        finally:
            server.shutdown()
            thread.join()


def closed_port():
    """The address of a server that is not there."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        return f"http://127.0.0.1:{server.server_address[1]}"
