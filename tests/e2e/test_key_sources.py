"""Keys that are not stored but read when a call needs them: commands, files, variables of the daemon."""
import json
import os
import pathlib
import sqlite3
import threading
import time

import pytest

from harness.provider import reply, stream
from harness.rpc import RpcError

KEY = "sk-source-0a1b2c3d4e5f60718293a4b5"
OTHER = "sk-rotated-99887766554433221100ff"


def bearer(r):
    return r.header("authorization")


def program(d, text, name="keys", mode=0o755):
    """A program of the user's; each run leaves a line in `runs`."""
    folder = d.root / "bin"
    folder.mkdir(exist_ok=True, mode=0o755)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho run >> {d.root}/runs\n{text}\n")
    path.chmod(mode)
    return path


def runs(d):
    path = d.root / "runs"
    return len(path.read_text().split()) if path.exists() else 0


@pytest.fixture
def lab(daemon, provider):
    daemon.provider = provider
    daemon.add_provider(provider, "lab", key="sk-to-be-replaced-000000000000")
    return daemon


def source(d, label=None, **kind):
    with d.rpc() as c:
        return c.call("key.set", provider="lab", source=kind, **({"label": label} if label else {}))


def prompt(d, ref="lab:m1"):
    with d.rpc() as c:
        return c.prompt("x", ref=ref)


def refused(d, **kind):
    with pytest.raises(RpcError) as e:
        source(d, **kind)
    assert (e.value.code, e.value.field) == ("invalid_params", "source"), e.value.error
    return e.value.message


def test_a_command_by_mpc(lab):
    path = program(lab, f"echo {KEY}; echo second line")
    r = lab.mpc("key", "set", "lab", "--command", f"{path} show x", "--yes", check=0)
    assert f"is read from the command {path} show x" in r.out
    assert prompt(lab).ok
    assert bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
    shown = lab.mpc("key", "list", "--json", check=0).out
    k = json.loads(shown)["keys"][0]
    assert (k["source"], k["from"], len(k["fingerprint"])) == ("command", f"{path} show x", 8)
    assert KEY not in shown + lab.mpc("key", "list", check=0).out + lab.log()
    lab.restart()
    assert prompt(lab).ok
    assert bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
    assert not [p for p in lab.root.rglob("*") if p.is_file() and p != path and KEY.encode() in p.read_bytes()]


def test_what_the_command_sees(lab):
    """THREATS.md section 8: no shell, no descriptor, no secret, an empty folder, a group of its own."""
    path = program(lab, f"""(env; pwd; ls -A; for a; do echo "arg:$a"; done; ls /proc/$$/fd; cat /proc/$$/stat) > {lab.root}/seen; echo {KEY}""")
    lab.env["SOME_TOKEN"] = "sk-canary-not-for-you"
    lab.env["PASSWORD_STORE_DIR"] = "/somewhere"
    lab.restart()
    source(lab, command=f"{path} 'two words' \"a\\\"b\" c\\ d ''")
    assert prompt(lab).ok
    seen = (lab.root / "seen").read_text()
    assert [l[4:] for l in seen.split("\n") if l.startswith("arg:")] == ["two words", 'a"b', "c d", ""]
    names = {l.split("=")[0] for l in seen.split("\n") if "=" in l}
    allowed = {"HOME", "USER", "LANG", "TZ", "TMPDIR", "PATH", "PASSWORD_STORE_DIR", "PWD", "OLDPWD", "SHLVL", "_"}
    assert {n for n in names if not n.startswith(("LC_", "XDG_"))} <= allowed
    assert "PASSWORD_STORE_DIR=/somewhere" in seen and "canary" not in seen
    stat = seen[seen.rindex(")") + 2:].split()
    assert stat[2] != str(os.getpgid(lab.pid))


NO_COMMANDS = ["", "  ", "cat x | head", "echo $HOME", "a; b", "a && b", "`a`", "cat ~/key", "echo 'open", "no-such-program-here x",
               "bin/relative", "x" * 1025, "cat *", "a > b", "one\ntwo", "/etc/passwd"]


