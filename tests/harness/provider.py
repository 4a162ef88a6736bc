"""A scripted provider: HTTP over loopback that can split at any byte, stall, reset, lie and hang up."""
import json
import socket
import ssl
import struct
import subprocess
import threading
import time


class Request:
    def __init__(self, method, path, headers, body, raw):
        self.method, self.path, self.headers, self.body, self.raw = method, path, headers, body, raw
        try:
            self.json = json.loads(body) if body else None
        except ValueError:
            self.json = None

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


# ---- steps of a script ----

class Sleep:
    def __init__(self, seconds):
        self.seconds = seconds


class Reset:
    """RST instead of a clean end."""


class Close:
    """A clean end."""


class Hang:
    """Keeps the connection open and says nothing until the peer goes or the provider closes."""


class Wait:
    """Until event.set()."""

    def __init__(self, event):
        self.event = event


class Forever:
    """Repeats bytes until the peer goes; pause seconds between."""

    def __init__(self, data, pause=0.0, limit=1 << 30):
        self.data, self.pause, self.limit = data, pause, limit


def head(status=200, content_type="text/event-stream", length=None, chunked=False, extra=()):
    reason = {200: "OK", 401: "Unauthorized", 429: "Too Many Requests"}.get(status, "Status")
    lines = [f"HTTP/1.1 {status} {reason}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    lines += [f"{k}: {v}" for k, v in extra]
    if length is None and not chunked:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply(status, body, content_type="application/json", extra=()):
    """A whole answer; body is bytes, str or something for JSON."""
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    return [head(status, content_type, len(body), extra=extra) + body]


def piece(delta=None, finish=None, usage=None, **more):
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    d = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m1", "choices": [choice]}
    if usage:
        d["usage"] = usage
    d.update(more)
    return ("data: " + json.dumps(d, ensure_ascii=False) + "\n\n").encode()


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def stream(*texts, finish="stop", usage=USAGE, done=True, pause=0.0, first=0.0):
    """An ordinary answer as a chunked stream, one text per piece."""
    steps = [head(chunked=True)]
    if first:
        steps.append(Sleep(first))
    steps.append(chunk(piece({"role": "assistant", "content": ""})))
    for t in texts:
        if pause:
            steps.append(Sleep(pause))
        steps.append(chunk(piece({"content": t})))
    if finish:
        steps.append(chunk(piece({}, finish)))
    if usage:
        steps.append(chunk(b'data: {"id":"x","object":"chat.completion.chunk","choices":[],"usage":'
                           + json.dumps(usage).encode() + b"}\n\n"))
    if done:
        steps.append(chunk(DONE))
    steps.append(b"0\r\n\r\n")
    return steps


def certificate(folder):
    """A TLS identity of localhost in a folder: what Provider(tls=) takes; folder/cert.pem is its own CA."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Provider:
    """Answers each request with the next script, or with `default` when there is none left.

    A script is a list of bytes (sent as one write) and steps. `split` sends every byte alone; `tls` is an
    ssl.SSLContext."""

    def __init__(self, default=None, split=False, tls=None):
        self.tls = tls
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(512)
        self.port = self.sock.getsockname()[1]
        self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}/v1"
        self.default = default if default is not None else stream("Hello", " from", " the", " provider.")
        self.models = {"object": "list", "data": [{"id": "m1", "object": "model"}, {"id": "m2", "object": "model"}]}
        self.also = {}  # path below the base URL -> function that gives the steps for a request
        self.scripts = []
        self.requests = []
        self.connections = 0
        self.gone = []  # time.monotonic() of each connection that the peer ended
        self.split = split
        self.closed = threading.Event()
        self.lock = threading.Lock()
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, *steps_lists):
        """Queues scripts for the next chat requests."""
        with self.lock:
            self.scripts += steps_lists
        return self

    @property
    def chats(self):
        return [r for r in self.requests if r.path.endswith("/chat/completions")]

    def close(self):
        self.closed.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # ends a blocked accept
        except OSError:
            pass
        self.sock.close()
        with self.lock:
            for c in self.open:
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    # ---- inside ----

    def _accept(self):
        while not self.closed.is_set():
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(c)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffered = b""
        try:
            if self.tls is not None:
                c = self.tls.wrap_socket(c, server_side=True)
            while True:
                r, buffered = self._read_request(c, buffered)
                if r is None:
                    return
                with self.lock:
                    self.requests.append(r)
                    other = next((f for p, f in self.also.items() if r.path.startswith("/v1" + p)), None)
                    if other is not None:
                        steps = other
                    elif r.method == "GET" and r.path.endswith("/models"):
                        steps = reply(200, self.models) if not callable(self.models) else self.models(r)
                    else:
                        steps = self.scripts.pop(0) if self.scripts else self.default
                if callable(steps):
                    steps = steps(r)
                if not self._play(c, steps):
                    return
        except OSError:
            pass
        finally:
            with self.lock:
                self.gone.append(time.monotonic())
                self.open.discard(c)
            c.close()

    def _read_request(self, c, data):
        while b"\r\n\r\n" not in data:
            more = c.recv(65536)
            if not more:
                return None, b""
            data += more
        top, _, rest = data.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = [tuple(x.strip() for x in l.split(":", 1)) for l in lines[1:]]
        length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
        while len(rest) < length:
            more = c.recv(1 << 20)
            if not more:
                return None, b""
            rest += more
        return Request(method, path, headers, rest[:length], top), rest[length:]

    def _send(self, c, data):
        if self.split:
            for i in range(len(data)):
                c.sendall(data[i:i + 1])
        else:
            c.sendall(data)

    def _play(self, c, steps):
        """True when the connection can serve another request."""
        keep = b"Connection: close" not in next((s for s in steps if isinstance(s, bytes)), b"")
        for s in steps:
            if isinstance(s, bytes):
                self._send(c, s)
            elif isinstance(s, Sleep):
                time.sleep(s.seconds)
            elif isinstance(s, Wait):
                s.event.wait(30)
            elif isinstance(s, Reset):
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            elif isinstance(s, Close):
                return False
            elif isinstance(s, Hang):
                while not self.closed.is_set():
                    if not c.recv(65536):
                        return False
            elif isinstance(s, Forever):
                sent = 0
                while not self.closed.is_set() and sent < s.limit:
                    c.sendall(s.data)
                    sent += len(s.data)
                    if s.pause:
                        time.sleep(s.pause)
            else:
                raise AssertionError(f"no such step: {s!r}")
        return keep
