//! What the tests share: the SDK, and a subscriber, for the server under test, which `HOST` and `PORT` name.

use std::env;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::client::HttpConnector;
use pusher::{Pusher, PusherBuilder};
use serde_json::{Value, json};
use tungstenite::WebSocket;

/// The id of the application that is there for tests.
pub const APP_ID: &str = "123456";
/// Its key.
pub const KEY: &str = "app-key";
/// Its secret.
pub const SECRET: &str = "app-secret";

/// Long, because a machine may be busy; a test that passes never waits for it.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// `HOST:PORT` of the server under test.
pub fn address() -> String {
    let variable = |name| env::var(name).unwrap_or_else(|_| panic!("{name} is not set; start ./run"));
    format!("{}:{}", variable("HOST"), variable("PORT"))
}

/// The SDK for the application.
pub fn sdk() -> Pusher<HttpConnector> {
    PusherBuilder::new(APP_ID, KEY, SECRET).host(&address()).finalize()
}

/// A name that no other test uses.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A connection that tests read message by message.
pub struct Subscriber {
    socket: WebSocket<TcpStream>,
    /// What the server calls the connection.
    pub socket_id: String,
}

impl Subscriber {
    /// Connects to the application of a key.
    pub fn connect(key: &str) -> Self {
        let stream = TcpStream::connect(address()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let url = format!("ws://{}/app/{key}?protocol=7&client=test&version=1.0", address());
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        let mut subscriber = Self { socket, socket_id: String::new() };
        let established = data(&subscriber.expect("pusher:connection_established"));
        subscriber.socket_id = established["socket_id"].as_str().unwrap().to_owned();
        subscriber
    }

    /// Subscribes with what the SDK signed, an object with `auth` and perhaps `channel_data`, and waits for the
    /// confirmation, whose data it returns.
    pub fn subscribe(&mut self, channel: &str, auth: Option<&str>) -> Value {
        let mut data: Value = auth.map_or(json!({}), |auth| serde_json::from_str(auth).unwrap());
        data["channel"] = channel.into();
        self.send(&json!({"event": "pusher:subscribe", "data": data}));
        self::data(&self.expect("pusher_internal:subscription_succeeded"))
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.socket.send(message.to_string().into()).unwrap();
    }

    /// The next message.
    pub fn receive(&mut self) -> Value {
        loop {
            let message = self.socket.read().unwrap();
            if message.is_text() {
                return serde_json::from_str(message.to_text().unwrap()).unwrap();
            }
        }
    }

    /// The next message with that event, passing over all others but errors.
    pub fn expect(&mut self, event: &str) -> Value {
        loop {
            let message = self.receive();
            if message["event"] == event {
                return message;
            }
            assert_ne!(message["event"], "pusher:error", "waiting for {event}: {message}");
        }
    }
}

/// The data of a message, which is JSON in a text.
pub fn data(message: &Value) -> Value {
    serde_json::from_str(message["data"].as_str().unwrap()).unwrap()
}