def test_commands_that_are_none(lab):
    for text in NO_COMMANDS:
        assert refused(lab, command=text), text
    with lab.rpc() as c:
        assert c.call("key.status")["keys"][0]["source"] == "stored"


def test_a_shell_that_is_named_runs(lab):
    source(lab, command=f"sh -c 'echo {KEY} | cat'")
    assert prompt(lab).ok
    assert bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"


@pytest.mark.parametrize("why", ["foreign program", "open to others", "open folder"])
def test_a_program_that_others_can_change_is_not_run(lab, why):
    path = program(lab, f"echo {KEY}")
    source(lab, command=str(path))
    if why == "foreign program":
        if os.geteuid() != 0:
            pytest.skip("needs root: run it as root to see it")
        os.chown(path, 12345, 12345)
    elif why == "open to others":
        path.chmod(0o777)
    else:
        path.parent.chmod(0o777)
    a = prompt(lab)
    assert a.code == "no_credential" and str(path) in a.last["message"]
    assert runs(lab) == 0 and lab.provider.chats == []


FAILURES = {
    "exit": ("echo gpg: decryption failed >&2; exit 2", "ended with code 2: gpg: decryption failed"),
    "nothing": ("true", "the first line it wrote is no key"),
    "two words": ("echo this is no key", "the first line it wrote is no key"),
    "flood": ("head -c 200000 /dev/zero | tr '\\0' x", "more than 64 KiB"),
    "killed": ("kill -9 $$", "ended by signal 9"),
}


def test_commands_that_fail(lab):
    for text, words in FAILURES.values():
        lab.provider.requests.clear()
        fails(lab, text, words)


def fails(lab, text, words):
    path = program(lab, text)
    source(lab, command=str(path))
    a = prompt(lab)
    assert a.code == "no_credential", a.last
    assert words in a.last["message"] and str(path) in a.last["message"] and "lab" in a.last["message"]
    assert "mpc key set lab" in a.last["hint"]
    assert lab.provider.chats == []
    r = lab.mpc("check", "lab")
    assert r.returncode == 4 and words in r.out + r.err
    with lab.rpc() as c:
        assert c.call("key.status")["keys"][0]["code"] == "no_credential"
    # mended: the next call reads it
    program(lab, f"echo {KEY}")
    assert prompt(lab).ok


def test_a_command_that_hangs_is_ended(make_daemon, provider):
    d = make_daemon("--test-timeouts", "700")
    d.add_provider(provider, "lab", key="sk-to-be-replaced-000000000000")
    path = program(d, f"sleep 600 & echo $$ > {d.root}/pid; exec sleep 600")
    source(d, command=str(path))
    t = time.monotonic()
    a = prompt(d)
    assert a.code == "no_credential" and "nothing within" in a.last["message"]
    assert time.monotonic() - t < 6
    group = int((d.root / "pid").read_text())
    deadline = time.monotonic() + 7
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_waits_for_a_command_but_its_calls(lab, make_provider):
    """The loop goes on; calls that need the key at the same time share one run; what it gave is kept."""
    other = make_provider()
    with lab.rpc() as c:
        c.call("provider.add", name="free", base_url=other.url, type="local", dialect="openai-chat", auth_type="none")
    source(lab, command=str(program(lab, f"sleep 1; echo {KEY}")))
    results = []
    threads = [threading.Thread(target=lambda: results.append(prompt(lab))) for _ in range(6)]
    begin = time.monotonic()
    for t in threads:
        t.start()
    time.sleep(0.2)
    with lab.rpc() as c:
        longest = 0
        while time.monotonic() < begin + 0.8:
            t = time.monotonic()
            c.call("sys.ping")
            longest = max(longest, time.monotonic() - t)
            time.sleep(0.01)
    assert longest < 0.25
    assert prompt(lab, "free:m1").ok and results == []
    for t in threads:
        t.join(20)
    assert len(results) == 6 and all(r.ok for r in results)
    assert {bearer(r) for r in lab.provider.chats} == {f"Bearer {KEY}"}
    assert runs(lab) == 1
    assert prompt(lab).ok and runs(lab) == 1


