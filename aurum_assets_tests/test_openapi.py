"""``config/openapi``: current, valid, true of the recordings, and kept to by the simulator."""

import json
from collections.abc import Iterator
from typing import Any

import hypothesis
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aurum_assets import openapi
from aurum_assets.model.operator import Limit
from aurum_assets.operators import DATASETS
from aurum_assets.resources.configuration import Configuration
from aurum_assets.simulator.server import Running, Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.recordings import READABLE, REFUSED, Recording

DOCUMENTS: dict[str, dict[str, Any]] = {
    name: json.loads((openapi.FOLDER / f"{name}.json").read_bytes())
    for name in ("isone", "miso", "pjm")
}
SCHEMAS = {name: schemathesis.openapi.from_dict(schema) for name, schema in DOCUMENTS.items()}
OPERATIONS = [
    (name, found.ok())
    for name, schema in SCHEMAS.items()
    for found in schema.get_all_operations()
    if isinstance(found, Ok)
]
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
KEY_OF_PJM = {"Ocp-Apim-Subscription-Key": "demo-key-of-pjm"}
WHO: list[dict[str, Any]] = [
    {"auth": ("demo", "demo-password"), "headers": KEY_OF_PJM},
    {"headers": {"X-API-Key": "demo-key", **KEY_OF_PJM}},
]
every_operation = pytest.mark.parametrize(
    ("operator", "operation"), OPERATIONS, ids=[f"{n}-{o.path}" for n, o in OPERATIONS]
)
asking = [(n, o) for n, o in OPERATIONS if "parameters" in o.definition.raw]
every_operation_with_parameters = pytest.mark.parametrize(
    ("operator", "operation"), asking, ids=[f"{n}-{o.path}" for n, o in asking]
)
few = hypothesis.settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def operators() -> Iterator[Running]:
    """Both operators at noon, with three priced locations and two nodes."""
    with Simulator(SetClock(NOON), locations=3, nodes=2, limits={}).serve() as running:
        yield running


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_file_is_what_config_and_code_say_now(name: str, configuration: Configuration) -> None:
    path = openapi.FOLDER / f"{name}.json"
    assert path.read_text() == openapi.files(configuration)[path], "run: make openapi"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_file_is_openapi(name: str) -> None:
    validate(DOCUMENTS[name])
    assert DOCUMENTS[name]["openapi"].startswith("3.1")


def test_every_endpoint_and_probe_of_config_is_described(configuration: Configuration) -> None:
    for dataset in DATASETS:
        paths = DOCUMENTS[dataset.operator.name]["paths"]
        for feed in configuration.datasets[dataset.key].feeds:
            asked = [e.path.partition("?")[0] for e in feed.endpoints]
            asked += [feed.probe.path] if feed.probe else []
            assert set(asked) <= set(paths)


def test_shapes_that_nobody_captured_say_where_they_are_from() -> None:
    schemas = DOCUMENTS["isone"]["components"]["schemas"]
    for key in ("isone_generation_by_resource.documented", "isone_ancillary_services.documented"):
        assert "a stand-in of ours" in schemas[key]["description"]
    for key in ("isone_reserve_prices.live", "isone_hourly_system_load.live"):
        assert "fields from the XSD" in schemas[key]["description"]
    assert "live answers stand in" in schemas["isone_da_lmp.documented"]["description"]


def validator(recorded: Recording) -> jsonschema.Draft202012Validator:
    document = DOCUMENTS[recorded.dataset.operator.name]
    name = f"{recorded.dataset.key}.{recorded.dialect}"
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


@pytest.mark.parametrize("recorded", [r for r in READABLE if r.format == "json"], ids=str)
def test_recordings_are_as_described(recorded: Recording) -> None:
    validator(recorded).validate(json.loads(recorded.body))


@pytest.mark.parametrize("recorded", [r for r in REFUSED if r.format == "json"], ids=str)
def test_what_cannot_be_read_is_not_as_described(recorded: Recording) -> None:
    try:
        tree = json.loads(recorded.body)
    except ValueError:
        return
    assert not validator(recorded).is_valid(tree)


