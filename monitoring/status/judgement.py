"""What is wrong, worst first. Pure.

The limits are those of the alerts in deploy/prometheus/rules.yml, over what one look can see.
"""

from collections.abc import Sequence
from dataclasses import replace

from monitoring.status import model_rules, service_rules, state_rules, storage_rules, traffic_rules
from monitoring.status.facts import Facts, Standing
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
    found = [finding for rule in state_rules.RULES for finding in rule(facts)]
    if state_rules.is_another(facts):  # nothing about the service, and no way back for it
        facts = replace(facts, standing=Standing(facts.standing.home))
    found += [finding for rule in _RULES for finding in rule(facts)]
    return tuple(sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity)))


def status(findings: Sequence[Finding]) -> str:
    """`green`, or how bad the worst is."""
    return findings[0].severity if findings else "green"
