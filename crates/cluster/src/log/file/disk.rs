//! What the log asks of the file system, with the calls that make it last.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::LogError;

/// Held by the process that has the directory open.
const LOCK_FILE: &str = "lock";
/// Ends the names of files that are being written. One that is found at open was never part of the log.
pub(super) const UNFINISHED: &str = "tmp";

/// The calls that can fail halfway, in one place, so that tests can make them fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<super::tests::Faults>,
}

/// Why a file was not put in place.
#[derive(Debug)]
pub(super) enum PutError {
    /// It is not there, and nothing changed.
    Absent(io::Error),
    /// It is there, but may not be after a power cut.
    Unknown(io::Error),
}

impl From<PutError> for io::Error {
    fn from(put: PutError) -> Self {
        match put {
            PutError::Absent(error) | PutError::Unknown(error) => error,
        }
    }
}

// === impl Disk ===

impl Disk {
    /// Writes all of `bytes`. After an error any part of them may be there.
    pub(super) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(written) = self.faults.write(bytes.len()) {
            file.write_all_at(&bytes[..written], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write_all_at(bytes, offset)
    }

    /// Returns when the file's content and length are past the disk's write cache.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.sync()?;
        file.sync_data()
    }

    pub(super) fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.truncate()?;
        file.set_len(length)
    }

    /// Writes a file under a name that no open will read.
    pub(super) fn write_unfinished(&self, path: &Path, parts: &[&[u8]]) -> io::Result<Unfinished> {
        let path = path.with_extension(UNFINISHED);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        // From here on an early return removes the file again.
        let mut unfinished = Unfinished { file: Some(file), path };
        if let Some(file) = &mut unfinished.file {
            for part in parts {
                #[cfg(test)]
                if self.faults.write(part.len()).is_some() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                file.write_all(part)?;
            }
            self.sync(file)?;
        }
        Ok(unfinished)
    }

    /// Gives a written file its name, for good.
    pub(super) fn finish(&self, mut unfinished: Unfinished, path: &Path) -> Result<Option<File>, PutError> {
        fs::rename(&unfinished.path, path).map_err(PutError::Absent)?;
        let file = unfinished.file.take();
        if let Some(dir) = path.parent() {
            sync_dir(dir).map_err(PutError::Unknown)?;
        }
        Ok(file)
    }
}

/// A file that is complete but has not its name yet. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: Option<File>,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // The next open removes it if this can't.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes creations, renames and removals in a directory last.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the directory if need be, and takes it for this process as long as the returned file is open.
pub(super) fn lock(dir: &Path) -> Result<File, LogError> {
    let failed = |error: io::Error| LogError::Storage(format!("can't open {}: {error}", dir.display()));
    if !dir.exists() {
        fs::create_dir_all(dir).map_err(failed)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent).map_err(failed)?;
        }
    }
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(LOCK_FILE));
    let lock = lock.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LogError::Storage(format!(
            "{} is in use by another process; stop that, or choose another directory",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