def test_a_call_that_is_given_up_ends_its_command(lab):
    source(lab, command=str(program(lab, f"echo $$ > {lab.root}/pid; exec sleep 600")))
    with lab.rpc() as c:
        s = c.call("prompt.start", text="x", ref="lab:m1")["stream"]
        deadline = time.monotonic() + 10
        while not (lab.root / "pid").exists() or not (lab.root / "pid").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        c.call("prompt.cancel", stream=s)
        pid = int((lab.root / "pid").read_text())
        while os.path.exists(f"/proc/{pid}"):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_refused_key_is_read_again(lab):
    held = lab.root / "held"
    held.write_text(KEY + "\n")
    source(lab, command=f"cat {held}")
    assert prompt(lab).ok
    held.write_text(OTHER + "\n")
    assert prompt(lab).ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
    lab.provider.script(reply(401, {"error": {"message": "no"}}))
    assert prompt(lab).code == "auth_rejected"
    assert prompt(lab).ok and bearer(lab.provider.chats[-1]) == f"Bearer {OTHER}"


def test_what_was_read_is_kept_for_a_while(make_daemon, provider):
    d = make_daemon("--test-timeouts", "1000")
    d.add_provider(provider, "lab", key="sk-to-be-replaced-000000000000")
    source(d, command=str(program(d, f"echo {KEY}")))
    assert prompt(d).ok and prompt(d).ok
    before = runs(d)
    time.sleep(1.3)
    assert prompt(d).ok and runs(d) == before + 1


