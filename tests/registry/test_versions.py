import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import UnknownVersionError, UsageError
from registry.versions import Version, check_model_name, unknown_version

NOT_VERSIONS = (
    *("", ".", "..", "/", "latest", "v1", "v1.2", "1.2.0", "V1.2.0", "v1.2.0\n", "\nv1.2.0"),
    *(" v1.2.0", "v1.2.0 ", "v1.2.0.0", "v01.2.0", "v1.2.00", "v-1.2.0", "v1.2.x", "v1,2,0"),
    *("v1.2.0-rc1", "v1.2.0-rc.", "v1.2.0-rc.01", "v1.2.0-rc.1\n", "v1.2.0-beta.1", "v1.2.0+build"),
    *("v1.2.0/..", "../v1.2.0", "v1.2.0\x00", "v\u0661.2.0", "v" + "9" * 400 + ".0.0"),
)
NUMBERS = st.integers(0, 999_999)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS, st.none() | NUMBERS)


@pytest.mark.parametrize("text", NOT_VERSIONS)
def test_anything_but_an_exact_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a version"):
        Version.parse(text)


@given(VERSIONS)
def test_what_is_written_is_read_back(version: Version) -> None:
    assert Version.parse(str(version)) == version


@given(st.text())
def test_what_is_accepted_is_written_the_same(text: str) -> None:
    try:
        version = Version.parse(text)
    except UsageError:
        return
    assert str(version) == text


@given(VERSIONS, VERSIONS)
def test_order_is_that_of_the_numbers_and_a_release_follows_its_candidates(
    a: Version, b: Version
) -> None:
    def key(version: Version) -> tuple[int, ...]:
        released = version.candidate is None
        numbers = (version.major, version.minor, version.patch)
        return (*numbers, int(released), version.candidate or 0)

    assert (a < b) == (key(a) < key(b))
    assert (a == b) == (key(a) == key(b))


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("v1.2.0", "v1.10.0"),
        ("v1.9.9", "v1.10.0"),
        ("v9.0.0", "v10.0.0"),
        ("v1.0.2", "v1.0.11"),
        ("v1.2.0-rc.1", "v1.2.0"),
        ("v1.2.0-rc.2", "v1.2.0-rc.10"),
        ("v1.1.9", "v1.2.0-rc.1"),
    ],
)
def test_versions_are_numbers_not_texts(lower: str, higher: str) -> None:
    assert Version.parse(lower) < Version.parse(higher)
    assert not Version.parse(higher) < Version.parse(lower)


@pytest.mark.parametrize(
    ("wanted", "known", "named"),
    [
        ("v1.2.1", ["v1.2.0", "v2.0.0"], "nearest is v1.2.0"),
        ("v1.1", ["v1.10.0"], "nearest is v1.10.0"),
        ("latest", ["v1.0.0"], "nearest is v1.0.0"),
        ("", ["v1.0.0"], "nearest is v1.0.0"),
        ("v1.0.0", [], "none is registered yet"),
        ("v1.0.0\n", [], r"'v1.0.0\n'"),
    ],
)
def test_an_unknown_version_names_the_nearest_and_exits_3(
    wanted: str, known: list[str], named: str
) -> None:
    error = unknown_version(wanted, map(Version.parse, known))
    assert isinstance(error, UnknownVersionError)
    assert error.exit_code == 3
    assert "\n" not in str(error)
    assert named in str(error)


@pytest.mark.parametrize("name", ["a", "defasagem-risk", "m.2_x", "a" * 63])
def test_a_models_name_is_one_that_bentoml_keeps(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "-a", "a-", ".a", "Risk", "a b", "a\n", "é", "a" * 64]
)
def test_a_models_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a model's name"):
        check_model_name(name)
