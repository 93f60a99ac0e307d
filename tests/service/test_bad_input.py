"""Bad input: never a 5xx, never an echo, never a neighbour's trouble."""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.server import Server
from tests.service.rows import cohort_rows, logged, pipeline_scores

pytestmark = pytest.mark.slow

SECRET_WORDS = "Maria 123.456.789-09"
GOOD = cohort_rows(1)[0]


def row(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


def body(*rows: Any) -> bytes:
    return json.dumps({"instances": list(rows)}).encode()


@pytest.fixture(scope="module")
def server(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    import shutil

    home = tmp_path_factory.mktemp("bad-input") / "home"
    shutil.copytree(registered, home)
    with Server(home) as running:
        yield running


CASES: dict[str, tuple[bytes, str | None]] = {
    "empty instances": (body(), "1 to 1000 rows"),
    "1001 rows": (body(*[GOOD] * 1001), "1 to 1000 rows"),
    "unknown feature": (body(row(nome=SECRET_WORDS)), "nome"),
    "unknown feature whose name is personal": (body(row(**{SECRET_WORDS: 1})), "unknown"),
    "text for a number": (body(row(inde=SECRET_WORDS)), "inde"),
    "number for a text": (body(row(genero=7)), "genero"),
    "true for a number": (body(row(inde=True)), "inde"),
    "fraction for an integer": (body(row(fase=2.5)), "fase"),
    "NaN": (body(row(inde=math.nan)), "JSON"),
    "infinity": (body(row(inde=math.inf)), "JSON"),
    "1e400": (body(row(inde=0.5)).replace(b"0.5", b"1e400"), None),
    "10^400 as an integer": (body(row(inde=0.5)).replace(b"0.5", b"1" + b"0" * 400), None),
    "out of the hard range": (body(row(inde=10.1)), "inde"),
    "null in a required feature": (body(row(fase=None)), "fase"),
    "a dict as a value": (body(row(inde={"nome": SECRET_WORDS})), "inde"),
    "a list as a value": (body(row(inde=[SECRET_WORDS])), "inde"),
    "an empty row": (body({}), "fase"),
    "a row that is a list": (body([1, 2]), "object"),
    "a row that is null": (body(None), "object"),
    "a row that is a text": (body(SECRET_WORDS), "object"),
    "a lone surrogate": (b'{"instances":[{"genero":"\\ud800"}]}', None),
    "a text of 10,000 letters": (body(row(genero="x" * 10_000)), "genero"),
    "an entity that is a number": (body(row(entity_id=5)), "entity_id"),
    "a period that is a text": (body(row(period="2025")), "period"),
    "a CPF": (body(row(instituicao=SECRET_WORDS)), "instituicao"),
    "an e-mail": (body(row(genero="Maria@escola.org")), "genero"),
    "a phone": (body(row(genero="Maria: (11) 91234-5678")), "genero"),
    "not JSON": (b"{" + SECRET_WORDS.encode(), "JSON"),
    "not UTF-8": (b'{"instances":"\xff\xfe"}', "JSON"),
    "an empty body": (b"", "JSON"),
    "a bare list": (json.dumps([GOOD]).encode(), "instances"),
    "a bare number": (b"5", "instances"),
    "instances is an object": (b'{"instances":{}}', "list"),
    "instances is null": (b'{"instances":null}', "list"),
    "another key beside instances": (b'{"instances":[],"x":1}', "instances"),
    "nested 100,000 deep": (b"[" * 100_000, "JSON"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_bodies_are_400_with_one_error_object_and_no_echo(server: Server, case: str) -> None:
    content, named = CASES[case]
    answer = server.client.post(
        "/predict", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    error = answer.json()
    assert set(error) == {"error", "detail"}
    assert len(answer.content) < 5000
    assert "Maria" not in answer.text
    assert named is None or named in answer.text
    for problem in error["detail"]:
        assert set(problem) == {"loc", "msg", "type"}
    assert answer.headers["X-Request-ID"]


def test_a_row_of_very_many_unknown_fields_is_refused_at_once(server: Server) -> None:
    """What it costs to refuse must not grow with what somebody cares to send."""
    content = body({f"k{number}": 1 for number in range(300_000)})
    assert len(content) < 4_194_304
    headers = {"Content-Type": "application/json"}
    answer = server.client.post("/predict", content=content, headers=headers)
    assert answer.status_code == 400
    assert len(answer.json()["detail"]) <= 20
    assert len(answer.content) < 5000


def test_every_bad_row_is_named_with_its_fields(server: Server) -> None:
    answer = server.predict([GOOD, row(inde=99), GOOD, row(fase="um", ida=-1)])
    places = {tuple(problem["loc"]) for problem in answer.json()["detail"]}
    assert places == {
        ("instances", 1, "inde"),
        ("instances", 3, "fase"),
        ("instances", 3, "ida"),
    }


@pytest.mark.parametrize(
    "media_type", ["text/plain", "", "application/xml", "application/vnd.bentoml+pickle"]
)
def test_another_content_type_is_415(server: Server, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = server.client.post("/predict", content=body(GOOD), headers=headers)
    assert answer.status_code == 415
    assert set(answer.json()) == {"error", "detail"}


def test_a_body_over_the_limit_is_413_even_when_it_comes_in_chunks(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000_000

    headers = {"Content-Type": "application/json"}
    whole = server.client.post("/predict", content=b" " * 5_000_000, headers=headers)
    assert whole.status_code == 413
    try:
        chunked = server.client.post("/predict", content=chunks(), headers=headers)
        assert chunked.status_code == 413
    except httpx.WriteError:
        pass  # refused while it was still sending
    assert server.predict([GOOD]).status_code == 200


def test_other_paths_and_methods_have_the_same_shape_of_error(server: Server) -> None:
    for method, path, status in (
        ("GET", "/predict", 405),
        ("POST", "/health", 405),
        ("GET", "/nothing", 404),
    ):
        answer = server.client.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "detail"}


def test_a_request_keeps_its_own_id_and_gets_one_when_it_has_none(server: Server) -> None:
    assert server.predict([GOOD], **{"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert len(server.predict([GOOD]).headers["X-Request-ID"]) >= 16
    foul = server.predict([GOOD], **{"X-Request-ID": "a b\x7f" + "c" * 500})
    assert foul.headers["X-Request-ID"] != "a b\x7f" + "c" * 500


def test_what_is_optional_may_be_null_or_left_out(server: Server) -> None:
    optional = {"inde", "genero", "nota_ing", "n_avaliacoes", "ipp"}
    left_out = {name: value for name, value in GOOD.items() if name not in optional}
    nulled = GOOD | dict.fromkeys(optional)
    answer = server.predict([left_out, nulled, {**left_out, "fase": float(GOOD["fase"])}])
    assert answer.status_code == 200
    scores = [prediction["risk_score"] for prediction in answer.json()]
    assert scores[0] == scores[1] == scores[2]


def test_bad_requests_do_not_touch_good_ones_in_the_same_batch(server: Server) -> None:
    rows = cohort_rows(400, seed=3)
    expected = pipeline_scores(server.home, "v1.0.0", rows)
    bad = [content for content, _ in CASES.values() if len(content) < 10_000]

    def send(number: int) -> None:
        if number % 2:
            headers = {"Content-Type": "application/json"}
            content = bad[number // 2 % len(bad)]
            assert (
                server.client.post("/predict", content=content, headers=headers).status_code == 400
            )
        else:
            answer = server.predict([rows[number // 2]])
            assert answer.status_code == 200
            score = answer.json()[0]["risk_score"]
            np.testing.assert_allclose(score, expected[number // 2], rtol=0, atol=1e-9)

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(send, range(2 * len(rows))))


PERSONAL = ("529.982.247-25", "52998224725", "maria@escola.org", "+5511912345678", "11-91234-5678")


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_text_is_refused_and_written_nowhere(server: Server, text: str) -> None:
    answer = server.predict([GOOD, row(instituicao=text)])
    assert answer.status_code == 400
    [problem] = answer.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["instances", 1, "instituicao"], "personal")
    named = {"X-Request-ID": text}
    for renamed in (
        server.predict([GOOD], **named),
        server.client.get("/health", headers=named),
    ):
        assert renamed.status_code == 200
        assert renamed.headers["X-Request-ID"] != text
        assert text not in answer.text + renamed.text
    accepted = server.predict([GOOD], **{"X-Request-ID": "4f1c-1"})
    assert accepted.status_code == 200
    files = [path for path in server.home.rglob("*") if path.is_file() and path.suffix != ".skops"]
    assert any(b"4f1c-1" in path.read_bytes() for path in files)
    assert not [path for path in files if text.encode() in path.read_bytes()]
    assert text not in server.log


def test_a_period_and_an_entity_that_looks_like_a_cpf_are_taken(server: Server) -> None:
    answer = server.predict([row(period=2025.0, entity_id="529.982.247-25")])
    assert answer.status_code == 200
    (record,) = [
        one
        for one in logged(server.home)
        if one["prediction_id"] == answer.json()[0]["prediction_id"]
    ]
    assert record["period"] == 2025


def test_nothing_of_it_is_an_error_in_the_log(server: Server) -> None:
    server.client.post(
        "/predict",
        content=body(row(nome=SECRET_WORDS)),
        headers={"Content-Type": "application/json"},
    )
    levels = [json.loads(line)["level"] for line in server.log.splitlines()]
    assert "INFO" in levels
    assert "ERROR" not in levels
    assert "Maria" not in server.log
