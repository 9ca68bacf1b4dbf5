"""``facewire serve``: watch and listen to the inputs and stream the face until Ctrl-C."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.flame_stream import greet, live_head
from facewire.runtime.cli.options.listening import add_listen_options, server_config, until_interrupted, wait_until
from facewire.runtime.cli.options.outputs import add_output_option, people_stream
from facewire.runtime.cli.options.panel import PANEL_STREAMS, add_face_options, address, make_panel
from facewire.runtime.cli.options.speech import (
    Listener,
    add_speech_options,
    check_speech,
    choose_inputs,
    gives_pictures,
)
from facewire.runtime.cli.options.usage import (
    OPEN_FLAME,
    Subparsers,
    add_flame_option,
    add_tracking_options,
    command_parser,
    positive,
    say,
)

if TYPE_CHECKING:
    from facewire.bridge.server.server import LiveServer
    from facewire.bridge.wire.codec import Message
    from facewire.bridge.wire.frame import FaceFrame
    from facewire.runtime.capture.video.source import Source
    from facewire.runtime.flame.blend import LiveFlame
    from facewire.runtime.live import Live
    from facewire.runtime.pipeline import FacePipeline
    from facewire.runtime.sound.blocks import SoundSource
    from facewire.runtime.speech.thread import Speak
    from facewire.runtime.takes.manager import Takes


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
    parser = command_parser(
        commands,
        "serve",
        "watch a camera or listen to a microphone and stream the face",
        "Watches a camera, a file or the demo face, and streams blendshapes, head pose and gaze to every subscriber.\n"
        "Without a camera, the microphone moves the face.",
        "facewire serve --open\nfacewire serve --video clip.mp4 --loop --mesh attention\n"
        "facewire serve --video demo --audio demo\n"
        "facewire serve --record takes\nfacewire serve --video none --audio speech.wav",
    )
    add_input_options(parser)
    add_tracking_options(parser)
    add_flame_option(parser)
    add_speech_options(parser)
    add_listen_options(parser)
    add_record_options(parser)
    add_output_option(parser)
    add_face_options(parser)
    parser.set_defaults(run=run)


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """What to watch and what to listen to."""
    parser.add_argument(
        "--video",
        metavar="SRC",
        default="auto",
        help="auto, a camera's number or name, a file, an address (rtsp://, http://), demo, none, or who tracks the "
        "face already: livelink[:PORT], ifacialmocap:PHONE, vmc[:PORT] (default: auto)",
    )
    parser.add_argument(
        "--audio",
        metavar="SRC",
        default="auto",
        help="auto (the default microphone, if speech moves the mouth), a microphone's number or name, a file, demo, "
        "or none",
    )
    parser.add_argument("--loop", action="store_true", help="start a file again when it ends")
    parser.add_argument(
        "--rate",
        metavar="FPS",
        type=positive,
        default=60.0,
        help="pictures a second to ask the camera for (default: 60)",
    )


def add_record_options(parser: argparse.ArgumentParser) -> None:
    """The options of recording beside a live run."""
    parser.add_argument(
        "--record", metavar="DIR", type=Path, help="record takes into this folder; clients may stop and start them"
    )
    add_device_names_option(parser)


def add_device_names_option(parser: argparse.ArgumentParser) -> None:
    """The user's agreement to have names of devices, which may tell who they are, in a recording."""
    parser.add_argument(
        "--keep-device-names",
        action="store_true",
        help="put the devices' names into recordings (default: leave them out)",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until the input ends or a signal comes. Raises FacewireError and ModelError."""
    return until_interrupted(lambda: _serve(args))


def _serve(args: argparse.Namespace) -> int:
    from facewire.bridge.server.server import LiveServer
    from facewire.bridge.shared.clock import now_ns
    from facewire.bridge.wire.messages import Greeting
    from facewire.runtime.capture.remote.choose_phone import check_no_circle
    from facewire.runtime.cli.options.networks import make_flame, make_pipeline
    from facewire.runtime.face.calibrate import Calibrator
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.live import Live
    from facewire.runtime.panel.outputs import OutputSwitches
    from facewire.runtime.panel.preview import Preview
    from facewire.runtime.speech.thread import merged
    from facewire.runtime.takes.manager import finish
    from facewire.runtime.takes.outlet import Outlet

    check_speech(args)
    people = people_stream(args.output)
    flame = make_flame(args)
    source, sound = choose_inputs(args)
    check_no_circle(source, args.output)
    greeting = greet(Greeting(rate=source.rate if source is not None else args.rate, streams=PANEL_STREAMS), flame)
    live = Live(source, lambda frame: hand_on(frame), report=say)
    takes = make_takes(args, live, lambda: greeting.message(now_ns()), flame)
    listener = Listener(args, sound, live.publish_speech, takes.offer_audio)
    outputs = OutputSwitches(say, check=lambda specs: check_no_circle(live.source, specs))
    outlet = Outlet(lambda frame: publish(frame), args.record)
    panel = make_panel(args, live, listener, lambda: server, outputs)
    server = LiveServer(
        server_config(args),
        clock_ns=now_ns,
        greeting=greeting,
        commands={
            **panel.commands,
            **takes.commands,
            **outlet.commands,
            **outputs.commands,
            **(flame.commands if flame is not None else {}),
        },
        status=lambda: {
            **panel.status(merged(live.status(), listener.status())),
            **takes.state(),
            **outlet.state(),
            **outputs.state(),
        },
        pages=live_head(flame),
    )
    preview = Preview(lambda: server.wants("preview"), server.publish_preview)

    def publish(frame: FaceFrame) -> None:
        outputs.offer(frame)  # first: the server's thread takes far longer than they do
        server.publish(frame)

    def hand_on(frame: FaceFrame) -> None:
        outlet.live(frame)
        takes.offer_frame(frame)

    def prepare() -> FacePipeline:
        calibrator = Calibrator(panel.load_default(), silent=not args.no_learning)
        fusion = Fusion(panel.settings.mode, sync=args.sync)
        pictures = gives_pictures(source)
        pipeline = make_pipeline(
            args, calibrator=calibrator, fusion=fusion, camera=pictures, flame=flame, watch=preview.offer
        )
        panel.smooth(pipeline)
        if flame is not None:
            # A take may begin at any frame, and FLAME that begins later is no use to it.
            flame.wanted = lambda: takes.folder is not None or server.wants("flame")
        return pipeline

    server.start()
    preview.start()
    try:
        outputs.start(args.output)
        if args.record:
            takes.start()
        print(start_block(args, source, server, sound), file=people, flush=True)
        if args.open:
            import webbrowser

            webbrowser.open(server.page_url)
        listener.start()
        live.start(prepare)
        return _wait(live if source is not None or listener.speak is None else listener.speak)
    finally:
        listener.stop()
        live.stop()
        preview.stop()
        outlet.stop()
        outputs.stop()
        finish(takes, say)
        server.stop()


def make_takes(args: argparse.Namespace, live: Live, hello: Callable[[], Message], flame: LiveFlame | None) -> Takes:
    """What records beside the stream. Raises RecordingError where the folder cannot be made."""
    from facewire.runtime.takes.manager import Takes, recorded_profile

    return Takes(
        args.record,
        status=live.status,
        hello=hello,
        profile=lambda: recorded_profile(live),
        flame=lambda: None if flame is None else flame.person(),
        keep_device_names=args.keep_device_names,
        report=say,
    )


def _wait(live: Live | Speak) -> int:
    """Waits for the end of the input. Raises the error that a file ended with."""
    wait_until(live.ended.is_set)
    if live.capture is not None and live.capture.error is not None:
        raise live.capture.error
    say("the input has ended")
    return 0


def start_block(
    args: argparse.Namespace, source: Source | None, server: LiveServer, sound: SoundSource | None = None
) -> str:
    """What a person needs to know now: where to look, what is watched, how to stop."""
    lines = {
        "open": server.page_url,
        "stream": server.url,
        **({"network": seen} if (seen := address(server)["url"]) else {}),
        "input": "none" if source is None else source.name,
        **({"opened": source.opened} if source is not None and source.opened else {}),
        **({"sound": sound.name} if sound is not None else {}),
        **filtering(args, source),
        **({"flame": "the open head" if args.flame == OPEN_FLAME else args.flame} if args.flame else {}),
        **({"record": str(args.record)} if args.record else {}),
        **({"outputs": ", ".join(args.output)} if args.output else {}),
        "stop": "Ctrl-C",
    }
    if server.token:
        lines["note"] = "whoever has these addresses can watch: share them with care"
    return "Facewire is live\n\n" + "\n".join(f"  {key:8}{value}" for key, value in lines.items()) + "\n"


def filtering(args: argparse.Namespace, source: Source | None) -> dict[str, str]:
    """What is done with what is seen; a face that a phone tracks needs no mesh, and speech is not filtered."""
    if source is None:
        return {}
    filters = f"smoothing {args.smoothing}" + (", mirrored" if args.mirror else "")
    return {"filters": filters} if source.gives == "faces" else {"mesh": f"{args.mesh}, {filters}"}
