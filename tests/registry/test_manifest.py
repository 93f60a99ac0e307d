import hashlib
import json
from pathlib import Path

import pytest

from registry import loaded, manifest, promotion, verification
from registry.errors import IntegrityError
from registry.state import State
from tests.registry.handmade import MODEL, flip_byte, make_version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_version(State(tmp_path), "v9.0.0")


def rewrite(folder: Path, content: object) -> None:
    (folder / manifest.MANIFEST).write_text(json.dumps(content))


def test_the_manifest_holds_the_sha256_and_size_of_every_file(folder: Path) -> None:
    written = json.loads((folder / "manifest.json").read_bytes())
    assert written["files"] == {
        path.name: {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": len(path.read_bytes()),
        }
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }


def test_the_digest_is_the_sha256_of_the_manifest(folder: Path) -> None:
    content = (folder / "manifest.json").read_bytes()
    assert manifest.digest_of(folder) == "sha256:" + hashlib.sha256(content).hexdigest()


def test_the_bytes_that_were_hashed_are_handed_over(folder: Path) -> None:
    contents = manifest.read_verified(folder, manifest.digest_of(folder))
    assert contents.keys() == set(manifest.REQUIRED)
    assert all((folder / name).read_bytes() == content for name, content in contents.items())


@pytest.mark.parametrize("name", ["model.yaml", manifest.HELD_OUT])
def test_bentomls_own_file_and_held_out_rows_do_not_count(folder: Path, name: str) -> None:
    digest = manifest.digest_of(folder)
    (folder / name).write_text("name: x\n")
    assert name not in manifest.read_verified(folder, held_out=True)
    manifest.write(folder)
    assert manifest.digest_of(folder) == digest


def test_held_out_rows_among_the_files_of_the_store_are_found(tmp_path: Path) -> None:
    state = State(tmp_path)
    folder = make_version(state, "v9.0.0")
    (folder / manifest.HELD_OUT).write_bytes(b"rows of people")
    with pytest.raises(IntegrityError, match=r"held_out\.parquet"):
        manifest.read_verified(folder)
    with pytest.raises(IntegrityError, match=r"held_out\.parquet"):
        loaded.load(folder, "v9.0.0", None, max_rows=1)
    with pytest.raises(IntegrityError, match=r"held_out\.parquet"):
        promotion.promote(state, model=None, version="v9.0.0", reason="x", judge=None)
    found = {finding.what: finding.problem for finding in verification.verify(state, None)}
    assert "held_out.parquet" in (found[f"{MODEL}:v9.0.0"] or "")


@pytest.mark.parametrize("name", [*manifest.REQUIRED])
def test_a_flipped_byte_is_found_and_named(folder: Path, name: str) -> None:
    flip_byte(folder / name)
    with pytest.raises(IntegrityError, match=name) as caught:
        manifest.read_verified(folder)
    assert caught.value.exit_code == 6


def test_a_change_with_a_new_manifest_is_found_by_the_digest(folder: Path) -> None:
    promoted = manifest.digest_of(folder)
    flip_byte(folder / "pipeline.skops")
    manifest.write(folder)
    manifest.read_verified(folder)
    with pytest.raises(IntegrityError, match="not the one that was promoted"):
        manifest.read_verified(folder, promoted)


@pytest.mark.parametrize("name", ["pipeline.skops", "golden.json"])
def test_a_missing_file_is_found_and_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        manifest.read_verified(folder)
    manifest.write(folder)
    with pytest.raises(IntegrityError, match=name):
        manifest.read_verified(folder)


@pytest.mark.parametrize("name", ["extra.py", ".hidden", "folder"])
def test_a_file_that_the_manifest_does_not_name_is_found(folder: Path, name: str) -> None:
    path = folder / name
    path.mkdir() if name == "folder" else path.write_text("x")
    with pytest.raises(IntegrityError, match=name):
        manifest.read_verified(folder)


def test_a_folder_in_place_of_a_file_is_found(folder: Path) -> None:
    (folder / "schema.json").unlink()
    (folder / "schema.json").mkdir()
    with pytest.raises(IntegrityError, match=r"schema\.json"):
        manifest.read_verified(folder)


def test_a_manifest_cannot_name_a_file_elsewhere(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_bytes())
    outside = folder.parent / "outside"
    outside.write_text("x")
    facts = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}
    rewrite(folder, content | {"files": content["files"] | {"../outside": facts}})
    with pytest.raises(IntegrityError, match="disagree about"):
        manifest.read_verified(folder)


@pytest.mark.parametrize(
    "content",
    [[], {}, None, 3, {"files": []}, {"files": {"a": 1}}, {"files": {"a": {}}}, {"files": None}],
)
def test_what_is_no_manifest_is_refused(folder: Path, content: object) -> None:
    rewrite(folder, content)
    with pytest.raises(IntegrityError):
        manifest.read_verified(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"files": {'])
def test_a_torn_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(IntegrityError, match="not a manifest"):
        manifest.read_verified(folder)


def test_no_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    for read in (manifest.read_verified, manifest.digest_of):
        with pytest.raises(IntegrityError, match=r"no readable manifest\.json"):
            read(folder)
