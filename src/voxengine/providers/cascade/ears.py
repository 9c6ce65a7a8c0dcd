"""Makes the ears of a session, for either kind of recogniser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.providers.cascade.assembly import Parts, takes_vocabulary
from voxengine.providers.cascade.called_hearing import CalledHearing
from voxengine.providers.cascade.hearing import Hearing
from voxengine.providers.cascade.listener import Listener
from voxengine.providers.cascade.parts import STT, StreamingSTT, Transcription
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.streamed_hearing import StreamedHearing
from voxengine.providers.cascade.watch import as_provider_error, within

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["make_ears"]


def make_ears(
    listener: Listener,
    parts: Parts,
    config: ProviderConfig,
    settings: CascadeSettings,
    *,
    format: AudioFormat,
    session: str,
    new_id: Callable[[], str],
) -> Hearing:
    """The ears, configured; nothing is connected yet."""
    common: dict[str, Any] = {
        "format": format,
        "vad": parts.vad.stream(),
        "detector": parts.turn,
        "settings": settings,
        "new_id": new_id,
        "partials": config.partials is not False,
    }
    stt = parts.stt
    ears: Hearing
    if isinstance(stt, StreamingSTT):
        ears = StreamedHearing(
            listener,
            stt=stt,
            session=session,
            language=config.language,
            vocabulary=config.vocabulary or (),
            **common,
        )
    else:
        words = tuple(config.vocabulary or ())
        known = {"vocabulary": words} if words and takes_vocabulary(stt) else {}
        ears = CalledHearing(
            listener, transcribe=_Budgeted(stt, session, settings, known), **common
        )
    ears.choose(config.turn_detection)
    ears.configure(config.turn_options or {})
    return ears


class _Budgeted:
    """A recogniser that is called, for one session: each call has its time. `known` is what it takes in addition."""

    def __init__(
        self, stt: STT, session: str, settings: CascadeSettings, known: Mapping[str, Any]
    ) -> None:
        self._stt = stt
        self._known = known
        self._session = session
        self._seconds = settings.stt_timeout

    async def __call__(self, samples: Samples, *, partial: bool) -> Transcription:
        try:
            work = self._stt.transcribe(
                samples, session=self._session, partial=partial, **self._known
            )
            return await within(work, self._seconds, "speech recognition")
        except Exception as failure:
            raise as_provider_error(failure, "speech recognition") from failure
