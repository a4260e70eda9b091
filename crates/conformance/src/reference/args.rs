//! Owns reading the parameters that a sample's label spells out.

/// The parameters in a label such as `axis=(0, 2), keepdims`.
#[derive(Clone, Debug)]
pub struct Args {
    label: String,
    parts: Vec<(String, String)>,
}

impl Args {
    /// Splits a label at the commas outside brackets; a part without `=` is a name without value.
    pub fn parse(label: &str) -> Self {
        let mut depth = 0;
        let mut parts = vec![String::new()];
        for c in label.chars() {
            match c {
                '(' | '[' => depth += 1,
                ')' | ']' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            parts.last_mut().expect("starts with one").push(c);
        }
        let split = |part: &String| match part.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), value.trim().to_owned()),
            None => (part.trim().to_owned(), String::new()),
        };
        Args {
            label: label.to_owned(),
            parts: parts.iter().map(split).collect(),
        }
    }

    /// The whole label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The text after `name=`; empty for a bare name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parts
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the bare name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The number after `name=`.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok()
    }

    /// The whole number after `name=`.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// The numbers of the whole label, brackets or not: `[6, -1]`, `0, -1`.
    pub fn numbers(&self) -> Option<Vec<i64>> {
        integers(&self.label)
    }

    /// The axes after `axis=`: one, several, or all of `rank`.
    pub fn axes(&self, rank: usize) -> Option<Vec<usize>> {
        let text = self.get("axis")?;
        if text == "None" {
            return Some((0..rank).collect());
        }
        let axes = integers(text)?;
        Some(
            axes.into_iter()
                .map(|axis| if axis < 0 { axis + rank as i64 } else { axis } as usize)
                .collect(),
        )
    }
}

/// The integers of a list with or without brackets.
pub(super) fn integers(text: &str) -> Option<Vec<i64>> {
    let inner = text.trim().trim_matches(['(', ')', '[', ']']);
    let parts = inner
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}
