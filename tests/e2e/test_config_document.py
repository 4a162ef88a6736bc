"""The configuration as one document: mpc config show, export, check, apply, edit."""
import json
import os
import pathlib
import signal
import sqlite3
import stat
import threading
import time

import pytest
from harness.daemon import figure
from harness.rpc import RpcError

LAB = """version: 1
settings:
  session_duration: 45m
providers:
  lab:
    type: local
    dialect: openai-chat
    base_url: http://127.0.0.1:9/v1
    auth_type: optional-key
  openrouter:
    enabled: false
models:
  - lab:m1
nicknames:
  fast: lab:m1
chains: {}
budgets: []
prices: {}
"""


def export(daemon, comments=True):
    with daemon.rpc() as c:
        return c.call("config.export", comments=comments)["text"]


def active(daemon):
    return json.loads(daemon.mpc("which", "--json", check=0).out)["active"]["ref"]


def write(daemon, text, name="c.yaml"):
    path = daemon.home / name
    path.write_text(text)
    return name


def apply(daemon, text, *args, **kw):
    return daemon.mpc("config", "apply", write(daemon, text), *args, **kw)


# ---- show, export, check, apply ----

def test_a_document_goes_in_and_comes_out(daemon):
    said = apply(daemon, LAB, check=0)
    assert "+ settings.session_duration: 45m\n" in said.out and "+ nicknames.fast: lab:m1\n" in said.out
    assert "Applied: 8 changes." in said.out
    assert daemon.mpc("config", "show", check=0).out == LAB
    assert daemon.mpc("config", "show", "models", "nicknames", check=0).out == "models:\n  - lab:m1\nnicknames:\n  fast: lab:m1\n"
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "45m\n"
    assert "lab:m1" in daemon.mpc("list", check=0).out
    text = daemon.mpc("config", "export", check=0).out
    assert text.startswith("# ") and "\n  #lock_idle: 4h\n" in text
    assert "nothing was changed" in apply(daemon, text, check=0).out
    # JSON is taken as well, from stdin, too
    as_json = json.dumps({"version": 1, "settings": {"session_duration": "1h"}})
    assert "- providers.lab.type: local" in daemon.mpc("config", "check", "-", input=as_json.encode(), check=0).out
    assert export(daemon, False) == LAB
    daemon.mpc("config", "apply", "-", input=as_json.encode(), check=0)
    assert "session_duration: 1h" in daemon.mpc("config", "show", check=0).out
    # the one before was kept
    undo = daemon.home / ".local/state/modelpd/config-previous.yaml"
    assert stat.S_IMODE(undo.stat().st_mode) == 0o600
    daemon.mpc("config", "apply", undo, check=0)
    assert export(daemon, False) == LAB


def test_exports_survive_a_restart_byte_for_byte(daemon):
    apply(daemon, LAB, check=0)
    before = export(daemon)
    daemon.kill()
    daemon.start()
    assert export(daemon) == before


def test_forms_for_scripts(daemon):
    checked = daemon.mpc("config", "check", write(daemon, LAB), "--json", check=0)
    found = json.loads(checked.out)
    assert found["ok"] and {"op": "add", "path": ["nicknames", "fast"], "after": "lab:m1",
                            "text": "+ nicknames.fast: lab:m1"} in found["diff"]
    done = json.loads(apply(daemon, LAB, "--json", check=0).out)
    assert done["changed"] is True and done["losses"] == [] and len(done["diff"]) == 8
    assert json.loads(apply(daemon, LAB, "--json", check=0).out)["changed"] is False
    bad = daemon.mpc("config", "check", write(daemon, "version: 1\nx: 1\n"), "--json", check=2)
    assert json.loads(bad.out)["problems"] == [{"line": 2, "col": 1, "message": "unknown key \"x\""}]
    r = apply(daemon, "version: 1\nx: 1\n", "--json", check=2)
    assert json.loads(r.err.splitlines()[-1])["error"]["code"] == "invalid_params"


