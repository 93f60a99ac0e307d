"""A fitted pipeline as skops bytes: no pickle, a fixed list of trusted types, the same bytes for
the same model.

To trust one more type, read what its constructor does with attacker-chosen arguments first; the
list is reviewed, never taken from the file that is being loaded.
"""

import io
import json
import zipfile
from typing import Any

import skops.io

from registry.errors import IntegrityError

TRUSTED = (
    "functools.partial",
    "numpy.dtype",
    "registry.pipeline.PrepareColumns",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump(pipeline: Any) -> bytes:
    """Serialize a fitted pipeline.

    Raises:
        ValueError: it holds a type that `load` would refuse.
    """
    content = _canonical(skops.io.dumps(pipeline))
    untrusted = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED)
    if untrusted:
        raise ValueError(f"types outside the trust list: {', '.join(sorted(untrusted))}")
    return content


def load(content: bytes) -> Any:
    """Rebuild a pipeline from bytes whose sha256 was checked.

    Raises:
        IntegrityError: the bytes are no skops file, or hold a type outside the trust list.
    """
    try:
        return skops.io.loads(content, trusted=list(TRUSTED))
    except Exception as error:  # skops raises many kinds for a crafted or broken file
        words = " ".join(str(error).split())[:300]
        raise IntegrityError(f"the pipeline cannot be loaded: {words}") from error


def _canonical(content: bytes) -> bytes:
    """Number objects by appearance and drop times: skops uses memory addresses and the clock."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        numbers: dict[int, int] = {}
        _renumber(schema, numbers)
        members = {
            _renamed(name, numbers): archive.read(name)
            for name in archive.namelist()
            if name != "schema.json"
        }
    members["schema.json"] = json.dumps(schema).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, members[name])
    return out.getvalue()


def _renumber(node: Any, numbers: dict[int, int]) -> None:
    if isinstance(node, list):
        for item in node:
            _renumber(item, numbers)
    elif isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        for value in node.values():
            _renumber(value, numbers)
        if isinstance(node.get("file"), str):
            node["file"] = _renamed(node["file"], numbers)


def _renamed(name: str, numbers: dict[int, int]) -> str:
    stem, dot, ending = name.partition(".")
    known = stem.isdigit() and int(stem) in numbers
    return f"{numbers[int(stem)]:06d}{dot}{ending}" if known else name
