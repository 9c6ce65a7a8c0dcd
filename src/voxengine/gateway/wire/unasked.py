"""A `response.create` that nobody has to pass on: the turns that were kept back are heard now, and answered at once.

The provider cannot be asked, so what its response is to be like is said before, as settings, and taken back after it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from voxengine.errors import ProviderError, UnsupportedFeatureError
from voxengine.gateway.wire.plan import Plan
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.voices import map_voice
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["answer_unasked"]

#: What of a response can be a setting of the session for a while, and where the client has it.
_PATHS = {
    "instructions": "instructions",
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "max_response_tokens": "max_output_tokens",
    "temperature": "temperature",
}


async def answer_unasked(session: RealtimeSession, asked: schema.ResponseParams | None) -> None:
    """Let the provider hear the turns that were kept back, and its answer be what was asked for.

    Raises:
        Complaint: a response is under way, or it cannot be like that; then nothing was heard yet.
        VoiceEngineError: the settings could not be changed.
    """
    output = session.output
    plan = output.plan_for(asked)
    provider = session.call.engine.provider
    can = provider.capabilities if provider is not None else Capabilities()
    written = asked is not None and bool(asked.output_modalities)
    wanted = _settings(plan, can, written=written)
    settled = [] if can.instructions_updatable else sorted(wanted.keys() - {"modalities"})
    if settled and session.call.engine.state != "idle":
        # Another connection that begins with them would have to wait until what is being said was heard.
        raise _refused(*settled)
    if wanted:
        try:
            await session.call.engine.update_session(**wanted)
        except (UnsupportedFeatureError, ValueError) as failure:
            if isinstance(failure, ProviderError) and failure.retryable:
                raise
            raise _refused(*wanted) from None
    over = output.expect(plan)
    session.input.release()
    if wanted:
        session.spawn(_restore(session, over))


def _settings(plan: Plan, can: Capabilities, *, written: bool) -> dict[str, Any]:
    """What the session has to be set to for this response.

    Raises:
        Complaint: something of it is no setting of a session.
    """
    left = sorted(plan.overrides.keys() - _PATHS.keys())
    if left:
        raise _refused(*left)
    wanted = dict(plan.overrides)
    if plan.instructions is not None:
        wanted["instructions"] = plan.instructions
    if wanted.get("voice") is not None and can.voices:
        wanted["voice"] = map_voice(wanted["voice"], can.voices).voice
    # Speech of one who cannot but speak is told as text.
    if written and can.text_output:
        wanted["modalities"] = [plan.modality]
    return wanted


def _refused(*names: str) -> Complaint:
    path = f"response.{_PATHS.get(names[0], names[0])}"
    return Complaint(
        f"The provider of this session answers by itself what it is given to hear now: '{path}' cannot be set for that "
        "response.",
        "unsupported_parameter",
        path,
    )


async def _restore(session: RealtimeSession, over: asyncio.Future[None]) -> None:
    """When that response has ended, the session is again as its client has set it."""
    await asyncio.wait([over])

    async def restore() -> None:
        for problem in await session.adapter.apply(session.settings):
            session.failed(problem, None)

    try:
        session.commands.then(restore, about_audio=False)
    except Complaint as complaint:
        session.failed(complaint, None)
