"""Text about a person is caught by its shape; codes, dates and ids are not."""

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.privacy import is_cpf, looks_personal

NINE_DIGITS = st.lists(st.integers(0, 9), min_size=9, max_size=9).filter(lambda n: len(set(n)) > 1)
AREA = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda two: f"{two[0]}{two[1]}")
FOUR = st.integers(0, 9999).map("{:04d}".format)


def cpf_of(nine: list[int]) -> str:
    """The CPF that begins with nine digits, by the rule as it is usually taught: weights 10 to 2
    and then 11 to 2; a remainder below 2 gives 0, else 11 less the remainder."""
    digits = list(nine)
    for _ in range(2):
        weights = range(len(digits) + 1, 1, -1)
        rest = sum(d * w for d, w in zip(digits, weights, strict=True)) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, digits))


def grouped(cpf: str, dot: str, dash: str) -> str:
    return f"{cpf[:3]}{dot}{cpf[3:6]}{dot}{cpf[6:9]}{dash}{cpf[9:]}"


@given(
    NINE_DIGITS,
    st.sampled_from([("", ""), (".", "-"), (" ", " "), ("-", "-"), (".", ".")]),
    st.sampled_from(["{}", "aluna {}", "CPF:{}.", "({})", "mãe {}, pai", "cpf{}"]),
)
def test_every_cpf_is_caught_with_or_without_its_marks_and_in_a_text(
    nine: list[int], marks: tuple[str, str], around: str
) -> None:
    assert looks_personal(around.format(grouped(cpf_of(nine), *marks)))


@given(NINE_DIGITS, st.integers(0, 98))
def test_other_digits_than_the_two_check_digits_are_no_cpf(nine: list[int], other: int) -> None:
    right = cpf_of(nine)
    wrong = f"{(int(right[9:]) + 1 + other) % 100:02d}"
    assert is_cpf(right)
    assert not is_cpf(right[:9] + wrong)
    assert looks_personal(grouped(right[:9] + wrong, ".", "-"))


@given(
    AREA,
    FOUR,
    FOUR,
    st.sampled_from(
        [
            *("{a}9{b}{c}", "({a}) 9{b}-{c}", "({a})9{b}{c}", "{a} 9{b}-{c}", "{a} 9 {b}-{c}"),
            *(
                "+55 {a} 9{b}-{c}",
                "+55{a}9{b}{c}",
                "+55 ({a}) 9{b} {c}",
                "0{a} 9{b}-{c}",
                "9{b}-{c}",
            ),
            *("{a}-9{b}-{c}", "{a} 9{b}{c}"),
        ]
    ),
    st.sampled_from(["{}", "mãe: {}", "fone {} (tia)", "whats:{}"]),
)
def test_every_mobile_phone_is_caught(a: str, b: str, c: str, shape: str, around: str) -> None:
    assert looks_personal(around.format(shape.format(a=a, b=b, c=c)))


@pytest.mark.parametrize(
    "text",
    [
        *("maria@escola.com.br", "Maria <m.silva+x@a-b.org>", "a@b.co", "ana＠exemplo.org"),
        *("１２３.４５６.７８９-０９", "٥٢٩٩٨٢٢٤٧٢٥", "529.982.\u200b247-25", "529–982–247–25"),
        *("529.982.247\u201025", "529\u00a0982\u00a0247\u00a025", "529982247-25", "52998224725.0"),
        *("(11) 3456-7890", "11 3456-7890", "(021) 2345 6789", "+55 (21) 2345-6789"),
        *(
            "+44 20 7946 0958",
            "+1 (555) 123-4567",
            "555-123-4567",
            "(555) 123-4567",
            "+4915112345678",
        ),
        *("req-52998224725", "id_11912345678", "00 55 11 91234-5678", "CPF529.982.247-25"),
    ],
)
def test_what_is_personal_is_caught(text: str) -> None:
    assert looks_personal(text)


@pytest.mark.parametrize(
    "text",
    [
        *("UA", "9E", "N14228", "BR", "pt-BR", "Publica", "Escola Estadual 12 de Outubro", ""),
        *("EMEF 7 de Setembro, 1234", "E.E. Prof. João 2ª unidade", "Turma 11 2025-2026", "12-34"),
        *(
            "2026-11-22",
            "22/11/2026 10:00:00",
            "2026-11-22T10:00:00.123456Z",
            "20261122T100000+0000",
        ),
        *("2026-11-22 10:00:00+00:00", "1763805600", "1763805600123", "2025-2026", "2000-2999"),
        *("1.2.3", "v10.20.30-rc.1", "1.0.0+20261122", "192.168.100.12", "192.168.100.123"),
        *(
            "00:1a:2b:3c:4d:5e",
            "978-3-16-148410-0",
            "12345-678",
            "12.345.678/0001-95",
            "Boeing 737-800",
        ),
        *(
            "123456789",
            "1234567890",
            "123456789012",
            "12345678901234",
            "0.52998224725",
            "-3.11912345678",
        ),
        *("1,234,567,890", "00000000000", "@diretora", "a@localhost", "pacote@1.2.3"),
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_codes_dates_times_versions_and_ids_are_not(text: str) -> None:
    assert not looks_personal(text)


def test_request_ids_made_at_random_are_as_good_as_never_caught() -> None:
    rng = random.Random(5)
    ids = [rng.randbytes(16).hex() for _ in range(20_000)]
    ids += [str(uuid.UUID(bytes=rng.randbytes(16), version=4)) for _ in range(20_000)]
    ids += [f"{rng.randbytes(12).hex()}-{rng.randrange(1000)}" for _ in range(20_000)]
    assert sum(map(looks_personal, ids)) <= 2


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text: str) -> None:
    assert looks_personal(text) in (True, False)
    assert looks_personal(text + " 529.982.247-25")
