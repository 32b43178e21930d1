"""/openapi.json: it is OpenAPI 3.1, it has every route and no other, its examples work, and the tribe refuses what it says is refused."""
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
import urllib.parse
import uuid

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "kit"))
from openapi import Contract  # noqa: E402
from tribe import Tribe, TribeCase, main, problem_of  # noqa: E402

ROUTES = os.path.join(HERE, "..", "..", "jrs", "executive", "api", "routes.def")
LATER = "x-later"


def routes():
    """(method, pattern) of every row of routes.def."""
    with open(ROUTES, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.DOTALL)
    return re.findall(r'\bR\(\s*"(\w+)",\s*"([^"]+)"', text)


def meta_schema():
    """The schema of OpenAPI 3.1, from its npm package (tests/integration/openapi/package.json); None where npm cannot bring it."""
    where = os.path.join(os.environ.get("TRIBE_NPM") or os.path.join(HERE, "openapi"), "openapi")
    path = os.path.join(where, "node_modules", "@apidevtools", "openapi-schemas", "schemas", "v3.1", "schema.json")
    if not os.path.exists(path):
        npm = shutil.which("npm")
        if npm is None:
            return None
        os.makedirs(where, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "openapi", name), where)
        subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=where, stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=120, check=False)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f)


class OpenApi(TribeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contract = Contract(cls.tribe)
        cls.document = cls.contract.document
        refused = cls.tribe.post("/api/v1/memories", {"content": "password=" + "kettle" + "4two"})  # or there is nothing in the audit
        assert refused.status == 422, refused

    # -- the document -------------------------------------------------------------------------------------------------
    def test_every_route_and_no_other(self):
        listed = [(method, path) for method, path, _ in self.contract.operations()]
        self.assertEqual(sorted(listed), sorted(routes()))
        self.assertGreater(len(listed), 15)

    def test_it_is_openapi_3_1(self):
        self.assertRegex(self.document["openapi"], r"^3\.1\.\d+$")
        schema = meta_schema()
        if schema is None:
            self.skipTest("npm cannot bring the schema of OpenAPI 3.1 here")
        judge = jsonschema.Draft202012Validator(schema)
        judge.validate(self.document)
        for spoil in (lambda d: d["paths"]["/healthz"]["get"].update(answers={}), lambda d: d.pop("info"),
                      lambda d: d["paths"].update(healthz={}), lambda d: d["paths"]["/readyz"]["get"]["parameters"].append({"in": "body"})):
            broken = json.loads(json.dumps(self.document))
            spoil(broken)
            self.assertFalse(judge.is_valid(broken))

    def test_every_schema_is_one_and_every_reference_leads_somewhere(self):
        def walk(what):
            if isinstance(what, dict):
                if isinstance(what.get("$ref"), str):
                    self.contract.deref(what)
                if isinstance(what.get("schema"), dict):
                    jsonschema.Draft202012Validator.check_schema(what["schema"])
            for value in what.values() if isinstance(what, dict) else what if isinstance(what, list) else ():
                walk(value)
        walk(self.document)
        for schema in self.document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_everything_has_words(self):
        ids = [operation["operationId"] for _, _, operation in self.contract.operations()]
        self.assertEqual(len(ids), len(set(ids)))
        tags = {tag["name"] for tag in self.document["tags"]}
        for method, path, operation in self.contract.operations():
            self.assertTrue(operation["summary"], path)
            self.assertLessEqual(set(operation["tags"]), tags, path)
            for parameter in operation["parameters"]:
                self.assertTrue(self.contract.deref(parameter).get("description"), (method, path, parameter))
        dumb = [f"{name}.{field}" for name, schema in self.document["components"]["schemas"].items() if name != "problem"
                for field, what in schema.get("properties", {}).items() if not what.get("description")]
        self.assertEqual(dumb, [], "jrs/executive/openapi/words.def has no words for these")

    def test_who_may(self):
        for method, path, operation in self.contract.operations():
            if path in ("/healthz", "/readyz"):
                self.assertEqual(operation["security"], [], path)
            elif path.startswith("/api/"):
                self.assertIn(operation["security"][0]["bearer"], ([["read"], ["write"]] if method == "GET" or path.endswith("/ask") else
                                                                  [["write"], ["admin"], ["read"]]) + [["admin"]], path)

    def test_it_is_served_once(self):
        plain = self.tribe.get("/openapi.json")
        packed = self.tribe.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertLess(len(packed.body), len(plain.body) / 4)
        self.assertNotEqual(plain.headers["ETag"], packed.headers["ETag"])
        for answer, headers in ((plain, {}), (packed, {"Accept-Encoding": "gzip"})):
            again = self.tribe.get("/openapi.json", headers=dict(headers, **{"If-None-Match": answer.headers["ETag"]}))
            self.assertEqual((again.status, again.body, again.headers["ETag"]), (304, b"", answer.headers["ETag"]))
            self.assertEqual(again.headers["Vary"], "Accept-Encoding")

    # -- its examples -------------------------------------------------------------------------------------------------
    def request_of(self, path, operation):
        """The request that the examples of an operation make: path with query, body, headers."""
        query = {}
        for parameter in map(self.contract.deref, operation["parameters"]):
            if "example" not in parameter:
                self.assertFalse(parameter.get("required"), (path, parameter))
                continue
            value = parameter["example"]
            self.contract.valid(parameter["schema"], value)
            if parameter["in"] == "path":
                path = path.replace("{%s}" % parameter["name"], urllib.parse.quote(value, safe=""))
            elif parameter["in"] == "query":
                query[parameter["name"]] = json.dumps(value) if isinstance(value, bool) else value
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    def test_examples(self):
        run, order = 0, ("POST", "PUT", "PATCH", "GET", "DELETE")  # first what the others need
        for method, path, operation in self.contract.operations():
            for status, answer in operation["responses"].items():
                for kind, media in self.contract.deref(answer).get("content", {}).items():
                    if "example" in media and kind == "application/json":
                        self.contract.valid(media["schema"], media["example"])
        for method, path, operation in sorted(self.contract.operations(), key=lambda row: order.index(row[0])):
            if not operation.get(LATER) and path != "/api/v1/events" and not path.startswith("/api/v1/tokens"):
                run += self.run_examples(method, path, operation)
        self.assertGreaterEqual(run, 15)

    def test_examples_of_tokens(self):
        """On a tribe of their own: where there is a token everybody needs one."""
        with Tribe() as tribe:
            headers = {}
            for method, path in (("POST", "/api/v1/tokens"), ("GET", "/api/v1/tokens"), ("POST", "/api/v1/tokens/{name}/rotate"),
                                 ("DELETE", "/api/v1/tokens/{name}")):
                operation = self.document["paths"][path][method.lower()]
                body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
                answer = tribe.http(method, self.request_of(path, operation), body, headers=headers)
                self.assertIn(answer.status, (200, 201, 204), answer)
                self.contract.judge(method, path, answer)
                if answer.status == 201:
                    headers = {"Authorization": "Bearer " + answer.json()["token"]}

    def run_examples(self, method, path, operation):
        content = operation.get("requestBody", {}).get("content", {None: {}})
        runs = 0
        for kind, media in content.items():
            body = media.get("example")
            if kind is not None:
                self.assertIsNotNone(body, (method, path, kind))
                self.contract.valid(media["schema"], body)
            headers = {"Content-Type": kind} if kind else {}
            with self.subTest(method=method, path=path, kind=kind):
                answer = self.tribe.http(method, self.request_of(path, operation), body, headers=headers)
                self.assertIn(answer.status, (200, 201, 202, 204), answer)
                self.contract.judge(method, path, answer)
                self.shows(operation, answer)
            runs += 1
        return runs

    def shows(self, operation, answer):
        """Every field of the example answer is in the real one."""
        said = self.contract.deref(operation["responses"][str(answer.status)])
        media = said.get("content", {}).get("application/json", {})

        def compare(shown, real, where):
            if isinstance(shown, dict):
                for key, value in shown.items():
                    self.assertIn(key, real, where)
                    compare(value, real[key], where + "." + key)
            elif isinstance(shown, list) and shown:
                self.assertTrue(real, where)
                compare(shown[0], real[0], where + "[0]")
        if "example" in media:
            compare(media["example"], answer.json(), operation["operationId"])

    # -- its bounds ---------------------------------------------------------------------------------------------------
    def beyond(self, schema):
        """(value that the schema refuses, may it be said in a query?) for each bound."""
        schema = self.contract.deref(schema)
        kind = schema.get("type")
        if "enum" in schema:
            yield "none-of-them", True
        if "maximum" in schema:
            yield schema["maximum"] + (1 if kind == "integer" else 0.001), True
        if "minimum" in schema:
            yield schema["minimum"] - (1 if kind == "integer" else 0.001), True
        if kind == "string" and schema.get("format") != "date-time":
            if "maxLength" in schema:
                yield "x" * (schema["maxLength"] + 1), schema["maxLength"] < 4000
            if schema.get("minLength"):
                yield "", False
        if schema.get("format") == "date-time":
            yield "yesterday", True
        if kind == "array":
            if "maxItems" in schema and schema["maxItems"] <= 100:
                yield ["x"] * (schema["maxItems"] + 1), False
            yield [0], False
        if kind == "boolean":
            yield "perhaps", True
        if kind in ("integer", "number"):
            yield "many", True
        if kind in ("string", "object", "array"):
            yield 7, False

    def test_bodies_beyond_their_bounds_are_refused(self):
        tried = 0
        for method, path, operation in self.contract.operations():
            media = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if media is None:
                continue
            schema = self.contract.deref(media["schema"])
            schema = self.contract.deref(schema["oneOf"][0]) if "oneOf" in schema else schema
            good = dict(media["example"], **({"content": uuid.uuid4().hex} if "content" in media["example"] else {}))
            where = self.request_of(path, operation).split("?")[0]
            bad = [dict(good, surprise=1)] + [{k: v for k, v in good.items() if k != name} for name in schema.get("required", [])]
            bad += [dict(good, **{name: value}) for name, field in schema["properties"].items() for value, _ in self.beyond(field)]
            for body in bad:
                with self.subTest(method=method, path=path, body=str(body)[:160]):
                    with self.assertRaises(jsonschema.ValidationError):
                        self.contract.valid(schema, body)
                    answer = self.tribe.http(method, where, body)
                    self.assertEqual(answer.status, 422, answer)
                    problem_of(answer)
                    tried += 1
        self.assertGreater(tried, 40)

    def test_queries_beyond_their_bounds_are_refused(self):
        tried = 0
        for method, path, operation in self.contract.operations():
            where = self.request_of(path, operation).split("?")[0] if "{name}" not in path else path
            for parameter in map(self.contract.deref, operation["parameters"]):
                if parameter["in"] != "query":
                    continue
                for value, sayable in self.beyond(parameter["schema"]):
                    if not sayable:
                        continue
                    with self.subTest(method=method, path=path, name=parameter["name"], value=str(value)[:40]):
                        answer = self.tribe.http(method, where + "?" + urllib.parse.urlencode({parameter["name"]: value}))
                        self.assertEqual(answer.status, 422, answer)
                        tried += 1
        self.assertGreater(tried, 20)

    def test_what_is_at_its_bound_is_taken(self):
        """The other way round: no bound of the document is narrower than the tribe's."""
        schema = self.contract.deref(self.document["components"]["schemas"]["new_memory"])["properties"]
        for name, value in (("importance", schema["importance"]["maximum"]), ("importance", schema["importance"]["minimum"]),
                            ("content", "x" * schema["content"]["maxLength"]), ("id", uuid.uuid4().hex.ljust(schema["id"]["maxLength"], "i")),
                            ("tags", [f"t{n}" for n in range(schema["tags"]["maxItems"])]), ("source", "s" * schema["source"]["maxLength"])):
            body = {"content": uuid.uuid4().hex, name: value}
            self.contract.valid({"$ref": "#/components/schemas/new_memory"}, body)
            self.assertEqual(self.tribe.post("/api/v1/memories", body).status, 201, name)


if __name__ == "__main__":
    main()
