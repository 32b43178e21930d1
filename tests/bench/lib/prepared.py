"""Archives that hold so many memories already: made once by the archive's own import, then copied for each who writes."""
import hashlib
import os
import re
import sqlite3
import subprocess
import sys

from bench import ROOT
from frame import Failed, say

sys.path.append(os.path.join(ROOT, "tests", "kit"))  # behind our own tribe.py

SEED = 7  # no turn has it
COUNTS = ["SELECT count(*) FROM thermal_memory_archive", "SELECT count(*) FROM requests"]


def label(n):
    """10000 -> 10k, 1000000 -> 1m."""
    for size, mark in ((1000000, "m"), (1000, "k")):
        if n >= size and n % size == 0:
            return "%d%s" % (n // size, mark)
    return str(n)


def run(argv, timeout=900):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Failed("%s: %s" % (os.path.basename(argv[0]), done.stderr.strip()[-400:]))
    return done.stdout


def settle(path):
    """On disk, so that nobody's fsync has to write it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class SqliteArchives:
    """program: bench-archive. They stay in `where` for the next run of the same program; what another one made goes."""
    name = "sqlite"

    def __init__(self, program, where):
        self.program, self.dir = program, where
        os.makedirs(where, exist_ok=True)
        with open(program, "rb") as f:
            self.mark = hashlib.sha256(f.read()).hexdigest()[:12]
        for name in os.listdir(where):
            if re.fullmatch(r"[0-9a-f]{12}-\d+\.sqlite.*", name) and not name.startswith(self.mark):
                os.unlink(os.path.join(where, name))

    def base(self, n):
        path = os.path.join(self.dir, "%s-%d.sqlite" % (self.mark, n))
        if not os.path.exists(path):
            say("an archive of %d memories" % n)
            making = "%s.%d" % (path, os.getpid())
            try:
                run([self.program, "sqlite:" + making, "import", str(n), str(SEED)])
                settle(making)
                os.rename(making, path)
            finally:
                remove(making)
        return path

    def copy(self, n, to):
        """The name is argv[1] of bench-archive without its scheme, or of bench-store."""
        remove(to)
        run(["cp", "--reflink=auto", self.base(n), to])
        settle(to)
        return to

    def count(self, where):
        """[memories, requests]"""
        db = sqlite3.connect("file:%s?mode=ro" % where, uri=True)
        try:
            return [db.execute(sql).fetchone()[0] for sql in COUNTS]
        finally:
            db.close()


def remove(path):
    for end in ("", "-wal", "-shm"):
        try:
            os.unlink(path + end)
        except FileNotFoundError:
            pass


class PostgresArchives:
    """Databases of one private cluster (tests/kit/postgres.py), fsync on, without autovacuum: it would come in some turns and not
    in others. with PostgresArchives(program) as archives: ..."""
    name = "postgres"
    SETTINGS = ["shared_buffers=256MB", "max_wal_size=4GB", "autovacuum=off", "checkpoint_timeout=1h"]

    def __init__(self, program):
        from postgres import Postgres  # not everybody has it installed
        self.program, self.pg, self.made = program, Postgres(settings=self.SETTINGS), set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pg.close()

    def base(self, n):
        name = "base_%d" % n
        if n not in self.made:
            say("a PostgreSQL archive of %d memories" % n)
            self.pg.create(name)
            run([self.program, "postgresql:" + self.pg.conninfo(name), "import", str(n), str(SEED)])
            self.pg.sql("VACUUM ANALYZE", name)
            self.made.add(n)
        return name

    def copy(self, n, to):
        """Its connection string."""
        base = self.base(n)
        self.pg.drop(to)
        self.pg.sql('CREATE DATABASE "%s" TEMPLATE "%s" STRATEGY file_copy' % (to, base))
        self.pg.sql("CHECKPOINT")
        return self.pg.conninfo(to)

    def count(self, where):
        """where: what copy() gave."""
        name = re.search(r"dbname='(\w+)'", where).group(1)
        return [int(self.pg.sql(sql, name)) for sql in COUNTS]

    def drop_base(self, n):
        if n in self.made:
            self.pg.drop(self.base(n))
            self.made.discard(n)

    def server_cpu_s(self):
        """Of the server, all that it ever did: the postmaster counts its ended children in. Ticks of 10 ms."""
        from postgres import children
        total = 0
        for pid in [self.pg.process[0]] + [pid for pid, _ in children(self.pg.process[0])]:
            try:
                with open("/proc/%d/stat" % pid, "rb") as f:
                    fields = f.read().rsplit(b") ", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += sum(int(x) for x in fields[11:15 if pid == self.pg.process[0] else 13])
        return total / os.sysconf("SC_CLK_TCK")
