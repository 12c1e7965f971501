//! A log on disk that can be made to fail, and that counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use courant_cluster::{Durability, Entry, FileLog, FileLogOptions, Log, LogError, Sequence, Snapshot};
use parking_lot::Mutex;
use tempfile::TempDir;

/// What a log does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Refuses to write.
    Full,
    /// Never answers a write.
    Stuck,
}

pub(crate) struct TestLog {
    file: FileLog,
    fault: Mutex<Fault>,
    pub(crate) appends: AtomicUsize,
    pub(crate) snapshots: AtomicUsize,
    /// Acceptances that are on disk.
    pub(crate) delivered: AtomicUsize,
}

impl TestLog {
    pub(crate) async fn open(dir: &TempDir) -> Self {
        // The last process's log may still be on its way out.
        let options = FileLogOptions { fsync: false, ..FileLogOptions::default() };
        for _ in 0..600 {
            match FileLog::open(dir.path(), options).await {
                Ok(file) => {
                    return Self {
                        file,
                        fault: Mutex::new(Fault::None),
                        appends: AtomicUsize::new(0),
                        snapshots: AtomicUsize::new(0),
                        delivered: AtomicUsize::new(0),
                    };
                }
                Err(error) => eprintln!("waiting for the log: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the log stays locked");
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    async fn check(&self) -> Result<(), LogError> {
        let fault = *self.fault.lock();
        match fault {
            Fault::None => Ok(()),
            Fault::Full => Err(LogError::Storage("no space left on device".into())),
            Fault::Stuck => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Log for TestLog {
    async fn append(
        &self,
        stream: &str,
        expected: Option<Sequence>,
        records: Vec<Bytes>,
    ) -> Result<Sequence, LogError> {
        self.check().await?;
        self.appends.fetch_add(1, Ordering::Relaxed);
        let delivered = records.iter().filter(|record| record.starts_with(br#"{"delivered""#)).count();
        let last = self.file.append(stream, expected, records).await?;
        self.delivered.fetch_add(delivered, Ordering::Relaxed);
        Ok(last)
    }

    async fn read(&self, stream: &str, from: Sequence, records_max: usize) -> Result<Vec<Entry>, LogError> {
        self.file.read(stream, from, records_max).await
    }

    async fn last(&self, stream: &str) -> Result<Sequence, LogError> {
        self.file.last(stream).await
    }

    async fn put_snapshot(&self, stream: &str, snapshot: Snapshot) -> Result<(), LogError> {
        self.check().await?;
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        self.file.put_snapshot(stream, snapshot).await
    }

    async fn snapshot(&self, stream: &str) -> Result<Option<Snapshot>, LogError> {
        self.file.snapshot(stream).await
    }

    fn durability(&self) -> Durability {
        self.file.durability()
    }
}
