//! Owns chat templates: rendering a conversation the way the model was trained to read it.
//!
//! Templates are written for Jinja2 as Hugging Face sets it up: blocks trimmed, loop controls,
//! Python's string, list and dict methods, `raise_exception`, `strftime_now` and a `tojson` that
//! prints like Python's `json.dumps`. A template is a program from a stranger, so it gets no files
//! to include and a budget of work.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::error::{Error, Result};
use crate::folder::ModelFolder;
use crate::tokenizer::special_tokens;

const NAME: &str = "chat";
// Real templates burn thousands; this is about a second of work and 1 GB at the very most.
const FUEL: u64 = 16_000_000;

/// Who speaks in a conversation.
///
/// ```
/// use olivine_lm::Role;
/// assert_eq!(serde_json::to_string(&Role::Assistant)?, "\"assistant\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sets the scene for the model.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool the model called.
    Tool,
}

/// One turn of a conversation.
///
/// ```
/// use olivine_lm::{Message, Role};
/// let message: Message = serde_json::from_str(r#"{"role": "user", "content": "Hello"}"#)?;
/// assert_eq!(message, Message { role: Role::User, content: "Hello".into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What they say.
    pub content: String,
}

impl Message {
    /// A turn of the given speaker.
    ///
    /// ```
    /// use olivine_lm::{Message, Role};
    /// assert_eq!(Message::new(Role::User, "Hello"), Message::user("Hello"));
    /// ```
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }

    /// A turn of the person.
    ///
    /// ```
    /// use olivine_lm::{Message, Role};
    /// assert_eq!(Message::user("Hello").role, Role::User);
    /// ```
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }
}

/// A model's chat template, compiled.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::ModelFolder;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let folder = ModelFolder::open(path)?;
/// use olivine_lm::{ChatTemplate, Message};
/// let template = ChatTemplate::load(&folder)?.expect("this model has one");
/// let prompt = template.render(&[Message::user("Hello")], true)?;
/// assert!(prompt.contains("Hello") && prompt.ends_with("<|assistant|>\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    path: PathBuf,
    tokens: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// Loads the folder's chat template with its special tokens; none when the model has no template.
    ///
    /// # Errors
    /// Unreadable files and templates that do not compile.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::ModelFolder;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let folder = ModelFolder::open(path)?;
    /// assert!(olivine_lm::ChatTemplate::load(&folder)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(folder: &ModelFolder) -> Result<Option<Self>> {
        let Some((path, source)) = folder.chat_template()? else {
            return Ok(None);
        };
        let tokens = match folder.tokenizer_config()? {
            Some(config) => special_tokens(&config)?,
            None => BTreeMap::new(),
        };
        Self::compile(path, &source, tokens).map(Some)
    }

    /// Compiles a template; `tokens` are its global strings such as `bos_token`, and `path` appears
    /// in errors.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] with the line of the first mistake.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use olivine_lm::{ChatTemplate, Message};
    /// let tokens = BTreeMap::from([("bos_token".to_owned(), "<s>".to_owned())]);
    /// let source = "{{ bos_token }}{{ messages[0].content }}";
    /// let template = ChatTemplate::compile("chat_template.jinja", source, tokens.clone())?;
    /// assert_eq!(template.render(&[Message::user("Hello")], false)?, "<s>Hello");
    /// assert!(ChatTemplate::compile("chat_template.jinja", "{% if %}", tokens).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compile(
        path: impl Into<PathBuf>,
        source: &str,
        tokens: BTreeMap<String, String>,
    ) -> Result<Self> {
        let path = path.into();
        let mut environment = environment();
        environment
            .add_template_owned(NAME, without_generation_marks(source))
            .map_err(|error| complaint(&path, &error))?;
        Ok(Self {
            environment,
            source: source.to_owned(),
            path,
            tokens,
        })
    }

    /// The template's text.
    ///
    /// ```
    /// use olivine_lm::ChatTemplate;
    /// let template = ChatTemplate::compile("chat_template.jinja", "Hi", Default::default())?;
    /// assert_eq!(template.source(), "Hi");
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation; with `add_generation_prompt` the text ends where the model's turn begins.
    ///
    /// # Errors
    /// [`Error::ChatRejected`] in the template's own words when it calls `raise_exception`,
    /// [`Error::ChatTemplate`] for mistakes in the template or too much work.
    ///
    /// ```
    /// use olivine_lm::{ChatTemplate, Message};
    /// let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}\
    ///               {% if add_generation_prompt %}assistant:{% endif %}";
    /// let template = ChatTemplate::compile("chat_template.jinja", source, Default::default())?;
    /// let text = template.render(&[Message::user("Hello")], true)?;
    /// assert_eq!(text, "user: Hello\nassistant:");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        self.render_with(messages, add_generation_prompt, &BTreeMap::new())
    }

    /// Renders a conversation with further variables that this template understands, such as
    /// `enable_thinking` or `tools`.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use olivine_lm::{ChatTemplate, Message};
    /// let source = "{% if enable_thinking %}think: {% endif %}{{ messages[0].content }}";
    /// let template = ChatTemplate::compile("chat_template.jinja", source, BTreeMap::new())?;
    /// let variables = BTreeMap::from([("enable_thinking".to_owned(), true.into())]);
    /// let text = template.render_with(&[Message::user("2 + 2")], false, &variables)?;
    /// assert_eq!(text, "think: 2 + 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render_with(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        variables: &BTreeMap<String, serde_json::Value>,
    ) -> Result<String> {
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        // Templates test these against none, so they are always defined.
        context.insert("tools", Value::from(()));
        context.insert("documents", Value::from(()));
        for (name, token) in &self.tokens {
            context.insert(name, Value::from(token.as_str()));
        }
        for (name, value) in variables {
            context.insert(name, Value::from(Serde(value)));
        }
        context.insert("messages", Value::from(Serde(messages)));
        context.insert("add_generation_prompt", Value::from(add_generation_prompt));
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(|error| complaint(&self.path, &error))
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("the default delimiters are valid");
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_fuel(Some(FUEL));
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", to_json);
    environment
}

