"""PyPI `pusher`: every call it offers."""

import base64
import json
import os
import unittest
from unittest import mock

import pusher
import websocket
from nacl.secret import SecretBox
from pusher.errors import PusherBadAuth, PusherBadRequest, PusherBadStatus

from support import APP_ID, HOST, KEY, PORT, SECRET, Subscriber, unique, until

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


def sdk(**options):
    settings = {"app_id": APP_ID, "key": KEY, "secret": SECRET, "ssl": False, "host": HOST, "port": PORT, "timeout": 30}
    return pusher.Pusher(**{**settings, **options})


class SdkTest(unittest.TestCase):
    def setUp(self):
        self.sdk = sdk()

    def subscriber(self):
        subscriber = Subscriber()
        self.addCleanup(subscriber.close)
        return subscriber

    def subscribed(self, prefix):
        subscriber, channel = self.subscriber(), unique(prefix)
        subscriber.subscribe(channel)
        return subscriber, channel


class Trigger(SdkTest):
    def test_an_event_reaches_its_channel(self):
        subscriber, channel = self.subscribed("public")
        self.assertEqual(self.sdk.trigger(channel, "e", {"text": "ä€😀"}), {})
        message = subscriber.expect("e", channel)
        self.assertEqual(json.loads(message["data"]), {"text": "ä€😀"})

    def test_a_text_is_sent_as_it_is(self):
        subscriber, channel = self.subscribed("public")
        self.sdk.trigger(channel, "e", "plain text")
        self.assertEqual(subscriber.expect("e")["data"], "plain text")

    def test_an_event_reaches_up_to_100_channels(self):
        subscriber = self.subscriber()
        channels = [unique("public") for _ in range(100)]
        for channel in channels:
            subscriber.subscribe(channel)
        self.sdk.trigger(channels, "e", {})
        self.assertEqual({subscriber.expect("e")["channel"] for _ in channels}, set(channels))

    def test_the_connection_of_a_socket_id_is_left_out(self):
        sender, channel = self.subscribed("public")
        other = self.subscriber()
        other.subscribe(channel)
        self.sdk.trigger(channel, "first", {}, sender.socket_id)
        self.sdk.trigger(channel, "second", {})
        self.assertEqual(other.expect("first", channel)["event"], "first")
        while (message := sender.receive())["event"] != "second":
            self.assertNotEqual(message["event"], "first")

    def test_a_batch_delivers_each_event(self):
        subscriber, channel = self.subscribed("public")
        other = unique("public")
        subscriber.subscribe(other)
        answer = self.sdk.trigger_batch(
            [{"channel": channel, "name": "one", "data": {"n": 1}}, {"channel": other, "name": "two", "data": "2"}]
        )
        self.assertEqual(answer, {})
        # Events keep their order within a channel, not between channels.
        received = {}
        while len(received) < 2:
            message = subscriber.receive()
            if message["event"] in ("one", "two"):
                received[message["channel"]] = message["data"]
        self.assertEqual(json.loads(received[channel]), {"n": 1})
        self.assertEqual(received[other], "2")

    def test_a_batch_may_leave_out_a_connection(self):
        subscriber, channel = self.subscribed("public")
        event = {"channel": channel, "data": "{}"}
        self.sdk.trigger_batch(
            [{**event, "name": "first", "socket_id": subscriber.socket_id}, {**event, "name": "second"}],
            already_encoded=True,
        )
        while (message := subscriber.receive())["event"] != "second":
            self.assertNotEqual(message["event"], "first")

    def test_a_batch_of_11_is_a_bad_request(self):
        with self.assertRaisesRegex(PusherBadRequest, r"Batch too large \(11 > 10\)"):
            self.sdk.trigger_batch([{"channel": "c", "name": "e", "data": ""}] * 11)

    def test_too_much_data_is_a_bad_status(self):
        with self.assertRaisesRegex(PusherBadStatus, "413: .*exceeds the allowed maximum"):
            self.sdk.trigger("c", "e", "x" * 10241)

    def test_a_wrong_secret_is_a_bad_auth(self):
        with self.assertRaises(PusherBadAuth):
            sdk(secret="not-the-secret").trigger("c", "e", {})

    def test_an_event_to_an_encrypted_channel_can_be_decrypted(self):
        encrypting = sdk(encryption_master_key_base64=MASTER_KEY)
        subscriber, channel = self.subscriber(), unique("private-encrypted")
        auth = encrypting.authenticate(channel, subscriber.socket_id)
        subscriber.subscribe(channel, auth)
        encrypting.trigger(channel, "one", {"text": "ä€😀"})
        encrypting.trigger_batch([{"channel": channel, "name": "two", "data": {"text": "ä€😀"}}])
        for event in ("one", "two"):
            sealed = json.loads(subscriber.expect(event, channel)["data"])
            box = SecretBox(base64.b64decode(auth["shared_secret"]))
            opened = box.decrypt(base64.b64decode(sealed["ciphertext"]), base64.b64decode(sealed["nonce"]))
            self.assertEqual(json.loads(opened), {"text": "ä€😀"})

    def test_from_url_and_from_env_make_the_same_client(self):
        url = f"http://{KEY}:{SECRET}@{HOST}/apps/{APP_ID}"
        self.assertEqual(pusher.Pusher.from_url(url, port=PORT).trigger("c", "e", {}), {})
        with mock.patch.dict(os.environ, {"PUSHER_URL": url}):
            self.assertEqual(pusher.Pusher.from_env(port=PORT).trigger("c", "e", {}), {})


