"""What a verdict says to people, and that it comes back from a line of the history."""

import json

from registry.verdict import Check, points


def test_the_words_for_people() -> None:
    check = Check("recall", 0.793, 0.781, -0.012, -0.034, 0.009, -0.02, "undecided")
    text = "recall 0.793 → 0.781, −1.2 points (−3.4 to +0.9), limit −2.0: undecided"
    assert points(check) == text
    assert Check.from_dict(json.loads(json.dumps(check.to_dict()))) == check
    missing = Check("precision", 0.5, None, None, None, None, None, "fail", "it flags nothing")
    assert points(missing) == "precision 0.500 → undefined: fail (it flags nothing)"
    auc = Check("roc_auc", None, 0.812, None, 0.7411, 0.88, 0.5, "pass")
    assert points(auc) == "ROC-AUC 0.812 (0.741 to 0.880), above 0.500: pass"
    error = Check("calibration", 0.03, 0.03, -0.0, -0.0, 0.0, 0.03, "pass")
    assert points(error).startswith("calibration error 0.030 → 0.030, +0.0 points (+0.0 to +0.0)")
