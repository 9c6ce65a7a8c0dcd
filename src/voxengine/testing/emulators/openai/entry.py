"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

_PLACE = "voxengine.testing.emulators.openai"
_ABOUT = {
    "openai": "OpenAI Realtime",
    "azure": "Azure OpenAI Realtime",
    "xai": "xAI Grok Voice",
    "custom": "an OpenAI-compatible endpoint",
}

ENTRIES = tuple(
    Entry(
        name=name,
        about=about,
        make=f"{_PLACE}.stand:make_{name}",
        judged_by="the types of the openai package"
        + (", and a declared list of differences: xAI publishes none" if name == "xai" else ""),
        needs="openai",
        judge=f"{_PLACE}.stand:judge_of_{'xai' if name == 'xai' else 'openai'}",
        scenario=f"{_PLACE}.stand:scenario",
        stand=f"{_PLACE}.stand:stand",
        clients=("openai", "openai-agents") if name == "openai" else (),
    )
    for name, about in _ABOUT.items()
)
