"""What is wrong, worst first. Pure.

The limits are those of the alerts in deploy/prometheus/rules.yml, over what one look can see.
"""

from collections.abc import Sequence

from monitoring.status import model_rules, service_rules, storage_rules, traffic_rules
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding

EXIT_CODES = {"green": 0, "yellow": 10, "red": 20, "inconclusive": 3}
_RULES = (  # what causes failures before the failures
    *(*service_rules.RULES, *storage_rules.RULES),
    *(*traffic_rules.RULES, *model_rules.RULES),
)
_SEVERITIES = ("red", "yellow", "inconclusive")


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Everything that is wrong, empty where there is nothing to do; the equally bad in the order of
    the rules."""
    found = [finding for rule in _RULES for finding in rule(facts)]
    return tuple(sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity)))


def status(findings: Sequence[Finding]) -> str:
    """`green`, or how bad the worst is."""
    return findings[0].severity if findings else "green"
