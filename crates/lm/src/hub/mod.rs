//! Owns getting models from the Hugging Face hub, into the cache that its Python package uses too.

mod crypto;
mod download;
mod error;
mod http;
mod layout;
mod listing;
mod name;
mod progress;
mod store;
mod summary;
#[cfg(test)]
mod test_server;

pub use error::HubError;
pub use name::HubModel;
pub use progress::{Notice, PlannedFile, Progress};
pub use store::{CachedFile, CachedModel, CachedRevision};
pub use summary::ModelSummary;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use self::download::{Context, Retry, Task, has_size};
use self::http::{Client, Description, Options};
use self::layout::{Cached, Repo};
use self::listing::{ListedFile, Listing};
use crate::config::ModelConfig;
use crate::error::{Error, Result};

const CONFIG: &str = "config.json";
const ENDPOINT: &str = "https://huggingface.co";
/// Files that are downloaded at once; a few connections fill a line that one does not.
const DOWNLOADS: usize = 4;
/// Files that are asked about at once.
const QUESTIONS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// A hub of models, and the cache for what comes from it.
///
/// ```
/// use olivine_lm::{Hub, HubModel};
/// # let cache = tempfile::tempdir()?;
/// let hub = Hub::new(cache.path()).offline(true);
/// let model: HubModel = "org/name".parse()?;
/// // Nothing was downloaded yet, and nothing may be now.
/// assert!(hub.fetch(&model, &()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Hub {
    cache: PathBuf,
    options: Options,
    roots: Option<PathBuf>,
    offline: bool,
}