def test_four_busy_programs_do_not_hold_up_a_key(lab):
    """Commands for keys take no place among the programs that answer, and more than four run at once."""
    with lab.rpc() as c:
        for i in range(6):
            c.call("provider.add", name=f"p{i}", base_url=lab.provider.url, type="local", dialect="openai-chat", auth_type="optional-key")
            c.call("key.set", provider=f"p{i}", source={"command": f"{program(lab, f'sleep 0.5; echo {KEY}')}"})
    begin, results = time.monotonic(), []
    threads = [threading.Thread(target=lambda i=i: results.append(prompt(lab, f"p{i}:m1"))) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert len(results) == 6 and all(r.ok for r in results) and time.monotonic() - begin < 5


# ---- files ----

def test_a_file(lab, tmp_path):
    path = lab.home / "key"
    path.write_bytes(KEY.encode() + b"\r\nmore\n")
    path.chmod(0o600)
    r = lab.mpc("key", "set", "lab", "--file", "key", "--yes", check=0)
    assert f"from the file {path}" in r.out and "ok" in r.out
    assert prompt(lab).ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"


def spoil(path, why):
    if why == "missing":
        path.unlink()
    elif why == "others may read":
        path.chmod(0o640)
    elif why == "link":
        path.rename(path.parent / "real")
        path.symlink_to(path.parent / "real")
    elif why == "folder":
        path.unlink()
        path.mkdir(0o700)
    elif why == "pipe":
        path.unlink()
        os.mkfifo(path, 0o600)
    elif why == "empty":
        path.write_text("")
    elif why == "two words":
        path.write_text("no key")
    elif os.geteuid() == 0:
        os.chown(path, 12345, 12345)


def test_files_that_are_not_trusted(lab):
    whys = ["missing", "others may read", "link", "folder", "pipe", "empty", "two words"] + ["foreign"] * (os.geteuid() == 0)
    for n, why in enumerate(whys):
        path = lab.home / f"key{n}"
        path.write_text(KEY)
        path.chmod(0o600)
        spoil(path, why)
        source(lab, file=str(path))
        a = prompt(lab)
        assert a.code == "no_credential" and str(path) in a.last["message"], (why, a.last)
    assert lab.provider.chats == []


def test_sources_that_are_none(lab):
    refused(lab, file="relative/path")
    for name in ("", "1X", "A-B", "A B", "HOME", "XDG_RUNTIME_DIR", "MODELPD_LOG", "X" * 129):
        refused(lab, env=name)
    for wrong in ({}, {"env": "A", "file": "/b"}, {"socket": "x"}, {"env": 5}, {"command": b"x"}):
        with lab.rpc() as c, pytest.raises(RpcError) as e:
            c.call("key.set", provider="lab", source=wrong)
        assert (e.value.code, e.value.field) == ("invalid_params", "source")
    with lab.rpc() as c:
        for more in ({}, {"secret": KEY, "source": {"env": "A"}}):
            with pytest.raises(RpcError) as e:
                c.call("key.set", provider="lab", **more)
            assert e.value.code == "invalid_params"


@pytest.mark.parametrize("option", ["--env", "--command", "--file"])
def test_F115_a_key_in_place_of_a_source(lab, option):
    r = lab.mpc("key", "set", "lab", option, KEY)
    assert r.returncode == 2 and "never taken from the command line" in r.err and KEY not in r.out + r.err
    r = lab.mpc("key", "set", "lab", option, "X", "--stdin", input=b"")
    assert r.returncode == 2 and "exclude each other" in r.err


# ---- variables ----

@pytest.mark.parametrize("name", ["LAB_API_KEY", "LAB_TOKEN"])
def test_a_variable_of_the_daemon(lab, name):
    r = lab.mpc("key", "set", "lab", "--env", name, "--no-check", "--yes", check=0)
    assert f"was started without {name}" in r.err and "mpc daemon restart" in r.err
    a = prompt(lab)
    assert a.code == "no_credential" and name in a.last["message"] and "daemon restart" in a.last["message"]
    lab.env[name] = KEY
    lab.restart()
    for _ in range(2):
        assert prompt(lab).ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
    assert KEY.encode() not in pathlib.Path(f"/proc/{lab.pid}/environ").read_bytes()
    # set again, under another label, too: it is still known
    for label in ("default", "second"):
        assert "warnings" not in source(lab, label, env=name)
    assert prompt(lab).ok
    # refused, and read again from where it is kept
    lab.provider.script(reply(401, {"error": {"message": "no"}}))
    assert prompt(lab).code == "auth_rejected"
    assert prompt(lab).ok


def test_a_variable_that_is_set_up_while_the_daemon_runs(lab):
    lab.env["LAB_TOKEN"] = KEY
    lab.env["OTHER_API_KEY"] = "sk-nobody-asked-for-this-one-00"
    lab.restart()
    assert "warnings" not in source(lab, env="LAB_TOKEN")
    assert prompt(lab).ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
    assert KEY.encode() not in pathlib.Path(f"/proc/{lab.pid}/environ").read_bytes()
    # keys that nobody named at the start are gone
    assert source(lab, env="OTHER_API_KEY")["warnings"]


# ---- bound like a key ----

def edit(d, sql, *args):
    d.stop()
    db = sqlite3.connect(d.data / "state.db")
    n = db.execute(sql, args).rowcount
    db.commit()
    db.close()
    d.start()
    return n


def test_F106_a_source_edited_in_the_database_is_not_run(lab, make_provider):
    path, thief = program(lab, f"echo {KEY}"), program(lab, f"touch {lab.root}/stolen; echo {KEY}", "thief")
    source(lab, command=str(path))
    good = f"command {path}"
    for bad in (f"command {thief}", f"file {path}", "env HOME", "nonsense", ""):
        assert edit(lab, "UPDATE credentials SET source=?", bad) == 1
        assert prompt(lab).code == "tampered", bad
    edit(lab, "UPDATE credentials SET source=?", good)
    assert prompt(lab).ok
    other = make_provider()
    edit(lab, "UPDATE providers SET base_url=? WHERE name='lab'", other.url)
    assert prompt(lab).code == "tampered"
    edit(lab, "UPDATE credentials SET origin=?", other.url[:-3])
    assert prompt(lab).code == "tampered"
    assert other.requests == [] and not (lab.root / "stolen").exists()


def test_F108_a_source_goes_to_its_origin_only(lab, make_provider):
    thief = make_provider()
    source(lab, command=str(program(lab, f"echo {KEY}")))
    with lab.rpc() as c:
        c.call("provider.update", name="lab", set={"base_url": thief.url})
        a = c.prompt("x", ref="lab:m1")
    assert a.code == "origin" and thief.requests == [] and runs(lab) == 0


def test_a_stored_key_takes_the_place_of_a_source_and_back(lab):
    source(lab, command=str(program(lab, f"echo {KEY}")))
    with lab.rpc() as c:
        assert c.call("key.set", provider="lab", secret=OTHER)["source"] == "stored"
        assert c.prompt("x", ref="lab:m1").ok and bearer(lab.provider.chats[-1]) == f"Bearer {OTHER}"
    source(lab, command=str(program(lab, f"sleep 0.5; echo {KEY}")))
    # replaced while it is read: the call gets the key that is there now, never another's
    done = []
    t = threading.Thread(target=lambda: done.append(prompt(lab)))
    t.start()
    time.sleep(0.2)
    with lab.rpc() as c:
        c.call("key.delete", provider="lab")
    t.join(20)
    assert done[0].code == "no_credential" and KEY not in json.dumps(done[0].events)


def test_a_daemon_that_stops_while_a_command_runs(lab):
    source(lab, command=str(program(lab, "exec sleep 600")))
    with lab.rpc() as c:
        c.call("prompt.start", text="x", ref="lab:m1", detach=True)
        deadline = time.monotonic() + 5
        while runs(lab) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        c.call("sys.shutdown", grace_ms=0)
    assert lab.wait_exit() == 0
    lab.start()


def test_a_lock_while_a_command_runs(lab):
    source(lab, command=str(program(lab, f"sleep 0.6; echo {KEY}")))
    with lab.rpc() as c:
        s = c.call("prompt.start", text="x", ref="lab:m1")["stream"]
        deadline = time.monotonic() + 5
        while runs(lab) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        c.call("vault.lock")
        assert c.collect(s).code == "locked"
        assert lab.provider.chats == []
        c.call("vault.unlock")
        assert c.prompt("x", ref="lab:m1").ok


# ---- several keys of one provider ----

def test_each_label_is_a_key_of_its_own(lab):
    """Set, listed, checked, used by a request and by a switch, and deleted, without touching the others."""
    lab.mpc("key", "set", "lab", "--label", "work", "--stdin", "--no-check", input=KEY.encode(), check=0)
    source(lab, "vault", command=str(program(lab, f"echo {OTHER}")))
    with lab.rpc() as c:
        assert {(k["label"], k["source"]) for k in c.call("key.status", provider="lab")["keys"]} == {
            ("default", "stored"), ("work", "stored"), ("vault", "command")}
        first = "sk-to-be-replaced-000000000000"
        for label, key in (("work", KEY), ("vault", OTHER), ("default", first), (None, first)):
            more = {"label": label} if label else {}
            assert c.prompt("x", ref="lab:m1", **more).ok and bearer(lab.provider.chats[-1]) == f"Bearer {key}"
            assert c.call("provider.check", name="lab", **more)["ok"] and bearer(lab.provider.requests[-1]) == f"Bearer {key}"
        lab.mpc("switch", "lab:m1", "--label", "work", check=0)
        assert c.call("route.get")["active"]["label"] == "work"
        assert c.prompt("x").ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
        lab.mpc("prompt", "-m", "lab:m1", "--label", "vault", "x", check=0)
        assert bearer(lab.provider.chats[-1]) == f"Bearer {OTHER}"
        # a refusal is about that key alone
        lab.provider.script(reply(401, {"error": {"message": "no"}}))
        assert c.prompt("x").code == "auth_rejected"
        codes = {k["label"]: k.get("code") for k in c.call("key.status")["keys"]}
        assert codes == {"default": None, "work": "auth_rejected", "vault": None}
        for more, code in (({"label": "none"}, "no_credential"), ({"label": "session-1"}, "invalid_params")):
            with pytest.raises(RpcError) as e:
                c.call("route.set", ref="lab:m1", **more)
            assert e.value.code == code
            assert c.call("route.get")["active"]["label"] == "work"
        with pytest.raises(RpcError) as e:
            c.call("prompt.start", text="x", label="work")
        assert (e.value.code, e.value.field) == ("invalid_params", "label")
    lab.restart()
    with lab.rpc() as c:
        assert c.prompt("x").ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
        c.call("key.delete", provider="lab", label="work")
        a = c.prompt("x")
        assert a.code == "no_credential" and "--label work" in a.last["hint"]
        c.call("route.set", ref="lab:m1")
        assert c.prompt("x").ok and bearer(lab.provider.chats[-1]) == f"Bearer {first}"
