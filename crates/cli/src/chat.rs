//! Owns `olivine chat`: a conversation on the terminal, of which the model remembers what it read.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use olivine_lm::{
    FinishReason, Generator, LanguageModel, Message, Model, PromptCache, Role, SamplerOptions,
    StopRules, TextStream,
};
use rustyline::{DefaultEditor, error::ReadlineError};

use crate::{
    error::{CliError, Exit, say},
    interrupt::Interrupt,
    kv::KvArgs,
    model::ComputeArgs,
    sampling::SamplingArgs,
};

const COMMANDS: &str = "\
/help            this list
/clear           forget the conversation
/undo            take back the last question and its answer
/retry           answer the last question again
/system TEXT     set the system message and start anew
/save FILE       write the conversation as JSON
/load FILE       go on with a conversation that was saved
/set NAME VALUE  change temp, top-k, top-p, min-p, seed or max-tokens
/stats           show speed after each answer, or stop showing it
/quit            leave, as Ctrl-D does
A line that ends with \\ goes on in the next; a text between lines of \"\"\" may have many.
Ctrl-C stops an answer.";

const EXAMPLES: &str = "\
Examples:
  olivine chat
      Talk with the model that ships inside this program.
  olivine chat --model mlx-community/Qwen3-4B-4bit --system \"Answer in one sentence.\"
      A model of the hub, with a system message.
  olivine chat --model llama-4bit --kv-bits 8
      A long conversation in less memory.";

/// Talk with a model.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chat {
    /// The model: a folder, or a name on the hub [default: the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// Stop an answer after this many tokens
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_tokens: usize,

    #[command(flatten)]
    sampling: SamplingArgs,

    #[command(flatten)]
    kv: KvArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Chat {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let model = Model::from_folder(&self.compute.open(self.model.as_deref(), &interrupt)?)?;
        let options = self.sampling.options(&model.recommended)?;
        let mut talk = Talk {
            messages: Vec::new(),
            cache: None,
            options,
            max_tokens: self.max_tokens,
            show_stats: false,
            chat: self,
            model: &model,
        };
        talk.start_anew(self.system.clone());
        let mut editor = DefaultEditor::new().map_err(CliError::Terminal)?;
        let history = history_file();
        if let Some(path) = &history {
            // There is none before the first conversation.
            let _ = editor.load_history(path);
        }
        say("Type a message, or /help.");
        loop {
            let line = match read(&mut editor) {
                Ok(line) => line,
                Err(ReadlineError::Eof) => break,
                Err(ReadlineError::Interrupted) => continue,
                Err(error) => return Err(CliError::Terminal(error)),
            };
            if line.trim().is_empty() {
                continue;
            }
            let _ = editor.add_history_entry(line.trim_end());
            let result = match line.trim().strip_prefix('/') {
                Some(command) => talk.command(command, &interrupt),
                None => talk.ask(&line, &interrupt).map(|()| true),
            };
            match result {
                Ok(true) => {}
                Ok(false) => break,
                // The output is gone; everything else can be mended in the conversation.
                Err(error @ CliError::Write(_)) => return Err(error),
                Err(error) => error.print(),
            }
        }
        if let Some(path) = &history {
            let _ = editor.save_history(path);
        }
        Ok(Exit::Success)
    }
}

/// Where lines are remembered between conversations.
fn history_file() -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_STATE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&std::env::var_os("HOME")?).join(".local/state"),
    }
    .join("olivine");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("chat-history"))
}

