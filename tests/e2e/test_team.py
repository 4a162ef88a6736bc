"""Team bundles: signed by one, taken by others, below everybody's own rows."""
import base64
import functools
import http.server
import json
import pathlib
import ssl
import subprocess
import threading

import pytest
from harness.provider import stream
from harness.rpc import RpcError

KEY = "sk-team-0123456789abcdefghij"
OWN = "sk-mine-abcdefghij0123456789"


@pytest.fixture
def alice(make_daemon):
    return make_daemon()


@pytest.fixture
def bob(make_daemon):
    return make_daemon()


def team_id(daemon):
    return daemon.mpc("team", "id", "--plain", check=0).out.strip()


def fingerprint(daemon):
    with daemon.rpc() as c:
        return c.call("team.id")["fingerprint"]


def provider(daemon, name):
    return json.loads(daemon.mpc("provider", "show", name, "--json", check=0).out)


def active(daemon):
    return json.loads(daemon.mpc("which", "--json", check=0).out)["active"]["ref"]


def add_lab(daemon, url, key=KEY, name="lab"):
    daemon.mpc("provider", "add", name, "--url", url, "--type", "local", "--auth", "optional-key", "--dialect",
               "openai-chat", check=0)
    if key:
        daemon.mpc("key", "set", name, "--stdin", "--no-check", input=key.encode(), check=0)


def seal(daemon, *args, team="acme", name="acme.mpb"):
    daemon.mpc("team", "seal", name, "--team", team, *args, check=0)
    return daemon.home / name


def add(daemon, path, signer, *args, **kw):
    return daemon.mpc("team", "add", path, "--signer", fingerprint(signer), *args, **kw)


def ask(daemon, ref):
    return daemon.mpc("p", "-m", ref, "hello", check=0).out.strip()


def test_a_team_shares_a_provider_and_its_key(alice, bob, make_daemon, make_provider):
    p = make_provider()
    add_lab(alice, p.url)
    path = seal(alice, "--key", "lab", "--for", team_id(bob))
    assert KEY not in path.read_text() and base64.b64encode(KEY.encode()).decode()[:20] not in path.read_text()
    said = add(bob, path, alice, check=0)
    assert "+ providers.lab.type: local" in said.out and "Added version 1 of team acme, with 1 key for you." in said.out
    shown = provider(bob, "lab")
    assert (shown["origin"], shown["team"], shown["base_url"]) == ("bundle", "acme", p.url)
    assert shown["key"]["source"] == "bundle" and shown["key"]["team"] == "acme"
    assert ask(bob, "lab:m1")
    assert p.chats[-1].header("authorization") == f"Bearer {KEY}"
    # who is no member gets the provider, and no key
    carol = make_daemon()
    team_id(carol)
    said = add(carol, path, alice, check=0)
    assert "key for you" not in said.out
    assert "key" not in provider(carol, "lab") and provider(carol, "lab")["origin"] == "bundle"
    # it is all there after a crash
    bob.kill()
    bob.start()
    again = provider(bob, "lab")
    assert {k: again[k] for k in ("origin", "team", "base_url")} == {k: shown[k] for k in ("origin", "team", "base_url")}
    assert again["key"]["fingerprint"] == shown["key"]["fingerprint"] and again["key"]["source"] == "bundle"
    ask(bob, "lab:m1")
    assert p.chats[-1].header("authorization") == f"Bearer {KEY}"
    # not in the database, the log or what is shown
    for d in (alice, bob):
        assert KEY not in d.log() and KEY.encode() not in (d.data / "state.db").read_bytes()


def test_the_signer_is_trusted_once_and_stays(alice, bob, make_daemon, provider):
    add_lab(alice, provider.url)
    path = seal(alice)
    # without a terminal nobody new is trusted, whatever --yes says
    for extra in ((), ("--yes",)):
        r = bob.mpc("team", "add", path, *extra, check=4)
        assert fingerprint(alice) in r.err and "--signer" in r.err
    assert "not by" in bob.mpc("team", "add", path, "--signer", fingerprint(bob), check=4).err
    assert bob.mpc("team", "--plain", check=0).out == ""
    # on a terminal the fingerprint is shown and asked about
    t = bob.mpc_tty("team", "add", str(path))
    t.expect(fingerprint(alice))
    t.expect("Trust")
    t.type("y\n")
    assert t.wait() == 0
    # the id of the signer does as well as the fingerprint
    bob.mpc("team", "add", path, "--signer", team_id(alice), check=0)
    # another signer for the same team is refused, also when his fingerprint is named
    mallory = make_daemon()
    add_lab(mallory, provider.url)
    for _ in range(3):
        other = seal(mallory)
    r = add(bob, other, mallory, check=4)
    assert "signed by" in r.err and "mpc team remove acme" in r.err
    # and after the removal he is one to be trusted first
    bob.mpc("team", "remove", "acme", check=0)
    bob.mpc("team", "add", other, check=4)
    add(bob, other, mallory, check=0)


