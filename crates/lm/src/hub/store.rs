//! Owns looking over the cache: which models are there, what they take, and removing them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::Hub;
use super::error::HubError;
use super::layout::{Repo, is_complete, walk};
use super::name::HubModel;
use crate::error::Result;

type Outcome<T> = std::result::Result<T, HubError>;

/// A model in the cache.
///
/// ```
/// # let cache = tempfile::tempdir()?;
/// for model in olivine_lm::Hub::new(cache.path()).models()? {
///     println!("{} takes {} bytes", model.name, model.size_on_disk);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedModel {
    /// `org/name`.
    pub name: String,
    /// Its folder in the cache.
    pub path: PathBuf,
    /// The bytes of all revisions, each content once, and of unfinished downloads.
    pub size_on_disk: u64,
    /// The bytes of unfinished downloads.
    pub unfinished: u64,
    /// Its revisions, those that branches and tags stand for first.
    pub revisions: Vec<CachedRevision>,
}

/// A revision of a model in the cache.
///
/// ```
/// # let cache = tempfile::tempdir()?;
/// let models = olivine_lm::Hub::new(cache.path()).models()?;
/// assert!(models.iter().all(|model| model.revisions.iter().all(|one| one.commit.len() >= 40)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedRevision {
    /// The commit.
    pub commit: String,
    /// The branches and tags that stand for it.
    pub refs: Vec<String>,
    /// The folder with its files.
    pub path: PathBuf,
    /// Its files.
    pub files: Vec<CachedFile>,
    /// The bytes of its files, each content once.
    pub size: u64,
    /// Whether the configuration and all weights are there.
    pub complete: bool,
    /// When one of its files was last read, as far as the file system keeps that.
    #[serde(serialize_with = "seconds")]
    pub last_used: Option<SystemTime>,
}

/// A file of a revision in the cache.
///
/// ```
/// let file = olivine_lm::CachedFile { name: "config.json".into(), size: 526, blob: "blobs/0a".into() };
/// assert_eq!(file.size, 526);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedFile {
    /// Its name in the model's folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where its contents are.
    pub blob: PathBuf,
}

/// Writes a time as seconds since 1970.
#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn seconds<S: serde::Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map(|duration| duration.as_secs())
        .serialize(serializer)
}

impl CachedModel {
    /// When one of its files was last read, as far as the file system keeps that.
    ///
    /// ```
    /// # let cache = tempfile::tempdir()?;
    /// for model in olivine_lm::Hub::new(cache.path()).models()? {
    ///     println!("{} was used {:?}", model.name, model.last_used());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last_used(&self) -> Option<SystemTime> {
        self.revisions.iter().filter_map(|one| one.last_used).max()
    }

    /// The revision of that name: a branch, a tag, or the beginning of exactly one commit; `main`,
    /// or else the only revision, when no name is given.
    ///
    /// ```
    /// # let cache = tempfile::tempdir()?;
    /// for model in olivine_lm::Hub::new(cache.path()).models()? {
    ///     assert_eq!(model.revision(Some("no such branch")), None);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revision(&self, name: Option<&str>) -> Option<&CachedRevision> {
        let by_ref = |name: &str| {
            self.revisions
                .iter()
                .find(|one| one.refs.iter().any(|reference| reference == name))
        };
        let Some(name) = name else {
            return by_ref("main").or_else(|| only(self.revisions.iter()));
        };
        by_ref(name).or_else(|| {
            only(
                self.revisions
                    .iter()
                    .filter(|one| name.len() >= 4 && one.commit.starts_with(name)),
            )
        })
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