impl Hub {
    /// A hub with a cache in a folder, which is made when it is needed.
    ///
    /// ```
    /// let hub = olivine_lm::Hub::new("/data/models");
    /// assert_eq!(hub.cache().to_str(), Some("/data/models"));
    /// ```
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            options: Options {
                endpoint: ENDPOINT.to_owned(),
                token: None,
                timeout: TIMEOUT,
                pause: PAUSE,
            },
            roots: None,
            offline: false,
        }
    }

    /// The hub that the environment describes, as huggingface_hub reads it.
    ///
    /// The cache is `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or `~/.cache/huggingface/hub`. The
    /// token is `HF_TOKEN`, or the file that `hf auth login` writes. `HF_ENDPOINT` is another
    /// server, `HF_HUB_OFFLINE=1` forbids using one, `HF_HUB_DOWNLOAD_TIMEOUT` is how many seconds
    /// it may be silent, and `SSL_CERT_FILE` has the certificates to trust.
    ///
    /// # Errors
    /// A timeout that is no number, and a missing home directory when nothing else says where the
    /// cache is.
    ///
    /// ```
    /// let hub = olivine_lm::Hub::from_env()?;
    /// println!("models are kept in {}", hub.cache().display());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn from_env() -> Result<Self> {
        Ok(Self::from_variables(
            &|name| std::env::var_os(name),
            std::env::home_dir(),
        )?)
    }

    fn from_variables(
        variable: &dyn Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> std::result::Result<Self, HubError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name)?.into_string().ok();
        let path = |name: &str| {
            let path = PathBuf::from(variable(name)?);
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(path),
            }
        };
        let folder = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|caches| caches.join("huggingface")))
            .or_else(|| Some(home.as_ref()?.join(".cache").join("huggingface")));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(folder.as_ref()?.join("hub")))
            .ok_or(HubError::NoHome)?;
        let token_file = path("HF_TOKEN_PATH").or_else(|| Some(folder.as_ref()?.join("token")));
        let token = text("HF_TOKEN")
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| std::fs::read_to_string(token_file?).ok())
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        if token
            .as_deref()
            .is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(HubError::Setting {
                variable: "HF_TOKEN",
                value: "…".to_owned(),
                problem: "is not a token",
            });
        }
        let mut hub = Self::new(cache).token(token);
        if let Some(endpoint) = text("HF_ENDPOINT") {
            hub = hub.endpoint(endpoint);
        }
        if let Some(value) = text("HF_HUB_DOWNLOAD_TIMEOUT") {
            match value.trim().parse() {
                Ok(seconds @ 1..=86_400) => hub.options.timeout = Duration::from_secs(seconds),
                _ => {
                    return Err(HubError::Setting {
                        variable: "HF_HUB_DOWNLOAD_TIMEOUT",
                        value,
                        problem: "is not a number of seconds",
                    });
                }
            }
        }
        hub.roots = path("SSL_CERT_FILE");
        hub.offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
            .iter()
            .filter_map(|name| text(name))
            .any(|value| {
                let value = value.to_ascii_lowercase();
                matches!(value.as_str(), "1" | "on" | "yes" | "true")
            });
        Ok(hub)
    }

    /// Asks another server, such as a mirror: `https://host` or `http://host:port`.
    ///
    /// ```
    /// let hub = olivine_lm::Hub::new("models").endpoint("http://localhost:8080");
    /// # let _ = hub;
    /// ```
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.options.endpoint = endpoint.into();
        self
    }

    /// Shows a token to the hub, and to no other server.
    ///
    /// ```
    /// let hub = olivine_lm::Hub::new("models").token(std::env::var("MY_TOKEN").ok());
    /// # let _ = hub;
    /// ```
    #[must_use]
    pub fn token(mut self, token: Option<String>) -> Self {
        self.options.token = token;
        self
    }

    /// Uses only what is in the cache.
    ///
    /// ```
    /// let hub = olivine_lm::Hub::new("models").offline(true);
    /// # let _ = hub;
    /// ```
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// The folder in which downloads are kept.
    ///
    /// ```
    /// assert!(olivine_lm::Hub::new("models").cache().ends_with("models"));
    /// ```
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Downloads what is missing of a model, and returns the folder with its files.
    ///
    /// Bytes that an interrupted download left are not downloaded again. When the network fails
    /// and an earlier download is in the cache, that is the result, and `progress` is told. A model
    /// at a whole commit that is in the cache needs no network at all.
    ///
    /// # Errors
    /// Everything in [`HubError`]: a model that does not exist, may not be read or has no
    /// safetensors, a server or disk that fails, and [`HubError::Interrupted`] once `progress` says
    /// that the download is cancelled. What has come stays for the next time. A configuration that
    /// is missing or that [`ModelConfig::parse`] refuses, before anything else is downloaded.
    ///
    /// ```no_run
    /// use olivine_lm::{Hub, ModelFolder};
    /// let model = "mlx-community/SmolLM-135M-Instruct-4bit".parse()?;
    /// let folder = ModelFolder::open(Hub::from_env()?.fetch(&model, &())?)?;
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn fetch(&self, model: &HubModel, progress: &dyn Progress) -> Result<PathBuf> {
        let repo = Repo::new(&self.cache, model);
        let cached = repo.cached(model);
        if self.offline {
            return match cached {
                Cached::Whole(folder) => Ok(folder),
                partly => Err(HubError::Offline {
                    model: model.to_string(),
                    partly: partly == Cached::InPart,
                }
                .into()),
            };
        }
        match cached {
            Cached::Whole(folder) if model.commit().is_some() => Ok(folder),
            Cached::Whole(folder) => match self.download(model, &repo, false, progress) {
                Err(Error::Hub(why)) if why.is_of_the_network() => {
                    progress.notice(&Notice::Cached {
                        model: model.to_string(),
                        why,
                    });
                    Ok(folder)
                }
                result => result,
            },
            Cached::InPart | Cached::Absent => self.download(model, &repo, true, progress),
        }
    }

    /// Downloads what is missing; `persistent` asks again where there is no connection.
    fn download(
        &self,
        model: &HubModel,
        repo: &Repo,
        persistent: bool,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let client = Client::new(self.options.clone(), self.roots.as_deref())?;
        let interrupted = || HubError::Interrupted {
            model: model.to_string(),
        };
        let check = || {
            if progress.cancelled() {
                return Err(interrupted());
            }
            Ok(())
        };
        let listing = again(&client, progress, &check, persistent, || {
            let (url, text) = client.model(model)?;
            let listing = Listing::parse(model, &url, &text)?;
            if model
                .commit()
                .is_some_and(|commit| commit != listing.commit)
            {
                return Err(HubError::Answer {
                    url,
                    problem: format!("it lists the files of {}", listing.commit),
                });
            }
            Ok(listing)
        })?;
        let commit = listing.commit.as_str();
        let snapshot = repo.snapshot(commit);
        let is_there = |file: &ListedFile| {
            file.size
                .is_some_and(|size| has_size(&snapshot.join(&file.name), size))
        };
        let config = listing.files.iter().find(|file| file.name == CONFIG);
        let config = config.ok_or_else(|| Error::MissingFile {
            folder: model.id().into(),
            file: CONFIG,
        })?;
        if !is_there(config) {
            // What cannot be loaded is not worth gigabytes.
            let (url, text) = again(&client, progress, &check, persistent, || {
                client.config(model, commit, CONFIG)
            })?;
            ModelConfig::parse(Path::new(&url), &text)?;
        }
        let missing: Vec<ListedFile> = listing
            .files
            .into_iter()
            .filter(|file| !is_there(file))
            .collect();
        if !missing.is_empty() {
            let descriptions = parallel(QUESTIONS, &missing, |file, stopped| {
                let check = || {
                    if stopped() {
                        Err(interrupted())
                    } else {
                        check()
                    }
                };
                again(&client, progress, &check, persistent, || {
                    client.describe(model, commit, &file.name)
                })
            })?;
            let mut tasks = missing
                .into_iter()
                .zip(descriptions)
                .map(|(file, description)| plan(&self.options.endpoint, file, description))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            // Small files first: what is wrong with them is seen before the weights.
            tasks.sort_by_key(|task| task.size);
            repo.prepare()?;
            progress.begin(&planned(repo, &tasks));
            parallel(DOWNLOADS, &tasks, |task, stopped| {
                let context = Context {
                    client: &client,
                    repo,
                    model,
                    commit,
                    progress,
                    stopped,
                };
                context.bring(task)
            })?;
            // Links come last, so that a snapshot with weights is a whole one.
            for task in &tasks {
                repo.link(commit, &task.name, &task.etag)?;
            }
        }
        if model.commit().is_none() {
            repo.write_ref(model.wanted_revision(), commit)?;
        }
        Ok(snapshot)
    }
}

