"""Twilio's question about a call, and the answer: TwiML (twilio.com/docs/voice/twiml)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode
from xml.etree import ElementTree

import msgspec

from voxengine.errors import ConfigurationError, VoiceEngineError

__all__ = ["Rejected", "StreamTarget", "ask_voice"]


class Rejected(VoiceEngineError):
    """The call does not come about: the server refused it, or its answer has no stream both ways."""


class StreamTarget(msgspec.Struct, frozen=True):
    """Where the call's audio is to go, and the parameters of the stream."""

    url: str
    parameters: dict[str, str]
    call_sid: str


async def ask_voice(
    url: str,
    *,
    auth_token: str | None = None,
    call_sid: str | None = None,
    caller: str = "+15550100",
    called: str = "+15550199",
    headers: Mapping[str, str] | None = None,
) -> StreamTarget:
    """Ask the webhook of a telephone number what to do with a call, as Twilio does by POST.

    `auth_token` signs the request. `headers` are more headers of it.

    Raises:
        Rejected: it was refused, the call is rejected, or the answer is no TwiML with a stream both ways.
        ConfigurationError: the answer cannot be had.
    """
    import httpx

    from voxengine.gateway.twilio.signature import signature_of

    sid = call_sid or f"CA{secrets.token_hex(16)}"
    form = {
        "AccountSid": f"AC{secrets.token_hex(16)}",
        "ApiVersion": "2010-04-01",
        "CallSid": sid,
        "CallStatus": "ringing",
        "Called": called,
        "Caller": caller,
        "Direction": "inbound",
        "From": caller,
        "To": called,
    }
    sent = {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}
    if auth_token is not None:
        sent["X-Twilio-Signature"] = signature_of(url, form.items(), auth_token)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
            answer = await client.post(url, content=urlencode(form), headers=sent)
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        raise ConfigurationError(f"{url} cannot be asked: {failure}") from None
    if answer.status_code != 200:
        raise Rejected(f"the answer is {answer.status_code}: {answer.text[:300]}")
    return _target(answer.text, sid)


def _target(text: str, call_sid: str) -> StreamTarget:
    try:
        response = ElementTree.fromstring(text)  # noqa: S314  # of the server under test
    except ElementTree.ParseError as failure:
        raise Rejected(f"the answer is no TwiML: {failure}") from None
    rejected = response.find("Reject")
    if rejected is not None:
        raise Rejected(f"the call is rejected: {rejected.get('reason', 'rejected')}")
    stream = response.find("Connect/Stream")
    url = stream.get("url") if stream is not None else None
    if response.tag != "Response" or stream is None or not url:
        raise Rejected("the answer connects the call to no stream both ways")
    parameters = {p.get("name", ""): p.get("value", "") for p in stream.findall("Parameter")}
    return StreamTarget(url, parameters, call_sid)