@pytest.mark.parametrize("change", ["renamed", "retyped", "other_wrapper"])
def test_a_payload_of_another_shape_is_not_as_described(change: str) -> None:
    recorded = next(r for r in READABLE if str(r) == "isone_rt_lmp-live-ordinary-json")
    spoiled = {
        "renamed": recorded.body.replace(b"BeginDate", b"Begin"),
        "retyped": recorded.body.replace(b'"LmpTotal": ', b'"LmpTotal": "", "_": '),
        "other_wrapper": recorded.body.replace(b"FiveMinLmp", b"HourlyLmp"),
    }[change]
    assert not validator(recorded).is_valid(json.loads(spoiled))


def ordinary(operation: Operation) -> Case:
    """A request with the examples of the parameters that it cannot do without."""
    needed = [p for p in operation.definition.raw.get("parameters", []) if p["required"]]
    path, query = (
        {p["name"]: p["schema"]["examples"][0] for p in needed if p["in"] == place}
        for place in ("path", "query")
    )
    return operation.Case(path_parameters=path, query=query)


@every_operation
def test_the_simulator_answers_as_described(
    operators: Running, operator: str, operation: Operation
) -> None:
    url = operators.urls[operator]
    for who in WHO:
        for accept in operation.definition.raw["responses"]["200"]["content"]:
            headers = {"Accept": accept, **who.get("headers", {})}
            answer = ordinary(operation).call_and_validate(
                base_url=url, headers=headers, auth=who.get("auth"), checks=CHECKS
            )
            assert answer.status_code == 200
            assert answer.headers["content-type"] == [accept]


@every_operation_with_parameters
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
@pytest.mark.slow
def test_whatever_is_asked_the_simulator_answers_or_refuses_as_described(
    operators: Running, operator: str, operation: Operation, mode: GenerationMode
) -> None:
    @few
    @hypothesis.given(case=operation.as_strategy(mode), who=st.sampled_from(WHO))
    def ask(case: Case, who: dict[str, Any]) -> None:
        headers = {"Accept": "application/json", **who.get("headers", {})}
        case.call_and_validate(
            base_url=operators.urls[operator],
            headers=headers,
            auth=who.get("auth"),
            checks=CHECKS,
        )

    ask()


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("field_renamed", "BeginDate"),
        ("field_retyped", "LmpTotal"),
        ("no_data", ""),
        ("html", ""),
        ("500", ""),
    ],
)
def test_an_operator_that_answers_otherwise_is_found_out(
    operators: Running, fault: str, field: str
) -> None:
    operators.simulator.fail(fault, field=field)
    case = SCHEMAS["isone"]["/fiveminutelmp/current"]["GET"].Case()
    headers = {"Accept": "application/json", "X-API-Key": "demo-key"}
    with pytest.raises(BaseExceptionGroup) as caught:
        case.call_and_validate(base_url=operators.urls["isone"], headers=headers, checks=CHECKS)
    assert caught.value.exceptions


@every_operation
def test_only_who_needs_no_account_is_answered_without_one(
    operators: Running, operator: str, operation: Operation
) -> None:
    for headers in ({}, {"X-API-Key": "another"}):
        answer = ordinary(operation).call_and_validate(
            base_url=operators.urls[operator], headers=headers, checks=CHECKS
        )
        assert answer.status_code == {"miso": 200}.get(operator, 401)


@pytest.mark.parametrize("operator", DOCUMENTS)
def test_who_asks_too_often_is_told_so_as_described(operator: str) -> None:
    limits = {operator: [Limit(1, 60)]}
    with Simulator(SetClock(NOON), locations=3, limits=limits).serve() as strict:
        path = {
            "isone": "/locations/all",
            "miso": "/CoordinatedTransactionScheduling",
            "pjm": "/da_hrl_lmps",
        }[operator]
        answers = [
            ordinary(SCHEMAS[operator][path]["GET"]).call_and_validate(
                base_url=strict.urls[operator], checks=CHECKS, **WHO[0]
            )
            for _ in range(2)
        ]
    assert [s.status_code for s in answers] == [200, 429]
    assert "retry-after" in answers[1].headers