/// What a template said through `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    let error = minijinja::Error::new(ErrorKind::InvalidOperation, message.clone());
    Err(error.with_source(Raised(message)))
}

fn strftime_now(format: String) -> Result<String, minijinja::Error> {
    jiff::fmt::strtime::format(format, &jiff::ZonedDateTime::now())
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// Prints a value as Python's `json.dumps(value, ensure_ascii=False)` does.
fn to_json(value: Value, options: Kwargs) -> Result<Value, minijinja::Error> {
    let failed = |error: serde_json::Error| {
        minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())
    };
    let indent: Option<usize> = options.get("indent")?;
    let sort_keys: Option<bool> = options.get("sort_keys")?;
    let ensure_ascii: Option<bool> = options.get("ensure_ascii")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    options.assert_all_used()?;
    let mut json = serde_json::to_value(&value).map_err(failed)?;
    if sort_keys == Some(true) {
        json.sort_all_objects();
    }
    let text = match indent {
        Some(width) if width <= 16 => print_json(
            &json,
            PrettyFormatter::with_indent(&b"                "[..width]),
        ),
        Some(_) => {
            let what = "tojson: indent must be at most 16";
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, what));
        }
        None => print_json(&json, PythonStyle::new(separators)?),
    }
    .map_err(failed)?;
    let text = if ensure_ascii == Some(true) {
        escape_non_ascii(&text)
    } else {
        text
    };
    Ok(Value::from(text))
}

fn print_json<F: Formatter>(
    json: &serde_json::Value,
    formatter: F,
) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    json.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, formatter,
    ))?;
    Ok(String::from_utf8(bytes).expect("serde_json writes UTF-8"))
}

fn escape_non_ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                write!(escaped, "\\u{unit:04x}").expect("a String takes all text");
            }
        }
    }
    escaped
}

/// JSON on one line with Python's spaces after commas and colons.
struct PythonStyle {
    item: String,
    key: String,
}

impl PythonStyle {
    fn new(separators: Option<Vec<String>>) -> Result<Self, minijinja::Error> {
        match separators.map(<[String; 2]>::try_from) {
            None => Ok(Self {
                item: ", ".to_owned(),
                key: ": ".to_owned(),
            }),
            Some(Ok([item, key])) => Ok(Self { item, key }),
            Some(Err(_)) => Err(minijinja::Error::new(
                ErrorKind::InvalidOperation,
                "tojson: separators must be two strings",
            )),
        }
    }

    fn before<W: ?Sized + std::io::Write>(&self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first {
            return Ok(());
        }
        out.write_all(self.item.as_bytes())
    }
}

impl Formatter for PythonStyle {
    fn begin_array_value<W>(&mut self, out: &mut W, first: bool) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        self.before(out, first)
    }

    fn begin_object_key<W>(&mut self, out: &mut W, first: bool) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        self.before(out, first)
    }

    fn begin_object_value<W>(&mut self, out: &mut W) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        out.write_all(self.key.as_bytes())
    }
}

/// Turns `{% generation %}` blocks, which only mark text for training, into blocks that print.
fn without_generation_marks(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (text, tag) = rest.split_at(start);
        result.push_str(text);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let word = tag[2..end].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        match word {
            // An `if` opens no scope, so variables set inside stay visible as Jinja2 has them.
            "generation" => result.push_str(&tag.replacen(word, "if true", 1)),
            "endgeneration" => result.push_str(&tag.replacen(word, "endif", 1)),
            _ => result.push_str(tag),
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

/// Tells a template's own refusal from a mistake in it.
fn complaint(path: &std::path::Path, error: &minijinja::Error) -> Error {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            return Error::ChatRejected {
                message: message.split_whitespace().collect::<Vec<_>>().join(" "),
            };
        }
        source = cause.source();
    }
    let mut message = error.kind().to_string();
    if let Some(detail) = error.detail() {
        message = format!("{message}: {}", detail.lines().next().unwrap_or_default());
    }
    Error::ChatTemplate {
        path: path.to_owned(),
        line: error.line(),
        message,
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
