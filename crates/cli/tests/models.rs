//! Owns the tests of models by name: the process downloads from a hub on this machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/olivine-tiny-stories")
}

/// Serves the shipped model as `org/name`; `slow` sends the weights in small pieces.
fn hub(slow: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(&stream.unwrap(), slow));
        }
    });
    url
}

fn answer(mut stream: &TcpStream, slow: bool) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let start: usize = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let line = line.to_ascii_lowercase();
            let range = line.strip_prefix("range: bytes=")?;
            range.strip_suffix('-')?.parse().ok()
        })
        .last()
        .unwrap_or(0);
    let path = first.split(' ').nth(1).unwrap();
    let (status, body, etag) = if path.starts_with("/api/models/org/name/revision/main") {
        let siblings: Vec<_> = fs::read_dir(shipped())
            .unwrap()
            .map(|entry| serde_json::json!({"rfilename": entry.unwrap().file_name().to_str()}))
            .collect();
        let list = serde_json::json!({"sha": COMMIT, "siblings": siblings});
        (200, list.to_string().into_bytes(), "list".to_owned())
    } else if let Some(name) = path.strip_prefix(&format!("/org/name/resolve/{COMMIT}/")) {
        let bytes = fs::read(shipped().join(name)).unwrap();
        let status = if start > 0 { 206 } else { 200 };
        (status, bytes, name.to_owned())
    } else {
        (404, Vec::new(), "none".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status} Test\r\nConnection: close\r\nETag: \"{etag}\"\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\n\r\n",
        body.len() - start,
        body.len().saturating_sub(1),
        body.len(),
    );
    // A client that was interrupted is gone.
    stream.write_all(head.as_bytes()).ok();
    if !first.starts_with("HEAD") {
        for piece in body[start..].chunks(if slow { 20_000 } else { 1 << 20 }) {
            if stream.write_all(piece).is_err() {
                return;
            }
            if slow {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn olivine(cache: &Path, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olivine"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .current_dir(cache)
        .env("HF_HUB_CACHE", cache)
        .env("HF_HOME", cache)
        .env("HF_ENDPOINT", endpoint)
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .env_remove("ALL_PROXY");
    command
}

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

const GENERATE: [&str; 6] = [
    "generate",
    "--model",
    "org/name",
    "--json",
    "--max-tokens",
    "3",
];

#[test]
fn a_model_by_name_is_downloaded_listed_shown_and_removed() {
    let cache = tempfile::tempdir().unwrap();
    let url = hub(false);
    let run = |arguments: &[&str]| olivine(cache.path(), &url, arguments).output().unwrap();

    let (story, log) = texts(&run(&GENERATE));
    let story: serde_json::Value = serde_json::from_str(&story).unwrap();
    assert!(story["text"].is_string());
    assert!(log.starts_with("downloading org/name: "), "{log}");
    assert!(log.contains("model.safetensors: 5.78 MB"), "{log}");

    // The second time nothing is downloaded, and without a network nothing is missed.
    let (_, log) = texts(&run(&GENERATE));
    assert_eq!(log, "");
    let offline = olivine(cache.path(), "http://127.0.0.1:1", &GENERATE)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert!(offline.status.success());

    let (list, _) = texts(&run(&["models", "list"]));
    assert!(list.contains("org/name  main (0123456)"), "{list}");
    let (shown, _) = texts(&run(&["models", "show", "org/name"]));
    for part in ["model type    llama", "million (", "model.safetensors"] {
        assert!(shown.contains(part), "{shown}");
    }
    let unasked = run(&["models", "rm", "org/name"]);
    assert_eq!(unasked.status.code(), Some(1));
    assert!(texts(&unasked).1.contains("help: pass --yes"));
    let (removed, _) = texts(&run(&["models", "rm", "org/name", "--yes"]));
    assert!(removed.starts_with("removed org/name, 5."), "{removed}");
    let (list, log) = texts(&run(&["models", "list"]));
    assert!(
        list.is_empty() && log.contains("no models in"),
        "{list}{log}"
    );
}

#[test]
fn an_existing_folder_wins_over_the_hub() {
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir_all(cache.path().join("org/name")).unwrap();
    let output = olivine(cache.path(), &hub(false), &GENERATE)
        .output()
        .unwrap();
    assert!(texts(&output).1.contains("org/name has no config.json"));
}

#[test]
fn models_that_are_not_there_end_in_one_clear_line() {
    let cache = tempfile::tempdir().unwrap();
    let url = hub(false);
    for (name, message, help) in [
        (
            "org/other",
            "the hub has no model org/other",
            "check the name",
        ),
        (
            "no-such-folder",
            "no-such-folder is not a model folder",
            "org/name",
        ),
        ("a/b/c", "a/b/c is not a model folder", "org/name"),
    ] {
        let output = olivine(cache.path(), &url, &["generate", "--model", name])
            .output()
            .unwrap();
        let (text, log) = texts(&output);
        assert_eq!((output.status.code(), text.as_str()), (Some(1), ""));
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(lines[0].starts_with(&format!("error: {message}")), "{log}");
        assert!(
            lines[1].starts_with("help: ") && lines[1].contains(help),
            "{log}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_came_for_the_next_time() {
    let cache = tempfile::tempdir().unwrap();
    let url = hub(true);
    let blobs = cache.path().join("models--org--name/blobs");
    let child = olivine(cache.path(), &url, &GENERATE)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let partial = blobs.join("model.safetensors.incomplete");
    while fs::metadata(&partial).map_or(0, |data| data.len()) < 500_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let (_, log) = texts(&output);
    assert_eq!(output.status.code(), Some(130), "{log}");
    assert!(
        log.contains("download of org/name was interrupted"),
        "{log}"
    );
    assert!(!blobs.join("model.safetensors").exists());
    let came = fs::metadata(&partial).unwrap().len();
    assert!(came < 5_775_872);

    let output = olivine(cache.path(), &url, &GENERATE).output().unwrap();
    let (_, log) = texts(&output);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("of it here already"), "{log}");
    assert_eq!(
        fs::read(blobs.join("model.safetensors")).unwrap(),
        fs::read(shipped().join("model.safetensors")).unwrap()
    );
}
