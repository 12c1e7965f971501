//! Who is told what: the configured endpoints, by application.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use courant_auth::{App, AppId, Apps, WebhookEndpoint, WebhookEvent};

use crate::event::{Event, Span};
use crate::record::{EndpointNumber, KnownEndpoint};

/// What begins and ends.
const PAIRS: [[WebhookEvent; 2]; 2] = [
    [WebhookEvent::ChannelOccupied, WebhookEvent::ChannelVacated],
    [WebhookEvent::MemberAdded, WebhookEvent::MemberRemoved],
];

/// The applications that have webhooks. Built once, then only read.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    apps: HashMap<AppId, Hooks>,
}

/// An application's webhooks.
#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) app: Arc<App>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The events that are to be reported, a bit for each.
    kinds: u8,
}

/// A configured endpoint and its name in the log.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) number: EndpointNumber,
    pub(crate) config: Arc<WebhookEndpoint>,
}

// === impl Registry ===

impl Registry {
    /// The endpoints of these applications, with the numbers that the log knows them by. Those that it does not know
    /// yet get new numbers and are returned, to be made known.
    pub(crate) fn new(
        apps: &Apps,
        known: &BTreeMap<EndpointNumber, KnownEndpoint>,
    ) -> (Self, Vec<KnownEndpoint>) {
        let mut next = known.last_key_value().map_or(1, |(&last, _)| last + 1);
        let mut registry = Self::default();
        let mut unknown = Vec::new();
        // An application without a key can't sign.
        for app in apps.iter().filter(|app| app.webhook_key_pair().is_some()) {
            let mut endpoints = Vec::with_capacity(app.webhooks.len());
            for (at, config) in app.webhooks.iter().enumerate() {
                let ordinal = app.webhooks[..at].iter().filter(|earlier| earlier.url == config.url).count();
                let url = config.url.to_string();
                let number =
                    known.values().find(|known| known.is(&app.id, &url, ordinal)).map(|known| known.number);
                let number = number.unwrap_or_else(|| {
                    let number = next;
                    next += 1;
                    unknown.push(KnownEndpoint { number, app: app.id.to_string(), url, ordinal });
                    number
                });
                endpoints.push(Endpoint { number, config: Arc::new(config.clone()) });
            }
            if !endpoints.is_empty() {
                let kinds = kinds(&endpoints);
                registry.apps.insert(app.id.clone(), Hooks { app: Arc::clone(app), endpoints, kinds });
            }
        }
        (registry, unknown)
    }

    /// An application's webhooks, if it has any.
    pub(crate) fn get(&self, app: &AppId) -> Option<&Hooks> {
        self.apps.get(app)
    }

    /// Whether events of this kind are to be reported.
    pub(crate) fn wants(&self, app: &AppId, kind: WebhookEvent) -> bool {
        self.get(app).is_some_and(|hooks| hooks.kinds & bit(kind) != 0)
    }

    /// How many applications want to be told of what begins and ends.
    pub(crate) fn apps_with_spans(&self) -> usize {
        self.apps.values().filter(|hooks| PAIRS.iter().any(|&pair| hooks.kinds & both(pair) != 0)).count()
    }

    /// All endpoints, each with its application.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&Arc<App>, &Endpoint)> {
        self.apps.values().flat_map(|hooks| hooks.endpoints.iter().map(|endpoint| (&hooks.app, endpoint)))
    }
}

// === impl Hooks ===

impl Hooks {
    /// Whether any endpoint is to be told of this channel's or member's begin or end.
    pub(crate) fn cares(&self, span: &Span) -> bool {
        let wants = |endpoint: &Endpoint, kind| endpoint.config.wants(kind, &span.channel);
        self.endpoints
            .iter()
            .any(|endpoint| wants(endpoint, span.begin_kind()) || wants(endpoint, span.end_kind()))
    }
}

// === impl Endpoint ===

impl Endpoint {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.config.wants(event.kind(), event.channel())
    }
}

/// The kinds to be reported for these endpoints. The end of something can only be told, or be cancelled by a return, if its
/// begin is known too, and the other way round; so either asks for both.
fn kinds(endpoints: &[Endpoint]) -> u8 {
    let wants = |kind: &WebhookEvent| {
        endpoints.iter().any(|endpoint| {
            endpoint.config.event_types.is_empty() || endpoint.config.event_types.contains(kind)
        })
    };
    let mut bits =
        WebhookEvent::ALL.iter().filter(|kind| wants(kind)).fold(0, |bits, &kind| bits | bit(kind));
    for pair in PAIRS {
        if bits & both(pair) != 0 {
            bits |= both(pair);
        }
    }
    bits
}

fn both([begin, end]: [WebhookEvent; 2]) -> u8 {
    bit(begin) | bit(end)
}

fn bit(kind: WebhookEvent) -> u8 {
    1 << kind as u8
}
