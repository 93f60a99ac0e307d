"""`python -m registry.package`: makes the BentoML model and the Bento of one version in the store
that BENTOML_HOME names, which for `register` is a staging store of its own.

A process of its own, because BentoML reads BENTOML_HOME once and its stores are not atomic.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import bentoml
import yaml

from registry import manifest
from registry.state import BENTO_NAME, PROJECT


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m registry.package")
    parser.add_argument("--artifacts", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--configuration", type=Path, required=True)
    parser.add_argument("--context", type=Path, required=True, help="an empty folder to build in")
    options = parser.parse_args(arguments)
    tag = f"{options.model}:{options.version}"
    with bentoml.models.create(tag, labels={"service": BENTO_NAME}) as model:
        for path in options.artifacts.iterdir():
            if path.name != manifest.HELD_OUT:
                shutil.copyfile(path, model.path_of(path.name))
    bentofile = _context(options.context, options.configuration, tag)
    # `bentoml.build` takes the options one by one; a bentofile is taken whole.
    with contextlib.chdir(options.context):  # BentoML refuses files outside the current folder
        bentoml.bentos.build_bentofile(str(bentofile), version=options.version, build_ctx=".")
    return 0


def _context(folder: Path, configuration: Path, tag: str) -> Path:
    """Copy what bentofile.yaml includes, with the configuration in force, and name the model."""
    recipe = yaml.safe_load((PROJECT / "bentofile.yaml").read_text(encoding="utf-8"))
    for pattern in recipe["include"]:
        for source in PROJECT.glob(pattern):
            target = folder / source.relative_to(PROJECT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(configuration, folder / "configuration.yaml")
    recipe["models"] = [tag]
    bentofile = folder / "bentofile.yaml"
    bentofile.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return bentofile


if __name__ == "__main__":
    sys.exit(main())
