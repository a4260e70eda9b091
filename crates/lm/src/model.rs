//! Owns a model with all that belongs to it: network, tokenizer, chat template.

use std::path::PathBuf;

use crate::{
    ChatTemplate, FinishReason, GenerationConfig, Generator, GeneratorOptions, LanguageModel,
    Message, ModelConfig, ModelFolder, Result, SamplerOptions, StopRules, TextStep, TextStream,
    Tokenizer, models,
};

/// A language model, ready to write.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Model, TextOptions};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let model = Model::load(path)?;
/// let mut text = String::new();
/// for step in model.generate("Once upon a time", &TextOptions { max_tokens: 8, ..Default::default() })? {
///     text += &step?.text;
/// }
/// assert!(!text.is_empty());
/// # Ok::<(), olivine_lm::Error>(())
/// ```
pub struct Model {
    /// What computes.
    pub network: Box<dyn LanguageModel>,
    /// What turns text into tokens and back.
    pub tokenizer: Tokenizer,
    /// How conversations are written, if the model knows any.
    pub template: Option<ChatTemplate>,
    /// What `config.json` says.
    pub config: ModelConfig,
    /// What the publisher recommends.
    pub recommended: GenerationConfig,
}

/// How a text is generated.
///
/// ```
/// use olivine_lm::TextOptions;
/// assert_eq!(TextOptions::default().max_tokens, 256);
/// ```
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// How tokens are chosen; without it, as the publisher recommends.
    pub sampler: Option<SamplerOptions>,
    /// The text ends after so many tokens.
    pub max_tokens: usize,
    /// The text ends before any of these.
    pub stop: Vec<String>,
    /// The prompt is a message to be answered, where the model has a chat template.
    pub chat: bool,
    /// How the prompt is read, and what is remembered.
    pub generator: GeneratorOptions,
}

impl Default for TextOptions {
    fn default() -> Self {
        TextOptions {
            sampler: None,
            max_tokens: 256,
            stop: Vec::new(),
            chat: true,
            generator: GeneratorOptions::default(),
        }
    }
}

impl Model {
    /// Loads the model in a folder.
    ///
    /// # Errors
    /// Whatever is wrong with the folder's files.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// assert!(olivine_lm::Model::load("/nowhere").is_err());
    /// ```
    pub fn load(path: impl Into<PathBuf>) -> Result<Self> {
        Self::from_folder(&ModelFolder::open(path)?)
    }

    /// Loads the model of an opened folder.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Model, ModelFolder};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = Model::from_folder(&ModelFolder::open(path)?)?;
    /// assert!(model.template.is_some());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn from_folder(folder: &ModelFolder) -> Result<Self> {
        let (config, recommended) = (folder.config()?, folder.generation_config()?);
        Ok(Model {
            tokenizer: Tokenizer::load(folder, &config, &recommended)?,
            template: ChatTemplate::load(folder)?,
            network: models::load(folder)?,
            config,
            recommended,
        })
    }

    /// The tokens of a prompt: of a message from the user where `chat` is asked for and the model
    /// has a template, otherwise of the text itself.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::Model;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = Model::load(path)?;
    /// assert!(model.prompt("Hello", true)?.len() > model.prompt("Hello", false)?.len());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn prompt(&self, text: &str, chat: bool) -> Result<Vec<u32>> {
        match &self.template {
            Some(_) if chat => self.conversation(&[Message::user(text)]),
            _ => self.tokenizer.encode_prompt(text),
        }
    }

    /// The tokens of a conversation that the model is to answer.
    ///
    /// # Errors
    /// A template that rejects it; without a template, the texts of the messages follow each other.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{Message, Model};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = Model::load(path)?;
    /// assert!(!model.conversation(&[Message::user("Hello")])?.is_empty());
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn conversation(&self, messages: &[Message]) -> Result<Vec<u32>> {
        match &self.template {
            // A rendered template brings its own special tokens.
            Some(template) => self.tokenizer.encode(&template.render(messages, true)?),
            None => {
                let texts: Vec<&str> = messages
                    .iter()
                    .map(|message| message.content.as_str())
                    .collect();
                self.tokenizer.encode_prompt(&texts.join("\n"))
            }
        }
    }

    /// Writes the continuation of, or the answer to, `prompt`, piece by piece.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::{FinishReason, Model, TextOptions};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = Model::load(path)?;
    /// let steps = model.generate("Hello", &TextOptions { max_tokens: 3, ..Default::default() })?;
    /// let last = steps.last().unwrap()?;
    /// assert_eq!(last.finish, Some(FinishReason::Length));
    /// # Ok::<(), olivine_lm::Error>(())
    /// ```
    pub fn generate(&self, prompt: &str, options: &TextOptions) -> Result<TextGenerator<'_>> {
        let sampler = options
            .sampler
            .clone()
            .unwrap_or_else(|| self.recommended.sampler_options());
        let tokens = self.prompt(prompt, options.chat)?;
        let generator = options.generator.clone();
        let tokens = Generator::with_options(&*self.network, &tokens, sampler, generator)?;
        let rules = StopRules::new(
            self.tokenizer.eos_ids().iter().copied(),
            options.stop.clone(),
        )?;
        Ok(TextGenerator {
            tokens,
            stream: TextStream::new(&self.tokenizer, rules),
            left: options.max_tokens,
            done: false,
        })
    }
}

/// A text that is being written: pieces of it, the last of which says why it ends.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_lm::{Model, TextGenerator};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let model = Model::load(path)?;
/// let text: TextGenerator<'_> = model.generate("Hello", &Default::default())?;
/// let ends = text.filter(|step| step.as_ref().is_ok_and(|step| step.finish.is_some())).count();
/// assert_eq!(ends, 1);
/// # Ok::<(), olivine_lm::Error>(())
/// ```
pub struct TextGenerator<'m> {
    tokens: Generator<&'m dyn LanguageModel>,
    stream: TextStream<'m>,
    left: usize,
    done: bool,
}

impl TextGenerator<'_> {
    fn advance(&mut self) -> Result<TextStep> {
        let token = match self.left {
            0 => None,
            _ => self.tokens.next(),
        };
        let Some(choice) = token else {
            let mut step = self.stream.finish()?;
            let own = || {
                if self.left == 0 {
                    FinishReason::Length
                } else {
                    FinishReason::Grammar
                }
            };
            step.finish.get_or_insert_with(own);
            return Ok(step);
        };
        self.left -= 1;
        self.stream.push(choice?.token)
    }
}

impl Iterator for TextGenerator<'_> {
    type Item = Result<TextStep>;

    fn next(&mut self) -> Option<Result<TextStep>> {
        if self.done {
            return None;
        }
        let step = self.advance();
        self.done = step.as_ref().map_or(true, |step| step.finish.is_some());
        Some(step)
    }
}
