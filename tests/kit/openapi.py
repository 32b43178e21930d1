"""A running tribe's OpenAPI document as a judge of its answers: every status, type and body must be as the document says.

    contract = Contract(tribe)
    contract.judge("GET", "/api/v1/thermal", tribe.get("/api/v1/thermal"))
"""
import datetime
import json
import re

import jsonschema

PROBLEM = "application/problem+json"
FORMATS = jsonschema.FormatChecker(formats=())
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value):
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value):
        raise ValueError(value)
    datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return True


class Contract:
    def __init__(self, tribe):
        answer = tribe.get("/openapi.json")
        assert answer.status == 200, answer
        self.document = answer.json()
        self.resolver = jsonschema.RefResolver("", self.document)
        self.paths = [(re.compile("^" + re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}")) + "$"), path)
                      for path in self.document["paths"]]
        self.paths.sort(key=lambda pair: "{" in pair[1])
        self.judged = set()  # (method, path, status)

    # -- looking around -----------------------------------------------------------------------------------------------
    def deref(self, what):
        while "$ref" in what:
            what = self.resolver.resolve(what["$ref"])[1]
        return what

    def operations(self):
        """(method, path, operation), in the document's order."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), path, item[method]

    def operation(self, method, path):
        """(path as documented, operation) of a request, None where there is none."""
        path = path.split("?")[0]
        for pattern, documented in self.paths:
            if pattern.match(path) and method.lower() in self.document["paths"][documented]:
                return documented, self.document["paths"][documented][method.lower()]
        return None, None

    def valid(self, schema, value):
        """Raises jsonschema.ValidationError."""
        jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=FORMATS).validate(value)

    # -- judging ------------------------------------------------------------------------------------------------------
    def judge(self, method, path, answer):
        if method in ("HEAD", "OPTIONS"):
            return
        documented, operation = self.operation(method, path)
        kind = (answer.headers.get("Content-Type") or "").split(";")[0]
        if operation is None:
            assert answer.status >= 400 and kind == PROBLEM, (method, path, answer)
            self.valid({"$ref": "#/components/schemas/problem"}, answer.json())
            return
        said = operation["responses"].get(str(answer.status))
        assert said is not None or answer.status in (404, 405, 414, 417, 431, 501, 505), (method, path, "status not documented", answer)
        said = self.deref(said or operation["responses"]["default"])
        content = said.get("content", {})
        assert (kind in content) if content else answer.body == b"", (method, path, kind, answer)
        for name in said.get("headers", {}):
            assert answer.headers.get(name) is not None, (method, path, name, answer.headers)
        if kind.endswith("json"):
            self.valid(content[kind]["schema"], json.loads(answer.body))
        self.judged.add((method, documented, answer.status))
