from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from voxengine.errors import ConfigurationError, MissingDependencyError, ModelError
from voxengine.providers.cascade.local import models
from voxengine.providers.cascade.local.catalogue import MODELS, ModelFile, ModelSpec
from voxengine.providers.cascade.local.hibari import HibariTTS
from voxengine.providers.cascade.local.models import (
    MODEL_DIR_VARIABLE,
    all_models,
    file_sha256,
    locate,
)
from voxengine.providers.cascade.local.whisper import WhisperSTT
from voxengine.providers.cascade.local.whisper_models import find_whisper

pytestmark = pytest.mark.models


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    folder = Path(tmp_path)
    monkeypatch.setenv(MODEL_DIR_VARIABLE, str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_models_from_outside(monkeypatch):
    monkeypatch.delenv(MODEL_DIR_VARIABLE, raising=False)


def copy_of(name: str, folder: Path) -> Path:
    """The packaged files of a model, linked where possible, in a folder of the user's own."""
    target = folder / name
    target.mkdir()
    source = locate(name).path
    for file in MODELS[name].files:
        shutil.copy(source / file.name, target / file.name)
    return target


def flip_a_byte(path: Path, at: int = 1000) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    # A file system's clock may be too coarse to show that it changed.
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("name", list(MODELS))
def test_packaged_models_are_the_pinned_ones(name):
    files = locate(name)
    assert files.pinned
    for file in MODELS[name].files:
        assert files.file(file.name).stat().st_size == file.size
    row = models.status(name)
    assert (row.state, row.ok) == ("ok", True)
    assert row.sha256 == MODELS[name].files[0].sha256


def test_a_folder_of_the_users_own_goes_first(monkeypatch, tmp_path):
    folder = copy_of("hibari", tmp_path)
    monkeypatch.setenv(MODEL_DIR_VARIABLE, str(tmp_path))
    assert locate("hibari").path == folder
    assert locate("silero-vad").path != tmp_path / "silero-vad"  # not in it: from the package


@pytest.mark.parametrize(
    ("name", "part"), [("hibari", HibariTTS), ("whisper-tiny.en", WhisperSTT)], ids=["tts", "stt"]
)
def test_one_wrong_byte_is_found_before_the_model_is_used(monkeypatch, tmp_path, name, part):
    file = copy_of(name, tmp_path) / MODELS[name].files[0].name
    monkeypatch.setenv(MODEL_DIR_VARIABLE, str(tmp_path))
    locate(name)
    flip_a_byte(file)
    found, expected = file_sha256(file)[:12], MODELS[name].files[0].sha256[:12]
    with pytest.raises(ModelError, match="corrupted") as caught:
        asyncio.run(part().load())
    for word in (str(file), found, expected, MODEL_DIR_VARIABLE, "replace it"):
        assert word in str(caught.value)
    assert models.status(name).state == "corrupted"


def test_a_cut_off_download_is_found(own, monkeypatch):
    monkeypatch.delenv(MODEL_DIR_VARIABLE)
    file = copy_of("hibari", own) / "hibari.onnx"
    file.write_bytes(file.read_bytes()[:1000])
    monkeypatch.setenv(MODEL_DIR_VARIABLE, str(own))
    with pytest.raises(ModelError, match=r"\(1000 bytes\) where .* \(7936868 bytes\) was expected"):
        locate("hibari")


def test_a_missing_file_is_named(own):
    (own / "whisper-tiny.en").mkdir()
    with pytest.raises(ModelError, match=r"model\.bin is missing"):
        locate("whisper-tiny.en")
    assert models.status("whisper-tiny.en").state == "missing"


def test_a_missing_package_names_the_extra(monkeypatch):
    def find_spec(name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[local\]'") as caught:
        asyncio.run(WhisperSTT().load())
    assert caught.value.extra == "local"
    assert {row.state for row in all_models()} == {"not installed"}


def test_a_missing_library_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"hibari needs the 'local' extra"):
        asyncio.run(HibariTTS().load())


def test_a_model_dir_that_is_no_folder_is_said_so(monkeypatch):
    monkeypatch.setenv(MODEL_DIR_VARIABLE, "/no/such/place")
    with pytest.raises(ConfigurationError, match="/no/such/place"):
        locate("hibari")
    assert all_models()  # and the doctor still has its table


def test_unknown_model():
    with pytest.raises(ModelError, match=r"available: whisper-tiny\.en"):
        locate("whisper-huge")


def test_folders_without_a_pin_are_shown_as_such(own):
    (own / "whisper-mine").mkdir()
    row = next(row for row in all_models() if row.name == "whisper-mine")
    assert (row.state, row.ok, row.path) == ("not pinned", True, str(own / "whisper-mine"))


def test_a_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"a")
    first = file_sha256(path)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert file_sha256(path) == first
    path.write_bytes(b"ab")
    assert file_sha256(path) != first