def test_nothing_older_comes_after(alice, bob, provider):
    add_lab(alice, provider.url)
    old = seal(alice, name="1")
    alice.mpc("provider", "set", "lab", "display_name=Lab", check=0)
    new = seal(alice, name="2")
    add(bob, new, alice, check=0)
    assert provider_name(bob) == "Lab"
    assert "older than version 2" in add(bob, old, alice, check=9).err
    add(bob, new, alice, check=0)
    # not after removal and a restart either
    bob.mpc("team", "remove", check=0)
    bob.restart()
    assert "older than version 2" in add(bob, old, alice, check=9).err
    add(bob, new, alice, check=0)
    # the same version with another content: a signer whose state went back
    alice.stop()
    state = {f: f.read_bytes() for f in alice.data.glob("state.db*")}
    alice.start()
    third = seal(alice, name="3")
    alice.stop()
    for f in alice.data.glob("state.db*"):
        f.unlink()
    for f, content in state.items():
        f.write_bytes(content)
        f.chmod(0o600)
    alice.start()
    alice.mpc("provider", "set", "lab", "display_name=Other", check=0)
    again = seal(alice, name="4")
    add(bob, third, alice, check=0)
    assert "with another content" in add(bob, again, alice, check=9).err
    assert provider_name(bob) == "Lab"


def provider_name(daemon, name="lab"):
    return provider(daemon, name).get("display_name")


def test_the_users_rows_lie_over_it(alice, bob, provider):
    add_lab(alice, provider.url)
    alice.mpc("provider", "set", "openrouter", "base_url=https://gateway.acme.example/v1", check=0)
    alice.mpc("provider", "set", "lab", "display_name=Lab", check=0)
    before = {n: provider_rows(bob, n) for n in ("openrouter", "openai")}
    bob.mpc("provider", "set", "openrouter", "display_name=Mine", check=0)
    mine = provider_rows(bob, "openrouter")
    add(bob, seal(alice), alice, check=0)
    shown = provider_rows(bob, "openrouter")
    assert (shown["base_url"], shown["display_name"], shown["origin"], shown["team"]) == (
        "https://gateway.acme.example/v1", "Mine", "user", "acme")
    # a member of his own wins over the bundle's, and its removal brings that back
    bob.mpc("provider", "set", "openrouter", "base_url=https://mine.example/v1", check=0)
    assert provider_rows(bob, "openrouter")["base_url"] == "https://mine.example/v1"
    bob.mpc("provider", "set", "lab", "display_name=My lab", check=0)
    assert (provider_name(bob), provider_rows(bob, "lab")["origin"]) == ("My lab", "user")
    # an update of the bundle does not touch it either
    alice.mpc("provider", "set", "lab", "display_name=New lab", check=0)
    alice.mpc("provider", "set", "lab", "enabled=false", check=0)
    bob.mpc("team", "add", seal(alice), check=0)
    assert (provider_name(bob), provider_rows(bob, "lab")["enabled"]) == ("My lab", False)
    bob.restart()
    assert (provider_name(bob), provider_rows(bob, "lab")["enabled"]) == ("My lab", False)
    assert provider_rows(bob, "openrouter")["base_url"] == "https://mine.example/v1"
    bob.mpc("provider", "remove", "lab", "--yes", check=0)
    assert (provider_name(bob), provider_rows(bob, "lab")["origin"]) == ("New lab", "bundle")
    r = bob.mpc("provider", "remove", "lab", "--yes", check=1)
    assert "comes with the bundle of team acme" in r.err
    bob.mpc("provider", "set", "openrouter", "base_url=https://gateway.acme.example/v1", check=0)
    # the export holds the user's own and not the bundle's
    text = bob.mpc("config", "export", check=0).out
    assert "lab" not in text and "Mine" in text
    assert "nothing was changed" in bob.mpc("config", "apply", "-", input=text.encode(), check=0).out
    # removal: as it was before
    bob.mpc("team", "remove", "acme", check=0)
    assert provider_rows(bob, "openai") == before["openai"]
    assert bob.mpc("provider", "show", "lab", check=3)
    after = provider_rows(bob, "openrouter")
    assert after["display_name"] == "Mine" and "team" not in after
    bob.mpc("provider", "remove", "openrouter", "--yes", check=0)
    assert provider_rows(bob, "openrouter") == before["openrouter"] and mine["display_name"] == "Mine"


