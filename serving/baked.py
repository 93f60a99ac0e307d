"""The model that travels inside a Bento, for where no registry is in reach."""

from pathlib import Path
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException

from registry.worker import Baked


def baked_model(service: Any) -> Baked | None:
    """The exact model that the Bento being served declares; None when serving from source."""
    declared = service.bento.info.models if service.bento is not None else []
    if not declared:
        return None
    tag = str(declared[0].tag)
    try:
        model = bentoml.models.get(tag)
    except BentoMLException:
        return None
    if str(model.tag) != tag:  # BentoML resolves a tag that is not there to a near one
        return None
    return Baked(folder=Path(model.path), version=str(model.tag.version))
