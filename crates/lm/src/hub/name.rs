//! Owns names of models on the hub: nothing that is no name reaches an address or a path.

use std::fmt;
use std::str::FromStr;

use super::error::HubError;
use crate::error::Error;

/// The longest part of a name that the hub gives out.
const LONGEST_PART: usize = 96;

/// The name of a model on the hub, `org/name` or `org/name@revision`.
///
/// ```
/// use olivine_lm::HubModel;
/// let model: HubModel = "mlx-community/SmolLM-135M-Instruct-4bit@main".parse()?;
/// assert_eq!(model.id(), "mlx-community/SmolLM-135M-Instruct-4bit");
/// assert_eq!(model.revision(), Some("main"));
/// assert!("no-organisation".parse::<HubModel>().is_err());
/// # Ok::<(), olivine_lm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubModel {
    id: String,
    revision: Option<String>,
}

impl HubModel {
    /// The organisation and the name, as in the address of the model's page.
    ///
    /// ```
    /// let model: olivine_lm::HubModel = "org/name@v1".parse()?;
    /// assert_eq!(model.id(), "org/name");
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit asked for, if any; the hub's default is `main`.
    ///
    /// ```
    /// let model: olivine_lm::HubModel = "org/name".parse()?;
    /// assert_eq!(model.revision(), None);
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The branch, tag or commit to take.
    pub(super) fn wanted_revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// The revision, if it is a whole commit, whose files never change.
    pub(super) fn commit(&self) -> Option<&str> {
        self.revision().filter(|revision| is_commit(revision))
    }

    /// The name of the model's folder in the cache.
    pub(super) fn folder_name(&self) -> String {
        format!("models--{}", self.id.replace('/', "--"))
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        match &self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

impl FromStr for HubModel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (id, revision) = match text.split_once('@') {
            Some((id, revision)) => (id, Some(revision)),
            None => (text, None),
        };
        let refused = |problem| {
            Err(HubError::Name {
                text: text.to_owned(),
                problem,
            }
            .into())
        };
        let Some((organisation, name)) = id.split_once('/') else {
            return refused("there is no `/` between organisation and name");
        };
        if let Err(problem) = check_part(organisation).and_then(|()| check_part(name)) {
            return refused(problem);
        }
        if revision.is_some_and(|revision| !is_plain_path(revision)) {
            return refused("the revision after the @ is no branch, tag or commit");
        }
        Ok(Self {
            id: id.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }
}

/// Checks one side of the slash.
fn check_part(part: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if part.is_empty() {
        Err("organisation and name must not be empty")
    } else if part.contains('/') {
        Err("there is more than one `/`")
    } else if !part.chars().all(plain) {
        Err("only letters, digits, `-`, `_` and `.` are allowed")
    } else if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
        Err("`-` and `.` may not stand at an end")
    } else if part.contains("--") || part.contains("..") {
        Err("`--` and `..` are not allowed")
    } else if part.len() > LONGEST_PART {
        Err("it is too long")
    } else {
        Ok(())
    }
}

/// Whether a text is a whole commit.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text is a relative path of plain parts, on every operating system.
pub(super) fn is_plain_path(text: &str) -> bool {
    text.len() <= 1024
        && text
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
        && !text.contains(|c: char| c.is_control() || matches!(c, '\\' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_written() {
        for text in [
            "org/name",
            "mlx-community/Llama-3.2-1B_4bit@main",
            "a/b@refs/pr/1",
        ] {
            let model: HubModel = text.parse().unwrap();
            assert_eq!(model.to_string(), text);
        }
        let model: HubModel = "org/name".parse().unwrap();
        assert_eq!(model.folder_name(), "models--org--name");
        assert_eq!(model.wanted_revision(), "main");
    }

    #[test]
    fn what_could_leave_the_cache_is_no_name() {
        for text in [
            "",
            "name",
            "/name",
            "org/",
            "a/b/c",
            "../name",
            "org/..",
            "~/models",
            "./x",
            "org/na me",
            "org/na\\me",
            "C:/x",
            "org/a--b",
            "org/name@",
            "org/name@../../x",
            "org/name@/etc",
            "org/name@a\nb",
            "-x/y",
        ] {
            assert!(text.parse::<HubModel>().is_err(), "{text:?}");
        }
        assert!(
            format!("org/{}", "x".repeat(97))
                .parse::<HubModel>()
                .is_err()
        );
    }

    #[test]
    fn only_whole_commits_never_change() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let model: HubModel = format!("org/name@{commit}").parse().unwrap();
        assert_eq!(model.commit(), Some(commit));
        let model: HubModel = "org/name@0123456".parse().unwrap();
        assert_eq!(model.commit(), None);
    }
}
