"""Remembering, recalling, asking and deciding over HTTP."""
import json
import os
import sys
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from tribe import Tribe, TribeCase, main, problem_of  # noqa: E402

MEMORIES = "/api/v1/memories"


def unique(text):
    return f"{text} {uuid.uuid4().hex}"


class Remember(TribeCase):
    def test_one(self):
        content = unique("The kettle in the north kitchen is blue.")
        answer = self.tribe.post(MEMORIES, {"content": content, "tags": ["kitchen", "colour"], "source": "house", "session": "s1",
                                            "speaker": "Ada", "importance": 0.75, "at": "2026-03-04T05:06:07.089+02:00",
                                            "metadata": {"room": 3, "nested": {"list": [1, 2.5, None, True, "x"]}}})
        self.assertEqual(answer.status, 201, answer)
        (added,) = answer.json()["memories"]
        self.assertIs(added["created"], True)
        self.assertAlmostEqual(added["temperature"], 40, places=1)  # used once
        got = self.tribe.get(f"{MEMORIES}/{added['id']}?touch=false")
        self.assertEqual(got.status, 200, got)
        memory = got.json()
        for field, value in {"id": added["id"], "content": content, "tags": ["kitchen", "colour"], "source": "house",
                             "session": "s1", "speaker": "Ada", "importance": 0.75, "sacred": False, "stage": "warm",
                             "access_count": 1, "at": "2026-03-04T03:06:07.089Z",
                             "metadata": {"room": 3, "nested": {"list": [1, 2.5, None, True, "x"]}}}.items():
            self.assertEqual(memory[field], value, field)

    def test_array_answers_in_its_order(self):
        contents = [unique(f"number {n}") for n in range(20)]
        answer = self.tribe.post(MEMORIES, [{"content": content} for content in contents])
        self.assertEqual(answer.status, 201, answer)
        added = answer.json()["memories"]
        self.assertEqual(len({memory["id"] for memory in added}), 20)
        for memory, content in zip(added, contents):
            self.assertEqual(self.tribe.get(f"{MEMORIES}/{memory['id']}").json()["content"], content)

    def test_lines(self):
        contents = [unique("line"), unique("Zeile \u00e4\u00f6\u00fc \U0001f43b")]
        body = "".join(json.dumps({"content": content}) + "\n" for content in contents)
        answer = self.tribe.post(MEMORIES, body, headers={"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 201, answer)
        for memory, content in zip(answer.json()["memories"], contents):
            self.assertEqual(self.tribe.get(f"{MEMORIES}/{memory['id']}").json()["content"], content)
        # the last line needs no newline
        answer = self.tribe.post(MEMORIES, body[:-1], headers={"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer)

    def test_text_comes_back_byte_for_byte(self):
        for content in ("x", " ", "\t\n\r", "a\u0300", "\U0010ffff\ufffe", "\\u0041 \"quoted\" </script>", "e" * 65536,
                        "\u00e9" * 32768):
            memory_id, = self.tribe.remember(content, source=uuid.uuid4().hex)
            self.assertEqual(self.tribe.get(f"{MEMORIES}/{memory_id}").json()["content"], content)

    def test_known_already_is_200_and_heats(self):
        content = unique("The gate creaks.")
        first = self.tribe.post(MEMORIES, {"content": content, "source": "a"}).json()["memories"][0]
        again = self.tribe.post(MEMORIES, {"content": content, "source": "a"})
        self.assertEqual(again.status, 200, again)
        second = again.json()["memories"][0]
        self.assertEqual(second["id"], first["id"])
        self.assertIs(second["created"], False)
        self.assertGreater(second["temperature"], first["temperature"] + 5)
        other = self.tribe.post(MEMORIES, {"content": content, "source": "b"})
        self.assertEqual(other.status, 201, "another source is another memory")
        mixed = self.tribe.post(MEMORIES, [{"content": content, "source": "a"}, {"content": unique("new"), "source": "a"}])
        self.assertEqual(mixed.status, 201, mixed)
        self.assertEqual([memory["created"] for memory in mixed.json()["memories"]], [False, True])

    def test_the_same_twice_in_one_batch_is_one(self):
        content = unique("twin")
        answer = self.tribe.post(MEMORIES, [{"content": content}, {"content": content}])
        self.assertEqual(answer.status, 201, answer)
        first, second = answer.json()["memories"]
        self.assertEqual(first["id"], second["id"])
        self.assertEqual([first["created"], second["created"]], [True, False])

    def test_own_id_is_idempotent(self):
        body = {"id": "mine/" + uuid.uuid4().hex, "content": unique("own id")}
        first = self.tribe.post(MEMORIES, body)
        self.assertEqual(first.status, 201, first)
        self.assertEqual(first.json()["memories"][0]["id"], body["id"])
        again = self.tribe.post(MEMORIES, body)
        self.assertEqual(again.status, 200, again)
        self.assertIs(again.json()["memories"][0]["created"], False)
        other = self.tribe.post(MEMORIES, dict(body, content=unique("something else")))
        self.assertEqual(other.status, 409, other)
        self.assertIn("id", problem_of(other)["detail"])

    def test_idempotency_key(self):
        key, body = uuid.uuid4().hex, {"content": unique("once")}
        first = self.tribe.post(MEMORIES, body, headers={"Idempotency-Key": key})
        self.assertEqual(first.status, 201, first)
        again = self.tribe.post(MEMORIES, body, headers={"Idempotency-Key": key})
        self.assertEqual((again.status, again.json()), (first.status, first.json()))
        memory = self.tribe.get(f"{MEMORIES}/{first.json()['memories'][0]['id']}?touch=false").json()
        self.assertEqual(memory["access_count"], 1, "the repetition must not heat")
        other = self.tribe.post(MEMORIES, {"content": unique("twice")}, headers={"Idempotency-Key": key})
        self.assertEqual(other.status, 422, other)
        self.assertIn("key_reused", problem_of(other)["type"])
        self.assertIn("Idempotency-Key", problem_of(other)["detail"])

    def test_fields_are_named_as_they_were_sent(self):
        alone = self.tribe.post(MEMORIES, {"content": unique("alone"), "supersedes": "nobody"})
        self.assertIn('"supersedes"', problem_of(alone)["detail"])
        listed = self.tribe.post(MEMORIES, [{"content": unique("a")}, {"content": unique("b"), "supersedes": "nobody"}])
        self.assertIn('"[1].supersedes"', problem_of(listed)["detail"])

    def test_unknown_id_is_404(self):
        answer = self.tribe.get(f"{MEMORIES}/no-such-id")
        self.assertEqual(answer.status, 404, answer)
        problem_of(answer)

    def test_sacred(self):
        memory_id, = self.tribe.remember(unique("never forget"), sacred=True)
        memory = self.tribe.get(f"{MEMORIES}/{memory_id}").json()
        self.assertIs(memory["sacred"], True)
        self.assertGreaterEqual(memory["temperature"], 40)

    def test_superseded_ranks_below(self):
        word = "w" + uuid.uuid4().hex
        old, = self.tribe.remember(f"The {word} meeting is on Monday.")
        new, = self.tribe.remember(f"The {word} meeting is on Thursday.", supersedes=old)
        found = self.tribe.get(f"{MEMORIES}?q={word}+meeting").json()["memories"]
        self.assertEqual([memory["id"] for memory in found], [new, old])
        self.assertEqual(self.tribe.get(f"{MEMORIES}/{old}").json()["superseded_by"], new)

    def test_request_id_is_echoed(self):
        answer = self.tribe.get("/healthz", headers={"X-Request-Id": "trace-1.2_3"})
        self.assertEqual(answer.headers["X-Request-Id"], "trace-1.2_3")
        self.assertTrue(self.tribe.get("/healthz").headers["X-Request-Id"])


class Recall(TribeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ids = cls.tribe.remember(
            "The bridge over the Wupper was painted green in spring.",
            "Otters were seen below the weir at dusk.",
            "The baker sells rye loaves on Saturdays.",
            source="walks", tags=["walk"])
        cls.noise = cls.tribe.remember(*[f"Entry {n} about nothing in particular." for n in range(30)], source="noise")

    def recall(self, query):
        answer = self.tribe.get(f"{MEMORIES}?{query}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["memories"]

    def test_best_first(self):
        found = self.recall("q=otters+weir")
        self.assertEqual(found[0]["id"], self.ids[1])
        for field in ("content", "score", "temperature", "stage"):
            self.assertIn(field, found[0])
        scores = [memory["score"] for memory in found]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_stems(self):
        self.assertEqual(self.recall("q=painting+bridges")[0]["id"], self.ids[0])

    def test_operators_are_only_words(self):
        for query in ("otters%22", "otters%20AND", "NEAR(otters", "otters*", "content:otters", "-otters%20%5E", "%28%29"):
            self.recall("q=" + query)  # 200, whatever it finds
        self.assertEqual(self.recall("q=%22otters")[0]["id"], self.ids[1])

    def test_filters_and_limit(self):
        self.assertEqual(len(self.recall("q=entry+nothing&limit=7")), 7)
        self.assertEqual({memory["source"] for memory in self.recall("q=the&source=walks&limit=200")} - {"walks"}, set())
        self.assertEqual({memory["id"] for memory in self.recall("tag=walk")}, set(self.ids))
        self.assertEqual(self.recall("q=otters&source=noise"), [])
        self.assertEqual(self.recall("min_temperature=99.5"), [])

    def test_pages_cover_everything_once(self):
        seen, cursor = [], ""
        for _ in range(100):
            answer = self.tribe.get(f"{MEMORIES}?source=noise&limit=7&touch=false{cursor}").json()
            seen += [memory["id"] for memory in answer["memories"]]
            if not answer.get("next_cursor"):
                break
            cursor = "&cursor=" + answer["next_cursor"]
        self.assertEqual(sorted(seen), sorted(self.noise))

    def test_wrong_parameters_are_named(self):
        for query, field in (("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("min_temperature=hot", "min_temperature"),
                             ("before=yesterday", "before"), ("colour=red", "colour"), ("limit=1&limit=2", "limit")):
            answer = self.tribe.get(f"{MEMORIES}?{query}")
            self.assertIn(answer.status, (400, 422), (query, answer))
            self.assertIn(field, problem_of(answer)["detail"], query)

    def test_a_touch_counts_once_an_hour(self):
        memory_id, = self.tribe.remember(unique("touch me"))
        for _ in range(3):
            self.assertEqual(self.tribe.get(f"{MEMORIES}/{memory_id}").status, 200)
        # the notes of accesses go with the next commit: this one
        self.tribe.remember(unique("a commit"))
        count = self.tribe.get(f"{MEMORIES}/{memory_id}?touch=false").json()["access_count"]
        self.assertLessEqual(count, 2)


class Ask(TribeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ids = cls.tribe.remember(
            "Marta keeps the spare key under the third flower pot. The pots stand beside the shed.",
            "The boiler was serviced in October by Heinrich from Solingen.",
            "Bees swarm in May when the linden trees bloom.",
            source="house")

    def ask(self, question, **more):
        answer = self.tribe.post("/api/v1/ask", dict(more, question=question))
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_right_source_and_a_citing_answer(self):
        for question, n, words in (("Where does Marta keep the spare key?", 0, "third flower pot"),
                                   ("Who serviced the boiler?", 1, "Heinrich"),
                                   ("When do bees swarm?", 2, "in May")):
            body = self.ask(question)
            self.assertEqual(body["sources"][0]["id"], self.ids[n], body)
            self.assertEqual(body["memory_id"], self.ids[n])
            self.assertIn(words, body["answer"])
            self.assertIn("[1]", body["answer"], "the source is cited")
            self.assertEqual(body["synthesis"], "extractive")
            self.assertTrue(0 < body["confidence"] <= 1, body)
            self.assertTrue(body["confidence_basis"])
            self.assertEqual(body["degraded"], [])
            self.assertIn("request_id", body)
            self.assertRegex(body["timestamp"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d.*Z$")
            for field in ("id", "content", "score", "temperature"):
                self.assertIn(field, body["sources"][0])

    def test_nothing_found_says_so(self):
        body = self.ask("xylophone quasar zymurgy?")
        self.assertEqual(body["confidence"], 0)
        self.assertEqual(body["sources"], [])
        self.assertTrue(body["answer"])
        self.assertIsNone(body.get("memory_id"))

    def test_limit_and_detail(self):
        self.assertLessEqual(len(self.ask("Where are key, boiler and bees?", limit=1)["sources"]), 1)
        for detail in ("concise", "summary", "full"):
            self.ask("Where is the key?", detail=detail)
        answer = self.tribe.post("/api/v1/ask", {"question": "x", "detail": "epic"})
        self.assertEqual(answer.status, 422, answer)
        self.assertIn("detail", problem_of(answer)["detail"])

    def test_length_of_a_question(self):
        self.ask("\u00e4" * 1000)
        for question in ("", "x" * 1001):
            answer = self.tribe.post("/api/v1/ask", {"question": question})
            self.assertEqual(answer.status, 422, answer)
            self.assertIn("question", problem_of(answer)["detail"])


class Durable(unittest.TestCase):
    def test_figures_decisions_and_a_restart(self):
        with Tribe() as tribe:
            ids = tribe.remember(*[f"Fact {n} of the almanac." for n in range(25)], source="almanac")
            sacred = tribe.remember("The well must not run dry.", "The fire is kept.", sacred=True)
            answer = tribe.post("/api/v1/decisions", {"text": "We paint the fence on Friday.", "by": "council"})
            self.assertIn(answer.status, (200, 201), answer)
            decision = answer.json().get("decision", answer.json())
            second = tribe.post("/api/v1/decisions", {"text": "We buy paint first.", "by": "council"}).json()
            second = second.get("decision", second)

            def figures():
                body = tribe.get("/api/v1/thermal").json()
                self.assertEqual(body["total_memories"], 29)
                self.assertEqual(sum(body["stages"].values()), 29)
                self.assertEqual(set(body["stages"]), {"white_hot", "red_hot", "warm", "cool", "cold", "ember"})
                self.assertEqual(sum(bin_["count"] for bin_ in body["histogram"]), 29)
                self.assertEqual(body["sacred_count"], 2)
                self.assertGreaterEqual(body["sacred_min_temperature"], 40)
                self.assertTrue(39 <= body["average_temperature"] <= 60, body)
                return body

            def decisions(query=""):
                answer = tribe.get("/api/v1/decisions" + query)
                self.assertEqual(answer.status, 200, answer)
                return answer.json()["decisions"]

            figures()
            self.assertEqual([item["text"] for item in decisions()], ["We buy paint first.", "We paint the fence on Friday."])
            self.assertEqual([item["id"] for item in decisions("?limit=1")], [second["id"]])
            self.assertEqual(decisions("?since=2999-01-01T00:00:00Z"), [])
            memory = tribe.get(f"{MEMORIES}/{decision['memory_id']}").json()
            self.assertIn("decision", memory["tags"])
            self.assertEqual(memory["source"], "council")
            self.assertEqual(memory["content"], "We paint the fence on Friday.")
            before = {i: tribe.get(f"{MEMORIES}/{i}?touch=false").json() for i in ids + sacred}

            self.assertEqual(tribe.stop(), 0)
            tribe.start()

            figures()
            self.assertEqual(len(decisions()), 2)
            for memory_id, old in before.items():
                new = tribe.get(f"{MEMORIES}/{memory_id}?touch=false").json()
                self.assertEqual(new["content"], old["content"])
                self.assertEqual(new["created_at"], old["created_at"])
                self.assertAlmostEqual(new["temperature"], old["temperature"], places=1)
            self.assertEqual(tribe.get(f"{MEMORIES}?q=well+dry").json()["memories"][0]["id"], sacred[0])


if __name__ == "__main__":
    main()
