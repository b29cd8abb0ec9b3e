"""How long SQLite takes to load rows that are in memory already: `python bare_load.py FROM TO`; prints seconds.

The tables and indexes are those of FROM, and so is the order of the rows: by their keys, the best there is.
"""

import sqlite3
import sys
import time


def main(source: str, target: str) -> None:
    db = sqlite3.connect(source)
    schema = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")]
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
    rows = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    db.close()
    start = time.perf_counter()
    db = sqlite3.connect(target)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    for sql in schema:
        db.execute(sql)
    for name, held in rows.items():
        if held:
            with db:
                db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(held[0]))})", held)
    db.close()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
