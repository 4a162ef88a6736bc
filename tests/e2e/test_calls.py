"""Calls against a scripted provider: the event grammar, and FAULTS.md section 5 with short time-outs."""
import functools
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

import pytest

from harness.daemon import figure
from harness.provider import (DONE, Close, Forever, Hang, Reset, Sleep, Wait, chunk, head, piece, reply, stream)

# connect, first byte, silence: each this many ms (the option exists for tests)
FAST = ["--test-timeouts", "1000"]


@pytest.fixture
def fast(make_daemon):
    return make_daemon(*FAST)


def ask(d, provider, script, text="hi", **params):
    """One prompt answered by one script."""
    if script is not None:
        provider.script(script)
    with d.rpc() as c:
        ref = params.pop("ref", None) or d.add_provider(provider)
        return c.prompt(text, ref=ref, **params).check_grammar()


# ---- the ordinary answer ----

def test_a_stream_by_the_grammar(daemon, provider):
    a = ask(daemon, provider, stream("Grüße", " aus ", "Tromsø 🌌"), tag="mine")
    assert a.text == "Grüße aus Tromsø 🌌"
    assert a.start["ref"] == "scripted:m1" and a.start["attempt"] == 1 and a.start["provider"] == "scripted"
    assert a.last["stop"] == "end"
    assert a.last["usage"] == {"input_tokens": 7, "output_tokens": 3, "estimated": False, "cost_microusd": 0}
    assert a.last["first_token_ms"] >= 0 and a.last["duration_ms"] >= a.last["first_token_ms"]
    assert all(e["tag"] == "mine" for e in a.events)


