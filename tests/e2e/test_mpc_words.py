"""mpc as a stranger meets it: counts and times in the right words, hints that work when they are typed, help that fits."""
import json
import re
import subprocess

import pytest

from harness.daemon import BIN

COMMANDS = ("status", "prompt", "switch", "list", "add", "key", "which", "providers", "check", "watch", "remove", "nick", "provider", "daemon",
            "doctor", "rpc", "help")


def listing(*ids):
    return {"object": "list", "data": [{"id": i, "object": "model"} for i in ids]}


def test_both_names_print_the_same_version(home):
    lines = {subprocess.run([BIN / name, "--version"], capture_output=True, text=True, check=True).stdout for name in ("mpc", "modelpc")}
    assert lines == {"mpc (model provider client) 0.1.0, protocol 1.0\n"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_80_columns(home, command):
    out = home.mpc(command, "--help", check=0).out
    assert [line for line in out.splitlines() if len(line) > 80] == []
    examples = re.search(r"\nExamples\n((?:  .*\n)+)", out)
    assert examples is None or all("mpc " in line for line in examples[1].splitlines())


def test_help_lists_every_command(home):
    out = home.mpc("--help", check=0).out
    assert [c for c in COMMANDS if not re.search(rf"\b{c}\b", out)] == []
    assert "mpc p," in out


def test_counts_are_singular_and_plural(daemon, provider):
    provider.models = listing("m1")
    ref = daemon.add_provider(provider)
    out = daemon.mpc("check", ref.split(":")[0], check=0).out
    assert "1 model" in out and "1 models" not in out
    out = daemon.mpc("switch", "echo:a", check=0).out
    assert "told" not in out, "nobody listened"
    with daemon.rpc() as c:
        c.call("state.subscribe", topics=["route"])
        assert "1 client told." in daemon.mpc("switch", "echo:b", check=0).out


def test_times_read_as_they_were_given(daemon):
    daemon.mpc("switch", "echo:a", "--for", "2h", check=0)
    assert "2 h left" in daemon.mpc("status", check=0).out
    daemon.mpc("switch", "echo:b", check=0)
    assert "chosen everywhere, just now" in daemon.mpc("status", check=0).out
    assert "(was echo:b)" in daemon.mpc("switch", "echo:c", check=0).out


def test_the_own_scope_is_said_once(daemon):
    daemon.mpc("switch", "echo:a", "--scope", "work", check=0)
    out = daemon.mpc("status", env={"MODELPD_SCOPE": "work"}, check=0).out
    assert out.count("echo:a") == 1, out
    assert daemon.mpc("status", check=0).out.count("echo:a") == 1, "the scope of somebody else is listed"


def test_a_provider_in_use_names_the_flag_that_removes_it(daemon, provider):
    daemon.mpc("switch", daemon.add_provider(provider), check=0)
    r = daemon.mpc("provider", "remove", "scripted", "--yes", check=9)
    assert "mpc provider remove scripted --cascade" in r.err
    daemon.mpc("provider", "remove", "scripted", "--cascade", "--yes", check=0)


def test_provider_verbs_say_what_is_true_now(daemon):
    assert daemon.mpc("provider", "disable", "openai", check=0).out == "Disabled openai.\n"
    assert daemon.mpc("provider", "remove", "openai", "--yes", check=0).out == "Back as shipped: openai.\n"
    daemon.mpc("provider", "add", "lab", "--url", "http://127.0.0.1:9/v1", check=0)
    assert daemon.mpc("provider", "remove", "lab", "--yes", check=0).out == "Removed lab.\n"


def test_a_server_that_is_not_there_is_named_once(daemon):
    daemon.mpc("provider", "add", "lab", "--url", "http://127.0.0.1:9/v1", check=0)
    r = daemon.mpc("check", "lab", check=6)
    assert r.out.splitlines()[0].endswith("lab  nothing listens at http://127.0.0.1:9")
    assert "mpc provider set lab url=URL" in r.out and all(len(line) <= 80 for line in r.out.splitlines())
    row = next(line for line in daemon.mpc("providers", check=0).out.splitlines() if " lab " in line)
    assert row.endswith("error: nothing listens at http://127.0.0.1:9")
    daemon.mpc("provider", "set", "lab", "url=http://127.0.0.1:8/v1", check=0)


def test_detect_names_a_model_to_switch_to(daemon, provider):
    provider.models = listing("tiny.gguf", "other")
    daemon.mpc("provider", "set", "llamacpp", f"url={provider.url}", check=0)
    row = daemon.mpc("provider", "detect", "--plain", check=0).out.splitlines()[0].split("\t")
    assert row == ["llamacpp", provider.url, "2", "llamacpp:tiny.gguf"]
    assert "llamacpp:tiny.gguf" in daemon.mpc("switch", row[3], check=0).out


def test_nicknames_that_are_none(daemon):
    r = daemon.mpc("nick", "--delete", "nobody", check=3)
    assert 'there is no nickname "nobody"' in r.err
    r = daemon.mpc("nick", "echo:a", "Not A Name", check=2)
    assert "a nickname is 1 to 64" in r.err and "why:" not in r.err


def test_who_says_no_is_told_that_nothing_changed(daemon):
    daemon.mpc("add", "echo", "x", check=0)
    t = daemon.mpc_tty("remove", "echo:x")
    t.expect("[y/N]")
    t.type("n\n")
    assert t.wait() == 2 and b"nothing was changed" in t.output
    assert "echo:x" in daemon.mpc("list", check=0).out


def test_files_that_cannot_be_read_are_usage_errors(daemon, tmp_path):
    for bad in ("/nonexistent", str(tmp_path)):
        r = daemon.mpc("prompt", "-f", bad, "hi", check=2)
        assert bad in r.err and r.out == ""


@pytest.mark.parametrize("args", [("--json", "frob"), ("frob", "--json"), ("switch", "--frob", "--json"), ("--json", "toggle"), ("--json",)])
def test_errors_of_the_command_line_are_json_too(home, args):
    r = home.mpc(*args)
    error = json.loads(r.err)["error"]
    assert r.returncode in (2, 5) and r.out == "" and error["code"] and error["message"]


def test_daemon_status_for_scripts(daemon):
    fields = daemon.mpc("daemon", "status", "--plain", check=0).out.rstrip("\n").split("\t")
    version, pid, uptime, clients, path, streams = fields
    assert version == "0.1.0" and int(pid) == daemon.pid and int(uptime) >= 0 and int(clients) == 1
    assert path == str(daemon.socket) and streams == "0"
