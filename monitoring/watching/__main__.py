"""`python -m monitoring.watching --output DIR`: prometheus.yml, rules.yml, alertmanager.yml for a
place where Prometheus and Alertmanager run by themselves, such as containers."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monitoring.watching import alertmanager, prometheus
from registry import flags
from registry.errors import RegistryError


def main(arguments: Sequence[str] | None = None) -> int:
    """0 written, 1 not, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.watching", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--target", action="append", metavar="HOST:PORT", help="default: 127.0.0.1:8000"
    )
    parser.add_argument("--alertmanager", default="127.0.0.1:9093", metavar="HOST:PORT")
    parser.add_argument(
        "--shared", action="store_true", help="let other users read the webhooks' addresses"
    )
    options = flags.parse(parser, arguments)
    try:
        told = prometheus.target(options.alertmanager)
        content = prometheus.configuration(options.target or ["127.0.0.1:8000"], told)
        rendered = alertmanager.render(os.environ)
        options.output.mkdir(parents=True, exist_ok=True)
        prometheus.write_beside(options.output, content)
        mode = 0o644 if options.shared else 0o600
        alertmanager.write(options.output / "alertmanager.yml", rendered.content, mode=mode)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about=str(options.output))
    for line in rendered.missing:
        print(f"warning: {line}", file=sys.stderr)
    print(f"wrote prometheus.yml, rules.yml and alertmanager.yml to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
