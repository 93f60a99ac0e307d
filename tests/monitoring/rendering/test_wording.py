import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.rendering import next_steps
from monitoring.rendering.findings import finding
from monitoring.rendering.wording import CATALOGUES, LANGS, Wording, percent, stamp, worst_first
from registry.state import PROJECT
from tests.monitoring.log.log_rows import record, write
from tests.monitoring.rendering.documents import (
    cause,
    check,
    drift,
    estimate,
    number,
    performance,
    quiet_drift,
)

ENGLISH, PORTUGUESE = Wording("en"), Wording("pt")
KINDS = ("nulls", "unseen", "stuck", "factor", "range", "swapped", "integer", "population")
DRIFT_STEPS = ("nothing", "watch", "fix_data", "retrain_check", "roll_back_check", "more_rows")
PERFORMANCE_STEPS = (
    *("nothing", "watch", "check_labels", "retrain_check"),
    *("roll_back_check", "wait_for_labels", "more_rows"),
)
REASONS = (
    *("breach", "confirmed", "fine", "few_positives"),
    *("no_positives", "no_labels", "labels_doubtful"),
)
CHECKS = (
    *("coverage", "delay", "duplicates", "conflicts"),
    *("orphans", "base_rate", "one_class", "selective"),
)


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


def test_both_catalogues_have_the_same_keys_and_placeholders() -> None:
    english, portuguese = CATALOGUES["en"], CATALOGUES["pt"]
    assert english.keys() == portuguese.keys()
    for key, text in english.items():
        assert placeholders(text) == placeholders(portuguese[key]), key
        assert text.strip() == text != "", key
        assert portuguese[key].strip() == portuguese[key] != "", key


def test_a_cause_says_what_since_when_how_often_before_and_which_request() -> None:
    assert ENGLISH.cause(cause()) == (
        "97% of ieg values are 10 × the reference's since 2026-11-20 14:00 UTC (before: 0%); "
        "first request 4f3c2a90b7d14e0c, 2026-11-20 14:03 UTC."
    )
    assert PORTUGUESE.cause(cause(detail={"factor": 0.1}, since_is="day")) == (
        "97% dos valores de ieg são 0,1 × os da referência desde 2026-11-20 (antes: 0%); "
        "primeira requisição 4f3c2a90b7d14e0c, 2026-11-20 14:03 UTC."
    )


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cause_has_a_sentence_with_its_evidence(kind: str, lang: str) -> None:
    found = cause(kind=kind)
    sentence = Wording(lang).cause(found)
    shown = {"unseen": ["PUBLICA "], "stuck": ["7"], "range": ["0", "10"], "swapped": ["ida"]}
    for evidence in ["ieg", *shown.get(kind, []), *["97%"] * (kind != "population")]:
        assert evidence in sentence
    sparse = cause(
        kind=kind, since=None, first_request=None, first_at=None, trend=None, score_shift=None,
        score_moved=None,
    )  # fmt: skip
    assert "None" not in Wording(lang).cause(sparse)
    assert Wording(lang).effect(sparse) == ""


def test_levels_that_were_withheld_leave_no_empty_brackets() -> None:
    withheld = cause(kind="unseen", detail={"levels": []}, first_at=None)
    assert ENGLISH.cause(withheld) == (
        "97% of ieg values are levels never seen in training since 2026-11-20 14:00 UTC "
        "(before: 0%)."
    )
    assert PORTUGUESE.cause(withheld) == (
        "97% dos valores de ieg são níveis nunca vistos no treino desde 2026-11-20 14:00 UTC "
        "(antes: 0%)."
    )


@pytest.mark.parametrize("words", [ENGLISH, PORTUGUESE], ids=LANGS)
def test_rows_that_name_no_entity_are_counted_and_explained(words: Wording) -> None:
    note = words.entity_note(drift(rows_without_entity=120))
    assert note.startswith(("120 of 500 rows", "120 de 500 linhas"))
    assert "DATATHON_ENTITY_SECRET" in note
    assert words.entity_note(drift()) == ""
    older = {key: value for key, value in drift().items() if key != "rows_without_entity"}
    assert words.entity_note(older) == ""


