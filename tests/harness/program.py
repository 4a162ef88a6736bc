"""Scripted `claude` programs: the provider that is a child process."""
import json
import pathlib
import time

INIT = '{"type":"system","subtype":"init","apiKeySource":"none","model":"claude-sonnet-5-5"}'
DONE = '{"type":"result","subtype":"success","is_error":false,"result":"ok","stop_reason":"end_turn"}'


def said(text):
    return json.dumps({"type": "assistant", "message": {"id": "msg_1", "model": "claude-sonnet-5-5",
                                                         "content": [{"type": "text", "text": text}]}})


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class Fake:
    """A `claude` in a private folder. `pids` of its processes are written down by the scripts."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.folder = daemon.root / "bin"
        self.folder.mkdir(mode=0o755)
        self.path = self.folder / "claude"
        self.notes = daemon.root / "notes"
        self.notes.mkdir()

    def sh(self, body):
        self.path.write_text(f"#!/bin/sh\nN={self.notes}\necho $$ >> $N/pids\n{body}\n")
        self.path.chmod(0o700)
        return self

    def py(self, body):
        self.path.write_text("#!/usr/bin/python3 -I\nimport json, os, signal, sys, time\n"
                             f"N = {str(self.notes)!r}\n"
                             "open(N + '/pids', 'a').write(f'{os.getpid()}\\n')\n"
                             "def out(*lines):\n"
                             "    for line in lines:\n"
                             "        sys.stdout.write(line + '\\n')\n"
                             "    sys.stdout.flush()\n"
                             f"INIT = {INIT!r}\nDONE = {DONE!r}\n" + body + "\n")
        self.path.chmod(0o700)
        return self

    def talks(self, body="answer(f'answer {turn} to {text}')"):
        """Answers turn after turn; `asked` notes who was asked what. body has turn, text, and these functions."""
        return self.py("def answer(text, result=None):\n"
                       "    out(INIT, json.dumps({'type': 'assistant', 'message': {'id': f'm{turn}', 'content':\n"
                       "        [{'type': 'text', 'text': text}]}}), json.dumps({'type': 'result', 'subtype': 'success',\n"
                       "        'is_error': False, 'stop_reason': 'end_turn', 'result': text if result is None else result,\n"
                       "        'total_cost_usd': turn * 0.25, 'usage': {'input_tokens': 10 * turn, 'output_tokens': turn}}))\n"
                       "turn = 0\n"
                       "for line in sys.stdin:\n"
                       "    turn += 1\n"
                       "    text = ''.join(b.get('text', '') for b in json.loads(line)['message']['content'])\n"
                       "    with open(N + '/asked', 'a') as f:\n"
                       "        f.write(json.dumps({'pid': os.getpid(), 'turn': turn, 'text': text}) + '\\n')\n" +
                       "".join(f"    {line}\n" for line in body.splitlines()))

    def asked(self):
        """Each turn that a program of `talks` was asked: pid, turn, text."""
        return [json.loads(line) for line in self.note("asked").splitlines()]

    def answers(self, *lines, end=""):
        """Reads a line of input, writes these lines, and ends."""
        self.notes.joinpath("lines").write_text("".join(line + "\n" for line in lines))
        return self.sh(f"head -n 1 > $N/stdin\ncat $N/lines\n{end}")

    def use(self):
        self.daemon.mpc("provider", "set", "claude-max", f"program={self.path}", "enabled=true", check=0)
        return self

    def note(self, name):
        return (self.notes / name).read_bytes()

    def pids(self):
        f = self.notes / "pids"
        return [int(p) for p in f.read_text().split()] if f.exists() else []

    def gone_within(self, seconds):
        deadline = time.monotonic() + seconds
        while any(alive(p) for p in self.pids()):
            assert time.monotonic() < deadline, f"still there: {[p for p in self.pids() if alive(p)]}"
            time.sleep(0.02)
        assert self.pids()
