//! Owns a small hub for tests: an HTTP server on this machine that answers as the real one does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::crypto::Sha256;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers = lines
            .map_while(|line| line.ok().filter(|line| !line.is_empty()))
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect();
        Some(Self {
            method,
            path,
            headers,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The position that a `Range` starts from.
    pub(super) fn range_start(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

/// An answer; `sent` is how much of the body really comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) sent: Option<usize>,
    /// Waits for ever before the body.
    pub(super) silent: bool,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    fn body(mut self, bytes: &[u8]) -> Self {
        self.body = bytes.to_vec();
        self
    }

    fn write(&self, request: &Request, mut stream: &TcpStream, ended: &AtomicBool) {
        let fields: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let head = format!(
            "HTTP/1.1 {} Test\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n",
            self.status,
            fields.concat(),
            self.body.len()
        );
        // Clients that have left are what some tests are about.
        stream.write_all(head.as_bytes()).ok();
        while self.silent && !ended.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if request.method != "HEAD" {
            let sent = self.sent.unwrap_or(self.body.len());
            stream.write_all(&self.body[..sent]).ok();
        }
    }
}

/// A server that runs until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            log: Arc::default(),
            ended: Arc::default(),
        };
        let (log, ended) = (server.log.clone(), server.ended.clone());
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (log, ended, answer) = (log.clone(), ended.clone(), answer.clone());
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    if let Some(request) = Request::read(&stream) {
                        log.lock().unwrap().push(request.clone());
                        answer(&request).write(&request, &stream, &ended);
                    }
                });
            }
        });
        server
    }

    /// Its address, by number.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// The requests of a method for paths that contain a text.
    pub(super) fn asked(&self, method: &str, text: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|one| one.method == method && one.path.contains(text));
        requests
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections, and so closes the port.
        TcpStream::connect(self.address).ok();
    }
}

/// A file of a model; large ones lie on another server.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) etag: String,
    pub(super) is_large: bool,
}

impl File {
    pub(super) fn small(name: &str, text: &str) -> Self {
        // Any forty digits that depend on the contents do for Git's hash.
        let sum = text.bytes().fold(7u64, |sum, byte| {
            sum.wrapping_mul(1_099_511_628_211) ^ u64::from(byte)
        });
        Self {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
            etag: format!("{sum:040x}"),
            is_large: false,
        }
    }

    pub(super) fn large(name: &str, bytes: Vec<u8>) -> Self {
        let mut hash = Sha256::new().expect("tests run where downloads work");
        hash.update(&bytes);
        Self {
            name: name.to_owned(),
            etag: hash.finish(),
            bytes,
            is_large: true,
        }
    }

    /// Answers a request for its bytes.
    fn reply(&self, request: &Request) -> Reply {
        let reply = match request.range_start() {
            None => Reply::new(200).body(&self.bytes),
            Some(start) if start >= self.bytes.len() => Reply::new(416),
            Some(start) => Reply::new(206)
                .header(
                    "Content-Range",
                    format!(
                        "bytes {start}-{}/{}",
                        self.bytes.len() - 1,
                        self.bytes.len()
                    ),
                )
                .body(&self.bytes[start..]),
        };
        reply.header("ETag", format!("\"{}\"", self.etag))
    }
}

/// One commit of `org/name` and the branches and tags that stand for it.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) refs: Vec<String>,
    pub(super) files: Vec<File>,
}

/// Changes answers before they are sent.
type Meddle = Box<dyn Fn(&Request, Reply) -> Reply + Send + Sync>;

/// Starts a hub and the server of its large files, each with something that meddles with answers.
pub(super) fn hub(commits: Vec<Commit>, on_hub: Meddle, on_store: Meddle) -> (Server, Server) {
    let large: Vec<File> = commits
        .iter()
        .flat_map(|commit| commit.files.clone())
        .filter(|file| file.is_large)
        .collect();
    let store = Server::start(move |request| {
        let etag = request.path.trim_start_matches("/store/");
        let reply = match large.iter().find(|file| file.etag == etag) {
            Some(file) => file.reply(request),
            None => Reply::new(404),
        };
        on_store(request, reply)
    });
    // By name, so that it is another host than the hub's, which goes by number.
    let store_url = store.url().replace("127.0.0.1", "localhost");
    let hub = Server::start(move |request| on_hub(request, answer(&commits, &store_url, request)));
    (hub, store)
}

fn answer(commits: &[Commit], store: &str, request: &Request) -> Reply {
    let path = request.path.split('?').next().unwrap();
    let find = |revision: &str| {
        let revision = revision.replace("%2F", "/");
        commits
            .iter()
            .find(|commit| commit.id == revision || commit.refs.contains(&revision))
    };
    if let Some(revision) = path.strip_prefix("/api/models/org/name/revision/") {
        let Some(commit) = find(revision) else {
            return Reply::new(404).header("X-Error-Code", "RevisionNotFound");
        };
        let siblings: Vec<_> = commit
            .files
            .iter()
            .map(|file| json!({"rfilename": file.name, "size": file.bytes.len()}))
            .collect();
        let text = json!({"sha": commit.id, "siblings": siblings}).to_string();
        return Reply::new(200).body(text.as_bytes());
    }
    let Some((revision, name)) = path
        .strip_prefix("/org/name/resolve/")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Reply::new(404).header("X-Error-Code", "RepoNotFound");
    };
    let file = find(revision).and_then(|commit| commit.files.iter().find(|file| file.name == name));
    match file {
        None => Reply::new(404).header("X-Error-Code", "EntryNotFound"),
        Some(file) if file.is_large => Reply::new(302)
            .header("X-Linked-Etag", format!("\"{}\"", file.etag))
            .header("X-Linked-Size", file.bytes.len())
            .header("Location", format!("{store}/store/{}", file.etag))
            .body(b"Found. Redirecting"),
        Some(file) => file.reply(request),
    }
}
