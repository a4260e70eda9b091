//! Owns where things lie in the cache, which is shared with the Python package huggingface_hub.
//!
//! `models--org--name/blobs/<etag>` are contents, `snapshots/<commit>/<file>` links to them, and
//! `refs/<branch>` files with a commit; see "Understand caching" in huggingface_hub's manual.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::HubError;
use super::name::{HubModel, is_commit};

type Result<T> = std::result::Result<T, HubError>;

/// A commit in a file of `refs/` is far shorter than this.
const LONGEST_REF: u64 = 256;

/// One model's part of the cache.
#[derive(Debug, Clone)]
pub(super) struct Repo {
    folder: PathBuf,
    locks: PathBuf,
}

impl Repo {
    pub(super) fn new(cache: &Path, model: &HubModel) -> Self {
        let name = model.folder_name();
        Self {
            locks: cache.join(".locks").join(&name),
            folder: cache.join(name),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// What has come of a blob so far.
    pub(super) fn partial(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.incomplete"))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// Makes the folders that blobs are written to.
    pub(super) fn prepare(&self) -> Result<()> {
        for folder in [&self.folder.join("blobs"), &self.locks] {
            fs::create_dir_all(folder).map_err(HubError::write(folder))?;
        }
        Ok(())
    }

    /// Opens the file whose lock says who writes a blob.
    pub(super) fn lock_file(&self, etag: &str) -> Result<File> {
        let path = self.locks.join(format!("{etag}.lock"));
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HubError::write(path))
    }

    /// The commit that a branch or tag stood for when it was last downloaded.
    pub(super) fn commit_of(&self, model: &HubModel) -> Option<String> {
        if let Some(commit) = model.commit() {
            return Some(commit.to_owned());
        }
        read_ref(&self.reference(model.wanted_revision()))
    }

    /// The snapshot that a model's revision stands for, and whether a model can be read from it.
    pub(super) fn cached(&self, model: &HubModel) -> Cached {
        match self.commit_of(model).map(|commit| self.snapshot(&commit)) {
            Some(folder) if is_complete(&folder) => Cached::Whole(folder),
            Some(folder) if folder.is_dir() => Cached::InPart,
            Some(_) | None if self.folder.join("blobs").is_dir() => Cached::InPart,
            Some(_) | None => Cached::Absent,
        }
    }

    /// Links a file of a snapshot to its blob.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<()> {
        let snapshot = self.snapshot(commit);
        fs::create_dir_all(&snapshot).map_err(HubError::write(&snapshot))?;
        let path = snapshot.join(name);
        let blob = self.blob(etag);
        if fs::canonicalize(&path)
            .is_ok_and(|there| fs::canonicalize(&blob).is_ok_and(|blob| blob == there))
        {
            return Ok(());
        }
        let temporary = temporary_beside(&path);
        let target = Path::new("../../blobs").join(etag);
        symlink(&target, &temporary)
            // File systems without links get the contents once more, as from huggingface_hub.
            .or_else(|_| fs::hard_link(&blob, &temporary))
            .or_else(|_| fs::copy(&blob, &temporary).map(|_| ()))
            .and_then(|()| fs::rename(&temporary, &path))
            .inspect_err(|_| {
                fs::remove_file(&temporary).ok();
            })
            .map_err(HubError::write(path))
    }

    /// Notes the commit that a branch or tag stands for.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.reference(revision);
        let folder = path.parent().expect("a reference lies in refs/");
        fs::create_dir_all(folder).map_err(HubError::write(folder))?;
        let temporary = temporary_beside(&path);
        File::create(&temporary)
            .and_then(|mut file| file.write_all(commit.as_bytes()))
            .and_then(|()| fs::rename(&temporary, &path))
            .inspect_err(|_| {
                fs::remove_file(&temporary).ok();
            })
            .map_err(HubError::write(path))
    }

    /// Every branch and tag with its commit.
    pub(super) fn refs(&self) -> Result<Vec<(String, String)>> {
        let folder = self.folder.join("refs");
        let mut refs: Vec<_> = walk(&folder)?
            .into_iter()
            .filter_map(|name| {
                let commit = read_ref(&folder.join(&name))?;
                Some((name, commit))
            })
            .collect();
        refs.sort();
        Ok(refs)
    }

    pub(super) fn remove_ref(&self, revision: &str) -> Result<()> {
        let path = self.reference(revision);
        fs::remove_file(&path).map_err(HubError::write(path))
    }
}

/// What the cache has of a revision.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cached {
    Whole(PathBuf),
    InPart,
    Absent,
}

/// Whether a folder has the configuration and all weights of a model.
pub(super) fn is_complete(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    if !has("config.json") {
        return false;
    }
    if has("model.safetensors") {
        return true;
    }
    let Ok(index) = fs::read(folder.join("model.safetensors.index.json")) else {
        return fs::read_dir(folder).is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| {
                    let name = file.file_name();
                    let name = name.to_string_lossy();
                    name.starts_with("model") && name.ends_with(".safetensors") && has(&name)
                })
            })
        });
    };
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap_or_default();
    index["weight_map"]
        .as_object()
        .is_some_and(|map| map.values().all(|shard| shard.as_str().is_some_and(&has)))
}

/// The names of all files below a folder, with `/` between parts; none if there is no folder.
pub(super) fn walk(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut open = vec![String::new()];
    while let Some(prefix) = open.pop() {
        let here = folder.join(&prefix);
        let entries = match fs::read_dir(&here) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(HubError::read(here)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(HubError::read(&here))?;
            let Ok(part) = entry.file_name().into_string() else {
                continue;
            };
            let name = if prefix.is_empty() {
                part
            } else {
                format!("{prefix}/{part}")
            };
            // Links to folders are not entered, so that the walk ends.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(name);
            } else {
                names.push(name);
            }
        }
    }
    names.sort();
    Ok(names)
}

fn read_ref(path: &Path) -> Option<String> {
    if fs::metadata(path).ok()?.len() > LONGEST_REF {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let commit = text.trim();
    is_commit(commit).then(|| commit.to_owned())
}

/// A name beside a path that no other thread or process uses.
fn temporary_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{count}.incomplete", std::process::id()));
    path.with_file_name(name)
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
