"""Import: goes on where a kill -9 stopped it, adds nothing twice, says what it left out, can be undone; and what export
wrote comes back byte for byte. A git history and the MCP memory server's file come in the same way."""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, TribeCase, main, program, wait_for  # noqa: E402

LINES = 12000  # three pieces and more at the least
MEMORIES = "/api/v1/memories"


class ImportCase(TribeCase):
    def path(self, name):
        return os.path.join(self.tribe.base, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def lines(self, name, n=LINES):
        """n memories told apart by the file's name; every thousandth line is broken."""
        return self.write(name, "".join(
            "rubbish\n" if i % 1000 == 7 else json.dumps({"content": f"{name} keeps entry {i} of the log", "source": name}) + "\n"
            for i in range(n)))

    def ctl(self, *words, code=0, **more):
        done = self.tribe.ctl("--json", *words, **more)
        self.assertEqual(done.returncode, code, done)
        return json.loads(done.stdout) if done.stdout else None

    def imports(self):
        return self.ctl("import", "--list")["imports"]

    def one(self, name):
        found = [entry for entry in self.imports() if entry["name"] == name]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def total(self):
        return self.tribe.get("/api/v1/thermal").json()["total_memories"]

    def start(self, path, *words):
        """tribectl import, running."""
        return subprocess.Popen([program("tribectl"), "--dev", self.tribe.dir, "--json", "import", *words, path], env=self.tribe.env,
                                cwd=self.tribe.base, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def in_the_middle(self, process, name, past):
        """Waits until the import has got past that many bytes; False when it was quicker."""
        def there():
            if process.poll() is not None:
                return True
            found = [entry for entry in self.tribe.call("memory.sock", "memory.imports", {})["imports"] if entry["name"] == name]
            return bool(found) and found[0]["position"] > past
        wait_for(there, "the import is under way")
        return process.poll() is None


    def kill_and_finish(self, name, path, *words):
        """kill -9 of tribectl, up to three times further on, then the run that ends it."""
        position, kills = 0, 0
        for _ in range(3):
            process = self.start(path, *words)
            try:
                if not self.in_the_middle(process, name, position):
                    break
                process.kill()
                kills += 1
            finally:
                process.kill()
                process.communicate()
            position = self.one(name)["position"]
        self.assertGreater(kills, 0)
        return self.ctl("import", *words, path)

    def memory(self, own_id):
        answer = self.tribe.get(f"{MEMORIES}/{own_id}?touch=false")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def exported(self):
        done = self.tribe.ctl("export", "-")
        self.assertEqual(done.returncode, 0, done)
        return [json.loads(line) for line in done.stdout.splitlines()]


class Import(ImportCase):
    def test_what_was_left_out_and_why(self):
        self.write("mixed/a.jsonl", '{"content":"Plovers nest on shingle."}\n{"content":""}\n{"content":""}\nno json\n')
        self.write("mixed/b.png", "x")
        self.write("mixed/.hidden.txt", "x")
        first = self.ctl("import", self.path("mixed"))
        self.assertEqual((first["added"], first["known"], first["skipped"], first["files"]), (1, 0, 3, 1))
        self.assertEqual(sorted(reason["count"] for reason in first["reasons"]), [1, 2])
        empty = next(reason for reason in first["reasons"] if reason["count"] == 2)
        self.assertEqual([place["line"] for place in empty["places"]], [2, 3])
        self.assertEqual(first["files_skipped"], 2)
        self.assertEqual(self.one("mixed")["skipped"], 3)
        text = self.tribe.ctl("import", self.path("mixed")).stdout
        self.assertIn("nothing to do", text)
        self.assertIn("skipped 2: content must be", text)
        self.assertIn("a.jsonl:2, a.jsonl:3", text)
        self.assertEqual(self.ctl("import", self.path("mixed"))["reasons"], first["reasons"])
        self.write("newer.jsonl", '{"content":"Plovers nest on sand.","supersedes":"nobody"}\n{"content":"Terns dive."}\n')
        text = self.tribe.ctl("import", self.path("newer.jsonl")).stdout
        self.assertIn("skipped 1: supersedes: must be the id of an earlier memory: newer.jsonl:1\n", text)
        text = self.tribe.ctl("import", self.path("newer.jsonl")).stdout
        self.assertIn("skipped 1: refused by the archive in an earlier run", text)
        self.write("binary.txt", "a\0b\n")
        done = self.tribe.ctl("import", self.path("binary.txt"))
        self.assertEqual(done.returncode, 1, "a script must see that nothing was remembered")

    def test_again_and_changed(self):
        path = self.lines("again.jsonl", 500)
        first = self.ctl("import", path)
        self.assertEqual((first["added"], first["skipped"]), (499, 1))
        before = self.total()
        again = self.ctl("import", path)
        self.assertEqual((again["added"], again["known"], again["finished_before"]), (0, 499, True))
        with open(path, "a", encoding="utf-8") as f:
            f.write('{"content":"one more","source":"again.jsonl"}\n')
        more = self.ctl("import", path)
        self.assertEqual((more["added"], more["known"], more["skipped"]), (1, 499, 1))
        self.assertNotEqual(more["import_id"], first["import_id"])
        self.assertEqual(self.total(), before + 1)
        from_stdin = self.ctl("import", "--format", "text", "-", stdin="A text from a pipe.\n")
        self.assertEqual(from_stdin["added"], 1)
        from_stdin = self.ctl("import", "--format", "text", "-", stdin="A text from a pipe.\n")
        self.assertTrue(from_stdin["finished_before"])

    def test_undo(self):
        before = self.total()
        path = self.write("undo/a.jsonl", '{"content":"An undone fact."}\n{"content":"A kept fact.","sacred":true}\n')
        first = self.ctl("import", self.path("undo"))
        self.assertEqual((first["added"], self.total()), (2, before + 2))
        refused = self.tribe.ctl("import", "--undo", first["import_id"], stdin="")
        self.assertEqual(refused.returncode, 2, refused)
        undone = self.ctl("import", "--undo", first["import_id"][:10], "--yes")
        self.assertEqual((undone["removed"], undone["kept"]), (1, 1))
        self.assertEqual(self.total(), before + 1)
        self.assertIn("undone", self.one("undo"))
        again = self.ctl("import", self.path("undo"))
        self.assertEqual((again["added"], again["known"]), (1, 1), "after an undo it begins anew")
        self.assertEqual(self.total(), before + 2)
        self.assertEqual(self.tribe.ctl("import", "--undo", "no-such-import", "--yes").returncode, 1)
        self.assertTrue(os.path.exists(path))

    def test_killed_tribectl(self):
        name = "killed.jsonl"
        path, before = self.lines(name), self.total()
        last = self.kill_and_finish(name, path)
        entry = self.one(name)
        self.assertIn("finished", entry)
        self.assertTrue(last["resumed"] or last["finished_before"], last)
        self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES - LINES // 1000, 0, LINES // 1000))
        self.assertEqual(self.total(), before + LINES - LINES // 1000)
        self.ctl("import", "--source", "another", path)  # another import of the same rows, which name their source
        self.assertIn(" 0 remembered, 11,988 known, 12 skipped  " + name, self.tribe.ctl("import", "--list").stdout)

    def test_killed_jrs(self):
        for role in ("integration", "memory"):
            name = f"killed-{role}.jsonl"
            path, before = self.lines(name), self.total()
            process = self.start(path)
            try:
                if self.in_the_middle(process, name, 0):
                    pid = self.tribe.pids()[role]
                    os.kill(pid, signal.SIGKILL)
                    self.tribe.wait_new(role, pid)
                out, err = process.communicate(timeout=300)
            finally:
                process.kill()
                process.wait()
            self.assertEqual(process.returncode, 0, (out, err))
            entry = self.one(name)
            self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES - LINES // 1000, 0, LINES // 1000), role)
            self.assertEqual(self.total(), before + LINES - LINES // 1000)


COMMITS = 10000  # three pieces


@unittest.skipUnless(shutil.which("git"), "needs git")
class Git(ImportCase):
    def git(self, *words, **more):
        env = {"PATH": os.environ["PATH"], "HOME": self.tribe.base, "GIT_CONFIG_NOSYSTEM": "1", **more.pop("env", {})}
        return subprocess.run(["git", *words], env=env, cwd=self.tribe.base, check=True, capture_output=True, **more).stdout

    def shas(self, path):
        return self.git("-C", path, "rev-list", "--reverse", "--topo-order", "HEAD").decode().split()

    def repository(self, name, commits):
        """commits: of (message, {path: content}); bytes or text. Merges: a third one, the parents besides the one before."""
        path, stream = self.path(name), b""
        self.git("init", "--quiet", "--bare", path)
        for n, (message, files, *parents) in enumerate(commits):
            message = message if isinstance(message, bytes) else message.encode()
            stream += b"commit HEAD\nmark :%d\nauthor Ann \xc3\x96. <ann@secret.example> %d +0200\n" % (n + 1, 1700000000 + n)
            stream += b"committer Bob <bob@secret.example> 1800000000 +0000\ndata %d\n%s\n" % (len(message), message)
            stream += b"from :%d\n" % n if n > 0 else b""
            stream += b"".join(b"merge :%d\n" % p for p in parents)
            for file, content in files.items():
                file = file if isinstance(file, bytes) else file.encode()
                stream += b"M 100644 inline %s\ndata %d\n%s\n" % (file, len(content), content.encode())
        self.git("-C", path, "fast-import", "--quiet", input=stream)
        return path

    def test_what_a_commit_becomes(self):
        before = self.total()
        path = self.repository("kettle.git", [
            ("Mend the whistling kettle\n\nIt leaked at the spout.\n", {"kitchen/kettle.c": "1", b"caf\xe9": "2"}),
            ("", {"kitchen/kettle.c": "2"}),
            (b"Gr\xfc\xdfe\n", {}),
            ("Long\n\n" + "long words here " * 9000, {f"f{i}": "x" for i in range(400)}),
            ("Merge the spout", {}, 1),
        ])
        first = self.ctl("import", "--format", "git", path)
        self.assertEqual((first["added"], first["known"], first["skipped"], first["commits"]), (4, 0, 1, 5), first)
        self.assertEqual(first["reasons"], [{"reason": "the commit has no message", "count": 1,
                                             "places": [{"name": "git:kettle", "line": 2}]}])
        shas = self.shas(path)
        memory = self.memory("git:" + shas[0])
        self.assertEqual(memory["content"], "Mend the whistling kettle\n\nIt leaked at the spout.")
        self.assertEqual((memory["speaker"], memory["at"], memory["source"], memory["tags"]),
                         ("Ann Ö.", "2023-11-14T22:13:20.000Z", "git:kettle", ["commit"]))
        self.assertEqual(memory["metadata"], {"commit": shas[0], "files": ["caf\ufffd", "kitchen/kettle.c"], "files_changed": 2})
        self.assertEqual(self.memory("git:" + shas[2])["content"], "Gr\ufffd\ufffde")
        memory = self.memory("git:" + shas[3])
        self.assertTrue(60000 < len(memory["content"].encode()) <= 65536)
        self.assertEqual((memory["metadata"]["message_bytes"], memory["metadata"]["files_changed"]), (144006, 400))
        memory = self.memory("git:" + shas[4])
        self.assertEqual((memory["tags"], memory["metadata"]), (["commit", "merge"], {"commit": shas[4]}))
        self.assertNotIn("secret.example", json.dumps(self.exported()), "no address of anybody")
        found = self.tribe.get(f"{MEMORIES}?q=who+mended+the+kettle&touch=false&limit=1").json()["memories"]
        self.assertEqual(found[0]["id"], "git:" + shas[0])
        self.assertEqual(self.total(), before + 4)

        again = self.ctl("import", "--format", "git", path)
        self.assertEqual((again["added"], again["finished_before"]), (0, True))
        self.assertEqual([reason["count"] for reason in again["reasons"]], [1], "said again, though nothing is done again")
        self.git("-C", path, "fast-import", "--quiet", "--force", input=b"commit HEAD\ncommitter B <b@c> 1 +0000\ndata 8\nOne more"
                 b"\nfrom HEAD^0\n")
        more = self.ctl("import", "--format", "git", path)
        self.assertEqual((more["added"], more["known"], more["skipped"]), (1, 4, 1))
        self.assertEqual(self.total(), before + 5)

    def test_killed_and_undone(self):
        path = self.repository("many", [(f"Change number {i} of the ledger\n\n" + "because it was wrong " * 8 if i % 1000 != 7 else "",
                                         {f"f{i % 7}": str(i)}, *([i - 20] if i % 50 == 49 else [])) for i in range(COMMITS)])
        before, skipped = self.total(), COMMITS // 1000
        last = self.kill_and_finish("git:many", path, "--format", "git")
        entry = self.one("git:many")
        self.assertIn("finished", entry)
        self.assertTrue(last["resumed"] or last["finished_before"], last)
        self.assertEqual([reason["count"] for reason in last["reasons"]], [skipped], "those of the earlier runs too")
        self.assertEqual((entry["size"], entry["added"], entry["known"], entry["skipped"]), (COMMITS, COMMITS - skipped, 0, skipped))
        self.assertEqual(self.total(), before + COMMITS - skipped)
        log = self.git("-C", path, "log", "--format=%H %s").decode()
        kept = {memory["id"] for memory in self.exported() if memory.get("source") == "git:many"}
        self.assertEqual(kept, {"git:" + line.split(" ")[0] for line in log.splitlines() if not line.endswith(" ")})
        undone = self.ctl("import", "--undo", entry["id"], "--yes", timeout=300)
        self.assertEqual((undone["removed"], undone["kept"]), (COMMITS - skipped, 0))
        self.assertEqual(self.total(), before)
        again = self.ctl("import", "--format", "git", path)
        self.assertEqual((again["added"], again["known"], again["skipped"]), (COMMITS - skipped, 0, skipped))

    def test_every_kind_of_repository(self):
        bare = self.repository("ours.git", [("The first one", {"a": "1"}), ("The second one", {"a": "2"})])
        self.git("clone", "--quiet", bare, self.path("theirs"))
        self.git("-C", self.path("theirs"), "worktree", "add", "--quiet", "--detach", self.path("linked"))
        shallow = self.path("shallow")
        self.git("clone", "--quiet", "--depth", "1", "file://" + bare, shallow)
        first = self.ctl("import", "--format", "git", bare)
        self.assertEqual(first["added"], 2)
        for path, name, commits in ((self.path("theirs"), "git:theirs", 2), (self.path("theirs/.git"), "git:theirs", 2),
                                    (self.path("linked"), "git:theirs", 2), (shallow, "git:shallow", 1)):
            more = self.ctl("import", "--format", "git", path)
            self.assertEqual((more["added"], more["known"], more["name"], more["commits"]), (0, commits, name, commits), path)
        two = self.ctl("import", "--format", "git", "--source", "both", bare, self.path("theirs"))
        self.assertEqual((two["known"], two["files"], two["commits"]), (4, 2, 4), "an id is one memory, whatever its source")

    def test_a_repository_starts_nothing(self):
        """Its configuration names programs, the user's own one too; none of them runs, and nothing else changes the history."""
        path = self.repository("hostile", [("Nothing to see", {"a": "1"})])
        self.git("-C", path, "config", "core.bare", "false")
        ran = self.path("ran")
        script = self.write("script", f"#!/bin/sh\ntouch {ran}\n")
        os.chmod(script, 0o755)
        keys = ["core.fsmonitor", "core.pager", "pager.log", "core.sshCommand", "core.editor", "core.askPass", "gpg.program",
                "gpg.ssh.program", "diff.external", "diff.x.textconv", "diff.x.command", "core.gitProxy", "alias.log", "alias.rev-list",
                "core.alternateRefsCommand", "filter.x.smudge", "remote.origin.uploadpack", "credential.helper"]
        os.makedirs(os.path.join(path, "hooks"), exist_ok=True)
        for hook in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change"):
            shutil.copy(script, os.path.join(path, "hooks", hook))
        for key in keys:
            self.git("-C", path, "config", key, script if not key.startswith("alias.") else "!" + script)
        for key, value in (("log.showSignature", "true"), ("log.follow", "true"), ("color.ui", "always"), ("diff.relative", "true"),
                           ("remote.origin.url", "ssh://nowhere.invalid/x"), ("remote.origin.promisor", "true"),
                           ("extensions.partialClone", "origin"), ("core.repositoryFormatVersion", "1"), ("log.mailmap", "true"),
                           ("format.pretty", "%an"), ("log.showRoot", "false"), ("core.hooksPath", os.path.join(path, "hooks"))):
            self.git("-C", path, "config", key, value)
        with open(os.path.join(path, "info", "attributes"), "w", encoding="ascii") as f:
            f.write("* diff=x filter=x\n")
        home = self.path("home")
        shutil.copytree(os.path.join(path, "hooks"), os.path.join(home, "hooks"))
        shutil.copy(os.path.join(path, "config"), os.path.join(home, ".gitconfig"))
        signed = (b"tree %s\nauthor A <a@b> 5 +0000\ncommitter A <a@b> 5 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n"
                  b" -----END PGP SIGNATURE-----\n\nA signed one\n" % self.git("-C", path, "rev-parse", "HEAD^{tree}").strip())
        sha = self.git("-C", path, "hash-object", "-t", "commit", "-w", "--stdin", input=signed).decode().strip()
        self.git("-C", path, "update-ref", "HEAD", sha)
        if os.path.exists(ran):
            os.unlink(ran)  # the test's own git ran hooks
        env = dict(self.tribe.env, HOME=home, GIT_DIR="/nonexistent", GIT_TRACE=ran, GIT_EXTERNAL_DIFF=script, GIT_PAGER=script)
        done = subprocess.run([program("tribectl"), "--dev", self.tribe.dir, "--json", "import", "--format", "git", path], env=env,
                              cwd=self.tribe.base, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(json.loads(done.stdout)["added"], 1, done)
        memory = self.memory("git:" + sha)
        self.assertEqual((memory["content"], memory["metadata"]["files"]), ("A signed one", ["a"]))
        self.assertFalse(os.path.exists(ran))
        # what is missing is not fetched: it ends there, and says so
        blob = self.git("-C", path, "hash-object", "-w", "--stdin", input=b"2").decode().strip()
        tree = self.git("-C", path, "mktree", input=f"100644 blob {blob}\ta\n".encode()).decode().strip()
        sha = self.git("-C", path, "hash-object", "-t", "commit", "-w", "--stdin", input=signed.replace(
            signed[5:45], tree.encode())).decode().strip()
        self.git("-C", path, "update-ref", "HEAD", sha)
        os.unlink(os.path.join(path, "objects", tree[:2], tree[2:]))
        if os.path.exists(ran):
            os.unlink(ran)
        done = subprocess.run([program("tribectl"), "--dev", self.tribe.dir, "import", "--format", "git", "--source", "x", path],
                              env=env, cwd=self.tribe.base, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertFalse(os.path.exists(ran))

    def test_what_is_refused(self):
        path = self.repository("plain", [("Something", {"d/a": "1"})])
        self.git("clone", "--quiet", path, self.path("tree"))
        self.git("init", "--quiet", self.path("empty"))
        os.makedirs(self.path("nothing"))
        imports = len(self.imports())

        def refused(where, *words, **env):
            done = subprocess.run([program("tribectl"), "--dev", self.tribe.dir, "import", "--format", "git", where],
                                  env=dict(self.tribe.env, **env), cwd=self.tribe.base, capture_output=True, text=True, timeout=120,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""), done)
            for word in words:
                self.assertIn(word, done.stderr)

        refused(self.path("nothing"), "not a git repository")
        refused(self.path("tree/d"), "inside of a git work tree")
        refused(self.path("empty"), "no commit")
        refused(self.path("tree/d/a"), "not a directory")
        refused(self.path("absent"), "No such file")
        refused(path, "needs git", PATH=self.path("nothing"))
        if os.geteuid() == 0:
            os.chown(path, 12345, 12345)
            refused(path, "another user", "safe.directory")
            home = os.path.join(self.tribe.base, "trusting")
            os.makedirs(home)
            self.git("config", "--global", "--add", "safe.directory", path, env={"HOME": home})
            done = subprocess.run([program("tribectl"), "--dev", self.tribe.dir, "import", "--format", "git", path],
                                  env=dict(self.tribe.env, HOME=home), capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done)
            imports += 1
        self.assertEqual(len(self.imports()), imports)


class McpMemory(ImportCase):
    """The official MCP memory server's file, and the graph out of the memories again."""

    def graph(self, name, entities, relations, *more):
        lines = [json.dumps({"type": "entity", "name": n, "entityType": t, "observations": o}, ensure_ascii=False)
                 for n, t, o in entities]
        lines += [json.dumps({"type": "relation", "from": f, "to": t, "relationType": r}) for f, t, r in relations]
        return self.write(name, "\n".join(lines + list(more)))

    def rebuilt(self, source):
        entities, relations, parts = {}, set(), {}
        for memory in self.exported():
            if memory.get("source") != source:
                continue
            meta = memory["metadata"]
            if meta["kind"] == "relation":
                relations.add((meta["from"], meta["to"], meta["type"]))
                continue
            texts = entities.setdefault((meta["entity"], meta["type"]), {})
            if meta["kind"] == "observation":
                text = memory["content"].encode()[meta.get("prefix", 0):].decode()
                parts.setdefault((meta["entity"], meta["index"]), {})[meta.get("part", 1)] = text
                texts[meta["index"]] = meta.get("parts", 1)
        found = []
        for (name, kind), texts in entities.items():
            whole = []
            for index, count in sorted(texts.items()):
                pieces = parts[name, index]
                self.assertEqual(sorted(pieces), list(range(1, count + 1)))
                whole.append("".join(text for _, text in sorted(pieces.items())))
            found.append((name, kind, whole))
        return sorted(found), relations

    def test_the_graph_comes_back(self):
        before = self.total()
        entities = [("John_Smith", "person", ["Speaks fluent Spanish", "John Smith likes the ferry", "", "Plover 🐦 \"quoted\"\n2 lines"]),
                    ("Harbour", "place", []), ("", "note", ["without a name"]), ("Book", "thing", ["long ä " * 30000, "short"])]
        relations = [("John_Smith", "Harbour", "lives_at"), ("Nobody", "Nowhere", "")]
        path = self.graph("graph/memory.json", entities, relations, "rubbish", '{"type":"entity","name":"x"}')
        first = self.ctl("import", "--format", "mcp-memory", path)
        self.assertEqual((first["known"], first["skipped"]), (0, 2), first)
        self.assertEqual([reason["places"][0]["line"] for reason in first["reasons"]], [7, 8])
        self.assertEqual(self.total(), before + first["added"])
        self.assertEqual(self.rebuilt("mcp-memory"), (sorted(entities), set(relations)))
        found = self.tribe.get(f"{MEMORIES}?q=What+languages+does+John+Smith+speak&touch=false&tag=person").json()["memories"]
        self.assertEqual(found[0]["content"], "John_Smith: Speaks fluent Spanish")
        again = self.ctl("import", "--format", "mcp-memory", path)
        self.assertEqual((again["added"], again["finished_before"]), (0, True))
        entities[1] = ("Harbour", "place", ["Has three piers"])
        entities[0][2].append("Sold the boat")
        more = self.ctl("import", "--format", "mcp-memory", self.graph("graph/memory.json", entities[::-1], relations))
        self.assertEqual((more["added"], more["skipped"]), (2, 0), "only what is new")
        self.assertEqual(self.rebuilt("mcp-memory"), (sorted(entities), set(relations)))
        other = self.ctl("import", "--format", "mcp-memory", "--source", "other", path)
        self.assertEqual(other["known"], 0, "another source is another graph")
        for report in (first, more, other):
            self.assertEqual(self.ctl("import", "--undo", report["import_id"], "--yes")["removed"], report["added"])
        self.assertEqual(self.total(), before)
        hint = self.tribe.ctl("import", "--format", "jsonl", path)
        self.assertIn("--format mcp-memory", hint.stdout)

    def test_a_line_longer_than_a_piece(self):
        many = [f"Observation {i} of the long watch, {'with much detail ' * 8}" for i in range(9000)]
        path = self.graph("long.jsonl", [("Watch", "log", many), ("After", "log", ["It ended"])], [])
        self.assertGreater(os.path.getsize(path), 1 << 20)
        first = self.ctl("import", "--format", "mcp-memory", "--source", "long", path)
        self.assertEqual((first["added"], first["skipped"]), (9001, 0))
        self.assertEqual(self.rebuilt("long"), (sorted([("Watch", "log", many), ("After", "log", ["It ended"])]), set()))

    def test_killed(self):
        half = LINES // 2
        path = self.graph("killed.json", [(f"Item {i}", "item", [f"Stands on shelf {i}"]) for i in range(half)],
                          [(f"Item {i}", f"Item {i + 1}", "stands_by") for i in range(half)])
        before = self.total()
        last = self.kill_and_finish("killed.json", path, "--format", "mcp-memory")
        entry = self.one("killed.json")
        self.assertTrue(last["resumed"] or last["finished_before"], last)
        self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES, 0, 0))
        self.assertEqual(self.total(), before + LINES)
        self.assertEqual(self.ctl("import", "--undo", entry["id"], "--yes", timeout=300)["removed"], LINES)
        self.assertEqual(self.total(), before)


class KilledTribed(ImportCase):
    def test_goes_on_in_the_next_life(self):
        name = "life.jsonl"
        path = self.lines(name)
        process = self.start(path)
        try:
            killed = self.in_the_middle(process, name, 0)
            self.tribe.kill()
            self.tribe.wait_gone()
            process.terminate()  # it would wait for an answer until its deadline
            process.communicate()
        finally:
            process.kill()
            process.wait()
        self.tribe.start()
        last = self.ctl("import", path)
        entry = self.one(name)
        self.assertIn("finished", entry)
        self.assertTrue(last["resumed"] or last["finished_before"] or not killed, last)
        self.assertEqual((entry["added"], entry["known"], entry["skipped"]), (LINES - LINES // 1000, 0, LINES // 1000))
        self.assertEqual(self.total(), LINES - LINES // 1000)


    def test_what_it_says_after_a_death_in_a_piece(self):
        """Batches of a piece are durable before its end is: the next run is answered for them again."""
        name = "piece.jsonl"
        path = self.lines(name, 4 * LINES)
        with open(path, "rb") as f:
            data = f.read()

        def half(entry):
            done = data[:entry["position"]]
            return "finished" not in entry and entry["added"] > done.count(b"\n") - done.count(b"rubbish\n")

        def in_a_piece():
            entries = self.tribe.call("memory.sock", "memory.imports", {})["imports"]
            return process.poll() is not None or any(entry["name"] == name and half(entry) for entry in entries)

        before = {"position": 0, "added": 0}
        for _ in range(5):
            process = self.start(path)
            try:
                wait_for(in_a_piece, "a piece is half done")
                self.tribe.kill()
                self.tribe.wait_gone()
            finally:
                process.kill()
                process.communicate()
            self.tribe.start()
            before = self.one(name)
            if half(before):
                break
        self.assertTrue(half(before), before)
        last = self.ctl("import", path)
        entry = self.one(name)
        counts = {key: entry[key] for key in ("added", "known", "skipped")}
        self.assertEqual(counts, {"added": 4 * (LINES - LINES // 1000), "known": 0, "skipped": 4 * LINES // 1000})
        self.assertEqual(last["total"], counts)
        self.assertEqual(last["added"], counts["added"] - before["added"], "of this run alone")


class RoundTrip(ImportCase):
    def fill(self):
        answer = self.tribe.post(MEMORIES, [
            {"content": "Plain."},
            {"content": "Umlauts äöü, 漢字, \U0001f9ed and a \"quote\" with a \\ and a\ttab.\nTwo lines.", "tags": ["a", "ü b"]},
            {"content": "Sacred.", "sacred": True, "importance": 0.9, "source": "s", "session": "t", "speaker": "Ann"},
            {"content": "With its own id.", "id": "mine/1", "at": "2024-02-03T04:05:06.789Z"},
            {"content": "With metadata.", "metadata": {"n": 7, "x": 0.1, "z": None, "deep": {"list": [1, "two", True]}, "empty": {}}},
            {"content": "The meeting is on Monday.", "id": "old"},
        ])
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(self.tribe.post(MEMORIES, {"content": "The meeting is on Friday.", "supersedes": "old"}).status, 201)
        for _ in range(2):  # known again: heated
            self.tribe.post(MEMORIES, {"content": "Plain."})
        self.assertIn(self.tribe.post("/api/v1/decisions", {"text": "We meet on Friday.", "by": "council"}).status, (200, 201))
        self.lines("many.jsonl", 1500)
        self.ctl("import", self.path("many.jsonl"))
        for question in ("meeting Friday", "entry log"):
            self.tribe.get(f"{MEMORIES}?q={question.replace(' ', '+')}&limit=5")
        self.tribe.post(MEMORIES, {"content": "The last commit takes the notes of accesses along."})

    def export(self, name):
        done = self.tribe.ctl("export", self.path(name))
        self.assertEqual(done.returncode, 0, done)
        with open(self.path(name), "rb") as f:
            return f.read()

    def test_every_digit_of_a_number(self):
        with Tribe() as tribe:
            tribe.remember("One third of nearly nothing.", metadata={"f": 0.30000000000000004})
            record = json.loads(tribe.ctl("export", "-").stdout)
            self.assertEqual(record["metadata"]["f"], 0.30000000000000004)

    def test_the_same_bytes(self):
        self.fill()
        self.assertEqual(self.tribe.stop(), 0)  # every note is written
        self.tribe.start()
        first = self.export("first.jsonl")
        self.assertEqual(first.count(b"\n"), self.total())
        decisions = self.tribe.get("/api/v1/decisions").json()
        with Tribe() as other:
            done = other.ctl("--json", "import", self.path("first.jsonl"))
            self.assertEqual(done.returncode, 0, done)
            report = json.loads(done.stdout)
            self.assertEqual((report["added"], report["known"], report["skipped"]), (first.count(b"\n"), 0, 0), report)
            again = os.path.join(other.base, "again.jsonl")
            done = other.ctl("export", again)
            self.assertEqual(done.returncode, 0, done)
            with open(again, "rb") as f:
                second = f.read()
            if first != second:  # the first line that differs says more than two files
                for a, b in zip(first.splitlines(), second.splitlines()):
                    self.assertEqual(a, b)
            self.assertEqual(first, second)
            self.assertEqual(other.get("/api/v1/decisions").json(), decisions)
            self.assertEqual(other.get(f"{MEMORIES}/old?touch=false").json()["superseded_by"],
                             self.tribe.get(f"{MEMORIES}/old?touch=false").json()["superseded_by"])
            self.assertEqual(other.get(f"{MEMORIES}?q=monday+meeting&touch=false").json()["memories"][0]["content"],
                             self.tribe.get(f"{MEMORIES}?q=monday+meeting&touch=false").json()["memories"][0]["content"])
            done = other.ctl("--json", "import", again)  # the same bytes under another name: another import
            report = json.loads(done.stdout)
            self.assertEqual((report["added"], report["known"]), (0, first.count(b"\n")), report)


if __name__ == "__main__":
    main()
