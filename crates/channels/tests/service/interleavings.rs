//! Random interleavings of what connections do at the same time, against what must come of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::rig::{Client, Rig, app, data, settings, unsubscription};

const CHANNEL: &str = "presence-room";
const PUBLIC: &str = "news";

/// What a connection does with its channel, one after the other, while others do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Subscribe,
    Unsubscribe,
    /// Lets others run.
    Yield,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It does not.
    Stay,
    /// Its stream breaks.
    Break,
    /// Its stream breaks while a subscription is under way.
    BreakInJoin,
}

#[derive(Clone, Debug)]
struct Script {
    user: u8,
    acts: Vec<Act>,
    end: End,
}

fn script() -> impl Strategy<Value = Script> {
    let act = prop_oneof![3 => Just(Act::Subscribe), 2 => Just(Act::Unsubscribe), 1 => Just(Act::Yield)];
    let end = prop_oneof![3 => Just(End::Stay), 2 => Just(End::Break), 1 => Just(End::BreakInJoin)];
    (0..3_u8, prop::collection::vec(act, 0..8), end).prop_map(|(user, acts, end)| Script { user, acts, end })
}

/// Runs a property on two threads, so that interleavings are real. It does not shrink: what fails depends on timing, too.
fn on_two_threads<F>(cases: u32, test: impl Fn(Vec<Script>) -> F)
where
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(script(), 2..10), |scripts| {
            runtime.block_on(test(scripts));
            Ok(())
        })
        .unwrap();
}

/// Plays a script; answers the connection if it stays, and whether it is in the channel.
async fn play(rig: Arc<Rig>, channel: &'static str, script: Script) -> Option<(Client, bool)> {
    let mut client = rig.connect("7").await;
    let user_id = script.user.to_string();
    let subscription = match channel {
        CHANNEL => client.membership(CHANNEL, &user_id),
        _ => client.subscription(channel, None),
    };
    let mut is_in = false;
    for act in &script.acts {
        match act {
            Act::Subscribe => {
                client.send(&subscription).await;
                is_in = true;
            }
            Act::Unsubscribe => {
                client.send(&unsubscription(channel)).await;
                is_in = false;
            }
            Act::Yield => tokio::task::yield_now().await,
        }
    }
    match script.end {
        End::Stay => return Some((client, is_in)),
        End::Break => client.close().await,
        End::BreakInJoin => {
            client.send_and_break(&subscription).await;
            client.close().await;
        }
    }
    None
}

/// Plays all scripts at the same time; answers the connections that stay, with their users and whether they are in.
async fn play_all(rig: &Arc<Rig>, channel: &'static str, scripts: Vec<Script>) -> Vec<(Client, u8, bool)> {
    let tasks: Vec<_> = scripts
        .into_iter()
        .map(|script| (script.user, tokio::spawn(play(rig.clone(), channel, script))))
        .collect();
    let mut stayed = Vec::new();
    for (user, task) in tasks {
        stayed.extend(task.await.unwrap().map(|(client, is_in)| (client, user, is_in)));
    }
    stayed
}

/// The members that a connection knows of at the end of what it was told, if it is in the channel then.
///
/// Panics where the story makes no sense: somebody is added who is there, or removed who is not.
fn view(messages: &[Value]) -> Option<BTreeSet<String>> {
    let mut view: Option<BTreeSet<String>> = None;
    for message in messages {
        let story = || messages.iter().map(|told| format!("\n  {told}")).collect::<String>();
        match message["event"].as_str().unwrap() {
            "pusher_internal:subscription_succeeded" => {
                let ids = data(message)["presence"]["ids"].clone();
                let members: Vec<String> = serde_json::from_value(ids).unwrap();
                let count = members.len();
                view = Some(members.into_iter().collect());
                assert_eq!(view.as_ref().map(BTreeSet::len), Some(count), "listed twice in{}", story());
            }
            "pusher_internal:member_added" => {
                let user_id = data(message)["user_id"].as_str().unwrap().to_owned();
                let is_new = view.as_mut().expect("greeted before").insert(user_id);
                assert!(is_new, "added twice: {message} in{}", story());
            }
            "pusher_internal:member_removed" => {
                let user_id = data(message)["user_id"].as_str().unwrap().to_owned();
                let was_here = view.as_mut().expect("greeted before").remove(&user_id);
                assert!(was_here, "removed but not there: {message} in{}", story());
            }
            _ => {}
        }
    }
    view
}

/// A connection that is in the channel from beginning to end.
async fn watcher(rig: &Rig, name: &str) -> Client {
    let mut client = rig.connect("7").await;
    let membership = client.membership(CHANNEL, name);
    client.send(&membership).await;
    client
}

#[test]
fn every_member_list_agrees_with_the_truth_however_connections_interleave() {
    on_two_threads(150, async |scripts| {
        let rig = Arc::new(Rig::start(app(), settings()));
        let watchers = [watcher(&rig, "w0").await, watcher(&rig, "w1").await];
        let stayed = play_all(&rig, CHANNEL, scripts).await;
        // Joins behind everything that went before; what all are told of it comes behind everything, too.
        let last = watcher(&rig, "last").await;
        let is_last = |message: &Value| {
            message["event"] == "pusher_internal:member_added" && data(message)["user_id"] == "last"
        };

        let mut truth: BTreeSet<String> = ["w0", "w1", "last"].map(String::from).into();
        truth.extend(stayed.iter().filter(|(_, _, is_in)| *is_in).map(|(_, user, _)| user.to_string()));
        let members: Vec<String> =
            rig.members(CHANNEL).await.iter().map(|member| member.user_id.to_string()).collect();
        assert_eq!(members.iter().cloned().collect::<BTreeSet<_>>(), truth);
        assert_eq!(members.len(), truth.len());
        assert_eq!(view(&last.peer.messages()), Some(truth.clone()));

        for (client, _, _) in stayed.iter().filter(|(_, _, is_in)| *is_in) {
            assert_eq!(view(&client.peer.until("last", is_last).await), Some(truth.clone()));
        }
        let mut stories = Vec::new();
        for client in &watchers {
            let story = client.peer.until("last", is_last).await;
            assert_eq!(view(&story), Some(truth.clone()));
            let about_others =
                |message: &&Value| data(message)["user_id"].as_str().is_some_and(|id| id.len() == 1);
            stories.push(story.iter().filter(about_others).cloned().collect::<Vec<_>>());
        }
        assert_eq!(stories[0], stories[1], "watchers are told the same in the same order");
    });
}