/// Reads a message, which may have several lines.
fn read(editor: &mut DefaultEditor) -> Result<String, ReadlineError> {
    let mut text = editor.readline("> ")?;
    if text.trim() == "\"\"\"" {
        text.clear();
        loop {
            let line = editor.readline("| ")?;
            if line.trim() == "\"\"\"" {
                return Ok(text);
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    while let Some(start) = text.strip_suffix('\\') {
        text = format!("{start}\n{}", editor.readline("| ")?);
    }
    Ok(text)
}

/// A conversation and what the model remembers of it.
struct Talk<'a> {
    messages: Vec<Message>,
    cache: Option<PromptCache>,
    options: SamplerOptions,
    max_tokens: usize,
    show_stats: bool,
    chat: &'a Chat,
    model: &'a Model,
}

impl Talk<'_> {
    fn start_anew(&mut self, system: Option<String>) {
        self.messages = system
            .map(|text| Message::new(Role::System, text))
            .into_iter()
            .collect();
    }

    /// Does what a command says; false ends the conversation.
    fn command(&mut self, command: &str, interrupt: &Interrupt) -> Result<bool, CliError> {
        let (name, rest) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "help" | "?" => say(COMMANDS),
            "quit" | "exit" | "bye" => return Ok(false),
            "clear" => {
                let system = self
                    .messages
                    .first()
                    .filter(|first| first.role == Role::System);
                self.start_anew(system.map(|first| first.content.clone()));
            }
            "system" => self.start_anew(Some(rest.to_owned()).filter(|text| !text.is_empty())),
            "undo" => {
                self.take_back();
            }
            "retry" => match self.take_back() {
                Some(question) => self.ask(&question, interrupt)?,
                None => say("There is no question yet."),
            },
            "stats" => self.show_stats = !self.show_stats,
            "save" | "load" if rest.is_empty() => say(&format!("Which file? /{name} FILE")),
            "save" => self.save(Path::new(rest))?,
            "load" => self.load(Path::new(rest))?,
            "set" => self.set(rest)?,
            _ => say(&format!("There is no /{name}; /help lists what there is.")),
        }
        Ok(true)
    }

    /// Removes the last question and what follows, and returns the question.
    fn take_back(&mut self) -> Option<String> {
        let last = self
            .messages
            .iter()
            .rposition(|message| message.role == Role::User)?;
        self.messages
            .drain(last..)
            .next()
            .map(|message| message.content)
    }

    fn save(&self, path: &Path) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(&self.messages).expect("messages are strings");
        std::fs::write(path, text).map_err(|error| CliError::File(path.to_owned(), error))
    }

    fn load(&mut self, path: &Path) -> Result<(), CliError> {
        let failed = |error| CliError::File(path.to_owned(), error);
        let text = std::fs::read_to_string(path).map_err(failed)?;
        self.messages = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
        for message in &self.messages {
            say(&format!(
                "{} {}",
                if message.role == Role::User { ">" } else { "" },
                message.content
            ));
        }
        Ok(())
    }

    fn set(&mut self, rest: &str) -> Result<(), CliError> {
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let value = value.trim();
        let mut options = self.options.clone();
        let understood = match name {
            "temp" => value
                .parse()
                .map(|value| options.temperature = value)
                .is_ok(),
            "top-k" => value.parse().map(|value| options.top_k = value).is_ok(),
            "top-p" => value.parse().map(|value| options.top_p = value).is_ok(),
            "min-p" => value.parse().map(|value| options.min_p = value).is_ok(),
            "seed" => value
                .parse()
                .map(|value| options.seed = Some(value))
                .is_ok(),
            "max-tokens" => value.parse().map(|value| self.max_tokens = value).is_ok(),
            _ => false,
        };
        if understood {
            self.options = options.validate()?;
        } else {
            say("/set temp 0.7, or another of top-k, top-p, min-p, seed, max-tokens");
        }
        Ok(())
    }

    /// Asks, and streams the answer.
    fn ask(&mut self, question: &str, interrupt: &Interrupt) -> Result<(), CliError> {
        self.messages.push(Message::user(question));
        match self.answer(interrupt) {
            Ok(answer) => {
                self.messages.push(Message::new(Role::Assistant, answer));
                Ok(())
            }
            Err(error) => {
                self.messages.pop();
                Err(error)
            }
        }
    }

    fn answer(&mut self, interrupt: &Interrupt) -> Result<String, CliError> {
        let model = self.model;
        let prompt = model.conversation(&self.messages)?;
        let network: &dyn LanguageModel = &*model.network;
        let options = self.chat.kv.options(Some(&model.config))?;
        let sampler = self
            .chat
            .sampling
            .sampler(self.options.clone(), &model.tokenizer)?;
        let mut tokens = Generator::with_options(network, &prompt, sampler, options)?;
        if let Some(cache) = self.cache.take() {
            tokens = tokens.after(cache);
        }
        let reused = tokens.reused();
        let rules = StopRules::new(
            model.tokenizer.eos_ids().iter().copied(),
            self.chat.sampling.stop().iter().cloned(),
        )?;
        let mut stream = TextStream::new(&model.tokenizer, rules);
        let mut out = std::io::stdout().lock();
        let (mut text, start, mut count) = (String::new(), Instant::now(), 0usize);
        let mut first = None;
        let mut show = |piece: &str| -> Result<(), CliError> {
            text.push_str(piece);
            out.write_all(piece.as_bytes())
                .and_then(|()| out.flush())
                .map_err(CliError::Write)
        };
        interrupt.reset();
        let mut finish = None;
        while count < self.max_tokens && !interrupt.pressed() {
            let Some(choice) = tokens.next() else { break };
            count += 1;
            first.get_or_insert_with(|| start.elapsed());
            let step = stream.push(choice?.token)?;
            show(&step.text)?;
            if step.finish.is_some() {
                finish = step.finish;
                break;
            }
        }
        if finish.is_none() {
            show(&stream.finish()?.text)?;
        }
        show("\n")?;
        if interrupt.pressed() {
            say("(stopped)");
        } else if finish.is_none() && count == self.max_tokens {
            say("(the answer is longer; /set max-tokens changes how long it may be)");
        }
        debug_assert!(
            !matches!(finish, Some(FinishReason::Length)),
            "lengths are counted here"
        );
        if self.show_stats {
            let read = prompt.len() - reused;
            let first = first.unwrap_or_default().as_secs_f64();
            let writing = start.elapsed().as_secs_f64() - first;
            say(&format!(
                "{read} of {} tokens read in {first:.2} s, {count} written, {:.1} per second",
                prompt.len(),
                count.saturating_sub(1) as f64 / writing.max(1e-9),
            ));
        }
        interrupt.reset();
        self.cache = Some(tokens.into_cache());
        text.truncate(text.trim_end().len());
        Ok(text)
    }
}