def test_every_model_says_whose_it_is():
    for spec in MODELS.values():
        assert isinstance(spec, ModelSpec)
        assert spec.licence
        assert spec.source
        assert all(isinstance(file, ModelFile) and len(file.sha256) == 64 for file in spec.files)


class TestWhisperByName:
    def test_a_folder_by_path_or_name_is_used_without_a_pin(self, own, monkeypatch):
        monkeypatch.delenv(MODEL_DIR_VARIABLE)
        source = locate("whisper-tiny.en").path
        mine = own / "whisper-mine"
        mine.symlink_to(source)
        monkeypatch.setenv(MODEL_DIR_VARIABLE, str(own))
        for name in ("mine", str(mine), "whisper-mine"):
            files = find_whisper(name)
            assert (files.pinned, files.path) == (False, mine)

    def test_an_incomplete_folder_says_what_is_missing(self, own):
        (own / "whisper-base").mkdir()
        (own / "whisper-base" / "model.bin").touch()
        with pytest.raises(ModelError, match=r"config\.json, tokenizer\.json missing"):
            find_whisper("base")

    def test_a_path_that_is_not_there(self):
        with pytest.raises(ModelError, match="not a folder"):
            find_whisper("/no/such/model")

    def test_an_unknown_name_lists_the_known(self):
        with pytest.raises(ModelError, match=r"tiny\.en, tiny, base\.en"):
            find_whisper("enormous")

    def test_the_hub_is_asked_last_and_its_failure_explained(self, monkeypatch):
        asked = []

        def download(name: str, local_files_only: bool = False) -> str:
            asked.append(local_files_only)
            raise OSError("no route to host")

        monkeypatch.setattr("faster_whisper.utils.download_model", download)
        with pytest.raises(ModelError, match="no route to host") as caught:
            asyncio.run(WhisperSTT("base").load())
        assert asked == [True, False]
        assert f"{MODEL_DIR_VARIABLE}/whisper-base" in str(caught.value)
        assert "whisper//path/to/it" in str(caught.value)

    def test_a_model_of_the_hub_that_is_on_this_machine(self, tmp_path, monkeypatch):
        """Whatever its size: the hub's folders of this machine are looked into before the network is."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        repository = tmp_path / "models--mobiuslabsgmbh--faster-whisper-large-v3-turbo"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("abc123")
        snapshot = repository / "snapshots" / "abc123"
        snapshot.mkdir(parents=True)
        packaged = find_whisper("tiny.en")
        for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
            (snapshot / name).symlink_to(packaged.file(name))
        for name in ("large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"):
            found = find_whisper(name)
            assert (found.path, found.pinned) == (snapshot, False)
        with pytest.raises(ModelError, match=r"could not be fetched.*Without a network"):
            find_whisper("small.en")

    def test_files_that_are_no_model(self, own):
        for name in ("model.bin", "config.json", "tokenizer.json"):
            folder = own / "whisper-odd"
            folder.mkdir(exist_ok=True)
            (folder / name).write_text("{}")
        with pytest.raises(ModelError, match="cannot be loaded"):
            asyncio.run(WhisperSTT("odd").load())
