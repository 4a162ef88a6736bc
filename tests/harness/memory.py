"""Looks through all the memory of a process, as only root may: F113."""
import re

STEP = 1 << 20
PIECE = 16  # a copy whose beginning was overwritten is still one


def mappings(pid):
    for line in open(f"/proc/{pid}/maps"):
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
        yield int(m[1], 16), int(m[2], 16), m[3], m[4]


def pieces(secret):
    """Its parts of PIECE bytes, without what every key begins with."""
    b = secret.encode() if isinstance(secret, str) else secret
    b = b[len(b) % PIECE:]
    return {b[i:i + PIECE] for i in range(0, len(b), PIECE)}


def copies(pid, secret):
    """Where parts of a secret lie: (address, mapping), a copy counts as often as it has parts."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for begin, end, access, name in mappings(pid):
            tail, at = b"", begin
            while at < end:
                try:
                    mem.seek(at)
                    data = mem.read(min(STEP, end - at))
                except (OSError, ValueError, OverflowError):
                    break
                if not data:
                    break
                block = tail + data
                for piece in pieces(secret):
                    found += [(hex(at - len(tail) + m.start()), access, name) for m in re.finditer(re.escape(piece), block)]
                tail = block[-(PIECE - 1):]
                at += len(data)
    return found