class Information(SdkTest):
    def join(self, user_id):
        subscriber = self.subscriber()
        auth = self.sdk.authenticate(self.presence, subscriber.socket_id, {"user_id": user_id, "user_info": {"n": 1}})
        return subscriber, subscriber.subscribe(self.presence, auth)

    def setUp(self):
        super().setUp()
        self.presence = unique("presence")

    def test_channels_lists_what_is_occupied(self):
        _, channel = self.subscribed("public")
        self.join("1")
        channels = self.sdk.channels_info()["channels"]
        self.assertEqual(channels[channel], {})
        answer = self.sdk.channels_info(prefix_filter=self.presence, attributes=["user_count"])
        self.assertEqual(answer, {"channels": {self.presence: {"user_count": 1}}})

    def test_counting_users_of_all_channels_is_a_bad_request(self):
        text = "user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-"
        with self.assertRaisesRegex(PusherBadRequest, text):
            self.sdk.channels_info(attributes=["user_count"])

    def test_a_channel_is_described(self):
        _, channel = self.subscribed("public")
        self.assertEqual(self.sdk.channel_info(channel), {"occupied": True})
        self.assertEqual(
            self.sdk.channel_info(channel, ["subscription_count"]), {"occupied": True, "subscription_count": 1}
        )
        self.join("1")
        self.join("1")
        self.assertEqual(
            self.sdk.channel_info(self.presence, ["user_count", "subscription_count"]),
            {"occupied": True, "user_count": 1, "subscription_count": 2},
        )

    def test_users_are_listed_once_each(self):
        for user_id in ("1", "2", "2"):
            self.join(user_id)
        users = self.sdk.users_info(self.presence)["users"]
        self.assertEqual(sorted(user["id"] for user in users), ["1", "2"])

    def test_users_of_a_public_channel_are_a_bad_request(self):
        with self.assertRaisesRegex(PusherBadRequest, "Users can only be retrieved for presence channels"):
            self.sdk.users_info("public")


class Authentication(SdkTest):
    def test_a_private_channel_is_opened(self):
        subscriber, channel = self.subscriber(), unique("private")
        subscriber.subscribe(channel, self.sdk.authenticate(channel, subscriber.socket_id))

    def test_a_presence_channel_is_opened_with_a_numeric_id(self):
        subscriber, channel = self.subscriber(), unique("presence")
        member = {"user_id": 10, "user_info": {"name": "Mr. Channels"}}
        answer = subscriber.subscribe(channel, self.sdk.authenticate(channel, subscriber.socket_id, member))
        expected = {"ids": ["10"], "hash": {"10": {"name": "Mr. Channels"}}, "count": 1}
        self.assertEqual(answer, {"presence": expected})

    def signed_in(self, user):
        subscriber = self.subscriber()
        subscriber.send("pusher:signin", self.sdk.authenticate_user(subscriber.socket_id, user))
        answer = json.loads(subscriber.expect("pusher:signin_success")["data"])
        self.assertEqual(json.loads(answer["user_data"]), user)
        return subscriber

    def test_a_user_signs_in_and_is_sent_to(self):
        user_id = unique("user")
        subscriber = self.signed_in({"id": user_id, "user_info": {"name": "Ada"}})
        channel = f"#server-to-user-{user_id}"
        subscriber.subscribe(channel)
        self.assertEqual(self.sdk.send_to_user(user_id, "e", {"n": 1}), {})
        self.assertEqual(json.loads(subscriber.expect("e", channel)["data"]), {"n": 1})

    def test_the_connections_of_a_user_are_terminated(self):
        user_id = unique("user")
        subscriber = self.signed_in({"id": user_id})
        # This SDK leaves /apps/ID out of the path.
        self.assertEqual(self.sdk.terminate_user_connections(user_id), {})
        while True:
            opcode, data = subscriber.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
        self.assertEqual(int.from_bytes(data[:2], "big"), 4009)


if __name__ == "__main__":
    unittest.main()
