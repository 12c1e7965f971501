"""PyPI `Pysher`: a client of protocol 6 that signs for itself."""

import json
import logging
import queue
import threading
import unittest

import pusher
import pysher

from support import APP_ID, HOST, KEY, PORT, SECRET, TIMEOUT_S, Wire, unique, until

logging.disable(logging.CRITICAL)

# How long to wait for a client's thread to end. It is a daemon, and now and then sleeps on in `select`, because
# websocket-client closes the socket under it.
DISCONNECT_S = 0.5
SUCCEEDED = "pusher_internal:subscription_succeeded"


class Client(pysher.Pusher):
    """Keeps what it receives, so that a test can wait for it.

    Pysher knows of a channel only after it has asked the server for it, and passes over answers that are faster.
    """

    def __init__(self, **options):
        self.received = queue.Queue()
        settings = {"secret": SECRET, "secure": False, "custom_host": HOST, "port": PORT, "reconnect_interval": 0.1}
        super().__init__(KEY, **{**settings, **options})
        self.connected = threading.Event()
        self.connection.bind("pusher:connection_established", lambda data: self.connected.set())

    def _connection_handler(self, event_name, data, channel_name):
        self.received.put((channel_name, event_name, data))
        super()._connection_handler(event_name, data, channel_name)

    def start(self):
        self.connect()
        if not self.connected.wait(TIMEOUT_S):
            raise AssertionError(f"not connected within {TIMEOUT_S} s")

    def expect(self, channel, event):
        """The data of the next such event, passing over all others."""
        while True:
            channel_name, event_name, data = self.received.get(timeout=TIMEOUT_S)
            if (channel_name, event_name) == (channel.name, event):
                return json.loads(data) if isinstance(data, str) else data

    def subscribed(self, name):
        """Subscribes and waits for the confirmation; returns the channel and the confirmation's data."""
        channel = self.subscribe(name)
        return channel, self.expect(channel, SUCCEEDED)


class PysherTest(unittest.TestCase):
    def setUp(self):
        self.sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=False, host=HOST, port=PORT)

    def client(self, **options):
        client = Client(**options)
        client.start()
        self.addCleanup(client.disconnect, DISCONNECT_S)
        return client

    def test_connects_and_has_its_ping_answered(self):
        client = self.client()
        self.assertRegex(client.connection.socket_id, r"^\d+\.\d+$")
        # It pings as soon as the socket is open, with data that is an empty text.
        until("a pong", lambda: client.connection.pong_received)

    def test_public_private_and_presence_channels_receive_events(self):
        client = self.client(user_data={"user_id": "ada", "user_info": {"name": "Ada"}})
        for prefix in ("public", "private", "presence"):
            channel, _ = client.subscribed(unique(prefix))
            bound = queue.Queue()
            channel.bind("e", bound.put)
            self.sdk.trigger(channel.name, "e", {"n": 1})
            self.assertEqual(json.loads(bound.get(timeout=TIMEOUT_S)), {"n": 1})

    def test_presence_tells_who_is_there_comes_and_goes(self):
        name = unique("presence")
        ada, bob = (self.client(user_data={"user_id": user, "user_info": {"name": user}}) for user in ("ada", "bob"))
        channel, answer = ada.subscribed(name)
        self.assertEqual(answer, {"presence": {"ids": ["ada"], "hash": {"ada": {"name": "ada"}}, "count": 1}})
        _, answer = bob.subscribed(name)
        self.assertEqual(answer["presence"]["count"], 2)
        added = {"user_id": "bob", "user_info": {"name": "bob"}}
        self.assertEqual(ada.expect(channel, "pusher_internal:member_added"), added)
        bob.disconnect(DISCONNECT_S)
        self.assertEqual(ada.expect(channel, "pusher_internal:member_removed"), {"user_id": "bob"})

    def test_client_events_reach_the_others(self):
        name = unique("private")
        sender, other = self.client(), self.client()
        own, _ = sender.subscribed(name)
        others, _ = other.subscribed(name)
        echoes = []
        own.bind("client-e", echoes.append)
        own.trigger("client-e", {"n": 1})
        self.assertEqual(other.expect(others, "client-e"), {"n": 1})
        self.sdk.trigger(name, "fence", {})
        sender.expect(own, "fence")
        self.assertEqual(echoes, [])

    def test_unsubscribing_ends_the_subscription(self):
        client = self.client()
        channel, _ = client.subscribed(unique("public"))
        client.unsubscribe(channel.name)
        until("vacated", lambda: self.sdk.channel_info(channel.name) == {"occupied": False})

    def test_a_private_channel_with_a_foreign_signature_is_refused_and_the_connection_stays(self):
        client = self.client()
        errors = queue.Queue()
        client.connection.bind("pusher:error", errors.put)
        client.subscribe(unique("private"), auth=f"{KEY}:{'0' * 64}")
        error = errors.get(timeout=TIMEOUT_S)
        self.assertTrue(error["message"].startswith("Invalid signature: "), error)
        client.subscribed(unique("public"))

    def test_after_a_lost_connection_it_subscribes_again(self):
        wire = Wire()
        self.addCleanup(wire.close)
        client = self.client(auto_sub=True, port=wire.port)
        channel, _ = client.subscribed(unique("public"))
        first = client.connection.socket_id
        wire.cut()
        client.expect(channel, SUCCEEDED)
        self.assertNotEqual(client.connection.socket_id, first)
        self.sdk.trigger(channel.name, "e", {"n": 1})
        self.assertEqual(client.expect(channel, "e"), {"n": 1})
