"""VTube Studio's public API 1.0 without a socket: what to say, given what came. Source: DenchiSoft/VTubeStudio's
README ("API Details") and ErrorID.cs.

A conversation: is the API on; a token, which the person at the screen allows once; authentication with it; custom
parameters; then values, again and again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from facewire.bridge.outputs.base import OutputError

API_NAME, API_VERSION = "VTubeStudioPublicAPI", "1.0"
PLUGIN = {"pluginName": "Facewire", "pluginDeveloper": "Facewire"}
"""A token counts for these two names only: they must never change."""
MAX_REPLY_BYTES = 1 << 16
MAX_IN_FLIGHT = 2
"""Values that VTube Studio has not acknowledged yet: it answers once for each picture that it draws, so a slow one gets
fewer, and newer, frames."""
ANSWER_NS = 3_000_000_000
"""A VTube Studio that acknowledges nothing for this long counts as dead."""
TAKEN_NS = 10_000_000_000
"""A parameter that another plug-in moves is tried again after this long."""
MAX_TOKEN_LENGTH = 256
API_IS_OFF = 'VTube Studio\'s API is off: switch on "Start API" in its settings'
_API_OFF, _NEEDS_LEAVE, _DENIED, _ASKING_ALREADY, _NOT_FOUND, _TAKEN = 1, 8, 50, 51, 453, 454

Stage: TypeAlias = Literal["new", "allow", "authenticate", "create", "ready"]


class VtsError(OutputError):
    """This conversation is over; a new one may go better."""


class VtsDeniedError(VtsError):
    """The person said no: do not ask again by yourself."""


def request(kind: str, data: Mapping[str, Any] | None = None, request_id: str = "facewire") -> str:
    """Return one request as JSON."""
    message = {"apiName": API_NAME, "apiVersion": API_VERSION, "requestID": request_id, "messageType": kind}
    return json.dumps(message if data is None else {**message, "data": dict(data)})


class VtsSession:
    """One conversation. State: its stage, the token, which parameters may be sent, and what is not answered.

    ``start`` and ``receive`` return messages to send.
    """

    def __init__(
        self, names: Sequence[str], custom: Mapping[str, tuple[float, float, float]], token: str | None
    ) -> None:
        """``names`` are the parameters whose values will come, in order; ``custom`` are those of them that must be
        made: lowest, highest and default value."""
        self.stage: Stage = "new"
        self.token = token
        """What authenticates us; None once it counts no longer."""
        self.in_flight = 0
        self.refused: dict[str, str] = {}
        """Parameters that could not be made or do not exist, and what was said of them."""
        self.problem: str | None = None
        """What a person should know, though it goes on."""
        self._names, self._custom = tuple(names), dict(custom)
        self._taken: dict[str, int] = {}
        self._creating: set[str] = set()
        self._heard_ns = 0
        self._values = _Template(self._names)

    def start(self, now_ns: int) -> list[str]:
        """Begins."""
        self._heard_ns = now_ns
        return [request("APIStateRequest")]

    def check(self, now_ns: int) -> None:
        """Check that VTube Studio answers; a person may take as long as they want.

        Raises:
            VtsError: an answer is owed for too long.
        """
        if (self.in_flight or self.stage not in ("allow", "ready")) and now_ns - self._heard_ns > ANSWER_NS:
            raise VtsError("VTube Studio does not answer")

    def receive(self, text: str | bytes, now_ns: int) -> list[str]:
        """Take a message.

        Raises:
            VtsDeniedError: the person does not want us.
            VtsError: it cannot go on.
        """
        kind, request_id, data = _parse(text)
        self._heard_ns = now_ns
        if kind == "APIError":
            return self._on_error(request_id, data, now_ns)
        if kind == "APIStateResponse" and self.stage == "new":
            if data.get("active") is not True:
                raise VtsError(API_IS_OFF)
            return self._ask()
        if kind == "AuthenticationTokenResponse" and self.stage == "allow":
            self.token = check_token(data.get("authenticationToken"))
            return self._ask()
        if kind == "AuthenticationResponse" and self.stage == "authenticate":
            return self._on_authentication(data)
        if kind == "ParameterCreationResponse":
            self._made(request_id)
        elif kind == "InjectParameterDataResponse":
            self._acknowledged()
        return []  # events, and answers that nobody waits for

    @property
    def has_room(self) -> bool:
        """Whether values may be sent now."""
        return self.stage == "ready" and self.in_flight < MAX_IN_FLIGHT

    def inject(self, values: Sequence[float], face_found: bool, now_ns: int) -> str:
        """Return the message with ``values``, one for each name; only while there is room."""
        self._release(now_ns)
        if not self.in_flight:
            self._heard_ns = now_ns  # from now on an answer is owed
        self.in_flight += 1
        return self._values.fill(values, face_found)

    def _ask(self) -> list[str]:
        if self.token is None:
            self.stage = "allow"
            return [request("AuthenticationTokenRequest", PLUGIN)]
        self.stage = "authenticate"
        return [request("AuthenticationRequest", {**PLUGIN, "authenticationToken": self.token})]

    def _on_authentication(self, data: Mapping[str, Any]) -> list[str]:
        if data.get("authenticated") is not True:
            self.token = None  # it was revoked, or is of another VTube Studio: ask the person again
            return self._ask()
        self._creating = set(self._custom)
        self.stage = "create" if self._creating else "ready"
        return [request("ParameterCreationRequest", _custom(name, *of), name) for name, of in self._custom.items()]

    def _made(self, name: str) -> None:
        self._creating.discard(name)
        if self.stage == "create" and not self._creating:
            self.stage = "ready"
            self._choose()
            if self.refused:
                why = next(iter(self.refused.values()))
                self.problem = f"VTube Studio did not make {len(self.refused)} of Facewire's own parameters: {why}"

    def _acknowledged(self) -> None:
        self.in_flight = max(self.in_flight - 1, 0)

    def _on_error(self, request_id: str, data: Mapping[str, Any], now_ns: int) -> list[str]:
        number, said = data.get("errorID"), str(data.get("message", ""))[:300]
        if number == _API_OFF:
            raise VtsError(API_IS_OFF)
        if number == _DENIED and self.stage == "allow":
            raise VtsDeniedError(
                "VTube Studio was told to keep Facewire out: switch the output off and on to ask again"
            )
        if number in (_DENIED, _NEEDS_LEAVE):
            self.token = None
            raise VtsError("VTube Studio no longer lets Facewire in: click Allow when it asks")
        if number == _ASKING_ALREADY:
            raise VtsError("VTube Studio is already asking: answer its question about Facewire")
        if request_id in self._creating:
            self.refused[request_id] = said
            self._made(request_id)
        elif self.stage == "ready":
            self._acknowledged()
            self._on_refused_values(number, said, now_ns)
        else:
            raise VtsError(f"VTube Studio says no: {said or number}")
        return []

    def _on_refused_values(self, number: Any, said: str, now_ns: int) -> None:
        """One bad parameter spoils the whole message: leave it out from now on."""
        named = set(re.findall(r"\w+", said)) & set(self._values.names)
        if number == _TAKEN and named:
            self._taken |= dict.fromkeys(named, now_ns + TAKEN_NS)
        elif number == _NOT_FOUND and named:
            self.refused |= dict.fromkeys(named, said)
        self.problem = f"VTube Studio does not accept everything: {said or number}"
        self._choose()

    def _release(self, now_ns: int) -> None:
        back = [name for name, until_ns in self._taken.items() if now_ns >= until_ns]
        if back:
            for name in back:
                del self._taken[name]
            self._choose()

    def _choose(self) -> None:
        self._values = _Template(self._names, {*self.refused, *self._taken})


class _Template:
    """The one message that is sent many times a second, with places for its numbers."""

    def __init__(self, names: Sequence[str], without: set[str] | None = None) -> None:
        chosen = [(index, name) for index, name in enumerate(names) if name not in (without or ())]
        self.names = [name for _, name in chosen]
        self._places = [index for index, _ in chosen]
        values = ", ".join(f'{{"id": "{name}", "value": %.4f}}' for name in self.names)
        text = request("InjectParameterDataRequest", {"faceFound": 0, "mode": "set", "parameterValues": []}, "values")
        self._text = text.replace('"faceFound": 0', '"faceFound": %s').replace("[]", f"[{values}]")

    def fill(self, values: Sequence[float], face_found: bool) -> str:
        return self._text % ("true" if face_found else "false", *[values[place] for place in self._places])


def check_token(token: Any) -> str:
    """Return ``token``.

    Raises:
        VtsError: it is not one.
    """
    if isinstance(token, str) and token.isascii() and token.isprintable() and 0 < len(token) <= MAX_TOKEN_LENGTH:
        return token
    raise VtsError("VTube Studio gave a token that is not valid")


def _custom(name: str, lowest: float, highest: float, default: float) -> dict[str, Any]:
    about = f"ARKit's {name.removeprefix('Facewire')}, from Facewire"
    return {"parameterName": name, "explanation": about, "min": lowest, "max": highest, "defaultValue": default}


def _parse(text: str | bytes) -> tuple[str, str, dict[str, Any]]:
    """Return kind, request and data of a message.

    Raises:
        VtsError: it is not one.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or message.get("apiName") != API_NAME:
        raise VtsError("what answers there is not VTube Studio: look at the port in its settings")
    kind, request_id, data = message.get("messageType"), message.get("requestID"), message.get("data")
    return str(kind), str(request_id), data if isinstance(data, dict) else {}
