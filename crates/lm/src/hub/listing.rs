//! Owns the hub's list of a model's files: which of them a model needs, and which names are hostile.

use serde::Deserialize;

use super::error::HubError;
use super::name::{HubModel, is_commit, is_plain_path};

/// The files of one commit that are worth having.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<ListedFile>,
}

/// A file as listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedFile {
    pub(super) name: String,
    /// Absent where a mirror does not say.
    pub(super) size: Option<u64>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
}

impl Listing {
    /// Reads an answer of the hub's API.
    pub(super) fn parse(model: &HubModel, url: &str, text: &str) -> Result<Self, HubError> {
        let unusable = |problem: String| HubError::Answer {
            url: url.to_owned(),
            problem,
        };
        let answer: Answer =
            serde_json::from_str(text).map_err(|error| unusable(error.to_string()))?;
        if !is_commit(&answer.sha) {
            return Err(unusable(format!(
                "`{}` is not a commit",
                answer.sha.escape_debug()
            )));
        }
        // A hostile name is refused even where it would not be downloaded: the rest may be no better.
        if let Some(hostile) = answer
            .siblings
            .iter()
            .find(|file| !is_plain_path(&file.rfilename))
        {
            return Err(HubError::UnsafeName {
                model: model.id().to_owned(),
                name: hostile.rfilename.clone(),
            });
        }
        if !answer
            .siblings
            .iter()
            .any(|file| is_weights(&file.rfilename))
        {
            return Err(HubError::NoSafetensors {
                model: model.id().to_owned(),
                found: other_weights(&answer.siblings),
            });
        }
        let files = answer
            .siblings
            .into_iter()
            .filter(|file| is_needed(&file.rfilename))
            .map(|file| ListedFile {
                name: file.rfilename,
                size: file.size,
            })
            .collect();
        Ok(Self {
            commit: answer.sha,
            files,
        })
    }
}

fn is_weights(name: &str) -> bool {
    !name.contains('/') && name.starts_with("model") && name.ends_with(".safetensors")
}

/// Whether a model is read from this file; folders hold the same model in other formats.
fn is_needed(name: &str) -> bool {
    const ENDINGS: [&str; 4] = [".json", ".jinja", ".txt", ".tiktoken"];
    // The card says under which licence the weights may be used.
    const NAMES: [&str; 2] = ["tokenizer.model", "README.md"];
    !name.contains('/')
        && (is_weights(name)
            || NAMES.contains(&name)
            || ENDINGS.iter().any(|ending| name.ends_with(ending)))
}

/// The formats of weights that there are instead, each once.
fn other_weights(files: &[Sibling]) -> Vec<String> {
    const ENDINGS: [&str; 8] = [
        "safetensors",
        "bin",
        "gguf",
        "pth",
        "pt",
        "npz",
        "onnx",
        "h5",
    ];
    ENDINGS
        .iter()
        .filter(|ending| {
            files.iter().any(|file| {
                file.rfilename
                    .rsplit_once('.')
                    .is_some_and(|(_, found)| found == **ending)
            })
        })
        .map(|ending| format!("*.{ending}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn parse(names: &[&str]) -> Result<Vec<String>, HubError> {
        let siblings: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"rfilename": name}))
            .collect();
        let text = serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string();
        let listing = Listing::parse(&"org/name".parse().unwrap(), "http://hub/api", &text)?;
        assert_eq!(listing.commit, COMMIT);
        Ok(listing.files.into_iter().map(|file| file.name).collect())
    }

    #[test]
    fn only_what_a_model_needs_is_taken() {
        let needed = [
            "README.md",
            "chat_template.jinja",
            "config.json",
            "merges.txt",
            "model-00001-of-00002.safetensors",
            "model.safetensors.index.json",
            "qwen.tiktoken",
            "tokenizer.json",
            "tokenizer.model",
        ];
        let others = [
            ".gitattributes",
            "consolidated.safetensors",
            "model.gguf",
            "onnx/config.json",
            "original/params.json",
            "picture.png",
            "pytorch_model.bin",
        ];
        let all: Vec<_> = needed.iter().chain(&others).copied().collect();
        assert_eq!(parse(&all).unwrap(), needed);
    }

    #[test]
    fn hostile_names_are_refused_wherever_they_are() {
        for name in [
            "../config.json",
            "/etc/x.json",
            "a/../../x.json",
            "..\\x.json",
            "C:\\x.json",
            "a//x.json",
            ".",
            "x\n.json",
            "",
        ] {
            let error = parse(&["model.safetensors", name]).unwrap_err();
            assert!(matches!(error, HubError::UnsafeName { .. }), "{name:?}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn a_model_without_safetensors_says_what_it_has_instead() {
        let error = parse(&["config.json", "q4.gguf", "pytorch_model.bin"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "org/name has no model*.safetensors, only *.bin, *.gguf"
        );
        let error = parse(&["config.json"]).unwrap_err();
        assert_eq!(error.to_string(), "org/name has no model*.safetensors");
    }

    #[test]
    fn answers_that_are_no_lists_are_refused() {
        let model = "org/name".parse().unwrap();
        for text in [
            "<html>",
            "[]",
            r#"{"sha": 3}"#,
            r#"{"sha": "../x", "siblings": []}"#,
        ] {
            let error = Listing::parse(&model, "http://hub/api", text).unwrap_err();
            assert!(matches!(error, HubError::Answer { .. }), "{text}");
        }
    }
}
