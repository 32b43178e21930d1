"""Clients that write down what they did and saw: every request becomes one operation of history.py."""
import concurrent.futures
import http.client
import json
import os
import random
import threading
import time
import urllib.parse

TIMEOUT_S = 20      # of one request
PATIENCE_S = 60     # of one write with all its resends
TOPIC = "Zanzibar lighthouse keepers polish brass lanterns."
QUESTION = "What do the zanzibar keepers polish?"
WORDS = "amber birch cedar delta ember fjord gravel heron indigo juniper kelp lichen moss nettle otter pebble".split()
KINDS = (("id", 35), ("key", 15), ("decide", 10), ("read", 28), ("ask", 7), ("forget", 5))
WRITERS = (("id", 40), ("key", 26), ("decide", 10), ("read", 12), ("ask", 2), ("forget", 10))  # mostly writes


class NotSent(Exception):
    """No connection: certainly nothing happened."""


def request(tribe, method, path, body=None, headers=None):
    """(status, decoded body) over a connection of its own. NotSent, or another exception when the outcome is unknown."""
    address = tribe.address()
    if address is None:
        raise NotSent
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    try:
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            raise NotSent from error
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, dict(headers or {}, **({"Content-Type": "application/json"} if data else {})))
        answer = connection.getresponse()
        status, text = answer.status, answer.read()
        return status, json.loads(text) if text else {}
    finally:
        connection.close()


