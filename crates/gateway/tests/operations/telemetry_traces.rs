//! Traces at a collector.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::receiver::{Answer, Posted, Receiver};
use crate::support::{Api, App, Pusher, Server};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn exports(posted: &[Posted]) -> Vec<ExportTraceServiceRequest> {
    posted.iter().map(|posted| ExportTraceServiceRequest::decode(posted.body.clone()).unwrap()).collect()
}

/// All spans that a collector got.
fn spans(posted: &[Posted]) -> Vec<Span> {
    exports(posted)
        .into_iter()
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

/// A server that sends its traces to a collector, and only those that a publisher asks for.
async fn traced(collector: &Receiver, app: &App) -> Server {
    let config = format!(
        "[trace]\notlp_endpoint = \"{}\"\nsample_ratio = 0\nservice_name = \"courant-test\"\n[drain]\nduration = \"0s\"",
        collector.url("")
    );
    Server::builder().app(app).config(&config).start().await
}

async fn publish(api: &Api, name: &str, channels: &[&str], traceparent: Option<String>) {
    let body = json!({"name": name, "channels": channels, "data": "{}"}).to_string();
    let mut request = api.request("POST", "/events", body.as_bytes());
    request.headers.extend(traceparent.map(|value| ("traceparent", value)));
    assert_eq!(request.send().await.status, 200);
}

/// Ends the server, which sends what it has; answers that.
async fn flushed(mut server: Server, collector: &Receiver) -> Vec<Posted> {
    server.terminate();
    assert!(server.ended().await.success());
    collector.posted()
}

#[tokio::test]
async fn a_traced_publish_has_a_span_with_a_fan_out_for_each_channel_below_it() {
    let collector = Receiver::start(Answer::Status(200)).await;
    let app = App::usual();
    let server = traced(&collector, &app).await;
    let mut clients = Vec::new();
    for channels in [&["news", "sport"][..], &["news"]] {
        let mut client = Pusher::connect(&server, &app).await;
        for channel in channels {
            client.subscribe(channel).await;
        }
        clients.push(client);
    }
    let api = Api::new(&server, &app);
    publish(&api, "traced", &["news", "sport"], Some(format!("00-{TRACE_ID}-{PARENT_ID}-01"))).await;
    // None of these is traced: not sampled, not understood, not asked for.
    publish(&api, "unsampled", &["news"], Some(format!("00-{TRACE_ID}-{PARENT_ID}-00"))).await;
    publish(&api, "odd", &["news"], Some("00-nonsense-01".into())).await;
    publish(&api, "bare", &["news"], None).await;
    for client in &mut clients {
        client.skip_to("bare").await;
    }
    drop(clients);
    let posted = flushed(server, &collector).await;
    for request in &posted {
        assert_eq!(
            (request.path.as_str(), request.header("content-type")),
            ("/v1/traces", "application/x-protobuf")
        );
    }
    let spans = spans(&posted);
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE_ID));
    let publish = spans.iter().find(|span| span.name == "publish").expect("a span of the publish");
    assert_eq!(hex(&publish.parent_span_id), PARENT_ID);
    let fanouts: Vec<&Span> = spans.iter().filter(|span| span.name == "fan-out").collect();
    assert_eq!(fanouts.len(), 2, "one for each channel, not for each socket");
    let mut subscribers = Vec::new();
    for span in fanouts {
        assert_eq!(span.parent_span_id, publish.span_id);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        subscribers.push(attribute(span, "courant.subscribers"));
    }
    subscribers.sort();
    assert_eq!(subscribers, ["1", "2"]);
    let service = exports(&posted)[0].resource_spans[0].resource.clone().unwrap();
    let name = service.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    assert!(format!("{name:?}").contains("courant-test"));
    // Nor does a trace hold who was told what.
    let text = format!("{spans:?}");
    assert!(!text.contains("news") && !text.contains("traced\""), "{text}");
}

#[tokio::test]
async fn a_collector_that_is_away_or_mute_changes_nothing_for_clients() {
    for answer in [Answer::Status(500), Answer::Nothing] {
        let collector = Receiver::start(answer).await;
        let app = App::usual();
        let server = traced(&collector, &app).await;
        let mut client = Pusher::connect(&server, &app).await;
        client.subscribe("news").await;
        let api = Api::new(&server, &app);
        for number in 0..50 {
            let parent = format!("00-{TRACE_ID}-{PARENT_ID}-01");
            publish(&api, &number.to_string(), &["news"], Some(parent)).await;
            client.expect_event(&number.to_string()).await;
        }
        drop(client);
        flushed(server, &collector).await;
    }
}

fn attribute(span: &Span, key: &str) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key).expect(key);
    match attribute.value.clone().unwrap().value.unwrap() {
        Value::IntValue(number) => number.to_string(),
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    }
}
