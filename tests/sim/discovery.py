"""The vendor's discovery documents as judges: of every answer, that its shape is the vendor's."""

import json
import os
import re
from datetime import date, datetime
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import urlsplit

import httplib2

SHARED = Path(os.environ.get("TRUCKROLL_SHARED", Path(__file__).parents[3] / "shared"))
SPECS = SHARED / "vendors" / "specs"
_NUMBERS = {"integer": int, "number": (int, float), "boolean": bool, "string": str}


def document(name):
    """Return a discovery document: "google-calendar" or "google-workspace"."""
    return json.loads((SPECS / f"{name}.json").read_text())


class Judge:
    """Holds answers to a discovery document. `seen` are the methods that were answered."""

    def __init__(self, *documents):
        self.seen = set()
        self._methods = [
            (method, doc["schemas"])
            for doc in documents
            for method in _methods(doc["resources"], doc)
        ]

    def answer(self, method, path, status, body):
        """Raise AssertionError if an answer is not one that the document allows."""
        if status >= 400:
            _is_error(path, status, body)
            return
        found = [
            (one, schemas)
            for one, schemas in self._methods
            if one["httpMethod"] == method and one["expression"].fullmatch(path)
        ]
        assert found, f"{method} {path} is no method of the vendor's"
        # The pattern with the fewest placeholders is meant.
        one, schemas = min(found, key=lambda pair: pair[0]["flatPath"].count("{"))
        self.seen.add(one["id"])
        if "response" not in one:
            assert body.strip() == b"", f"{one['id']} answers nothing, but here: {body[:200]}"
        elif status != 304:
            value = json.loads(body)
            self._holds(schemas, {"$ref": one["response"]["$ref"]}, value, one["id"])

    def _holds(self, schemas, schema, value, where):
        if "$ref" in schema:
            schema = schemas[schema["$ref"]]
        kind = schema.get("type")
        if kind == "any":
            return
        if kind == "object":
            assert isinstance(value, dict), f"{where} is no object: {value!r}"
            for name, one in value.items():
                known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
                assert known, f"{where}.{name} is not known to the vendor"
                self._holds(schemas, known, one, f"{where}.{name}")
        elif kind == "array":
            assert isinstance(value, list), f"{where} is no array: {value!r}"
            for number, one in enumerate(value):
                self._holds(schemas, schema["items"], one, f"{where}[{number}]")
        else:
            assert isinstance(value, _NUMBERS[kind]), f"{where} is no {kind}: {value!r}"
            assert not (kind == "integer" and isinstance(value, bool)), where
            _has_format(schema, value, where)


def _has_format(schema, value, where):
    form = schema.get("format")
    if form == "date":
        date.fromisoformat(value)
    elif form == "date-time":
        assert datetime.fromisoformat(value).tzinfo, f"{where} has no offset: {value}"
    elif form in ("int64", "uint64"):
        int(value)
    if "enum" in schema:
        assert value in schema["enum"], f"{where} is none of the vendor's words: {value}"


def _is_error(path, status, body):
    told = json.loads(body)
    if path.endswith("/token"):
        assert isinstance(told["error"], str)
        return
    error = told["error"]
    assert error["code"] == status
    assert {"domain", "reason", "message"} <= set(error["errors"][0])


def _methods(resources, doc):
    for resource in resources.values():
        for method in resource.get("methods", {}).values():
            path = method["path"]
            whole = "/" + doc["servicePath"] + path
            pieces = re.split(r"\{\+?\w+\}", whole)
            expression = re.compile("[^/]+".join(map(re.escape, pieces)))
            yield {**method, "flatPath": whole, "expression": expression}
        yield from _methods(resource.get("resources", {}), doc)


class JudgedHttp(httplib2.Http):
    """The vendor's client's own HTTP library, with a judge who sees each exchange."""

    def __init__(self, judge, token, system):
        super().__init__(timeout=20)
        self.judge, self.token, self.system = judge, token, system

    def request(self, uri, method="GET", body=None, headers=None, **more):
        headers = {**(headers or {}), "authorization": f"Bearer {self.token}"}
        answer, content = super().request(uri, method=method, body=body, headers=headers, **more)
        path = urlsplit(uri).path.removeprefix(f"/{self.system}")
        if path.startswith("/batch") and answer.status == 200:
            self._judge_parts(headers, body, answer, content)
        else:
            self.judge.answer(method, path, answer.status, content)
        return answer, content

    def _judge_parts(self, headers, body, answer, content):
        raw = body if isinstance(body, bytes) else body.encode()
        asked = _parts(headers["content-type"], raw)
        told = _parts(answer["content-type"], content)
        assert len(asked) == len(told)
        for (request, _), (status, text) in zip(asked, told, strict=True):
            method, target, _ = request.split(" ")
            path = urlsplit(target).path.removeprefix(f"/{self.system}")
            self.judge.answer(method, path, int(status.split(" ")[1]), text)


def _parts(kind, raw):
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw)
    for part in message.get_payload():
        inner = part.get_payload(decode=True).replace(b"\r\n", b"\n")
        head, _, body = inner.partition(b"\n\n")
        yield_head = head.decode().lstrip("\n").split("\n")[0]
        part.first, part.body = yield_head, body
    return [(part.first, part.body) for part in message.get_payload()]
