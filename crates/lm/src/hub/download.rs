//! Owns bringing one file into the cache: resumed where it stopped, checked, and only then named.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::crypto::Sha256;
use super::error::HubError;
use super::http::Client;
use super::layout::Repo;
use super::name::HubModel;
use super::progress::{Notice, Progress};

type Result<T> = std::result::Result<T, HubError>;

/// How often in a row a request may fail without a byte coming.
const TRIES: u32 = 5;
/// A server that wants more patience than this is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often waiting looks whether it should end.
const GLANCE: Duration = Duration::from_millis(50);
const BUFFER: usize = 256 << 10;

/// A file to be downloaded.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) etag: String,
    pub(super) size: u64,
}

impl Task {
    fn wrong_size(&self, found: u64) -> HubError {
        HubError::Size {
            file: self.name.clone(),
            expected: self.size,
            found,
        }
    }

    /// The SHA-256 of the contents, which is the ETag of large files.
    fn sha256(&self) -> Option<&str> {
        let is_hash = self.etag.len() == 64 && self.etag.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash.then_some(self.etag.as_str())
    }
}

/// What all files of a download share.
pub(super) struct Context<'a> {
    pub(super) client: &'a Client,
    pub(super) repo: &'a Repo,
    pub(super) model: &'a HubModel,
    pub(super) commit: &'a str,
    pub(super) progress: &'a dyn Progress,
    /// Whether another file has failed, so that the rest need not go on.
    pub(super) stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Context<'_> {
    /// Downloads a file to its blob, unless it is there.
    pub(super) fn bring(&self, task: &Task) -> Result<()> {
        let _lock = self.lock(task)?;
        let blob = self.repo.blob(&task.etag);
        if !has_size(&blob, task.size) {
            let mut retry = Retry::new(self.client.pause());
            let mut partial = Partial::open(self.repo.partial(&task.etag), task)?;
            loop {
                let before = partial.have;
                let result = self
                    .fill(&mut partial, task)
                    .and_then(|()| partial.finish(task, &blob));
                match result {
                    Ok(()) => break,
                    Err(error) => {
                        if partial.have > before {
                            retry.reset();
                        }
                        retry.wait(error, self.progress, &|| self.check())?;
                    }
                }
            }
        }
        self.progress.position(&task.name, task.size);
        self.progress.finished(&task.name);
        Ok(())
    }

    /// Receives the bytes that are still missing.
    fn fill(&self, partial: &mut Partial, task: &Task) -> Result<()> {
        self.progress.position(&task.name, partial.have);
        self.check()?;
        if partial.have == task.size {
            return Ok(());
        }
        let incoming = match self
            .client
            .open(self.model, self.commit, &task.name, partial.have)
        {
            Ok(incoming) => incoming,
            // The server holds fewer bytes than are here, so these are not its.
            Err(HubError::Status { status: 416, .. }) if partial.have > 0 => {
                let found = partial.have;
                partial.restart()?;
                return Err(task.wrong_size(found));
            }
            Err(error) => return Err(error),
        };
        if incoming.start != partial.have {
            partial.restart()?;
        }
        let mut body = incoming.body.into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            self.check()?;
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => {
                    return Err(self.client.read_failure(
                        self.model,
                        self.commit,
                        &task.name,
                        error,
                    ));
                }
            };
            if partial.have + count as u64 > task.size {
                let found = partial.have + count as u64;
                partial.restart()?;
                return Err(task.wrong_size(found));
            }
            partial.write(&buffer[..count], task)?;
            self.progress.position(&task.name, partial.have);
        }
        if partial.have < task.size {
            return Err(task.wrong_size(partial.have));
        }
        Ok(())
    }

    /// Waits until nobody else writes this blob.
    fn lock(&self, task: &Task) -> Result<File> {
        let file = self.repo.lock_file(&task.etag)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        self.progress.notice(&Notice::Waiting {
                            file: task.name.clone(),
                        });
                        told = true;
                    }
                    self.check()?;
                    std::thread::sleep(GLANCE);
                }
                // Some network drives cannot lock; there hashes tell what two writers did.
                Err(TryLockError::Error(_)) => return Ok(file),
            }
        }
    }

    /// Ends the work when it should end.
    fn check(&self) -> Result<()> {
        if self.progress.cancelled() || (self.stopped)() {
            return Err(HubError::Interrupted {
                model: self.model.to_string(),
            });
        }
        Ok(())
    }
}

/// Makes requests again while that may help.
pub(super) struct Retry {
    left: u32,
    first: Duration,
    pause: Duration,
}

impl Retry {
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            left: TRIES - 1,
            first: pause,
            pause,
        }
    }

    /// Forgets earlier failures, because bytes have come since.
    fn reset(&mut self) {
        *self = Self::new(self.first);
    }

    /// Waits before the next try, or gives the error back when there is none.
    pub(super) fn wait(
        &mut self,
        error: HubError,
        progress: &dyn Progress,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let wanted = match &error {
            HubError::Status {
                retry_after: Some(seconds),
                ..
            } => Duration::from_secs(*seconds),
            _ => Duration::ZERO,
        };
        if !error.is_transient() || self.left == 0 || wanted > LONGEST_PAUSE {
            return Err(error);
        }
        let pause = self.pause.max(wanted);
        self.left -= 1;
        self.pause *= 2;
        progress.notice(&Notice::Retrying {
            why: error,
            after: pause,
        });
        let mut left = pause;
        while left > Duration::ZERO {
            check()?;
            let step = left.min(GLANCE);
            std::thread::sleep(step);
            left -= step;
        }
        check()
    }
}

/// The part of a file that has come.
struct Partial {
    path: PathBuf,
    file: File,
    have: u64,
    hash: Option<Sha256>,
}

impl Partial {
    fn open(path: PathBuf, task: &Task) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)
            .map_err(HubError::write(&path))?;
        let have = file.metadata().map_err(HubError::read(&path))?.len();
        let mut partial = Self {
            path,
            file,
            have,
            hash: task.sha256().and_then(|_| Sha256::new()),
        };
        if have > task.size {
            partial.restart()?;
        } else if have > 0 {
            partial.hash_what_is_there()?;
        }
        Ok(partial)
    }

    fn hash_what_is_there(&mut self) -> Result<()> {
        let Some(hash) = &mut self.hash else {
            return Ok(());
        };
        let mut file = File::open(&self.path).map_err(HubError::read(&self.path))?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer).map_err(HubError::read(&self.path))? {
                0 => return Ok(()),
                count => hash.update(&buffer[..count]),
            }
        }
    }

    /// Throws away what is there.
    fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(HubError::write(&self.path))?;
        self.have = 0;
        if self.hash.is_some() {
            self.hash = Sha256::new();
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], task: &Task) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| {
            if matches!(
                source.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ) {
                return HubError::DiskFull {
                    path: self.path.clone(),
                    needed: task.size - self.have,
                };
            }
            HubError::write(&self.path)(source)
        })?;
        self.have += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        Ok(())
    }

    /// Checks the contents and gives them their name.
    fn finish(&mut self, task: &Task, blob: &Path) -> Result<()> {
        if let (Some(hash), Some(expected)) = (self.hash.take(), task.sha256()) {
            let found = hash.finish();
            if found != expected {
                self.hash = Sha256::new();
                self.restart()?;
                return Err(HubError::Damaged {
                    file: task.name.clone(),
                    expected: expected.to_owned(),
                    found,
                });
            }
        }
        // A name must not reach the disk before the bytes do.
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, blob))
            .map_err(HubError::write(blob))
    }
}

/// Whether a file is there and whole.
pub(super) fn has_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() == size)
}
