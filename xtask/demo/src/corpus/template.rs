//! Owns the text templates: `{slot}` inserts a fact, `{Slot}` inserts it capitalised, `[a|b]`
//! chooses, `%a` becomes "a" or "an", `¶` starts a paragraph. Sentences are capitalised afterwards,
//! so facts can be inserted anywhere.

use std::collections::BTreeMap;

use super::rng::Rng;

/// The facts that a document's templates may mention.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    facts: BTreeMap<String, String>,
}

impl Scene {
    /// Records a fact, replacing an older one of that name.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.facts.insert(name.to_owned(), value.into());
    }

    /// Returns a fact; empty when nobody recorded it.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// Says whether a fact was recorded.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.facts.contains_key(name)
    }

    /// Fills the slots and takes the choices of `template`. An unknown slot stays visible as
    /// `{slot}`, where the corpus tests find it.
    pub(crate) fn fill(&self, template: &str, rng: &mut Rng) -> String {
        let mut out = String::with_capacity(template.len());
        self.fill_into(template, rng, &mut out);
        out
    }

    /// Fills `template` and polishes the result into finished prose.
    pub(crate) fn prose(&self, template: &str, rng: &mut Rng) -> String {
        polish(&self.fill(template, rng))
    }

    fn fill_into(&self, template: &str, rng: &mut Rng, out: &mut String) {
        let mut rest = template;
        while let Some(at) = rest.find(['[', '{']) {
            out.push_str(&rest[..at]);
            let open = rest.as_bytes()[at];
            let body = &rest[at + 1..];
            if open == b'{' {
                let end = body.find('}').unwrap_or(body.len());
                self.insert_fact(&body[..end], rng, out);
                rest = body.get(end + 1..).unwrap_or("");
            } else {
                let (choices, after) = split_choices(body);
                self.fill_into(choices[rng.below(choices.len())], rng, out);
                rest = after;
            }
        }
        out.push_str(rest);
    }

    fn insert_fact(&self, name: &str, rng: &mut Rng, out: &mut String) {
        if let Some(value) = self.facts.get(name) {
            self.fill_into(value, rng, out);
        } else if let Some(value) = self.facts.get(&name.to_lowercase()) {
            let mut filled = String::new();
            self.fill_into(value, rng, &mut filled);
            out.push_str(&capitalised(&filled));
        } else {
            out.push('{');
            out.push_str(name);
            out.push('}');
        }
    }
}

/// Splits the text after a `[` into its top-level choices and what follows the matching `]`.
fn split_choices(body: &str) -> (Vec<&str>, &str) {
    let mut choices = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b'|' if depth == 0 => {
                choices.push(&body[start..at]);
                start = at + 1;
            }
            b']' if depth == 0 => {
                choices.push(&body[start..at]);
                return (choices, &body[at + 1..]);
            }
            b']' => depth -= 1,
            _ => {}
        }
    }
    choices.push(&body[start..]);
    (choices, "")
}

/// Returns `text` with its first letter in upper case.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Turns filled text into prose: articles, single spaces, paragraphs, capital letters.
pub(crate) fn polish(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .split('¶')
        .map(|paragraph| capitalise_sentences(&join_words(paragraph)))
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    paragraphs.join("\n\n")
}

/// Joins the words with single spaces and settles each `%a` by the word that follows it.
fn join_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if !out.is_empty() {
            out.push(' ');
        }
        if let Some(before) = word.strip_suffix("%a") {
            out.push_str(before);
            out.push_str(article(words.peek().copied().unwrap_or("")));
        } else {
            out.push_str(word);
        }
    }
    out
}

/// Returns "an" before a vowel and "a" otherwise. The lexicon has no word like "hour" or "unicorn".
pub(crate) fn article(next: &str) -> &'static str {
    let vowel = next
        .chars()
        .find(|letter| letter.is_alphanumeric())
        .is_some_and(|letter| matches!(letter.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u'));
    if vowel { "an" } else { "a" }
}

/// Capitalises sentence starts and starts of speech. After `!"` or `?"` a tag such as "said Ben"
/// may follow, so there the template decides by writing `{He}`.
fn capitalise_sentences(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut start, mut in_quote) = (true, false);
    let (mut last, mut before_last) = (' ', ' ');
    for letter in text.chars() {
        if letter == '"' {
            in_quote = !in_quote;
            start |= in_quote;
        } else if letter.is_alphanumeric() {
            if start {
                out.extend(letter.to_uppercase());
            } else {
                out.push(letter);
            }
            start = false;
            (before_last, last) = (last, letter);
            continue;
        } else if letter == ' ' {
            start |= matches!(last, '.' | '!' | '?') || (last == '"' && before_last == '.');
        }
        out.push(letter);
        (before_last, last) = (last, letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prose(template: &str) -> String {
        let mut scene = Scene::default();
        scene.set("he", "she");
        scene.set("o", "orange [hat]");
        scene.prose(template, &mut Rng::for_document(0, 0, 0))
    }

    #[test]
    fn articles_follow_the_inserted_word() {
        assert_eq!(prose("%a {o} and %a ball."), "An orange hat and a ball.");
    }

    #[test]
    fn sentences_and_speech_start_with_capitals_but_tags_do_not() {
        assert_eq!(
            prose(r#"{he} said, "go." {he} ran. "stop!" {he} cried. {He} hid."#),
            r#"She said, "Go." She ran. "Stop!" she cried. She hid."#
        );
    }

    #[test]
    fn nested_choices_take_exactly_one_branch() {
        for index in 0..50 {
            let mut rng = Rng::for_document(0, 0, index);
            let text = Scene::default().prose("[a|b [c|d]|] end", &mut rng);
            assert!(
                ["A end", "B c end", "B d end", "End"].contains(&text.as_str()),
                "{text}"
            );
        }
    }

    #[test]
    fn unknown_slots_stay_visible() {
        assert_eq!(prose("the {what} is"), "The {what} is");
    }
}
