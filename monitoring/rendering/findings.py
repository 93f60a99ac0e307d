"""What each label check found, in words: the counts of the document, and the check's own detail."""

from monitoring.rendering.wording import Document, Wording


def finding(check: Document, labels: Document, words: Wording) -> str:
    """One sentence for a check of the performance document's `labels`."""
    name, detail = check["name"], check["detail"]
    if name == "coverage":
        return _coverage(detail, labels, words)
    if name == "delay":
        return _delay(detail, labels["delay_days"], words)
    if name == "duplicates":
        return _duplicates(detail, labels, words)
    if name == "selective":
        return _selective(detail, words)
    return words(
        f"finding.{name}",
        **{key: labels[key] for key in ("labelled", "conflicts", "orphans", "positives")},
        negatives=labels["labelled"] - labels["positives"],
        base_rate=words.percent(labels["base_rate"]),
        training=words.percent(labels["base_rate_training"]),
    )


def _coverage(detail: Document, labels: Document, words: Wording) -> str:
    if not detail["due"]:
        return words("finding.none_due", labelled=labels["labelled"])
    counts = {"due": int(detail["due"]), "labelled": int(detail["labelled"])}
    return words("finding.coverage", **counts, coverage=words.percent(detail["coverage"]))


def _delay(detail: Document, days: Document | None, words: Wording) -> str:
    if days is None:
        return words("finding.delay_unknown")
    # A label of the same day may have been observed some hours before its prediction: not -0 days.
    spread = {key: words.number(max(0, round(days[key])), 0) for key in ("median", "p95")}
    sentence = words("finding.delay", **spread)
    if not detail.get("early"):
        return sentence
    return f"{sentence}; {words('finding.early', early=words.percent(detail['early']))}"


def _duplicates(detail: Document, labels: Document, words: Wording) -> str:
    sentence = words("finding.duplicates", revised=labels["revised"])
    if not detail.get("contradicted"):
        return sentence
    share = words.percent(detail["contradicted"])
    return f"{sentence}; {words('finding.contradicted', share=share)}"


def _selective(detail: Document, words: Wording) -> str:
    keys = ("score_labelled", "score_unlabelled")
    if any(detail.get(key) is None for key in keys):
        return words("finding.selective_unknown")
    return words("finding.selective", **{key: words.number(detail[key]) for key in keys})
