//! Owns the tests of looking over the cache and removing from it.

use super::*;

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// A cache with two revisions of `org/name` that share one of their files.
fn cache() -> (tempfile::TempDir, Hub) {
    let folder = tempfile::tempdir().unwrap();
    let model: HubModel = "org/name".parse().unwrap();
    let repo = Repo::new(folder.path(), &model);
    repo.prepare().unwrap();
    for (etag, size) in [
        ("config1", 10),
        ("config2", 20),
        ("weights1", 100),
        ("shared", 1000),
    ] {
        fs::write(repo.blob(etag), vec![b' '; size]).unwrap();
    }
    fs::write(repo.partial("other"), [0; 7]).unwrap();
    for (commit, name, etag) in [
        (FIRST, "config.json", "config1"),
        (FIRST, "model.safetensors", "weights1"),
        (FIRST, "tokenizer.json", "shared"),
        (SECOND, "config.json", "config2"),
        (SECOND, "tokenizer.json", "shared"),
        (SECOND, "vocab.json", "shared"),
    ] {
        repo.link(commit, name, etag).unwrap();
    }
    repo.write_ref("main", FIRST).unwrap();
    repo.write_ref("refs/pr/1", SECOND).unwrap();
    let hub = Hub::new(folder.path());
    (folder, hub)
}

fn model(name: &str) -> HubModel {
    name.parse().unwrap()
}

#[test]
fn models_are_listed_with_what_they_take() {
    let (folder, hub) = cache();
    fs::create_dir(folder.path().join("datasets--org--other")).unwrap();
    fs::create_dir(folder.path().join("models--.--..")).unwrap();
    fs::write(folder.path().join("models--a--file"), "").unwrap();
    let models = hub.models().unwrap();
    assert_eq!(models.len(), 1);
    let found = &models[0];
    assert_eq!(found.name, "org/name");
    assert_eq!((found.size_on_disk, found.unfinished), (1137, 7));
    let sizes: Vec<_> = found
        .revisions
        .iter()
        .map(|one| (one.commit.as_str(), one.size, one.complete))
        .collect();
    assert_eq!(sizes, [(FIRST, 1110, true), (SECOND, 1020, false)]);
    assert_eq!(found.revisions[1].refs, ["refs/pr/1"]);
    assert!(found.last_used().is_some());
    let names: Vec<_> = found.revisions[0]
        .files
        .iter()
        .map(|file| &file.name)
        .collect();
    assert_eq!(
        names,
        ["config.json", "model.safetensors", "tokenizer.json"]
    );
}

#[test]
fn revisions_are_found_by_branch_and_by_the_beginning_of_a_commit() {
    let (_folder, hub) = cache();
    let found = hub.find(&model("org/name")).unwrap();
    let commit = |name| found.revision(name).map(|one| one.commit.as_str());
    assert_eq!(commit(None), Some(FIRST));
    assert_eq!(commit(Some("refs/pr/1")), Some(SECOND));
    assert_eq!(commit(Some("2222")), Some(SECOND));
    assert_eq!(commit(Some("222")), None);
    assert_eq!(commit(Some("v9")), None);
}

#[test]
fn removing_a_revision_keeps_what_others_share() {
    let (folder, hub) = cache();
    let name = model("org/name@refs/pr/1");
    assert_eq!(hub.removable(&name).unwrap(), 20);
    assert_eq!(hub.remove(&name).unwrap(), 20);
    let found = hub.find(&model("org/name")).unwrap();
    assert_eq!(found.revisions.len(), 1);
    assert_eq!(found.size_on_disk, 1117);
    assert!(found.revisions[0].path.join("tokenizer.json").is_file());
    assert!(
        !folder
            .path()
            .join("models--org--name/refs/refs/pr/1")
            .exists()
    );
    // The last revision takes everything with it.
    assert_eq!(hub.remove(&model("org/name@1111")).unwrap(), 1117);
    assert!(hub.models().unwrap().is_empty());
    assert!(!folder.path().join("models--org--name").exists());
}

#[test]
fn removing_a_model_frees_all_of_it() {
    let (folder, hub) = cache();
    assert_eq!(hub.remove(&model("org/name")).unwrap(), 1137);
    assert!(!folder.path().join("models--org--name").exists());
    assert!(!folder.path().join(".locks/models--org--name").exists());
    let error = hub.remove(&model("org/name")).unwrap_err();
    assert!(error.to_string().contains("not among"), "{error}");
}

#[test]
fn removing_what_is_not_there_removes_nothing() {
    let (_folder, hub) = cache();
    let error = hub.remove(&model("org/name@v9")).unwrap_err();
    assert!(error.to_string().contains("no revision `v9`"), "{error}");
    assert_eq!(hub.find(&model("org/name")).unwrap().size_on_disk, 1137);
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_cache_are_not_followed_when_removing() {
    let (folder, hub) = cache();
    let outside = folder.path().join("precious");
    fs::write(&outside, "keep").unwrap();
    let snapshot = folder
        .path()
        .join("models--org--name/snapshots")
        .join(SECOND);
    std::os::unix::fs::symlink(&outside, snapshot.join("a.json")).unwrap();
    std::os::unix::fs::symlink("../../../precious", snapshot.join("b.json")).unwrap();
    hub.remove(&model("org/name@2222")).unwrap();
    assert_eq!(fs::read_to_string(outside).unwrap(), "keep");
}
