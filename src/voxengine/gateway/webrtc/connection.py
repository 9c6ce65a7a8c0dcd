"""One WebRTC connection: from a client's offer to the last packet."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcicetransport import connection_kwargs

from voxengine.errors import VoiceEngineError
from voxengine.gateway.refusal import Refused
from voxengine.gateway.webrtc.channel import Channel
from voxengine.gateway.webrtc.loudspeaker import Loudspeaker
from voxengine.gateway.webrtc.microphone import Microphone
from voxengine.gateway.webrtc.offer import Offer
from voxengine.gateway.wire.session import RealtimeSession

if TYPE_CHECKING:
    from aiortc import RTCDataChannel

    from voxengine.gateway.call import Call
    from voxengine.gateway.gateway import Gateway

__all__ = ["Connection", "connect"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds in which our own addresses have to be found: servers that tell them may be out of reach.
GATHER_BUDGET = 8.0
#: Seconds from the answer in which the client has to be there.
CONNECT_BUDGET = 15.0
#: Seconds without a packet of the client's after which it is gone. Clients report on our audio every few seconds.
SILENT_BUDGET = 10.0
LOOK = 2.0
#: Seconds that letting go of a connection may take.
CLOSE_BUDGET = 5.0
_OPUS = "audio/opus"


async def connect(
    gateway: Gateway, offer: Offer, open_call: Callable[[], Awaitable[Call]]
) -> tuple[Call, str]:
    """Answer an offer: the call that it opens, and the SDP of the answer.

    The call is opened when the offer has been understood, and ends if the client does not come.

    Raises:
        Refused: 400, the offer cannot be answered; 503, we have no address; or what `open_call` raises.
    """
    configuration = RTCConfiguration(
        iceServers=ice_servers(gateway.config.ice_servers),
        bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
    )
    peer = RTCPeerConnection(configuration)
    try:
        speaker = _Ears()
        track = Loudspeaker(speaker.played)
        transceiver = peer.addTransceiver(track, "sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType.lower() == _OPUS])
        try:
            await peer.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        except Exception as failure:
            # Whatever the parser stumbles over, it is the offer that is wrong.
            logger.debug("an SDP offer cannot be answered: %r", failure)
            raise Refused(
                400,
                "invalid_offer",
                "The SDP offer cannot be answered: it is not valid, or does not offer Opus.",
            ) from None
        call = await open_call()
    except BaseException:
        await _close(peer)
        raise
    if not call.attached and call.client is None:
        call.wait_for_client(GATHER_BUDGET + CONNECT_BUDGET)
    speaker.call = call
    connection = Connection(gateway, call, peer, track, offer)
    try:
        answer = await connection.answer()
    except BaseException:
        connection.lose("no answer could be made")
        raise
    return call, answer


class _Ears:
    """Tells the engine of a call what has been played; made before there is a call."""

    def __init__(self) -> None:
        self.call: Call | None = None

    def played(self, item_id: str, ms: float) -> None:
        if self.call is not None and not self.call.ending:
            with suppress(VoiceEngineError):  # it is being disconnected
                self.call.engine.acknowledge_playback(item_id, ms)


class Connection:
    """A client's connection, which becomes the client of its call when it is there.

    A client that closes its data channel, or the connection, has hung up. One that is not heard of any more is lost:
    its call waits for it to come back by another connection.
    """

    def __init__(
        self,
        gateway: Gateway,
        call: Call,
        peer: RTCPeerConnection,
        track: Loudspeaker,
        offer: Offer,
    ) -> None:
        self._gateway = gateway
        self._call = call
        self._peer = peer
        self._track = track
        #: Whether the call is there for this client only: it was not one to come back to.
        self._first = call.client is None
        self.session = RealtimeSession(gateway, call, rtc=True, speaker=track)
        self._channel = Channel(
            expected=offer.has_channel,
            max_message=gateway.config.max_message,
            on_message=self._message,
            on_close=self._hung_up,
            on_overflow=lambda why: self.lose(why, 1008),
            close=self.close,
        )
        self._microphone: Microphone | None = None
        self._there = asyncio.Event()
        self._over = False
        self._watch: asyncio.Task[None] | None = None
        peer.on("datachannel", self._channel_opened)
        peer.on("connectionstatechange", self._changed)
        call.on_end(self._call_ended)

    async def answer(self) -> str:
        """The SDP that answers the offer, with all of our addresses in it. From now on the client has to come.

        Raises:
            Refused: 503, we have no address.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_BUDGET):
                await self._peer.setLocalDescription(await self._peer.createAnswer())
        described = self._peer.localDescription
        if described is None or _CANDIDATE not in described.sdp:
            raise Refused(
                503,
                "no_candidates",
                "The server found no address for the call in time.",
                "server_error",
            )
        self._watch = asyncio.get_running_loop().create_task(
            self._look_after(), name=f"voxengine-{self._call.id}-webrtc"
        )
        return str(described.sdp)

    # -- the client

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        self._open()
        self._channel.take(channel)

    def _message(self, message: bytes) -> None:
        if not self._over:
            self.session.on_message(message)

    def _changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            self._open()
        elif state == "closed":
            self._hung_up()
        elif state == "failed":
            self.lose("the connection has failed")

    def _open(self) -> None:
        if self._over or self._there.is_set():
            return
        self._there.set()
        self.session.on_open(self._channel)
        track = self._remote_track()
        if track is not None:
            self._microphone = Microphone(self.session, track)

    def _remote_track(self) -> MediaStreamTrack | None:
        track: MediaStreamTrack | None = self._peer.getReceivers()[0].track
        return track

    def _hung_up(self) -> None:
        self._leave(1005, "the client hung up")

    # -- the end

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang the client up: it still gets what was sent to it."""
        if not self._over:
            self._over = True
            self._hush()
            self._do(self._say_good_bye(code, reason))

    def lose(self, why: str, code: int = 1006) -> None:
        """The client is gone without a word."""
        if not self._over:
            logger.info("call %s: WebRTC: %s", self._call.id, why)
        self._leave(code, why)

    def _leave(self, code: int, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._hush()
        self._channel.shut()
        self._told(code, reason)
        self._do(self._let_go())

    def _told(self, code: int, reason: str) -> None:
        """Tell the session, and what depends on it."""
        if self._there.is_set():
            self.session.on_close(code, reason)
        elif self._first and not self._call.attached:
            self._do(self._call.end("the client did not connect"))

    def _call_ended(self, call: Call) -> None:
        self.close(1000, "the call is over")

    def _hush(self) -> None:
        """Nothing is heard or said any more."""
        self._track.cut()
        if self._microphone is not None:
            self._microphone.close()

    async def _say_good_bye(self, code: int, reason: str) -> None:
        await self._channel.finish()
        self._told(code, reason)
        await self._let_go()

    async def _let_go(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await _close(self._peer)

    def _do(self, work: Any) -> None:
        """Do something that the gateway waits for when it is closed."""
        self._gateway.spawn(work, f"voxengine-{self._call.id}-webrtc-end")

    async def _look_after(self) -> None:
        """Whether the client comes in time, and whether it is still there."""
        try:
            async with asyncio.timeout(CONNECT_BUDGET):
                await self._there.wait()
        except TimeoutError:
            self.lose(f"the client was not there within {CONNECT_BUDGET:g} s")
            return
        loop = asyncio.get_running_loop()
        received, alive = -1, loop.time()
        while loop.time() - alive < SILENT_BUDGET:
            await asyncio.sleep(LOOK)
            found = await _received(self._peer)
            if found != received:
                received, alive = found, loop.time()
        self.lose(f"no packet of the client's for {SILENT_BUDGET:g} s")


_CANDIDATE = "a=candidate:"


async def _received(peer: RTCPeerConnection) -> int:
    """Packets of the client's so far."""
    report = await peer.getSenders()[0].getStats()
    return sum(getattr(part, "packetsReceived", 0) for part in _transports(report))


