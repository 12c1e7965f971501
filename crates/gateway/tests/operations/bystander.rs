//! A client that does nothing wrong while others do.

use crate::support::{Api, App, Pusher, Server};

const CHANNEL: &str = "bystanders";

/// A subscriber, and a publisher that reaches it.
pub struct Bystander {
    client: Pusher,
    api: Api,
}

impl Bystander {
    pub async fn new(server: &Server, app: &App) -> Self {
        let mut client = Pusher::connect(server, app).await;
        client.subscribe(CHANNEL).await;
        Self { client, api: Api::new(server, app) }
    }

    /// Publishes over the HTTP API and waits for the event, which must be the next that the client hears.
    pub async fn is_served(&mut self) {
        self.api.trigger(CHANNEL, "served", "still").await;
        loop {
            let event = self.client.next().await;
            match event.name() {
                "pusher:ping" => {
                    self.client.send(&serde_json::json!({"event": "pusher:pong", "data": {}})).await;
                }
                "served" => return,
                other => panic!("{other} instead of the event"),
            }
        }
    }
}

/// Waits until a series is at least that, and answers its value.
pub async fn counted(server: &Server, series: &str, at_least: f64) -> f64 {
    crate::support::until(series, async || {
        Some(server.metric(series).await).filter(|value| *value >= at_least)
    })
    .await
}
