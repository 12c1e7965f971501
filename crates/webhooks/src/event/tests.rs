use super::*;

fn json(event: &Event) -> String {
    serde_json::to_string(event).unwrap()
}

#[test]
fn every_event_has_the_fields_that_pusher_documents_and_no_others() {
    let channel: Arc<str> = "presence-room".into();
    let user_id: Arc<str> = "7".into();
    let client_event = |user_id| Event::ClientEvent {
        channel: "private-a".into(),
        event: "client-typing".into(),
        data: r#"{"x":1}"#.into(),
        socket_id: "1.2".into(),
        user_id,
    };
    let cases = [
        (
            Event::ChannelOccupied { channel: channel.clone() },
            r#"{"name":"channel_occupied","channel":"presence-room"}"#,
        ),
        (
            Event::ChannelVacated { channel: channel.clone() },
            r#"{"name":"channel_vacated","channel":"presence-room"}"#,
        ),
        (
            Event::MemberAdded { channel: channel.clone(), user_id: user_id.clone() },
            r#"{"name":"member_added","channel":"presence-room","user_id":"7"}"#,
        ),
        (
            Event::MemberRemoved { channel: channel.clone(), user_id: user_id.clone() },
            r#"{"name":"member_removed","channel":"presence-room","user_id":"7"}"#,
        ),
        (
            client_event(None),
            r#"{"name":"client_event","channel":"private-a","event":"client-typing","data":"{\"x\":1}","socket_id":"1.2"}"#,
        ),
        (
            client_event(Some(user_id)),
            r#"{"name":"client_event","channel":"private-a","event":"client-typing","data":"{\"x\":1}","socket_id":"1.2","user_id":"7"}"#,
        ),
        (Event::CacheMiss { channel: "cache-a".into() }, r#"{"name":"cache_miss","channel":"cache-a"}"#),
        (
            Event::SubscriptionCount { channel, subscription_count: 12 },
            r#"{"name":"subscription_count","channel":"presence-room","subscription_count":12}"#,
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(json(&event), expected);
        assert_eq!(serde_json::from_str::<Event>(expected).unwrap(), event);
        assert!(expected.starts_with(&format!(r#"{{"name":"{}""#, event.kind())));
    }
}

#[test]
fn the_end_of_a_span_ends_what_its_begin_began() {
    let app = AppId::new("1001").unwrap();
    let begins = [
        Event::ChannelOccupied { channel: "a".into() },
        Event::MemberAdded { channel: "presence-a".into(), user_id: "7".into() },
    ];
    for begin in begins {
        let (edge, span) = begin.edge(&app).unwrap();
        assert_eq!((edge, span.begin_kind()), (Edge::Begin, begin.kind()));
        let end = span.end();
        assert_eq!(end.kind(), span.end_kind());
        assert_eq!(end.edge(&app), Some((Edge::End, span)));
    }
}