def test_the_request_that_the_provider_sees(daemon, provider):
    ask(daemon, provider, None, text="What is it?", system="Be brief.", options={"temperature": 0.5, "max_tokens": 9, "stop": ["END"]})
    r = provider.chats[0]
    assert r.method == "POST" and r.path == "/v1/chat/completions"
    assert r.header("content-type") == "application/json"
    assert r.header("accept-encoding") in (None, "identity")
    assert r.header("authorization") is None
    assert r.json["model"] == "m1" and r.json["stream"] is True
    assert r.json["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}]
    assert r.json["temperature"] == 0.5 and r.json["max_tokens"] == 9 and r.json["stop"] == ["END"]
    assert r.json["stream_options"] == {"include_usage": True}


def test_the_key_travels_as_bearer(daemon, provider):
    daemon.add_provider(provider, key="sk-test-0123456789abcdef")
    ask(daemon, provider, None, ref="scripted:m1")
    assert provider.chats[0].header("authorization") == "Bearer sk-test-0123456789abcdef"


def test_images_files_tools_and_results_pass_through(daemon, provider):
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Compare."}, {"type": "image", "data": png, "media_type": "image/png"}]},
        {"role": "assistant", "content": [{"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo","n":12345678901234567890}'}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3 C"},
        {"role": "user", "content": "And?"},
    ]
    tools = [{"name": "get_weather", "description": "Weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]
    calls = [head(chunked=True), chunk(piece({"role": "assistant", "content": None})),
             chunk(piece({"tool_calls": [{"index": 0, "id": "call_9", "type": "function", "function": {"name": "get_weather", "arguments": ""}}]})),
             chunk(piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"ci'}}]})),
             chunk(piece({"tool_calls": [{"index": 0, "function": {"arguments": 'ty":"Rome"}'}}]})),
             chunk(piece({}, "tool_calls")), chunk(DONE), b"0\r\n\r\n"]
    a = ask(daemon, provider, calls, text=None, messages=messages, tools=tools, options={"tool_choice": "auto"},
            attachments=[{"type": "file", "name": "notes.txt", "data": b"remember"}])
    assert a.last["stop"] == "tool_call"
    assert [(t["id"], t["name"], t["arguments"]) for t in a.tool_calls] == [("call_9", "get_weather", '{"city":"Rome"}')]
    sent = provider.chats[0].json
    import base64
    assert sent["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(png).decode()
    assert sent["messages"][1]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Oslo","n":12345678901234567890}'}
    assert sent["messages"][2] == {"role": "tool", "tool_call_id": "call_1", "content": "3 C"}
    assert "remember" in json.dumps(sent["messages"][3]) and "notes.txt" in json.dumps(sent["messages"][3])
    assert sent["tools"][0]["function"]["parameters"] == tools[0]["parameters"]
    assert sent["tool_choice"] == "auto"


def test_a_call_that_was_cut_off_is_told_and_not_handed_on(daemon, provider):
    """Nobody may act on half a call; one that was whole before is handed on."""
    def call(i, arguments):
        return chunk(piece({"tool_calls": [{"index": i, "id": f"call_{i}", "type": "function",
                                            "function": {"name": "get_weather", "arguments": arguments}}]}))
    steps = [head(chunked=True), call(0, '{"city":"Oslo"}'), call(1, '{"ci'), chunk(piece({}, "length")), chunk(DONE), b"0\r\n\r\n"]
    provider.script(steps, steps)
    ref = daemon.add_provider(provider)
    tools = [{"name": "get_weather", "parameters": {"type": "object"}}]
    with daemon.rpc() as c:
        a = c.prompt("weather?", ref=ref, tools=tools)
        r = c.call("prompt.run", text="weather?", ref=ref, tools=tools)
    assert a.last["stop"] == "length"
    assert [w["message"] for w in a.warnings] == ["the call of get_weather was cut off"]
    assert [t["arguments"] for t in a.tool_calls] == ['{"city":"Oslo"}']
    assert [t["arguments"] for t in r["tool_calls"]] == ['{"city":"Oslo"}'] and r["stop"] == "length"


def test_reasoning_only_when_asked(daemon, provider):
    script = [head(chunked=True), chunk(piece({"reasoning_content": "Let me think."})), chunk(piece({"content": "Yes."})),
              chunk(piece({}, "stop")), chunk(DONE), b"0\r\n\r\n"]
    a = ask(daemon, provider, script)
    assert a.reasoning == "" and a.text == "Yes."
    a = ask(daemon, provider, script, ref="scripted:m1", reasoning=True)
    assert a.reasoning == "Let me think." and a.text == "Yes."


def test_a_whole_json_reply_is_read_as_well(daemon, provider):
    body = {"id": "x", "object": "chat.completion", "model": "m1", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Whole."}}], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
    a = ask(daemon, provider, reply(200, body))
    assert a.ok and a.text == "Whole." and a.last["usage"]["input_tokens"] == 4


def test_prompt_run_collects_everything(daemon, provider):
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        r = c.call("prompt.run", text="x", ref=ref)
    assert r["text"] == "Hello from the provider." and r["stop"] == "end" and r["ref"] == ref


def test_cancel_ends_the_stream_and_the_transfer(daemon, provider):
    provider.script([head(chunked=True), chunk(piece({"content": "a"})), Hang()])
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        s = c.call("prompt.start", text="x", ref=ref)["stream"]
        c.event("prompt.event", type="delta")
        gone = len(provider.gone)
        assert c.call("prompt.cancel", stream=s)["cancelled"] is True
        a = c.event("prompt.event", type="done")
        assert a["stop"] == "cancelled"
        assert c.call("prompt.cancel", stream=s)["cancelled"] is False
        assert c.call("prompt.cancel", stream=999999)["cancelled"] is False
    t = time.monotonic()
    while len(provider.gone) == gone:
        assert time.monotonic() - t < 1
        time.sleep(0.01)


def test_sys_cancel_ends_a_long_request(daemon, provider):
    provider.script([Hang()])
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        run = c.send("prompt.run", {"text": "x", "ref": ref})
        time.sleep(0.2)
        assert c.call("sys.cancel", msgid=run)["cancelled"] is True
        with pytest.raises(Exception) as e:
            c.wait(run, 5)
        assert e.value.code == "cancelled"


def test_50_streams_at_once_stay_apart(daemon, provider):
    provider.default = lambda r: stream(*[f"{r.json['messages'][0]['content']}-{i} " for i in range(20)], pause=0.005)
    ref = daemon.add_provider(provider)
    clients = [daemon.rpc() for _ in range(5)]
    started = [(c, n, c.call("prompt.start", text=f"n{n}", ref=ref)["stream"]) for n, c in enumerate(clients * 10)]
    for c, n, s in started:
        a = c.collect(s, 30).check_grammar()
        assert a.text == "".join(f"n{n}-{i} " for i in range(20))
    for c in clients:
        c.close()


def test_17_streams_on_one_connection_are_too_many(daemon, provider):
    provider.default = [Hang()]
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        for _ in range(16):
            c.call("prompt.start", text="x", ref=ref)
        with pytest.raises(Exception) as e:
            c.call("prompt.start", text="x", ref=ref)
        assert e.value.code == "too_many"


def test_request_key_starts_a_prompt_once(daemon, provider):
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        one = c.call("prompt.start", text="x", ref=ref, request_key="k1")
        two = c.call("prompt.start", text="x", ref=ref, request_key="k1")
        assert one["stream"] == two["stream"]
        assert c.collect(one["stream"]).ok
        with pytest.raises(Exception) as e:
            c.call("prompt.start", text="other", ref=ref, request_key="k1")
        assert e.value.code == "conflict"
    assert len(provider.chats) == 1


# ---- F66, F67: no connection ----

def closed_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return port


def custom(d, url, name="other", **more):
    with d.rpc() as c:
        c.call("provider.add", name=name, base_url=url, **({"type": "local"} | more))
    return f"{name}:m"


def test_F66_refused(fast):
    ref = custom(fast, f"http://127.0.0.1:{closed_port()}/v1")
    with fast.rpc() as c:
        t = time.monotonic()
        a = c.prompt("x", ref=ref).check_grammar()
    assert a.code == "provider_unavailable" and time.monotonic() - t < 1.2
    assert "nothing listens" in a.last["message"] and "server" in a.last["hint"]


def test_F66_a_connect_black_hole_times_out(fast):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    fill = []  # a full backlog: the kernel drops further SYNs
    for _ in range(8):
        f = socket.socket()
        f.setblocking(False)
        f.connect_ex(s.getsockname())
        fill.append(f)
    time.sleep(0.1)
    ref = custom(fast, f"http://127.0.0.1:{s.getsockname()[1]}/v1")
    with fast.rpc() as c:
        t = time.monotonic()
        a = c.prompt("x", ref=ref)
    took = time.monotonic() - t
    assert a.code in ("timeout", "provider_unavailable")
    assert took <= figure(1.2, 1.5), took
    for f in fill:
        f.close()
    s.close()


def test_F66_an_unreachable_network(make_daemon):
    import ctypes
    clone_newnet = 0x40000000  # a network of its own, without any route or address
    d = make_daemon(*FAST, start=False)
    d.start(preexec=lambda: ctypes.CDLL(None).unshare(clone_newnet))
    assert os.readlink(f"/proc/{d.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    with d.rpc() as c:
        for url in ("http://127.0.0.1:9/v1", "https://192.0.2.1/v1"):
            c.call("provider.add", name="far", base_url=url, type="local")
            t = time.monotonic()
            a = c.prompt("x", ref="far:m").check_grammar()
            assert a.code == "provider_unavailable" and time.monotonic() - t <= 1.2, a.last
            c.call("provider.remove", name="far")


def test_F67_a_name_that_does_not_resolve(fast):
    ref = custom(fast, "https://no-such-host.invalid/v1", type="direct-api", auth_type="none")
    with fast.rpc() as c:
        s = c.call("prompt.start", text="x", ref=ref)["stream"]
        for _ in range(20):  # the loop is never blocked by the resolver
            t = time.monotonic()
            c.call("sys.ping")
            assert time.monotonic() - t < 0.25
        a = c.collect(s, 30)
    assert a.code in ("provider_unavailable", "timeout")


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "169.254.1.1"])
def test_F67_link_local_addresses_are_refused(fast, host):
    with fast.rpc() as c:
        try:
            c.call("provider.add", name="meta", base_url=f"https://{host}/v1", type="direct-api", auth_type="none")
        except Exception as e:
            assert e.code == "invalid_params"
            return
        a = c.prompt("x", ref="meta:m")
    assert a.code == "provider_unavailable" and "address" in json.dumps(a.last)


def test_F67_a_public_provider_may_not_be_loopback(fast, provider):
    tls = TlsServer()
    ref = custom(fast, f"https://localhost:{tls.port}/v1", type="direct-api", auth_type="none")
    with fast.rpc() as c:
        a = c.prompt("x", ref=ref)
    assert a.code == "provider_unavailable"
    assert tls.received == b""
    tls.close()


# ---- F68: TLS ----

class TlsServer:
    """A TLS server with a certificate nobody should trust; remembers what came through."""

    def __init__(self, cut=False, old=False):
        import tempfile
        import os
        self.dir = tempfile.mkdtemp(prefix="mpd-tls-")
        cert, key = f"{self.dir}/c.pem", f"{self.dir}/k.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        self.cert = cert
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        if old:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.cut = cut
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(16)
        self.port = self.sock.getsockname()[1]
        self.received = b""
        threading.Thread(target=self.run, daemon=True).start()
        assert os.path.exists(cert)

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
                if self.cut:
                    c.recv(1000)
                    c.sendall(b"\x16\x03\x03")
                    c.close()
                    continue
                with self.context.wrap_socket(c, server_side=True) as t:
                    self.received += t.recv(65536)
                    t.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except (OSError, ssl.SSLError):
                if self.sock.fileno() < 0:
                    return

    def close(self):
        self.sock.close()


@pytest.mark.parametrize("case", ["self-signed", "wrong name", "old version", "cut handshake"])
def test_F68_bad_tls_never_sees_the_key(fast, case):
    tls = TlsServer(cut=case == "cut handshake", old=case == "old version")
    host = "127.0.0.1" if case == "wrong name" else "localhost"
    more = {"ca_file": tls.cert} if case in ("wrong name", "old version") else {}
    ref = custom(fast, f"https://{host}:{tls.port}/v1", auth_type="api-key", **more)
    with fast.rpc() as c:
        c.call("key.set", provider="other", secret="sk-canary-tls-0123456789")
        a = c.prompt("x", ref=ref)
    assert not a.ok and a.code in ("provider_unavailable", "upstream_error")
    time.sleep(0.2)
    assert tls.received == b"", "bytes went over an unverified connection"
    tls.close()


def test_F68_the_same_certificate_is_fine_when_it_is_configured(fast):
    tls = TlsServer()
    ref = custom(fast, f"https://localhost:{tls.port}/v1", ca_file=tls.cert, auth_type="none")
    with fast.rpc() as c:
        c.prompt("x", ref=ref)
    assert b"POST /v1/chat/completions" in tls.received
    tls.close()


# ---- F69 to F76: answers that go wrong ----

@pytest.mark.parametrize("case", ["before headers", "after headers", "mid-stream"])
def test_F69_hangs_end_at_their_timer(fast, provider, case):
    script = {"before headers": [Hang()], "after headers": [head(chunked=True), Hang()],
              "mid-stream": [head(chunked=True), chunk(piece({"content": "a"})), Hang()]}[case]
    ref = fast.add_provider(provider)
    t = time.monotonic()
    a = ask(fast, provider, script, ref=ref)
    took = time.monotonic() - t
    assert a.code == "timeout" and 0.8 <= took <= figure(1.2, 1.6), took
    assert a.last["partial"] is (case == "mid-stream")


def test_F69_a_trickle_for_ever_ends_at_the_total_timer(fast, provider):
    ref = fast.add_provider(provider)
    t = time.monotonic()
    a = ask(fast, provider, [head(chunked=True), Forever(chunk(b": x\n\n"), pause=0.2, limit=4000)], ref=ref, timeout_ms=2000)
    assert a.code == "timeout" and 1.6 <= time.monotonic() - t <= figure(2.4, 2.8)


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_F70_resets(fast, provider, when):
    first = piece({"content": "one "})
    script = {"before": [Reset()], "during": [head(chunked=True), chunk(first), b"1ff\r\ndata: {\"ch", Reset()],
              "after": [head(chunked=True), chunk(first), Sleep(0.1), Reset()]}[when]
    a = ask(fast, provider, script)
    assert not a.ok and a.code in ("provider_unavailable", "upstream_error")
    assert a.text == ("" if when == "before" else "one ")
    assert a.last["partial"] is (when != "before")


@pytest.mark.parametrize("case", ["endless headers", "one endless header", "endless 1xx"])
def test_F71_endless_heads_are_the_providers_fault(fast, provider, case):
    script = {"endless headers": [b"HTTP/1.1 200 OK\r\n", Forever(b"X-A: " + b"y" * 1000 + b"\r\n", limit=64 << 20)],
              "one endless header": [b"HTTP/1.1 200 OK\r\nX-A: ", Forever(b"y" * 4096, limit=64 << 20)],
              "endless 1xx": [Forever(b"HTTP/1.1 100 Continue\r\n\r\n", limit=64 << 20)]}[case]
    ref = fast.add_provider(provider)
    ask(fast, provider, None, ref=ref)  # what the first request loads stays
    rss = fast.rss_kib()
    a = ask(fast, provider, script, ref=ref)
    assert a.code in ("upstream_error", "provider_unavailable", "timeout"), a.last
    assert "memory" not in a.last["message"]
    assert fast.rss_kib() - rss <= figure(1, 48) * 1024


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["same host", "other port", "other host", "https", "file"])
def test_F72_redirects_are_errors_and_nothing_is_sent_on(fast, provider, make_provider, status, where):
    other = make_provider()
    url = {"same host": provider.url + "/elsewhere", "other port": other.url + "/x", "other host": f"http://localhost:{other.port}/x",
           "https": f"https://127.0.0.1:{other.port}/x", "file": "file:///etc/passwd"}[where]
    ref = fast.add_provider(provider, key="sk-canary-redirect-01234")
    before = len(provider.requests)
    a = ask(fast, provider, reply(status, "", extra=[("Location", url)]), ref=ref)
    assert not a.ok and a.code == "provider_unavailable"
    assert "redirect" in a.last["message"].lower()
    assert other.connections == 0 and len(provider.requests) == before + 1


@pytest.mark.parametrize("case", ["html", "empty 200", "200 with an error", "204", "wrong type"])
def test_F73_answers_that_are_none(fast, provider, case):
    canary = "sk-canary-in-a-page-0123456789"
    script = {
        "html": reply(200, f"<html><title>Captive portal</title>{canary}</html>", "text/html"),
        "empty 200": reply(200, b""),
        "200 with an error": reply(200, {"error": {"message": f"upstream is down: {canary} " + "x" * 5000, "code": 502}}),
        "204": [b"HTTP/1.1 204 No Content\r\n\r\n"],
        "wrong type": reply(200, b"\x00\x01\x02binary", "application/octet-stream"),
    }[case]
    a = ask(fast, provider, script)
    assert not a.ok and a.last["partial"] is False
    text = json.dumps(a.last)
    assert canary not in text and len(text) < 1500
    assert canary not in fast.log()


@pytest.mark.parametrize("case", ["too long", "too short", "negative", "twice", "chunk garbage", "no last chunk"])
def test_F74_lengths_that_lie_are_never_a_success_on_a_cut_stream(fast, provider, case):
    body = piece({"content": "a"}) + piece({}, "stop") + DONE
    cut = piece({"content": "a"})
    script = {
        "too long": [head(length=len(cut) + 500) + cut, Close()],
        "too short": [head(length=len(cut) - 10) + body, Close()],
        "negative": [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: -5\r\n\r\n" + cut, Close()],
        "twice": [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 20\r\nContent-Length: 30\r\n\r\n" + cut, Close()],
        "chunk garbage": [head(chunked=True) + b"zz\r\n" + body, Close()],
        "no last chunk": [head(chunked=True), chunk(cut), Close()],
    }[case]
    a = ask(fast, provider, script)
    assert not a.ok, f"a cut stream was called whole: {a.events}"


@functools.cache
def gibibyte():
    """One GiB of nothing, packed by gzip."""
    z = zlib.compressobj(1, wbits=31)
    return b"".join([*(z.compress(bytes(1 << 20)) for _ in range(1024)), z.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip, gzip, gzip, gzip, gzip"])
def test_F75_encodings_nobody_asked_for(fast, provider, encoding):
    bomb = gibibyte()
    ref = fast.add_provider(provider)
    ask(fast, provider, None, ref=ref)
    rss = fast.rss_kib()
    a = ask(fast, provider, [head(length=len(bomb), extra=[("Content-Encoding", encoding)]) + bomb], ref=ref)
    assert not a.ok
    assert fast.rss_kib() - rss <= figure(1, 32) * 1024
    assert a.text == ""


def test_F76_an_endless_stream_is_cut_at_the_cap(make_daemon, provider):
    d = make_daemon()
    ref = d.add_provider(provider)
    text = "y" * 60000
    with d.rpc(timeout=120) as c:
        provider.script([head(chunked=True), Forever(chunk(piece({"content": text})), limit=80 << 20)])
        a = c.prompt("x", ref=ref, timeout=120)
    assert a.code == "upstream_error" and a.last["partial"]
    assert (60 << 20) < len(a.text) <= (64 << 20) + 70000


# ---- F77 to F80: what is in a stream ----

def test_F77_every_byte_alone(daemon, make_provider):
    p = make_provider(split=True)
    p.default = stream("Grüße ", "aus ", "Tromsø 🌌")
    assert ask(daemon, p, None).text == "Grüße aus Tromsø 🌌"


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_F77_line_ends_comments_and_what_follows_done(daemon, provider, eol):
    def ev(d):
        return b": comment" + eol + b"event: message" + eol + b"data:" + d.split(b"data: ", 1)[1].strip() + eol + eol
    body = b"\xef\xbb\xbf" + ev(piece({"content": "a"})) + ev(piece({"content": "b"})) + ev(piece({}, "stop")) + b"data: [DONE]" + eol + eol \
        + ev(piece({"content": "never"}))
    a = ask(daemon, provider, [head(chunked=True), *[chunk(body[i:i + 3]) for i in range(0, len(body), 3)], b"0\r\n\r\n"])
    assert a.ok and a.text == "ab"


def test_F78_invalid_utf8_is_replaced_and_flagged(daemon, provider):
    bad = b'data: {"choices":[{"index":0,"delta":{"content":"a\xff\xc0\x80\xed\xa0\x80b"},"finish_reason":null}]}\n\n'
    a = ask(daemon, provider, [head(chunked=True), chunk(bad), chunk(piece({}, "stop")), chunk(DONE), b"0\r\n\r\n"])
    assert a.ok and a.text.startswith("a\ufffd") and a.text.endswith("b")
    assert a.warnings


@pytest.mark.parametrize("extra", [0, 1])
def test_F79_lines_of_one_mib(daemon, provider, extra):
    base = len(piece({"content": ""})) - 2
    text = "x" * ((1 << 20) - base + extra)
    data = piece({"content": text})
    assert len(data.split(b"\n")[0]) == (1 << 20) + extra
    a = ask(daemon, provider, [head(chunked=True), chunk(data), chunk(piece({}, "stop")), chunk(DONE), b"0\r\n\r\n"])
    if extra:
        assert not a.ok and a.code == "upstream_error"
    else:
        assert a.ok and a.text == text


ODD_JSON = {
    "deep": b'{"choices":' + b"[" * 200 + b"]" * 200 + b"}",
    "not json": b'{"choices":',
    "an array": b"[1,2]",
    "numbers where text belongs": b'{"choices":[{"index":"x","delta":{"content":5},"finish_reason":7}]}',
    "duplicate keys": b'{"choices":[],"choices":[{"index":0,"delta":{"content":"dup"},"finish_reason":null}]}',
    "huge number": b'{"created":1e999999,"choices":[]}',
    "negative usage": b'{"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":99999999999999999999}}',
    "null everything": b'{"id":null,"choices":null,"usage":null,"error":null}',
}


@pytest.mark.parametrize("case", ODD_JSON)
def test_F80_odd_json_in_a_stream(daemon, provider, case):
    script = [head(chunked=True), chunk(piece({"content": "a"})), chunk(b"data: " + ODD_JSON[case] + b"\n\n"),
              chunk(piece({}, "stop")), chunk(DONE), b"0\r\n\r\n"]
    a = ask(daemon, provider, script)
    assert a.text.startswith("a")
    usage = a.last.get("usage", {})
    assert all(not isinstance(v, (int, float)) or isinstance(v, bool) or 0 <= v < 1e15 for v in usage.values()), usage
    if case in ("duplicate keys",):
        assert a.ok and a.text == "adup"
    if case in ("huge number", "negative usage", "null everything"):
        assert a.ok


# ---- statuses ----

STATUSES = [
    (401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, "auth_rejected"),
    (402, {"error": {"message": "pay"}}, "quota_exceeded"),
    (403, {"error": {"message": "no"}}, "not_permitted"),
    (404, {"error": {"message": "The model `m1` does not exist", "code": "model_not_found"}}, "not_found"),
    (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "rate_limited"),
    (429, {"error": {"message": "quota", "code": "insufficient_quota", "type": "insufficient_quota"}}, "quota_exceeded"),
    (400, {"error": {"message": "bad", "code": "unsupported_parameter"}}, "upstream_error"),
    (500, "<html><title>Oops</title></html>", "provider_unavailable"),
    (503, "", "provider_unavailable"),
    (504, "", "timeout"),
]


@pytest.mark.parametrize("status,body,code", STATUSES)
def test_statuses_become_codes(daemon, provider, status, body, code):
    a = ask(daemon, provider, reply(status, body, "text/html" if isinstance(body, str) else "application/json"))
    assert a.code == code, a.last
    assert a.last["partial"] is False
    assert "scripted:m1" in a.last["message"]


def test_retry_after_reaches_the_client(daemon, provider):
    a = ask(daemon, provider, reply(429, {"error": {"message": "slow"}}, extra=[("Retry-After", "7")]))
    assert a.code == "rate_limited" and 7000 <= a.last["retry_after_ms"] <= 7700


def test_an_error_in_the_middle_is_honest(daemon, provider):
    script = [head(chunked=True), chunk(piece({"content": "half "})), chunk(b'data: {"error":{"message":"boom","type":"server_error"}}\n\n'),
              b"0\r\n\r\n"]
    a = ask(daemon, provider, script)
    assert a.text == "half " and not a.ok and a.last["partial"] is True


def test_no_credential_names_the_fix(daemon):
    with daemon.rpc() as c:
        a = c.prompt("x", ref="openai:gpt-5")
    assert a.code == "no_credential" and "mpc key set openai" in a.last["hint"]


def test_connections_are_kept_between_requests(daemon, provider):
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        for _ in range(10):
            assert c.prompt("x", ref=ref).ok
    assert provider.connections <= 2


def test_no_descriptor_is_left_after_failures(fast, provider):
    ref = fast.add_provider(provider)
    ask(fast, provider, None, ref=ref)
    fds = fast.fds()
    for script in ([Reset()], [Hang()], reply(500, "x"), [head(chunked=True), chunk(b"data: {"), Close()]):
        for _ in range(3):
            ask(fast, provider, script, ref=ref)
    time.sleep(0.3)
    assert fast.fds() <= fds + 1