#[test]
fn an_emptied_channel_is_gone_however_connections_interleave() {
    on_two_threads(100, async |scripts| {
        let rig = Arc::new(Rig::start(app(), settings()));
        for (client, _, _) in play_all(&rig, CHANNEL, scripts).await {
            client.close().await;
        }
        // A leave is queued when the connection is closed; what is asked of the same lane comes behind it.
        let last = watcher(&rig, "last").await;
        assert_eq!(rig.members(CHANNEL).await.len(), 1);
        let greeting = last.peer.messages().pop().unwrap();
        assert_eq!(data(&greeting)["presence"]["ids"], json!(["last"]));
    });
}

#[test]
fn the_last_count_is_the_true_one_however_connections_interleave() {
    on_two_threads(100, async |scripts| {
        let rig = Arc::new(Rig::start(app(), settings()));
        let mut watcher = rig.connect("7").await;
        let subscription = watcher.subscription(PUBLIC, None);
        watcher.send(&subscription).await;
        let stayed = play_all(&rig, PUBLIC, scripts).await;
        // One more, which is told behind everything else, and names itself by an event.
        let mut last = rig.connect("7").await;
        let subscription = last.subscription(PUBLIC, None);
        last.send(&subscription).await;
        let truth = 2 + stayed.iter().filter(|(_, _, is_in)| *is_in).count();
        let counts = |messages: &[Value]| -> Vec<u64> {
            let counted =
                messages.iter().filter(|message| message["event"] == "pusher_internal:subscription_count");
            counted.map(|message| data(message)["subscription_count"].as_u64().unwrap()).collect()
        };
        let told =
            last.peer.until("a count", |message| message["event"] == "pusher_internal:subscription_count");
        assert_eq!(counts(&told.await).last(), Some(&(truth as u64)));
        let joins = watcher.peer.messages();
        let steps = counts(&joins);
        assert!(
            steps.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1),
            "each change is told, one after the other: {steps:?}"
        );
    });
}

#[test]
fn a_watchlist_ends_with_the_truth_however_users_come_and_go() {
    on_two_threads(100, async |scripts| {
        let rig = Arc::new(Rig::start(app(), settings()));
        let users = json!({"id": "watcher", "watchlist": ["0", "1", "2", "last"]});
        let mut before = rig.connect("7").await;
        let sign_in = before.sign_in(&users);
        before.send(&sign_in).await;
        let late = {
            let rig = rig.clone();
            tokio::spawn(async move {
                let mut late = rig.connect("7").await;
                let sign_in = late.sign_in(&users);
                late.send(&sign_in).await;
                late
            })
        };
        let mut tasks = Vec::new();
        for script in scripts {
            let (rig, user) = (rig.clone(), script.user);
            tasks.push((user, tokio::spawn(come_and_go(rig, script))));
        }
        let mut online = BTreeSet::new();
        let mut stayed = Vec::new();
        for (user, task) in tasks {
            if let Some(client) = task.await.unwrap() {
                online.insert(user.to_string());
                stayed.push(client);
            }
        }
        let late = late.await.unwrap();
        for (watcher, is_exact) in [(&before, true), (&late, false)] {
            watches(watcher, &online, is_exact).await;
        }
    });
}

/// Signs in, and ends as its script does; answers the connection if it stays.
async fn come_and_go(rig: Arc<Rig>, script: Script) -> Option<Client> {
    let mut client = rig.connect("7").await;
    let sign_in = client.sign_in(&json!({"id": script.user.to_string()}));
    match script.end {
        End::Stay => {
            client.send(&sign_in).await;
            return Some(client);
        }
        End::Break => client.send(&sign_in).await,
        End::BreakInJoin => client.send_and_break(&sign_in).await,
    }
    client.close().await;
    None
}

/// Waits until a watcher's view is the truth. One that watched from the beginning is told of each change once.
async fn watches(watcher: &Client, online: &BTreeSet<String>, is_exact: bool) {
    let ended = async {
        loop {
            let mut view: BTreeSet<String> = BTreeSet::new();
            for (at, message) in watcher
                .peer
                .messages()
                .iter()
                .filter(|message| message["event"] == "pusher_internal:watchlist_events")
                .enumerate()
            {
                for change in data(message)["events"].as_array().unwrap() {
                    let is_online = change["name"] == "online";
                    for user_id in change["user_ids"].as_array().unwrap() {
                        let user_id = user_id.as_str().unwrap().to_owned();
                        let changed = if is_online { view.insert(user_id) } else { view.remove(&user_id) };
                        assert!(changed || !is_exact || at == 0, "told twice: {message}");
                    }
                }
            }
            if view == *online {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), ended).await;
    assert!(waited.is_ok(), "{online:?} is not what was told: {:?}", watcher.peer.messages());
}
