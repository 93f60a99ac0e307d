"""A retrained version, judged and promoted as the runbook says: by a person's decision where the
guardrails would refuse it."""

from monitoring.drills.scene import Scene
from monitoring.drills.versions import RETRAINED
from registry.errors import GuardrailError


def retrain(scene: Scene, *rows: str, reason: str) -> None:
    """Make it the champion; `rows` are the flags that say what it is trained on.

    Raises:
        DrillError: the promote did not end as the dry run foretold, or something failed.
    """
    words = ["--new_version", RETRAINED, *rows]
    refused = GuardrailError.exit_code
    judged = scene.python("training.retrain", *words, "--dry-run", expect=(0, refused))
    scene.python("training.retrain", *words, "--promote", expect=judged.exit_code)
    if judged.exit_code == refused:
        forced = ["--version", RETRAINED, "--force", "--reason", reason]
        scene.python("registry", "promote", *forced)
