"""A notifier that keeps what it was given, but for receivers that a test has made fail."""

from __future__ import annotations

from lifecycle.ports import Message, Notifier


class FakeNotifier(Notifier):
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failing: dict[str, Exception] = {}

    def deliver(self, message: Message) -> None:
        if not message.receiver.startswith(("http://", "https://", "mailto:")):
            raise ValueError(f"{message.receiver} is no address to send to")
        if message.receiver in self.failing:
            raise self.failing[message.receiver]
        self.messages.append(message)
