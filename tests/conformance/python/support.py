"""What the tests share: the server's address, a client made of a bare WebSocket, and waiting without sleeping long."""

import itertools
import json
import os
import socket
import threading
import time

import websocket

HOST = os.environ["HOST"]
PORT = int(os.environ["PORT"])
WEBHOOK_PORT = int(os.environ["WEBHOOK_PORT"]) if os.environ.get("WEBHOOK_PORT") else None

APP_ID, KEY, SECRET = "123456", "app-key", "app-secret"
# Long, because a machine may be busy; a test that passes never waits for it.
TIMEOUT_S = 30

_numbers = itertools.count()


def unique(prefix):
    """A name that no other test uses."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


def until(what, condition):
    """Polls until the condition is true, and returns its value."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not so within {TIMEOUT_S} s")
        time.sleep(0.02)


class Subscriber:
    """A connection that tests read message by message."""

    def __init__(self, key=KEY):
        url = f"ws://{HOST}:{PORT}/app/{key}?protocol=7&client=test&version=1.0"
        self.socket = websocket.create_connection(url, timeout=TIMEOUT_S)
        self.socket_id = json.loads(self.expect("pusher:connection_established")["data"])["socket_id"]

    def send(self, event, data, **more):
        self.socket.send(json.dumps({"event": event, "data": data, **more}))

    def receive(self):
        return json.loads(self.socket.recv())

    def expect(self, event, channel=None):
        """The next message of that name, passing over all others but errors."""
        while True:
            message = self.receive()
            if message["event"] == event and channel in (None, message.get("channel")):
                return message
            if message["event"] == "pusher:error":
                raise AssertionError(f"waiting for {event}: {message}")

    def subscribe(self, channel, auth=None):
        """Subscribes with what an SDK's `authenticate` returned, and waits for the confirmation."""
        auth = {name: value for name, value in (auth or {}).items() if name in ("auth", "channel_data")}
        self.send("pusher:subscribe", {"channel": channel, **auth})
        return json.loads(self.expect("pusher_internal:subscription_succeeded", channel)["data"])

    def close(self):
        self.socket.close()


class Wire:
    """A way to the server that a test can cut: passes TCP connections on."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                inbound, _ = self._listener.accept()
            except OSError:
                return
            outbound = socket.create_connection((HOST, PORT))
            self._sockets += [inbound, outbound]
            for one, other in ((inbound, outbound), (outbound, inbound)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Ends all connections without a close frame."""
        while self._sockets:
            try:
                self._sockets.pop().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()
        self.cut()