class Load:
    """threads: how many; rate: requests a second of all of them together, at most; kinds: what they do, with weights."""

    def __init__(self, tribe, seed, threads, rate, kinds=KINDS):
        self.tribe, self.seed, self.kinds = tribe, seed, kinds
        self.source = "chaos-%d" % seed
        self.pause_s = threads / rate
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.history, self.broken = [], []
        self.values, self.ids = {}, {}         # key -> what was sent; key -> acknowledged id
        self.readable, self.forgetting = [], set()
        self.acks = self.resent = 0
        self.can_forget = self.offers_forget()
        self.write("topic", "POST", "/api/v1/memories", {"content": TOPIC, "source": "chaos-topic"}, "add", TOPIC, random.Random(seed))
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(threads)]

    def offers_forget(self):
        status, _ = request(self.tribe, "DELETE", "/api/v1/memories/chaos-nobody?now=true")
        return status == 404

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE_S + 2 * TIMEOUT_S)
        if any(thread.is_alive() for thread in self.threads):
            self.broken.append("a client hangs")

    def note(self, **op):
        with self.lock:
            self.history.append(op)

    # -- one request, one operation -----------------------------------------------------------------------------------
    def perform(self, f, key, method, path, body=None, headers=None, absent=False, **more):
        """Returns (operation, body of the answer). absent: 404 is an answer."""
        changes = f in ("add", "forget")
        op = dict(more, f=f, key=key, start=time.monotonic_ns())
        answer = {}
        try:
            status, answer = request(self.tribe, method, path, body, headers)
        except NotSent:
            op.update(type="fail", why="refused")
        except (OSError, http.client.HTTPException, ValueError) as error:
            op.update(type="info" if changes else "fail", why=type(error).__name__)
        else:
            if status in (200, 201, 204) or (absent and status == 404):
                op.update(type="ok", status=status)
            elif status == 409:
                op.update(type="fail", why="busy")
            else:
                op.update(type="info" if changes and status >= 500 else "fail", why=str(status))
        op["end"] = time.monotonic_ns()
        return op, answer

    def write(self, key, method, path, body, f, value, rng, **more):
        """A write as a careful client does it: sent again under the same Idempotency-Key until somebody answers."""
        headers = {"Idempotency-Key": "%s-%s-%s" % (self.source, f, key)}
        until = time.monotonic() + PATIENCE_S
        while True:
            op, answer = self.perform(f, key, method, path, body, headers, value=value, **more)
            if op["type"] == "ok" and f == "add":
                made = answer["memories"][0] if "memories" in answer else {"id": answer["decision"]["memory_id"]}
                op["id"] = made["id"]
                with self.lock:
                    self.ids[key] = made["id"]
            self.note(**op)
            again = op["type"] == "info" or op.get("why") in ("refused", "busy")
            if not again or time.monotonic() > until:
                return op
            with self.lock:
                self.resent += 1
            time.sleep(rng.uniform(0.002, 0.02))

    # -- what the clients do ------------------------------------------------------------------------------------------
    def work(self, n):
        rng = random.Random("%d thread %d" % (self.seed, n))
        names, weights = zip(*self.kinds)
        turn = 0
        while not self.ending.is_set():
            turn += 1
            try:
                getattr(self, "do_" + rng.choices(names, weights)[0])("%d-%d" % (n, turn), rng)
            except Exception as error:  # a bug of ours or an answer of a wrong shape: no run with one is a pass
                with self.lock:
                    self.broken.append(repr(error))
                return
            self.ending.wait(rng.expovariate(1 / self.pause_s))

    def add(self, key, path, fields, text, rng):
        value = "%s %s %s" % (self.source, key, " ".join(rng.choices(WORDS, k=rng.randint(3, 40))))
        self.values[key] = value
        if self.write(key, "POST", path, dict(fields, **{text: value}), "add", value, rng)["type"] == "ok":
            with self.lock:
                self.acks += 1
                self.readable.append(key)

    def do_id(self, key, rng):
        self.add(key, "/api/v1/memories", {"id": "%s-%s" % (self.source, key), "source": self.source}, "content", rng)

    def do_key(self, key, rng):
        self.add(key, "/api/v1/memories", {"source": self.source}, "content", rng)

    def do_decide(self, key, rng):
        self.add(key, "/api/v1/decisions", {"by": self.source}, "text", rng)

    def some(self, rng):
        with self.lock:
            return rng.choice(self.readable) if self.readable else None

    def do_read(self, _key, rng):
        key = self.some(rng)
        if key is not None:
            self.read(key)

    def read(self, key, **more):
        """By its id; heats nothing, so access_count stays the number of times the add was carried out."""
        memory_id = self.ids.get(key, "%s-%s" % (self.source, key))
        op, answer = self.perform("read", key, "GET", "/api/v1/memories/%s?touch=false" % urllib.parse.quote(memory_id, safe=""),
                                  absent=True, **more)
        if op["type"] == "ok":
            op["found"] = op["status"] == 200
            if op["found"]:
                op.update(value=answer["content"], applied=answer["access_count"])
        self.note(**op)

    def do_ask(self, _key, _rng):
        op, answer = self.perform("ask", "topic", "POST", "/api/v1/ask", {"question": QUESTION})
        if op["type"] == "ok":
            op["found"] = any(source["content"] == TOPIC for source in answer["sources"])
        self.note(**op)

    def do_forget(self, _key, rng):
        key = self.some(rng)
        with self.lock:
            if not self.can_forget or key is None or key in self.forgetting:
                return
            self.forgetting.add(key)
        path = "/api/v1/memories/" + urllib.parse.quote(self.ids[key], safe="")
        self.write(key, "DELETE", path, None, "forget", None, rng, absent=True)

    # -- the last look ------------------------------------------------------------------------------------------------
    def last_look(self, by_id=None):
        """After everything was healed: every key in the listing, and by its id (by_id: so many of them, drawn)."""
        keys = sorted(self.values)
        if by_id is not None and by_id < len(keys):
            keys = random.Random("%d look" % self.seed).sample(keys, by_id)
        with concurrent.futures.ThreadPoolExecutor(min(8, len(self.threads))) as pool:
            for _ in pool.map(lambda key: self.read(key, final=True), keys):
                pass
        op, _ = self.perform("read", "topic", "GET", "/api/v1/memories/" + urllib.parse.quote(self.ids["topic"], safe="") +
                             "?touch=false", final=True)
        self.note(**dict(op, found=op["type"] == "ok"))
        begin = time.monotonic_ns()
        rows = self.listing()
        end = time.monotonic_ns()
        known = {value: key for key, value in self.values.items()}
        seen = {}
        for row in rows:
            seen.setdefault(known.get(row["content"], "stranger " + row["id"]), []).append(row)
        for key in sorted(set(self.values) | set(seen)):
            found = seen.get(key, [])
            op = {"f": "read", "key": key, "type": "ok", "start": begin, "end": end, "found": bool(found), "final": True}
            if found:
                op.update(value=found[0]["content"], copies=len(found), applied=max(row["access_count"] for row in found))
            self.note(**op)

    def listing(self):
        rows, cursor = [], None
        while True:
            query = {"source": self.source, "limit": 200, "touch": "false"}
            if cursor:
                query["cursor"] = cursor
            status, page = request(self.tribe, "GET", "/api/v1/memories?" + urllib.parse.urlencode(query))
            if status != 200:
                raise AssertionError("the listing: %d %s" % (status, page))
            rows += page["memories"]
            cursor = page["next_cursor"]
            if not cursor:
                return rows


def save(path, history):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(op) + "\n" for op in history)


def restore(path):
    with open(os.fspath(path), encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]