def contents(daemon):
    """Every row of the database."""
    daemon.stop()
    db = sqlite3.connect(daemon.data / "state.db")
    rows = {t: db.execute(f"SELECT * FROM {t}").fetchall() for (t,) in db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    db.close()
    daemon.start()
    return rows


def test_F36_a_refused_document_changes_nothing(daemon):
    """Bad configuration keeps the old one; a reload does not look at documents at all."""
    apply(daemon, LAB, check=0)
    daemon.mpc("switch", "lab:m1", check=0)
    before, rows = export(daemon), contents(daemon)
    r = apply(daemon, LAB.replace("45m", "2h").replace("lab:m1\nnick", "nope:m1\nnick") + "more: 1\n", check=2)
    assert "c.yaml:13:5: there is no provider \"nope\"" in r.err
    assert "c.yaml:19:1: unknown key \"more\"" in r.err
    assert "c.yaml has 2 problems; nothing was changed" in r.err
    for text in ("", "version: 1\n- x\n", "version: 7\n", "{\"version\": 1,}", "a: &x 1\nb: *x\n", "version: 1\nversion: 1\n",
                 "version: 1\nproviders: {lab: {base_url: 'http://far.example/v1'}}\n"):
        assert apply(daemon, text, check=2).err.startswith("c.yaml:")
    daemon.mpc("config", "apply", "missing.yaml", check=2)
    (daemon.home / "big.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    assert "at most 1024 KiB" in daemon.mpc("config", "apply", "big.yaml").err
    daemon.signal(signal.SIGHUP)
    daemon.mpc("daemon", "reload", check=0)
    assert export(daemon) == before
    assert contents(daemon) == rows


def test_a_provider_in_use_goes_only_with_consent(daemon):
    apply(daemon, LAB, check=0)
    daemon.mpc("key", "set", "lab", "--stdin", "--no-check", input=b"canary-key-0123456789-abcdef\n", check=0)
    daemon.mpc("switch", "lab:m1", check=0)
    assert "canary" not in export(daemon)
    r = apply(daemon, "version: 1\n", check=2)
    assert "warning: provider lab goes, and with it a live choice, a stored key" in r.err and "--yes" in r.err
    assert active(daemon) == "lab:m1"
    assert "lab" in daemon.mpc("key", "list", "--plain", check=0).out
    with daemon.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("config.apply", text="version: 1\n")
        assert e.value.code == "conflict" and e.value.data["losses"]
    # what does not remove it asks for nothing, and leaves choice and key alone
    apply(daemon, LAB.replace("45m", "50m").replace("127.0.0.1:9", "127.0.0.1:10"), check=0)
    assert active(daemon) == "lab:m1"
    apply(daemon, "version: 1\n", "--cascade", check=0)
    assert daemon.mpc("key", "list", "--plain", check=0).out == ""
    assert active(daemon) == "echo:echo"


def test_if_rev_and_events(daemon):
    with daemon.rpc() as c, daemon.rpc() as watcher:
        watcher.call("state.subscribe", topics=["providers", "models", "settings"])
        rev = c.call("config.export")["rev"]
        done = c.call("config.apply", text=LAB, if_rev=rev)
        heard = [watcher.event() for _ in range(4)]
        assert {e["rev"] for e in heard} == {done["rev"]}  # one transaction, one revision
        assert {e["topic"] for e in heard} == {"providers", "models", "settings"}
        assert heard[0]["cause"]["method"] == "config.apply"
        with pytest.raises(RpcError) as e:
            c.call("config.apply", text="version: 1\n", if_rev=rev)
        assert e.value.code == "precondition_failed"
        now = c.call("config.export")["rev"]
        assert e.value.data["rev"] == now == done["rev"]
        # what is no configuration does not count: a switch, a refused document, a check, the same again
        c.call("route.set", ref="lab:m1")
        assert not c.call("config.check", text="version: 9\n")["ok"]
        assert c.call("config.check", text="version: 1\n")["diff"]
        assert c.call("config.apply", text=LAB)["changed"] is False
        assert c.call("config.export")["rev"] == now
        assert c.call("config.apply", text=LAB, if_rev=now)["changed"] is False
    daemon.restart()
    with daemon.rpc() as c:
        assert c.call("config.export")["rev"] == now


def test_export_is_asked_for_sections_by_name(daemon):
    with daemon.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("config.export", sections=["provider"])
        assert e.value.field == "sections" and e.value.data["candidates"] == ["providers"]
        for odd in ("", "a b", "settings\n"):
            with pytest.raises(RpcError):
                c.call("config.export", sections=[odd])


def test_apply_is_all_or_nothing_under_kill_9(daemon, rng):
    """The state after kill -9 is the one document or the other, never a mix."""
    def document(word, n):
        return ("version: 1\nsettings:\n  lock_idle: %s\nproviders:\n" % ("1h" if word == "a" else "2h") +
                "".join(f"  {word}{i:03}:\n    type: local\n    dialect: echo\n    auth_type: none\n" for i in range(n)) +
                "models:\n" + "".join(f"  - {word}{i:03}:m\n" for i in range(n)) +
                "nicknames:\n" + "".join(f"  n{i:03}: {word}{i:03}:m\n" for i in range(n)) + "chains: {}\nbudgets: []\nprices: {}\n")
    texts = [document("a", 60), document("b", 40)]
    apply(daemon, texts[0], check=0)
    begun = time.monotonic()
    with daemon.rpc() as c:
        c.call("config.apply", text=texts[1])
    usual, seen, rounds = time.monotonic() - begun, set(), figure(25, 12)
    for i in range(4 * rounds):
        if i >= rounds and len(seen) >= 3:
            break
        with daemon.rpc() as c:
            c.send("config.apply", {"text": texts[i % 2]})
            time.sleep(rng.uniform(0, 1.3 * usual))
        daemon.kill()
        daemon.start()
        now = export(daemon, False)
        assert now in texts, now[:400]
        seen.add((i % 2, texts.index(now)))
        # a machine that is busy only now and then: the kill comes about where the change is made
        usual *= 0.85 if now == texts[i % 2] else 1.2
    assert len(seen) >= 3, f"the kills came too early or too late: {seen}"


def test_the_manual_is_true(daemon):
    """Its example is a document, and every setting and every member of a provider stands there."""
    page = (pathlib.Path(os.environ["MPD_SOURCE_DIR"]) / "contrib/man/modelpd-config.5.scd").read_text()
    example = page.split("```\n")[1]
    apply(daemon, example, check=0)
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "45m\n"
    with daemon.rpc() as c:
        for s in c.call("settings.get")["settings"]:
            line = [x for x in page.splitlines() if x.startswith(f"*{s['name']}* (")]
            assert line and f"default {s['default']}" in line[0] and s["range"].split(",")[0] in line[0], s["name"]
        everything = c.call("config.check", text="version: 1\nproviders: {lab: {nothing: 1}}\n")
        assert everything["problems"]
    members = ("type dialect base_url auth_type enabled models display_name key_env login_command health_check ca_file "
               "proxy program features rate_limits auto_detect key_sharing built_in").split()
    for m in members:
        assert f"*{m}*" in page, m


# ---- edit ----

def editor(daemon, body, name="editor"):
    """A program that edits: its body has the file in $1."""
    path = daemon.home / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return {"VISUAL": None, "EDITOR": str(path), "TMPDIR": str(tmp(daemon))}


def tmp(daemon):
    path = daemon.root / "tmp"
    path.mkdir(exist_ok=True)
    return path


def kept(daemon):
    """What lies in the private folders that are left."""
    return {p.name: p.read_text() for p in tmp(daemon).glob("modelpc-edit-*/*")}


def test_edit_changes_what_was_changed(daemon):
    env = editor(daemon, 'stat -c "%a" "$1" "$(dirname "$1")" >"$HOME/modes"\n'
                         'sed -i "s/#session_duration: 30m/session_duration: 1h/" "$1"')
    r = daemon.mpc("config", "edit", "--yes", env=env, check=0)
    assert "+ settings.session_duration: 1h" in r.out and "Applied: 1 change." in r.out
    assert (daemon.home / "modes").read_text() == "600\n700\n"
    assert daemon.mpc("config", "get", "session_duration").out == "1h\n"
    assert kept(daemon) == {}
    # words of the variable are the shell's; VISUAL comes first
    env = {"VISUAL": "sed -i s/1h/2h/", "EDITOR": "false", "TMPDIR": str(tmp(daemon))}
    daemon.mpc("config", "edit", "-y", env=env, check=0)
    assert daemon.mpc("config", "get", "session_duration").out == "2h\n"


@pytest.mark.parametrize("body, code, words, keeps", [
    ("true", 0, "nothing was changed", False),
    (": >\"$1\"", 2, "empty", False),
    ("exit 3", 1, "ended with status 3", False),
    ("echo '# typed' >>\"$1\"; exit 3", 1, "ended with status 3", True),
    ("echo '# typed' >>\"$1\"; kill -9 $$", 1, "status 137", True),
    ("echo '# typed' >>\"$1\"", 0, "says what is so already", False),
    ("echo 'more: 1 # typed' >>\"$1\"", 2, "unknown key \"more\"", True),
    ("echo '\ttyped' >>\"$1\"", 2, "config.yaml:", True),
    ("rm \"$1\"", 2, "cannot open", False),
    ("echo 'version: 1 # typed' >\"$1.new\"; mv \"$1.new\" \"$1\"; touch \"$1~\"", 0, "Applied", False),
])
def test_edit_loses_nothing(daemon, body, code, words, keeps):
    apply(daemon, LAB, check=0)
    before = export(daemon)
    r = daemon.mpc("config", "edit", "--yes", env=editor(daemon, body), check=code)
    assert words in r.err + r.out
    assert any("typed" in t for t in kept(daemon).values()) == keeps
    if keeps:
        assert "your text is in " in r.err
        path = [line for line in r.err.splitlines() if "your text is in" in line][0].split(" in ")[1].split()[0]
        assert "typed" in pathlib.Path(path).read_text()
    if "Applied" not in words:
        assert export(daemon) == before


def test_edit_without_a_terminal_asks_for_yes(daemon):
    r = daemon.mpc("config", "edit", env=editor(daemon, "sed -i 's/#lock_idle: 4h/lock_idle: 1h/' \"$1\""), check=1)
    assert "+ settings.lock_idle: 1h" in r.out and "--yes" in r.err
    assert "lock_idle: 1h" in kept(daemon)["config.yaml"]
    assert daemon.mpc("config", "get", "lock_idle").out == "4h\n"


def test_edit_again_after_a_mistake(daemon):
    env = editor(daemon, 'if [ -e "$HOME/second" ]; then sed -i s/lock_idel/lock_idle/ "$1"\n'
                         'else touch "$HOME/second"; sed -i "s/#lock_idle: 4h/lock_idel: 1h/" "$1"; fi')
    t = daemon.mpc_tty("config", "edit", env=env)
    t.expect("did you mean lock_idle?")
    t.expect("Edit it again? [Y/n]")
    t.type("\n")
    t.expect("settings.lock_idle: 1h")
    t.expect("Apply this? [y/N/e(dit again)]")
    t.type("y\n")
    assert t.wait() == 0
    assert daemon.mpc("config", "get", "lock_idle").out == "1h\n"
    assert kept(daemon) == {}


def test_edit_says_no_and_keeps(daemon):
    env = editor(daemon, "sed -i 's/#lock_idle: 4h/lock_idle: 1h/' \"$1\"")
    t = daemon.mpc_tty("config", "edit", env=env)
    t.expect("[y/N/e(dit again)]")
    t.type("\n")
    assert t.wait() == 1
    assert "lock_idle: 1h" in kept(daemon)["config.yaml"] and b"your text is in" in t.output
    assert daemon.mpc("config", "get", "lock_idle").out == "4h\n"


def test_edit_notices_who_was_faster(daemon):
    env = editor(daemon, "sed -i 's/#lock_idle: 4h/lock_idle: 1h/' \"$1\"")
    t = daemon.mpc_tty("config", "edit", env=env)
    t.expect("Apply this?")
    daemon.mpc("config", "set", "session_duration", "2h", check=0)
    t.type("y\n")
    t.expect("changed meanwhile")
    t.expect("- settings.session_duration: 2h")  # what the text would take back now
    assert "session_duration: 2h" in kept(daemon)["config-now.yaml"]
    t.expect("Apply this?")
    # merged by hand
    (daemon.home / "editor").write_text('#!/bin/sh\nsed -i "s/#session_duration: 30m/session_duration: 2h/" "$1"\n')
    t.forget()
    t.type("e\n")
    t.expect("settings.lock_idle: 1h")
    t.expect("Apply this?")
    assert b"session_duration" not in t.output
    t.type("y\n")
    assert t.wait() == 0
    assert daemon.mpc("config", "get", "session_duration").out == "2h\n"
    assert daemon.mpc("config", "get", "lock_idle").out == "1h\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_edit_interrupted_at_the_question_keeps_the_text(daemon, number):
    env = editor(daemon, "sed -i 's/#lock_idle: 4h/lock_idle: 1h/' \"$1\"")
    t = daemon.mpc_tty("config", "edit", env=env)
    t.expect("Apply this?")
    os.kill(t.pid, number)
    assert t.wait() == 128 + number
    assert b"your text is in" in t.output
    assert "lock_idle: 1h" in kept(daemon)["config.yaml"]


def test_ctrl_c_in_the_editor_is_the_editors(daemon):
    env = editor(daemon, "trap 'sed -i \"s/#lock_idle: 4h/lock_idle: 1h/\" \"$1\"; exit 0' INT\necho waiting\n"
                         "while :; do sleep 0.05; done")
    t = daemon.mpc_tty("config", "edit", env=env)
    t.expect("waiting")
    t.type("\x03")
    t.expect("Apply this?")
    t.type("n\n")
    assert t.wait() == 1


def test_edit_when_the_daemon_dies_meanwhile(daemon):
    env = editor(daemon, "sed -i 's/#lock_idle: 4h/lock_idle: 1h/' \"$1\"")
    t = daemon.mpc_tty("config", "edit", env=env)
    t.expect("Apply this?")
    daemon.kill()
    t.type("y\n")
    assert t.wait() not in (0, 130)
    assert "lock_idle: 1h" in kept(daemon)["config.yaml"] and b"your text is in" in t.output
    daemon.start()


def test_many_at_once_are_serialised(daemon):
    """Two documents applied again and again by several clients: the state is always one of them."""
    texts = [LAB, LAB.replace("lab", "lob").replace("45m", "50m")]
    apply(daemon, LAB, check=0)

    def work(text):
        with daemon.rpc() as c:
            for _ in range(20):
                c.call("config.apply", text=text)

    threads = [threading.Thread(target=work, args=(texts[i % 2],)) for i in range(4)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        assert export(daemon, False) in texts
    for t in threads:
        t.join()