def provider_rows(daemon, name):
    """What is defined of it, without what calls learned."""
    changing = ("rev", "status_since_ms", "last_used_ms", "latency_p50_ms")
    return {k: v for k, v in provider(daemon, name).items() if k not in changing}


def test_a_provider_of_ones_own_hides_the_teams(alice, bob, make_provider):
    theirs, mine = make_provider(), make_provider()
    add_lab(alice, theirs.url)
    add_lab(bob, mine.url, key=OWN)
    said = add(bob, seal(alice, "--key", "lab", "--for", team_id(bob)), alice, check=0)
    assert "a provider lab of your own" in said.err and "left aside" in said.err
    assert provider(bob, "lab")["base_url"] == mine.url and "team" not in provider(bob, "lab")
    ask(bob, "lab:m1")
    assert mine.chats[-1].header("authorization") == f"Bearer {OWN}" and theirs.chats == []
    # it steps aside, and the team's is there
    bob.mpc("provider", "rename", "lab", "lab2", check=0)
    assert provider(bob, "lab")["base_url"] == theirs.url and provider(bob, "lab2")["base_url"] == mine.url
    bob.mpc("provider", "remove", "lab2", "--cascade", "--yes", check=0)
    bob.restart()
    assert provider(bob, "lab")["origin"] == "bundle"


def test_a_bundle_cannot_send_my_key_elsewhere(alice, bob, make_provider):
    evil, good = make_provider(), make_provider()
    add_lab(alice, good.url)
    path = seal(alice)
    add(bob, path, alice, check=0)
    bob.mpc("key", "set", "lab", "--stdin", "--no-check", input=OWN.encode(), check=0)
    ask(bob, "lab:m1")
    assert good.chats[-1].header("authorization") == f"Bearer {OWN}"
    # the next version sends lab to another address
    alice.mpc("provider", "set", "lab", f"base_url={evil.url}", check=0)
    r = bob.mpc("team", "add", seal(alice), check=0)
    assert "your stored key is kept but not sent there" in r.err
    assert "was stored for" in bob.mpc("p", "-m", "lab:m1", "hello", check=4).err
    assert evil.chats == []
    # the same for a built-in provider
    bob.mpc("key", "set", "openai", "--stdin", "--no-check", input=OWN.encode(), check=0)
    alice.mpc("provider", "set", "openai", "type=local", f"base_url={evil.url}", check=0)
    r = bob.mpc("team", "add", seal(alice), check=0)
    assert "openai has another address" in r.err
    bob.mpc("p", "-m", "openai:gpt-4o", "hello", check=4)
    assert evil.chats == []
    bob.restart()
    bob.mpc("p", "-m", "openai:gpt-4o", "hello", check=4)
    assert evil.chats == []


def test_overrides_stay_and_go_as_with_a_provider(alice, bob, provider):
    add_lab(alice, provider.url)
    add(bob, seal(alice), alice, check=0)
    bob.mpc("switch", "lab:m1", check=0)
    bob.mpc("nick", "lab:m1", "fast", check=0)
    alice.mpc("provider", "set", "lab", "display_name=Lab", check=0)
    bob.mpc("team", "add", seal(alice), check=0)
    assert active(bob) == "lab:m1"
    # a version without it, and the removal, ask as mpc provider remove does
    alice.mpc("provider", "remove", "lab", "--cascade", "--yes", check=0)
    empty = seal(alice)
    r = bob.mpc("team", "add", empty, check=2)
    assert "provider lab goes, and with it a live choice" in r.err
    with bob.rpc() as c, pytest.raises(RpcError) as e:
        c.call("team.add", text=empty.read_text(), signer=fingerprint(alice))
    assert e.value.code == "conflict" and "live choice" in e.value.data["losses"][0]
    r = bob.mpc("team", "remove", "acme", check=2)
    assert active(bob) == "lab:m1" and ask(bob, "fast")
    bob.mpc("team", "remove", "acme", "--cascade", check=0)
    assert active(bob) != "lab:m1"
    bob.mpc("provider", "show", "lab", check=3)
    assert bob.mpc("team", "--plain", check=0).out == ""


