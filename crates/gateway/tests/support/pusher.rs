//! A client of the Pusher protocol.

use serde_json::{Value, json};

use super::websocket::{Message, WebSocket};
use super::{App, Server};

/// An established connection.
#[derive(Debug)]
pub struct Pusher {
    pub websocket: WebSocket,
    pub app: App,
    pub socket_id: String,
    /// In seconds, as the server said it.
    pub activity_timeout: u64,
}

/// An event of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The message to the letter.
    pub text: String,
    /// The message as JSON.
    pub json: Value,
}

impl Event {
    fn parse(text: String) -> Self {
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        Self { text, json }
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        self.json["event"].as_str().expect("every message has an event")
    }

    /// The channel, if it has one.
    pub fn channel(&self) -> Option<&str> {
        self.json.get("channel").map(|channel| channel.as_str().expect("a channel is a string"))
    }

    /// The data, which must be a string.
    pub fn data(&self) -> &str {
        self.json["data"].as_str().unwrap_or_else(|| panic!("data is not a string in {}", self.text))
    }

    /// The JSON in the data.
    pub fn data_json(&self) -> Value {
        serde_json::from_str(self.data()).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }
}

impl Pusher {
    /// Connects as pusher-js does.
    pub async fn connect(server: &Server, app: &App) -> Self {
        Self::connect_at(server, app, "?protocol=7&client=js&version=8.6.0&flash=false", &[]).await
    }

    /// Connects with another query string.
    pub async fn connect_at(server: &Server, app: &App, query: &str, headers: &[(&str, &str)]) -> Self {
        let target = format!("/app/{}{query}", app.key);
        let websocket = WebSocket::connect(server.address, &target, headers).await.expect("an upgrade");
        Self::establish(websocket, app).await
    }

    /// Reads the first message.
    pub async fn establish(mut websocket: WebSocket, app: &App) -> Self {
        let Message::Text(text) = websocket.next().await else { panic!("no first message") };
        let event = Event::parse(text);
        assert_eq!(event.name(), "pusher:connection_established", "{}", event.text);
        let data = event.data_json();
        Self {
            websocket,
            app: app.clone(),
            socket_id: data["socket_id"].as_str().expect("a socket id").to_owned(),
            activity_timeout: data["activity_timeout"].as_u64().expect("an activity timeout"),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.websocket.send(&message.to_string()).await;
    }

    /// Reads the next message, whatever it is.
    pub async fn next_message(&mut self) -> Message {
        self.websocket.next().await
    }

    /// Reads the next message, which must be an event.
    pub async fn next(&mut self) -> Event {
        match self.websocket.next().await {
            Message::Text(text) => Event::parse(text),
            other => panic!("{other:?} instead of an event"),
        }
    }

    /// Reads the next message, which must be this one to the letter.
    pub async fn expect(&mut self, text: &str) {
        assert_eq!(self.next().await.text, text);
    }

    /// Reads the next message, which must be an event of this name.
    pub async fn expect_event(&mut self, name: &str) -> Event {
        let event = self.next().await;
        assert_eq!(event.name(), name, "{}", event.text);
        event
    }

    /// Reads events until one of this name comes, which is answered; the others are skipped.
    pub async fn skip_to(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.name() == name {
                return event;
            }
        }
    }

    /// Reads the next message, which must be a `pusher:error` with this code and text, to the letter.
    pub async fn expect_error(&mut self, code: Option<u16>, message: &str) {
        let (code, message) = (code.map_or(Value::Null, Value::from), Value::from(message));
        self.expect(&format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":{message}}}}}"#))
            .await;
    }

    /// Asks and waits for the answer: everything that was sent before has been handled, and whatever it led to on this
    /// connection comes before the answer.
    pub async fn expect_silence(&mut self) {
        self.send(&json!({"event": "pusher:ping", "data": {}})).await;
        self.expect(r#"{"event":"pusher:pong","data":"{}"}"#).await;
    }

    /// Sends `pusher:subscribe` for a channel, signed if its name asks for it.
    pub async fn send_subscribe(&mut self, channel: &str, channel_data: Option<&str>) {
        let is_signed = channel.starts_with("private-") || channel.starts_with("presence-");
        let auth = if is_signed {
            self.app.channel_auth(&self.socket_id, channel, channel_data)
        } else {
            String::new()
        };
        let mut data = json!({"channel": channel, "auth": auth});
        if let Some(channel_data) = channel_data {
            data["channel_data"] = channel_data.into();
        }
        self.send(&json!({"event": "pusher:subscribe", "data": data})).await;
    }

    /// Subscribes; answers the success, which must be the next event.
    pub async fn subscribe(&mut self, channel: &str) -> Event {
        self.subscribe_with(channel, None).await
    }

    /// The same with `channel_data`.
    pub async fn subscribe_with(&mut self, channel: &str, channel_data: Option<&str>) -> Event {
        self.send_subscribe(channel, channel_data).await;
        let event = self.expect_event("pusher_internal:subscription_succeeded").await;
        assert_eq!(event.channel(), Some(channel));
        event
    }

    /// Subscribes to a presence channel as a user without information.
    pub async fn subscribe_as(&mut self, channel: &str, user_id: &str) -> Event {
        self.subscribe_with(channel, Some(&json!({"user_id": user_id}).to_string())).await
    }

    /// Subscribes to a presence channel at the end of much coming and going: skips what is still on its way.
    pub async fn subscribe_after(&mut self, channel: &str, user_id: &str) {
        self.send(&json!({"event": "pusher:ping", "data": {}})).await;
        self.skip_to("pusher:pong").await;
        self.send_subscribe(channel, Some(&json!({"user_id": user_id}).to_string())).await;
        self.skip_to("pusher_internal:subscription_succeeded").await;
    }

    /// Sends `pusher:unsubscribe`, which is not answered.
    pub async fn unsubscribe(&mut self, channel: &str) {
        self.send(&json!({"event": "pusher:unsubscribe", "data": {"channel": channel}})).await;
    }

    /// Sends `pusher:signin`.
    pub async fn send_sign_in(&mut self, user_data: &str) {
        let auth = self.app.user_auth(&self.socket_id, user_data);
        self.send(&json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}})).await;
    }

    /// Signs in with this `user_data`.
    pub async fn sign_in_with(&mut self, user_data: &str) -> Event {
        self.send_sign_in(user_data).await;
        self.expect_event("pusher:signin_success").await
    }

    /// Signs in as a user of this id.
    pub async fn sign_in(&mut self, user_id: &str) -> Event {
        self.sign_in_with(&json!({"id": user_id}).to_string()).await
    }

    /// Sends a client event.
    pub async fn trigger(&mut self, channel: &str, event: &str, data: Value) {
        self.send(&json!({"event": event, "channel": channel, "data": data})).await;
    }

    /// Reads until the close; answers its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        self.websocket.closed().await
    }

    /// Closes, waits until the server has, too, and ends the stream.
    pub async fn close(mut self) {
        self.websocket.send_close(1000).await;
        while self.websocket.next().await != Message::End {}
    }
}
