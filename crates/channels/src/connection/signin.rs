//! `pusher:signin`, and the watchlist that comes with it.

use std::sync::Arc;

use courant_auth::signature;
use courant_cluster::Topic;
use courant_telemetry::metrics::labels::Limit;
use courant_wire::Step;
use tracing::warn;

use super::{Connection, SignedIn};
use crate::error::ProtocolError;
use crate::lane::ListenRequest;
use crate::message::{ServerEvent, WatchlistChange};
use crate::service::{user_topic, watch_topic};
use crate::user::{User, parse_user};

/// How often the status of a watchlist is read again because it changed meanwhile.
const WATCH_ROUNDS_MAX: usize = 4;

impl Connection {
    pub(super) fn sign_in(&mut self, auth: &str, user_data: String) -> Step<'_> {
        match self.check_sign_in(auth, &user_data) {
            Ok(Some(user)) => Step::Pending(Box::pin(self.act_for(user, user_data))),
            Ok(None) => {
                self.send(&ServerEvent::SigninSuccess { user_data: &user_data }.frame());
                Step::Done
            }
            Err(error) => {
                self.answer_error(&error);
                Step::Done
            }
        }
    }

    /// The user to sign in; `None` if the connection is signed in as that user already.
    fn check_sign_in(&self, auth: &str, user_data: &str) -> Result<Option<User>, ProtocolError> {
        signature::verify_user_auth(&self.tenant.app, auth, &self.id.to_string(), user_data)?;
        let user = parse_user(user_data, &self.tenant.app.limits).map_err(ProtocolError::InvalidUser)?;
        match &self.signed_in {
            Some(signed_in) if signed_in.user.id == user.id => Ok(None),
            Some(_) => Err(ProtocolError::AlreadySignedIn),
            None => Ok(Some(user)),
        }
    }

    /// Each step is noted in the connection before the next one waits: whatever was done is undone when the connection
    /// ends in between.
    async fn act_for(&mut self, user: User, user_data: String) {
        let user_id = user.id.clone();
        self.signed_in = Some(Box::new(SignedIn { user, subscriptions: Vec::new() }));
        if let Err(error) = self.record(user_id).await {
            self.signed_in = None;
            return self.answer_error(&error);
        }
        self.timer.authorized();
        self.send(&ServerEvent::SigninSuccess { user_data: &user_data }.frame());
        if self.tenant.app.watchlist {
            self.watch().await;
        }
    }

    async fn record(&mut self, user_id: Arc<str>) -> Result<(), ProtocolError> {
        self.listen(user_topic(self.tenant.app.id.as_str(), &user_id)).await?;
        let request = self.presence_of_user(user_id, true);
        self.channels.lanes.user(request).await
    }

    /// Subscribes to the users of the watchlist and tells who of them is online.
    async fn watch(&mut self) {
        let Some(signed_in) = &self.signed_in else { return };
        let (watchlist, given) = (signed_in.user.watchlist.clone(), signed_in.user.watchlist_given);
        if watchlist.is_empty() {
            return;
        }
        let (app, users_max) = (self.tenant.app.id.shared(), self.tenant.app.limits.watchlist_max);
        if given > users_max {
            self.hit(Limit::Watchlist);
            self.answer_error(&ProtocolError::WatchlistTooLong { given, users_max });
        }
        for watched in &watchlist {
            if let Err(error) = self.listen(watch_topic(&app, watched)).await {
                return self.answer_error(&error);
            }
        }
        // A change that is delivered while the first answer is on its way would be overwritten by it. So the state is
        // read once more after it was sent, and what differs is sent again: from then on changes come in order.
        let mut known: Option<Vec<bool>> = None;
        for _ in 0..WATCH_ROUNDS_MAX {
            let online = match self.channels.state.online(&app, &watchlist).await {
                Ok(online) => online,
                Err(error) => {
                    warn!(%error, "can't tell who of a watchlist is online");
                    return;
                }
            };
            let changes = changes(&watchlist, &online, known.as_deref());
            if changes.is_empty() {
                return;
            }
            self.send(&ServerEvent::Watchlist { changes: &changes }.frame());
            known = Some(online);
        }
    }

    /// Listens to a topic for as long as the connection is signed in.
    async fn listen(&mut self, topic: Topic) -> Result<(), ProtocolError> {
        let request = ListenRequest { topic, connection: self.id.subscriber(), sink: self.peer.clone() };
        let subscription = self.channels.lanes.listen(request).await?;
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.subscriptions.push(subscription);
        }
        Ok(())
    }
}

/// Who of the watched is online and who is not, as far as it is not known already.
fn changes<'a>(watched: &'a [Arc<str>], online: &[bool], known: Option<&[bool]>) -> Vec<WatchlistChange<'a>> {
    let with = |status: bool| {
        let differs = |at: usize| known.is_none_or(|known| known.get(at) != Some(&status));
        let users = watched.iter().zip(online).enumerate();
        let user_ids: Vec<&str> = users
            .filter(|(at, (_, is))| **is == status && differs(*at))
            .map(|(_, (user_id, _))| &**user_id)
            .collect();
        WatchlistChange { online: status, user_ids }
    };
    [with(true), with(false)].into_iter().filter(|change| !change.user_ids.is_empty()).collect()
}
