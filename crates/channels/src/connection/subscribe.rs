//! `pusher:subscribe`.

use std::sync::Arc;

use courant_auth::signature;
use courant_cluster::Member;
use courant_telemetry::metrics::labels::Limit;
use courant_wire::Step;

use super::{Connection, ERROR_BYTES_MAX, cut, subscriptions::JoinedChannel};
use crate::error::ProtocolError;
use crate::lane::JoinRequest;
use crate::message::ServerEvent;
use crate::name::{Access, ChannelName};
use crate::presence::{check_member, parse_member};

impl Connection {
    pub(super) fn subscribe(
        &mut self,
        channel: &str,
        auth: Option<&str>,
        channel_data: Option<&str>,
    ) -> Step<'_> {
        match self.join_request(channel, auth, channel_data) {
            Ok(request) => Step::Pending(Box::pin(self.join(request))),
            Err(error) => {
                self.refuse(channel, &error);
                Step::Done
            }
        }
    }

    fn join_request(
        &self,
        channel: &str,
        auth: Option<&str>,
        channel_data: Option<&str>,
    ) -> Result<JoinRequest, ProtocolError> {
        let limits = &self.tenant.app.limits;
        let name = ChannelName::parse(channel).map_err(|_| ProtocolError::InvalidChannel(channel.into()))?;
        if name.server_to_user().is_none() && channel.len() > limits.channel_name_bytes_max {
            self.hit(Limit::ChannelName);
            return Err(ProtocolError::InvalidChannel(channel.into()));
        }
        if self.subscriptions.get(&name).is_some() {
            return Err(ProtocolError::AlreadySubscribed(channel.into()));
        }
        let channels_max =
            limits.channels_per_connection_max.min(self.channels.settings.channels_per_connection_max);
        if self.subscriptions.len() >= channels_max {
            self.hit(Limit::ChannelsPerConnection);
            return Err(ProtocolError::ChannelsFull { channels_max });
        }
        if name.kind().needs_auth() {
            let (auth, socket_id) = (auth.unwrap_or_default(), self.id.to_string());
            signature::verify_channel_auth(&self.tenant.app, auth, &socket_id, channel, channel_data)?;
        }
        let member = match name.kind().access {
            Access::Presence => Some(self.member(channel, channel_data)?),
            Access::ServerToUser => {
                let own = self.signed_in.as_ref().map(|signed_in| &*signed_in.user.id);
                if own != name.server_to_user() {
                    return Err(ProtocolError::NotYourUser(channel.into()));
                }
                None
            }
            Access::Public | Access::Private | Access::Encrypted => None,
        };
        Ok(JoinRequest {
            tenant: self.tenant.clone(),
            channel: name,
            connection: self.id.subscriber(),
            sink: self.peer.clone(),
            member,
        })
    }

    /// Who the connection is in a presence channel: whom `channel_data` names, or else who it is signed in as.
    fn member(&self, channel: &str, channel_data: Option<&str>) -> Result<Member, ProtocolError> {
        match (channel_data, &self.signed_in) {
            (Some(data), _) => parse_member(data, &self.tenant.app.limits).map_err(|what| {
                self.hit(Limit::MemberBytes);
                ProtocolError::InvalidMember { channel: channel.into(), what }
            }),
            (None, Some(signed_in)) => {
                let user = &signed_in.user;
                check_member(&user.id, user.info.as_deref(), &self.tenant.app.limits).map_err(|what| {
                    self.hit(Limit::MemberBytes);
                    ProtocolError::InvalidMember { channel: channel.into(), what }
                })?;
                Ok(Member { user_id: user.id.clone(), user_info: user.info.clone() })
            }
            (None, None) => Err(ProtocolError::InvalidMember {
                channel: channel.into(),
                what: "it is missing, and the connection is not signed in".into(),
            }),
        }
    }

    async fn join(&mut self, request: JoinRequest) {
        let channel = request.channel.clone();
        let user_id: Option<Arc<str>> = request.member.as_ref().map(|member| member.user_id.clone());
        self.joining = Some(Box::new((channel.clone(), user_id.clone())));
        let joined = self.channels.lanes.join(request).await;
        self.joining = None;
        match joined {
            Ok(subscription) => {
                if channel.kind().needs_auth() {
                    self.timer.authorized();
                }
                if user_id.is_some() {
                    self.channels.metrics.presence_members.inc();
                }
                self.subscriptions.insert(channel, JoinedChannel { subscription, user_id });
            }
            Err(error) => self.refuse(channel.as_str(), &error),
        }
    }

    /// Answers a failed subscription.
    ///
    /// The real service sends `pusher:error`, which pusher-js shows on the connection while the channel waits for ever.
    /// `pusher:subscription_error` reaches the channel (pusher-js and Laravel Echo hand it on), so both are sent, unless
    /// the setting asks for the real service's answer alone.
    fn refuse(&self, channel: &str, error: &ProtocolError) {
        let message = error.to_string();
        if !self.channels.settings.strict_errors {
            let failure = error.subscription_failure();
            let event = ServerEvent::SubscriptionError {
                channel: cut(channel, ERROR_BYTES_MAX),
                failure,
                message: cut(&message, ERROR_BYTES_MAX),
            };
            let _ = self.peer.push(&event.frame());
        }
        self.answer_error(error);
    }
}
