"""Clients that are not ours: stock Neovim and python3-msgpack run the code of PROTOCOL.md section 8."""
import pathlib
import re
import os
import shutil
import subprocess
import time

import pytest

PAGE = pathlib.Path(os.environ.get("MPD_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2])) / "protocol" / "PROTOCOL.md"


def block(language):
    """The first code block of that language in section 8."""
    text = PAGE.read_text().split("## 8.", 1)[1]
    return re.search(rf"```{language}\n(.*?)```", text, re.S)[1]


class Nvim:
    """Headless Neovim, asked from outside through its own server."""

    def __init__(self, d, script):
        self.sock = d.root / "nvim.sock"
        self.env = dict(d.env, VIMRUNTIME="/usr/share/nvim/runtime")
        lua = d.root / "client.lua"
        lua.write_text(script)
        self.p = subprocess.Popen(["nvim", "--headless", "-u", "NONE", "-n", "--listen", str(self.sock), "-c", f"luafile {lua}"],
                                  env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 15
        while not self.sock.exists():
            assert self.p.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)

    def eval(self, expression):
        r = subprocess.run(["nvim", "--server", str(self.sock), "--remote-expr", expression], env=self.env, capture_output=True, text=True,
                           timeout=15)
        return (r.stdout + r.stderr).strip()

    def until(self, expression, wanted, timeout=10):
        deadline = time.monotonic() + timeout
        while True:
            got = self.eval(expression)
            if wanted in got:
                return got
            assert time.monotonic() < deadline, f"{expression}: {got!r}, wanted {wanted!r}"
            time.sleep(0.05)

    def close(self):
        self.p.terminate()
        self.p.wait(10)


@pytest.fixture
def nvim(daemon):
    if not shutil.which("nvim"):
        pytest.fail("nvim is missing: contrib/check.sh installs it")
    made = []

    def start(script):
        made.append(Nvim(daemon, script))
        return made[-1]

    yield start
    for n in made:
        n.close()


def test_the_status_line_of_stock_neovim_follows_a_switch(daemon, nvim):
    n = nvim(block("lua"))
    daemon.mpc("switch", "echo:from-a-terminal", check=0)
    active = "luaeval(\"package.loaded['modelpd'].active\")"
    n.until(active, "echo:from-a-terminal")
    daemon.mpc("switch", "openrouter:claude-sonnet-4", check=0)
    n.until(active, "openrouter:claude-sonnet-4")
    assert "modelpd" in n.eval("luaeval('vim.o.statusline')")
    assert "claude-sonnet-4" in n.eval("luaeval('vim.api.nvim_eval_statusline(vim.o.statusline, {}).str')")


def test_neovim_prompts_switches_and_sees_errors(daemon, nvim):
    n = nvim(block("lua") + """
_G.ch = ch
_G.text = function() return package.loaded['modelpd'].text end
_G.bad = function() return tostring(select(2, pcall(vim.fn.rpcrequest, ch, "route.set", { ref = "no-such-model" }))) end
""")
    n.eval("luaeval(\"vim.rpcrequest(_G.ch, 'prompt.start', { text = 'hello from neovim' }).stream\")")
    n.until("luaeval(\"_G.text()\")", "hello from neovim")
    n.eval("luaeval(\"vim.rpcrequest(_G.ch, 'route.set', { ref = 'echo:by-nvim' }).active.ref\")")
    assert "echo:by-nvim" in daemon.mpc("which", check=0).out
    assert "not_found: " in n.eval("luaeval(\"_G.bad()\")")


def test_2000_deltas_arrive_in_neovim(daemon, provider, nvim):
    from harness.provider import stream
    provider.default = stream(*["x"] * 2000)
    ref = daemon.add_provider(provider)
    n = nvim(block("lua") + "_G.ch = ch\n")
    n.eval(f"luaeval(\"vim.rpcrequest(_G.ch, 'prompt.start', {{ text = 'go', ref = '{ref}' }}).stream\")")
    n.until("luaeval(\"#package.loaded['modelpd'].text\")", "2000")


def test_the_python_client_of_the_page(daemon):
    script = block("python") + """
m = Modelpd()
assert m.call("sys.ping")["now_ms"] > 0
m.call("state.subscribe", topics=["route"], snapshot=False)
m.call("route.set", ref="echo:py")
assert m.event()[1]["value"]["ref"] == "echo:py"
s = m.call("prompt.start", text="hello")["stream"]
text = ""
while True:
    name, e = m.event()
    if e["type"] == "delta": text += e["text"]
    if e["type"] == "done": break
print(text)
"""
    r = subprocess.run(["/usr/bin/python3", "-c", script], env=daemon.env, capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stderr
    assert "hello" in r.stdout
