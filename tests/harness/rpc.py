"""A msgpack-RPC client that is not ours: the Python client of PROTOCOL.md section 8, on python3-msgpack."""
import socket
import time

import msgpack


class RpcError(Exception):
    """An error reply; as the map {code, num, message, ...} or Neovim's pair."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error
        if isinstance(error, dict):
            self.code = error["code"]
            self.message = error["message"]
            self.data = error.get("data", {})
        else:
            self.code, _, self.message = error[1].partition(": ")
            self.data = {}

    @property
    def field(self):
        return self.data.get("field")


class Closed(Exception):
    """The daemon closed the connection."""


class Rpc:
    def __init__(self, path, hello=True, timeout=20, **hello_params):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.timeout = timeout
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=64 << 20)
        self.msgid = 0
        self.events = []
        self.replies = {}
        self.hello = None
        if hello:
            hello_params.setdefault("protocol", 1)
            hello_params.setdefault("client", {"name": "pytest", "version": "1"})
            self.hello = self.call("sys.hello", **hello_params)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # ---- bytes ----

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, method, params=None, msgid=None):
        if msgid is None:
            self.msgid += 1
            msgid = self.msgid
        self.sock.sendall(msgpack.packb([0, msgid, method, [] if params is None else [params]]))
        return msgid

    def notify(self, method, **params):
        self.sock.sendall(msgpack.packb([2, method, [params]]))

    def next(self, timeout=None):
        """The next message of any kind."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            for message in self.unpacker:
                return message
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no message")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 20)
            except socket.timeout:
                raise TimeoutError("no message") from None
            except ConnectionResetError:
                raise Closed() from None
            if not data:
                raise Closed()
            self.unpacker.feed(data)

    # ---- calls and events ----

    def wait(self, msgid, timeout=None):
        while msgid not in self.replies:
            message = self.next(timeout)
            if message[0] == 2:
                self.events.append((message[1], message[2][0]))
            elif message[0] == 1:
                self.replies[message[1]] = (message[2], message[3])
            else:
                raise AssertionError(f"the daemon sent a request: {message!r}")
        error, result = self.replies.pop(msgid)
        if error is not None:
            raise RpcError(error)
        return result

    def call(self, method, timeout=None, **params):
        return self.wait(self.send(method, params), timeout)

    def event(self, name=None, timeout=None, **match):
        """The next event with that name and those members; others stay queued."""
        i = 0
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            while i < len(self.events):
                n, e = self.events[i]
                if (name is None or n == name) and all(e.get(k) == v for k, v in match.items()):
                    return self.events.pop(i)[1]
                i += 1
            message = self.next(max(0.001, deadline - time.monotonic()))
            if message[0] == 2:
                self.events.append((message[1], message[2][0]))
            else:
                self.replies[message[1]] = (message[2], message[3])

    def prompt(self, text=None, timeout=None, **params):
        """prompt.start and all its events up to the terminal one."""
        if text is not None:
            params["text"] = text
        stream = self.call("prompt.start", **params)["stream"]
        return self.collect(stream, timeout)

    def collect(self, stream, timeout=None):
        events = []
        while True:
            event = self.event("prompt.event", timeout, stream=stream)
            events.append(event)
            if event["type"] in ("done", "error"):
                return Answer(events)


class Answer:
    """The events of one stream."""

    def __init__(self, events):
        self.events = events
        self.text = "".join(e["text"] for e in events if e["type"] == "delta")
        self.reasoning = "".join(e.get("text", "") for e in events if e["type"] == "reasoning")
        self.tool_calls = [e for e in events if e["type"] == "tool_call"]
        self.warnings = [e for e in events if e["type"] == "warning"]
        self.start = next((e for e in events if e["type"] == "start"), None)
        self.last = events[-1]
        self.ok = self.last["type"] == "done"
        self.code = self.last.get("code")

    def check_grammar(self):
        """PROTOCOL.md section 4.1: seq from 0 without gaps, one terminal event, at the end."""
        assert [e["seq"] for e in self.events] == list(range(len(self.events)))
        terminal = [e for e in self.events if e["type"] in ("done", "error")]
        assert terminal == self.events[-1:]
        return self