impl Hub {
    /// Lists the models in the cache by name.
    ///
    /// # Errors
    /// A cache that cannot be read; one that does not exist is empty.
    ///
    /// ```
    /// # let cache = tempfile::tempdir()?;
    /// assert!(olivine_lm::Hub::new(cache.path()).models()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn models(&self) -> Result<Vec<CachedModel>> {
        let entries = match fs::read_dir(self.cache()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(HubError::read(self.cache())(error).into()),
        };
        let mut models = Vec::new();
        for entry in entries {
            let entry = entry.map_err(HubError::read(self.cache()))?;
            let name = entry.file_name();
            // What is not named as a model is not ours to judge.
            if let Some(id) = name.to_str().and_then(|name| name.strip_prefix("models--"))
                && let Ok(model) = id.replacen("--", "/", 1).parse::<HubModel>()
                && entry.path().is_dir()
            {
                models.push(scan(&model, &Repo::new(self.cache(), &model))?);
            }
        }
        models.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(models)
    }

    /// Finds a model in the cache.
    ///
    /// # Errors
    /// [`HubError::NotCached`], and a cache that cannot be read.
    ///
    /// ```
    /// # let cache = tempfile::tempdir()?;
    /// assert!(olivine_lm::Hub::new(cache.path()).find(&"org/name".parse()?).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find(&self, model: &HubModel) -> Result<CachedModel> {
        let repo = Repo::new(self.cache(), model);
        if !repo.folder().is_dir() {
            return Err(HubError::NotCached {
                model: model.id().to_owned(),
            }
            .into());
        }
        Ok(scan(model, &repo)?)
    }

    /// Removes a model from the cache, or only the revision that is named, and says how many bytes
    /// that frees; contents that other revisions share stay.
    ///
    /// # Errors
    /// [`HubError::NotCached`], [`HubError::NoRevision`], and files that cannot be removed.
    ///
    /// ```
    /// # let cache = tempfile::tempdir()?;
    /// assert!(olivine_lm::Hub::new(cache.path()).remove(&"org/name".parse()?).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, model: &HubModel) -> Result<u64> {
        let repo = Repo::new(self.cache(), model);
        let cached = self.find(model)?;
        let Some(revision) = named_revision(&cached, model)? else {
            return Ok(remove_all(&cached, &repo)?);
        };
        if cached.revisions.len() == 1 {
            return Ok(remove_all(&cached, &repo)?);
        }
        Ok(remove_revision(&cached, revision, &repo)?)
    }

    /// The bytes that [`remove`](Self::remove) would free.
    ///
    /// # Errors
    /// Those of [`remove`](Self::remove), short of files that cannot be removed.
    ///
    /// ```
    /// # let cache = tempfile::tempdir()?;
    /// assert!(olivine_lm::Hub::new(cache.path()).removable(&"org/name".parse()?).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn removable(&self, model: &HubModel) -> Result<u64> {
        let cached = self.find(model)?;
        Ok(match named_revision(&cached, model)? {
            Some(revision) if cached.revisions.len() > 1 => own_blobs(&cached, revision)
                .iter()
                .map(|(_, size)| size)
                .sum(),
            _ => cached.size_on_disk,
        })
    }
}

/// The revision that a name asks for, if it asks for one.
fn named_revision<'a>(
    cached: &'a CachedModel,
    model: &HubModel,
) -> Outcome<Option<&'a CachedRevision>> {
    let Some(name) = model.revision() else {
        return Ok(None);
    };
    cached
        .revision(Some(name))
        .map(Some)
        .ok_or_else(|| HubError::NoRevision {
            model: model.id().to_owned(),
            revision: name.to_owned(),
        })
}

