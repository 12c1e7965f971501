//! A state against a model so simple that it is obviously right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use courant_cluster::{ChannelCounts, Join, Left, Member, State, StateError, SubscriberId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::state::{connection, key};

const APP: &str = "1001";
const CHANNELS: usize = 4;
const CONNECTIONS: u64 = 8;
const USERS: u64 = 3;

/// Something a gateway asks for.
#[derive(Clone, Debug)]
enum Op {
    Join { channel: usize, connection: u64, user: u64, members_max: usize },
    Leave { channel: usize, connection: u64 },
    SignIn { user: u64, connection: u64 },
    SignOut { user: u64, connection: u64 },
    Connect { connection: u64, connections_max: Option<u64> },
    Disconnect { connection: u64 },
}

/// The first half of the channels are ordinary, the others have members.
fn channel_name(channel: usize) -> String {
    let kind = if channel < CHANNELS / 2 { "" } else { "presence-" };
    format!("{kind}{channel}")
}

fn member(channel: usize, user: u64, connection: u64) -> Option<Member> {
    (channel >= CHANNELS / 2).then(|| Member {
        user_id: user.to_string().into(),
        user_info: Some(format!(r#"{{"by":{connection}}}"#).into()),
    })
}

fn op() -> impl Strategy<Value = Op> {
    let (channel, connection, user) = (0..CHANNELS, 0..CONNECTIONS, 0..USERS);
    prop_oneof![
        4 => (channel.clone(), connection.clone(), user.clone(), 1..=USERS as usize).prop_map(
            |(channel, connection, user, members_max)| Op::Join { channel, connection, user, members_max }
        ),
        4 => (channel, connection.clone()).prop_map(|(channel, connection)| Op::Leave { channel, connection }),
        1 => (user.clone(), connection.clone()).prop_map(|(user, connection)| Op::SignIn { user, connection }),
        1 => (user, connection.clone()).prop_map(|(user, connection)| Op::SignOut { user, connection }),
        1 => (connection.clone(), proptest::option::of(1..CONNECTIONS))
            .prop_map(|(connection, connections_max)| Op::Connect { connection, connections_max }),
        1 => connection.prop_map(|connection| Op::Disconnect { connection }),
    ]
}

/// The state, with a list where a list will do.
#[derive(Debug, Default)]
struct Model {
    /// Connections and whose they are.
    channels: BTreeMap<usize, Vec<(u64, Option<u64>)>>,
    /// Users and the connection that gave their info, in the order of joining.
    members: BTreeMap<usize, Vec<(u64, u64)>>,
    online: BTreeSet<(u64, u64)>,
    connected: BTreeSet<u64>,
}

impl Model {
    fn has_user(&self, channel: usize, user: u64) -> bool {
        self.channels.get(&channel).is_some_and(|all| all.iter().any(|(_, of)| *of == Some(user)))
    }

    fn count(&self, channel: usize) -> u64 {
        self.channels.get(&channel).map_or(0, |all| all.len() as u64)
    }

    fn members(&self, channel: usize) -> Vec<Member> {
        let members = self.members.get(&channel).into_iter().flatten();
        members.filter_map(|(user, by)| member(channel, *user, *by)).collect()
    }

    /// The expected `occupied` and `member_added`, or none where the channel is full.
    fn join(
        &mut self,
        channel: usize,
        connection: u64,
        user: u64,
        members_max: usize,
    ) -> Option<(bool, bool)> {
        let is_presence = channel >= CHANNELS / 2;
        let is_new_user = is_presence && !self.has_user(channel, user);
        let occupied = self.count(channel) == 0;
        let all = self.channels.entry(channel).or_default();
        if all.iter().any(|(is_in, _)| *is_in == connection) {
            return Some((false, false));
        }
        let members = self.members.entry(channel).or_default();
        if is_new_user && members.len() >= members_max {
            return None;
        }
        all.push((connection, is_presence.then_some(user)));
        if is_new_user {
            members.push((user, connection));
        }
        Some((occupied, is_new_user))
    }

    fn leave(&mut self, channel: usize, connection: u64) -> Left {
        let all = self.channels.entry(channel).or_default();
        let Some(at) = all.iter().position(|(is_in, _)| *is_in == connection) else {
            return Left { subscription_count: all.len() as u64, ..Left::default() };
        };
        let (_, user) = all.remove(at);
        let subscription_count = all.len() as u64;
        let member_removed = user.is_some_and(|user| !self.has_user(channel, user));
        if let (true, Some(user)) = (member_removed, user) {
            self.members.entry(channel).or_default().retain(|(id, _)| *id != user);
        }
        Left { vacated: subscription_count == 0, member_removed, subscription_count }
    }

    fn is_online(&self, user: u64) -> bool {
        self.online.iter().any(|(id, _)| *id == user)
    }

    /// Does the same to the state and to the model, and compares the answers.
    async fn step(&mut self, state: &dyn State, op: &Op) {
        match *op {
            Op::Join { channel, connection: n, user, members_max } => {
                let join = Join { member: member(channel, user, n), members_max, cached: false };
                let joined = state.join(&key(&channel_name(channel)), connection(n), join).await;
                match self.join(channel, n, user, members_max) {
                    Some(expected) => {
                        let joined = joined.expect("the channel is not full");
                        assert_eq!((joined.occupied, joined.member_added), expected);
                        assert_eq!(joined.subscription_count, self.count(channel));
                        assert_eq!(joined.members, self.members(channel));
                    }
                    None => assert!(matches!(joined, Err(StateError::MembersFull { .. })), "{joined:?}"),
                }
            }
            Op::Leave { channel, connection: n } => {
                let left = state.leave(&key(&channel_name(channel)), connection(n)).await.unwrap();
                assert_eq!(left, self.leave(channel, n));
            }
            Op::SignIn { user, connection: n } => {
                let signed_in = state.sign_in(APP, &user.to_string(), connection(n)).await.unwrap();
                assert_eq!(signed_in.online, !self.is_online(user));
                self.online.insert((user, n));
            }
            Op::SignOut { user, connection: n } => {
                let signed_out = state.sign_out(APP, &user.to_string(), connection(n)).await.unwrap();
                let removed = self.online.remove(&(user, n));
                assert_eq!(signed_out.offline, removed && !self.is_online(user));
            }
            Op::Connect { connection: n, connections_max } => {
                let connected = state.connect(APP, connection(n), connections_max).await;
                let count = self.connected.len() as u64;
                let is_full = connections_max.is_some_and(|max| count >= max);
                if is_full && !self.connected.contains(&n) {
                    assert!(matches!(connected, Err(StateError::ConnectionsFull { .. })), "{connected:?}");
                } else {
                    self.connected.insert(n);
                    assert_eq!(connected.unwrap(), self.connected.len() as u64);
                }
            }
            Op::Disconnect { connection: n } => {
                state.disconnect(APP, connection(n)).await.unwrap();
                self.connected.remove(&n);
            }
        }
    }

    /// Compares all that can be asked for, but the order of members and who gave their info if `racing`.
    async fn compare(&self, state: &dyn State, racing: bool) {
        let mut listed = Vec::<(Arc<str>, ChannelCounts)>::new();
        for channel in 0..CHANNELS {
            let name = channel_name(channel);
            let members = self.members(channel);
            let (subscription_count, user_count) = (self.count(channel), members.len() as u64);
            let counts = ChannelCounts { subscription_count, user_count };
            assert_eq!(state.counts(&key(&name)).await.unwrap(), counts);
            let found = state.members(&key(&name)).await.unwrap();
            if racing {
                let ids = |members: &[Member]| {
                    members.iter().map(|member| member.user_id.clone()).collect::<BTreeSet<_>>()
                };
                assert_eq!(ids(&found), ids(&members));
            } else {
                assert_eq!(found, members);
            }
            if subscription_count > 0 {
                listed.push((Arc::from(name), counts));
            }
        }
        listed.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(state.channels(APP, "").await.unwrap(), listed);
        let users = (0..USERS).map(|user| Arc::from(user.to_string())).collect::<Vec<_>>();
        let online = (0..USERS).map(|user| self.is_online(user)).collect::<Vec<_>>();
        assert_eq!(state.online(APP, &users).await.unwrap(), online);
        let probe = connection(u64::MAX);
        assert_eq!(state.connect(APP, probe, None).await.unwrap(), self.connected.len() as u64 + 1);
        state.disconnect(APP, probe).await.unwrap();
    }
}

/// One task after the other: each answer is the model's.
pub(crate) fn whatever_is_done_it_answers_as_the_model(make: impl Fn() -> Arc<dyn State>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ops = vec(op(), 1..80);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&ops, |ops| {
        runtime.block_on(async {
            let (state, mut model) = (make(), Model::default());
            for op in &ops {
                model.step(&*state, op).await;
            }
            model.compare(&*state, false).await;
        });
        Ok(())
    });
    checked.unwrap();
}

/// What all tasks were told, each gain and loss as plus and minus one.
#[derive(Debug, Default)]
struct Told {
    occupied: BTreeMap<usize, i64>,
    members: BTreeMap<(usize, u64), i64>,
    online: BTreeMap<u64, i64>,
}

impl Told {
    async fn step(&mut self, state: &dyn State, op: &Op, gateway: u64) {
        let connection = |n: u64| SubscriberId { high: gateway, low: n };
        match *op {
            Op::Join { channel, connection: n, .. } => {
                let user = n % USERS;
                let join = Join { member: member(channel, user, n), members_max: 100, cached: false };
                let key = key(&channel_name(channel));
                let joined = state.join(&key, connection(n), join).await.unwrap();
                *self.occupied.entry(channel).or_default() += i64::from(joined.occupied);
                *self.members.entry((channel, user)).or_default() += i64::from(joined.member_added);
            }
            Op::Leave { channel, connection: n } => {
                let left = state.leave(&key(&channel_name(channel)), connection(n)).await.unwrap();
                *self.occupied.entry(channel).or_default() -= i64::from(left.vacated);
                *self.members.entry((channel, n % USERS)).or_default() -= i64::from(left.member_removed);
            }
            Op::SignIn { user, connection: n } => {
                let signed_in = state.sign_in(APP, &user.to_string(), connection(n)).await.unwrap();
                *self.online.entry(user).or_default() += i64::from(signed_in.online);
            }
            Op::SignOut { user, connection: n } => {
                let signed_out = state.sign_out(APP, &user.to_string(), connection(n)).await.unwrap();
                *self.online.entry(user).or_default() -= i64::from(signed_out.offline);
            }
            Op::Connect { connection: n, .. } => {
                state.connect(APP, connection(n), None).await.unwrap();
            }
            Op::Disconnect { connection: n } => state.disconnect(APP, connection(n)).await.unwrap(),
        }
    }

    fn add(&mut self, other: Self) {
        other.occupied.into_iter().for_each(|(of, n)| *self.occupied.entry(of).or_default() += n);
        other.members.into_iter().for_each(|(of, n)| *self.members.entry(of).or_default() += n);
        other.online.into_iter().for_each(|(of, n)| *self.online.entry(of).or_default() += n);
    }
}

/// Several gateways with connections of their own at the same time: whatever the interleaving, where they end
/// is known, and what they were told adds up to it. A transition told twice, or to nobody, would not.
pub(crate) fn whatever_is_done_at_the_same_time_each_transition_is_reported_once(
    make: impl Fn() -> Arc<dyn State>,
) {
    const GATEWAYS: u64 = 4;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let ops = vec(vec(op(), 50..150), GATEWAYS as usize);
    let standard = ProptestConfig::default();
    let config = ProptestConfig { cases: standard.cases / 4, failure_persistence: None, ..standard };
    let checked = TestRunner::new(config).run(&ops, |ops| {
        runtime.block_on(async {
            let state = make();
            let barrier = Arc::new(tokio::sync::Barrier::new(GATEWAYS as usize));
            let gateways = (0..).zip(ops.clone()).map(|(gateway, ops)| {
                let (state, barrier) = (state.clone(), barrier.clone());
                tokio::spawn(async move {
                    let mut told = Told::default();
                    barrier.wait().await;
                    for op in &ops {
                        told.step(&*state, op, gateway).await;
                    }
                    told
                })
            });
            let mut told = Told::default();
            for gateway in gateways.collect::<Vec<_>>() {
                told.add(gateway.await.unwrap());
            }
            let model = run_apart(&ops);
            for channel in 0..CHANNELS {
                let is_occupied = i64::from(model.count(channel) > 0);
                assert_eq!(told.occupied.get(&channel).copied().unwrap_or(0), is_occupied);
                for user in 0..USERS {
                    let is_member = i64::from(model.has_user(channel, user));
                    assert_eq!(told.members.get(&(channel, user)).copied().unwrap_or(0), is_member);
                }
            }
            for user in 0..USERS {
                let is_online = i64::from(model.is_online(user));
                assert_eq!(told.online.get(&user).copied().unwrap_or(0), is_online);
            }
            model.compare(&*state, true).await;
        });
        Ok(())
    });
    checked.unwrap();
}

/// Where all gateways end: no connection is of two, so their order does not matter.
fn run_apart(ops: &[Vec<Op>]) -> Model {
    let mut model = Model::default();
    for (gateway, ops) in (0..).zip(ops) {
        let apart = |n: u64| gateway * CONNECTIONS + n;
        for op in ops {
            match *op {
                Op::Join { channel, connection: n, .. } => {
                    let _ = model.join(channel, apart(n), n % USERS, 100);
                }
                Op::Leave { channel, connection: n } => {
                    let _ = model.leave(channel, apart(n));
                }
                Op::SignIn { user, connection: n } => drop(model.online.insert((user, apart(n)))),
                Op::SignOut { user, connection: n } => drop(model.online.remove(&(user, apart(n)))),
                Op::Connect { connection: n, .. } => drop(model.connected.insert(apart(n))),
                Op::Disconnect { connection: n } => drop(model.connected.remove(&apart(n))),
            }
        }
    }
    model
}
