//! The contracts, for the parts of a single process.

mod memory_bus {
    use std::sync::Arc;
    use std::time::Duration;

    use courant_cluster::{Bus, MemoryBus, Receiver};

    async fn make(receiver: Arc<dyn Receiver>) -> Arc<dyn Bus> {
        Arc::new(MemoryBus::new(receiver, Duration::from_secs(10)))
    }

    crate::bus::bus_cases!(#[tokio::test(start_paused = true)], make);
}

mod memory_state {
    use std::sync::Arc;

    use courant_cluster::{MemoryState, State};

    fn make() -> Arc<dyn State> {
        Arc::new(MemoryState::default())
    }

    crate::state::state_cases!(#[tokio::test(start_paused = true)], make());
    crate::state::concurrent_state_cases!(#[tokio::test(flavor = "multi_thread", worker_threads = 4)], make());

    #[test]
    fn whatever_is_done_it_answers_as_the_model() {
        crate::state_model::whatever_is_done_it_answers_as_the_model(make);
    }

    #[test]
    fn whatever_is_done_at_the_same_time_each_transition_is_reported_once() {
        crate::state_model::whatever_is_done_at_the_same_time_each_transition_is_reported_once(make);
    }
}

mod file_log {
    use std::path::PathBuf;
    use std::sync::Arc;

    use courant_cluster::{FileLog, FileLogOptions, Log};
    use tempfile::TempDir;

    /// A log in a directory that lasts as long as the test, opened again each time.
    fn make() -> impl AsyncFn() -> Arc<dyn Log> {
        let dir = TempDir::new().expect("a directory for the test");
        async move || {
            let path = PathBuf::from(dir.path());
            let log = FileLog::open(path, FileLogOptions::default()).await;
            Arc::new(log.expect("the log opens")) as Arc<dyn Log>
        }
    }

    crate::log::log_cases!(#[tokio::test(flavor = "multi_thread", worker_threads = 2)], make());
}
