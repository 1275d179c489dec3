"""Hold an exchange with ServiceTitan to the vendor's own specification, both ways.

A request that was accepted has to be a valid one, and every answer has to be one that the
specification knows, without a property more. What the vendor sheet adds stands in EXCEPTIONS.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker

SHARED = Path(os.environ.get("TRUCKROLL_SHARED", Path(__file__).parents[3] / "shared"))
SPEC = SHARED / "vendors" / "specs" / "servicetitan.json"

#: What the specification does not have and the vendor sheet (by section) does.
EXCEPTIONS = {
    "status 401": "3: a bad token or app key; the documents list no doors",
    "status 403": "3: a scope that is missing",
    "status 404": "3: a tenant that is not connected; and a booking provider that is not the app's",
    "status 422": "13: third parties report it where a job or lead names no campaign",
    "status 429": "8: the rate limit",
    "status 302": "4: a download may be a redirect to a signed address",
    "query servicetitanapplicationkey": "3: the app key may also come as a query parameter",
    "body POST /forms/v2/tenant/{tenant}/jobs/{id}/attachments": "4: multipart, not JSON",
    "answer GET /forms/v2/tenant/{tenant}/jobs/{jobId}/attachments": "4: rows without a schema",
}
#: Where the attachments' list has no schema: the envelope and the row of the sheet.
ATTACHMENTS = {
    "type": "object",
    "required": ["page", "pageSize", "hasMore", "data"],
    "properties": {
        "page": {"type": "integer"},
        "pageSize": {"type": "integer"},
        "hasMore": {"type": "boolean"},
        "totalCount": {"type": "integer"},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "fileName", "createdOn"],
                "additionalProperties": False,
                "properties": {
                    "id": {"type": "integer"},
                    "fileName": {"type": "string"},
                    "createdOn": {"type": "string", "format": "date-time"},
                },
            },
        },
    },
    "additionalProperties": False,
}
ERROR = {"$ref": "#/components/schemas/ApiErrorResponse"}


def modern(schema):
    """Return a schema of OpenAPI 3.0 as JSON Schema: null said outright, nothing unknown."""
    if isinstance(schema, list):
        return [modern(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: modern(value) for key, value in schema.items() if key != "nullable"}
    if isinstance(schema.get("properties"), dict):
        plain.setdefault("additionalProperties", False)
    return {"anyOf": [{"type": "null"}, plain]} if schema.get("nullable") is True else plain


class Spec:
    """The specification, and what did not keep to it so far."""

    def __init__(self):
        document = json.loads(SPEC.read_text(encoding="utf-8"))
        self.components = modern(document["components"])
        self.operations = {
            (method.upper(), path): operation
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }
        names = sorted(
            {path for _, path in self.operations}, key=lambda p: p.replace("{", "\uffff")
        )
        self.paths = [(re.compile(re.sub(r"\{\w+\}", "([^/]+)", path)), path) for path in names]
        self.validators = {}
        self.slips = []
        self.seen = set()

    def path_of(self, call):
        """Return the specification's path of a call, None if it has none of that method."""
        for expression, path in self.paths:
            if expression.fullmatch(call.path) and (call.method, path) in self.operations:
                return path
        return None

    def watch_answer(self, call, answer):
        """See one exchange of a foreign client, whose requests are its own affair."""
        self.watch(call, answer, requests=False)

    def watch(self, call, answer, *, requests=True):
        """See one exchange."""
        if call.path == "/connect/token" or call.path.startswith("/blobs/") or answer.fault:
            return
        path = self.path_of(call)
        if path is None:
            if answer.status != 404:
                self.slip(call, f"answered {answer.status}, but there is no such operation")
            return
        operation = self.operations[call.method, path]
        if answer.status < 400:
            self.seen.add((call.method, path))
        if requests and answer.status < 400:
            self.check_path(call, path, operation)
            self.check_query(call, operation)
            self.check_body(call, path, operation)
        self.check_answer(call, path, operation, answer)

    def slip(self, call, text):
        self.slips.append(f"{call.method} {call.path}: {text}")

    def check_path(self, call, path, operation):
        """Hold the parts of the path to their types."""
        expression = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
        parts = expression.fullmatch(call.path).groupdict()
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                value = unquote(parts[parameter["name"]])
                self.check_text(call, parameter, value)

    def check_query(self, call, operation):
        """Hold each query parameter to its type; an unknown one is a slip."""
        known = {
            one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "query"
        }
        for name, value in call.query:
            if f"query {name}" in EXCEPTIONS:
                continue
            if name not in known:
                self.slip(call, f"the query parameter {name} is not known")
            elif value:
                self.check_text(call, known[name], value)

    def check_text(self, call, parameter, text):
        """Hold a text to the schema of a parameter."""
        schema = modern(parameter["schema"])
        kind = parameter["schema"].get("type")
        readers = {
            "integer": int,
            "number": float,
            "boolean": lambda word: {"true": True, "false": False}[word.lower()],
            "array": lambda word: [int(word) if word.isdecimal() else word],
        }
        try:
            value = readers.get(kind, str)(text)
        except (ValueError, KeyError):
            self.slip(call, f"{parameter['name']}={text} is no {kind}")
            return
        self.check(call, f"the parameter {parameter['name']}", schema, value)

    def check_body(self, call, path, operation):
        """Hold an accepted body to its schema."""
        if f"body {call.method} {path}" in EXCEPTIONS:
            return
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            if call.body.strip() not in (b"", b"{}"):
                self.slip(call, "takes no body, but has one")
            return
        self.check(call, "the request", modern(content["schema"]), call.json())

    def check_answer(self, call, path, operation, answer):
        """Hold an answer to its schema; a status that is not listed needs an exception."""
        told = operation["responses"].get(str(answer.status))
        if f"answer {call.method} {path}" in EXCEPTIONS and answer.status == 200:
            self.check(call, "the answer", ATTACHMENTS, json.loads(answer.body))
        elif told is None:
            if f"status {answer.status}" not in EXCEPTIONS:
                self.slip(call, f"the status {answer.status} is not listed")
            elif answer.status >= 400:
                self.check(call, "the error", ERROR, json.loads(answer.body))
        elif content := told.get("content", {}).get("application/json"):
            self.check(call, "the answer", modern(content["schema"]), json.loads(answer.body))
        elif answer.body:
            self.slip(call, f"{answer.status} has no body, but one came")

    def check(self, call, what, schema, value):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            self.validators[key] = Draft202012Validator(
                {**schema, "components": self.components}, format_checker=FormatChecker()
            )
        for error in self.validators[key].iter_errors(value):
            place = "/".join(str(part) for part in error.absolute_path)
            self.slip(call, f"{what} at {place or 'its top'}: {error.message[:300]}")


@cache
def specification():
    """Return the specification, None where the shared material is absent."""
    return Spec() if SPEC.exists() else None