def test_the_key_goes_with_the_bundle(alice, bob, make_provider):
    p = make_provider()
    add_lab(alice, p.url)
    add(bob, seal(alice, "--key", "lab", "--for", team_id(bob)), alice, check=0)
    assert provider(bob, "lab")["key"]["source"] == "bundle"
    # the next version has none for bob
    bob.mpc("team", "add", seal(alice), check=0)
    assert "key" not in provider(bob, "lab")
    bob.mpc("team", "add", seal(alice, "--key", "lab", "--for", team_id(bob)), check=0)
    # his own takes its place, and stays
    bob.mpc("key", "set", "lab", "--stdin", "--no-check", input=OWN.encode(), check=0)
    assert provider(bob, "lab")["key"]["source"] == "stored"
    r = bob.mpc("team", "add", seal(alice, "--key", "lab", "--for", team_id(bob)), check=0)
    assert "you have one of your own" in r.err
    ask(bob, "lab:m1")
    assert p.chats[-1].header("authorization") == f"Bearer {OWN}"
    r = bob.mpc("team", "remove", check=2)
    assert "a stored key" in r.err


def test_plan_logins_and_what_is_of_one_machine_stay_out(alice, bob, provider):
    add_lab(alice, provider.url)
    alice.mpc("provider", "set", "lab", "ca_file=/etc/ssl/mine.pem", check=0)
    alice.mpc("provider", "set", "claude-max", "enabled=true", check=0)
    said = alice.mpc("team", "seal", "acme.mpb", "--team", "acme", check=0)
    assert "claude-max is left out" in said.err
    text = (alice.home / "acme.mpb").read_text()
    assert "claude-max" not in text and "ca_file" not in text and "lab" in text
    r = alice.mpc("team", "seal", "x", "--team", "acme", "--key", "claude-max", "--for", team_id(bob), check=2)
    assert "never holds such a login" in r.err
    assert not (alice.home / "x").exists()


def test_what_cannot_be_sealed_is_said(alice, bob, provider):
    add_lab(alice, provider.url, key=None)
    for args, word in ((("--key", "lab", "--for", team_id(bob)), "no key"), (("--key", "lab"), "members"),
                       (("--key", "nope", "--for", team_id(bob)), "nope"), (("--section", "settings"), "no section"),
                       (("--for", team_id(bob)[:-1] + "x", "--key", "lab"), "not the id")):
        r = alice.mpc("team", "seal", "x", "--team", "acme", *args)
        assert r.returncode != 0 and word in r.err, r.err
    assert not (alice.home / "x").exists()
    # a refused one takes no version
    assert "Sealed version 1" in alice.mpc("team", "seal", "x", "--team", "acme", check=0).out
    assert "Sealed version 2" in alice.mpc("team", "seal", "x", "--team", "acme", check=0).out
    members = alice.home / "members.txt"
    members.write_text(f"# who\nbob {team_id(bob)}\n\n")
    alice.mpc("key", "set", "lab", "--stdin", "--no-check", input=KEY.encode(), check=0)
    alice.mpc("team", "seal", "x", "--team", "acme", "--key", "lab", "--for", f"@{members}", check=0)
    assert fingerprint(bob) in (alice.home / "x").read_text()


def test_problems_have_places_and_change_nothing(alice, bob, provider):
    r = bob.mpc("team", "add", "-", input=b"hello", check=2)
    assert "no team bundle: line 1" in r.err
    add_lab(alice, provider.url)
    path = seal(alice)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole + b"\n", whole.replace(b"lab", b"lap"), whole.replace(b"signer: ", b"signer:  ")):
        r = bob.mpc("team", "add", "-", "--signer", fingerprint(alice), input=broken)
        assert r.returncode in (1, 2) and ("does not fit" in r.err or "no team bundle" in r.err)
    assert bob.mpc("team", "--plain", check=0).out == ""


