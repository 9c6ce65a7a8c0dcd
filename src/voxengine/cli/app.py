"""The commands and their options. What they do is imported when they are called."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from voxengine.cli.calls import calls
from voxengine.cli.exits import InputProblem, guarded
from voxengine.cli.keys import keys
from voxengine.cli.options import (
    ConfigFile,
    Debug,
    Instructions,
    Json,
    Model,
    ModeName,
    ProviderName,
    Settings,
    VoiceName,
    load_config,
    output_folder,
)

__all__ = ["app"]

_EPILOG = (
    "Exit codes: 0 it worked; 1 it ran, and the answer is no; 2 arguments, configuration, an input file or an "
    "installation; 3 the provider or the connection; 130 interrupted."
)

app = typer.Typer(
    name="voxengine",
    help="One realtime-voice interface over every voice AI provider.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys, name="keys", epilog=_EPILOG)
app.add_typer(calls, name="calls", epilog=_EPILOG)


def _version(wanted: bool) -> None:
    if wanted:
        from voxengine import __version__

        typer.echo(f"voxengine {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog=_EPILOG)
@guarded
def talk(
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="WAV",
            help="Say this recording. May be repeated: one turn each.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", "-t", metavar="TEXT", help="Say this in writing. May be repeated."),
    ] = None,
    typing: Annotated[
        bool,
        typer.Option("--type", help="Type line by line; so it is when standard input is a pipe."),
    ] = False,
    microphone: Annotated[
        bool, typer.Option("--mic", help="Microphone and loudspeaker, whatever standard input is.")
    ] = False,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Send recordings faster than they were spoken, to a provider on this machine.",
        ),
    ] = False,
    barge_in: Annotated[
        float | None,
        typer.Option(
            "--barge-in",
            metavar="SECONDS",
            min=0.0,
            help="Begin the next recording when so much of the answer has been heard.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Write conversation.wav, transcript.json, report.json.",
        ),
    ] = None,
    provider: ProviderName = None,
    config: ConfigFile = None,
    mode: ModeName = None,
    model: Model = None,
    voice: VoiceName = None,
    instructions: Instructions = None,
    settings: Settings = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Hold a conversation: by microphone, by recordings (--file), or in writing (--text, --type, or a pipe)."""
    from voxengine.cli.talk import Inputs
    from voxengine.cli.talk import talk as hold

    if microphone and (file or text or typing):
        raise InputProblem(
            "--mic takes the place of --file, --text and --type; give one or the other"
        )
    if barge_in is not None and len(file or ()) < 2:
        raise InputProblem(
            "--barge-in needs two recordings: the second interrupts the answer to the first"
        )
    piped = not (file or text or microphone) and not sys.stdin.isatty()
    inputs = Inputs(tuple(file or ()), tuple(text or ()), typing or piped, fast, barge_in)
    loaded = load_config(
        provider=provider,
        config=config,
        settings=settings,
        mode=mode,
        model=model,
        voice=voice,
        instructions=instructions,
    )
    folder = output_folder(out) if out is not None else None
    raise typer.Exit(asyncio.run(hold(loaded, inputs, out=folder, as_json=as_json)))


@app.command(epilog=_EPILOG)
@guarded
def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the records go.")
    ] = Path("out/demo"),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """A spoken conversation with no key and no network, that checks and measures itself."""
    from voxengine.cli.demo.run import demo as hold

    raise typer.Exit(asyncio.run(hold(output_folder(out), as_json=as_json)))


@app.command(epilog=_EPILOG)
@guarded
def providers(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All there is to know of these.")
    ] = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write a Markdown table.")] = False,
    of_parts: Annotated[
        bool, typer.Option("--parts", help="The parts of a cascade instead, as a Markdown table.")
    ] = False,
    debug: Debug = False,
) -> None:
    """What each provider can do, and whether what it needs is installed."""
    from voxengine.cli.providers import show

    if as_json and markdown:
        raise InputProblem("--json and --markdown exclude each other")
    if of_parts:
        from voxengine.cli.comparison import parts

        typer.echo(parts(), nl=False)
        return
    show("json" if as_json else "markdown" if markdown else "table", names or ())


@app.command(epilog=_EPILOG)
@guarded
def doctor(
    provider: ProviderName = None,
    config: ConfigFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What is installed, set and working. Fails if the configured provider lacks something."""
    from voxengine.cli.doctor.run import examine

    raise typer.Exit(examine(provider, config, as_json=as_json))


@app.command(epilog=_EPILOG)
@guarded
def conformance(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Providers to check.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All providers that run here without a key.")
    ] = False,
    gateway: Annotated[
        bool, typer.Option("--gateway", help="Check each behind a gateway, too, as a client.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the result as JSON.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Only behind a gateway; print the table of a page.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check providers against the contract that every provider has to keep."""
    from voxengine.cli.conformance import check

    raise typer.Exit(
        check(
            names or [],
            everything=everything,
            gateway=gateway,
            out=out,
            as_json=as_json,
            markdown=markdown,
        )
    )


@app.command(epilog=_EPILOG)
@guarded
def emulate(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Whose wire to speak; see --list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--list", help="List the emulators.")] = False,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 is a free one.")] = 0,
    speech: Annotated[
        str,
        typer.Option(
            "--speech", metavar="signal|local", help="Synthetic speech, or real models (local)."
        ),
    ] = "signal",
    responses: Annotated[
        Path | None,
        typer.Option(
            "--responses", metavar="FILE", help="What it answers: JSON or TOML, replies by text."
        ),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="The made-up key that opens it.")
    ] = "sk-emulated",
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="What goes wrong, such as drop:close_code=1011,response=2. May be repeated.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="twilio: the stream or the webhook to call."),
    ] = None,
    audio: Annotated[
        list[Path] | None,
        typer.Option(
            "--audio", metavar="WAV", help="twilio: what the caller says. May be repeated."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="WAV", help="twilio: write what the caller hears."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run an emulator of a vendor on this machine, until Ctrl-C; or call a server as Twilio does: emulate twilio."""
    from voxengine.cli.emulate import emulate as run
    from voxengine.cli.emulate import read_responses, show_emulators

    if everything:
        show_emulators(as_json=as_json)
        return
    if name is None:
        raise InputProblem("name an emulator; --list shows them")
    if name == "twilio":
        from voxengine.cli.telephone import telephone

        raise typer.Exit(asyncio.run(telephone(url, audio or [], out=out, as_json=as_json)))
    work = run(
        name,
        host=host,
        port=port,
        speech=speech,
        responses=read_responses(responses),
        key=key,
        faults=fault or [],
        as_json=as_json,
    )
    raise typer.Exit(asyncio.run(work))


@app.command(epilog=_EPILOG)
@guarded
def serve(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Configuration [default: ./voxengine.toml]."
        ),
    ] = None,
    provider: ProviderName = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on [default: 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port to listen on [default: 8080].")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Serve calls: OpenAI's Realtime API in front of every provider, until Ctrl-C."""
    from voxengine.cli.serve import run

    raise typer.Exit(run(config, provider=provider, host=host, port=port, as_json=as_json))