def test_a_cause_whose_effect_is_not_known_reads_well() -> None:
    unknown = cause(score_moved=None, score_shift=None, share_before=None)
    assert ENGLISH.effect(unknown) == "It is growing."
    assert PORTUGUESE.effect(unknown) == "Está crescendo."
    assert "14:00 UTC; first request" in ENGLISH.cause(unknown)


def test_a_cause_says_what_it_does_to_the_score() -> None:
    effect = ENGLISH.effect(cause(trend="falling", score_moved=0.0519, score_shift=-0.031))
    assert effect == (
        "It is fading. It moves a row's score by 0.052 on average. "
        "It moves the mean score by -0.031."
    )


@pytest.mark.parametrize("shift", [-0.0004, 0.0, 0.0004])
def test_a_mean_score_that_does_not_move_is_not_mentioned(shift: float) -> None:
    effect = ENGLISH.effect(cause(trend=None, score_moved=0.02, score_shift=shift))
    assert effect == "It moves a row's score by 0.020 on average."
    still = ENGLISH.effect(cause(trend=None, score_moved=abs(shift), score_shift=shift))
    assert still == "It hardly moves the score."


def test_a_mean_score_that_moves_a_thousandth_is_mentioned() -> None:
    effect = PORTUGUESE.effect(cause(trend=None, score_moved=None, score_shift=-0.0006))
    assert effect == "Muda o score médio em -0,001."


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, ["ieg and the score", "data bug in ieg", "0.68 (0.64 to 0.72)", "0.76"]),
        ({"status": "yellow", "causes": []}, ["ips"]),
        ({"causes": [cause("ips", "population")]}, ["another population"]),
        ({"status": "inconclusive"}, ["500 rows", "480 entities"]),
    ],
)
def test_the_drift_verdict_names_what_drifted(changes: Any, parts: list[str]) -> None:
    verdict = ENGLISH.verdict(drift(**changes))
    assert [part for part in parts if part not in verdict] == []


def test_the_verdict_says_when_only_all_features_together_differ() -> None:
    joint = drift()["multivariate"] | {"status": "red"}
    verdict = ENGLISH.verdict(quiet_drift(status="red", multivariate=joint))
    assert "together, more than any single one shows" in verdict


@pytest.mark.parametrize("words", [ENGLISH, PORTUGUESE], ids=LANGS)
def test_a_coloured_feature_is_named_where_all_together_are_worse(words: Wording) -> None:
    features = [number("ida", 0.02, "green"), number("ips", 0.19, "yellow")]
    document = quiet_drift(status="red", features=features, next_step="watch")
    verdict = words.verdict(document)
    assert "ips" in verdict
    assert "ida" not in verdict
    assert words("verdict.drift.together") not in verdict
    assert "ips" in next_steps.sentence(document, words)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_the_performance_status_has_a_verdict(reason: str, lang: str) -> None:
    words = Wording(lang)
    undefined = performance(reason=reason, metrics={"recall": estimate(None)})
    assert "None" not in words.verdict(undefined)
    if reason in ("breach", "confirmed", "fine", "few_positives"):
        figures = words.verdict(performance(reason=reason)), words.verdict(undefined)
        assert words.number(0.66) in figures[0]
        assert words("figure.undefined") in figures[1]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", CHECKS)
def test_every_label_check_has_a_finding_with_and_without_labels(name: str, lang: str) -> None:
    words, labels = Wording(lang), performance()["labels"]
    nothing = labels | dict.fromkeys(("coverage", "delay_days", "base_rate"))
    for known in (labels, nothing):
        for keys in ((), ("early", "contradicted", "score_labelled", "score_unlabelled")):
            detail: dict[str, Any] = dict.fromkeys(keys)
            if name == "coverage":
                detail = {"due": 90 * len(keys), "labelled": 80 * len(keys), "coverage": 0.9}
            assert "None" not in finding({"name": name, "detail": detail}, known, words)