# ---- web servers ----

@functools.lru_cache(maxsize=None)
def certificate(folder):
    cert, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                   capture_output=True)
    return cert, key


class Web:
    """A web server whose one file may change."""

    def __init__(self, folder=None):
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append((self.path, dict(self.headers)))
                status, headers, body = web.answer
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.asked = []
        self.answer = (404, {}, b"")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if folder is not None:
            scheme = "https"
            self.cert, key = certificate(str(folder))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}/team/acme.mpb"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, path, status=200, **headers):
        self.answer = (status, {"Content-Type": "application/octet-stream", **headers},
                       path.read_bytes() if path is not None else b"")

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web(tmp_path):
    w = Web(tmp_path)
    yield w
    w.close()


def test_updates_come_over_https(alice, bob, provider, web):
    add_lab(alice, provider.url)
    web.serve(seal(alice))
    # the server's certificate is not one of the system's; loopback is not meant unless it is said
    assert bob.mpc("team", "add", web.url, "--signer", fingerprint(alice)).returncode != 0
    assert bob.mpc("team", "add", web.url, "--signer", fingerprint(alice), "--ca-file", web.cert).returncode != 0
    assert bob.mpc("team", "add", web.url, "--signer", fingerprint(alice), "--local").returncode != 0
    assert web.asked == []
    add(bob, web.url, alice, "--local", "--ca-file", web.cert, check=0)
    assert "already" in bob.mpc("team", "update", check=0).out
    alice.mpc("provider", "set", "lab", "display_name=Lab", check=0)
    old = web.answer
    web.serve(seal(alice))
    said = bob.mpc("team", "update", "acme", check=0)
    assert "+ providers.lab.display_name: Lab" in said.out and "Updated to version 2 of team acme." in said.out
    assert provider_name(bob) == "Lab"
    bob.restart()
    # rolled back by who holds the server
    web.answer = old
    assert "older than version 2" in bob.mpc("team", "update", check=9).err
    # what else a server may do
    web.serve(None, 302, Location=web.url + "2")
    assert "redirect" in bob.mpc("team", "update").err
    web.serve(None, 404)
    assert "404" in bob.mpc("team", "update", check=3).err
    big = alice.home / "big"
    big.write_bytes(b"x" * (2 << 20))
    web.serve(big)
    assert "larger than" in bob.mpc("team", "update", check=1).err
    assert provider_name(bob) == "Lab" and all("authorization" not in {k.lower() for k in h} for _, h in web.asked)


def test_plain_http_is_for_this_machine_and_said(alice, bob, provider):
    add_lab(alice, provider.url)
    w = Web()
    try:
        w.serve(seal(alice))
        assert "must use https" in add(bob, w.url, alice, check=2).err
        assert "must use https" in add(bob, "http://team.example/acme.mpb", alice, "--local", check=2).err
        assert "not a URL" in add(bob, "https://user:pw@team.example/x", alice, check=2).err
        assert w.asked == []
        add(bob, w.url, alice, "--local", check=0)
    finally:
        w.close()


def test_updates_come_from_a_file(alice, bob, provider):
    add_lab(alice, provider.url)
    path = seal(alice)
    add(bob, path, alice, check=0)
    alice.mpc("provider", "set", "lab", "display_name=Lab", "key_sharing=weighted", check=0)
    seal(alice)
    assert "Updated to version 2" in bob.mpc("team", "update", check=0).out
    listed = json.loads(bob.mpc("team", "--json", check=0).out)["bundles"]
    assert [(b["team"], b["version"], b["source"], b["providers"], b["ours"]) for b in listed] == [
        ("acme", 2, str(path), ["lab"], False)]
    assert "display_name: Lab" in bob.mpc("team", "show", "acme", check=0).out
    assert json.loads(bob.mpc("provider", "show", "lab", "--json", check=0).out)["key_sharing"] == "weighted"
    path.unlink()
    bob.mpc("team", "update", check=3)