fn scan(model: &HubModel, repo: &Repo) -> Outcome<CachedModel> {
    let mut refs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, commit) in repo.refs()? {
        refs.entry(commit).or_default().push(name);
    }
    let snapshots = repo.folder().join("snapshots");
    let mut revisions = Vec::new();
    let entries = match fs::read_dir(&snapshots) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(HubError::read(snapshots)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(HubError::read(&snapshots))?;
        let path = entry.path();
        if let Ok(commit) = entry.file_name().into_string()
            && path.is_dir()
        {
            let refs = refs.remove(&commit).unwrap_or_default();
            revisions.push(scan_revision(commit, refs, path)?);
        }
    }
    revisions.sort_by(|one, other| {
        let key = |one: &CachedRevision| (one.refs.is_empty(), one.commit.clone());
        key(one).cmp(&key(other))
    });
    let blobs = repo.folder().join("blobs");
    let mut size_on_disk = 0;
    let mut unfinished = 0;
    for name in walk(&blobs)? {
        let size = fs::symlink_metadata(blobs.join(&name)).map_or(0, |data| data.len());
        size_on_disk += size;
        if name.ends_with(".incomplete") {
            unfinished += size;
        }
    }
    // Where there are no links, contents lie in the snapshots.
    for file in revisions.iter().flat_map(|one| &one.files) {
        if file.blob.starts_with(&snapshots) {
            size_on_disk += file.size;
        }
    }
    Ok(CachedModel {
        name: model.id().to_owned(),
        path: repo.folder().to_owned(),
        size_on_disk,
        unfinished,
        revisions,
    })
}

fn scan_revision(commit: String, refs: Vec<String>, path: PathBuf) -> Outcome<CachedRevision> {
    let mut files = Vec::new();
    let mut contents = BTreeMap::new();
    let mut last_used = None;
    for name in walk(&path)? {
        let link = path.join(&name);
        // A link to nothing is what a removed blob leaves.
        let Ok(data) = fs::metadata(&link) else {
            continue;
        };
        let blob = blob_of(&link);
        last_used = last_used.max(used(&data));
        contents.insert(blob.clone(), data.len());
        files.push(CachedFile {
            name,
            size: data.len(),
            blob,
        });
    }
    Ok(CachedRevision {
        complete: is_complete(&path),
        commit,
        refs,
        path,
        files,
        size: contents.values().sum(),
        last_used,
    })
}

/// The file that a link of a snapshot leads to, without following it further.
fn blob_of(link: &Path) -> PathBuf {
    let Ok(target) = fs::read_link(link) else {
        return link.to_owned();
    };
    let mut path = link.parent().unwrap_or(link).to_owned();
    for part in target.components() {
        match part {
            std::path::Component::ParentDir => {
                path.pop();
            }
            std::path::Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

fn used(data: &Metadata) -> Option<SystemTime> {
    data.accessed().ok().max(data.modified().ok())
}

/// The blobs that no other revision shares, with their sizes; never a file outside the model's folder.
fn own_blobs<'a>(cached: &'a CachedModel, revision: &'a CachedRevision) -> Vec<(&'a Path, u64)> {
    let shared: BTreeSet<&Path> = cached
        .revisions
        .iter()
        .filter(|other| other.commit != revision.commit)
        .flat_map(|other| &other.files)
        .map(|file| file.blob.as_path())
        .collect();
    let own: BTreeMap<&Path, u64> = revision
        .files
        .iter()
        .filter(|file| file.blob.starts_with(&cached.path))
        .filter(|file| !shared.contains(file.blob.as_path()))
        .map(|file| (file.blob.as_path(), file.size))
        .collect();
    own.into_iter().collect()
}

fn remove_all(cached: &CachedModel, repo: &Repo) -> Outcome<u64> {
    for folder in [repo.folder(), repo.locks()] {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(HubError::write(folder)(error));
            }
            _ => {}
        }
    }
    Ok(cached.size_on_disk)
}

fn remove_revision(cached: &CachedModel, revision: &CachedRevision, repo: &Repo) -> Outcome<u64> {
    for reference in &revision.refs {
        repo.remove_ref(reference)?;
    }
    // Links go before what they lead to, so that no snapshot looks whole and is not.
    fs::remove_dir_all(&revision.path).map_err(HubError::write(&revision.path))?;
    let mut freed = 0;
    for (blob, size) in own_blobs(cached, revision) {
        match fs::remove_file(blob) {
            Ok(()) => freed += size,
            // It lay in the snapshot itself.
            Err(error) if error.kind() == ErrorKind::NotFound => freed += size,
            Err(error) => return Err(HubError::write(blob)(error)),
        }
    }
    Ok(freed)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