/// Makes a request again while that may help.
fn again<T>(
    client: &Client,
    progress: &dyn Progress,
    check: &dyn Fn() -> std::result::Result<(), HubError>,
    persistent: bool,
    request: impl Fn() -> std::result::Result<T, HubError>,
) -> std::result::Result<T, HubError> {
    let mut retry = Retry::new(client.pause());
    loop {
        check()?;
        match request() {
            Err(error) if persistent || matches!(error, HubError::Status { .. }) => {
                retry.wait(error, progress, check)?;
            }
            result => return result,
        }
    }
}

/// Joins what the list and the file's own address say.
fn plan(
    endpoint: &str,
    file: ListedFile,
    description: Description,
) -> std::result::Result<Task, HubError> {
    let Some(size) = description.size.or(file.size) else {
        return Err(HubError::Answer {
            url: endpoint.to_owned(),
            problem: format!("it does not say how large {} is", file.name),
        });
    };
    Ok(Task {
        name: file.name,
        etag: description.etag,
        size,
    })
}

/// The files that are to be downloaded, for whoever follows.
fn planned(repo: &Repo, tasks: &[Task]) -> Vec<PlannedFile> {
    tasks
        .iter()
        .filter(|task| !has_size(&repo.blob(&task.etag), task.size))
        .map(|task| PlannedFile {
            name: task.name.clone(),
            size: task.size,
            present: std::fs::metadata(repo.partial(&task.etag))
                .map_or(0, |data| data.len())
                .min(task.size),
        })
        .collect()
}

/// Does work on a few threads; the first failure stops the rest and is the result.
fn parallel<Item: Sync, Done: Send>(
    threads: usize,
    items: &[Item],
    work: impl Fn(&Item, &(dyn Fn() -> bool + Sync)) -> std::result::Result<Done, HubError> + Sync,
) -> std::result::Result<Vec<Done>, HubError> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let done: Mutex<Vec<(usize, Done)>> = Mutex::new(Vec::with_capacity(items.len()));
    let stopped = || stop.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while !stopped() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else {
                        return;
                    };
                    match work(item, &stopped) {
                        Ok(result) => lock(&done).push((index, result)),
                        Err(error) => {
                            // Later ones only say that they were stopped.
                            lock(&failure).get_or_insert(error);
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