def test_watchers_hear_of_bundles(alice, bob, provider):
    add_lab(alice, provider.url)
    path = seal(alice)
    with bob.rpc() as c:
        c.call("state.subscribe", topics=["team", "providers"])
        add(bob, path, alice, check=0)
        heard = [c.event("state.event") for _ in range(2)]
        assert {(e["topic"], e["op"], e["key"]) for e in heard} == {("providers", "add", "lab"), ("team", "add", "acme")}
        assert c.call("state.get", topics=["team"])["snapshot"]["team"][0]["team"] == "acme"


# ---- models, nicknames and what else may be shared ----

def rows(daemon):
    return daemon.mpc("config", "export", check=0).out.split("\nmodels:")[1]


def test_models_and_nicknames_come_below_ones_own(alice, bob, provider):
    add_lab(alice, provider.url)
    for model, nick in (("m1", "fast"), ("m2", "slow")):
        alice.mpc("add", "lab", model, "--nick", nick, check=0)
    bob.mpc("add", "openrouter", "mine", "--nick", "slow", check=0)
    before = rows(bob)
    add(bob, seal(alice), alice, check=0)
    assert ask(bob, "fast") and json.loads(provider.chats[-1].body)["model"] == "m1"
    listed = {m["ref"]: m for m in json.loads(bob.mpc("list", "--json", check=0).out)["models"]}
    assert (listed["lab:m1"]["source"], listed["lab:m1"]["nick"]) == ("bundle", "fast")
    assert (listed["openrouter:mine"]["source"], listed["openrouter:mine"]["nick"]) == ("user", "slow")
    # they are not his: not exported, and there again after an apply
    assert rows(bob) == before
    text = bob.mpc("config", "export", check=0).out
    assert "nothing was changed" in bob.mpc("config", "apply", "-", input=text.encode(), check=0).out
    assert ask(bob, "fast")
    # his own choice of what a name means stays through an update
    bob.mpc("switch", "fast", check=0)
    bob.mpc("nick", "--delete", "fast", check=0)
    bob.mpc("nick", "lab:m2", "fast", check=0)
    alice.mpc("add", "lab", "m3", "--nick", "new", check=0)
    bob.mpc("team", "add", seal(alice), check=0)
    bob.restart()
    assert active(bob) == "lab:m1"
    ask(bob, "fast")
    assert json.loads(provider.chats[-1].body)["model"] == "m2"
    ask(bob, "new")
    assert json.loads(provider.chats[-1].body)["model"] == "m3"
    # what the next version has no more goes
    alice.mpc("remove", "lab:m3", "--yes", check=0)
    bob.mpc("team", "add", seal(alice), check=0)
    bob.mpc("p", "-m", "new", "x", check=3)
    bob.mpc("nick", "--delete", "fast", check=0)
    bob.mpc("switch", "--clear", check=0)
    bob.mpc("team", "remove", "acme", check=0)
    assert rows(bob) == before and "lab" not in bob.mpc("list", check=0).out


def test_what_cannot_be_here_is_left_out_and_said(alice, bob, provider):
    add_lab(alice, provider.url)
    alice.mpc("add", "lab", "m1", "--nick", "bobs", check=0)
    alice.mpc("add", "lab", "m2", "--nick", "two", check=0)
    add_lab(bob, provider.url, name="bobs")
    said = add(bob, seal(alice), alice, check=0)
    assert '"bobs" of the team\'s bundle is left out' in said.err
    assert ask(bob, "two")
    with bob.rpc() as c:
        assert [b["version"] for b in c.call("team.show")["bundles"]] == [1]


def test_only_the_sections_that_are_asked_for(alice, bob, provider):
    add_lab(alice, provider.url)
    alice.mpc("add", "lab", "m1", "--nick", "fast", check=0)
    path = seal(alice, "--section", "providers")
    assert "fast" not in path.read_text() and "lab:" in path.read_text()
    path = seal(alice, "--section", "nicknames")
    text = path.read_text()
    assert "fast: lab:m1" in text and "base_url" not in text


def test_team_keys_follow_a_rekey(alice, bob, provider):
    add_lab(alice, provider.url)
    mine, who = fingerprint(alice), team_id(bob)
    add(bob, seal(alice, "--key", "lab", "--for", who), alice, check=0)
    for d in (alice, bob):
        d.mpc("vault", "rekey", check=0)
        d.restart()
    assert fingerprint(alice) == mine and team_id(bob) == who
    said = bob.mpc("team", "add", seal(alice, "--key", "lab", "--for", who), check=0)
    assert "with 1 key for you" in said.out
    ask(bob, "lab:m1")
    assert provider.chats[-1].header("authorization") == f"Bearer {KEY}"