def test_a_label_of_the_same_day_takes_0_days() -> None:
    labels = performance()["labels"] | {"delay_days": {"median": -0.3, "p95": 0.2}}
    assert finding(check("delay"), labels, ENGLISH) == "half arrive within 0 days, 95% within 0"


def test_findings_say_what_only_the_checks_detail_knows() -> None:
    labels = performance()["labels"]
    assert "3% were known" in finding(check("delay", "warn", early=0.03), labels, ENGLISH)
    assert "2% have another" in finding(check("duplicates", contradicted=0.02), labels, ENGLISH)
    scores = check("selective", score_labelled=0.46, score_unlabelled=0.31)
    assert "0,46 com rótulo, 0,31 sem" in finding(scores, labels, PORTUGUESE)


def test_doubtful_labels_are_named_by_the_checks_that_failed() -> None:
    document = performance(reason="labels_doubtful")
    assert "orphans and selection" in ENGLISH.verdict(document)
    document["labels"]["checks"][0]["status"] = "fail"
    assert "(coverage)" in ENGLISH.verdict(document)


def test_prose_takes_the_decimal_mark_of_the_language() -> None:
    assert (ENGLISH.number(0.66), PORTUGUESE.number(0.66)) == ("0.66", "0,66")
    assert (ENGLISH.percent(0.125), PORTUGUESE.percent(0.125)) == ("12.5%", "12,5%")


@given(st.floats(0, 1))
def test_a_percentage_is_near_and_never_says_all_or_nothing_of_a_part(share: float) -> None:
    text = percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)
    assert abs(float(text.strip("<>%")) - share * 100) <= 0.1


@pytest.mark.parametrize(
    "text", ["2026-11-20T14:03:59", "2026-11-20T14:03:59Z", "2026-11-20T11:03:59-03:00"]
)
def test_times_are_shown_in_utc_and_a_naive_one_is_utc(text: str) -> None:
    assert stamp(text) == "2026-11-20 14:03 UTC"


def test_many_names_are_counted() -> None:
    assert ENGLISH.names(["a", "b", "c", "d"]) == "a, b, c and d"
    assert ENGLISH.names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert PORTUGUESE.names(["a", "b"]) == "a e b"


def test_features_are_ranked_by_colour_and_then_by_psi_above_noise() -> None:
    names = [feature["name"] for feature in worst_first(drift()["features"])]
    assert names[:3] == ["ieg", "ips", "idade"]


def steps() -> list[dict[str, Any]]:
    documents = [drift(next_step=step, status="red") for step in DRIFT_STEPS]
    documents += [performance(next_step=step) for step in PERFORMANCE_STEPS]
    return documents + [
        report(next_step="roll_back_check", rollback_to=None) for report in (drift, performance)
    ]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("document", steps(), ids=lambda d: f"{d['kind']} {d['next_step']}")
def test_every_next_step_has_a_sentence_and_something_to_run(document: Any, lang: str) -> None:
    assert len(next_steps.sentence(document, Wording(lang))) > 8
    assert bool(next_steps.commands(document)) == (document["next_step"] != "nothing")


def test_data_bugs_are_looked_for_at_the_features_that_have_them() -> None:
    both = drift(causes=[cause(), cause("ipv", "stuck"), cause("ips", "population")])
    assert "the source of ieg and ipv." in next_steps.sentence(both, ENGLISH)


def test_a_wider_window_is_asked_for_when_rows_are_too_few() -> None:
    (command,) = next_steps.commands(
        drift(next_step="more_rows", start="2026-10-13T10:00:00+00:00")
    )
    assert command.endswith("--last_n_days 82")


