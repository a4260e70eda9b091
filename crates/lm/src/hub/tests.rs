//! Owns the tests of downloads against a hub on this machine.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::test_server::{Commit, File, Reply, Request, Server, hub as start_hub};
use super::*;
use crate::error::Error;

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// Bytes that differ everywhere, so that a wrong resumption shows.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        })
        .collect()
}

fn weights() -> Vec<u8> {
    noise(3_000_000, 1)
}

fn commits() -> Vec<Commit> {
    let common = |text: &str| {
        vec![
            File::small("config.json", text),
            File::small("README.md", "---\nlicense: mit\n---\n"),
            File::small("picture.svg", "<svg/>"),
        ]
    };
    let mut first = common(r#"{"model_type": "llama"}"#);
    first.push(File::large("model.safetensors", weights()));
    let mut second = common(r#"{"model_type": "qwen2"}"#);
    second.push(File::large("model.safetensors", noise(1000, 2)));
    vec![
        Commit {
            id: FIRST.to_owned(),
            refs: vec!["main".to_owned()],
            files: first,
        },
        Commit {
            id: SECOND.to_owned(),
            refs: vec!["v2".to_owned(), "refs/pr/1".to_owned()],
            files: second,
        },
    ]
}

/// A hub, the store of its large files, and a cache.
struct Setup {
    server: Server,
    store: Server,
    cache: tempfile::TempDir,
}

impl Setup {
    fn plain() -> Self {
        Self::with(|_, reply| reply, |_, reply| reply)
    }

    fn with(
        on_hub: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
        on_store: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (server, store) = start_hub(commits(), Box::new(on_hub), Box::new(on_store));
        Self {
            server,
            store,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    fn hub(&self) -> Hub {
        let mut hub = Hub::new(self.cache.path()).endpoint(self.server.url());
        hub.options.pause = Duration::from_millis(1);
        hub.options.timeout = Duration::from_secs(20);
        hub
    }

    fn fetch(&self, name: &str) -> Result<PathBuf> {
        self.hub().fetch(&model(name), &())
    }

    fn failure(&self, name: &str) -> HubError {
        hub_error(self.fetch(name).unwrap_err())
    }

    fn repo(&self) -> PathBuf {
        self.cache.path().join("models--org--name")
    }

    fn blob(&self, file: &File) -> PathBuf {
        self.repo().join("blobs").join(&file.etag)
    }

    /// The names in a folder of the cache.
    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.repo().join(folder))
            .map(|entries| {
                entries
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }
}

fn model(name: &str) -> HubModel {
    name.parse().unwrap()
}

fn hub_error(error: Error) -> HubError {
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    assert!(
        error.help().is_some_and(|help| help.lines().count() == 1),
        "{error}"
    );
    match error {
        Error::Hub(error) => error,
        other => panic!("{other} is no error of the hub"),
    }
}

fn large_file() -> File {
    commits()[0].files[3].clone()
}

/// Remembers notices, and cancels once so many bytes of the weights have come.
#[derive(Default)]
struct Watcher {
    notices: Mutex<Vec<String>>,
    first_position: Mutex<Option<u64>>,
    planned: Mutex<Vec<PlannedFile>>,
    position: AtomicU64,
    cancel_at: Option<u64>,
}

impl Progress for Watcher {
    fn begin(&self, files: &[PlannedFile]) {
        *self.planned.lock().unwrap() = files.to_vec();
    }

    fn position(&self, file: &str, bytes: u64) {
        if file == "model.safetensors" {
            self.first_position.lock().unwrap().get_or_insert(bytes);
            self.position.store(bytes, Ordering::Relaxed);
        }
    }

    fn notice(&self, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.to_string());
    }

    fn cancelled(&self) -> bool {
        self.cancel_at
            .is_some_and(|limit| self.position.load(Ordering::Relaxed) >= limit)
    }
}

/// Meddles with the first answers for the bytes of large files.
fn at_first(
    times: u64,
    meddle: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static {
    let count = AtomicU64::new(0);
    move |_: &Request, reply: Reply| {
        if count.fetch_add(1, Ordering::Relaxed) < times {
            meddle(reply)
        } else {
            reply
        }
    }
}

fn cut(bytes: usize) -> impl Fn(Reply) -> Reply {
    move |mut reply| {
        reply.sent = Some(bytes.min(reply.body.len()));
        reply
    }
}

#[test]
fn a_model_is_downloaded_in_the_layout_of_huggingface_hub() {
    let setup = Setup::plain();
    let folder = setup.fetch("org/name").unwrap();
    assert_eq!(folder, setup.repo().join("snapshots").join(FIRST));
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(
        fs::read_to_string(folder.join("config.json")).unwrap(),
        r#"{"model_type": "llama"}"#
    );
    assert!(!folder.join("picture.svg").exists());
    assert_eq!(
        fs::read_to_string(setup.repo().join("refs/main")).unwrap(),
        FIRST
    );
    let mut etags: Vec<_> = commits()[0]
        .files
        .iter()
        .map(|file| file.etag.clone())
        .collect();
    etags.remove(2);
    etags.sort();
    assert_eq!(setup.names("blobs"), etags);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(folder.join("model.safetensors")).unwrap(),
        Path::new("../../blobs").join(large_file().etag)
    );
    let asked = setup.server.requests().len();
    assert_eq!(setup.fetch("org/name").unwrap(), folder);
    assert_eq!(
        setup.server.requests().len() - asked,
        1,
        "only the list is asked for again"
    );
}

#[test]
fn a_model_that_cannot_be_loaded_is_refused_before_its_weights_are_asked_for() {
    let refusal = |config: &'static str| {
        let setup = Setup::with(
            move |request, mut reply| {
                if request.path.ends_with("/config.json") {
                    reply.body = config.into();
                }
                reply
            },
            |_, reply| reply,
        );
        let error = setup.fetch("org/name").unwrap_err();
        let asked = setup.server.requests().len();
        assert_eq!(asked, 2, "the list and the configuration are enough");
        assert!(setup.store.requests().is_empty());
        assert!(!setup.repo().exists(), "a refused model leaves no trace");
        error
    };
    let error = refusal(r#"{"model_type": "abacus"}"#);
    let Error::UnsupportedArchitecture {
        path,
        found,
        supported,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(found, "abacus");
    assert!(supported.contains(&"llama"));
    assert!(
        path.ends_with("org/name/resolve/1111111111111111111111111111111111111111/config.json")
    );
    let error = refusal("[]");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    let error = refusal(
        r#"{"model_type": "llama", "quantization": {"group_size": 64, "bits": 4, "mode": "no"}}"#,
    );
    assert!(error.to_string().contains("mode"), "{error}");
}

#[test]
fn a_model_without_a_configuration_is_refused() {
    let setup = Setup::with(
        |_, mut reply| {
            let text = String::from_utf8(reply.body).unwrap();
            reply.body = text.replace("config.json", "other.json").into();
            reply
        },
        |_, reply| reply,
    );
    let error = setup.fetch("org/name").unwrap_err();
    assert_eq!(error.to_string(), "org/name has no config.json");
    assert_eq!(setup.server.requests().len(), 1);
}

#[test]
fn large_files_are_described_by_the_hub_and_not_by_their_store() {
    let setup = Setup::plain();
    setup.fetch("org/name").unwrap();
    assert_eq!(setup.server.asked("HEAD", "model.safetensors").len(), 1);
    assert!(setup.store.asked("HEAD", "").is_empty());
    assert_eq!(setup.store.asked("GET", "/store/").len(), 1);
}

#[test]
fn a_connection_that_is_cut_goes_on_where_it_stopped() {
    let setup = Setup::with(|_, reply| reply, at_first(2, cut(1_000_000)));
    let watcher = Watcher::default();
    let folder = setup.hub().fetch(&model("org/name"), &watcher).unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    let starts: Vec<_> = setup
        .store
        .requests()
        .iter()
        .map(Request::range_start)
        .collect();
    assert_eq!(starts, [None, Some(1_000_000), Some(2_000_000)]);
    let notices = watcher.notices.into_inner().unwrap();
    assert!(notices[0].contains("trying again"), "{notices:?}");
}

#[test]
fn an_interrupted_download_leaves_what_came_and_the_next_one_uses_it() {
    let setup = Setup::plain();
    let watcher = Watcher {
        cancel_at: Some(100_000),
        ..Watcher::default()
    };
    let error = hub_error(setup.hub().fetch(&model("org/name"), &watcher).unwrap_err());
    assert!(matches!(error, HubError::Interrupted { .. }), "{error}");
    let blob = setup.blob(&large_file());
    assert!(!blob.exists(), "half a file has the name of a whole one");
    assert!(setup.names("snapshots").is_empty());
    let partial = blob.with_extension("incomplete");
    let came = fs::metadata(&partial).unwrap().len();
    assert!((100_000..3_000_000).contains(&came), "{came}");
    assert_eq!(fs::read(&partial).unwrap(), weights()[..came as usize]);

    let watcher = Watcher::default();
    let folder = setup.hub().fetch(&model("org/name"), &watcher).unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert!(!partial.exists());
    assert_eq!(*watcher.first_position.lock().unwrap(), Some(came));
    let planned = watcher.planned.into_inner().unwrap();
    assert_eq!(planned.last().unwrap().present, came);
    let last = setup.store.requests().pop().unwrap();
    assert_eq!(last.range_start(), Some(came as usize));
}

#[test]
fn a_server_that_does_not_resume_sends_the_file_again() {
    let whole = |_: &Request, reply: Reply| {
        if reply.status != 206 {
            return reply;
        }
        Reply {
            body: weights(),
            ..Reply::new(200)
        }
    };
    let first = at_first(1, cut(500_000));
    let setup = Setup::with(
        |_, reply| reply,
        move |request, reply| whole(request, first(request, reply)),
    );
    let folder = setup.fetch("org/name").unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(setup.store.requests().len(), 2);
}

#[test]
fn a_partial_file_with_other_bytes_is_found_out_by_its_hash() {
    let setup = Setup::plain();
    let blob = setup.blob(&large_file());
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::write(blob.with_extension("incomplete"), [0; 1000]).unwrap();
    let watcher = Watcher::default();
    let folder = setup.hub().fetch(&model("org/name"), &watcher).unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    let notices = watcher.notices.into_inner().unwrap();
    assert!(notices[0].contains("damaged"), "{notices:?}");
}

#[test]
fn damaged_bytes_never_get_the_name_of_the_file() {
    let setup = Setup::with(
        |_, reply| reply,
        |_, mut reply| {
            reply.body.fill(0);
            reply
        },
    );
    let error = setup.failure("org/name");
    assert!(matches!(error, HubError::Damaged { .. }), "{error}");
    assert!(!setup.blob(&large_file()).exists());
    assert!(setup.names("snapshots").is_empty());
}

#[test]
fn a_body_that_stays_too_short_or_too_long_is_an_error() {
    let setup = Setup::with(|_, reply| reply, |_, reply| cut(0)(reply));
    let error = setup.failure("org/name");
    let expected = HubError::Size {
        file: "model.safetensors".into(),
        expected: 3_000_000,
        found: 0,
    };
    assert_eq!(error.to_string(), expected.to_string());
    assert_eq!(
        setup.store.requests().len(),
        5,
        "it gives up after five tries"
    );

    let setup = Setup::with(
        |_, reply| reply,
        |_, mut reply| {
            reply.body.push(0);
            reply
        },
    );
    let error = setup.failure("org/name");
    assert!(matches!(error, HubError::Size { .. }), "{error}");
    assert!(!setup.blob(&large_file()).exists());
}

#[test]
fn revisions_are_branches_tags_and_commits() {
    let setup = Setup::plain();
    for (name, commit) in [
        ("org/name@v2", SECOND),
        ("org/name@refs/pr/1", SECOND),
        ("org/name@main", FIRST),
    ] {
        let folder = setup.fetch(name).unwrap();
        assert!(folder.ends_with(commit), "{name}");
    }
    let refs = setup.repo().join("refs");
    assert_eq!(fs::read_to_string(refs.join("refs/pr/1")).unwrap(), SECOND);
    let asked = setup.server.requests().len();
    let folder = setup.fetch(&format!("org/name@{SECOND}")).unwrap();
    assert_eq!(
        fs::read_to_string(folder.join("config.json")).unwrap(),
        r#"{"model_type": "qwen2"}"#
    );
    assert_eq!(
        setup.server.requests().len(),
        asked,
        "a commit that is here needs no network"
    );
    let error = setup.failure("org/name@v3");
    assert_eq!(error.to_string(), "org/name has no revision `v3`");
}

#[test]
fn the_token_is_shown_to_the_hub_alone() {
    let setup = Setup::plain();
    let hub = setup.hub().token(Some("hf_secret".to_owned()));
    hub.fetch(&model("org/name"), &()).unwrap();
    let (asked, stored) = (setup.server.requests(), setup.store.requests());
    assert!(!stored.is_empty());
    assert!(
        asked
            .iter()
            .all(|one| one.header("authorization") == Some("Bearer hf_secret"))
    );
    assert!(
        stored
            .iter()
            .all(|one| one.header("authorization").is_none())
    );
}

#[test]
fn a_redirect_back_to_the_hub_does_not_get_the_token_again() {
    // The hub leads away, and where it leads to leads back.
    let back = Arc::new(Mutex::new(String::new()));
    let target = back.clone();
    let away = Server::start(move |_| {
        Reply::new(302).header("Location", format!("{}/back", target.lock().unwrap()))
    });
    let away_url = away.url();
    let server = Server::start(move |request| match request.path.as_str() {
        "/back" => Reply::new(404),
        _ => Reply::new(302).header("Location", &away_url),
    });
    *back.lock().unwrap() = server.url();
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(cache.path())
        .endpoint(server.url())
        .token(Some("hf_secret".to_owned()));
    hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
    let requests = server.requests();
    assert_eq!(
        requests[0].header("authorization"),
        Some("Bearer hf_secret")
    );
    assert_eq!(requests[1].path, "/back");
    assert_eq!(requests[1].header("authorization"), None);
}

#[test]
fn a_model_that_moved_is_found_under_its_new_name() {
    let setup = Setup::with(
        |request, reply| match request.path.strip_prefix("/api/models/old/home") {
            Some(rest) => Reply::new(307).header("Location", format!("/api/models/org/name{rest}")),
            None => match request.path.strip_prefix("/old/home/") {
                Some(rest) => Reply::new(307).header("Location", format!("/org/name/{rest}")),
                None => reply,
            },
        },
        |_, reply| reply,
    );
    let folder = setup.fetch("old/home").unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
}

#[test]
fn redirects_end() {
    let server = Server::start(|_| Reply::new(302).header("Location", "/again"));
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(cache.path()).endpoint(server.url());
    let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
    assert!(error.to_string().contains("redirects too often"), "{error}");
}

#[test]
fn without_a_network_the_cache_is_used() {
    let Setup {
        server,
        store,
        cache,
    } = Setup::plain();
    let mut hub = Hub::new(cache.path()).endpoint(server.url());
    hub.options.pause = Duration::from_millis(1);
    let name = model("org/name");
    let error = hub_error(hub.clone().offline(true).fetch(&name, &()).unwrap_err());
    assert!(
        matches!(error, HubError::Offline { partly: false, .. }),
        "{error}"
    );
    let folder = hub.fetch(&name, &()).unwrap();
    let asked = server.requests().len();
    assert_eq!(hub.clone().offline(true).fetch(&name, &()).unwrap(), folder);
    assert_eq!(server.requests().len(), asked);

    drop((server, store));
    let watcher = Watcher::default();
    assert_eq!(hub.fetch(&name, &watcher).unwrap(), folder);
    let notices = watcher.notices.into_inner().unwrap();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("taking org/name from the cache"));
    let error = hub_error(hub.fetch(&model("org/other"), &()).unwrap_err());
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    // A snapshot that lost its weights is no model.
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    let error = hub_error(hub.offline(true).fetch(&name, &()).unwrap_err());
    assert!(
        matches!(error, HubError::Offline { partly: true, .. }),
        "{error}"
    );
}

#[test]
fn refusals_say_what_to_do() {
    for (status, code, token, help) in [
        (401, "RepoNotFound", None, "set HF_TOKEN"),
        (401, "", Some("hf_x"), "HF_TOKEN is valid"),
        (401, "GatedRepo", None, "accept the model's terms"),
        (403, "", Some("hf_x"), "accept the model's terms"),
        (404, "RepoNotFound", Some("hf_x"), "check the name"),
        (404, "RevisionNotFound", None, "after the @"),
        (418, "", None, "try again later"),
    ] {
        let server = Server::start(move |_| Reply::new(status).header("X-Error-Code", code));
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(cache.path())
            .endpoint(server.url())
            .token(token.map(str::to_owned));
        let error = hub.fetch(&model("org/name"), &()).unwrap_err();
        let told = hub_error(error).help().unwrap();
        assert!(told.contains(help), "{status} {code}: {told}");
        assert_eq!(server.requests().len(), 1, "{status} is not asked again");
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = at_first(2, |_| Reply::new(503));
    let setup = Setup::with(busy, at_first(2, |_| Reply::new(500)));
    let folder = setup.fetch("org/name").unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(setup.server.asked("GET", "/api/").len(), 3);

    let setup = Setup::with(|_, _| Reply::new(503), |_, reply| reply);
    let error = setup.failure("org/name");
    assert!(
        matches!(error, HubError::Status { status: 503, .. }),
        "{error}"
    );
    assert_eq!(setup.server.requests().len(), 5);
}

#[test]
fn a_server_that_wants_an_hour_is_not_waited_for() {
    let setup = Setup::with(
        |_, _| Reply::new(429).header("Retry-After", 3600),
        |_, reply| reply,
    );
    let error = setup.failure("org/name");
    assert_eq!(error.help().unwrap(), "try again in 3600 seconds");
    assert_eq!(setup.server.requests().len(), 1);
}

#[test]
fn a_silent_server_times_out() {
    let setup = Setup::with(
        |_, reply| Reply {
            silent: true,
            ..reply
        },
        |_, reply| reply,
    );
    let mut hub = setup.hub();
    hub.options.timeout = Duration::from_millis(100);
    let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
    assert!(matches!(error, HubError::Timeout { .. }), "{error}");

    let setup = Setup::with(
        |_, reply| reply,
        |_, reply| Reply {
            silent: true,
            ..reply
        },
    );
    let mut hub = setup.hub();
    hub.options.timeout = Duration::from_millis(500);
    let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
    assert!(matches!(error, HubError::Timeout { .. }), "{error}");
}

#[test]
fn hostile_answers_write_nothing() {
    let list = |sha: &str, name: &str| {
        serde_json::json!({"sha": sha, "siblings": [
            {"rfilename": "model.safetensors", "size": 3}, {"rfilename": name, "size": 3},
        ]})
        .to_string()
    };
    for (sha, name, etag) in [
        (FIRST, "../../../evil.json", "abc"),
        (FIRST, "/tmp/evil.json", "abc"),
        ("../../evil", "config.json", "abc"),
        (FIRST, "config.json", "../../evil"),
    ] {
        let text = list(sha, name);
        let server = Server::start(move |request| {
            if request.path.starts_with("/api/") {
                return Reply {
                    body: text.clone().into_bytes(),
                    ..Reply::new(200)
                };
            }
            Reply {
                body: br#"{"model_type": "llama"}"#.to_vec(),
                ..Reply::new(200).header("ETag", etag)
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new(folder.path().join("cache")).endpoint(server.url());
        let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
        assert!(
            matches!(error, HubError::UnsafeName { .. } | HubError::Answer { .. }),
            "{error}"
        );
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }
}

#[test]
fn two_threads_that_want_the_same_model_download_it_once() {
    let setup = Setup::plain();
    let folders: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| setup.fetch("org/name").unwrap()))
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(folders.iter().all(|folder| *folder == folders[0]));
    assert_eq!(
        fs::read(folders[0].join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(setup.store.asked("GET", "/store/").len(), 1);
    assert_eq!(setup.names("blobs").len(), 3, "nothing is left over");
    assert_eq!(setup.names(&format!("snapshots/{FIRST}")).len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_how_much_is_missing() {
    let setup = Setup::plain();
    let blob = setup.blob(&large_file());
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", blob.with_extension("incomplete")).unwrap();
    let error = setup.failure("org/name");
    assert!(
        matches!(
            error,
            HubError::DiskFull {
                needed: 3_000_000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_a_typed_error() {
    let setup = Setup::plain();
    fs::write(setup.repo(), "a file in the way").unwrap();
    let error = setup.failure("org/name");
    assert!(matches!(error, HubError::Write { .. }), "{error}");
}

#[test]
fn the_environment_is_read_as_huggingface_hub_reads_it() {
    let read = |pairs: &[(&str, &str)]| {
        Hub::from_variables(
            &|name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| OsString::from(value))
            },
            Some(PathBuf::from("/home/me")),
        )
    };
    let hub = read(&[]).unwrap();
    assert_eq!(hub.cache(), Path::new("/home/me/.cache/huggingface/hub"));
    assert_eq!(hub.options.endpoint, "https://huggingface.co");
    assert!(!hub.offline && hub.options.token.is_none());
    let cache = |pairs| read(pairs).unwrap().cache;
    assert_eq!(
        cache(&[("XDG_CACHE_HOME", "/x")]),
        Path::new("/x/huggingface/hub")
    );
    assert_eq!(cache(&[("HF_HOME", "~/hf")]), Path::new("/home/me/hf/hub"));
    assert_eq!(
        cache(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]),
        Path::new("/c")
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "hf_file\n").unwrap();
    let home = ("HF_HOME", folder.path().to_str().unwrap());
    let token = |pairs: &[(&str, &str)]| read(pairs).unwrap().options.token;
    assert_eq!(token(&[home]).as_deref(), Some("hf_file"));
    assert_eq!(
        token(&[home, ("HF_TOKEN", " hf_env ")]).as_deref(),
        Some("hf_env")
    );
    for (value, offline) in [("1", true), ("TRUE", true), ("0", false), ("", false)] {
        assert_eq!(read(&[("HF_HUB_OFFLINE", value)]).unwrap().offline, offline);
    }
    let hub = read(&[
        ("HF_ENDPOINT", "http://mirror"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "7"),
    ])
    .unwrap();
    assert_eq!(hub.options.endpoint, "http://mirror");
    assert_eq!(hub.options.timeout, Duration::from_secs(7));
    assert!(read(&[("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]).is_err());
    assert!(read(&[("HF_TOKEN", "a\nb")]).is_err());
    let nowhere = Hub::from_variables(&|_| None, None);
    assert!(matches!(nowhere, Err(HubError::NoHome)));
}

#[test]
fn an_endpoint_that_is_no_address_is_a_typed_error() {
    let cache = tempfile::tempdir().unwrap();
    for endpoint in ["", "hub.example", "ftp://hub.example", "http://"] {
        let hub = Hub::new(cache.path()).endpoint(endpoint);
        let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
        assert!(
            matches!(error, HubError::Setting { .. }),
            "{endpoint}: {error}"
        );
    }
}

#[test]
fn a_list_of_another_commit_is_refused() {
    let text = serde_json::json!({"sha": SECOND, "siblings": [{"rfilename": "model.safetensors"}]});
    let server = Server::start(move |_| Reply {
        body: text.to_string().into_bytes(),
        ..Reply::new(200)
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(cache.path()).endpoint(server.url());
    let name = model(&format!("org/name@{FIRST}"));
    let error = hub_error(hub.fetch(&name, &()).unwrap_err());
    assert!(error.to_string().contains(SECOND), "{error}");
}

#[test]
fn a_file_without_certificates_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let mut hub = Hub::new(folder.path());
    hub.roots = Some(path.clone());
    let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
    assert!(matches!(error, HubError::Read { .. }), "{error}");
    fs::write(&path, "no certificate").unwrap();
    let error = hub_error(hub.fetch(&model("org/name"), &()).unwrap_err());
    assert!(
        error.to_string().contains("holds no certificates"),
        "{error}"
    );
}

#[test]
fn a_server_that_speaks_no_tls_is_not_asked_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"HTTP/1.1 400 No\r\n\r\n").unwrap();
            // Reads on, so that the answer is not lost with the connection.
            stream.read_to_end(&mut Vec::new()).ok();
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(cache.path()).endpoint(url);
    let watcher = Watcher::default();
    let error = hub_error(hub.fetch(&model("org/name"), &watcher).unwrap_err());
    assert!(matches!(error, HubError::Insecure { .. }), "{error}");
    assert!(watcher.notices.into_inner().unwrap().is_empty());
}