def test_only_stored_keys_are_shared(alice, bob, provider):
    add_lab(alice, provider.url, key=None)
    with alice.rpc() as c:
        c.call("key.set", provider="lab", source={"command": "echo " + KEY})
    r = alice.mpc("team", "seal", "x", "--team", "acme", "--key", "lab", "--for", team_id(bob), check=1)
    assert "only stored keys are shared" in r.err


def test_a_bundle_may_hold_chains_and_budgets(alice, bob, make_provider):
    p = make_provider()
    add_lab(alice, p.url, key=None)
    alice.mpc("chain", "set", "coding", "lab:m1", "echo:x", check=0)
    alice.mpc("budget", "set", "10", "--per", "day", check=0)
    alice.mpc("budget", "set", "2.5", "--per", "week", "--for", "@coding", "--hard", check=0)
    path = seal(alice)
    bob.mpc("budget", "set", "99", "--per", "day", check=0)  # one's own comes first
    add(bob, path, alice, check=0)

    def budgets():
        with bob.rpc() as c:
            return sorted((b["for"], b["period"], b["limit_microusd"], b["hard"]) for b in c.call("budget.get")["budgets"])
    assert [r["refs"] for r in bob_chains(bob)] == [["lab:m1", "echo:x"]]
    assert budgets() == [("", "day", 99000000, False), ("@coding", "week", 2500000, True)]
    bob.restart()
    assert budgets() == [("", "day", 99000000, False), ("@coding", "week", 2500000, True)]
    bob.mpc("team", "remove", "acme", "--yes", check=0)
    assert budgets() == [("", "day", 99000000, False)] and bob_chains(bob) == []


def test_a_bundle_may_hold_prices(alice, bob, make_provider):
    p = make_provider()
    add_lab(alice, p.url, key=None)
    p.default = stream("ok", usage={"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200})
    alice.mpc("catalog", "set", "lab:m1", "--input", "1", "--output", "2", check=0)
    alice.mpc("catalog", "set", "lab:m1", "--input", "3", "--output", "4", "--above", "5000", check=0)
    alice.mpc("catalog", "set", "lab:m2", "--input", "5", "--output", "6", check=0)
    alice.mpc("catalog", "set", "openai:gpt-4o", "--input", "7", "--output", "8", check=0)
    path = seal(alice)
    bob.mpc("catalog", "set", "openai:gpt-4o", "--input", "9", "--output", "9", check=0)  # one's own comes first
    add(bob, path, alice, check=0)

    def prices():
        with bob.rpc() as c:
            return [(r["ref"], r["source"], r["input"] // 10**6) for r in c.call("price.list")["prices"]]

    def cost():
        with bob.rpc() as c:
            c.call("prompt.run", text="hi", ref="lab:m1")
            row = c.call("usage.export")["rows"][-1]
            return row["cost_kind"], row["cost_microusd"]
    own = [("openai:gpt-4o", "own", 9)]
    assert prices() == [("lab:m1", "bundle", 1), ("lab:m1", "bundle", 3), ("lab:m2", "bundle", 5), *own]
    assert cost() == ("own", 1000 * 1 + 200 * 2)
    bob.restart()
    assert cost() == ("own", 1400)
    assert "lab:m" not in bob.mpc("config", "export", check=0).out.split("prices:")[1]  # what is brought is not exported
    bob.mpc("catalog", "set", "lab:m1", "--input", "2", "--output", "2", check=0)  # now all of that model's are one's own
    assert prices() == [("lab:m1", "own", 2), ("lab:m1", "own", 3), ("lab:m2", "bundle", 5), *own]
    with bob.rpc() as c:
        assert c.call("price.list")["counts"]["bundle"] == 1
        assert [r["source"] for r in c.call("price.list", ref="lab:m1")["prices"]] == ["own", "own"]
    assert cost() == ("own", 2400)
    assert "lab:m1" in bob.mpc("config", "export", check=0).out.split("prices:")[1]
    bob.mpc("team", "remove", "acme", "--yes", check=0)  # its provider goes, and what was said of it
    assert prices() == own


def bob_chains(daemon):
    with daemon.rpc() as c:
        return c.call("chain.list")["chains"]
