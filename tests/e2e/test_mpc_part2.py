"""mpc with many providers: keys that wait in the environment, checks in parallel, limits in words."""
import json
import pathlib
import time

import pytest

from harness.provider import Provider, Sleep, reply, stream

SECRET = "sk-or-v1-0123456789abcdef0123456789cafe"
ENV = {"LAB_API_KEY": SECRET}
LIMITS = [("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "59"), ("x-ratelimit-reset-requests", "6m0s"),
          ("x-ratelimit-limit-tokens", "150000"), ("x-ratelimit-remaining-tokens", "149000"), ("x-ratelimit-reset-tokens", "6m0s")]


def add(daemon, provider, name="lab", env=None):
    daemon.mpc("provider", "add", name, "--url", provider.url, "--type", "local", "--auth", "optional-key", "--dialect", "openai-chat",
               check=0)
    if env:
        daemon.mpc("provider", "set", name, f"env={env}", check=0)


def keys(daemon):
    return {k["provider"]: k for k in json.loads(daemon.mpc("key", "--json", check=0).out)["keys"]}


# ---- keys from the environment ----

def test_import_stores_the_key_and_tries_it(daemon, provider):
    add(daemon, provider, env="LAB_API_KEY")
    r = daemon.mpc("key", "import", "--from-env", env=ENV, check=0)
    assert "LAB_API_KEY: 39 characters, ending in cafe" in r.err
    assert "Stored the key of lab (fingerprint " in r.out and "lab  key …cafe ok  reachable (" in r.out
    assert SECRET not in r.out + r.err and SECRET not in daemon.log()
    assert provider.requests[-1].header("authorization") == f"Bearer {SECRET}"
    assert list(keys(daemon)) == ["lab"]


def test_import_takes_only_the_named_ones(daemon, provider):
    add(daemon, provider, env="LAB_API_KEY")
    env = dict(ENV, OPENAI_API_KEY="sk-proj-not-this-one-00000")
    r = daemon.mpc("key", "import", "--from-env", "LAB_API_KEY", "--no-check", env=env, check=0)
    assert "not-this" not in r.out + r.err and list(keys(daemon)) == ["lab"] and provider.requests == []


def test_import_without_any_variable_names_those_looked_for(daemon):
    r = daemon.mpc("key", "import", "--from-env", check=3)
    assert "no key waits in the environment" in r.err
    for name in ("OPENROUTER_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "DASHSCOPE_API_KEY"):
        assert name in r.err
    assert daemon.mpc("key", "import", "--from-env", env={"OPENAI_API_KEY": ""}).returncode == 3


@pytest.mark.parametrize("words, code, text", [
    (["--from-env", "OPENAI_API_KEY"], 3, "OPENAI_API_KEY is not set"),
    (["--from-env", "NOBODYS"], 3, "no provider has its key in NOBODYS"),
    (["--from-env", SECRET], 2, "a key is never taken from the command line"),
    ([], 2, "key import needs --from-env")])
def test_import_says_what_is_wrong(daemon, words, code, text):
    r = daemon.mpc("key", "import", *words, check=code)
    assert text in r.err and SECRET not in r.err and keys(daemon) == {}


def test_import_refuses_what_cannot_be_a_key(daemon, provider):
    add(daemon, provider, env="LAB_API_KEY")
    r = daemon.mpc("key", "import", "--from-env", env={"LAB_API_KEY": "two words"}, check=2)
    assert "a blank" in r.err and "LAB_API_KEY" in r.err and "two words" not in r.err and keys(daemon) == {}


def test_import_replaces_only_when_told(daemon, provider):
    add(daemon, provider, env="LAB_API_KEY")
    daemon.mpc("key", "set", "lab", "--stdin", "--no-check", input=b"the-old-one-000000000-old\n", check=0)
    r = daemon.mpc("key", "import", "--from-env", "--no-check", env=ENV, check=2)
    assert "--yes" in r.err and keys(daemon)["lab"]["last4"] == "-old"
    t = daemon.mpc_tty("key", "import", "--from-env", "--no-check", env=ENV)
    t.expect("lab has a key already. Replace it by the one in LAB_API_KEY? [y/N]")
    t.type("n\n")
    assert t.wait() == 2 and keys(daemon)["lab"]["last4"] == "-old"
    daemon.mpc("key", "import", "--from-env", "--no-check", "--yes", env=ENV, check=0)
    assert keys(daemon)["lab"]["last4"] == "cafe"


def test_import_gives_two_providers_the_same_variable(daemon, provider):
    add(daemon, provider, "lab", "LAB_API_KEY")
    add(daemon, provider, "lab2", "LAB_API_KEY")
    daemon.mpc("key", "import", "--from-env", env=ENV, check=0)
    assert {k["last4"] for k in keys(daemon).values()} == {"cafe"} and set(keys(daemon)) == {"lab", "lab2"}


def test_import_as_json_is_one_document(daemon, provider):
    add(daemon, provider, env="LAB_API_KEY")
    r = daemon.mpc("key", "import", "--from-env", "--json", env=ENV, check=0)
    d = json.loads(r.out)
    assert [(k["variable"], k["provider"]) for k in d["imported"]] == [("LAB_API_KEY", "lab")]
    assert [c["ok"] for c in d["checks"]] == [True] and SECRET not in r.out


def test_import_leaves_nothing_in_the_environment_of_the_process(daemon, provider):
    """While the check still waits, the process shows no key any more."""
    add(daemon, provider, env="LAB_API_KEY")
    provider.models = lambda r: [Sleep(1), *reply(200, {"object": "list", "data": []})]
    t = daemon.mpc_tty("key", "import", "--from-env", env=ENV)
    t.expect("Stored the key of lab")
    shown = pathlib.Path(f"/proc/{t.pid}/environ").read_bytes()
    assert t.wait() == 0 and b"HOME=" in shown and SECRET.encode() not in shown


# ---- the offer ----

def test_first_start_offers_the_import(daemon):
    t = daemon.mpc_tty(env={"OPENROUTER_API_KEY": SECRET})
    assert t.wait() == 0
    assert b"note: OPENROUTER_API_KEY is set; mpc key import --from-env takes it in" in t.output and SECRET.encode() not in t.output
    t = daemon.mpc_tty("status", env={"OPENROUTER_API_KEY": SECRET, "OPENAI_API_KEY": SECRET}, columns=200)
    assert t.wait() == 0 and b"OPENAI_API_KEY and OPENROUTER_API_KEY are set; mpc key import --from-env takes them in" in t.output
    assert keys(daemon) == {}


def test_the_offer_is_not_made_twice(daemon):
    env = {"OPENROUTER_API_KEY": SECRET}
    assert "import" not in daemon.mpc(env=env, check=0).err, "not on a terminal"
    t = daemon.mpc_tty("--quiet", env=env)
    assert t.wait() == 0 and b"import" not in t.output
    t = daemon.mpc_tty()
    assert t.wait() == 0 and b"import" not in t.output
    daemon.mpc("key", "import", "--from-env", "--no-check", env=env, check=0)
    t = daemon.mpc_tty(env=env)
    assert t.wait() == 0 and b"import" not in t.output, "a key is stored"
    daemon.mpc("key", "delete", "openrouter", "--yes", check=0)
    daemon.mpc("switch", "echo:a", check=0)
    t = daemon.mpc_tty(env=env)
    assert t.wait() == 0 and b"import" not in t.output, "something was chosen"


# ---- checks ----

def test_checks_run_in_parallel_and_print_in_order(daemon, make_provider):
    for i in range(4):
        p = make_provider()
        p.models = lambda r, i=i: [Sleep(1.5 - i * 0.1), *reply(200, {"object": "list", "data": [{"id": "m1"}]})]
        add(daemon, p, f"lab{i}")
    began = time.monotonic()
    r = daemon.mpc("check", "lab0", "lab1", "lab2", "lab3", check=0)
    assert time.monotonic() - began < 5, "one after the other"
    assert [line.split()[1] for line in r.out.splitlines()] == ["lab0", "lab1", "lab2", "lab3"]


def test_checks_all_shows_progress_on_a_terminal(daemon, provider):
    provider.models = lambda r: [Sleep(2.6), *reply(200, {"object": "list", "data": [{"id": "m1"}]})]
    add(daemon, provider)
    t = daemon.mpc_tty("check", "--all")
    t.expect(" checked, 2 s")
    t.wait()
    assert b"lab" in t.output and b"echo" in t.output


def test_checks_go_on_when_one_fails(daemon, provider):
    add(daemon, provider)
    r = daemon.mpc("check", "nobody", "lab", check=3)
    assert 'unknown' in r.err and "lab  reachable" in r.out
    d = json.loads(daemon.mpc("check", "nobody", "lab", "--json", check=3).out)
    assert [c["ok"] for c in d["checks"]] == [False, True]
    assert daemon.mpc("check", "--plain", "lab", check=0).out.split("\t")[:2] == ["lab:m1", "ok"]


# ---- limits ----

def test_limits_are_shown_in_words(daemon, provider):
    add(daemon, provider)
    first, *rest = stream("Hello")
    provider.script([first.replace(b"\r\n\r\n", b"\r\n" + "".join(f"{k}: {v}\r\n" for k, v in LIMITS).encode() + b"\r\n"), *rest])
    daemon.mpc("prompt", "-m", "lab:m1", "hi", check=0)
    words = "requests 59 of 60, tokens 149 k of 150 k (resets in 6 min)"
    assert words in daemon.mpc("provider", "show", "lab", check=0).out
    assert f"  limits: {words}" in daemon.mpc("check", "lab", check=0).out
    plain = dict(line.split("\t", 1) for line in daemon.mpc("provider", "show", "lab", "--plain", check=0).out.splitlines())
    assert json.loads(plain["limits"])[0]["remaining"] == 59


def test_a_wall_shows_how_long_it_stands(daemon, provider):
    add(daemon, provider)
    provider.script(reply(429, {"error": {"message": "slow down", "type": "rate_limit"}}, extra=[("Retry-After", "700")]))
    daemon.mpc("prompt", "-m", "lab:m1", "hi", check=7)
    row = next(line for line in daemon.mpc("providers", check=0).out.splitlines() if " lab " in line)
    assert row.endswith("rate-limited, 12 min left")


# ---- a server's own language ----

TAGS = {"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}]}


@pytest.fixture
def ollama():
    p = Provider(default=lambda r: reply(200, TAGS) if r.path == "/api/tags" else reply(404, "404 page not found", "text/plain"))
    p.models = lambda r: reply(404, "404 page not found", "text/plain")
    p.origin = p.url[:-len("/v1")]
    yield p
    p.close()


def dialect(daemon, name):
    return json.loads(daemon.mpc("provider", "show", name, "--json", check=0).out)["dialect"]


def test_add_asks_the_server_for_its_language(daemon, ollama):
    r = daemon.mpc("provider", "add", "lab", "--url", ollama.origin, check=0)
    assert f"note: {ollama.origin} speaks ollama: GET " in r.err and r.out == "Added lab (available).\n"
    assert dialect(daemon, "lab") == "ollama"


def test_add_confirms_what_it_found_on_a_terminal(daemon, provider):
    t = daemon.mpc_tty("provider", "add", "lab", "--url", provider.url, columns=200)
    t.expect("Add lab as openai-chat? [y/N]")
    t.type("n\n")
    assert t.wait() == 2 and b"nothing was changed" in t.output
    daemon.mpc("provider", "show", "lab", check=3)
    t = daemon.mpc_tty("provider", "add", "lab", "--url", provider.url)
    t.expect("[y/N]")
    t.type("y\n")
    assert t.wait() == 0 and b"Added lab (available)." in t.output and dialect(daemon, "lab") == "openai-chat"


def test_add_with_a_dialect_asks_nobody(daemon, ollama):
    t = daemon.mpc_tty("provider", "add", "lab", "--url", ollama.origin, "--dialect", "openai-chat")
    assert t.wait() == 0 and b"[y/N]" not in t.output and b"speaks" not in t.output
    assert dialect(daemon, "lab") == "openai-chat" and ollama.requests == []


def test_add_of_a_server_that_does_not_run_yet(daemon):
    r = daemon.mpc("provider", "add", "lab", "--url", "http://127.0.0.1:9/v1", check=0)
    assert "openai-chat is assumed" in r.err and r.out == "Added lab (available).\n" and dialect(daemon, "lab") == "openai-chat"


def test_add_says_that_a_key_is_wanted(daemon, provider):
    provider.models = provider.default = lambda r: reply(401, {"error": {"message": "You must provide an API key", "type": "invalid_request_error",
                                                                        "code": "invalid_api_key"}})
    r = daemon.mpc("provider", "add", "lab", "--url", provider.url, check=0)
    assert "wants a key: mpc key set lab" in r.err
