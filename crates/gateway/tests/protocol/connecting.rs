//! The first message, and liveness.

use crate::support::{App, Pusher, Server};

#[tokio::test]
async fn the_first_message_tells_the_socket_id_and_the_activity_timeout() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let (high, low) = client.socket_id.split_once('.').unwrap();
    assert!(high.parse::<u64>().unwrap() < 1 << 53 && low.parse::<u64>().unwrap() < 1 << 53);
    assert_eq!(client.activity_timeout, 120);
    client.expect_silence().await;
}
