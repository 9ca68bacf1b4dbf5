"""A live run that is streamed: what ``facewire serve`` does, without a command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Protocol

from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.wire.codec import Message
from facewire.bridge.wire.messages import Greeting
from facewire.bridge.wire.streams import offered_streams
from facewire.runtime.capture.remote.choose_phone import check_no_circle
from facewire.runtime.capture.video.source import Source
from facewire.runtime.face.calibrate import Calibrator
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.live import Live
from facewire.runtime.panel.commands import Panel
from facewire.runtime.panel.outputs import OutputSwitches
from facewire.runtime.panel.preview import Preview
from facewire.runtime.panel.services import PanelServices
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.session.broadcast import Broadcast
from facewire.runtime.session.heads import live_head, with_flame
from facewire.runtime.session.inputs import gives_pictures, make_source, open_inputs
from facewire.runtime.session.listener import Listener
from facewire.runtime.session.networks import make_flame, make_pipeline, tracker_factory
from facewire.runtime.session.options import ServeOptions
from facewire.runtime.session.panel_services import address, cameras, first_settings, microphones
from facewire.runtime.session.status_parts import StatusParts
from facewire.runtime.speech.thread import Speak, merged
from facewire.runtime.takes.manager import Takes, finish, recorded_profile
from facewire.runtime.takes.outlet import Outlet

Commands = Mapping[str, Callable[[Mapping[str, Any]], "Mapping[str, Any] | None"]]


class Service(Protocol):
    """A part of the run that clients may ask things of and that has a part of the status message."""

    @property
    def commands(self) -> Commands: ...
    def state(self) -> dict[str, Any]: ...


class ServeSession:
    """A run from its options to its end. Making it opens the inputs and starts nothing.

    The face's frames go to ``frames``: to the outlet, which may have a take play in their place, and to the recorder.
    What leaves the outlet goes to ``sent``: to the outputs, then to the server, whose thread takes far longer.
    """

    def __init__(self, options: ServeOptions, notify: Callable[[str], None]) -> None:
        """Make all parts of the run.

        Raises:
            FacewireError: an input, the folder for takes or the server cannot be started.
        """
        self.options, self._notify = options, notify
        self.frames, self.sent = Broadcast(), Broadcast()
        self._ends, self._parts = ExitStack(), StatusParts(notify)
        live = options.live
        self.flame = make_flame(live.flame)
        self.source, self.sound = open_inputs(live.inputs, notify)
        check_no_circle(self.source, options.outputs)
        rate = self.source.rate if self.source is not None else live.inputs.rate
        self.greeting = with_flame(Greeting(rate=rate, streams=offered_streams("panel")), self.flame)
        self.live = Live(self.source, self.frames.publish, notify=notify)
        self.takes = self._make_takes()
        self.listener = Listener(live, self.sound, self.live.publish_speech, self.takes.offer_audio, notify)
        self.outputs = OutputSwitches(notify, check=self._check_outputs)
        self.outlet = Outlet(self.sent.publish, options.record)
        self.panel = Panel(self.live, first_settings(live), self._panel_services())
        self.server = self._make_server()
        self.preview = Preview(partial(self.server.wants, "preview"), self.server.publish_preview)
        self.frames.join(self.outlet.live, self.takes.offer_frame)
        self.sent.join(self.outputs.offer, self.server.publish)

    @property
    def services(self) -> tuple[Service, ...]:
        """The parts that clients talk to; the panel's and FLAME's state is in the run's own status."""
        return self.takes, self.outlet, self.outputs

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]]:
        """What clients may ask, by name."""
        found = dict(self.panel.commands)
        for service in self.services:
            found.update(service.commands)
        return found if self.flame is None else {**found, **self.flame.commands}

    def status(self) -> dict[str, Any]:
        """Return the status message."""
        own = self._parts.of("the inputs", lambda: merged(self.live.status(), self.listener.status()))
        status = self._parts.of("the panel", lambda: self.panel.state.status(own)) or own
        for service in self.services:
            status.update(self._parts.of(type(service).__name__, service.state))
        return status

    @property
    def watched(self) -> Live | Speak:
        """Whose end is the end of the run."""
        return self.live if self.source is not None or self.listener.speak is None else self.listener.speak

    def __enter__(self) -> ServeSession:
        """Serve, feed the outputs and record; the face comes with ``start``.

        Raises:
            FacewireError: the port, an output or a take cannot be opened.
        """
        with ExitStack() as ends:
            self.server.start()
            ends.callback(self.server.stop)
            ends.callback(finish, self.takes, self._notify)
            ends.callback(self.outputs.stop)
            ends.callback(self.outlet.stop)
            ends.callback(self.preview.stop)
            self.preview.start()
            self.outputs.start(self.options.outputs)
            if self.options.record:
                self.takes.start()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Load the networks, listen and track.

        Raises:
            ModelError: a network cannot be loaded.
        """
        self._ends.callback(self.live.stop)
        self._ends.callback(self.listener.stop)
        self.listener.start()
        self.live.start(self._prepare)

    def stop(self) -> None:
        """End all parts, those first that others take from; safe to call twice."""
        self._ends.close()

    def _prepare(self) -> FacePipeline:
        live = self.options.live
        pipeline = make_pipeline(
            live.tracking,
            calibrator=Calibrator(self.panel.state.load_default(), silent=live.learning),
            fusion=Fusion(self.panel.settings.mode, sync=live.sync),
            camera=gives_pictures(self.source),
            flame=self.flame,
            watch=self.preview.offer,
        )
        self.panel.prepare(pipeline)
        if self.flame is not None:
            self.flame.wanted = self._wants_flame
        return pipeline

    def _wants_flame(self) -> bool:
        # A take may begin at any frame, and FLAME that begins later is no use to it.
        return self.takes.folder is not None or self.server.wants("flame")

    def _hello(self) -> Message:
        return self.greeting.message(now_ns())

    def _check_outputs(self, specs: Iterable[str]) -> None:
        check_no_circle(self.live.source, specs)

    def _make_source(self, what: str) -> Source | None:
        return make_source(self.options.live.inputs, what, self._notify)

    def _make_takes(self) -> Takes:
        return Takes(
            self.options.record,
            status=self.live.status,
            hello=self._hello,
            profile=partial(recorded_profile, self.live),
            flame=self._person,
            keep_device_names=self.options.live.keep_device_names,
            notify=self._notify,
        )

    def _person(self) -> Mapping[str, Any] | None:
        return None if self.flame is None else self.flame.person()

    def _make_server(self) -> LiveServer:
        return LiveServer(
            self.options.server,
            clock_ns=now_ns,
            greeting=self.greeting,
            commands=self.commands,
            status=self.status,
            pages=live_head(self.flame),
        )

    def _panel_services(self) -> PanelServices:
        return PanelServices(
            source=self._make_source,
            tracker_factory=tracker_factory,
            cameras=partial(cameras, self.options.live.inputs.video),
            address=lambda: address(self.server),
            microphones=partial(microphones, self.listener),
            listen_to=self.listener.listen_to,
            gate=self.listener.gate,
            voices=lambda: self.listener.voices,
            expect_voices=self.listener.expect,
            audio=lambda: self.listener.name,
            speech=lambda: self.listener.driver,
            choose_driver=self.listener.choose_driver,
            outputs=self.outputs.kept,
            use_outputs=self.outputs.use,
        )
