"""The OpenAPI document shows an example of each body, and each is as its schema says."""

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

from waystone.rest_examples import EXAMPLES

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def document(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        return Client().get("/api/v1/schema/?format=json").json()


def bodies(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path} ({operation['operationId']})"
            if "requestBody" in operation:
                yield f"{where}: request", operation["requestBody"]
            for status, response in operation["responses"].items():
                yield f"{where}: {status}", response


def test_every_json_body_has_an_example_that_fits_its_schema(document):
    missing, wrong, seen = [], [], 0
    for where, body in bodies(document):
        for media_type, content in body.get("content", {}).items():
            if "json" not in media_type or "schema" not in content:
                continue
            shown = content.get("examples", {})
            if not shown:
                missing.append(where)
            for example in shown.values():
                seen += 1
                schema = {**content["schema"], "components": document["components"]}
                errors = Draft202012Validator(schema).iter_errors(example["value"])
                wrong += [f"{where}: {error.json_path}: {error.message}" for error in errors]
    assert not missing, "no example in waystone/rest_examples.py: " + "; ".join(missing)
    assert not wrong, "\n".join(wrong)
    assert seen > 40


def test_no_example_is_of_an_operation_that_is_gone(document):
    known = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }
    assert set(EXAMPLES) <= known


def test_operations_say_what_a_token_needs(document):
    security = document["paths"]["/api/v1/characters/"]["post"]["security"]
    assert {"apiToken": ["characters:write"]} in security
    assert all(
        "apiToken" not in entry for entry in document["paths"]["/api/v1/me/tokens/"]["get"]["security"]
    )


def test_answers_tell_of_the_allowance(document):
    answer = document["paths"]["/api/v1/me/"]["get"]["responses"]["200"]
    assert {"RateLimit", "RateLimit-Policy"} <= set(answer["headers"])
    assert "Retry-After" in document["paths"]["/api/v1/me/"]["get"]["responses"]["429"]["headers"]
