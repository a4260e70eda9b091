//! Owns the tests of `olivine models` on a cache of its own.

use std::fs;
use std::io::Empty;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cache with one model of one file each of configuration and card.
fn cache() -> (tempfile::TempDir, Hub) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("models--org--name");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    fs::write(
        snapshot.join("config.json"),
        r#"{"model_type": "llama", "quantization": {"bits": 4, "group_size": 64}}"#,
    )
    .unwrap();
    fs::write(snapshot.join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    let hub = Hub::new(folder.path());
    (folder, hub)
}

fn name(text: &str) -> HubModel {
    text.parse().unwrap()
}

fn text(run: impl FnOnce(&mut Vec<u8>) -> Result<Exit, CliError>) -> String {
    let mut out = Vec::new();
    assert_eq!(run(&mut out).unwrap(), Exit::Success);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_list_is_a_table_with_a_total() {
    let (_folder, hub) = cache();
    let later = SystemTime::now() + Duration::from_hours(72);
    let text = text(|out| list(&hub, false, later, out));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("NAME      REVISION"), "{text}");
    for part in [
        "org/name",
        "main (0123456) in part",
        "llama",
        "4-bit, groups of 64",
        "3 days ago",
    ] {
        assert!(lines[1].contains(part), "{text}");
    }
    assert!(lines[3].starts_with("91 B in "), "{text}");
}

#[test]
fn the_list_as_json_has_the_same_facts() {
    let (_folder, hub) = cache();
    let text = text(|out| list(&hub, true, SystemTime::now(), out));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value[0]["name"], "org/name");
    assert_eq!(value[0]["size_on_disk"], 91);
    let revision = &value[0]["revisions"][0];
    assert_eq!(revision["commit"], COMMIT);
    assert_eq!(revision["model_type"], "llama");
    assert!(revision["last_used"].is_u64());
}

#[test]
fn an_empty_cache_lists_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::new(folder.path().join("absent"));
    assert_eq!(text(|out| list(&hub, false, SystemTime::now(), out)), "");
    assert_eq!(text(|out| list(&hub, true, SystemTime::now(), out)), "[]\n");
}

#[test]
fn a_model_is_shown_with_its_files() {
    let (_folder, hub) = cache();
    let shown = text(|out| show(&hub, &name("org/name"), false, out));
    for part in [
        "licence       mit",
        "model type    llama",
        "  config.json  70 B",
        COMMIT,
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = text(|out| show(&hub, &name("org/name@0123"), true, out));
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["licence"], "mit");
    assert_eq!(value["files"][1]["size"], 70);
    let error = show(&hub, &name("org/name@v9"), false, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("no revision `v9`"));
    let error = show(&hub, &name("org/other"), false, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("not among the downloaded"));
}

#[test]
fn removing_asks_and_takes_only_yes() {
    let (folder, hub) = cache();
    let model = folder.path().join("models--org--name");
    let answer = |answer: &str| {
        let answer = answer.as_bytes().to_vec();
        text(|out| remove(&hub, &name("org/name"), false, Some(answer.as_slice()), out))
    };
    for no in ["\n", "n\n", "", "maybe\n"] {
        assert_eq!(answer(no), "");
        assert!(model.exists());
    }
    let nobody = remove(
        &hub,
        &name("org/name"),
        false,
        None::<Empty>.map(std::io::BufReader::new),
        &mut Vec::new(),
    );
    assert!(matches!(nobody, Err(CliError::NeedsYes(_))));
    assert!(model.exists());
    assert_eq!(answer("Y\n"), "removed org/name, 91 B freed\n");
    assert!(!model.exists());
}

#[test]
fn times_are_told_in_the_largest_unit() {
    let now = SystemTime::now();
    for (seconds, expected) in [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86_400 * 45, "1 month ago"),
        (86_400 * 800, "2 years ago"),
    ] {
        assert_eq!(ago(now - Duration::from_secs(seconds), now), expected);
    }
    assert_eq!(ago(now + Duration::from_secs(9), now), "just now");
}

#[test]
fn parameters_are_told_short_and_exactly() {
    assert_eq!(parameters(999), "999");
    assert_eq!(parameters(2_887_424), "2.9 million (2887424)");
    assert_eq!(parameters(1_235_814_400), "1.24 billion (1235814400)");
}
