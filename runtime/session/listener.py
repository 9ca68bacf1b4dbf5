"""What a run listens to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from facewire.bridge.shared.errors import CommandError
from facewire.models.speech.drivers import parse_driver
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.session.networks import make_speech
from facewire.runtime.session.options import LiveOptions
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
        self.speak = None if sound is None else self._speak(sound)

    @property
    def name(self) -> str | None:
        """What is listened to, or None."""
        return None if self.speak is None else self.speak.capture.source.name

    @property
    def driver(self) -> str | None:
        """The name of what makes motion of speech, or None."""
        return None if self.speak is None else parse_driver(self._options.speech.driver)[0]

    def start(self) -> None:
        """Load the networks and listen.

        Raises:
            ModelError: a network cannot be loaded.
        """
        if self.speak is not None:
            self.speak.start(lambda: self._pipeline(self._options))

    def stop(self) -> None:
        """End it; safe to call twice."""
        if self.speak is not None:
            self.speak.stop()

    def status(self) -> dict[str, Any]:
        """Return the microphone's part of the status message."""
        return {} if self.speak is None else self.speak.status()

    def listen_to(self, what: str) -> None:
        """Listen to the microphone with this number from now on.

        Raises:
            CaptureError: there is no such microphone.
            ModelError: a network cannot be loaded.
            CommandError: it is not a number.
        """
        from facewire.runtime.capture.sound.microphone import Microphone, find_microphone, list_microphones

        if not what.isdigit():
            raise CommandError("choose a microphone by the id that devices lists")
        find_microphone(what, list_microphones())
        fresh, old = self._speak(Microphone(what)), self.speak
        fresh.start(lambda: self._pipeline(self._options))
        self.speak = fresh
        if old is not None:
            old.stop()

    def choose_driver(self, name: str) -> None:
        """Have another speech driver make the motion from now on.

        Raises:
            CommandError: nothing is listened to.
            ModelError: the driver cannot be loaded, or does not take the run's other options.
        """
        if self.speak is None:
            raise CommandError("no microphone is in use: start again with --audio")
        options = replace(self._options, speech=replace(self._options.speech, driver=name))
        self.speak.use(self._pipeline(options))
        self._options = options

    def _speak(self, source: SoundSource) -> Speak:
        return Speak(source, self._take_tick, tap=self._tap, notify=self._notify)

    def _pipeline(self, options: LiveOptions) -> SpeechPipeline:
        return make_speech(options.speech, device=options.tracking.device, flame=options.flame)
