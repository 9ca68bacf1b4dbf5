"""What a run listens to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from facewire.bridge.shared.errors import CommandError
from facewire.models.speech.drivers import parse_driver
from facewire.runtime.capture.sound.microphone import Microphone, MicrophoneInfo, find_microphone, list_microphones
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.session.networks import make_speech
from facewire.runtime.session.options import LiveOptions
from facewire.runtime.sound.mic_gate import MicGate
from facewire.runtime.sound.nearness import NearGate
from facewire.runtime.speech.pipeline import SpeechPipeline
from facewire.runtime.speech.thread import Speak, TakeTick, Tap


class Listener:
    """What a run listens to, which may change while it runs. ``take_tick`` gets speech, ``tap`` the sound itself."""

    def __init__(
        self,
        options: LiveOptions,
        sound: SoundSource | None,
        take_tick: TakeTick,
        tap: Tap,
        notify: Callable[[str], None],
    ) -> None:
        self._options, self._take_tick, self._tap, self._notify = options, take_tick, tap, notify
        self._near: NearGate | None = None
        self._voices: Mapping[str, float] = {}
        self.speak = None if sound is None else self._speak(sound)

    @property
    def name(self) -> str | None:
        """What is listened to, or None."""
        return None if self.speak is None else self.speak.capture.source.name

    @property
    def driver(self) -> str | None:
        """The name of what makes motion of speech, or None."""
        return None if self.speak is None else parse_driver(self._options.speech.driver)[0]

    @property
    def fault(self) -> str | None:
        """Why a file's sound was not whole, in a line; None if it was, and for what comes back by itself."""
        if self.speak is None or self.speak.capture.source.returns or self.speak.capture.error is None:
            return None
        return str(self.speak.capture.error)

    def start(self) -> None:
        """Load the networks and listen.

        Raises:
            ModelError: a network cannot be loaded.
        """
        if self.speak is not None:
            self.speak.start(lambda: self._with_gate(self._pipeline(self._options)))

    def stop(self) -> None:
        """End it; safe to call twice."""
        if self.speak is not None:
            self.speak.stop()

    def status(self) -> dict[str, Any]:
        """Return the microphone's part of the status message."""
        return {} if self.speak is None else self.speak.status()

    def microphones(self) -> list[MicrophoneInfo]:
        """Return what can be listened to now, what is listened to among it; nothing if microphones cannot be used."""
        try:
            found = list_microphones()
        except CaptureError:
            return []
        capture = None if self.speak is None else self.speak.capture
        used = None
        if capture is not None and isinstance(capture.source, Microphone) and capture.state == "running":
            used = capture.source.device
        if used is not None and used.name not in (device.name for device in found):
            found.append(used)  # Nobody else can look at a device that gives itself to one program only.
        return found

    def listen_to(self, what: str) -> None:
        """Listen to the microphone with this id, or this name, from now on.

        Raises:
            CaptureError: there is no such microphone.
            ModelError: a network cannot be loaded.
        """
        device = find_microphone(what, self.microphones())
        pipeline = self._pipeline(self._options)
        fresh, old = self._speak(Microphone(device)), self.speak
        self.speak = fresh  # before the old one ends, which would be the end of the run
        if old is not None:
            old.stop()  # first: some devices give themselves to one program only
        fresh.start(lambda: self._with_gate(pipeline))

    def gate(self, setting: MicGate) -> None:
        """Have other voices pass from now on."""
        setting = float(setting) if isinstance(setting, (int, float)) else setting
        self._options = replace(self._options, speech=replace(self._options.speech, mic_gate=setting))
        if self._near is not None:
            self._near.setting = setting

    @property
    def voices(self) -> dict[str, float]:
        """How loud the user usually is, by microphone, as far as it is known: what a profile keeps."""
        name, usual_db = self._device_name(), None if self._near is None else self._near.usual_db
        return {**self._voices, **({} if name is None or usual_db is None else {name: round(usual_db, 1)})}

    def expect(self, voices: Mapping[str, float]) -> None:
        """Begin with what a profile knows of the user's voice."""
        self._voices = dict(voices)
        if self._near is not None and (usual_db := self._usual_db()) is not None:
            self._near.expect(usual_db)

    def _usual_db(self) -> float | None:
        return self._voices.get(self._device_name() or "")

    def _device_name(self) -> str | None:
        source = None if self.speak is None else self.speak.capture.source
        return source.device.name if isinstance(source, Microphone) and source.device is not None else None

    def choose_driver(self, name: str) -> None:
        """Have another speech driver make the motion from now on.

        Raises:
            CommandError: nothing is listened to.
            ModelError: the driver cannot be loaded, or does not take the run's other options.
        """
        if self.speak is None:
            raise CommandError("no microphone is in use: start again with --audio")
        options = replace(self._options, speech=replace(self._options.speech, driver=name))
        self.speak.use(self._pipeline(options, self._near))
        self._options = options

    def _speak(self, source: SoundSource) -> Speak:
        return Speak(source, self._take_tick, tap=self._tap, notify=self._notify)

    def _pipeline(self, options: LiveOptions, near: NearGate | None = None) -> SpeechPipeline:
        device, flame = options.tracking.device, options.flame
        return make_speech(options.speech, device=device, flame=flame, near=near)

    def _with_gate(self, pipeline: SpeechPipeline) -> SpeechPipeline:
        """Note the gate of what is used from now on: another microphone has levels of its own."""
        self._near = pipeline.near
        self._near.recall = self._usual_db
        return pipeline