def test_labels_are_awaited_for_the_same_window() -> None:
    last = next_steps.commands(performance(next_step="wait_for_labels"))[-1]
    assert "--from 2026-06-01T00:00:00 --to 2026-07-30T00:00:00" in last


@pytest.mark.parametrize("report", [drift, performance])
def test_retraining_is_compared_before_it_is_registered(report: Any) -> None:
    *_, compare, promote = next_steps.commands(
        report(next_step="retrain_check", model_version="v1.0.0", next_version="v1.5.0")
    )
    retrain = "python -m training.retrain --new_version v1.5.0 --data FILE --labels-from-log"
    assert (compare, promote) == (f"{retrain} --dry-run", f"{retrain} --promote")


def test_a_rollback_is_named_only_where_there_is_one() -> None:
    estimated = quiet_drift(next_step="roll_back_check", rollback_to=None)
    recall = performance(next_step="roll_back_check", rollback_to=None)
    for document, instead in ((estimated, "labels import"), (recall, "training.retrain")):
        found = next_steps.commands(document)
        assert found[0] == "python -m registry history"
        assert "rollback" not in " ".join(found)
        assert instead in " ".join(found)
        assert "no earlier good champion" in next_steps.sentence(document, ENGLISH)
        back = next_steps.commands({**document, "rollback_to": "v0.9.0"})
        assert "registry rollback --dry-run" in back[1]
        assert "registry rollback --reason" in back[2]


def commands() -> set[tuple[str, str, str]]:
    """Module, subcommand and flag of every `python -m` command."""
    found = set()
    for document in steps():
        for command in next_steps.commands(document):
            words = shlex.split(command)
            if words[0] == "python":
                sub = words[3] if len(words) > 3 and not words[3].startswith("-") else ""
                flags = [word.partition("=")[0] for word in words if word.startswith("--")] or [
                    "--help"
                ]
                found |= {(words[2], sub, flag) for flag in flags}
    return found


def _program(module: str) -> Any:
    """What `python -m module` runs: of a package, its __main__."""
    found = import_module(module)
    return (import_module(f"{module}.__main__") if hasattr(found, "__path__") else found).main


def test_the_commands_of_the_next_steps_exist_with_their_flags(
    capsys: pytest.CaptureFixture[str],
) -> None:
    helps: dict[tuple[str, str], str] = {}
    for module, sub, flag in sorted(commands()):
        if (module, sub) not in helps:
            main = _program(module)
            with pytest.raises(SystemExit, match="0"):
                main([sub, "--help"] if sub else ["--help"])
            helps[module, sub] = capsys.readouterr().out
        assert flag.replace("_", "-") in helps[module, sub], (module, sub, flag)
    assert len(helps) >= 6


def test_the_first_request_is_found_by_the_command_whatever_its_id(tmp_path: Path) -> None:
    hostile = '\'; touch pwned; echo $(touch pwned) `touch pwned` "é" --help'
    write(
        tmp_path / "inference_log",
        "2026-11-20",
        record(1, ts="2026-11-20T12:00:00.000000Z"),
        record(2, ts="2026-11-20T12:00:00.000000Z", request_id=hostile),
    )
    command = next_steps.commands(drift(causes=[cause(first_request=hostile)]))[0]
    done = subprocess.run(
        ["bash", "-c", f"{command} --json"],
        cwd=PROJECT,
        env={"BENTOML_HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["prediction_id"] == "p-2"
    assert not (PROJECT / "pwned").exists()


def test_no_text_names_a_feature_of_the_first_model() -> None:
    for catalogue in CATALOGUES.values():
        assert not re.search(r"\b(ieg|ips|aluno|student|pupil)\b", " ".join(catalogue.values()))


def test_a_request_id_that_cannot_be_pasted_is_not_looked_for() -> None:
    commands = next_steps.commands(drift(causes=[cause(first_request="\u202ex\x9b2J")]))
    assert [command.split()[0] for command in commands] == ["python"]
