"""AWS's own library talks with the emulator, by its own transport: so the emulator speaks as Bedrock does.

And our provider by that transport: a runtime in C with threads of its own, so these tests take their time.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.vendors.line import Line
from tests.vendors.nova.needs import needs_library
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.errors import AuthenticationError
from voxengine.providers.nova import NovaProvider
from voxengine.testing.emulators.aws.emulator import KEY_ID, REGION
from voxengine.testing.emulators.nova import NovaEmulator

#: The runtime leaves things behind where it is left alone; our provider does not.
alone = pytest.mark.real_clock(leak_check=False)
pytestmark = [needs_library]

SECRET = "the-secret-access-key"
HEARS, SPEAKS = AudioFormat("pcm16", 16000), AudioFormat("pcm16", 24000)
NAMES = {"promptName": "prompt", "contentName": "ear"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    authority = trustme.CA()
    bundle = tmp_path_factory.mktemp("certificates") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    return authority.issue_cert("localhost", "127.0.0.1"), bundle


@asynccontextmanager
async def running(certificates: Any, **settings: Any) -> AsyncIterator[NovaEmulator]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates[0].configure_cert(context)
    quick = {"latency_ms": 5.0, "silence_ms": 60.0, "pace": 50.0, **settings}
    async with NovaEmulator({"go": "Going. Gone."}, key=SECRET, tls=context, **quick) as emulator:
        yield emulator
        assert emulator.judge.violations == []


def provider_for(emulator: NovaEmulator, bundle: Path, **metadata: Any) -> NovaProvider:
    found = {
        "endpoint": emulator.endpoint,
        "ca_bundle": str(bundle),
        "aws_access_key_id": KEY_ID,
        "region": REGION,
        **metadata,
    }
    return NovaProvider({"api_key": SECRET, "metadata": found})


class Official:
    """A conversation by AWS's library alone, as its documents show it."""

    def __init__(self, emulator: NovaEmulator, bundle: Path, secret: str = SECRET) -> None:
        self._emulator, self._bundle, self._secret = emulator, bundle, secret
        self.models = importlib.import_module("aws_sdk_bedrock_runtime.models")

    async def open(self) -> None:
        client = importlib.import_module("aws_sdk_bedrock_runtime.client")
        config = importlib.import_module("aws_sdk_bedrock_runtime.config")
        crt = importlib.import_module("smithy_http.aio.crt")
        io = importlib.import_module("awscrt.io")
        self._transport = crt.AWSCRTHTTPClient()
        options = io.TlsContextOptions()
        options.override_default_trust_store_from_path(None, str(self._bundle))
        self._transport._tls_ctx = io.ClientTlsContext(options)
        resolved = await config.AsyncBedrockRuntimeConfig.resolve(
            region=REGION,
            endpoint_uri=self._emulator.endpoint,
            transport=self._transport,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=self._secret,
        )
        runtime = client.AsyncBedrockRuntimeClient(config=resolved)
        asked = self.models.InvokeModelWithBidirectionalStreamOperationInput
        self.stream = await runtime.invoke_model_with_bidirectional_stream(
            asked(model_id="amazon.nova-2-sonic-v1:0")
        )

    async def send(self, name: str, **fields: Any) -> None:
        payload = json.dumps({"event": {name: fields}}).encode()
        part = self.models.BidirectionalInputPayloadPart(bytes_=payload)
        chunk = self.models.InvokeModelWithBidirectionalStreamInputChunk(value=part)
        await self.stream.input_stream.send(chunk)

    async def receive(self) -> tuple[str, dict[str, Any]] | None:
        _, output = await self.stream.await_output()
        event = await output.receive()
        if event is None:
            return None
        ((name, body),) = json.loads(event.value.bytes_)["event"].items()
        return name, body

    async def until(self, last: str, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
        seen = []
        async with asyncio.timeout(20):
            while (event := await self.receive()) is not None:
                seen.append(event)
                if event[0] == last and fields.items() <= event[1].items():
                    break
        return seen

    async def close(self) -> None:
        await self.stream.close()
        await self._transport.close()

    async def begin(self) -> None:
        inference = {"maxTokens": 100, "topP": 0.9, "temperature": 0.7}
        await self.send("sessionStart", inferenceConfiguration=inference)
        pcm = {
            "mediaType": "audio/lpcm",
            "sampleSizeBits": 16,
            "channelCount": 1,
            "encoding": "base64",
            "audioType": "SPEECH",
        }
        speech = {**pcm, "sampleRateHertz": 24000, "voiceId": "tiffany"}
        text = {"mediaType": "text/plain"}
        await self.send(
            "promptStart",
            promptName="prompt",
            textOutputConfiguration=text,
            audioOutputConfiguration=speech,
        )
        await self.send(
            "contentStart",
            **NAMES,
            type="AUDIO",
            interactive=True,
            role="USER",
            audioInputConfiguration={**pcm, "sampleRateHertz": 16000},
        )

    async def say(self, words: str) -> None:
        audio = speak(words, HEARS) + silence(500, HEARS)
        for at in range(0, len(audio), 3200):
            content = base64.b64encode(audio[at : at + 3200]).decode()
            await self.send("audioInput", **NAMES, content=content)


@alone
async def test_awss_own_client_is_heard_and_answered(certificates: Any):
    async with running(certificates) as emulator:
        official = Official(emulator, certificates[1])
        await official.open()
        await official.begin()
        await official.say("go")
        seen = await official.until("contentEnd", type="AUDIO", stopReason="END_TURN")
        texts = [body["content"] for name, body in seen if name == "textOutput"]
        assert texts == ["go", "Going.", "Gone."]
        pieces = [body["content"] for name, body in seen if name == "audioOutput"]
        audio = b"".join(map(base64.b64decode, pieces))
        assert understand(audio, SPEAKS) == "Going. Gone."
        await official.send("contentEnd", **NAMES)
        await official.send("promptEnd", promptName="prompt")
        await official.send("sessionEnd")
        assert (await official.until("nothing"))[-1][0] != "nothing"
        await official.close()


@alone
async def test_awss_own_client_is_refused(certificates: Any):
    errors = importlib.import_module("smithy_core.exceptions")
    async with running(certificates) as emulator:
        official = Official(emulator, certificates[1], "wrong")
        await official.open()
        with pytest.raises(errors.CallError, match=r"UnrecognizedClient|403"):
            await official.stream.await_output()
        await official._transport.close()


@alone
async def test_awss_own_client_is_told_what_it_did_wrong(certificates: Any):
    async with running(certificates) as emulator:
        official = Official(emulator, certificates[1])
        await official.open()
        await official.send("promptEnd", promptName="prompt")
        with pytest.raises(official.models.ValidationException, match="no session"):
            await official.until("contentEnd")
        await official.close()


@pytest.mark.real_clock
async def test_our_provider_by_that_transport(certificates: Any):
    async with running(certificates) as emulator:
        line = Line(provider_for(emulator, certificates[1]))
        await line.provider.connect()
        format = line.provider.get_audio_format()
        await line.provider.send_audio(speak("go", format) + silence(300, format))
        await line.wait(ev.ResponseCompleted)
        assert line.said() == "Going. Gone."
        assert line.sound() == "Going. Gone."
        await line.provider.disconnect()
        assert isinstance(line.events[-1], ev.ConnectionClosed)
    assert emulator.session.order.ended


@pytest.mark.real_clock
async def test_our_provider_is_refused(certificates: Any):
    async with running(certificates) as emulator:
        line = Line(provider_for(emulator, certificates[1], aws_secret_access_key="wrong"))
        with pytest.raises(AuthenticationError):
            await line.provider.connect()
        await line.provider.disconnect()


@pytest.mark.real_clock
async def test_the_connection_is_cut(certificates: Any):
    async with running(certificates) as emulator:
        line = Line(provider_for(emulator, certificates[1]))
        await line.provider.connect()
        await emulator.kill()
        lost = await line.wait(ev.ConnectionLost)
        assert lost.retryable
        await line.provider.disconnect()
