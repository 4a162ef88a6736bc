"""Databases of earlier schemas, made by the migrations themselves: what the daemon wrote, as an older one held it."""
import contextlib
import os
import re
import sqlite3

SOURCE = os.path.join(os.environ.get("MPD_SOURCE_DIR", "."), "server", "store", "migrations.c")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def migrations():
    """The SQL of each migration, read from the list in migrations.c."""
    text = open(SOURCE).read()
    text = text[text.index("struct migration migrations[]"):]
    text = re.sub(r"/\*.*?\*/", "", text[:text.index("\n};")], flags=re.S)
    found, literals, at = [], [], text.index("{") + 1
    while at < len(text):
        literal = LITERAL.match(text, at)
        if literal:
            literals.append(literal[1].encode().decode("unicode_escape"))
            at = literal.end()
            continue
        if text[at] == "}":
            found.append("".join(literals[1:]))  # the first is its name
            literals = []
        at += 1
    return found


MIGRATIONS = migrations()
EARLIER = range(1, len(MIGRATIONS))


def columns(db, schema, table):
    return [row[1] for row in db.execute(f"PRAGMA {schema}.table_info({table})")]


def make_older(path, version):
    """Rewrites a closed database in an earlier schema, with all rows and columns that schema knows."""
    older = path.with_name("older.db")
    with contextlib.closing(sqlite3.connect(older, isolation_level=None)) as db:
        for sql in MIGRATIONS[:version]:
            db.executescript(sql)
        db.execute("ATTACH ? AS new", (str(path),))
        assert db.execute("PRAGMA new.user_version").fetchone()[0] == len(MIGRATIONS)
        for (table,) in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
            common = ", ".join(set(columns(db, "main", table)) & set(columns(db, "new", table)))
            db.execute(f"DELETE FROM main.{table}")
            db.execute(f"INSERT INTO main.{table} ({common}) SELECT {common} FROM new.{table}")
        application = db.execute("PRAGMA new.application_id").fetchone()[0]
        db.execute(f"PRAGMA main.application_id = {application}")
        db.execute(f"PRAGMA main.user_version = {version}")
    os.chmod(older, 0o600)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    older.replace(path)