def _transports(report: Mapping[str, Any]) -> list[Any]:
    return [part for part in report.values() if part.type == "transport"]


async def _close(peer: RTCPeerConnection) -> None:
    try:
        async with asyncio.timeout(CLOSE_BUDGET):
            await peer.close()
    except TimeoutError:
        logger.error("a WebRTC connection could not be closed in %g s", CLOSE_BUDGET)


def ice_servers(configured: Sequence[Mapping[str, Any]]) -> list[RTCIceServer]:
    """The STUN and TURN servers of the configuration, with their credentials.

    Raises:
        Refused: 503, a credential is not set, or an address is none.
    """
    servers = []
    for server in configured:
        variable = server.get("credential_env")
        credential = None if variable is None else os.environ.get(str(variable))
        if variable is not None and not credential:
            raise _not_set_up(f"the variable {variable} of an ICE server is not set")
        servers.append(
            RTCIceServer(
                urls=server["urls"], username=server.get("username"), credential=credential
            )
        )
    try:
        connection_kwargs(servers)
    except ValueError as failure:
        raise _not_set_up(f"the address of an ICE server: {failure}") from None
    return servers


def _not_set_up(why: str) -> Refused:
    logger.error("calls by WebRTC cannot be taken: %s", why)
    return Refused(
        503, "ice_not_configured", "The server's ICE servers are not set up.", "server_error"
    )
