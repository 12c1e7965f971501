"""Webhooks of a real server, validated by the SDK."""

import http.server
import json
import queue
import threading
import unittest

import pusher

from support import HOST, PORT, TIMEOUT_S, WEBHOOK_PORT, Subscriber, unique

KEY, SECRET = "webhook-key", "webhook-secret"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Puts each request into a queue; answers as `statuses` says, then 200."""

    requests = queue.Queue()
    statuses = queue.Queue()

    def do_POST(self):  # noqa: N802, the name is http.server's
        body = self.rfile.read(int(self.headers["content-length"]))
        self.requests.put((self.headers, body))
        try:
            status = self.statuses.get_nowait()
        except queue.Empty:
            status = 200
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@unittest.skipUnless(WEBHOOK_PORT, "the server under test does not know where to send webhooks")
class Webhooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.listener = http.server.ThreadingHTTPServer(("127.0.0.1", WEBHOOK_PORT), Receiver)
        threading.Thread(target=cls.listener.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.listener.shutdown()
        cls.listener.server_close()

    def setUp(self):
        self.sdk = pusher.Pusher("7", KEY, SECRET, ssl=False, host=HOST, port=PORT)
        self.unclaimed = []

    def subscriber(self):
        subscriber = Subscriber(KEY)
        self.addCleanup(subscriber.close)
        return subscriber

    def webhook(self, name, channel):
        """The next event of that name about that channel, out of a request that the SDK has found valid."""
        while True:
            headers, body = Receiver.requests.get(timeout=TIMEOUT_S)
            self.assertEqual(headers["content-type"], "application/json")
            webhook = self.sdk.validate_webhook(headers["x-pusher-key"], headers["x-pusher-signature"], body.decode())
            self.assertIsNotNone(webhook, f"not valid: {headers} {body}")
            self.assertEqual(len(webhook["events"]), 1)
            event = webhook["events"][0]
            if (event["name"], event["channel"]) == (name, channel):
                return event

    def test_occupied_and_vacated(self):
        subscriber, channel = self.subscriber(), unique("public")
        subscriber.subscribe(channel)
        self.assertEqual(self.webhook("channel_occupied", channel), {"name": "channel_occupied", "channel": channel})
        subscriber.close()
        self.assertEqual(self.webhook("channel_vacated", channel), {"name": "channel_vacated", "channel": channel})

    def test_members_come_and_go(self):
        subscriber, channel = self.subscriber(), unique("presence")
        subscriber.subscribe(channel, self.sdk.authenticate(channel, subscriber.socket_id, {"user_id": 10}))
        added = {"name": "member_added", "channel": channel, "user_id": "10"}
        self.assertEqual(self.webhook("member_added", channel), added)
        subscriber.send("pusher:unsubscribe", {"channel": channel})
        self.assertEqual(self.webhook("member_removed", channel), {**added, "name": "member_removed"})

    def test_client_events(self):
        subscriber, channel = self.subscriber(), unique("presence")
        subscriber.subscribe(channel, self.sdk.authenticate(channel, subscriber.socket_id, {"user_id": "ada"}))
        subscriber.send("client-e", {"n": 1}, channel=channel)
        event = self.webhook("client_event", channel)
        self.assertEqual(json.loads(event.pop("data")), {"n": 1})
        expected = {"name": "client_event", "channel": channel, "event": "client-e", "user_id": "ada"}
        self.assertEqual(event, {**expected, "socket_id": subscriber.socket_id})

    def test_cache_miss(self):
        subscriber, channel = self.subscriber(), unique("cache")
        subscriber.subscribe(channel)
        self.assertEqual(self.webhook("cache_miss", channel), {"name": "cache_miss", "channel": channel})

    def test_a_failure_is_tried_again(self):
        Receiver.statuses.put(500)
        subscriber, channel = self.subscriber(), unique("public")
        # The first event that comes, whichever it is, fails and has to come again.
        subscriber.subscribe(channel)
        self.webhook("channel_occupied", channel)
        self.webhook("channel_occupied", channel)

    def test_a_forged_signature_is_not_valid(self):
        body = json.dumps({"time_ms": 1, "events": []})
        self.assertIsNone(self.sdk.validate_webhook(KEY, "0" * 64, body))
