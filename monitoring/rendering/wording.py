"""What reports say, in English and in Portuguese: sentences made of a report's document.

All text stands in two catalogues with the same keys; here figures are put into it. Prose takes the
language's decimal mark, tables keep the point so that figures can be copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from monitoring.rendering.wording_en import TEXTS as ENGLISH
from monitoring.rendering.wording_pt import TEXTS as PORTUGUESE

Document: TypeAlias = Mapping[str, Any]
CATALOGUES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "pt": PORTUGUESE}
LANGS = tuple(CATALOGUES)
_MOST_NAMES = 4


@dataclass(frozen=True)
class Wording:
    """One language: `wording(key, **values)` is the catalogue's text with the values in it."""

    lang: str

    def __call__(self, key: str, **values: object) -> str:
        return CATALOGUES[self.lang][key].format(**values)

    def number(self, value: float | None, digits: int = 2) -> str:
        """A figure in prose, with a decimal comma in Portuguese."""
        return self._mark(figure(value, digits)) if value is not None else self("figure.undefined")

    def shown(self, value: float) -> str:
        """A value of a feature in prose, in as many digits as it needs: 10, 0.1, 7.312."""
        return self._mark(f"{value:.6g}")

    def percent(self, share: float | None) -> str:
        return self("figure.undefined") if share is None else self._mark(percent(share))

    def interval(self, estimate: Document) -> str:
        """`0.66 (0.61 to 0.71)`, or `undefined`."""
        if estimate["value"] is None:
            return self("figure.undefined")
        return self(
            "figure.interval",
            **{key: self.number(estimate[key]) for key in ("value", "low", "high")},
        )

    def names(self, names: Sequence[str]) -> str:
        """`a, b and c`; past four, how many more there are."""
        if not names:
            return self("names.none")
        if len(names) == 1:
            return names[0]
        if len(names) > _MOST_NAMES:
            shown = ", ".join(names[: _MOST_NAMES - 1])
            return self("names.more", names=shown, count=len(names) - _MOST_NAMES + 1)
        return self("names.and", names=", ".join(names[:-1]), last=names[-1])

    def title(self, document: Document) -> str:
        version = document["model_version"]
        return self(f"title.{document['kind']}", model=document["model"], version=version)

    def rows(self, document: Document) -> str:
        """How many rows the report is about."""
        if document["kind"] == "drift":
            sizes = {key: document[key] for key in ("rows", "entities")}
            return self("head.drift_rows", **sizes)
        labels = document["labels"]
        sizes = {key: labels[key] for key in ("due", "labelled")}
        return self("head.performance_rows", rows=labels["predictions"], **sizes)

    def entity_note(self, document: Document) -> str:
        """How many rows name no entity, and what that does; empty where all of them do."""
        count = document.get("rows_without_entity", 0)
        return self("note.entities", count=count, rows=document["rows"]) if count else ""

    def score_note(self, document: Document) -> str:
        """What drift does to the score: its mean, and the share that is flagged."""
        shift = document["score_shift"]
        return self(
            "note.score_shift",
            mean_before=self.number(shift["mean_before"], 3),
            mean_now=self.number(shift["mean_now"], 3),
            flagged_before=self.percent(shift["flagged_before"]),
            flagged_now=self.percent(shift["flagged_now"]),
        )

    def joint_note(self, joint: Document) -> str:
        """The multivariate check in one or two sentences."""
        note = self(
            "note.multivariate",
            auc=self.interval(joint["auc"]),
            status=self.status(joint["status"]),
        )
        if joint["leading"]:
            note += " " + self("note.leading", names=self.names(joint["leading"]))
        return note

    def log_note(self, document: Document) -> str:
        """What of the log is not in the report."""
        log = document["log"]
        return self(
            "note.log",
            torn=log["torn_lines"],
            invalid=log["invalid_lines"],
            others=log["rows_of_other_versions"],
        )

    def estimate_note(self, estimate: Document) -> str:
        """How recall was estimated without labels, and on which assumption."""
        calibrator = self(f"calibrator.{estimate['calibrator']}")
        note = self("note.estimate", rows=estimate["rows"], calibrator=calibrator)
        return f"{note} {self('note.assumption')}"

    def status(self, status: str) -> str:
        return self(f"status.{status}")

    def verdict(self, document: Document) -> str:
        """One to three sentences: what is the matter, what it looks like, what recall comes to."""
        if document["kind"] == "performance":
            return self._performance_verdict(document)
        return " ".join(self._drift_verdict(document))

    def cause(self, cause: Document) -> str:
        """What a feature's values look like, since when, and the first request that shows it."""
        return f"{self._evidence(cause)}{self._since(cause)}{self._first(cause)}."

    def effect(self, cause: Document) -> str:
        """The trend, and what it does to the score; empty where neither is known."""
        parts = [self(f"cause.{cause['trend']}")] if cause["trend"] else []
        moved, shift = cause["score_moved"], cause["score_shift"]
        if moved is not None and _is_seen(moved):
            parts.append(self("cause.moved", moved=self.number(moved, 3)))
        elif moved is not None:
            parts.append(self("cause.unmoved"))
        if shift is not None and _is_seen(shift):
            parts.append(self("cause.shift", shift=self._mark(f"{shift:+.3f}")))
        return " ".join(parts)

    def drifting(self, document: Document) -> list[str]:
        """Names of what has the document's status, or else is yellow: features, the score last."""
        return self._having(document, document["status"]) or self._having(document, "yellow")

    def doubtful(self, document: Document) -> str:
        """The label checks that failed, or else those that want a look."""
        checks = document["labels"]["checks"]
        for status in ("fail", "warn"):
            names = [self(f"check.{c['name']}") for c in checks if c["status"] == status]
            if names:
                return self.names(names)
        return self("names.labels")

    def _having(self, document: Document, status: str) -> list[str]:
        names: list[str] = [f["name"] for f in document["features"] if f["status"] == status]
        if document["score"]["status"] == status:
            names.append(self("names.score"))
        return names

    def _drift_verdict(self, document: Document) -> list[str]:
        status, names = document["status"], self.drifting(document)
        key = f"verdict.drift.{status}"
        if status in ("red", "yellow") and not self._having(document, status):
            key = "verdict.drift.also_alone" if names else "verdict.drift.together"
        if document["estimate_below_floor"] and not self._has_drift(document):
            key = "verdict.drift.green"
        sentences = [self(key, **_sizes(document, self.names(names)))]
        bugs = [cause["feature"] for cause in document["causes"] if cause["is_bug"]]
        if bugs:
            sentences.append(self("verdict.bug", names=self.names(bugs)))
        elif document["causes"]:
            sentences.append(self("verdict.population"))
        estimate = document["estimate"]
        if estimate is not None and status != "green":
            key = f"verdict.estimate{'_low' if document['estimate_below_floor'] else ''}"
            training = self.number(estimate["training"].get("recall", {}).get("value"))
            recall = self.interval(estimate["metrics"]["recall"])
            floor = self.number(document["recall_floor"])
            sentences.append(self(key, recall=recall, training=training, floor=floor))
        return sentences

    def _has_drift(self, document: Document) -> bool:
        """Whether a colour of the report is of the rows, and not of the estimate alone."""
        coloured = self._having(document, "red") or self._having(document, "yellow")
        joint = document["multivariate"]
        return bool(coloured) or (joint is not None and joint["status"] in ("red", "yellow"))

    def _performance_verdict(self, document: Document) -> str:
        labels = document["labels"]
        return self(
            f"verdict.performance.{document['reason']}",
            recall=self.interval(document["metrics"]["recall"]),
            floor=self.number(document["recall_floor"]),
            positives=labels["positives"],
            labelled=labels["labelled"],
            rows=labels["predictions"],
            checks=self.doubtful(document),
        )

    def _evidence(self, cause: Document) -> str:
        detail = cause["detail"]
        values: dict[str, Any] = {"feature": cause["feature"]}
        if cause["share"] is not None:
            values["share"] = self.percent(cause["share"])
        if detail.get("levels"):
            levels = ", ".join(f"“{level}”" for level in detail["levels"])
            return self("cause.unseen_levels", levels=levels, **values)
        if "with" in detail:
            values["other"] = detail["with"]
        for key in ("value", "factor", "low", "high"):
            if key in detail:
                known = detail[key]
                values[key] = known if isinstance(known, str) else self.shown(known)
        return self(f"cause.{cause['kind']}", **values)

    def _since(self, cause: Document) -> str:
        parts = []
        if cause["since"] is not None:
            when = stamp(cause["since"])
            when = when[:10] if cause["since_is"] == "day" else when
            parts.append(" " + self("cause.since", when=when))
        if cause["share_before"] is not None and cause["share"] is not None:
            parts.append(f" ({self('cause.before', share=self.percent(cause['share_before']))})")
        return "".join(parts)

    def _first(self, cause: Document) -> str:
        if cause["first_at"] is None:
            return ""
        when = stamp(cause["first_at"])
        if cause["first_request"] is None:
            return "; " + self("cause.first_at", when=when)
        return "; " + self("cause.first", request=cause["first_request"]) + f", {when}"

    def _mark(self, text: str) -> str:
        return text.replace(".", ",") if self.lang == "pt" else text


def figure(value: float | None, digits: int = 2) -> str:
    """A figure of a table: a decimal point in both languages, a dash for what is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def span(estimate: Document, digits: int = 2) -> str:
    """The interval of a metric in a table."""
    if estimate["low"] is None:
        return "–"
    return f"{estimate['low']:.{digits}f}–{estimate['high']:.{digits}f}"


def percent(share: float) -> str:
    """A share of 1 with one decimal at most; never 0% or 100% for what only comes close to it."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def stamp(text: str) -> str:
    """`2026-11-20 14:03 UTC` of an ISO time; a naive one is UTC."""
    at = datetime.fromisoformat(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC"


def worst_first(features: Sequence[Document]) -> list[Document]:
    """By colour, then by how far the PSI is above the noise."""
    order = ("red", "yellow", "inconclusive", "green")
    return sorted(features, key=lambda f: (order.index(f["status"]), f["noise"] - f["psi"]))


def _is_seen(score: float) -> bool:
    """Whether it is more than 0 in the three digits that scores are shown in."""
    return float(f"{score:.3f}") != 0


def _sizes(document: Document, names: str) -> dict[str, object]:
    return {"rows": document["rows"], "entities": document["entities"], "names": names}
